"""Cells with entities -> character spans that have been checked: objects or JSON, or one BIO tag per word."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any, TypeGuard

import pandas as pd

from jenga_core.errors import DataError

from . import tags as bio

Span = tuple[int, int, str]
KEYS = ("start", "end", "label")


def lists_of(cells: pd.Series, column: str, *, words: bool = False) -> list[list[Any] | None]:
    """One list per cell, None for null and blank. Text is JSON, or with `words` also words between blanks."""
    return [_list(cell, cells.index[at], column, words) for at, cell in enumerate(cells.tolist())]


def _list(cell: Any, row: Any, column: str, words: bool) -> list[Any] | None:
    if isinstance(cell, str):
        if not cell.strip():
            return None
        if words and not cell.lstrip().startswith("["):
            return cell.split()
        try:
            cell = json.loads(cell)
        except ValueError as error:
            raise DataError(f"{cell[:60]!r} is no JSON list: {error}", row=row, column=column) from None
    elif not isinstance(cell, Iterable | Mapping) and pd.isna(cell):
        return None
    if isinstance(cell, Mapping) or not isinstance(cell, Iterable) or isinstance(cell, str | bytes):
        if cell is None:
            return None
        raise DataError(f"{str(cell)[:60]!r} is no list", row=row, column=column)
    return list(cell)


def from_spans(cells: pd.Series, texts: Sequence[str], column: str) -> list[list[Span] | None]:
    """Spans of each row in the order of the text. `DataError` with row and column for what lies outside it or overlaps."""
    rows = zip(lists_of(cells, column), texts, cells.index, strict=True)
    return [None if found is None else _checked(found, text, row, column) for found, text, row in rows]


def _checked(found: list[Any], text: str, row: Any, column: str) -> list[Span]:
    spans = sorted(_span(each, text, row, column) for each in found)
    for one, other in pairwise(spans):
        if other[0] < one[1]:
            raise DataError(
                f"{_shown(one, text)} and {_shown(other, text)} overlap; each character has one label at most",
                row=row,
                column=column,
                next="keep one of the two, or learn each kind of entity as a task of its own",
            )
    return spans


def _span(given: Any, text: str, row: Any, column: str) -> Span:
    values = [given.get(key) for key in KEYS] if isinstance(given, Mapping) else given
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != len(KEYS):
        raise DataError(f"{str(given)[:60]!r} is no entity {{start, end, label}}", row=row, column=column)
    start, end, label = values
    if not (_is_whole(start) and _is_whole(end)):
        raise DataError(f"start {start!r} and end {end!r} are not whole numbers", row=row, column=column)
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"the label of {start}:{end} is {label!r}, which is no name", row=row, column=column)
    if not 0 <= start < end <= len(text):
        what = f"{label} {start}:{end} does not lie within the text of {len(text)} characters"
        raise DataError(what, row=row, column=column, next="count characters from 0; `end` is the one behind the last")
    return int(start), int(end), label


def _is_whole(given: Any) -> TypeGuard[int]:
    return isinstance(given, Real) and not isinstance(given, bool) and bool(given == given // 1)


def _shown(span: Span, text: str) -> str:
    start, end, label = span
    return f"{label} {start}:{end} {text[start:end][:30]!r}"


def from_tags(
    cells: pd.Series, words: pd.Series | None, texts: Sequence[str], column: str
) -> tuple[list[list[Span] | None], int]:
    """Spans from BIO tags, and in how many rows an entity began with I. `words`: the column of the words, or None.

    `DataError` with row and column: a tag that is none, not as many tags as words, a word that the text does not have.
    """
    tags = lists_of(cells, column, words=True)
    given = [None] * len(tags) if words is None else lists_of(words, str(words.name), words=True)
    found: list[list[Span] | None] = []
    repaired = 0
    for row, tagged, each, text in zip(cells.index, tags, given, texts, strict=True):
        if tagged is None:
            found.append(None)
            continue
        places = _places(
            text.split() if each is None else each, text, row, column if words is None else str(words.name)
        )
        if len(places) != len(tagged):
            raise DataError(f"{len(tagged)} tags for {len(places)} words", row=row, column=column)
        try:
            read, wrong = bio.read([str(tag) for tag in tagged])
        except ValueError as error:
            raise DataError(str(error), row=row, column=column) from None
        repaired += wrong > 0
        found.append([(places[a][0], places[b - 1][1], label) for a, b, label in read])
    return found, repaired


def _places(words: Sequence[Any], text: str, row: Any, column: str) -> list[tuple[int, int]]:
    """(start, end) of each word in the text, one after the other."""
    found, at = [], 0
    for word in map(str, words):
        start = text.find(word, at)
        if start < 0 or not word:
            what = f"the word {word!r} is not in the text behind character {at}"
            raise DataError(what, row=row, column=column, next="the words must be those of the text, in its order")
        at = start + len(word)
        found.append((start, at))
    return found
