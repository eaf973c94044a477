"""Columns of a table as a network reads them, fitted on training cells: numbers, categories, hashed categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd

from jenga_core import states
from jenga_core.errors import DataError

from . import cells as read
from .dates import Dates
from .scaling import FITTERS, Scale
from .scaling import read as read_scale
from .table_config import TableConfig

Array = np.ndarray[Any, Any]

UNSEEN, MISSING, FIRST = 0, 1, 2  # codes of categories: unseen or rare, missing, and those that have a name


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers. Missing and infinite cells get the training `median` and, where training rows had such,
    an indicator feature of 1.
    """

    name: str
    median: float
    scale: Scale
    indicator: bool

    @classmethod
    def fit(cls, cells: pd.Series, config: TableConfig) -> Numbers:
        values, marks = read.numbers(cells)
        refuse_text(cells, marks)
        known = values[marks == read.NUMBER]
        median = float(np.quantile(known, 0.5, method="lower")) if len(known) else 0.0
        return cls(str(cells.name), median, FITTERS[config.scaling](known), bool(0 < len(known) < len(values)))

    def encode(self, cells: pd.Series) -> tuple[Array, Array]:
        """(scaled float64 [N] without NaN, marks uint8 [N]). DataError for text that is not a number."""
        values, marks = read.numbers(cells)
        refuse_text(cells, marks)
        return self.scale.apply(np.where(marks == read.NUMBER, values, self.median)), marks

    @property
    def middle(self) -> Array:
        """The feature of the median, [1]."""
        return self.scale.apply(np.array([self.median]))

    def state(self) -> dict[str, Any]:
        return {
            "kind": "numbers",
            "name": self.name,
            "median": self.median,
            "indicator": self.indicator,
            "scale": self.scale.state(),
        }


@dataclass(frozen=True, slots=True)
class Categories:
    """A column of names. Codes: UNSEEN for what training did not show or showed too rarely, MISSING, then `names`."""

    name: str
    names: tuple[str, ...]

    @classmethod
    def fit(cls, cells: pd.Series, config: TableConfig) -> Categories:
        codes, values = read.names(cells)
        counts: dict[str, int] = {}
        for value, count in zip(values, np.bincount(codes[codes >= 0], minlength=len(values)).tolist(), strict=True):
            if value is not None:
                counts[value] = counts.get(value, 0) + count
        ranked = sorted(counts, key=lambda v: (-counts[v], v))
        return cls(str(cells.name), tuple(ranked[: config.max_categories]))

    @property
    def size(self) -> int:
        """How many codes there are."""
        return FIRST + len(self.names)

    @property
    def usual(self) -> int:
        """The code of the most frequent name."""
        return FIRST if self.names else MISSING

    def encode(self, cells: pd.Series) -> Array:
        """int64 codes [N]."""
        codes, values = read.names(cells)
        known = {value: FIRST + at for at, value in enumerate(self.names)}
        lookup = np.array([MISSING if v is None else known.get(v, UNSEEN) for v in values] + [MISSING], dtype=np.int64)
        return lookup[codes]  # code -1, a null cell, reads the last entry

    def state(self) -> dict[str, Any]:
        return {"kind": "categories", "name": self.name, "names": list(self.names)}


@dataclass(frozen=True, slots=True)
class Hashed:
    """A column of more names than can each be learned: a name's code is that of one of `buckets`, by its BLAKE2 digest.

    The digest depends on nothing but the name, so that codes are the same in every process and on every machine. Names of
    one bucket cannot be told apart. A bucket that no training row fell into has no code of its own: UNSEEN.
    """

    name: str
    buckets: int
    filled: tuple[int, ...]
    distinct: int
    fullest: int | None

    @classmethod
    def fit(cls, cells: pd.Series, config: TableConfig) -> Hashed:
        codes, names = read.names(cells)
        rows: dict[int, int] = {}
        for name, count in zip(names, np.bincount(codes[codes >= 0], minlength=len(names)).tolist(), strict=True):
            if name is not None:
                place = bucket(name, config.buckets)
                rows[place] = rows.get(place, 0) + count
        fullest = max(sorted(rows), key=rows.__getitem__, default=None)
        distinct = len({name for name in names if name is not None})
        return cls(str(cells.name), config.buckets, tuple(sorted(rows)), distinct, fullest)

    @property
    def size(self) -> int:
        """How many codes there are."""
        return FIRST + len(self.filled)

    @property
    def usual(self) -> int:
        """The code of the bucket with most rows."""
        return MISSING if self.fullest is None else FIRST + self.filled.index(self.fullest)

    def encode(self, cells: pd.Series) -> Array:
        """int64 codes [N]."""
        codes, values = read.names(cells)
        known = {place: FIRST + at for at, place in enumerate(self.filled)}
        found = [MISSING if v is None else known.get(bucket(v, self.buckets), UNSEEN) for v in values]
        return np.array([*found, MISSING], dtype=np.int64)[codes]  # code -1, a null cell, reads the last entry

    def state(self) -> dict[str, Any]:
        return {
            "kind": "hashed",
            "name": self.name,
            "buckets": self.buckets,
            "filled": list(self.filled),
            "distinct": self.distinct,
            "fullest": self.fullest,
        }


def bucket(name: str, buckets: int) -> int:
    """0 to buckets - 1, the same everywhere and always (Python's own hash differs from process to process)."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % buckets


Column = Numbers | Categories | Hashed | Dates


def read_column(state: Mapping[str, Any]) -> Column:
    """The inverse of `state`."""
    kind, name = state["kind"], states.text(state["name"])
    if kind == "categories":
        return Categories(name, states.texts(state["names"]))
    if kind == "hashed":
        buckets = states.whole(state["buckets"], least=1)
        filled = tuple(states.whole(place, below=buckets) for place in state["filled"])
        fullest = None if state["fullest"] is None else filled[filled.index(state["fullest"])]
        if len({*filled}) < len(filled):
            raise ValueError("a bucket is filled twice")
        return Hashed(name, buckets, filled, states.whole(state["distinct"]), fullest)
    if kind == "dates":
        return Dates.read(state)
    if kind != "numbers":
        raise ValueError(f"there is no column of {kind!r}")
    median, scale = states.number(state["median"]), read_scale(states.section(state["scale"]))
    return Numbers(name, median, scale, states.flag(state["indicator"]))


def refuse_text(cells: pd.Series, marks: Array) -> None:
    """DataError that names the first cell of a column of numbers that holds text."""
    wrong = np.flatnonzero(marks == read.TEXT)
    if len(wrong):
        raise DataError(
            f"{cells.iloc[wrong[0]]!r} is not a number ({len(wrong)} of {len(cells)} cells of this column are not)",
            row=cells.index[wrong[0]],
            column=str(cells.name),
            next=f"correct the data, or list {cells.name!r} under the processor's `categorical:` and train again",
        )
