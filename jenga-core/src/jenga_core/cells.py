"""The type of a column, decided once for a whole file, so that no two chunks of it differ.

The ladder, from narrow to wide; a column takes the first rung that holds every one of its cells:

- `EMPTY`: no cell has a value: float64, all NaN.
- `INTEGER`: int64. With missing cells float64, as pandas does, while all values are exact there (up to 2**53);
  beyond that `HUGE`.
- `HUGE`: integers that need more than 64 bits (up to 300 digits): exact Python ints, dtype object, None where missing.
- `FLOAT`: float64. inf and nan are numbers, 1e999 is not: float64 cannot hold it. Integers beyond 2**53 beside fractions
  are rounded as float64 does.
- `TEXT`: str, exactly as the file has it. One cell that is not a number makes the whole column text.

Zero-padded numbers ("007") are numbers; hexadecimal ones, dates and true/false are text in formats that have only text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .values import MARKS, Numerals

EXACT = 2**53  # float64 holds every integer up to here
DIGITS = 300  # float64 ends at 1.8e308: a longer integer could not be scaled by anyone
_SMALL = np.iinfo(np.int64)


class Kind(IntEnum):
    """What a column holds; a later member can hold all that an earlier one does."""

    EMPTY = 0
    INTEGER = 1
    HUGE = 2
    FLOAT = 3
    TEXT = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a column so far: `marked` = a cell was one of `MARKS`, `largest` = greatest |integer|."""

    kind: Kind = Kind.EMPTY
    missing: bool = False
    marked: bool = False
    largest: int = 0

    def __or__(self, other: Seen) -> Seen:
        return Seen(
            max(self.kind, other.kind),
            self.missing or other.missing,
            self.marked or other.marked,
            max(self.largest, other.largest),
        )

    def settled(self) -> Seen:
        """The verdict at the end of the file."""
        kind = self.kind
        if kind is Kind.EMPTY and self.marked:
            kind = Kind.TEXT  # nothing but "None": a word, since no number says otherwise
        if kind is Kind.INTEGER and self.missing and self.largest > EXACT:
            kind = Kind.HUGE
        return Seen(kind, self.missing, self.marked, self.largest)


# ------------------------------------------------------------------ cells that are text in the file (CSV)


def spelt_as_python(texts: pa.Array, numerals: Numerals) -> tuple[pa.Array, pa.Array]:
    """(the texts, numbers among them as Python spells them; bool: is it a number only to Python, and not so spelt?)."""
    if numerals.usual:
        return texts, pa.array(np.zeros(len(texts), dtype=bool))
    bare = pc.utf8_trim_whitespace(texts)
    spaces = "[ \u00a0\u202f\u2009]" if numerals.thousands == " " else re.escape(numerals.thousands or "")
    grouped = f"|[0-9]{{1,3}}({spaces}[0-9]{{3}})+" if numerals.thousands else ""
    own = pc.match_substring_regex(bare, f"^[+-]?([0-9]+{grouped})?({re.escape(numerals.decimal)}[0-9]+)?$")
    own = pc.and_(own, pc.match_substring_regex(bare, "[0-9]"))
    made = pc.replace_substring_regex(bare, spaces, "") if numerals.thousands else bare
    made = pc.replace_substring(made, numerals.decimal, ".")
    foreign = pc.and_(pc.invert(own), pc.match_substring_regex(bare, r"^[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?$"))
    return pc.if_else(own, made, texts), pc.fill_null(foreign, False)


def look(cells: pa.Array, seen: Seen, absent: Sequence[str]) -> Seen:
    """`seen` widened by `cells`, an Arrow array of strings. `absent`: cells that mean missing."""
    if seen.kind is Kind.TEXT:
        return seen
    values = _values(cells, absent)
    missing = values.null_count > 0
    marked = missing and seen.kind is Kind.EMPTY and bool(pc.any(pc.is_in(cells, pa.array(MARKS, cells.type))).as_py())
    if values.null_count == len(values):
        return seen | Seen(missing=missing, marked=marked)
    if seen.kind < Kind.FLOAT and (integers := _integers(values)) is not None:
        ends = pc.min_max(integers).as_py()
        return seen | Seen(Kind.INTEGER, missing, marked, max(abs(ends["min"]), abs(ends["max"])))
    if seen.kind < Kind.FLOAT and pc.all(pc.match_substring_regex(values, rf"^-?[0-9]{{1,{DIGITS}}}$")).as_py():
        return seen | Seen(Kind.HUGE, missing, marked)
    return seen | Seen(Kind.TEXT if _floats(values) is None else Kind.FLOAT, missing, marked)


def column(cells: pa.Array, seen: Seen, absent: Sequence[str], blank: Sequence[str]) -> Any:
    """`cells` as what a DataFrame's column is made of. `absent` mean missing among numbers, `blank` in text."""
    if seen.kind is Kind.TEXT:
        return _without(cells, blank).to_pandas()
    values = _values(cells, absent)
    if seen.kind is Kind.INTEGER and not seen.missing:
        return _integers(values).to_numpy(zero_copy_only=False)
    if seen.kind is Kind.HUGE:
        return objects([None if v is None else int(v) for v in values.to_pylist()])
    return _floats(values).to_numpy(zero_copy_only=False)


def _without(cells: pa.Array, words: Sequence[str]) -> pa.Array:
    return pc.if_else(pc.is_in(cells, pa.array(words, cells.type)), pa.scalar(None, cells.type), cells)


def _values(cells: pa.Array, absent: Sequence[str]) -> pa.Array:
    """Trimmed, missing ones null, without a leading plus."""
    cells = _without(pc.ascii_trim_whitespace(cells), absent)
    if pc.any(pc.starts_with(cells, "+")).as_py():
        cells = pc.replace_substring_regex(cells, r"^\+([0-9.])", r"\1")
    return cells


def _integers(values: pa.Array) -> Any:
    try:
        numbers = pc.cast(values, pa.int64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.match_substring(values, "x", ignore_case=True)).as_py() else numbers


def _floats(values: pa.Array) -> Any:
    try:
        numbers = pc.cast(values, pa.float64())
    except pa.ArrowInvalid:
        return None
    endless = values.filter(pc.is_inf(numbers))
    lost = pc.any(pc.invert(pc.match_substring(endless, "inf", ignore_case=True))).as_py()
    return None if lost else numbers  # 1e999 would silently become inf


# ------------------------------------------------------------------ one cell


class Written(float):
    """A number of a file whose text says more than its value: 1.10, 1e5, 2.0. `text` is the file's."""

    text: str

    @classmethod
    def read(cls, text: str) -> float:
        """A float; one of this class where its spelling would be lost."""
        value = float(text)
        if repr(value) == text and not value.is_integer():
            return value
        own = cls(value)
        own.text = text
        return own

    def __repr__(self) -> str:
        return self.text  # what the json module and CSV write

    __str__ = __repr__


def spelt(value: Any) -> str:
    """The text of a cell however a format types it: 6 and 6.0 are "6", True is "true", a time is ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, Written):
        return value.text
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return value.isoformat(sep=" ") if isinstance(value, pd.Timestamp) else str(value)


# ------------------------------------------------------------------ shared


def objects(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """A one-dimensional array of Python objects (numpy would make a matrix of equally long lists)."""
    out = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        out[at] = value
    return out


def integers(values: Sequence[int | None], seen: Seen) -> Any:
    """Python integers as the rung that `seen` is on."""
    if seen.kind is Kind.INTEGER and not seen.missing:
        return np.asarray(values, dtype=np.int64)
    if seen.kind is Kind.HUGE:
        return objects(values)
    return np.asarray([np.nan if v is None else float(v) for v in values], dtype=np.float64)


def integer_kind(largest: int) -> Kind:
    """The rung of an integer of that magnitude: `TEXT` when it is longer than any number that can be computed with."""
    return Kind.INTEGER if largest <= _SMALL.max else Kind.HUGE if largest < 10**DIGITS else Kind.TEXT


def frame(columns: dict[str, Any], start: int, rows: int) -> pd.DataFrame:
    """A DataFrame whose RangeIndex begins at `start`."""
    out = pd.DataFrame(columns, index=pd.RangeIndex(rows))
    out.index = pd.RangeIndex(start, start + rows)  # set afterwards: pandas aligns a Series that brings its own index
    return out
