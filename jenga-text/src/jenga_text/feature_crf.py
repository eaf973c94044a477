"""What stands beside a neural tagger in the report: nothing found, and a linear-chain CRF over features made by hand.

The features are those of the CoNLL-2003 systems (Tjong Kim Sang and De Meulder, 2003; Ratinov and Roth, 2009): the word, its
beginning, end and shape, and its neighbours. The CRF (Lafferty et al., 2001) is CRFsuite's (Okazaki, 2007).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from jenga_core.contracts import Baseline, Classical, Columns, Ragged

from .cells import kept_texts
from .tags import align, entities
from .words import shape, words_of

ITERATIONS, FEWEST = 100, 20  # of L-BFGS at most, and before training words are left out
WORK = 4e10  # words x tags x (tags + FEATURES) x iterations at most: a minute or two
FEATURES = 60  # what the features of a word cost, in transitions
WORDS, FEW = 200_000, 1000  # training words that are learned from: at most, and in any case
PIECE = 500  # words read together; longer rows are read in pieces
LONGEST = 40  # characters of a word that its features see


class NoEntities(Baseline):
    """Finds nothing: what a score of 0 recall is."""

    name, trivial = "no entities", True

    def fit(self, features: Any, target: Columns) -> None:
        """There is nothing to learn."""

    def predict(self, features: Any, rows: int) -> Columns:
        return {"tags": Ragged(np.zeros(0, np.int64), np.zeros(rows + 1, np.int64))}


class FeatureCrf(Baseline):
    """Tags the words of the text, whatever the model's own tokens are; its entities are then judged as the model's are.

    `name` says after `fit` where it was cut short. The rules are about sizes, so that the same rows give the same tags.
    """

    trivial = False
    reads = "inputs"

    def __init__(self, input: str, column: int) -> None:
        self.input, self.column, self.name = input, column, "CRF on hand-made features"
        self.model = b""  # CRFsuite reads the bytes where they lie: they must live as long as the tagger
        self.tagger: Any = None

    def fit(self, features: Classical | None, target: Columns) -> None:
        import pycrfsuite

        gold = target["gold"]
        assert isinstance(gold, Ragged)
        texts = self._texts(features)
        tags = align(gold, places_of(texts), 0)[0]
        left, iterations = self._bounded(len(tags.values), len(np.unique(tags.values)))
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params({"c1": 0.1, "c2": 0.1, "max_iterations": iterations})
        for row, text in enumerate(texts):
            own = tags.values[tags.starts[row] : tags.starts[row + 1]][:left]
            left -= len(own)
            for start, piece in pieces([word for word, *_ in words_of(text)][: len(own)]):
                trainer.append(features_of(piece), [str(tag) for tag in own[start : start + len(piece)]])
        with TemporaryDirectory() as folder:
            trainer.train(f"{folder}/model")
            self.model = (Path(folder) / "model").read_bytes()
        self.tagger = pycrfsuite.Tagger()
        self.tagger.open_inmemory(self.model)

    def _bounded(self, words: int, tags: int) -> tuple[int, int]:
        """(words to learn from, iterations); what was cut short becomes part of the name."""
        each = tags * (tags + FEATURES)
        learned = min(words, WORDS, max(int(WORK / (each * FEWEST)), FEW))
        iterations = int(np.clip(WORK / (each * max(learned, 1)), FEWEST, ITERATIONS))
        cut = [f"{learned:,} of {words:,} training words"] if learned < words else []
        cut += [f"{iterations} of {ITERATIONS} iterations"] if iterations < ITERATIONS else []
        self.name += f" ({', '.join(cut)})" if cut else ""
        return learned, iterations

    def predict(self, features: Classical | None, rows: int) -> Columns:
        assert features is not None
        texts = self._texts(features)
        places = places_of(texts)
        row, _, place = places.flat(np.arange(rows))
        tags = [int(tag) for text in texts for tag in self._tags(text)]
        found = entities(np.array(tags, np.int64), row, place, 0)
        counts = np.bincount(found.row, minlength=rows)
        spans = Ragged(
            np.stack([found.start, found.end, found.label], axis=1), np.concatenate([[0], np.cumsum(counts)])
        )
        tokens = features.inputs[self.input].spans
        assert tokens is not None
        aligned = align(spans, tokens.take(features.rows), self.column)[0]
        return {"tags": Ragged(np.maximum(aligned.values, 0), aligned.starts)}

    def _tags(self, text: str) -> Iterator[str]:
        for _, piece in pieces([word for word, *_ in words_of(text)]):
            yield from self.tagger.tag(features_of(piece))

    def _texts(self, features: Classical | None) -> list[str]:
        assert features is not None
        return kept_texts(features.inputs[self.input].columns, self.column, features.rows)


def places_of(texts: Sequence[str]) -> Ragged:
    """Where the words of each text are, in the form of `Encoded.spans`: (0, start, end)."""
    return Ragged.of([np.array([(0, a, b) for _, a, b in words_of(t)], np.int64).reshape(-1, 3) for t in texts])


def pieces(words: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """(place of its first word, words) of each piece of a row."""
    for start in range(0, len(words), PIECE):
        yield start, words[start : start + PIECE]


def features_of(words: Sequence[str]) -> list[list[str]]:
    """What is said of each word of a sentence: itself, two neighbours to each side, and whether it is the first or the last."""
    words = [word[:LONGEST] for word in words]
    found = [list(own(word)) for word in words]
    for at, features in enumerate(found):
        for off in (-2, -1, 1, 2):
            if 0 <= at + off < len(words):
                features += near(words[at + off], off)
        if at:
            features.append(f"pair={words[at - 1].lower()} {words[at].lower()}")
    found[0].append("begin")
    found[-1].append("end")
    return found


@lru_cache(maxsize=1 << 17)
def own(word: str) -> tuple[str, ...]:
    lower = word.lower()
    lengths = [n for n in range(1, 5) if len(lower) > n]
    affixes = [*(f"first={lower[:n]}" for n in lengths), *(f"last={lower[-n:]}" for n in lengths)]
    flags = {
        "title": word.istitle(),
        "upper": word.isupper(),
        "number": word.isdigit(),
        "digit": any(c.isdigit() for c in word),
        "mark": not any(c.isalnum() for c in word),
    }
    return (
        f"word={word}",
        f"lower={lower}",
        f"shape={shape(word)}",
        *affixes,
        *(name for name, is_so in flags.items() if is_so),
    )


@lru_cache(maxsize=1 << 17)
def near(word: str, off: int) -> tuple[str, ...]:
    lower = word.lower()
    return (
        f"{off}:lower={lower}",
        f"{off}:shape={shape(word)}",
        *([f"{off}:last={lower[-3:]}"] if abs(off) == 1 else []),
    )
