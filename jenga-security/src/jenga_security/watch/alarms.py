"""Rows with predictions -> alerts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.errors import UserError
from jenga_core.inference import Predictor

from ..alerts import AlertRule
from .formats import FORMATS, Alert, moment
from .recalibration import Recalibration
from .rows import Bad, reason, sift

Array = np.ndarray[Any, Any]
DEEPEST = 32  # lists and objects within each other that an alert shows
Scored = Sequence[tuple[pd.DataFrame, pd.DataFrame]]  # rows of a frame, their predictions


@dataclass(slots=True)
class Alarms:
    """The alerts of rows of `table` in the log called `log`, as lines of the format `form`. `name` is part of an alert's id
    and says which watch it is.

    `rolling`: thresholds that follow, in place of the model's; they see every row once.
    """

    predictor: Predictor
    table: str
    log: str
    name: str
    form: str
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

    def raised(self, index: pd.Index, parts: Scored, seen: float, bad: Bad) -> tuple[list[str], bytes]:
        """(lines of alerts, what `rolling` has seen) of the rows `index`; those that no part has could not be predicted.

        `bad` hears of rows, by their place in `index`, that were predicted to nothing or whose alert cannot be written.
        """
        followed, kept = self._followed(index, parts)
        found: list[str] = []
        for rows, predictions in parts:
            at = np.asarray(rows.index - index[0])
            refuse = partial(_at, at, bad)
            scores = {task: _numbers(predictions[f"{task}.score"]) for task in self.tasks}
            for row in np.flatnonzero(np.all([np.isnan(score) for score in scores.values()], axis=0)).tolist():
                refuse(row, "no cell in any of the columns that the model reads, so no prediction")
            for task, score in scores.items():
                own = followed[task][at] if followed else _numbers(predictions[f"{task}.threshold"])
                found += self._alerts(task, rows, predictions, np.flatnonzero(score >= own), own, seen, refuse)
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
        self,
        task: str,
        rows: pd.DataFrame,
        predictions: pd.DataFrame,
        hits: Array,
        thresholds: Array,
        seen: float,
        bad: Bad,
    ) -> list[str]:
        """The lines of the rows at `hits`."""
        scores, labels = predictions[f"{task}.score"], predictions[f"{task}.label"]

        def write(begin: int, end: int) -> list[str]:
            chosen = hits[begin:end]
            told = zip(scores.iloc[chosen].tolist(), thresholds[chosen].tolist(), labels.iloc[chosen].tolist(),
                       _cells(rows.iloc[chosen]), rows.index[chosen], strict=True)  # fmt: skip
            return [
                self._line(Alert(
                    uid=hashlib.sha256(f"{self.name}\n{row}\n{task}".encode()).hexdigest()[:32],
                    task=task, label=str(label), score=score, threshold=threshold, time=_moment(known, seen), seen=seen,
                    model=self.predictor.folder.name, log=self.log, row=known,
                ))
                for score, threshold, label, known, row in told
            ]  # fmt: skip

        def refuse(at: int, error: Exception) -> None:
            bad(hits[at], reason(error))

        return [line for _, _, lines in sift(0, len(hits), write, refuse) for line in lines]

    def _line(self, alert: Alert) -> str:
        """An alert must not be lost because of its own cells: what cannot be written as it is, is written as text."""
        write = FORMATS[self.form]
        try:
            return write(alert)
        except Exception:
            return write(replace(alert, time=alert.seen, row={k: _text(v) for k, v in alert.row.items()}))


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


def plain(value: Any, depth: int = 0) -> Any:
    """A cell as JSON can say it; None where it is missing. Infinite numbers are text, and so is what is nested too deeply."""
    if type(value) in (list, dict):
        if depth == DEEPEST:
            return "..."
        if type(value) is list:
            return [plain(each, depth + 1) for each in value]
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float):
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    return value if isinstance(value, str | int | bool) else str(value)


def _text(cell: Any) -> str:
    try:
        return str(cell)
    except Exception as error:  # an integer of too many digits, a cell that refers to itself
        return f"{type(cell).__name__} that cannot be written: {error}"


def _cells(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each row's cells by name, missing ones left out."""
    names = [str(name) for name in rows]
    for cells in zip(*([plain(v) for v in rows.iloc[:, n].tolist()] for n in range(len(names))), strict=True):
        yield {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}


def _numbers(values: pd.Series) -> np.ndarray[Any, Any]:
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _at(places: Array, bad: Bad, row: int, why: str) -> None:
    """A row of a part as one of the whole."""
    bad(int(places[row]), why)


def _moment(row: Mapping[str, Any], seen: float) -> float:
    """When the row says that it was; `seen` where it does not, or says no time that can be."""
    found = moment(row.get("ts_start"))
    return seen if found is None else found
