"""The largest contributions of a row as JSON: ``[{"feature": "bytes_sent", "value": 90210, "contribution": 0.41}, ...]``."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Array
from ..data import Data
from ..errors import UserError
from .contributions import Contributions, ranked
from .explained import Explained

COLUMN = "reasons"


def check_count(count: int) -> None:
    """UserError for a number of reasons that is none."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UserError(f"{count!r} is no number of reasons", where="reasons", allowed=["1, 2, 3, ..."])


def explainable(data: Data, table: str) -> list[str]:
    """The tasks of a table whose outputs can be explained. UserError where there is none."""
    tasks = data.parts.config.tasks_of(table)
    found = [name for name in tasks if data.parts.tasks[name].explains is not None]
    if not found:
        raise UserError(
            f"no task of table {table!r} can be explained: {', '.join(tasks)}",
            where="reasons (--explain)",
            next="leave it out: reasons are told of one number per row, such as the probability of its class",
        )
    return found


def reasons(of: Explained, rows: Array, frame: pd.DataFrame, *, count: int) -> tuple[pd.DataFrame, Counter[str]]:
    """A column ``{task}.reasons`` of JSON text for table rows `rows`, which index it, and how many rows do not add up.

    `frame` holds the table's cells.
    """
    check_count(count)
    found, unusual = {}, Counter[str]()
    for task in explainable(of.data, of.table):
        each = of.contributions(task, rows)
        lines = [json.dumps(line, ensure_ascii=False) for line in listed(each, rows, frame, count)]
        found[f"{task}.{COLUMN}"] = pd.Series(lines, index=rows, dtype="str")
        unusual[f"task {task!r}: contributions that miss more than 1 % of what they explain"] = int(each.inexact.sum())
    return pd.DataFrame(found, index=rows), +unusual


def listed(each: Contributions, rows: Array, frame: pd.DataFrame, count: int) -> list[list[dict[str, Any]]]:
    """The `count` largest contributions of each row, largest first; see `largest`."""
    cells = {name: frame[name].array for name in frame.columns}
    return [_of_row(each, at, cells, row, count) for at, row in enumerate(rows)]


def _of_row(each: Contributions, at: int, cells: Mapping[str, Any], row: int, count: int) -> list[dict[str, Any]]:
    of_spans = [_span(*span, value, cells, row) for span, value in each.spans[at].items()]
    return largest([*of_columns(each, at, cells, row), *of_spans], float(each.noise[at]))[:count]


def of_columns(each: Contributions, at: int, cells: Mapping[str, Any], row: int) -> list[dict[str, Any]]:
    """Row `at` of the contributions, table row `row`: all that belong to whole cells."""
    return [_reason(name, values[at], cells, row) for name, values in each.columns.items()]


def largest(every: list[dict[str, Any]], noise: float) -> list[dict[str, Any]]:
    """Reasons by the size of their contributions, without those up to `noise`, which are none.

    So that a row has the same reasons alone and in a batch, on this processor and on another one: contributions that noise
    could put in either order are in that of their columns' names, and within a text in that of its words.
    """
    every = sorted(every, key=lambda reason: (reason["feature"], reason.get("start", -1)))
    return [every[at] for at in ranked(np.array([reason["contribution"] for reason in every]), noise)]


def _reason(name: str, value: float, cells: Mapping[str, Any], row: int) -> dict[str, Any]:
    """`name` is an input's where no one column can be named; then there is no cell to show."""
    cell = _plain(cells[name][row]) if name in cells else None
    return {"feature": name, "value": cell, "contribution": float(f"{value:.6g}")}


def _span(name: str, start: int, end: int, value: float, cells: Mapping[str, Any], row: int) -> dict[str, Any]:
    part = text_of(cells[name][row])[start:end] if name in cells else None
    return {"feature": name, "value": part, "start": start, "end": end, "contribution": float(f"{value:.6g}")}


def text_of(cell: Any) -> str:
    """A cell of a column of text as it is read: bytes are UTF-8, all else is what it is written as."""
    return cell.decode("utf-8", errors="replace") if isinstance(cell, bytes) else str(cell)


def _plain(cell: Any) -> Any:
    """A cell as JSON can say it: missing is null, infinity and times are text."""
    value = cell.item() if isinstance(cell, np.generic) else cell
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
