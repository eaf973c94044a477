"""Tables encoded once, columnar; batches by row numbers. No per-row Python between the table and the tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from .config import RunConfig
from .contracts import Array, Batch, Encoded, Part, Processor, Purpose, Task
from .errors import DataError, nearest
from .values import located


@dataclass(frozen=True, slots=True)
class EncodedTable:
    """All inputs and targets of one table. `splits`: name -> row numbers; `usable` bool [N]: has at least one input."""

    name: str
    size: int
    inputs: Mapping[str, Encoded]
    targets: Mapping[str, Encoded]
    splits: Mapping[str, Array]

    @property
    def usable(self) -> Array:
        found: Array = np.logical_or.reduce([e.present for e in self.inputs.values()])
        return found

    def labelled(self, task: str, split: str) -> Array:
        """Rows of a split that have an input and a usable label of `task`."""
        rows = self.splits[split]
        found: Array = rows[(self.usable & self.targets[task].present)[rows]]
        return found

    def trainable(self, split: str = "train") -> Array:
        """Rows of a split that have an input and at least one label."""
        any_label = np.logical_or.reduce([t.present for t in self.targets.values()])
        rows = self.splits[split]
        found: Array = rows[(self.usable & any_label)[rows]]
        return found

    def lengths(self) -> Array | None:
        """The longest input of each row, or None where all rows are equally long."""
        found = [e.lengths for e in self.inputs.values() if e.lengths is not None]
        return np.maximum.reduce(found) if found else None


@dataclass(frozen=True, slots=True)
class Parts:
    """The fitted components that turn tables into batches: processors by input, tasks by name."""

    config: RunConfig
    processors: Mapping[str, Processor]
    tasks: Mapping[str, Task]

    def bind(self) -> None:
        """Give each task the processors of its table."""
        for name, task in self.tasks.items():
            inputs = self.config.inputs_of(self.config.tasks[name].data)
            task.bind({k: self.processors[k] for k in inputs})

    def fit(self, name: str, training: Callable[[str], pd.DataFrame]) -> None:
        """Fit the processors and tasks of one table. `training`: the training rows of a table, and nothing else."""
        rows = training(name)
        for key in self.config.inputs_of(name):
            self.processors[key].confirmed(self.config.inputs[key].columns or ())
            group = self.config.sharing(key)
            if len(group) == 1:
                self.processors[key].fit(self._features(key, rows))
            else:
                cells = [self._features(k, training(self.config.inputs[k].data)) for k in group]
                self.processors[key].fit_together(cells, group.index(key))
        for key, section in self.config.tasks_of(name).items():
            self.tasks[key].fit(rows[section.columns()])

    def _features(self, key: str, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[self.config.feature_columns(key, list(rows.columns))]

    def encode(
        self,
        name: str,
        frame: pd.DataFrame,
        splits: Mapping[str, Array],
        columns: Mapping[str, list[str]],
        labels: bool,
    ) -> EncodedTable:
        """Encode every row of one table. `columns`: input -> feature columns. `labels=False`: targets are not read."""
        inputs = {}
        for key in self.config.inputs_of(name):
            cells = _select(frame, columns[key], f"table {name!r}, input {key!r}")
            inputs[key] = self.processors[key].divide(self.processors[key].encode(cells), splits)
        targets = {}
        for key, section in self.config.tasks_of(name).items() if labels else ():
            cells = _select(frame, section.columns(), f"table {name!r}, task {key!r}")
            targets[key] = self.tasks[key].encode(cells, inputs)
        return EncodedTable(name, len(frame), inputs, targets, splits)

    def counts(self, table: EncodedTable, rows: Array) -> dict[str, int]:
        """What was unusual in the cells of table rows `rows`: reason -> cells, over all inputs."""
        return {
            f"input {key!r}: {reason}": n
            for key, encoded in table.inputs.items()
            for reason, n in self.processors[key].counts(encoded, rows).items()
            if n
        }

    def notes(self, table: str, columns: list[str]) -> list[str]:
        """What the processors of the inputs of a table with `columns` found out by themselves, such as which columns hold
        numbers, and which they left out by their names."""
        left = [
            f"input {key}: left out: {', '.join(names)}: {reason}"
            for key in self.config.inputs_of(table)
            for reason, names in self.config.left_out(key, columns).items()
        ]
        return left + [
            located(f"input {key}", text)
            for key in self.config.inputs_of(table)
            for text in self.processors[key].notes()
        ]


def _select(frame: pd.DataFrame, columns: list[str], where: str) -> pd.DataFrame:
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise DataError(
            f"missing column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}",
            where=where,
            allowed=[str(c) for c in list(frame.columns)[:40]],
            nearest=nearest(missing[0], frame.columns),
        )
    return frame[columns]


@dataclass(frozen=True, slots=True)
class Data:
    """Encoded tables and the components that collate them."""

    parts: Parts
    tables: Mapping[str, EncodedTable]

    def batch(self, table: str, rows: Array, purpose: Purpose, rng: np.random.Generator) -> Batch:
        """`rows` of one table as tensors on the host. "predict" leaves targets out."""
        encoded = self.tables[table]
        inputs: dict[str, Part] = {}
        for name, columns in encoded.inputs.items():
            at, here = _present(columns, rows)
            if len(here):
                inputs[name] = Part(at, self.parts.processors[name].collate(columns, here, purpose, rng))
        targets: dict[str, Part] = {}
        for name, columns in encoded.targets.items() if purpose != "predict" else ():
            at, here = _present(columns, rows)
            if len(here):
                data, count = self.parts.tasks[name].collate(columns, here, {k: p.data for k, p in inputs.items()})
                targets[name] = Part(at, data, count)
        return Batch(table, rows, inputs, targets)


def _present(encoded: Encoded, rows: Array) -> tuple[torch.Tensor, Array]:
    """(positions in the batch, row numbers) of the rows that have it; the usual case is all of them."""
    here = encoded.present[rows]
    if here.all():
        return torch.arange(len(rows)), rows
    at = np.flatnonzero(here)
    return torch.from_numpy(at), rows[at]
