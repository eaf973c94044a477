"""What each column, or each stretch of text, contributed to the output of a task, for many rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..contracts import Array, Batch, Encoded, Reference
from ..data import Data
from ..errors import UserError
from ..model import Model
from .gradients import Attributions, attribute

NODES = (16, 64, 256)  # points of the integral; rows that a step leaves too inexact are done again with the next
EXACT = 0.01  # of the sum of a row's absolute contributions: what the contributions may lack

Span = tuple[str, int, int]  # column, start, end in characters


@dataclass(frozen=True, slots=True)
class Contributions:
    """Of N rows. `columns`: column -> float64 [N]; of a window, over all its steps. `spans`: of the tokens of each row.

    `output`, `reference` and `error` float64 [N]: output = reference + all contributions + error.
    `size`: the sum of the absolute contributions.
    """

    output: Array
    reference: Array
    error: Array
    size: Array
    columns: dict[str, Array] = field(default_factory=dict)
    spans: list[dict[Span, float]] = field(default_factory=list)

    @classmethod
    def of(cls, rows: int) -> Contributions:
        return cls(np.zeros(rows), np.zeros(rows), np.zeros(rows), np.zeros(rows), {}, [{} for _ in range(rows)])

    @property
    def inexact(self) -> Array:
        """bool [N]: rows whose contributions do not add up well enough."""
        found: Array = np.abs(self.error) > EXACT * self.size + 1e-6 * (np.abs(self.output) + np.abs(self.reference))
        return found

    def put(self, rows: Array, other: Contributions, of: Array) -> None:
        """Rows `of` of `other` in place of `rows`."""
        for mine, theirs in ((self.output, other.output), (self.reference, other.reference), (self.error, other.error),
                             (self.size, other.size)):  # fmt: skip
            mine[rows] = theirs[of]
        for name, values in other.columns.items():
            self.columns.setdefault(name, np.zeros(len(self.output)))[rows] = values[of]
        for row, at in zip(rows, of, strict=True):
            self.spans[row] = other.spans[at]


@dataclass(frozen=True, slots=True)
class Explained:
    """A model over one table's rows. `columns`: input -> the table's columns that it reads; `size`: rows at once."""

    model: Model
    data: Data
    table: str
    columns: Mapping[str, Sequence[str]]
    device: object = "cpu"
    size: int = 128

    def contributions(self, task: str, rows: Array) -> Contributions:
        """To the output that `Task.explains` names, at table rows `rows` (each has an input).

        Computed in single precision whatever the run's was. UserError where nothing can be explained.
        """
        self.model.eval()
        found, left = Contributions.of(len(rows)), np.arange(len(rows))
        for nodes in NODES:
            again = [left[:0]]
            for at in self._batches(rows, left):
                batch = self.data.batch(self.table, rows[at], "predict", np.random.default_rng(0)).to(self.device)
                one = self._of_batch(task, batch, nodes)
                done = ~one.inexact if nodes != NODES[-1] else np.ones(len(at), dtype=bool)
                found.put(at[done], one, np.flatnonzero(done))
                again.append(at[~done])
            left = np.concatenate(again)
        return found

    def _batches(self, rows: Array, left: Array) -> Iterator[Array]:
        """Positions within `rows`, similar lengths together."""
        lengths = self.data.tables[self.table].lengths()
        if lengths is not None:
            left = left[np.argsort(lengths[rows[left]], kind="stable")]
        return (left[i : i + self.size] for i in range(0, len(left), self.size))

    def _of_batch(self, task: str, batch: Batch, nodes: int) -> Contributions:
        component, inputs = self.data.parts.tasks[task], self.data.tables[self.table].inputs
        key = component.explains
        if key is None:
            raise UserError(f"task {task!r} does not say which of its outputs is to be explained")
        given = {name: self.data.parts.processors[name].reference(part.data) for name, part in batch.inputs.items()}
        references = {name: reference for name, reference in given.items() if reference is not None}
        if not references:
            raise UserError(f"no input of {self.table!r} can be explained: {', '.join(given)}")
        found = attribute(lambda b: component.predict(self.model, b, task)[key].float(), batch, references, nodes=nodes)
        output, base, error, size = (t.cpu().numpy() for t in (found.output, found.reference, found.error, found.size))
        one = Contributions(output, base, error, size, {}, [{} for _ in range(len(batch))])
        for name, reference in references.items():
            _name(one, found, name, reference, batch, inputs[name], self.columns[name])
        return one


def _name(
    one: Contributions, found: Attributions, name: str, reference: Reference, batch: Batch, encoded: Encoded,
    columns: Sequence[str],
) -> None:  # fmt: skip
    """Bring the contributions of one input's tensors back to columns and characters."""
    here = batch.inputs[name].rows.cpu().numpy()
    for tensor in reference.data:
        part = found.parts[(name, tensor)].cpu().numpy()
        if tensor in reference.columns:
            of_each = part.sum(axis=tuple(range(1, part.ndim - 1)))
            for column, values in zip(reference.columns[tensor], of_each.T, strict=True):
                one.columns.setdefault(column, np.zeros(len(batch)))[here] += values
        elif encoded.spans is not None:
            _spans(one, part.sum(axis=tuple(range(2, part.ndim))), here, batch.rows, encoded, columns)
        else:  # the network sees a cell as a whole: a picture, a sound
            column = columns[0] if len(columns) == 1 else name
            one.columns.setdefault(column, np.zeros(len(batch)))[here] += part.sum(axis=tuple(range(1, part.ndim)))


def _spans(one: Contributions, part: Array, here: Array, rows: Array, encoded: Encoded, columns: Sequence[str]) -> None:
    """`part` [n, T] by token; tokens of no cell (column -1), such as separators, are left out."""
    assert encoded.spans is not None
    row, token, places = encoded.spans.flat(rows[here])
    inside = (token < part.shape[1]) & (places[:, 0] >= 0)
    for at, t, (column, start, end) in zip(row[inside], token[inside], places[inside].tolist(), strict=True):
        spans, key = one.spans[here[at]], (columns[column], start, end)
        spans[key] = spans.get(key, 0.0) + float(part[at, t])
