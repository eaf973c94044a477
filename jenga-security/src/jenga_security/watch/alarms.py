"""Rows with predictions -> alerts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.errors import UserError
from jenga_core.inference import Predictor

from ..alerts import AlertRule
from .formats import Alert
from .recalibration import Recalibration

Array = np.ndarray[Any, Any]
Scored = Sequence[tuple[pd.DataFrame, pd.DataFrame]]  # rows of a frame, their predictions


@dataclass(slots=True)
class Alarms:
    """The alerts of rows of `table` in the log called `log`. `name` is part of an alert's id and says which watch it is.

    `rolling`: thresholds that follow, in place of the model's; they see every row once.
    """

    predictor: Predictor
    table: str
    log: str
    name: str
    tell: Callable[[str], None]
    recalibrate: bool = False
    tasks: list[str] = field(init=False)
    rolling: Recalibration = field(init=False)

    def __post_init__(self) -> None:
        self.tasks = alerting_tasks(self.predictor, self.table)
        self.rolling = Recalibration(self._rules() if self.recalibrate else {}, self.tell)

    def _rules(self) -> dict[str, AlertRule]:
        """Of the tasks. UserError for one that has no rule to be followed."""
        live: Mapping[str, Any] = self.predictor.parts.tasks
        for name in self.tasks:
            if not hasattr(live[name], "alerts"):
                raise UserError(f"task {name!r} has no alert rule that could follow", where="--recalibrate")
        return {name: live[name].alerts for name in self.tasks}

    def raised(self, index: pd.Index, parts: Scored, seen: float) -> tuple[list[Alert], bytes]:
        """(alerts, what `rolling` has seen) of the rows `index`; those that no part has could not be predicted."""
        followed, kept = self._followed(index, parts)
        found: list[Alert] = []
        for rows, predictions in parts:
            at = rows.index - index[0]
            for task in self.tasks:
                score = _numbers(predictions[f"{task}.score"])
                own = followed[task][at] if followed else _numbers(predictions[f"{task}.threshold"])
                hits = np.flatnonzero(score >= own)
                if len(hits):
                    labels = predictions[f"{task}.label"].iloc[hits].tolist()
                    found += self._alerts(task, rows.iloc[hits], score[hits], own[hits], labels, seen)
        return found, kept

    def _followed(self, index: pd.Index, parts: Scored) -> tuple[dict[str, Array], bytes]:
        """(task -> the threshold in force for each row, the scores as float32 [rows, tasks])."""
        if not self.recalibrate:
            return {}, b""
        scores = np.full((len(index), len(self.tasks)), np.nan, dtype=np.float32)
        for rows, predictions in parts:
            columns = [_numbers(predictions[f"{task}.score"]) for task in self.tasks]
            scores[rows.index - index[0]] = np.stack(columns, axis=1)
        found = {task: self.rolling.tasks[task].apply(scores[:, n]) for n, task in enumerate(self.tasks)}
        return found, scores.tobytes()

    def _alerts(
        self, task: str, rows: pd.DataFrame, scores: Array, thresholds: Array, labels: list[Any], seen: float
    ) -> Iterator[Alert]:
        cells = zip(*([plain(v) for v in rows[name].tolist()] for name in rows), strict=True)
        told = zip(scores.tolist(), thresholds.tolist(), labels, cells, rows.index, strict=True)
        for score, threshold, label, each, row in told:
            known = {str(k): v for k, v in zip(rows, each, strict=True) if v is not None}
            yield Alert(
                uid=hashlib.sha256(f"{self.name}\n{row}\n{task}".encode()).hexdigest()[:32],
                task=task, label=str(label), score=score, threshold=threshold,
                time=_moment(known, seen), seen=seen, model=self.predictor.folder.name, log=self.log, row=known,
            )  # fmt: skip


def alerting_tasks(predictor: Predictor, table: str) -> list[str]:
    """The tasks of a table whose predictions have a label, a score and a threshold. UserError where there is none."""
    have = {name for name, _ in predictor.columns[table]["outputs"]}
    found = [
        name
        for name in predictor.config.tasks_of(table)
        if {f"{name}.label", f"{name}.score", f"{name}.threshold"} <= have
    ]
    if not found:
        raise UserError("no task of this model gives a score and a threshold", where=str(predictor.folder),
                        next="train one with security/anomaly")  # fmt: skip
    return found


def plain(value: Any) -> Any:
    """A cell as JSON can say it; None where it is missing. Infinite numbers are text."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    return value if isinstance(value, str | int | bool | list | dict) else str(value)


def _numbers(values: pd.Series) -> np.ndarray[Any, Any]:
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _moment(row: Mapping[str, Any], seen: float) -> float:
    found = row.get("ts_start")
    return float(found) if isinstance(found, int | float) else seen
