"""Raw scores of any scale -> calibrated ranks: 1 minus the split-conformal p-value against held-out rows.

With n held-out raw scores, the p-value of a new row is (1 + how many of them reach its score) / (n + 1); a row that comes
from the same distribution has a p-value of at most a with a probability of at most a (Vovk et al. 2005; for outliers: Bates
et al. 2023). As a step function it would give equal ranks to unequal rows, and one and the same rank to all rows beyond the
largest held-out score. Here it rises between the steps, and beyond the last one it goes on rising, slowly, within that step:
the p-value is never smaller than the conformal one, so the guarantee stays, and the order of the raw scores is kept.
The one exception is the bottom: rows below the smallest held-out score share the last half step, where no alert lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jenga_core import states

Array = np.ndarray[Any, Any]

TOP, BULK = 4096, 1024  # held-out scores kept: all of the largest, and quantiles of the others


@dataclass(frozen=True, slots=True)
class Ranks:
    """`points` ascending and distinct, `values` the p-value at each, `rows` the held-out rows, `spread` > 0 a unit of raw."""

    points: tuple[float, ...]
    values: tuple[float, ...]
    rows: int
    spread: float

    @classmethod
    def fit(cls, raw: Array) -> Ranks:
        """From raw scores [n], n >= 1, finite. Beyond TOP rows the smaller scores are kept as quantiles, whose p-values
        are then off by at most 1 / BULK; those of the TOP largest are exact."""
        ordered = np.sort(np.asarray(raw, dtype=np.float64))
        n = len(ordered)
        if n == 0 or not np.isfinite(ordered).all():
            raise ValueError("ranks need at least one held-out score, and finite ones")
        kept = np.arange(n)
        if n > TOP + BULK:
            kept = np.union1d(np.linspace(0, n - 1, BULK).astype(np.int64), np.arange(n - TOP, n))
        points = np.unique(ordered[kept])
        reach = n - np.searchsorted(ordered, points, side="left")
        values = np.minimum((1 + reach) / (n + 1), 1 - 0.5 / (n + 1))
        spread = float(points[-1] - np.median(ordered)) or abs(float(points[-1])) or 1.0
        return cls(tuple(points.tolist()), tuple(values.tolist()), n, spread)

    def apply(self, raw: Array) -> Array:
        """Scores float64 [N] in 0..1, rising with `raw` [N]."""
        raw = np.asarray(raw, dtype=np.float64)
        step = 1 / (self.rows + 1)
        p = np.interp(raw, self.points, self.values)
        above = np.maximum(raw - self.points[-1], 0) / self.spread
        below = np.maximum(self.points[0] - raw, 0) / self.spread
        p = np.where(raw > self.points[-1], self._top(step, above), p)
        p = np.where(raw < self.points[0], 1 - (1 - self.values[0]) * _fade(below), p)
        return 1 - p

    def _top(self, step: float, above: Array) -> Array:
        """From the p-value of the largest held-out score down to `step`, the smallest that conformal p-values can be."""
        return step + (self.values[-1] - step) * _fade(above)

    def state(self) -> dict[str, Any]:
        return {"points": list(self.points), "values": list(self.values), "rows": self.rows, "spread": self.spread}

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Ranks:
        """The inverse of `state`."""
        points = states.numbers(state["points"], rising=True)
        values = states.numbers(state["values"], size=len(points), above=0)
        if not points or max(values) > 1:
            raise ValueError("ranks have points, and p-values of at most 1")
        return cls(points, values, states.whole(state["rows"], least=1), states.number(state["spread"], above=0))


def _fade(distance: Array) -> Array:
    """From 1 at 0 towards 0, slower than any power, so that far rows stay apart in float32."""
    return 1 / (1 + np.log1p(distance))
