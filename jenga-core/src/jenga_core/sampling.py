"""Which rows make which batch: a pure function of seed and epoch, so that resuming is ``plan(...)[done:]``.

`batch` is the global batch: every rank computes the same plan, works on the same table and takes ``rows[rank::world]``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from .contracts import Array

# What one optimizer step computes: (its number in the epoch, (table, rows)), one after the other.
Window = Sequence[tuple[int, tuple[str, Array]]]
BUCKET = 16  # batches that are sorted by length together: padding costs under 10 %, rows still meet different rows each epoch


def plan(
    rows: Mapping[str, Array],
    *,
    sampling: Any,
    batch: int,
    epoch: int,
    seed: int,
    lengths: Mapping[str, Array | None] | None = None,
) -> list[tuple[str, Array]]:
    """The batches of one epoch as (table, row numbers), in order.

    `rows`: table -> training rows. `lengths`: table -> a length per table row, where lengths differ.
    The order of rows and the choice of tables use separate generators: adding a table does not reorder another one's rows.
    """
    lengths = lengths or {}
    streams = {
        name: _batches(numbers, lengths.get(name), batch, [seed, epoch, 1, crc32(name.encode())])
        for name, numbers in rows.items()
        if len(numbers)
    }
    sizes = {name: -(-len(rows[name]) // batch) for name in streams}
    draw = np.random.default_rng([seed, epoch, 0])
    order = _ORDERS[sampling.kind](sizes, {n: len(rows[n]) for n in streams}, sampling, draw)
    return [(name, next(streams[name])) for name in order]


def _batches(rows: Array, lengths: Array | None, batch: int, seeds: list[int]) -> Iterator[Array]:
    """Endless: a new permutation each time the rows are used up (only temperature sampling asks for more than one)."""
    turn = 0
    while True:
        rng = np.random.default_rng([*seeds, turn])
        shuffled = rows[rng.permutation(len(rows))]
        cut = [shuffled[i : i + batch] for i in range(0, len(shuffled), batch)]
        cut = cut if lengths is None else _bucketed(shuffled, lengths, batch, rng)
        if not cut:
            raise ValueError(f"a pass over {len(rows):,} rows has no batch: the next one would have none either")
        yield from cut
        turn += 1


def _bucketed(shuffled: Array, lengths: Array, batch: int, rng: np.random.Generator) -> list[Array]:
    """Batches of similar lengths: sort within chunks of BUCKET batches, then mix the batches again."""
    cut: list[Array] = []
    for start in range(0, len(shuffled), BUCKET * batch):
        chunk = shuffled[start : start + BUCKET * batch]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        cut += [chunk[i : i + batch] for i in range(0, len(chunk), batch)]
    return [cut[i] for i in rng.permutation(len(cut))]


def parts(rows: Array, lengths: Array | None, most: int) -> list[Array]:
    """One batch cut into parts of similar lengths, each of at most `most` tokens with its padding, or of one row.

    Gradients of the parts add up to those of the batch, so this decides memory and time, never what is learned.
    """
    if lengths is None or int(lengths[rows].max(initial=0)) * len(rows) <= most:
        return [rows]
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    found, begin = [], 0
    for at, length in enumerate(lengths[rows].tolist()):
        if at > begin and length * (at + 1 - begin) > most:
            found.append(rows[begin:at])
            begin = at
    return [*found, rows[begin:]]


def windows(
    batches: Sequence[tuple[str, Array]], accumulate: int, lengths: Mapping[str, Array | None], most: int
) -> list[Window]:
    """Batches in groups of `accumulate`, one optimizer step each; the last may be smaller. Each batch is cut by `parts`."""
    number = itertools.count()
    groups = [batches[i : i + accumulate] for i in range(0, len(batches), accumulate)]
    return [
        [(next(number), (table, part)) for table, rows in group for part in parts(rows, lengths[table], most)]
        for group in groups
    ]


def _sequential(sizes: Mapping[str, int], _rows: Mapping[str, int], _config: Any, _draw: Any) -> list[str]:
    return [name for name, n in sizes.items() for _ in range(n)]


def _round_robin(sizes: Mapping[str, int], _rows: Mapping[str, int], _config: Any, _draw: Any) -> list[str]:
    return [name for turn in range(max(sizes.values(), default=0)) for name, n in sizes.items() if turn < n]


def _proportional(
    sizes: Mapping[str, int], _rows: Mapping[str, int], _config: Any, draw: np.random.Generator
) -> list[str]:
    """Drawing a table by the batches it has left is the same as shuffling all batches."""
    names = _sequential(sizes, _rows, _config, draw)
    return [names[i] for i in draw.permutation(len(names))]


def _temperature(
    sizes: Mapping[str, int], rows: Mapping[str, int], config: Any, draw: np.random.Generator
) -> list[str]:
    names: Sequence[str] = list(sizes)
    if not names:
        return []
    weight = np.array([rows[n] for n in names], dtype=np.float64) ** (1.0 / config.temperature)
    picks = draw.choice(len(names), size=sum(sizes.values()), p=weight / weight.sum())
    return [names[i] for i in picks]


_ORDERS = {
    "sequential": _sequential,
    "round_robin": _round_robin,
    "proportional": _proportional,
    "temperature": _temperature,
}
