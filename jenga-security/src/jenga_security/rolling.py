"""A threshold that follows live scores, and never falls below a floor. Plain numpy; its state is JSON.

What can be known. Scores of rows that somebody knows to be normal give a threshold with the promise of `conformal`, for
as long as traffic stays as it was when they were collected: `known`. Scores of unlabelled traffic hold attacks as well, and
no statistic of them alone tells a new kind of normal from a new kind of attack. Two assumptions help, and each fails in
its own way:

- `ceiling`: rows that reach it are attacks. Rows below it count as normal. Where normal rows reach the ceiling their
  share stays alerts; missed attacks below it push the threshold up.
- `attacks`: at most this share of all rows are attacks, and they have the highest scores. That share of the highest
  scores of each window is left out. Without any attack there, that share of the rows is alerts on top of the rate.

The floor bounds the harm on one side: whatever is fed in, rows that the floor does not alert on raise no alert. Nothing
bounds it on the other: who can send much traffic of middling scores can raise the threshold up to the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jenga_core.errors import UserError

from .thresholds import above, rank_of

Array = np.ndarray[Any, Any]


class RollingThreshold:
    """The threshold for `rate` over the newest `window` scores that pass for normal, or `floor` if that is higher.

    Until enough scores are there for the rate (1 / rate - 1 of them) the threshold is the floor, which usually is the
    one that the model was trained to. `ceiling` and `attacks` are explained above; give neither when all rows fed in are known
    to be normal. The window is sorted anew after every `window / 100` rows, not after each. `wanted` is what the window
    asks for, which the threshold is unless the floor holds.
    """

    def __init__(
        self, rate: float, *, floor: float, window: int = 10_000, ceiling: float = math.inf, attacks: float = 0.0
    ) -> None:
        least = math.ceil(round(1 / rate, 9)) - 1
        if window < least:
            raise UserError(f"window {window:,} is too short for rate {rate:g}", next=f"at least {least:,} rows")
        if not 0 <= attacks < 1:
            raise UserError(f"attacks {attacks:g} is no share of the rows", allowed=["0 to 1"])
        if floor > ceiling:
            raise UserError(f"the floor {floor:g} lies above the ceiling {ceiling:g}")
        self.rate, self.floor, self.ceiling, self.attacks = rate, floor, ceiling, attacks
        self.window, self.least = window, least
        self.threshold = self.wanted = floor
        self._scores = np.zeros(0, dtype=np.float32)
        self._new: list[Array] = []

    def update(self, scores: Array) -> float:
        """Take in scores [N], oldest first, and return the threshold to use from here on. NaN is left out."""
        scores = np.asarray(scores, dtype=np.float32)
        self._new.append(scores[scores < self.ceiling])
        waiting = sum(len(part) for part in self._new)
        if waiting >= min(self.window / 100, max(self.least - len(self._scores), 1)):
            self._scores = np.concatenate([self._scores, *self._new])[-self.window :]
            self._new = []
            self.wanted = self._chosen()
            self.threshold = max(self.floor, self.wanted)
        return self.threshold

    def _chosen(self) -> float:
        kept = len(self._scores) - math.ceil(self.attacks * len(self._scores))
        if kept < self.least:
            return self.floor
        rank = rank_of(kept, self.rate)
        return above(np.partition(self._scores, rank - 1)[rank - 1])

    def state(self) -> dict[str, Any]:
        """As JSON: the scores, oldest first, how many of them no threshold rests on yet, and the threshold. The settings are
        the caller's to keep."""
        scores = np.concatenate([self._scores, *self._new])
        return {
            "scores": [float(str(score)) for score in scores],
            "waiting": len(scores) - len(self._scores),
            "wanted": self.wanted,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state` was taken."""
        scores = np.array(state["scores"], dtype=np.float32)
        held = len(scores) - int(state["waiting"])
        self._scores, self._new = scores[:held], [scores[held:]]
        self.wanted = float(state["wanted"])
        self.threshold = max(self.floor, self.wanted)
