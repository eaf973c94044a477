"""What each column, or each stretch of text, contributed to the output of a task, for many rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..contracts import Array, Batch, Ragged, Reference
from .gradients import Attributions
from .occlusion import Occluded

EXACT = 0.01  # of the sum of a row's absolute contributions: what the contributions may lack
NOISE = 64 * float(
    np.finfo(np.float32).eps
)  # of what is computed: how far it may depend on the batch and the processor

Span = tuple[str, int, int]  # column, start, end in characters


@dataclass(frozen=True, slots=True)
class Method:
    """How contributions are found. `adds_up`: output = reference + all of them, but for an error of the computation.

    `efforts`: rows that one leaves too inexact are done again with the next. `reference`: what the reference row is called;
    `says`: how to read what is shown of a row.
    """

    name: str
    adds_up: bool
    efforts: tuple[int, ...]
    reference: str
    says: str


GRADIENTS = Method(
    "integrated gradients",
    True,
    (16, 64, 256),  # points of the integral
    "a row that says nothing",
    "Method: integrated gradients. The contributions add up to the difference; `rest` is all that is not shown and the error "
    "of the integral.",
)
OCCLUSION = Method(
    "occlusion of columns",
    False,
    (1,),
    "a row that is usual in every column",
    "Method: occlusion of columns. A bar is what is lost when that cell is replaced by its usual value in training rows: the "
    "median, or the most frequent name. The bars need not add up.",
)


@dataclass(frozen=True, slots=True)
class Contributions:
    """Of N rows. `columns`: column -> float64 [N]; of a window, over all its steps. `spans`: of the words of each row.

    `output`, `reference` and `error` float64 [N]: output = reference + all contributions + error.
    `size`: the sum of the absolute contributions.
    """

    method: Method
    output: Array
    reference: Array
    error: Array
    size: Array
    columns: dict[str, Array] = field(default_factory=dict)
    spans: list[dict[Span, float]] = field(default_factory=list)

    @classmethod
    def of(cls, method: Method, rows: int) -> Contributions:
        output, reference, error, size = (np.zeros(rows) for _ in range(4))
        return cls(method, output, reference, error, size, {}, [{} for _ in range(rows)])

    @classmethod
    def of_gradients(cls, found: Attributions) -> Contributions:
        """Of a batch, without names yet: see `name`."""
        output, base, error, size = (t.cpu().numpy() for t in (found.output, found.reference, found.error, found.size))
        return cls(GRADIENTS, output, base, error, size, {}, [{} for _ in range(len(output))])

    @classmethod
    def of_occlusion(cls, found: Occluded) -> Contributions:
        """`error`: what the columns do together, or what more than one of them says."""
        falls = np.stack(list(found.falls.values()))
        error = found.output - found.typical - falls.sum(axis=0)
        spans: list[dict[Span, float]] = [{} for _ in range(len(error))]
        return cls(OCCLUSION, found.output, found.typical, error, np.abs(falls).sum(axis=0), found.falls, spans)

    @property
    def inexact(self) -> Array:
        """bool [N]: rows whose contributions do not add up well enough, where they should."""
        least = EXACT * self.size + 1e-6 * (np.abs(self.output) + np.abs(self.reference))
        found: Array = (np.abs(self.error) > least) & self.method.adds_up
        return found

    @property
    def noise(self) -> Array:
        """float64 [N]: below it a contribution says nothing. Networks compute in single precision, in which a sum depends on
        the order of its terms, and that on the batch, the number of threads and the processor. A difference of two outputs
        inherits the rounding of both; an integral only that of what it adds up.
        """
        largest = self.size
        if not self.method.adds_up:
            largest = np.maximum(largest, np.maximum(np.abs(self.output), np.abs(self.reference)))
        found: Array = NOISE * largest
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

    def name(
        self, found: Attributions, batch: Batch, name: str, reference: Reference, columns: Sequence[str], shown: Ragged | None
    ) -> None:  # fmt: skip
        """Bring the contributions of one input's tensors back to columns and characters. `shown`: of each of its tokens."""
        here, own = batch.inputs[name].rows.cpu().numpy(), len(batch)
        for tensor in reference.data:
            part = found.parts[(name, tensor)].cpu().numpy()
            if tensor in reference.columns:
                of_each = part.sum(axis=tuple(range(1, part.ndim - 1)))
                for column, values in zip(reference.columns[tensor], of_each.T, strict=True):
                    self.columns.setdefault(column, np.zeros(own))[here] += values
            elif shown is not None:
                self._spans(part.sum(axis=tuple(range(2, part.ndim))), here, shown, columns)
            else:  # the network sees a cell as a whole: a picture, a sound
                values = part.sum(axis=tuple(range(1, part.ndim)))
                self.columns.setdefault(whole(name, columns), np.zeros(own))[here] += values

    def _spans(self, part: Array, here: Array, shown: Ragged, columns: Sequence[str]) -> None:
        """`part` [n, T] by token; tokens of no cell (column -1), such as separators, are left out."""
        row, token, places = shown.flat(np.arange(len(here)))
        inside = (token < part.shape[1]) & (places[:, 0] >= 0)
        for at, t, (column, start, end) in zip(row[inside], token[inside], places[inside].tolist(), strict=True):
            spans, key = self.spans[here[at]], (columns[column], start, end)
            spans[key] = spans.get(key, 0.0) + float(part[at, t])


def ranked(values: Array, noise: float) -> Array:
    """int64 [K]: positions of those of `values` whose size is above `noise`, the largest size first.

    Sizes that differ by no more than `noise` from the next are equal, and equals stay in the order in which they are given.
    """
    sizes = np.abs(np.asarray(values, dtype=np.float64))
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > noise]
    rank = np.cumsum(-np.diff(sizes[order], prepend=sizes[order][:1]) > noise)
    return order[np.lexsort((order, rank))]


def whole(name: str, columns: Sequence[str]) -> str:
    """What an input is called that no one entry can be named of: its only column, or the input."""
    return columns[0] if len(columns) == 1 else name
