"""Cells with the labels of scoring heads -> a matrix of 0, 1 and NaN."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.contracts import Array
from jenga_core.errors import DataError, nearest

from .scoring_config import HeadConfig, ScoringConfig


def labels_of(cells: pd.DataFrame, config: ScoringConfig) -> Array:
    """float32 [N, outputs of all heads]; NaN where there is no label. `DataError` with row, column and head."""
    found = np.full((len(cells), sum(len(head.outputs) for head in config.heads.values())), np.nan, np.float32)
    nested = [_object(cell, at, config) for at, cell in _cells(cells, config.target)] if config.target else []
    start = 0
    for name, head in config.heads.items():
        column = head.target or str(config.target)
        given = _cells(cells, head.target) if head.target else list(zip(cells.index, nested, strict=True))
        for row, (at, cell) in enumerate(given):
            value = cell if head.target else (cell or {}).get(name)
            found[row, start : start + len(head.outputs)] = _labels(value, name, head, at, column)
        start += len(head.outputs)
    return found


def _cells(cells: pd.DataFrame, column: str) -> list[tuple[Any, Any]]:
    return list(zip(cells.index, cells[column].tolist(), strict=True))


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and np.isnan(cell))


def _parsed(cell: Any, row: Any, column: str) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except ValueError as error:
        raise DataError(f"{cell[:60]!r} is no JSON: {error}", row=row, column=column) from None


def _object(cell: Any, row: Any, config: ScoringConfig) -> Mapping[str, Any] | None:
    column = str(config.target)
    cell = None if _missing(cell) else _parsed(cell, row, column)
    if cell is None:
        return None
    if not isinstance(cell, Mapping):
        raise DataError(f"{str(cell)[:60]!r} is no object {{head: [0, 1, ...]}}", row=row, column=column)
    for name in cell:
        if name not in config.heads:
            what = f"labels of a head {name!r} that the task does not have"
            raise DataError(
                what, row=row, column=column, allowed=config.heads, nearest=nearest(str(name), config.heads)
            )
    return cell


def _labels(cell: Any, name: str, head: HeadConfig, row: Any, column: str) -> list[float]:
    """One number per output. A short list is never filled up and a long one never cut."""
    cell = None if _missing(cell) else _parsed(cell, row, column)
    if cell is None:
        return [np.nan] * len(head.outputs)
    if isinstance(cell, int | float | np.number | bool):
        cell = [cell]
    values = list(cell) if isinstance(cell, list | tuple | np.ndarray) else None
    if values is None:
        raise DataError(f"head {name!r}: {str(cell)[:60]!r} is no list of labels", row=row, column=column)
    if len(values) != len(head.outputs):
        raise DataError(
            f"head {name!r} has {len(head.outputs)} outputs, but the row has {len(values)} labels for it",
            row=row,
            column=column,
            next=f"correct the row, or `outputs` of the head: {', '.join(head.outputs)}",
        )
    for value, output in zip(values, head.outputs, strict=True):
        if not _missing(value) and value not in (0, 1):
            raise DataError(f"head {name!r}, {output!r}: {value!r} is neither 0 nor 1", row=row, column=column)
    return [np.nan if _missing(value) else float(value) for value in values]
