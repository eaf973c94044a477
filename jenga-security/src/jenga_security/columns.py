"""Columns of a table as a network reads them, fitted on training cells: numbers and categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.errors import DataError

from . import cells as read
from .config import TableConfig
from .scaling import FITTERS, Scale
from .scaling import read as read_scale

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
        if (
            len(ranked) > config.max_categories
            and len(ranked) > len(cells) / 2
            and cells.name not in config.categorical
        ):
            raise DataError(
                f"column {str(cells.name)!r} holds {len(ranked)} different texts in {len(cells)} rows"
                ": an identifier, a time or free text, which a table model cannot learn from",
                next=f"leave it out (`exclude: [{cells.name}]`), or list it under the processor's `categorical:`",
            )
        return cls(str(cells.name), tuple(ranked[: config.max_categories]))

    @property
    def size(self) -> int:
        """How many codes there are."""
        return FIRST + len(self.names)

    def encode(self, cells: pd.Series) -> Array:
        """int64 codes [N]."""
        codes, values = read.names(cells)
        known = {value: FIRST + at for at, value in enumerate(self.names)}
        lookup = np.array([MISSING if v is None else known.get(v, UNSEEN) for v in values] + [MISSING], dtype=np.int64)
        return lookup[codes]  # code -1, a null cell, reads the last entry

    def state(self) -> dict[str, Any]:
        return {"kind": "categories", "name": self.name, "names": list(self.names)}


def fit_column(cells: pd.Series, config: TableConfig) -> Numbers | Categories:
    """Numbers, unless the config lists the column as categorical or none of its cells is a number.

    Some numbers and some text is an error: only the user knows which of the two the column means.
    """
    if cells.name in config.categorical:
        return Categories.fit(cells, config)
    if cells.name not in config.numeric and _all_text(cells):
        return Categories.fit(cells, config)
    return Numbers.fit(cells, config)


def read_column(state: Mapping[str, Any]) -> Numbers | Categories:
    """The inverse of `state`."""
    if state["kind"] == "categories":
        return Categories(state["name"], tuple(state["names"]))
    return Numbers(state["name"], state["median"], read_scale(state["scale"]), state["indicator"])


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


def _all_text(cells: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return False
    marks = read.numbers(cells)[1]
    return bool((marks == read.TEXT).any() and not np.isin(marks, (read.NUMBER, read.INFINITE)).any())
