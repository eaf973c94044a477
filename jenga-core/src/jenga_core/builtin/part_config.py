"""Options of the core's fusions and loop hooks. Torch-free."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ..config import ComponentConfig

# ------------------------------------------------------------------ fusions


class ConcatConfig(ComponentConfig):
    """Concatenated inputs through one hidden layer."""

    dim: int | None = Field(
        default=None, ge=1, description="width of the fused features; default: that of the widest input"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout on the fused vector while training")


class AttentionConfig(ComponentConfig):
    """Every token of every input attends to every other, and a summary token to all of them."""

    dim: int | None = Field(
        default=None,
        ge=1,
        description="width of the fused features, a multiple of `heads`; default: the widest input's, rounded up",
    )
    heads: int = Field(default=4, ge=1, description="attention heads")
    layers: int = Field(default=1, ge=1, description="attention blocks, one after the other")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout of both branches of a block while training")

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.dim is not None and self.dim % self.heads:
            raise ValueError(f"dim: {self.dim} is not a multiple of heads: {self.heads}")
        return self


class MeanConfig(ComponentConfig):
    """The mean of the inputs; inputs of another width than `dim` are projected first."""

    dim: int | None = Field(
        default=None, ge=1, description="width of the fused features; default: that of the widest input"
    )


# ------------------------------------------------------------------ loop hooks


class EarlyStoppingConfig(ComponentConfig):
    """Stop when a validation metric no longer improves."""

    monitor: str | None = Field(
        default=None, description="metric to watch, as {task}.{metric}, or loss; default: train.monitor"
    )
    patience: int = Field(
        default=3, ge=1, description="evaluations in a row without an improvement before the run stops"
    )
    min_delta: float = Field(default=0.0, ge=0, description="an improvement must be larger than this")


class EmaConfig(ComponentConfig):
    """An exponential moving average of the weights is what is judged and kept."""

    decay: float = Field(default=0.999, ge=0, lt=1, description="share of the old average that a step keeps")
    warmup: bool = Field(
        default=True,
        description="keep less than `decay` in the first steps, so that the first weights are soon forgotten",
    )


class GradientStatisticsConfig(ComponentConfig):
    """Gradient norms of each part, and how far the tasks' gradients agree, in the log and the report."""

    every: int = Field(default=50, ge=1, description="optimizer steps between two measurements")
