"""The raw scores of a detector's members -> one calibrated rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jenga_core import states

from .ranks import Ranks

Array = np.ndarray[Any, Any]

TINY = 1e-12
INNER = 15.87, 84.13  # percentiles one deviation from the middle of a normal distribution


@dataclass(frozen=True, slots=True)
class Scores:
    """Each member's score goes to its logarithm, is centred and divided by its spread over held-out rows (median and half
    the middle 68 %, which anomalies among them hardly move); their mean, weighted by `votes`, is ranked."""

    votes: tuple[float, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    ranks: Ranks

    @classmethod
    def fit(cls, raw: Array, votes: Sequence[float]) -> Scores:
        """From raw scores [n, M] >= 0 of held-out rows; `votes` [M]."""
        logs = _logs(raw)
        low, high = np.percentile(logs, INNER, axis=0)
        spread = np.where(high > low, (high - low) / 2, 1.0)
        scale = tuple(votes), tuple(np.median(logs, axis=0).tolist()), tuple(spread.tolist())
        return cls(*scale, Ranks.fit(_together(logs, *scale)))

    def apply(self, raw: Array) -> Array:
        """float64 [N] in 0..1 for raw scores [N, M]."""
        return self.ranks.apply(self.together(raw))

    def together(self, raw: Array) -> Array:
        """float64 [N], before it is ranked: 0 for a row in the middle of the held-out ones, in spreads of those."""
        return _together(_logs(raw), self.votes, self.centre, self.spread)

    def state(self) -> dict[str, Any]:
        return {
            "votes": list(self.votes),
            "centre": list(self.centre),
            "spread": list(self.spread),
            "ranks": self.ranks.state(),
        }

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Scores:
        """The inverse of `state`."""
        votes = states.numbers(state["votes"], above=0)
        centre = states.numbers(state["centre"], size=len(votes))
        spread = states.numbers(state["spread"], size=len(votes), above=0)
        return cls(votes, centre, spread, Ranks.read(states.section(state["ranks"])))


def _logs(raw: Array) -> Array:
    return np.log(np.maximum(np.asarray(raw, dtype=np.float64), TINY))


def _together(logs: Array, votes: tuple[float, ...], centre: tuple[float, ...], spread: tuple[float, ...]) -> Array:
    together: Array = np.average((logs - np.array(centre)) / np.array(spread), axis=1, weights=votes)
    return together
