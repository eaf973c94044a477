"""Features of texts for a classical baseline: TF-IDF of words, word pairs and the beginnings, middles and ends of words."""

from __future__ import annotations

from typing import Any

import numpy as np

from jenga_core.contracts import Array

FEATURES = 100_000  # most of a kind, the most frequent ones: bounds what a linear model costs on long tables


class TfIdf:
    """Fitted on the training rows' texts, one list per column. With two columns also the likeness of the two (cosine)."""

    def __init__(self, columns: list[list[str]]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        options: dict[str, Any] = {"sublinear_tf": True, "max_features": FEATURES, "dtype": np.float32}
        self.kinds = [
            TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **options),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), **options),
        ]
        every = [text for column in columns for text in column]
        self.kinds = [kind for kind in self.kinds if _fits(kind, every)]

    def matrix(self, columns: list[list[str]]) -> Any:
        """Sparse [N, F]; [N, 0] where the training rows hold no word."""
        from scipy import sparse

        each = [[kind.transform(column) for kind in self.kinds] for column in columns]
        found = [part for parts in each for part in parts]
        if len(columns) == 2:
            found += [sparse.csr_matrix(_likeness(a, b)) for a, b in zip(*each, strict=True)]
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
