"""Options of the loop hooks that balance tasks. Torch-free."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..config import BalancingConfig

Share = Annotated[float, Field(ge=0)]


# ------------------------------------------------------------------ by losses


class FixedBalancingConfig(BalancingConfig):
    """Weights of the tasks' losses, given."""

    weights: dict[str, Share] = Field(
        default_factory=dict,
        description="factor of a task's loss, by task; a task that is not named keeps its own `weight`",
    )


class UncertaintyBalancingConfig(BalancingConfig):
    """Weights of the tasks' losses, learned as homoscedastic uncertainty."""


class DwaBalancingConfig(BalancingConfig):
    """Weights of the tasks' losses from how fast each fell over the last two epochs."""

    temperature: float = Field(
        default=2.0, gt=0, description="large: equal weights; small: the slowest task takes nearly all"
    )


class RandomBalancingConfig(BalancingConfig):
    """Weights of the tasks' losses, drawn anew in every step."""


# ------------------------------------------------------------------ by gradients


class PcgradBalancingConfig(BalancingConfig):
    """What each task's gradient has against another's is taken off it."""


class CagradBalancingConfig(BalancingConfig):
    """The mean gradient, moved within a ball towards what helps the worst-off task."""

    c: float = Field(
        default=0.5, ge=0, lt=1, description="radius of the ball over the mean gradient's norm; 0: the mean gradient"
    )


class MgdaBalancingConfig(BalancingConfig):
    """The shortest convex combination of the tasks' gradients."""


class NashMtlBalancingConfig(BalancingConfig):
    """The step that the tasks would agree on as a bargain."""


class GradnormBalancingConfig(BalancingConfig):
    """Weights that bring the tasks' gradient norms together."""

    alpha: float = Field(
        default=1.5, ge=0, description="how much more a task that learns slower gets; 0: equal gradient norms"
    )
    learning_rate: float = Field(default=0.025, gt=0, description="how fast the weights move")
