"""Options of the core's tasks. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..config import TargetConfig, TaskConfig

Label = bool | int | float | str


class ClassificationConfig(TargetConfig):
    """One label per row, out of two or more classes."""

    classes: list[Label] | None = Field(
        default=None,
        min_length=2,
        description="the labels in a fixed order; default: those of the training rows, numbers by size, text by spelling",
    )
    positive: Label | None = Field(
        default=None,
        description="with two classes, the one that precision, recall and ROC-AUC speak of; default: the second in order",
    )
    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: every class has the same share of the loss, however few rows it has"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target spread evenly over all classes"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the features dropped before the last layer")

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return [self.target]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.classes is None:
            return self
        names = [str(label) for label in self.classes]
        if len(set(names)) < len(names):
            raise ValueError(f"`classes` names {sorted({n for n in names if names.count(n) > 1})} twice")
        if self.positive is not None and str(self.positive) not in names:
            raise ValueError(f"`positive` is {self.positive!r}, which is not one of `classes`: {', '.join(names)}")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls(target="label")


class RegressionConfig(TargetConfig):
    """One number per row. The network learns it in standard deviations of the training rows and predicts it in its own unit."""

    loss: Literal["mse", "mae", "huber"] = Field(
        default="mse", description="mse: the mean; mae: the median; huber: squared near zero, straight beyond `delta`"
    )
    delta: float = Field(
        default=1.0, gt=0, description="huber: where the straight part begins, in standard deviations of the target"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the features dropped before the last layer")

    @model_validator(mode="after")
    def _delta_is_hubers(self) -> Self:
        if "delta" in self.model_fields_set and self.delta != 1.0 and self.loss != "huber":
            raise ValueError(f"`delta` has no effect with loss: {self.loss}; use loss: huber")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls(target="value")


class MultiLabelConfig(TaskConfig):
    """Any number of labels per row: a column per label (`targets`), or one column of names (`target`)."""

    targets: list[str] | None = Field(
        default=None,
        min_length=1,
        description="a column per label, of 0 and 1 (or no and yes, false and true); an empty cell: not known",
    )
    target: str | None = Field(
        default=None, description="one column that holds the names of the labels, as a list or as text with a separator"
    )
    separator: str = Field(default=",", min_length=1, description="what parts the names in the text of `target`")
    classes: list[str] | None = Field(
        default=None,
        min_length=1,
        description="the names in `target`; default: those of the training rows, by spelling",
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["best_f1"] = Field(
        default="best_f1",
        description="probability from which a label applies: a number, or best_f1: per label, chosen on validation rows",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the features dropped before the last layer")

    @field_validator("target", mode="before")
    @classmethod
    def _one_column(cls, given: Any) -> Any:
        if isinstance(given, list):
            raise ValueError("`target` is one column of names, not a list of columns; did you mean: targets")
        return given

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.targets is None) == (self.target is None):
            raise ValueError("give `targets`, a column per label, or `target`, one column of names")
        if self.targets is not None and self.classes is not None:
            raise ValueError("`classes` has no effect with `targets`, whose names are the labels")
        for key, names in (("targets", self.targets), ("classes", self.classes)):
            if names is not None and len(set(names)) < len(names):
                raise ValueError(f"`{key}` names {sorted({n for n in names if names.count(n) > 1})} twice")
        return self

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return [self.target] if self.target is not None else ()

    def columns(self) -> list[str]:
        return list(self.targets) if self.targets is not None else [str(self.target)]

    @classmethod
    def example(cls) -> Self:
        return cls(targets=["first", "second"])
