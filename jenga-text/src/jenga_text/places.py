"""Places of tokens in their texts."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

import numpy as np

from jenga_core.contracts import Array, Ragged


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


def of_a_word(letter: str) -> bool:
    """Letters, digits, what is attached to them, and the underscore.

    Not the apostrophe, by which `readable.words` joins for a reader: an entity may end before the one of a genitive.
    """
    return letter.isalnum() or letter == "_" or unicodedata.category(letter)[0] == "M"


def cuts_a_word(text: str, place: int) -> bool:
    """Whether the characters on both sides of a place are of one word."""
    return 0 < place < len(text) and of_a_word(text[place - 1]) and of_a_word(text[place])


def continues(spans: Ragged, texts: Sequence[Sequence[str]]) -> Array:
    """bool [tokens]: the token goes on with a word, or a character, that the token before it began.

    `spans` [tokens, 3] as in `Encoded.spans`; `texts`: those of each column, row by row.
    """
    found, row = np.zeros(len(spans.values), dtype=bool), np.repeat(np.arange(len(spans)), spans.lengths())
    for number, column in enumerate(texts):
        letters = np.frombuffer("".join(column).encode("utf-32-le"), dtype=np.uint32)
        at = np.flatnonzero(spans.values[:, 0] == number)
        if not len(letters) or len(at) < 2:
            continue
        seen, known = (np.zeros(sys.maxunicode + 1, dtype=bool) for _ in range(2))
        seen[letters] = True
        distinct = np.flatnonzero(seen)
        known[distinct] = [of_a_word(chr(letter)) for letter in distinct]
        word = known[letters]
        shift = np.cumsum([0, *map(len, column)])[row[at]]
        begin, end = spans.values[at, 1] + shift, spans.values[at, 2] + shift
        some = begin < end
        follows = some[1:] & some[:-1] & (row[at[1:]] == row[at[:-1]])
        place = np.clip(begin[1:], 1, len(letters) - 1)
        same_word = (begin[1:] == end[:-1]) & word[place - 1] & word[place]
        found[at[1:]] = follows & (same_word | (begin[1:] < end[:-1]))
    return found


def _next(wanted: Array) -> Array:
    """For each place, and the one behind the last, the first place from there on that is wanted; the end where none is."""
    size = len(wanted)
    ahead = np.append(np.where(wanted, np.arange(size), size), size)
    found: Array = np.minimum.accumulate(ahead[::-1])[::-1]
    return found
