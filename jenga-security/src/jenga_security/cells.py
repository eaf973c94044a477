"""Cells of one column -> numbers or names, whatever type the file gave them. Vectorised; no row is lost or reordered.

Numbers: native numbers and booleans, text that reads as a number ("12", " 1e5 "), "true" and "false" (1 and 0), time
differences in seconds. Missing: null, NaN and the marks of `MISSING` in any case. Infinite values ("inf", integers
beyond float64) are kept apart from missing ones so that they can be counted. Everything else is text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jenga_core.cells import spelt
from jenga_core.errors import DataError

Array = np.ndarray[Any, Any]

NUMBER, ABSENT, INFINITE, TEXT = 0, 1, 2, 3  # what a cell of a column of numbers turned out to be
MISSING = frozenset({"", "-", "?", "na", "n/a", "nan", "none", "null"})  # "-" is Zeek's unset field
WORDS = {"true": 1.0, "false": 0.0}


def numbers(cells: pd.Series) -> tuple[Array, Array]:
    """(float64 [N] with NaN where there is no finite number, uint8 [N] of NUMBER, ABSENT, INFINITE, TEXT)."""
    values = _native(cells)
    marks = np.zeros(len(cells), dtype=np.uint8)
    if values is None:
        values, marks = _parsed(cells)
    values = np.array(values, dtype=np.float64)
    marks[np.isnan(values) & (marks != TEXT)] = ABSENT
    marks[np.isinf(values)] = INFINITE
    values[marks != NUMBER] = np.nan
    return values, marks


def names(cells: pd.Series) -> tuple[Array, list[str | None]]:
    """(int64 codes [N], one name per code). Code -1 (null) and a code whose name is None are missing.

    DataError that names the row for a cell that holds several values, such as a list.
    """
    try:
        codes, values = pd.factorize(cells)
    except (TypeError, ValueError):  # what cannot be hashed
        raise _no_name(cells) from None
    if cells.dtype == object and (at := next((n for n, v in enumerate(values) if nested(v)), None)) is not None:
        raise _no_name(cells.iloc[[int(np.flatnonzero(codes == at)[0])]])
    return codes, [name(value) for value in values]


def nested(cell: Any) -> bool:
    """Does the cell hold several values, such as a list or an object?"""
    return isinstance(cell, list | dict | tuple | set | frozenset | np.ndarray)


def _no_name(cells: pd.Series) -> DataError:
    at = next((n for n, cell in enumerate(cells) if nested(cell)), 0)
    cell = cells.iloc[at]
    return DataError(
        f"a {type(cell).__name__} is neither a number nor a name: {str(cell)[:60]!r}",
        row=cells.index[at],
        column=str(cells.name),
        next="give each of its parts a column of its own, or leave the column out (`exclude:`)",
    )


def name(value: Any) -> str | None:
    """One spelling for a value however a file types it: 6, 6.0 and "6" are "6"; True is "true"; blank text is None."""
    return spelt(value).strip() or None


def _native(cells: pd.Series) -> Array | None:
    """The values of a column that already is of a numeric type, else None."""
    if pd.api.types.is_timedelta64_dtype(cells.dtype):
        return np.asarray(cells.dt.total_seconds())
    if pd.api.types.is_bool_dtype(cells.dtype) and cells.dtype != object:
        return cells.astype("float64").to_numpy() if not cells.hasnans else cells.to_numpy("float64", na_value=np.nan)
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_complex_dtype(cells.dtype):
        return cells.to_numpy("float64", na_value=np.nan)
    return None


def _parsed(cells: pd.Series) -> tuple[Array, Array]:
    """Numbers among text or objects, each cell by itself; a text is looked at once, however many cells hold it."""
    marks, absent = np.zeros(len(cells), dtype=np.uint8), cells.isna().to_numpy()
    values = _plain_text(cells) if cells.dtype == "str" else np.full(len(cells), np.nan)
    left = np.flatnonzero(np.isnan(values) & ~absent)
    known: dict[str, tuple[float, int]] = {}
    for at, cell in zip(left.tolist(), cells.iloc[left].tolist(), strict=True):
        if not isinstance(cell, str):
            values[at], marks[at] = _one(cell)
            continue
        if cell not in known:
            known[cell] = _one(cell)
        values[at], marks[at] = known[cell]
    return values, marks


def _plain_text(cells: pd.Series) -> Array:
    """float64 [N]: what a cell of plain decimals says, NaN for any other. Rounded as `float` rounds, so that a cell is the same
    number beside cells of any kind."""
    texts = pa.array(cells, pa.large_string(), from_pandas=True)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    plain = pc.match_substring_regex(texts, r"^-?[0-9]{1,300}(\.[0-9]{1,300})?$")
    numbers = pc.cast(pc.if_else(plain, texts, pa.scalar(None, texts.type)), pa.float64())
    return np.array(numbers.to_numpy(zero_copy_only=False))


def _one(value: Any) -> tuple[float, int]:
    if isinstance(value, str):
        text = value.strip().casefold()
        if text in MISSING:
            return np.nan, ABSENT
        if text in WORDS:
            return WORDS[text], NUMBER
        try:
            return float(text), NUMBER if "_" not in text else TEXT
        except ValueError:
            return np.nan, TEXT
    try:
        return float(value), NUMBER
    except OverflowError:
        return np.inf, NUMBER
    except (TypeError, ValueError):
        return np.nan, TEXT
