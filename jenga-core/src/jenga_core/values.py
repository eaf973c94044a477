"""What crosses the boundary between the core and a plugin: frozen dataclasses. Columnar numpy on the table's side, torch on
the batch's side.

Importable without torch (tensors appear in annotations only). Shapes: B rows of a batch, T tokens, D width, N rows of a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from .contracts import Backbone

Array: TypeAlias = "np.ndarray[Any, Any]"
Purpose: TypeAlias = Literal["train", "evaluate", "predict"]


# ------------------------------------------------------------------ the file's side

MARKS = ("NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A")


@dataclass(frozen=True, slots=True)
class Numerals:
    """How text spells numbers. `missing`: words that mean missing among them. `thousands` stands between three digits each."""

    missing: tuple[str, ...] = MARKS
    decimal: str = "."
    thousands: str | None = None

    @property
    def absent(self) -> tuple[str, ...]:
        return ("", *self.missing)

    @property
    def usual(self) -> bool:
        return self.decimal == "." and self.thousands is None


USUAL = Numerals()


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Rows `start` to `start + size` of a file. `cells`: columns that were asked for, as the source's `written` gives them.

    `table`: every column of those rows, to be written again as it came. Both are None where the rows were skipped. `types`:
    column -> the Arrow type that it has over the whole file, where that is known and `table` is no Arrow table. `text`: the
    format knows no types, and `table` holds text.
    """

    start: int
    size: int
    cells: Any = None  # pandas DataFrame
    table: Any = None  # pyarrow Table or pandas DataFrame
    types: Mapping[str, Any] = field(default_factory=dict)
    text: bool = False


# ------------------------------------------------------------------ the table's side: columnar, numpy


@dataclass(frozen=True, slots=True)
class Ragged:
    """N rows of different lengths in two arrays: row i is ``values[starts[i]:starts[i + 1]]``.

    `values` [total, ...], `starts` int64 [N + 1] with ``starts[0] == 0``.
    """

    values: Array
    starts: Array

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any] | Array], dtype: Any = None) -> Ragged:
        """From a list of sequences."""
        arrays = [np.asarray(row, dtype=dtype) for row in rows]
        starts = np.zeros(len(arrays) + 1, dtype=np.int64)
        np.cumsum([len(a) for a in arrays], out=starts[1:])
        return cls(np.concatenate(arrays) if arrays else np.zeros(0, dtype=dtype or np.int64), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def lengths(self, rows: Array | None = None) -> Array:
        """Length of each row, int64 [len(rows)]."""
        every = np.diff(self.starts)
        return every if rows is None else every[rows]

    def flat(self, rows: Array) -> tuple[Array, Array, Array]:
        """(row, pos, value) of every element of `rows`; `row` counts from 0 within `rows`. No padding anywhere."""
        lengths = self.lengths(rows)
        row = np.repeat(np.arange(len(rows)), lengths)
        ends = np.cumsum(lengths)
        pos = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        return row, pos, self.values[np.repeat(self.starts[rows], lengths) + pos]

    def padded(self, rows: Array, fill: Any = 0) -> Array:
        """[len(rows), longest, ...] with `fill` behind the shorter rows."""
        row, pos, value = self.flat(rows)
        longest = int(self.lengths(rows).max(initial=0))
        out = np.full((len(rows), longest, *self.values.shape[1:]), fill, dtype=self.values.dtype)
        out[row, pos] = value
        return out

    def take(self, rows: Array) -> Ragged:
        """The same form for `rows` only, in their order; rows may repeat."""
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(self.lengths(rows), out=starts[1:])
        return Ragged(self.flat(rows)[2], starts)


Columns: TypeAlias = Mapping[str, "Array | Ragged"]


def take(columns: Columns, rows: Array) -> dict[str, Array | Ragged]:
    """Each column at `rows`."""
    return {k: v.take(rows) if isinstance(v, Ragged) else v[rows] for k, v in columns.items()}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A whole table as one processor or task sees it: always one entry per table row.

    `present` bool [N]: this row has the input (or a usable label). `lengths` int [N]: tokens per row, for length buckets.
    `spans` per token: (column, start, end) in characters, column -1 = no cell; aligns labels with tokens and masks prompts.
    `excluded`: reason -> number of rows that could not be used, which are not present; reported, never silent.
    `remarks`: what else must be known -> number of rows, which are used all the same.
    """

    columns: Columns
    present: Array
    lengths: Array | None = None
    spans: Ragged | None = None
    excluded: Mapping[str, int] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)

    def having(self, **columns: Array | Ragged) -> Encoded:
        """A copy with more columns (a hook that caches something per row uses this)."""
        return replace(self, columns={**self.columns, **columns})


WARNING = "WARNING: "  # how a note begins that must not be overlooked


def located(where: str, text: str) -> str:
    """A note with its place in front; what is a warning is one at the first word."""
    return f"{WARNING}{where}: {text.removeprefix(WARNING)}" if text.startswith(WARNING) else f"{where}: {text}"


@dataclass(frozen=True, slots=True)
class Classical:
    """Features for classical baselines: `matrix` [N, F] dense (NaN = missing) or scipy sparse; `categorical` column numbers.

    `names`: the table's column behind each of the F, "" where there is not one; empty: not said.

    `kind`: what the columns are, said in the baseline's name, such as "TF-IDF"; "" for the table's own cells. The core adds
    `inputs`, the table's inputs as they were encoded, and `rows` [N], which of their rows these are: a task's own
    baseline may read them, with `Baseline.reads = "inputs"`.
    """

    matrix: Any
    categorical: tuple[int, ...] = ()
    kind: str = ""
    names: tuple[str, ...] = ()
    inputs: Mapping[str, Encoded] = field(default_factory=dict)
    rows: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    def take(self, rows: Array) -> Classical:
        """The features of `rows`, which count within these."""
        return replace(self, matrix=self.matrix[rows], rows=self.rows[rows] if len(self.rows) else self.rows)


# ------------------------------------------------------------------ the batch's side: torch


@dataclass(frozen=True, slots=True)
class Reference:
    """What a row that says nothing looks like to the network: explanations measure every cell against it.

    `data`: the tensors of `collate` that stand for cells, as such a row would have them, in the same shapes. Tensors left
    out (masks, lengths) stay as they are. `columns`: tensor -> the table's column behind each entry of its last dimension.
    A tensor not named there has one entry per token, [B, T] or [B, T, D]; `Encoded.spans` says which characters that is.
    """

    data: Mapping[str, Tensor]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """What one input or one task contributes to a batch, for the rows that have it and no others.

    `rows` int64 [n]: ascending positions in the batch. `data`: tensors with n rows (targets of token tasks: any form).
    `count`: how many units the loss is summed over; 0 for inputs.
    """

    rows: Tensor
    data: Mapping[str, Tensor]
    count: float = 0.0

    def to(self, device: Any) -> Part:
        return Part(
            self.rows.to(device, non_blocking=True),
            {k: v.to(device, non_blocking=True) for k, v in self.data.items()},
            self.count,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table. `rows` int64 [B] are row numbers of the table, on the host."""

    table: str
    rows: Array
    inputs: Mapping[str, Part]
    targets: Mapping[str, Part]

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: Any) -> Batch:
        return Batch(
            self.table,
            self.rows,
            {k: p.to(device) for k, p in self.inputs.items()},
            {k: p.to(device) for k, p in self.targets.items()},
        )


@dataclass(frozen=True, slots=True)
class Features:
    """What every backbone returns and every head reads: `tokens` [B, T, D], `mask` bool [B, T], `pooled` [B, D].

    A backbone without a sequence returns ``tokens = pooled[:, None]`` and a mask of ones (`Features.of_pooled`).
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor

    @classmethod
    def of_pooled(cls, pooled: Tensor) -> Features:
        """One token per row that is the pooled vector itself. `pooled` [B, D]."""
        return cls(pooled.unsqueeze(1), pooled.new_ones((pooled.shape[0], 1)).bool(), pooled)

    def take(self, rows: Tensor) -> Features:
        """Rows `rows` only. Positions are ascending and distinct, so as many as there are means all of them: no copy."""
        if rows.shape[0] == self.pooled.shape[0]:
            return self
        return Features(self.tokens[rows], self.mask[rows], self.pooled[rows])

    def spread(self, rows: Tensor, size: int, absent: Tensor) -> Features:
        """From the n rows that have an input to all `size` rows of the batch; the others hold the token `absent` [D]."""
        if rows.shape[0] == size:
            return self
        absent = absent.to(self.pooled.dtype)
        length, width = max(self.tokens.shape[1], 1), self.pooled.shape[1]
        pooled = absent.expand(size, width).index_copy(0, rows, self.pooled)
        first = absent.expand(size, 1, width)
        rest = self.tokens.new_zeros((size, length - 1, width))
        tokens = first if length == 1 else self._cat(first, rest)
        mask = self.mask.new_zeros((size, length))
        mask[:, 0] = True  # the absent token itself can be attended to
        if self.tokens.shape[1]:
            tokens = tokens.index_copy(0, rows, self.tokens)
            mask = mask.index_copy(0, rows, self.mask)
        return Features(tokens, mask, pooled)

    @staticmethod
    def _cat(first: Tensor, rest: Tensor) -> Tensor:
        import torch

        return torch.cat([first, rest], dim=1)


@dataclass(frozen=True, slots=True)
class View:
    """What a head sees: `fused` over all inputs of the row (None when the task declines fusion), `parts` each on its own.

    Both cover all rows of the batch (after `take`: all rows with a label). `slices` are an input's tokens within `fused`.
    """

    fused: Features | None
    parts: Mapping[str, Features]
    slices: Mapping[str, slice] = field(default_factory=dict)

    def take(self, rows: Tensor) -> View:
        return View(
            None if self.fused is None else self.fused.take(rows),
            {k: v.take(rows) for k, v in self.parts.items()},
            self.slices,
        )

    def of(self, name: str) -> Features:
        """One input's Features: its slice of the fused tokens where there is a fusion, else what its backbone gave."""
        part = self.parts[name]
        if self.fused is None or name not in self.slices:
            return part
        return Features(self.fused.tokens[:, self.slices[name]], part.mask, part.pooled)

    @property
    def whole(self) -> Features:
        """`fused`, or the only part. A head that reads the row as a whole uses this."""
        return self.fused if self.fused is not None else next(iter(self.parts.values()))


@dataclass(frozen=True, slots=True)
class HeadContext:
    """What a head is built from: `dim` of the fused Features, `dims` and `facts` per input, the `backbones` by input.

    A head may call a backbone (`backbones[x].generate(...)`) but must not own it as a submodule.
    """

    dim: int
    dims: Mapping[str, int]
    backbones: Mapping[str, Backbone]
    facts: Mapping[str, Mapping[str, Any]]
