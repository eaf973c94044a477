"""text/words: columns of text -> words with their spelling as features, for small networks without a checkpoint."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from jenga_core import states
from jenga_core.contracts import Array, Classical, Encoded, Processor, Purpose, Ragged, Reference
from jenga_core.errors import DataError

from .cells import kept
from .readable import as_they_came
from .redaction import TextReader, counted
from .tfidf import TfIdf
from .word_config import WordsConfig

SLOTS = ("word", "shape", *(f"first {n}" for n in range(1, 5)), *(f"last {n}" for n in range(1, 5)))
RARE = 0  # the number of a value that training rows do not have often enough; also fills behind a row's end
# A run of letters, digits and marks, with apostrophes and hyphens inside, or any other character that is no blank.
WORD = re.compile(r"[\w\u0300-\u036f]+(?:['’-][\w\u0300-\u036f]+)*|\S[\u0300-\u036f\u200d\ufe0f]*")


def words_of(text: str) -> Iterator[tuple[str, int, int]]:
    """(word, start, end) of every word."""
    for found in WORD.finditer(text):
        yield found[0], found.start(), found.end()


def features_of(word: str) -> tuple[str, ...]:
    """Its value in each of `SLOTS`. Affixes are of the word in lower case; "" where the word is no longer than the affix."""
    lower = word.lower()
    affixes = [lower[:n] if len(lower) > n else "" for n in range(1, 5)] + [
        lower[-n:] if len(lower) > n else "" for n in range(1, 5)
    ]
    return (lower, shape(word), *affixes)


def shape(word: str) -> str:
    """X for capitals, x for other letters, 9 for digits, all else as it is; runs of more than two are cut to two."""
    kinds = ["9" if c.isdigit() else ("X" if c.isupper() else "x") if c.isalpha() else c for c in word]
    return "".join("".join(list(run)[:2]) for _, run in groupby(kinds))


class WordsProcessor(Processor):
    """Encoded column `features` (Ragged [words, slots], numbers of their values); `spans` per word. No special tokens.

    With `redact` the words are those without personal data, while `spans` are places in the texts as they came.

    Collated: `features` int64 [B, T, slots] and `mask` [B, T]. In training a word's own value is taken away now and then
    (`word_dropout`), so that its spelling is learned too.
    """

    def __init__(self, config: WordsConfig, backbone_config: Any = None) -> None:
        self.config, self.reader = config, TextReader(config.redact)
        self.confidential = config.redact is not None
        self.keeps_texts = not self.confidential  # in what it encodes, where `spans` are places in them: for baselines
        self.columns: tuple[str, ...] = ()
        self.values: list[dict[str, int]] = []
        self._tfidf = TfIdf()

    def fit(self, cells: pd.DataFrame) -> None:
        self.fit_together([cells], 0)

    def fit_together(self, cells: Sequence[pd.DataFrame], own: int) -> None:
        texts, self.columns = [self.reader.read(some).texts for some in cells], tuple(map(str, cells[own].columns))
        seen = Counter(w for some in texts for column in some for text in column for w, _, _ in words_of(text))
        if not seen:
            raise DataError("there is no word in the training rows", where=f"columns {', '.join(self.columns)}")
        counts: list[Counter[str]] = [Counter() for _ in SLOTS]
        for word, n in seen.items():
            for slot, value in enumerate(features_of(word)):
                counts[slot][value] += n
        often = [sorted(v for v, n in found.items() if n >= self.config.min_count) for found in counts]
        self._number(often)
        self._tfidf = TfIdf(texts[own])

    def _number(self, values: list[list[str]]) -> None:
        """Values of all slots are numbered through, from 1."""
        starts = np.cumsum([1, *map(len, values)])
        self.values = [
            {value: int(start) + at for at, value in enumerate(found)}
            for start, found in zip(starts, values, strict=False)
        ]

    def state(self) -> dict[str, Any]:
        return {"values": [list(found) for found in self.values], **self.reader.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        values = [list(states.texts(found)) for found in state["values"]]
        if len(values) != len(SLOTS):
            raise ValueError(f"there are values of {len(values)} features, and a word has {len(SLOTS)}")
        self._number(values)
        self.reader.restore(state)

    def facts(self) -> Mapping[str, Any]:
        words = "\n".join(value for found in self.values for value in found)
        digest = hashlib.sha256(words.encode(errors="surrogatepass")).hexdigest()[:12]
        return {"vocabulary": 1 + sum(map(len, self.values)), "slots": len(SLOTS), "words": digest}

    def encode(self, cells: pd.DataFrame) -> Encoded:
        known: dict[str, list[int]] = {}
        features: list[list[int]] = []
        spans: list[tuple[int, int, int]] = []
        lengths = np.zeros(len(cells), dtype=np.int64)
        read = self.reader.read(cells)
        for row, texts in enumerate(zip(*read.texts, strict=True)):
            before = len(features)
            for column, text in enumerate(texts):
                for word, start, end in words_of(text):
                    if word not in known:
                        known[word] = [
                            slot.get(v, RARE) for slot, v in zip(self.values, features_of(word), strict=True)
                        ]
                    features.append(known[word])
                    spans.append((column, start, end))
            lengths[row] = len(features) - before
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = Ragged(np.array(spans, np.int32).reshape(-1, 3), starts)
        present = lengths > 0
        return Encoded(
            {
                "features": Ragged(np.array(features, np.int32).reshape(-1, len(SLOTS)), starts),
                **kept(read.texts),
                **read.columns(places),
            },
            present,
            lengths=lengths,
            spans=read.original(places),
            excluded={"no text": int((~present).sum())} if not present.all() else {},
        )

    def collate(
        self, encoded: Encoded, rows: Array, purpose: Purpose, rng: np.random.Generator
    ) -> Mapping[str, Tensor]:
        features = encoded.columns["features"]
        assert isinstance(features, Ragged)
        padded = features.padded(rows, RARE).astype(np.int64)
        mask = np.arange(padded.shape[1]) < features.lengths(rows)[:, None]
        if purpose == "train" and self.config.word_dropout:
            padded[:, :, 0][rng.random(mask.shape) < self.config.word_dropout] = RARE
        return {"features": torch.from_numpy(padded), "mask": torch.from_numpy(mask)}

    def reference(self, data: Mapping[str, Tensor]) -> Reference:
        """Words that are rare in all they have: what training rows with `word_dropout` or rare words have shown."""
        return Reference({"features": torch.full_like(data["features"], RARE)})

    def shown(self, encoded: Encoded, rows: Array) -> Ragged:
        """The words themselves; all of a placeholder stand where the text had what it replaces."""
        assert encoded.spans is not None
        spans, places = encoded.spans.take(rows), encoded.columns.get("places")
        return as_they_came(places.take(rows), spans) if isinstance(places, Ragged) else spans

    def counts(self, encoded: Encoded, rows: Array) -> Mapping[str, int]:
        features = encoded.columns["features"]
        assert isinstance(features, Ragged)
        row, _, value = features.flat(rows)
        rare = np.bincount(row[value[:, 0] == RARE], minlength=len(rows)) > features.lengths(rows) / 2
        found = {"more than half of the words are rare or new": int(rare.sum())} if rare.any() else {}
        return found | counted(encoded.columns, rows)

    def classical(self, encoded: Encoded, rows: Array) -> Classical | None:
        return self._tfidf.features(encoded, rows)
