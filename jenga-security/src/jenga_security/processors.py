"""security/table: the columns of a table -> scaled numbers and codes of categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from jenga_core.contracts import Classical, Encoded, Processor, Purpose, Reference
from jenga_core.errors import DataError, nearest

from . import cells as read
from .columns import FIRST, MISSING, UNSEEN, Categories, Numbers, fit_column, read_column
from .config import TableConfig

Array = np.ndarray[Any, Any]

SHOWN = 12  # columns listed by name in a note


class TableProcessor(Processor):
    """Encoded columns: `numbers` float32 [N, F], `categories` int64 [N, C], `marks` uint8 [N, columns of numbers].

    F is one feature per column of numbers and one indicator per column in which training rows had missing cells.
    `marks` tells missing from infinite cells. Nothing is NaN or infinite. A row whose every cell is missing is not
    present.
    """

    def __init__(self, config: TableConfig, backbone_config: Any = None) -> None:
        self.config = config
        self.numbers: tuple[Numbers, ...] = ()
        self.categories: tuple[Categories, ...] = ()

    def fit(self, cells: pd.DataFrame) -> None:
        """Kinds, medians, scales and names from training rows. DataError for a column that cannot be used."""
        self._known(self.config.numeric + self.config.categorical, cells)
        if len(cells) == 0:
            raise DataError("the table has no training rows")
        self._keep([fit_column(cells[name], self.config) for name in cells.columns])

    def state(self) -> dict[str, Any]:
        return {"columns": [column.state() for column in self.numbers] + [c.state() for c in self.categories]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._keep([read_column(column) for column in state["columns"]])

    def facts(self) -> Mapping[str, Any]:
        return {
            "numbers": len(self.numbers) + sum(column.indicator for column in self.numbers),
            "categories": [column.size for column in self.categories],
            "names": {
                "numbers": [c.name for c in self.numbers]
                + [f"{c.name} is missing" for c in self.numbers if c.indicator],
                "categories": [c.name for c in self.categories],
            },
        }

    def encode(self, cells: pd.DataFrame) -> Encoded:
        self._known([*self._number_names, *self._category_names], cells)
        size = len(cells)
        marks = np.zeros((size, len(self.numbers)), dtype=np.uint8)
        values = np.zeros((size, self.facts()["numbers"]), dtype=np.float32)
        codes = np.zeros((size, len(self.categories)), dtype=np.int64)
        for at, column in enumerate(self.numbers):
            values[:, at], marks[:, at] = column.encode(cells[column.name])
        indicated = [at for at, column in enumerate(self.numbers) if column.indicator]
        values[:, len(self.numbers) :] = marks[:, indicated] != read.NUMBER
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
        """Every number at its training median, none missing, and every category in the bucket of unseen ones."""
        numbers = torch.zeros(data["numbers"].shape[-1])
        medians = [float(column.scale.apply(np.array([column.median]))[0]) for column in self.numbers]
        numbers[: len(medians)] = torch.tensor(medians)
        given = {
            "numbers": numbers.to(data["numbers"]).expand_as(data["numbers"]),
            "categories": torch.full_like(data["categories"], UNSEEN),
        }
        indicated = [column.name for column in self.numbers if column.indicator]
        return Reference(given, {"numbers": self._number_names + indicated, "categories": self._category_names})

    def classical(self, encoded: Encoded, rows: Array) -> Classical:
        """The same features with NaN where a cell was missing; categories with over 255 codes are given as numbers."""
        width = len(self.numbers)
        numbers = np.asarray(encoded.columns["numbers"])[rows, :width].astype(np.float64)
        numbers[np.asarray(encoded.columns["marks"])[rows] != read.NUMBER] = np.nan
        codes = np.asarray(encoded.columns["categories"])[rows].astype(np.float64)
        codes[codes == MISSING] = np.nan
        categorical = tuple(width + at for at, column in enumerate(self.categories) if column.size <= 255)
        return Classical(np.concatenate([numbers, codes], axis=1), categorical)

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
        """Which columns were taken as numbers, and which as categories with how many names."""
        named = [f"{column.name} ({len(column.names)})" for column in self.categories]
        found = {"numbers": self._number_names, "categories": named}
        return [f"{what}: {_some(names)}" for what, names in found.items() if names]

    @property
    def _number_names(self) -> list[str]:
        return [column.name for column in self.numbers]

    @property
    def _category_names(self) -> list[str]:
        return [column.name for column in self.categories]

    def _keep(self, columns: list[Numbers | Categories]) -> None:
        self.numbers = tuple(column for column in columns if isinstance(column, Numbers))
        self.categories = tuple(column for column in columns if isinstance(column, Categories))

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
