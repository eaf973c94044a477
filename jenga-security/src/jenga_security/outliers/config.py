"""Options of anomaly detection without labels. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from jenga_core.config import ComponentConfig, TaskConfig

from ..alert_config import AlertBudget, TargetRate, Threshold
from ..config import Label, _one_or_more

Member = Literal["isolation", "neighbours", "reconstruction"]


class UnlabelledConfig(TaskConfig):
    """What tasks without labels have in common. Without `target` there is nothing to judge by: only alerts are counted."""

    target: str | None = Field(default=None, description="the column that holds labels, if there is one")
    labels: Literal["judge", "few"] = Field(
        default="judge",
        description="judge: labels are never trained on, they only judge; few: the rows that have a label are trained on "
        "(semi-supervised), rows without one count as mostly normal",
    )
    normal: Annotated[list[Label], BeforeValidator(_one_or_more, json_schema_input_type=Label | list[Label])] | None = (
        Field(
            default=None,
            min_length=1,
            description="the label or labels that mean normal; every other label is an anomaly. May be left out for "
            "0/1, false/true, no/yes and where one label is `normal` or `benign`",
        )
    )
    threshold: Threshold = Field(
        default=TargetRate(target_fpr=0.01),
        description="score from which a row is an alert: a number (0.99: rarer than 1 in 100 held-out rows); "
        "{target_fpr: 0.01}: the same, refused where there are too few validation rows to say so; "
        "{alert_budget: {per_day: 20, rows_per_day: 100000}}: the same by alerts a day; best_f1: only with labels: few",
    )
    known_weight: float = Field(
        default=1.0, gt=0, description="labels: few: weight of a row with a label in the loss (Deep SAD's eta)"
    )
    pyod: list[str] = Field(
        default_factory=list,
        description="PyOD detectors judged beside the model, by class name (KNN, ECOD, COPOD); needs the extra [pyod]",
    )

    @model_validator(mode="after")
    def _labels(self) -> Self:
        if self.target is None and self.labels == "few":
            raise ValueError("labels: few needs `target`, the column that holds them")
        if self.target is None and self.normal is not None:
            raise ValueError("`normal` says what labels mean, and there is no `target`")
        if self.labels == "judge" and self.threshold == "best_f1":
            raise ValueError("threshold: best_f1 chooses by labels, which `labels: judge` forbids")
        return self

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return [self.target] if self.target else ()

    def columns(self) -> list[str]:
        budget = self.threshold.alert_budget if isinstance(self.threshold, AlertBudget) else None
        return [name for name in (self.target, budget and budget.time) if name]

    @classmethod
    def example(cls) -> Self:
        return cls(threshold=0.9)  # the default asks for 99 validation rows


class OutlierConfig(UnlabelledConfig):
    """security/outlier: rows unlike the others, seen in three ways."""

    members: list[Member] = Field(
        default=["isolation", "neighbours", "reconstruction"],
        min_length=1,
        description="what is averaged: isolation (a random forest that cuts rows apart), neighbours (distance to the "
        "nearest rows of random samples), reconstruction (the error of the backbone)",
    )

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len(set(self.members)) < len(self.members):
            raise ValueError("`members` names one twice")
        return self


class OneClassConfig(UnlabelledConfig):
    """security/one-class: Deep SVDD, with few labels Deep SAD."""


class AutoencoderConfig(ComponentConfig):
    """security/autoencoder."""

    width: int = Field(default=64, ge=1, description="units of the hidden layer before and behind the code")
    code: int | None = Field(
        default=None, ge=1, description="units of the code, the narrowest layer; default: half of the encoded columns"
    )
    noise: float = Field(
        default=0.1, ge=0, description="deviation of the noise added in training; scaled numbers have deviation 1"
    )

    @classmethod
    def example(cls) -> Self:
        return cls(width=16)


class BiasFreeConfig(ComponentConfig):
    """security/bias-free-mlp."""

    width: int = Field(default=64, ge=1, description="units of each hidden layer")
    depth: int = Field(default=2, ge=1, description="hidden layers")
    out: int = Field(default=32, ge=1, description="units of the output")

    @classmethod
    def example(cls) -> Self:
        return cls(width=16, depth=1, out=8)
