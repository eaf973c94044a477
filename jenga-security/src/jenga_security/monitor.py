"""Drift while scoring goes on: windows of rows, each compared when it is full."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.api import hookimpl
from jenga_core.errors import visible

from .config import DriftMonitorConfig
from .drift import Counts, Drift, Reference, added

Array = np.ndarray[Any, Any]


class DriftWarning(UserWarning):
    """New rows are no longer like those that the model was trained and judged on."""


class DriftMonitor:
    """Counts rows into windows of at least `window` rows. `last` is the newest comparison, None before the first.

    A table is never cut: one longer than the window is a window of its own. Rows of the reference's distribution set a
    window off with a probability of at most `drift.ALPHA`.
    """

    def __init__(self, reference: Reference, window: int) -> None:
        self.reference, self.window = reference, window
        self.last: Drift | None = None
        self.windows = 0
        self._counts: Counts = {}
        self._rows = 0

    def update(self, frame: pd.DataFrame, scores: Array) -> Drift | None:
        """The comparison, when these rows complete a window; else None."""
        if not len(frame):
            return None
        self._counts = added(self._counts, self.reference.count(frame, scores))
        self._rows += len(frame)
        if self._rows < self.window:
            return None
        self.last, self.windows = self.reference.compare(self._counts), self.windows + 1
        self._counts, self._rows = {}, 0
        return self.last


class DriftMonitorHook:
    """security/drift-monitor: a DriftWarning for every window of scored rows that sets the gate off, by task."""

    def __init__(self, config: DriftMonitorConfig) -> None:
        self.config = config
        self.monitors: dict[str, DriftMonitor] = {}

    @hookimpl
    def on_predict(self, run: Any, frame: pd.DataFrame, predictions: pd.DataFrame) -> None:
        for name, task in run.parts.tasks.items():
            if not hasattr(task, "drift") or f"{name}.score" not in predictions.columns:
                continue
            if name not in self.monitors:
                self.monitors[name] = DriftMonitor(self._reference(task), self.config.window)
            scores = predictions[f"{name}.score"].to_numpy(dtype=np.float64, na_value=np.nan)
            found = self.monitors[name].update(frame, scores)
            if found is not None and found.fires:
                warnings.warn(f"task {name}: {visible(found.says())}", DriftWarning, stacklevel=2)

    def _reference(self, task: Any) -> Reference:
        normal: Reference | None = task.drift.normal
        return normal if self.config.against == "normal" and normal is not None else task.drift.every
