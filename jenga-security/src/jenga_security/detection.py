"""Which columns of a table are numbers, categories or times, and which no table model can learn from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from jenga_core.errors import DataError
from jenga_core.values import WARNING

from . import cells as read
from .columns import FIRST, Categories, Column, Hashed, Numbers
from .dates import Dates, are_times
from .names import is_port
from .table_config import KINDS, TableConfig

ENOUGH = 50  # rows from which a column of different cells says something
READ_AS: dict[type[Column], str] = {Numbers: "numeric", Categories: "categorical", Hashed: "hashed", Dates: "dates"}
ROW_NUMBERS = WARNING + (
    "whole numbers that rise from row to row, taken for row numbers and left out (`numeric:`, or the input's `columns:`, "
    "reads them)"
)
RARE = 0.5  # share of rows whose port is kept apart, below which the column is mostly ports that nobody chose


@dataclass(slots=True)
class Found:
    """`columns` in the order of the table. `left_out` and `doubtful`: what a person must know, by reason, as names."""

    columns: list[Column] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    doubtful: dict[str, list[str]] = field(default_factory=dict)


def detect(cells: pd.DataFrame, config: TableConfig, confirmed: Collection[str] = ()) -> Found:
    """Fit every column of the training rows. A column is what the config lists it as, else by its name or what its cells are.

    A port by its name: categories, the most frequent ones kept apart. All text: categories, but a column of times or of texts
    most of which occur once (identifiers, free text) is left out. So are whole numbers that rise from row to row, unless
    an option speaks of the column or `confirmed`, what the input lists, has it. Anything with a number in it: numbers, and
    text among them is an error, since only the user knows what it means.
    DataError when nothing is left.
    """
    found = Found()
    for name in cells.columns:
        reason = _unusable(cells[name], config, name in confirmed)
        if reason:
            found.left_out.setdefault(reason, []).append(str(name))
            continue
        column = _fit(cells[name], config.of(str(name)))
        for refusal in config.idle(column.name, READ_AS[type(column)]):
            raise refusal.error()
        found.columns.append(column)
        for doubt in (*_doubts(cells[name]), *_ports(cells[name], column, config)):
            found.doubtful.setdefault(doubt, []).append(column.name)
    if not found.columns:
        raise DataError(
            "no column is left to learn from: " + "; ".join(told(found.left_out)),
            next="give more columns, or list some of these under the processor's `categorical:`, `hashed:` or `dates:`",
        )
    return found


def told(reasons: dict[str, list[str]]) -> list[str]:
    return [f"{reason}: {', '.join(names)}" for reason, names in reasons.items()]


def _fit(cells: pd.Series, config: TableConfig) -> Column:
    kind = config.kind_of(str(cells.name)) or ("categorical" if _all_text(cells) else "numeric")
    if kind == "dates":
        return Dates.fit(cells, config.scaling, config.timezone)
    fitted: dict[str, type[Numbers | Categories | Hashed]] = {
        "hashed": Hashed,
        "categorical": Categories,
        "numeric": Numbers,
    }
    return fitted[kind].fit(cells, config)


def _unusable(cells: pd.Series, config: TableConfig, confirmed: bool) -> str | None:
    """Why a column that no option speaks of is left out, or None."""
    if config.kind_of(str(cells.name)):
        return None
    if cells.dtype == object and cells.map(read.nested).any():
        return "lists or objects, left out (give each of their parts a column of its own)"
    if not confirmed and str(cells.name) not in config.overrides and _numbers_rows(cells):
        return ROW_NUMBERS
    if are_times(cells):
        return "times, left out (`dates:` reads them as hour, weekday and elapsed time)"
    if not _all_text(cells):
        return None
    distinct = len({value for value in read.names(cells)[1] if value is not None})
    if distinct > config.of(str(cells.name)).max_categories and distinct > len(cells) / 2:
        return "identifiers or free text, left out (`hashed:` or `categorical:` reads them)"
    return None


def _numbers_rows(cells: pd.Series) -> bool:
    """Are these whole numbers, none missing, each larger than the one before (or each smaller): row numbers, a counter?

    A split by chance keeps the order of the training rows, so they still rise. Where the table is sorted by its labels such a
    column gives them away; where it is not, it says nothing of new rows.
    """
    if len(cells) < ENOUGH or not pd.api.types.is_integer_dtype(cells.dtype) or cells.isna().any():
        return False
    steps = np.diff(cells.to_numpy(dtype=np.float64))
    return bool((steps > 0).all() or (steps < 0).all())


def _doubts(cells: pd.Series) -> list[str]:
    known = cells.dropna()
    if not len(known):
        return ["without any value in training rows, so without effect"]
    if len(known) == len(cells) > 1 and _constant(known):
        return ["the same in every training row, so without effect"]
    if len(known) >= ENOUGH and pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells):
        steps = np.diff(known.to_numpy(dtype=np.float64))
        if (steps >= 0).all() and (steps > 0).mean() > 0.5:
            return ["rising from row to row, a row number or a time? (`exclude:` leaves it out)"]
    return []


def _ports(cells: pd.Series, column: Column, config: TableConfig) -> list[str]:
    """That a column was taken for ports, unless an option lists it, and whether they say anything."""
    name = str(cells.name)
    if not is_port(name) or any(name in getattr(config, kind) for kind in KINDS):
        return []
    told = ["by name ports, read as categories (`numeric:` reads them as numbers)"]
    codes = np.asarray(column.encode(cells.dropna()))
    if len(codes) >= ENOUGH and (codes >= FIRST).mean() < RARE:
        told.append("ports few of which come again, so that most rows share one place (`exclude:` leaves them out)")
    return told


def _constant(known: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(known.dtype):
        return bool(known.min() == known.max())
    return len(pd.unique(known)) == 1


def _all_text(cells: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return False
    marks = read.numbers(cells)[1]
    return bool((marks == read.TEXT).any() and not np.isin(marks, (read.NUMBER, read.INFINITE)).any())
