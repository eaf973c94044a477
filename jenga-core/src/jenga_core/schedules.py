"""The learning rate over the steps, as a factor of its peak."""

from __future__ import annotations

import math
from collections.abc import Callable

from .config import ScheduleConfig

_SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}


def schedule(options: ScheduleConfig, total: int) -> Callable[[int], float]:
    """Factor of the peak learning rate after `step` optimizer steps."""
    warm: int = options.warmup_steps or round(options.warmup_ratio * total)
    shape = _SHAPES[options.kind]

    def factor(step: int) -> float:
        if step < warm:
            return float(step + 1) / (warm + 1)
        done = min((step - warm) / max(total - warm, 1), 1.0)
        return shape(done)

    return factor
