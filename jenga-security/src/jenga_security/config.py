"""Options of the security components. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from jenga_core.config import ComponentConfig, TargetConfig

from .alert_config import THRESHOLD_HELP, AlertBudget, Threshold

Label = str | bool | int

NumberEmbedding = Literal["plain", "piecewise", "periodic"]


class MlpConfig(ComponentConfig):
    """security/tabular-mlp."""

    width: int = Field(default=256, ge=1, description="units of each hidden layer, and of the output")
    depth: int = Field(default=3, ge=1, description="hidden layers")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of units dropped after each layer in training")
    numbers: NumberEmbedding = Field(
        default="plain",
        description="how numbers enter: plain: as they are; piecewise: a learned piecewise linear function of each; "
        "periodic: learned sines of each",
    )

    @classmethod
    def example(cls) -> Self:
        return cls(width=16, depth=2)


class ResnetConfig(ComponentConfig):
    """security/tabular-resnet: residual blocks of two linear layers."""

    width: int = Field(default=192, ge=1, description="units between the blocks, and of the output")
    depth: int = Field(default=4, ge=1, description="residual blocks")
    expansion: float = Field(default=2.0, gt=0, description="units inside a block, as a multiple of `width`")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of units dropped inside a block in training")
    residual_dropout: float = Field(default=0.0, ge=0, lt=1, description="share of units dropped at a block's end")

    @classmethod
    def example(cls) -> Self:
        return cls(width=16, depth=1)


class FtTransformerConfig(ComponentConfig):
    """security/ft-transformer. The paper's default is width 192 and three blocks; these are smaller, for CPUs."""

    width: int = Field(
        default=64, ge=1, description="units of a column's token, and of the output; divisible by `heads`"
    )
    depth: int = Field(default=2, ge=1, description="attention blocks")
    heads: int = Field(default=8, ge=1, description="attention heads")
    expansion: float = Field(
        default=4 / 3, gt=0, description="units inside a block's gated layer, as a multiple of `width`"
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of units dropped inside the gated layer in training"
    )
    attention_dropout: float = Field(
        default=0.2, ge=0, lt=1, description="share of the attention weights dropped in training"
    )

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width: {self.width} is not a multiple of heads: {self.heads}")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls(width=16, depth=1, heads=2)


class GruConfig(ComponentConfig):
    """security/gru."""

    width: int = Field(default=64, ge=1, description="units of each layer's state, and of the output")
    depth: int = Field(default=1, ge=1, description="layers, one over the other")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of units dropped between layers and behind the last, in training"
    )

    @classmethod
    def example(cls) -> Self:
        return cls(width=16)


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str | bool | int) else value


class AnomalyConfig(TargetConfig):
    """security/anomaly: attack or normal, learned from labels."""

    normal: Annotated[list[Label], BeforeValidator(_one_or_more, json_schema_input_type=Label | list[Label])] | None = (
        Field(
            default=None,
            min_length=1,
            description="the label or labels that mean normal; every other label is an attack. May be left out for "
            "0/1, false/true, no/yes and where one label is `normal` or `benign`",
        )
    )
    threshold: Threshold = Field(default=0.5, description=THRESHOLD_HELP)
    positive_weight: Annotated[float, Field(gt=0)] | Literal["balanced", "none"] = Field(
        default="none",
        description="weight of an attack in the loss: none (1), a number, or balanced (normal rows / attacks); "
        "scores are corrected for it and stay probabilities",
    )
    pyod: list[str] = Field(
        default_factory=list,
        description="PyOD detectors judged beside the model, by class name (KNN, ECOD, COPOD); needs the extra [pyod]",
    )
    focal_gamma: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="focal loss: how far rows that are already right count less (the paper's choice: 2); 0: cross "
        "entropy. Scores are corrected for it and stay probabilities",
    )

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return [self.target]

    def columns(self) -> list[str]:
        """The label's column, and that of the times where an alert budget counts rows by them."""
        time = self.threshold.alert_budget.time if isinstance(self.threshold, AlertBudget) else None
        return [self.target] if time is None else [self.target, time]

    @classmethod
    def example(cls) -> Self:
        return cls(target="label")


class DriftMonitorConfig(ComponentConfig):
    """security/drift-monitor."""

    window: int = Field(default=5000, ge=100, description="rows after which scored rows are compared")
    against: Literal["all", "normal"] = Field(
        default="all", description="training rows to compare with: all, or normal ones, as live traffic mostly is"
    )
