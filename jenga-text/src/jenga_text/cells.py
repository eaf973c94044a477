"""Cells of a table -> texts. Null and blank cells are empty texts, numbers are what they are written as."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.contracts import Array, Columns
from jenga_core.errors import DataError


def texts_of(cells: pd.Series, column: str) -> list[str]:
    """One text per cell, "" where there is none. `DataError` with row and column for what is no text."""
    found = cells.tolist()
    for at, cell in enumerate(found):
        if not (isinstance(cell, str) and cell.isascii()):
            found[at] = _text(cell, cells.index[at], column)
    return ["" if cell.isspace() else cell for cell in found]


def texts_of_columns(cells: pd.DataFrame) -> list[list[str]]:
    return [texts_of(cells.iloc[:, at], str(cells.columns[at])) for at in range(cells.shape[1])]


def kept(texts: list[list[str]]) -> dict[str, Array]:
    """The texts as columns of an `Encoded`: "text 0", ... in the order of the input's columns."""
    return {f"text {at}": objects(column) for at, column in enumerate(texts)}


def kept_texts(columns: Columns, at: int, rows: Array) -> list[str]:
    """The texts of column number `at` at those rows, from what `kept` gave."""
    found: list[str] = np.asarray(columns[f"text {at}"])[rows].tolist()
    return found


def objects(values: Sequence[Any]) -> Array:
    """An array of references: nothing is copied, and no list among them becomes a dimension."""
    found: Array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        found[at] = value
    return found


def _text(cell: Any, row: Any, column: str) -> str:
    """bytes are read as UTF-8. A whole number is the same text whatever its type, or a gap in the column would change it."""
    if isinstance(cell, bytes):
        try:
            return cell.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"these bytes are not UTF-8: {error}", row=row, column=column) from error
    if isinstance(cell, str):
        return _encodable(cell, row, column)
    if isinstance(cell, list | dict | tuple | set):
        raise DataError(f"a {type(cell).__name__} is not a text", row=row, column=column)
    if pd.isna(cell):
        return ""
    if isinstance(cell, float) and math.isfinite(cell) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _encodable(cell: str, row: Any, column: str) -> str:
    """Half of a surrogate pair, which JSON can hold, is no character."""
    try:
        cell.encode("utf-8")
    except UnicodeEncodeError as error:
        what = f"character {error.start + 1} of the text is half of a surrogate pair"
        raise DataError(what, row=row, column=column, next="write the file anew as UTF-8") from error
    return cell
