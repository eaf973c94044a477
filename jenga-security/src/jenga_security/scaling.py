"""Scales of numbers, fitted on training values and kept as JSON. Missing values (NaN) pass through as NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

from jenga_core import states

Array = np.ndarray[Any, Any]

QUANTILES = 512
LIMIT = (
    1e4  # scaled values are clipped here, so that a value far outside the training range cannot overflow the network
)


class Scale(Protocol):
    """`apply` maps float64 [N] to float64 [N]; `state` is JSON that `read` turns into an equal scale."""

    def apply(self, values: Array) -> Array: ...

    def state(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Linear:
    """(x - centre) / width, clipped at ±LIMIT."""

    centre: float
    width: float

    def apply(self, values: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.clip((values - self.centre) / self.width, -LIMIT, LIMIT)

    def state(self) -> dict[str, Any]:
        return {"form": "linear", "centre": self.centre, "width": self.width}


@dataclass(frozen=True)
class Quantiles:
    """Normal scores by rank: a piecewise linear map from values to standard normal quantiles.

    `points` are distinct and ascending, `scores` the mean normal quantile of the ranks that share the point, so that a
    value that fills half of the column lands in the middle of that half. Outside the training range: the end's score.
    """

    points: tuple[float, ...]
    scores: tuple[float, ...]

    def apply(self, values: Array) -> Array:
        """numpy.interp to the last bit, three times as fast: its search guesses branches, and half of them wrong."""
        points, scores, slopes, padded = self._table
        if not np.isfinite(slopes).all():  # points nearly or hugely apart
            return np.interp(values, points, scores)
        at = np.zeros(len(values), dtype=np.intp)
        step = len(padded)
        while step > 1:
            step //= 2
            at += (padded.take(at + (step - 1)) <= values) * step
        at = np.maximum(at - 1, 0)  # the last point that is not greater; below the first one, the first
        inside: Array = slopes.take(at) * (np.maximum(values, points[0]) - points.take(at)) + scores.take(at)
        return inside

    @cached_property
    def _table(self) -> tuple[Array, Array, Array, Array]:
        """(points, scores, slopes from each point to the next, points padded with infinity to more than themselves)."""
        points, scores = np.array(self.points), np.array(self.scores)
        with np.errstate(over="ignore"):
            steps = np.diff(points)
            slopes = np.append(np.where(np.isfinite(steps), np.diff(scores) / steps, np.inf), 0.0)
        padded = np.full(1 << len(points).bit_length(), np.inf)
        padded[: len(points)] = points
        return points, scores, slopes, padded

    def state(self) -> dict[str, Any]:
        return {"form": "quantiles", "points": list(self.points), "scores": list(self.scores)}


@dataclass(frozen=True, slots=True)
class Log:
    """Signed logarithms, standardised: sign(x) log(1 + |x| / unit), minus `centre`, divided by `width`, clipped at ±LIMIT.

    Unlike `Quantiles` it keeps the order of values beyond the training range.
    """

    unit: float
    centre: float
    width: float

    def apply(self, values: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.clip((_signed_log(values, self.unit) - self.centre) / self.width, -LIMIT, LIMIT)

    def state(self) -> dict[str, Any]:
        return {"form": "log", "unit": self.unit, "centre": self.centre, "width": self.width}


NO_EFFECT = Quantiles((0.0,), (0.0,))  # 0 for any value: weights on what training never saw vary would be random ones


def without_spread(values: Array) -> bool:
    return len(values) == 0 or bool(values.min() == values.max())


def fit_standard(values: Array) -> Scale:
    """Mean 0 and deviation 1. Divided by the largest magnitude first: squares overflow."""
    if without_spread(values):
        return NO_EFFECT
    largest = float(np.abs(values).max())
    shrunk = values / largest
    return Linear(float(shrunk.mean()) * largest, float(shrunk.std()) * largest or 1.0)


def fit_quantiles(values: Array) -> Scale:
    """Normal scores at up to QUANTILES ranks."""
    if without_spread(values):
        return NO_EFFECT
    count = min(QUANTILES, len(values))
    ranks = (np.arange(count) + 0.5) / count
    at = np.quantile(values, np.linspace(0, 1, count), method="nearest")
    points, where = np.unique(at, return_inverse=True)
    scores = np.array([NormalDist().inv_cdf(rank) for rank in ranks])
    means = np.bincount(where, weights=scores) / np.bincount(where)
    return Quantiles(tuple(points.tolist()), tuple(means.tolist()))


def fit_log(values: Array) -> Scale:
    """The unit is the 5 % quantile of the magnitudes that are not zero, so that seconds and milliseconds scale alike."""
    if without_spread(values):
        return NO_EFFECT
    unit = float(np.quantile(np.abs(values[values != 0]), 0.05, method="lower"))
    logs = _signed_log(values, unit)
    return Log(unit, float(logs.mean()), float(logs.std()) or 1.0)


def _signed_log(values: Array, unit: float) -> Array:
    """Of a quotient beyond float64 the logarithm is still finite: log(|x|) - log(unit)."""
    with np.errstate(over="ignore", divide="ignore"):
        quotient = np.abs(values) / unit
        logs = np.where(np.isfinite(quotient), np.log1p(quotient), np.log(np.abs(values)) - np.log(unit))
    return np.sign(values) * logs


def fit_none(values: Array) -> Scale:
    return Linear(0.0, 1.0)


FITTERS: Mapping[str, Callable[[Array], Scale]] = {
    "standard": fit_standard,
    "quantile": fit_quantiles,
    "log": fit_log,
    "none": fit_none,
}


def read(state: Mapping[str, Any]) -> Scale:
    """The inverse of `state`."""
    form = state["form"]
    if form == "linear":
        return Linear(states.number(state["centre"]), states.number(state["width"], above=0))
    if form == "log":
        unit, centre, width = (state[key] for key in ("unit", "centre", "width"))
        return Log(states.number(unit, above=0), states.number(centre), states.number(width, above=0))
    if form != "quantiles":
        raise ValueError(f"there is no scale {form!r}")
    points = states.numbers(state["points"], rising=True)
    if not points:
        raise ValueError("a scale by quantiles without points")
    return Quantiles(points, states.numbers(state["scores"], size=len(points)))
