"""Scales of numbers, fitted on training values and kept as JSON. Missing values (NaN) pass through as NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np

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


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Normal scores by rank: a piecewise linear map from values to standard normal quantiles.

    `points` are distinct and ascending, `scores` the mean normal quantile of the ranks that share the point, so that a
    value that fills half of the column lands in the middle of that half. Outside the training range: the end's score.
    """

    points: tuple[float, ...]
    scores: tuple[float, ...]

    def apply(self, values: Array) -> Array:
        return np.interp(values, self.points, self.scores)

    def state(self) -> dict[str, Any]:
        return {"form": "quantiles", "points": list(self.points), "scores": list(self.scores)}


def fit_standard(values: Array) -> Scale:
    """Mean 0 and deviation 1; a constant column keeps width 1. Divided by the largest first: squares overflow."""
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    shrunk = values / largest
    width = float(shrunk.std()) * largest if len(values) else 0.0
    constant = len(values) == 0 or values.min() == values.max()
    return Linear(float(shrunk.mean()) * largest if len(values) else 0.0, 1.0 if constant or width == 0 else width)


def fit_quantiles(values: Array) -> Scale:
    """Normal scores at up to QUANTILES ranks."""
    if len(values) == 0:
        return Linear(0.0, 1.0)
    count = min(QUANTILES, len(values))
    ranks = (np.arange(count) + 0.5) / count
    at = np.quantile(values, np.linspace(0, 1, count), method="nearest")
    points, where = np.unique(at, return_inverse=True)
    scores = np.array([NormalDist().inv_cdf(rank) for rank in ranks])
    means = np.bincount(where, weights=scores) / np.bincount(where)
    return Quantiles(tuple(points.tolist()), tuple(means.tolist()))


def fit_none(values: Array) -> Scale:
    return Linear(0.0, 1.0)


FITTERS: Mapping[str, Callable[[Array], Scale]] = {
    "standard": fit_standard,
    "quantile": fit_quantiles,
    "none": fit_none,
}


def read(state: Mapping[str, Any]) -> Scale:
    """The inverse of `state`."""
    if state["form"] == "linear":
        return Linear(state["centre"], state["width"])
    return Quantiles(tuple(state["points"]), tuple(state["scores"]))
