"""Aggregates over the recent flows of a source: the same code for a whole file, for chunks of it and for a live log."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .schema import Array

WINDOW = 60.0  # seconds
LATENESS = 300.0  # seconds
SET_BACK = 1000  # flows in a row that are too late: the clock was set back
_SWEEP = 1 << 16  # flows between two looks for sources that have gone quiet


class RequestCount:
    """How many flows a source opened in the `window` seconds up to each of its flows, that one included.

    Flows come in the order of the log, which is the order of their ends; so those that began within the window but are
    logged later are not counted, in training as little as live. What is remembered is every flow that began within
    `window + lateness` seconds before the latest beginning so far. A flow that began earlier than `lateness` before it is
    late: its count is over what is remembered, so at least 1. After `SET_BACK` late flows in a row the clock is taken to
    have been set back, and counting starts afresh.

    The counts of a row depend on the rows before it alone: any cut into chunks gives the same ones. Memory grows with the
    flows of `window + lateness` seconds, 8 bytes each.
    """

    def __init__(self, window: float = WINDOW, lateness: float = LATENESS) -> None:
        self.window, self.lateness = window, lateness
        self._begin()
        self._rows = 0

    def add(self, sources: Sequence[str | None], times: Array) -> Array:
        """The counts float64 [N] of the next flows of the log; NaN where the source is None or the time NaN.

        `times`: seconds, when each flow began.
        """
        out = np.full(len(times), np.nan)
        for at, (source, time) in enumerate(zip(sources, times.tolist(), strict=True)):
            if source is not None and time == time:
                out[at] = self._one(source, time)
        return out

    def state(self) -> dict[str, Any]:
        """What is remembered, as arrays and JSON: a count that is `restore`d from it goes on as this one does."""
        sizes = np.array([len(times) for times in self._times.values()], dtype=np.int64)
        times = np.concatenate([np.array(times) for times in self._times.values()]) if len(sizes) else np.zeros(0)
        latest = self._latest if np.isfinite(self._latest) else None
        return {"sources": list(self._times), "sizes": sizes, "times": times,
                "latest": latest, "late": self._late, "rows": self._rows}  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        cut = np.split(state["times"], np.cumsum(state["sizes"])[:-1]) if len(state["sizes"]) else []
        self._begin(-np.inf if state["latest"] is None else float(state["latest"]))
        for source, times in zip(state["sources"], cut, strict=True):
            self._times[str(source)] = array("d", times.tolist())
        self._late, self._rows = int(state["late"]), int(state["rows"])

    def _begin(self, latest: float = -np.inf) -> None:
        self._times: dict[str, array[float]] = {}
        self._latest, self._late = latest, 0

    def _one(self, source: str, time: float) -> int:
        if time < self._latest - self.lateness:
            self._late += 1
            if self._late >= SET_BACK:
                self._begin(time)
        else:
            self._late = 0
            self._latest = max(self._latest, time)
        self._rows += 1
        if self._rows % _SWEEP == 0:
            self._sweep()
        oldest = self._latest - self.lateness - self.window
        if time < oldest:
            return 1
        times = self._times.setdefault(source, array("d"))
        forgotten = bisect_left(times, oldest)
        if forgotten > 64 and 2 * forgotten > len(times):  # now and then, since it moves all that stay
            del times[:forgotten]
        insort(times, time)
        return bisect_right(times, time) - bisect_left(times, max(time - self.window, oldest))

    def _sweep(self) -> None:
        """Forget sources of which nothing is remembered any more."""
        oldest = self._latest - self.lateness - self.window
        self._times = {source: times for source, times in self._times.items() if times[-1] >= oldest}
