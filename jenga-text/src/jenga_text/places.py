"""Where a token lies in its text, in characters, marks included."""

from __future__ import annotations

import unicodedata

import numpy as np

from jenga_core.contracts import Array


def with_marks(text: str, places: Array) -> Array:
    """`places` [tokens, 2] (start, end) with each end moved behind the marks that follow and belong to no token.

    Tokenizers that compose characters (NFC) or strip accents leave combining marks out of their offsets: a name that ends
    in one would be cut within its last letter.
    """
    if text.isascii() or not len(places):
        return places
    marks = [at for at, character in enumerate(text) if unicodedata.category(character)[0] == "M"]
    if not marks:
        return places
    depth = np.zeros(len(text) + 1, dtype=np.int64)
    np.add.at(depth, places[:, 0], 1)
    np.add.at(depth, places[:, 1], -1)
    covered = np.cumsum(depth) > 0
    more = np.zeros(len(text) + 2, dtype=places.dtype)
    for at in reversed(marks):
        if not covered[at]:
            more[at] = 1 + more[at + 1]
    ends = places[:, 1] + np.where(places[:, 1] > places[:, 0], more[places[:, 1]], 0)
    return np.stack([places[:, 0], ends], axis=1).astype(places.dtype)
