"""Cells with entities -> character spans that have been checked: objects or JSON, or one BIO tag per word."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import Any, TypeGuard

import pandas as pd

from jenga_core.errors import DataError

from . import tags as bio

Span = tuple[int, int, str]
KEYS = ("start", "end", "label")
BLANKS = "an entity has blanks at its ends (trimmed)"
LABEL_BLANKS = "the label of an entity has blanks at its ends (trimmed)"
BEGINS_WITH_I = "an entity begins with I (read as B)"
ASCII_BLANKS = re.compile(r"[ \t\r\n\v\f]+")


@dataclass(slots=True)
class Found:
    """The entities of each row in the order of the text, None where there is no label; `remarks`: what is odd -> rows with it."""

    rows: list[list[Span] | None] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)

    def add(self, given: list[Span], text: str, row: Any, column: str) -> None:
        """The entities of the next row, without blanks at their ends. `DataError` for two that overlap, one of blanks only."""
        kept = [_trimmed(span, text, row, column) for span in given]
        pairs = list(zip(given, kept, strict=True))
        self.remarks[BLANKS] += any(one[:2] != other[:2] for one, other in pairs)
        self.remarks[LABEL_BLANKS] += any(one[2] != other[2] for one, other in pairs)
        self.rows.append(_apart(sorted(kept), text, row, column))


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


def from_spans(cells: pd.Series, texts: Sequence[str], column: str) -> Found:
    """`DataError` with row and column for what is no span, lies outside its text, overlaps or holds blanks only."""
    found = Found()
    for given, text, row in zip(lists_of(cells, column), texts, cells.index, strict=True):
        if given is None:
            found.rows.append(None)
        else:
            found.add([_span(each, text, row, column) for each in given], text, row, column)
    return found


def _apart(spans: list[Span], text: str, row: Any, column: str) -> list[Span]:
    for one, other in pairwise(spans):
        if other[0] < one[1]:
            raise DataError(
                f"{_shown(one, text)} and {_shown(other, text)} overlap; each character has one label at most",
                row=row,
                column=column,
                next="keep one of the two, or learn each kind of entity as a task of its own",
            )
    return spans


def _trimmed(span: Span, text: str, row: Any, column: str) -> Span:
    """Tools for annotation hand over "Nairobi " for Nairobi; no token has a blank at its ends, so none could be right."""
    start, end, label = span
    words = text[start:end]
    if words.isspace():
        what = f"{label} {start}:{end} holds nothing but blanks"
        raise DataError(what, row=row, column=column, next="remove this entity, or correct its start and end")
    return start + len(words) - len(words.lstrip()), end - len(words) + len(words.rstrip()), label.strip()


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


def from_tags(cells: pd.Series, words: pd.Series | None, texts: Sequence[str], column: str) -> Found:
    """Entities from BIO tags. `words`: the column of the words, or None: the text, cut at blanks.

    `DataError` with row and column: a tag that is none, not as many tags as words, a word that the text does not have.
    """
    tags = lists_of(cells, column, words=True)
    given, name = ([None] * len(tags), column) if words is None else (words.tolist(), str(words.name))
    found = Found()
    for row, tagged, each, text in zip(cells.index, tags, given, texts, strict=True):
        if tagged is None:
            found.rows.append(None)
            continue
        places = _places(_words(each, text, len(tagged), row, name), text, row, name)
        if len(places) != len(tagged):
            raise DataError(f"{len(tagged)} tags for {len(places)} words", row=row, column=column)
        try:
            read, wrong = bio.read([str(tag).strip() for tag in tagged])
        except ValueError as error:
            raise DataError(str(error), row=row, column=column) from None
        found.remarks[BEGINS_WITH_I] += wrong > 0
        found.add([(places[a][0], places[b - 1][1], label) for a, b, label in read], text, row, column)
    return found


def _words(cell: Any, text: str, tags: int, row: Any, column: str) -> list[Any]:
    """The words that so many tags belong to: those of the cell, a list or a text; where it is empty, those of the text.

    A text is cut at the blanks of ASCII, as CoNLL files are; where that gives another number than there are tags, at all.
    """
    written = isinstance(cell, str) and not cell.lstrip().startswith("[")
    listed = None if written else _list(cell, row, column, words=False)
    if listed is not None:
        return listed
    whole = cell if written and not cell.isspace() and cell else text
    words = [word for word in ASCII_BLANKS.split(whole) if word]
    return words if len(words) == tags else whole.split()


def _places(words: Sequence[Any], text: str, row: Any, column: str) -> list[tuple[int, int]]:
    """(start, end) of each word in the text, one after the other; blanks at the ends of a word need not be in the text."""
    found, at = [], 0
    for word in map(str, words):
        start = text.find(word, at)
        if start < 0:
            word = word.strip()
            start = text.find(word, at)
        if start < 0 or not word:
            what = f"the word {word!r} is not in the text behind character {at}"
            raise DataError(what, row=row, column=column, next="the words must be those of the text, in its order")
        at = start + len(word)
        found.append((start, at))
    return found
