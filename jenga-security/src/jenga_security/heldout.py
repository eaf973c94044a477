"""Held-out scores in a few kilobytes: exact where thresholds lie, so that a threshold can be changed without refitting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jenga_core import states

Array = np.ndarray[Any, Any]

EXACT = 4096  # highest scores kept one by one
GRID = 512  # order statistics kept of the scores below them


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Order statistics of `rows` scores: `scores` float32 ascending, `ranks` int64 says which ones (1 = the lowest).

    Complete up to EXACT + GRID rows. Above that complete among the EXACT highest; between two kept ranks below those,
    answers are rounded towards the higher score, which gives fewer alerts and never more than were asked for.
    """

    rows: int
    ranks: Array
    scores: Array

    @classmethod
    def of(cls, scores: Array) -> Record:
        ordered = np.sort(np.asarray(scores, dtype=np.float32))
        ranks = _ranks(len(ordered))
        return cls(len(ordered), ranks, ordered[ranks - 1])

    def at(self, rank: int) -> float:
        """The score of this rank, or of the next one that was kept."""
        return float(self.scores[np.searchsorted(self.ranks, rank)])

    def at_least(self, thresholds: Any) -> Array:
        """How many of the rows reach each threshold: int64 of its shape."""
        below = np.searchsorted(self.scores, np.asarray(thresholds, dtype=np.float32), side="left")
        return self.rows - np.concatenate([[0], self.ranks])[below]

    def state(self) -> dict[str, Any]:
        """As JSON; the shortest decimals that read back as the same float32."""
        return {"rows": self.rows, "scores": [float(str(score)) for score in self.scores]}

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Record:
        """The inverse of `state`."""
        rows = states.whole(state["rows"])
        ranks = _ranks(rows)
        with np.errstate(over="ignore"):
            scores = np.array(states.numbers(state["scores"], size=len(ranks)), dtype=np.float32)
        if not np.isfinite(scores).all() or (np.diff(scores) < 0).any():
            raise ValueError("recorded scores are finite and in order")
        return cls(rows, ranks, scores)


def _ranks(rows: int) -> Array:
    """The ranks that are kept of so many rows: a function of their number, so that they need not be stored."""
    if rows <= EXACT + GRID:
        return np.arange(1, rows + 1)
    body = np.linspace(1, rows - EXACT, GRID).round().astype(np.int64)
    return np.concatenate([body, np.arange(rows - EXACT + 1, rows + 1)])
