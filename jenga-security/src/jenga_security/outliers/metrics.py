"""How detection without labels is judged: by the rows that have a label, or, without any, by its alerts alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from jenga_core.contracts import Columns, Metrics, take
from jenga_core.figures import Figure

from ..alert_metrics import AlertMetrics

Array = np.ndarray[Any, Any]

HIGHEST = 3  # rows that the report shows with their reasons


class KnownMetrics(AlertMetrics):
    """`AlertMetrics` over the rows whose `y` is 0 or 1; -1 is unknown."""

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        return super().compute(*_known(output, target))

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        return super().figures(*_known(output, target))

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        rows = np.flatnonzero(np.asarray(target["y"]) >= 0)
        return {what: rows[places] for what, places in super().examples(*_known(output, target)).items()}


class RateMetrics(Metrics):
    """`alert_rate`: the share of rows that are alerts. There are no labels, so nothing says which of them are right."""

    @property
    def directions(self) -> Mapping[str, Literal["max", "min", "none"]]:
        return {"alert_rate": "none"}

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        flags = np.asarray(output["flag"])
        return {"alert_rate": float(flags.mean()) if len(flags) else math.nan}

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        return {"highest score": np.argsort(-np.asarray(output["score"]), kind="stable")[:HIGHEST]}


def _known(output: Columns, target: Columns) -> tuple[Columns, Columns]:
    rows = np.flatnonzero(np.asarray(target["y"]) >= 0)
    return take(output, rows), take(target, rows)
