"""Options of the security components. Torch-free."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from jenga_core.config import ComponentConfig, Section, TargetConfig

Label = str | bool | int


class TableConfig(ComponentConfig):
    """security/table: columns of numbers and of categories. Kinds of columns are detected on training rows."""

    numeric: list[str] = Field(
        default_factory=list, description="columns that hold numbers, where detection would say otherwise"
    )
    categorical: list[str] = Field(
        default_factory=list,
        description="columns whose values are names although they look like numbers (a port, a protocol number)",
    )
    scaling: Literal["quantile", "standard", "none"] = Field(
        default="quantile",
        description="quantile: normal scores by rank, for heavy tails; standard: mean 0, deviation 1; none: unchanged",
    )
    max_categories: int = Field(
        default=128, ge=1, description="most frequent values of a column kept apart; the others share the unseen bucket"
    )
    unseen_rate: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="share of training cells shown as unseen, so that the bucket of unseen categories is learned",
    )
    missing: Literal["impute", "error"] = Field(
        default="impute",
        description="impute: the median and an indicator; error: refuse the table, naming row and column",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        both = sorted(set(self.numeric) & set(self.categorical))
        if both:
            raise ValueError(f"{both} are listed as `numeric` and as `categorical`")
        return self


class WindowConfig(TableConfig):
    """security/window: each row with the rows of its group before it; columns as security/table reads them.

    `group` and `time` must be among the input's columns; they are not features.
    """

    group: str | None = Field(
        default=None,
        description="column that says whose row it is (a host, an account); default: all rows are one series",
    )
    time: str | None = Field(
        default=None, description="column that orders the rows; default: the order in which the table has them"
    )
    length: int = Field(default=16, ge=1, le=4096, description="rows in a window, the row itself included")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        named = [name for name in (self.group, self.time) if name]
        both = sorted({*named} & {*self.numeric, *self.categorical})
        if both:
            raise ValueError(f"{both} are listed as features and as `group` or `time`, which are none")
        if len({*named}) < len(named):
            raise ValueError(f"`group` and `time` are one column, {named[0]!r}")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls(length=1)


class MlpConfig(ComponentConfig):
    """security/tabular-mlp."""

    width: int = Field(default=256, ge=1, description="units of each hidden layer, and of the output")
    depth: int = Field(default=3, ge=1, description="hidden layers")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of units dropped after each layer in training")

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


class TargetRate(Section):
    """A threshold that at most this share of normal rows passes (split-conformal, on validation rows)."""

    target_fpr: float = Field(gt=0, lt=1, description="accepted share of normal rows that raise an alert")


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
    threshold: Annotated[float, Field(ge=0, le=1)] | TargetRate | Literal["best_f1"] = Field(
        default=0.5,
        description="score from which a row is an alert: a number; {target_fpr: 0.01}: chosen on normal validation "
        "rows; best_f1: chosen on validation rows",
    )
    positive_weight: Annotated[float, Field(gt=0)] | Literal["balanced", "none"] = Field(
        default="none",
        description="weight of an attack in the loss: none (1), a number, or balanced (normal rows / attacks); "
        "scores are corrected for it and stay probabilities",
    )
    pyod: list[str] = Field(
        default_factory=list,
        description="PyOD detectors judged beside the model, by class name (KNN, ECOD, COPOD); needs the extra [pyod]",
    )

    @classmethod
    def example(cls) -> Self:
        return cls(target="label")
