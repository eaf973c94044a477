"""Features of texts for a classical baseline: TF-IDF of words, word pairs and the beginnings, middles and ends of words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from jenga_core.contracts import Array, Classical, Encoded

from .cells import kept_texts

WORDS = r"(?u)\b\w+\b"
FEATURES = 100_000  # most of a kind, the most frequent ones: bounds what a linear model costs on long tables


class TfIdf:
    """TF-IDF of `texts`, those of the training rows, one list per column; without them, as in a model that was loaded, none.

    Fitted the first time it is asked for. With two columns also their likeness: the cosine of each kind, and the share
    of words in common.
    """

    def __init__(self, texts: list[list[str]] | None = None) -> None:
        self.texts = texts or []
        self.kinds: list[Any] | None = None

    def features(self, encoded: Encoded, rows: Array) -> Classical | None:
        """For rows of an `Encoded` that keeps its texts (`cells.kept`)."""
        if not self.texts:
            return None
        if self.kinds is None:
            self._fit()
        return Classical(
            self.matrix([kept_texts(encoded.columns, at, rows) for at in range(len(self.texts))]), kind="TF-IDF"
        )

    def _fit(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        options: dict[str, Any] = {"sublinear_tf": True, "max_features": FEATURES, "dtype": np.float32}
        kinds = [
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORDS, **options),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), **options),
        ]
        every = [text for column in self.texts for text in column]
        self.kinds = [kind for kind in kinds if _fits(kind, every)]

    def matrix(self, columns: list[list[str]]) -> Any:
        """Sparse [N, F]; [N, 0] where the training rows hold no word."""
        from scipy import sparse

        each = [[kind.transform(column) for kind in self.kinds or ()] for column in columns]
        found = [part for parts in each for part in parts]
        if found and len(columns) == 2:
            found += [sparse.csr_matrix(_likeness(a, b)) for a, b in zip(*each, strict=True)]
            found.append(sparse.csr_matrix([[_common(a, b)] for a, b in zip(*columns, strict=True)], dtype=np.float32))
        return sparse.hstack(found).tocsr() if found else sparse.csr_matrix((len(columns[0]), 0))


def _fits(kind: Any, texts: list[str]) -> bool:
    try:
        kind.fit(texts)
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return False
    return True


def _likeness(a: Any, b: Any) -> Array:
    """Cosine of the rows of two matrices whose rows have length 1: [N, 1]."""
    found: Array = np.asarray(a.multiply(b).sum(axis=1)).reshape(-1, 1)
    return found


def _common(one: str, other: str) -> float:
    """2 |A & B| / (|A| + |B|) of the sets of words (Dice)."""
    a, b = (set(re.findall(WORDS, text.lower())) for text in (one, other))
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0
