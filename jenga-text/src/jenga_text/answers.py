"""Answers as SQuAD's official script compares them, and the cells that hold them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.contracts import Array, Ragged
from jenga_core.errors import DataError

from .spans import lists_of
from .tags import align

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
Answer = tuple[int, str]  # where it begins, and its text
NONE, LOST = -1, -2  # instead of a token: there is no answer; it lies behind what was kept of the context


@lru_cache(maxsize=1 << 16)
def normal(answer: str) -> str:
    """Lower case, without punctuation, articles and more than single blanks (evaluate-v2.0.py)."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split())


def exact(answer: str, gold: Sequence[str]) -> float:
    """1 where the answer is one of the gold ones; "" means that there is none, and an empty `gold` likewise."""
    return max(float(normal(answer) == normal(each)) for each in gold or ("",))


def f1(answer: str, gold: Sequence[str]) -> float:
    """The overlap of words with the gold answer that fits best."""
    return max(_overlap(normal(answer).split(), normal(each).split()) for each in gold or ("",))


def _overlap(one: list[str], other: list[str]) -> float:
    if not one or not other:
        return float(one == other)
    same = sum((Counter(one) & Counter(other)).values())
    return 2 * same / (len(one) + len(other))


def answers_of(cells: pd.Series, contexts: Sequence[str], column: str) -> tuple[list[list[Answer] | None], int]:
    """The answers of each row without blanks at their ends, None where there is no label; and in how many rows one had some.

    `DataError` with row and column where one is not in the context, or is nothing but blanks.
    """
    flat = [
        _of_lists(cell, row, column) if isinstance(cell, Mapping) else cell
        for cell, row in zip(cells, cells.index, strict=True)
    ]
    found: list[list[Answer] | None] = []
    trimmed = 0
    lists = lists_of(pd.Series(flat, cells.index, object), column)
    for given, text, row in zip(lists, contexts, cells.index, strict=True):
        answers = None if given is None else [_answer(each, text, row, column) for each in given]
        kept = None if answers is None else [_without_blanks(each, row, column) for each in answers]
        found.append(kept)
        trimmed += answers != kept
    return found, trimmed


def _without_blanks(answer: Answer, row: Any, column: str) -> Answer:
    start, text = answer
    if text.isspace():
        what = f"the answer at character {start} is nothing but blanks"
        raise DataError(what, row=row, column=column, next="an empty list says that there is no answer")
    return start + len(text) - len(text.lstrip()), text.strip()


def _of_lists(cell: Mapping[str, Any], row: Any, column: str) -> Any:
    """The form of Hugging Face's data sets: {text: [...], answer_start: [...]}."""
    texts, starts = cell.get("text"), cell.get("answer_start")
    if texts is None or starts is None:
        return cell
    if not all(isinstance(each, list | tuple | np.ndarray) for each in (texts, starts)) or len(texts) != len(starts):
        what = f"{str(cell)[:60]!r} is no {{text: [...], answer_start: [...]}} with as many starts as texts"
        raise DataError(what, row=row, column=column)
    return [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]


def _answer(given: Any, context: str, row: Any, column: str) -> Answer:
    text, start = (given.get("text"), given.get("answer_start")) if isinstance(given, Mapping) else (None, None)
    if not isinstance(text, str) or not text or not isinstance(start, int) or isinstance(start, bool):
        raise DataError(f"{str(given)[:60]!r} is no answer {{text, answer_start}}", row=row, column=column)
    if start < 0 or context[start : start + len(text)] != text:
        near = context.find(text)
        raise DataError(
            f"the answer {text[:40]!r} does not stand at character {start} of the context",
            row=row,
            column=column,
            next=f"it stands at {near}" if near >= 0 else "the context does not have it: correct the row",
        )
    return start, text


def tokens_of(answers: Sequence[Answer | None], spans: Ragged, column: int) -> tuple[Array, Array]:
    """(first, last) token of each answer, NONE or LOST, int64 [N]. `spans` and `column`: the tokens of the contexts."""
    gold = Ragged.of([[(a[0], a[0] + len(a[1]), 0)] if a else np.zeros((0, 3), np.int64) for a in answers], np.int64)
    row, pos, tag = align(gold, spans, column)[0].flat(np.arange(len(spans)))
    start = np.where(gold.lengths() > 0, LOST, NONE)
    end = start.copy()
    inside = tag > 0
    first = inside & (tag == 1)
    start[row[first]] = pos[first]
    end[row[inside]] = pos[inside]  # the last of them stays
    return start, end
