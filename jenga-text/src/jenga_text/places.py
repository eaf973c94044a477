"""Places of tokens in their texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jenga_core.contracts import Array


def whole_letters(places: Array, texts: Sequence[str], starts: Array) -> Array:
    """The places [tokens, 2] as a reader sees them. `starts` [texts + 1]: text i has the tokens ``starts[i]:starts[i + 1]``.

    Blanks that a token begins with, as those of byte-level tokenizers do, are taken off; a token of blanks alone becomes empty.
    Characters that normalisation joined or dropped, such as combining accents, belong to the token before them.
    """
    letters = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    if not len(letters) or not len(places):
        return places
    distinct, code = np.unique(letters, return_inverse=True)
    blank = np.array([chr(letter).isspace() for letter in distinct])[code]
    borders = np.cumsum([0, *map(len, texts)])
    per_text = np.diff(starts)
    shift, border = np.repeat(borders[:-1], per_text), np.repeat(borders[1:], per_text)
    begin, end = places[:, 0] + shift, places[:, 1] + shift
    begin = np.minimum(_next(~blank)[begin], end)
    following = np.append(begin[1:], len(letters))
    reach = np.minimum(np.minimum(_next(blank)[end], following), border)
    end = np.where(begin < end, np.maximum(end, reach), end)
    return np.stack([begin - shift, end - shift], axis=1).astype(places.dtype)


def _next(wanted: Array) -> Array:
    """For each place, and the one behind the last, the first place from there on that is wanted; the end where none is."""
    size = len(wanted)
    ahead = np.append(np.where(wanted, np.arange(size), size), size)
    found: Array = np.minimum.accumulate(ahead[::-1])[::-1]
    return found
