"""security/table: the columns of a table -> scaled numbers and codes of categories."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from jenga_core import states
from jenga_core.contracts import Classical, Encoded, Kind, Processor, Purpose, Reference
from jenga_core.errors import DataError, nearest

from . import cells as read
from .columns import FIRST, MISSING, UNSEEN, Categories, Column, Hashed, Numbers, read_column
from .dates import Dates
from .detection import detect, told
from .table_config import TableConfig

Array = np.ndarray[Any, Any]

SHOWN = 12  # columns listed by name in a note


class TableProcessor(Processor):
    """Encoded columns: `numbers` float32 [N, F], `categories` int64 [N, C], `marks` uint8 [N, columns of numbers and dates].

    F is one feature per column of numbers, one indicator per column of numbers in which training rows had missing cells, and
    those of `Dates` per column of dates, in this order. `marks` tells missing from infinite cells. Nothing is NaN or
    infinite. A row whose every cell is missing is not present.
    """

    def __init__(self, config: TableConfig, backbone_config: Any = None) -> None:
        self.config = config
        self.numbers: tuple[Numbers, ...] = ()
        self.categories: tuple[Categories | Hashed, ...] = ()
        self.dates: tuple[Dates, ...] = ()
        self.remarks: list[str] = []
        self._confirmed: frozenset[str] = frozenset()

    def confirmed(self, columns: Sequence[str]) -> None:
        self._confirmed = frozenset(columns)

    def fit_together(self, cells: Sequence[pd.DataFrame], own: int) -> None:
        """On the rows of all, where they have the same columns; the backbone refuses others."""
        alike = all(set(some.columns) == set(cells[own].columns) for some in cells)
        self.fit(
            pd.concat([some[list(cells[0].columns)] for some in cells], ignore_index=True) if alike else cells[own]
        )

    def fit(self, cells: pd.DataFrame) -> None:
        """Kinds, medians, scales and names from training rows. DataError for a column that cannot be read."""
        options = self.config
        self._known([], cells)
        for refusal in options.unfit([str(column) for column in cells.columns]):
            raise refusal.error()
        if len(cells) == 0:
            raise DataError("the table has no training rows")
        found = detect(cells, options, self._confirmed)
        self._keep(found.columns, told(found.left_out) + told(found.doubtful))

    def state(self) -> dict[str, Any]:
        columns: list[Column] = [*self.numbers, *self.categories, *self.dates]
        return {"columns": [column.state() for column in columns], "remarks": self.remarks}

    def restore(self, state: Mapping[str, Any]) -> None:
        columns = [read_column(states.section(column)) for column in state["columns"]]
        states.texts([column.name for column in columns], fewest=1)
        self._keep(columns, [states.text(remark) for remark in state["remarks"]])

    def _features(self) -> list[str]:
        """The names of the F features."""
        numbers = [c.name for c in self.numbers] + [f"{c.name} is missing" for c in self.numbers if c.indicator]
        return numbers + [feature for column in self.dates for feature in column.names]

    def facts(self) -> Mapping[str, Any]:
        numbers = self._features()
        codes = json.dumps([column.state() for column in self.categories], sort_keys=True)
        return {
            "codes": hashlib.sha256(codes.encode()).hexdigest()[:12],
            "numbers": len(numbers),
            "categories": [column.size for column in self.categories],
            "names": {"numbers": numbers, "categories": [c.name for c in self.categories]},
        }

    def read_as(self) -> Mapping[str, Kind]:
        """Categories and hashed ones are names, also where they look like numbers."""
        kinds: dict[str, Kind] = {column.name: "numbers" for column in self.numbers}
        return (
            kinds
            | {column.name: "names" for column in self.categories}
            | {column.name: "times" for column in self.dates}
        )

    def encode(self, cells: pd.DataFrame) -> Encoded:
        self._known([*self._number_names, *self._category_names], cells)
        size = len(cells)
        marks = np.zeros((size, len(self.numbers) + len(self.dates)), dtype=np.uint8)
        values = np.zeros((size, len(self._features())), dtype=np.float32)
        codes = np.zeros((size, len(self.categories)), dtype=np.int64)
        for at, column in enumerate(self.numbers):
            values[:, at], marks[:, at] = column.encode(cells[column.name])
        indicated = [at for at, column in enumerate(self.numbers) if column.indicator]
        values[:, len(self.numbers) : self._dates_from] = marks[:, indicated] != read.NUMBER
        begin = self._dates_from
        for at, dates in enumerate(self.dates, len(self.numbers)):
            end = begin + len(dates.names)
            values[:, begin:end], marks[:, at] = dates.encode(cells[dates.name])
            begin = end
        for at, category in enumerate(self.categories):
            codes[:, at] = category.encode(cells[category.name])
        missing = np.concatenate([marks != read.NUMBER, codes == MISSING], axis=1)
        if self.config.missing == "error":
            self._refuse_missing(cells, missing)
        present = np.asarray(~missing.all(axis=1))
        excluded = {"every cell is missing": int(size - present.sum())} if not present.all() else {}
        return Encoded({"numbers": values, "categories": codes, "marks": marks}, present, excluded=excluded)

    def collate(
        self, encoded: Encoded, rows: Array, purpose: Purpose, rng: np.random.Generator
    ) -> Mapping[str, Tensor]:
        """{"numbers": float32 [B, F], "categories": int64 [B, C]}; in training a few categories are shown as unseen."""
        numbers, codes = encoded.columns["numbers"], encoded.columns["categories"]
        taken = codes[rows]  # type: ignore[index]
        if purpose == "train" and self.categories and self.config.unseen_rate:
            taken[rng.random(taken.shape, dtype=np.float32) < self.config.unseen_rate] = UNSEEN
        return {"numbers": torch.from_numpy(numbers[rows]), "categories": torch.from_numpy(taken)}  # type: ignore[index]

    def reference(self, data: Mapping[str, Tensor]) -> Reference:
        """Every number at its training median, none missing, a time at the middle of the day's and the week's circle, and
        every category in the bucket of unseen ones.
        """
        return self._everywhere(data, [UNSEEN] * len(self.categories))

    def typical(self, data: Mapping[str, Tensor]) -> Reference:
        """As `reference`, with every category at the most frequent of training rows."""
        return self._everywhere(data, [column.usual for column in self.categories])

    def _everywhere(self, data: Mapping[str, Tensor], codes: list[int]) -> Reference:
        indicators = [column.name for column in self.numbers if column.indicator]
        of_numbers, of_dates = [c.middle for c in self.numbers], [c.middle for c in self.dates]
        numbers = torch.tensor(np.concatenate([*of_numbers, np.zeros(len(indicators)), *of_dates]))
        given = {
            "numbers": numbers.to(data["numbers"]).expand_as(data["numbers"]),
            "categories": data["categories"].new_tensor(codes).expand_as(data["categories"]),
        }
        names = [column.name for column in self.numbers] + indicators
        names += [column.name for column in self.dates for _ in column.names]
        return Reference(given, {"numbers": names, "categories": self._category_names})

    def classical(self, encoded: Encoded, rows: Array) -> Classical:
        """The same features with NaN where a cell was missing; categories with over 255 codes are given as numbers."""
        kept = [*range(len(self.numbers)), *range(self._dates_from, self.facts()["numbers"])]
        width = len(kept)
        numbers = np.asarray(encoded.columns["numbers"])[rows][:, kept].astype(np.float64)
        missing = np.asarray(encoded.columns["marks"])[rows, : len(self.numbers)] != read.NUMBER
        numbers[:, : len(self.numbers)][missing] = np.nan
        codes = np.asarray(encoded.columns["categories"])[rows].astype(np.float64)
        codes[codes == MISSING] = np.nan
        categorical = tuple(width + at for at, column in enumerate(self.categories) if column.size <= 255)
        names = [c.name for c in self.numbers] + [c.name for c in self.dates for _ in c.names] + self._category_names
        return Classical(np.concatenate([numbers, codes], axis=1), categorical, names=tuple(names))

    def counts(self, encoded: Encoded, rows: Array) -> dict[str, int]:
        """Cells of `rows` that are not plain numbers or names known from training, zeros left out, by column."""
        marks, codes = np.asarray(encoded.columns["marks"])[rows], np.asarray(encoded.columns["categories"])[rows]
        found: dict[str, int] = {}
        for reason, hits, names in (
            ("missing", marks == read.ABSENT, self._number_names),
            ("infinite, taken as missing", marks == read.INFINITE, self._number_names),
            ("missing", codes == MISSING, self._category_names),
            ("unseen category", codes == UNSEEN, self._category_names),
        ):
            found |= {f"column {name!r}: {reason}": int(n) for name, n in zip(names, hits.sum(axis=0), strict=True)}
        return {reason: n for reason, n in found.items() if n}

    def notes(self) -> list[str]:
        """Which columns were taken as what, which were left out, and which look as if they should be."""
        named = [f"{c.name} ({len(c.names)})" for c in self.categories if isinstance(c, Categories)]
        hashed = [
            f"{c.name} ({c.distinct:,} names in {len(c.filled):,} of {c.buckets:,} buckets)"
            for c in self.categories
            if isinstance(c, Hashed)
        ]
        dates = [f"{c.name} ({c.timezone})" for c in self.dates]
        numbers = [column.name for column in self.numbers]
        found = {"numbers": numbers, "categories": named, "hashed categories": hashed, "dates": dates}
        return [f"{what}: {_some(names)}" for what, names in found.items() if names] + self.remarks

    @property
    def _number_names(self) -> list[str]:
        """Of the columns of numbers and of dates, as `marks` has them."""
        return [column.name for column in self.numbers] + [column.name for column in self.dates]

    @property
    def _category_names(self) -> list[str]:
        return [column.name for column in self.categories]

    @property
    def _dates_from(self) -> int:
        """The first of the dates' features."""
        return len(self.numbers) + sum(column.indicator for column in self.numbers)

    def _keep(self, columns: Sequence[Column], remarks: list[str]) -> None:
        self.numbers = tuple(column for column in columns if isinstance(column, Numbers))
        self.categories = tuple(column for column in columns if isinstance(column, Categories | Hashed))
        self.dates = tuple(column for column in columns if isinstance(column, Dates))
        self.remarks = remarks

    @staticmethod
    def _known(names: list[str], cells: pd.DataFrame) -> None:
        have = [str(column) for column in cells.columns]
        twice = sorted({column for column in have if have.count(column) > 1})
        if twice:
            raise DataError(f"the table has more than one column {twice[0]!r}")
        for name in names:
            if name not in have:
                raise DataError(f"the table has no column {name!r}", allowed=have, nearest=nearest(name, have))

    def _refuse_missing(self, cells: pd.DataFrame, missing: Array) -> None:
        wrong = np.argwhere(missing)
        if len(wrong):
            row, column = wrong[0]
            name = [*self._number_names, *self._category_names][column]
            raise DataError(
                f"the cell is missing ({len(wrong)} cells are) and `missing: error` is set",
                row=cells.index[row],
                column=name,
                next="complete the data, or set `missing: impute`",
            )


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


__all__ = ["FIRST", "MISSING", "UNSEEN", "TableProcessor"]
