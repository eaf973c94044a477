"""Tokens of several columns -> one sequence per row, with the special tokens that the tokenizer's own template puts there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jenga_core.contracts import Array, Ragged

NO_CELL = -1  # the column of a special token, in spans


@dataclass(frozen=True, slots=True)
class Template:
    """Special tokens before the first column, between two columns, after the last; `types` of the first and later columns.

    BERT: [CLS] a [SEP] b [SEP], types 0 and 1. RoBERTa: <s> a </s></s> b </s>, types 0 and 0.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, int]

    @classmethod
    def of(cls, tokenizer: Any) -> Template:
        """Read off what the tokenizer does to a pair."""
        made = tokenizer.encode("a", "b")
        of_a = [at for at, sequence in enumerate(made.sequence_ids) if sequence == 0]
        of_b = [at for at, sequence in enumerate(made.sequence_ids) if sequence == 1]
        ids, types = made.ids, made.type_ids
        return cls(
            tuple(ids[: of_a[0]]),
            tuple(ids[of_a[-1] + 1 : of_b[0]]),
            tuple(ids[of_b[-1] + 1 :]),
            (types[of_a[0]], types[of_b[0]]),
        )

    @property
    def ids(self) -> tuple[int, ...]:
        return (*self.before, *self.between, *self.after)

    def specials(self, columns: int) -> int:
        return len(self.before) + (columns - 1) * len(self.between) + len(self.after)


@dataclass(frozen=True, slots=True)
class Rows:
    """Sequences of N rows. `spans` [tokens, 3]: column, start, end in characters. `cut` and `lead` int64 [N].

    `cut` counts the tokens left out; `lead` the tokens before those of the last column.
    """

    ids: Ragged
    types: Ragged
    spans: Ragged
    cut: Array
    lead: Array


def assemble(ids: Sequence[Ragged], offsets: Sequence[Array], template: Template, max_length: int | None) -> Rows:
    """`ids` per column, `offsets` [its tokens, 2] per column; rows get at most `max_length` tokens."""
    found = np.stack([column.lengths() for column in ids], axis=1)
    specials = template.specials(len(ids))
    kept = found if max_length is None else shares(found, max(max_length - specials, 0))
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1) + specials)])
    total = int(starts[-1])
    values, types = np.zeros(total, np.int32), np.zeros(total, np.uint8)
    spans = np.tile(np.array([[NO_CELL, 0, 0]], np.int32), (total, 1))
    at = starts[:-1].copy()
    lead = at
    for number, column in enumerate(ids):
        kind = template.types[min(number, 1)]
        # What parts two columns counts as the first one's, as in BERT.
        at = _fill(values, types, at, template.between if number else template.before, template.types[number > 1])
        lead = at
        source, target = _places(column, kept[:, number], at)
        values[target], types[target] = column.values[source], kind
        spans[target, 0], spans[target, 1:] = number, offsets[number][source]
        at = at + kept[:, number]
    _fill(values, types, at, template.after, template.types[len(ids) > 1])
    return Rows(
        Ragged(values, starts),
        Ragged(types, starts),
        Ragged(spans, starts),
        (found - kept).sum(axis=1),
        lead - starts[:-1],
    )


def shares(lengths: Array, budget: int) -> Array:
    """How much of each column to keep: [N, columns]. Rows over `budget` lose from their longest columns first."""
    order = np.argsort(lengths, axis=1, kind="stable")
    ascending = np.take_along_axis(lengths, order, axis=1)
    left, kept = np.full(len(lengths), budget), np.empty_like(lengths)
    for at in range(lengths.shape[1]):
        kept[:, at] = np.minimum(ascending[:, at], left // (lengths.shape[1] - at))
        left = left - kept[:, at]
    back = np.empty_like(kept)
    np.put_along_axis(back, order, kept, axis=1)
    return back


def _fill(values: Array, types: Array, at: Array, ids: tuple[int, ...], kind: int) -> Array:
    """Write special tokens at `at`; returns the places behind them."""
    for shift, token in enumerate(ids):
        values[at + shift], types[at + shift] = token, kind
    return at + len(ids)


def _places(column: Ragged, kept: Array, at: Array) -> tuple[Array, Array]:
    """(places in the column's values, places in the row sequences) of the first `kept` tokens of each row."""
    ends = np.cumsum(kept)
    pos = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - kept, kept)
    return np.repeat(column.starts[:-1], kept) + pos, np.repeat(at, kept) + pos
