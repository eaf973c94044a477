"""Options of the core's two tasks. Torch-free."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ..config import TargetConfig

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
