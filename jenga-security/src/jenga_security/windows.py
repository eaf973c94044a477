"""security/window: each row with the rows of its group before it.

A window is the row itself and at most `length - 1` rows before it, in the order of `time` (equal times: in the order of the
table). It never reaches into another group, nor, in training and evaluation, into another split: then a test row would
show the model rows that it was trained on. The first rows of a split therefore have short windows, as they would in a
monitor that has just been started. Rows of one group that lie in several splits by turns (a random split) are refused:
the splits would be near copies of each other. A prediction sees the rows given with it, and those that `context` keeps of
the parts before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from jenga_core.clock import seconds
from jenga_core.contracts import Classical, Encoded, Kind, Processor, Purpose, Reference
from jenga_core.errors import DataError

from . import cells as read
from .processors import TableProcessor
from .table_config import WindowConfig

Array = np.ndarray[Any, Any]


class WindowProcessor(Processor):
    """Encoded columns: those of security/table, and three of int64 [N] that say who comes before whom.

    `order`: the rows by group and time. `place`: where a row is in `order`. `earlier`: how many rows right before that
    place belong to its window, at most `length - 1`. `group` numbers the groups. A row that lacks its group is a group of
    its own; one that lacks its time is an error.
    """

    def __init__(self, config: WindowConfig, backbone_config: Any = None) -> None:
        self.config = config
        self.table = TableProcessor(config)

    def confirmed(self, columns: Sequence[str]) -> None:
        self.table.confirmed(columns)

    def fit(self, cells: pd.DataFrame) -> None:
        self.table.fit(self._features(cells))

    def fit_together(self, cells: Sequence[pd.DataFrame], own: int) -> None:
        self.table.fit_together([self._features(some) for some in cells], own)

    def state(self) -> dict[str, Any]:
        return self.table.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.table.restore(state)

    def facts(self) -> Mapping[str, Any]:
        return {**self.table.facts(), "length": self.config.length}

    def read_as(self) -> Mapping[str, Kind]:
        return self.table.read_as()

    def encode(self, cells: pd.DataFrame) -> Encoded:
        encoded = self.table.encode(self._features(cells))
        group, time = self._groups(cells), self._times(cells)
        order = np.lexsort((time, group))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        columns = {**encoded.columns, "group": group, "order": order, "place": place}
        return replace(encoded, columns={**columns, "earlier": self._earlier(order, group)})

    def divide(self, encoded: Encoded, splits: Mapping[str, Array]) -> Encoded:
        """Windows that end at their split. DataError when the splits of a group take turns."""
        part = np.full(len(encoded.present), -1, dtype=np.int64)
        for number, rows in enumerate(splits.values()):
            part[rows] = number
        group, order = np.asarray(encoded.columns["group"]), np.asarray(encoded.columns["order"])
        if self.config.length > 1:
            self._refuse_turns(group[order], part[order])
        return encoded.having(earlier=self._earlier(order, group, part))

    def context(self, cells: pd.DataFrame) -> Array | None:
        """The newest `length - 1` rows of each group; rows without a group are nobody's past."""
        if self.config.length == 1:
            return None
        group = self._groups(cells)
        order = np.lexsort((self._times(cells), group))
        last = np.append(group[order][1:] != group[order][:-1], True)[: len(order)]
        ends = np.flatnonzero(last)
        behind = np.repeat(ends, np.diff(ends, prepend=-1)) - np.arange(len(order))  # rows of the group after it
        kept = order[behind < self.config.length - 1]
        if self.config.group is not None:
            codes, names = read.names(cells[self.config.group])
            kept = kept[np.array([name is not None for name in names] + [False])[codes][kept]]
        return np.sort(kept)

    def collate(
        self, encoded: Encoded, rows: Array, purpose: Purpose, rng: np.random.Generator
    ) -> Mapping[str, Tensor]:
        """{"numbers" [B, T, F], "categories" [B, T, C], "mask" bool [B, T]}: oldest first, padding (zeros) behind the row."""
        order, place, earlier = (np.asarray(encoded.columns[name]) for name in ("order", "place", "earlier"))
        before = earlier[rows][:, None]
        steps = np.arange(int(before.max(initial=0)) + 1)
        at = order[place[rows][:, None] - before + np.minimum(steps, before)]  # [B, T]; padding repeats the row itself
        mask = torch.from_numpy(steps <= before)
        flat = self.table.collate(encoded, at.ravel(), purpose, rng)
        shaped = {name: tensor.view(*at.shape, tensor.shape[1]) for name, tensor in flat.items()}
        return {**{name: t.masked_fill(~mask.unsqueeze(-1), 0) for name, t in shaped.items()}, "mask": mask}

    def reference(self, data: Mapping[str, Tensor]) -> Reference:
        """As security/table's, at every step of the window; padding stays as it is."""
        return self._at_steps(self.table.reference(data), data)

    def typical(self, data: Mapping[str, Tensor]) -> Reference:
        return self._at_steps(self.table.typical(data), data)

    @staticmethod
    def _at_steps(found: Reference, data: Mapping[str, Tensor]) -> Reference:
        mask = data["mask"].unsqueeze(-1)
        return replace(found, data={name: t.where(mask, data[name]) for name, t in found.data.items()})

    def counts(self, encoded: Encoded, rows: Array) -> dict[str, int]:
        return self.table.counts(encoded, rows)

    def notes(self) -> list[str]:
        return self.table.notes()

    def classical(self, encoded: Encoded, rows: Array) -> Classical:
        """The row's own features, then mean and deviation of each number over its window."""
        own = self.table.classical(encoded, rows)
        order, place, earlier = (np.asarray(encoded.columns[name]) for name in ("order", "place", "earlier"))
        numbers = np.asarray(encoded.columns["numbers"])
        total = np.zeros((len(rows), numbers.shape[1]))
        squares = np.zeros_like(total)
        for back in range(int(earlier[rows].max(initial=0)) + 1):
            has = earlier[rows] >= back
            values = numbers[order[place[rows[has]] - back]].astype(np.float64)
            total[has] += values
            squares[has] += values**2
        size = (earlier[rows] + 1)[:, None]
        mean = total / size
        deviation = np.sqrt(np.maximum(squares / size - mean**2, 0))
        matrix = np.concatenate([own.matrix, mean, deviation], axis=1)
        names = (*own.names, *[""] * (matrix.shape[1] - len(own.names)))  # the others are of several rows
        return Classical(matrix, own.categorical, names=names)

    def _features(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The cells without group and time. DataError where one of the two is not there."""
        for refusal in self.config.absent([str(column) for column in cells.columns]):
            raise refusal.error()
        return cells.drop(columns=list(self.config.named().values()))

    def _groups(self, cells: pd.DataFrame) -> Array:
        """A number per row, the same within a group."""
        if self.config.group is None:
            return np.zeros(len(cells), dtype=np.int64)
        codes, names = read.names(cells[self.config.group])
        distinct, same = np.unique([name or "" for name in names], return_inverse=True)  # 6 and "6" are one group
        group = np.append(same, -1)[codes].astype(np.int64)
        alone = np.append(np.array([name is None for name in names], dtype=bool), True)[codes]
        group[alone] = len(distinct) + np.arange(int(alone.sum()))
        return group

    def _times(self, cells: pd.DataFrame) -> Array:
        if self.config.time is None:
            return np.arange(len(cells))
        column = cells[self.config.time]

        def refuse(at: int) -> str:
            raise DataError(
                f"{column.iloc[at]!r} is no time that a window can be ordered by",
                row=cells.index[at],
                column=self.config.time,
                next="complete the data; ISO 8601 (2026-01-31T12:00:00Z) or a number will do",
            )

        times: Array = seconds(column, refuse)  # asks where a cell is only when it cannot read it
        return times

    def _earlier(self, order: Array, *keys: Array) -> Array:
        """Per row: how many rows right before it in `order` have the same `keys`, at most `length - 1`."""
        place = np.arange(len(order))
        begins = np.ones(len(order), dtype=bool)
        if len(order):
            begins[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
        first = np.maximum.accumulate(np.where(begins, place, 0))
        earlier = np.empty(len(order), dtype=np.int64)
        earlier[order] = np.minimum(place - first, self.config.length - 1)
        return earlier

    def _refuse_turns(self, group: Array, part: Array) -> None:
        """`group` and `part` in the order of the windows."""
        if not len(group):
            return
        begins = np.append(True, (group[1:] != group[:-1]) | (part[1:] != part[:-1]))
        stretches = np.bincount(group[begins])
        pairs = np.unique(np.stack([group, part]), axis=1)[0]
        turns = int((stretches > np.bincount(pairs, minlength=len(stretches))).sum())
        if turns:
            column = f" of {self.config.group!r}" if self.config.group else ""
            raise DataError(
                f"training, validation and test rows take turns within {turns:,} of {len(np.unique(group)):,} groups{column}: "
                "a window would reach from one split into another",
                next="split: {by: time, column: ...} or {by: group, column: ...}",
            )
