"""What stands beside a model of answers in the report: no answer at all, and the words of the question sought in the context."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from jenga_core.contracts import Array, Baseline, Classical, Columns, Ragged

from .answers import NONE, Answer, normal, tokens_of
from .cells import kept_texts
from .words import words_of

USUAL = 3  # words of an answer, where training rows have none


class NoAnswer(Baseline):
    """Says of every question that the context does not answer it."""

    name, trivial = "no answer", True

    def fit(self, features: Any, target: Columns) -> None:
        """There is nothing to learn."""

    def predict(self, features: Any, rows: int) -> Columns:
        return outputs(np.full(rows, NONE), np.full(rows, NONE), np.zeros(rows, np.int64))


class SlidingWindow(Baseline):
    """Richardson et al., "MCTest" (EMNLP 2013): the piece of the context around which the question's words weigh most.

    A word weighs log(1 + 1 / how often the context has it). A piece has as many words as the middle training answer, none of
    the question's where that is possible; around it as many words count, to each side, as the question has.
    No answer where context and question share no word.
    """

    name, trivial, reads = "sliding window", False, "inputs"

    def __init__(self, input: str, column: int, columns: int) -> None:
        self.input, self.column, self.columns = input, column, columns
        self.length = USUAL

    def fit(self, features: Classical | None, target: Columns) -> None:
        given = [answers[0] for answers in np.asarray(target["answers"]) if answers]
        lengths = [len(list(words_of(text))) for text in given]
        self.length = max(int(np.median(lengths)), 1) if lengths else USUAL

    def predict(self, features: Classical | None, rows: int) -> Columns:
        assert features is not None
        encoded = features.inputs[self.input]
        texts = [kept_texts(encoded.columns, at, features.rows) for at in range(self.columns)]
        others = [texts[at] for at in range(self.columns) if at != self.column]
        found = [
            found_in(context, " ".join(asked), self.length)
            for context, *asked in zip(texts[self.column], *others, strict=True)
        ]
        assert encoded.spans is not None
        spans = encoded.spans.take(features.rows)
        return outputs(*tokens_of(found, spans, self.column), spans.lengths())


def found_in(context: str, question: str, length: int) -> Answer | None:
    places = [place for place in words_of(context) if normal(place[0])]  # no marks, no articles
    words = [normal(word) for word, *_ in places]
    asked = {normal(word) for word, *_ in words_of(question)} - {""}
    often = Counter(words)
    weight = np.array([np.log1p(1 / often[word]) if word in asked else 0.0 for word in words])
    if not weight.any():
        return None
    at = best_place(weight, min(length, len(words)), max(len(asked), 1))
    last = min(at + length, len(words)) - 1
    start, end = places[at][1], places[last][2]
    return start, context[start:end]


def best_place(weight: Array, length: int, around: int) -> int:
    """Where the best piece of `length` words begins: the fewest words of the question in it, the most around it; the first."""
    total = np.concatenate([[0.0], np.cumsum(weight)])
    begins = np.arange(len(weight) - length + 1)
    near = total[np.minimum(begins + length + around, len(weight))] - total[np.maximum(begins - around, 0)]
    own = total[begins + length] - total[begins]
    return int(np.argmax(near - own - np.where(own > 0, total[-1], 0.0)))


def outputs(start: Array, end: Array, lengths: Array) -> Columns:
    """In the form of the task's outputs: 1 where an answer begins and where it ends, or for "none"."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    made: dict[str, Array | Ragged] = {}
    for name, token in (("start", start), ("end", end)):
        values, given = np.zeros(int(starts[-1])), token >= 0
        values[starts[:-1][given] + token[given]] = 1.0
        made[name] = Ragged(values, starts)
        made[f"none_{name}"] = np.where(given, 0.0, 1.0)
    return made
