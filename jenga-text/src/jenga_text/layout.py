"""Which tokens an encoder reads together: rows without their padding, long rows as windows that overlap. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jenga_core.contracts import Array


@dataclass(frozen=True, slots=True)
class Layout:
    """W sequences over the tokens of B rows, one sequence per row or several windows of it, N tokens in all.

    `source` int64 [N]: place in the padded batch, row * T + position. `lengths` and `row` int64 [W]. `back` int64: for
    each token of the rows, in order, its place among the N: the window in which it has most of its neighbours.
    """

    source: Array
    lengths: Array
    row: Array
    back: Array

    @property
    def starts(self) -> Array:
        """Where each sequence begins among the N."""
        return np.cumsum(self.lengths) - self.lengths


def rows_alone(lengths: Array, width: int) -> Layout:
    """Every row as one sequence. `width`: T of the padded batch."""
    row = np.arange(len(lengths))
    source = np.repeat(row * width, lengths) + counting(lengths)
    return Layout(source, lengths, row, np.arange(len(source)))


def windows(lengths: Array, width: int, lead: Array, *, tail: int, window: int, overlap: int) -> Layout:
    """Rows longer than `window` as windows: the row's first `lead` tokens, a piece, its last `tail` tokens.

    Pieces of a row follow each other with `overlap` tokens in common; a lead longer than half a window is cut there.
    """
    pieces, row, back, at = [], [], [], 0
    for number, length in enumerate(lengths.tolist()):
        if length <= window:
            made, places = [np.arange(length)], np.arange(length)
        else:
            made, places = _cut(length, min(int(lead[number]), window // 2), tail, window, overlap)
        pieces += [number * width + piece for piece in made]
        row += [number] * len(made)
        back.append(at + places)
        at += sum(map(len, made))
    sizes = np.array([len(piece) for piece in pieces], dtype=np.int64)
    return Layout(np.concatenate(pieces), sizes, np.array(row), np.concatenate(back))


def by_length(layout: Layout) -> Layout:
    """The same sequences, short ones first: attention then works on neighbours of one length."""
    order = np.argsort(layout.lengths, kind="stable")
    lengths = layout.lengths[order]
    moved = np.repeat(layout.starts[order], lengths) + counting(lengths)
    back = np.empty_like(moved)
    back[moved] = np.arange(len(moved))
    return Layout(layout.source[moved], lengths, layout.row[order], back[layout.back])


def groups(lengths: Array, overhead: float) -> list[slice]:
    """Ascending lengths in the runs that are cheapest to pad: a run of n costs `overhead` + n * longest^2.

    `overhead` is in pairs of tokens, those that attention could score in the time that one more run takes; with infinity all
    are one run. Dynamic programming over the different lengths.
    """
    if overhead == np.inf:
        return [slice(0, len(lengths))]
    longest, ends = np.unique(lengths, return_counts=True)
    ends = np.cumsum(ends)
    begins = np.concatenate([[0], ends[:-1]])  # a run begins with the first of a length and ends with the last of one
    cost, chosen = np.zeros(len(ends) + 1), []
    for at, (length, end) in enumerate(zip(longest.tolist(), ends.tolist(), strict=True)):
        every = cost[: at + 1] + overhead + (end - begins[: at + 1]) * float(length) ** 2
        chosen.append(int(every.argmin()))
        cost[at + 1] = every[chosen[-1]]
    found, at = [], len(ends)
    while at:
        found.append(slice(int(begins[chosen[at - 1]]), int(ends[at - 1])))
        at = chosen[at - 1]
    return found[::-1]


def _cut(length: int, lead: int, tail: int, window: int, overlap: int) -> tuple[list[Array], Array]:
    """(positions in the row of each window's tokens, place among them of each of the row's tokens)."""
    room = window - lead - tail
    step = room - min(overlap, room // 2)
    begins = np.arange(lead, max(length - tail - room, lead) + step, step)
    begins = np.minimum(begins, length - tail - room)  # the last window is full as well
    shared, end = np.arange(lead), np.arange(length - tail, length)
    made = [np.concatenate([shared, np.arange(begin, begin + room), end]) for begin in begins]
    body = np.arange(lead, length - tail)
    # A token lies best in the window whose middle is nearest.
    middles = begins + (room - 1) / 2
    best = np.searchsorted((middles[1:] + middles[:-1]) / 2, body)
    within = best * window + lead + body - begins[best]
    return made, np.concatenate([shared, within, (len(begins) - 1) * window + lead + room + np.arange(tail)])


def counting(lengths: Array) -> Array:
    """0, 1, ... within each of the sequences."""
    ends = np.cumsum(lengths)
    found: Array = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
    return found
