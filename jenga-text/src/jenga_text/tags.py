"""Entities and BIO tags: one tag per token, B at an entity's first token, I at its others, O elsewhere. Pure numpy.

Labels are numbered from 0; tag 0 is O, label k has the tags 1 + 2k (B) and 2 + 2k (I).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jenga_core.contracts import Array, Ragged

OUTSIDE = 0
# How each prefix of IOB1, IOB2, BIOES and BILOU reads: does an entity begin here, whatever came before?
BEGINS = {"B": True, "S": True, "U": True, "I": False, "M": False, "E": False, "L": False}


@dataclass(frozen=True, slots=True)
class Entities:
    """Entities of several rows, in order: all arrays int64 [E], `first` and `last` are places in the flat tokens."""

    row: Array
    start: Array
    end: Array
    label: Array
    first: Array
    last: Array


def begin(labels: Array) -> Array:
    return 1 + 2 * labels


def label_of(tags: Array) -> Array:
    """The label's number; -1 for O."""
    return (tags + 1) // 2 - 1


def entities(tags: Array, row: Array, spans: Array, column: int) -> Entities:
    """What the tags of flat tokens say. `tags`, `row` [N]; `spans` [N, 3]: column, start, end, as in `Encoded.spans`.

    Tokens of other columns and tokens without a character are passed over. An I that continues nothing begins an entity, as
    conlleval (CoNLL-2000) reads it.
    """
    at = np.flatnonzero((spans[:, 0] == column) & (spans[:, 1] < spans[:, 2]))
    found, row = tags[at], row[at]
    label = label_of(found)
    continues = np.zeros(len(at), dtype=bool)
    if len(at):
        continues[1:] = (found[1:] % 2 == 0) & (found[1:] > 0) & (label[:-1] == label[1:]) & (row[:-1] == row[1:])
    inside = found > OUTSIDE
    first = np.flatnonzero(inside & ~continues)
    follows = np.append(continues[1:], False)
    last = np.flatnonzero(inside & ~follows)
    return Entities(row[first], spans[at[first], 1], spans[at[last], 2], label[first], at[first], at[last])


def align(gold: Ragged, spans: Ragged, column: int) -> tuple[Ragged, int, int]:
    """Character spans -> tags of tokens, by overlap of their characters. O(tokens + entities).

    Returns (tags, -1 where a token carries none; rows in which an entity cuts a token; rows with entities behind the tokens).
    """
    every = np.arange(len(spans))
    row, _, place = spans.flat(every)
    y = np.where((place[:, 0] == column) | (place[:, 0] < 0), OUTSIDE, -1).astype(np.int64)
    at = np.flatnonzero((place[:, 0] == column) & (place[:, 1] < place[:, 2]))
    entity_row, _, entity = gold.flat(every)
    if not len(entity):
        return Ragged(y, spans.starts), 0, 0
    size = max(int(place[:, 2].max(initial=0)), int(entity[:, 1].max())) + 1
    starts, ends = row[at] * size + place[at, 1], row[at] * size + place[at, 2]
    # Tokens of a row are in the order of the text, so those that overlap an entity follow each other.
    first = np.searchsorted(ends, entity_row * size + entity[:, 0], side="right")
    behind = np.searchsorted(starts, entity_row * size + entity[:, 1], side="left")
    some = first < behind
    lost = entity_row[~some]
    cut = np.zeros(len(entity), dtype=bool)
    cut[some] = (starts[first[some]] != (entity_row * size + entity[:, 0])[some]) | (
        ends[behind[some] - 1] != (entity_row * size + entity[:, 1])[some]
    )
    # From its first token to its last, those without a character between them too: an I must not follow an O.
    lo = at[first[some]]
    length = at[behind[some] - 1] + 1 - lo
    tokens = np.repeat(lo - (np.cumsum(length) - length), length) + np.arange(int(length.sum()))
    label = entity[some, 2]
    y[tokens] = np.repeat(np.where(label >= 0, begin(label) + 1, -1), length)
    y[lo] = np.where(label >= 0, begin(label), -1)
    return Ragged(y, spans.starts), len(set(entity_row[cut].tolist())), len(set(lost.tolist()))


def read(tags: Sequence[str]) -> tuple[list[tuple[int, int, str]], int]:
    """Tags of one sentence as text -> [(first word, word behind the last, label)], and how many began with I or its like.

    IOB1, IOB2, BIOES and BILOU all read rightly by one rule: an entity begins at B, S and U, and at any other prefix that
    continues nothing. Raises `ValueError` for what is no tag.
    """
    found: list[tuple[int, int, str]] = []
    open_at, label, repaired = -1, "", 0
    for at, tag in enumerate(tags):
        if tag == "O":
            _close(found, open_at, at, label)
            open_at = -1
            continue
        prefix, dash, name = tag.partition("-")
        if not dash or prefix not in BEGINS or not name:
            raise ValueError(f"{tag!r} is no tag: O, or B-LABEL and I-LABEL (also S, E, U, L, M)")
        if open_at >= 0 and name == label and not BEGINS[prefix]:
            continue
        _close(found, open_at, at, label)
        open_at, label = at, name
        repaired += not BEGINS[prefix]
    _close(found, open_at, len(tags), label)
    return found, repaired


def _close(found: list[tuple[int, int, str]], begin: int, end: int, label: str) -> None:
    if begin >= 0:
        found.append((begin, end, label))
