"""Tokens -> the words that a reader would point at.

A word is a run of letters, digits and marks, with apostrophes inside; every other character that is no blank stands alone. What
Unicode attaches to a character (accents, joiners, variants, skin tones) stays with it. Scripts that are written without blanks
are read character by character, so that their tokens stay what they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from jenga_core.contracts import Array, Ragged

BLANK, LETTER, INSIDE, MARK, JOINER, FLAG, ALONE = range(7)
JOINS = "\u200d"
WITHOUT_BLANKS = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")


def kind_of(letter: str) -> int:
    category, name = unicodedata.category(letter), unicodedata.name(letter, "")
    if letter == JOINS:
        return JOINER
    if category[0] == "M" or letter == "\u200c" or name.startswith("EMOJI MODIFIER"):
        return MARK
    if letter.isspace():
        return BLANK
    if name.startswith("REGIONAL INDICATOR"):
        return FLAG
    if letter in "'\u2019":
        return INSIDE
    if category[0] in "LN" or letter == "_":
        return ALONE if name.startswith(WITHOUT_BLANKS) else LETTER
    return ALONE


def words(text: str) -> Array:
    """The number of the word that each character is of, from 1, int64 [len(text)].

    Blanks have that of the word before them; where there is none, of the first.
    """
    letters = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    if not len(letters):
        return np.zeros(0, dtype=np.int64)
    distinct, code = np.unique(letters, return_inverse=True)
    kind = np.array([kind_of(chr(letter)) for letter in distinct])[code]
    own = np.maximum.accumulate(np.where(kind == MARK, 0, np.arange(len(kind))))
    base = np.where(kind == MARK, kind[own], kind)  # a mark counts as what it is attached to
    before, after = np.append(BLANK, base[:-1]), np.append(base[1:], BLANK)
    inside = (base == INSIDE) & (before == LETTER) & (after == LETTER)
    word = (base == LETTER) | inside
    joined = (kind == MARK) | (base == JOINER) | (before == JOINER) | (word & np.append(False, word[:-1]))
    joined |= (base == FLAG) & (before == FLAG)
    begins = (base != BLANK) & ~joined
    found: Array = np.maximum(np.cumsum(begins), 1)
    return found


def whole_words(spans: Ragged, texts: Sequence[Sequence[str]]) -> Ragged:
    """`spans` [tokens, 3] of rows whose texts are `texts`, by column and row: each token's place becomes that of its word.

    Of a word that was cut, the part that is left. Tokens that reach over several words make one of them; a token of
    blanks counts to the word before it.
    """
    found = spans.values.copy()
    for row, (begin, end) in enumerate(zip(spans.starts[:-1].tolist(), spans.starts[1:].tolist(), strict=True)):
        of = spans.values[begin:end]
        for column, column_texts in enumerate(texts):
            at = np.flatnonzero(of[:, 0] == column)
            if len(at):
                found[begin + at, 1:] = _merged(of[at, 1:], words(column_texts[row]))
    return Ragged(found, spans.starts)


def _merged(places: Array, word: Array) -> Array:
    """Places [tokens, 2] in order; tokens that touch the same word get the first's start and the last's end."""
    empty = places[:, 0] >= places[:, 1]
    last = len(word) - 1
    first = word[np.clip(places[:, 0] - empty, 0, last)]
    final = np.where(empty, first, word[np.clip(places[:, 1] - 1, 0, last)])
    reach = np.maximum.accumulate(final)
    begins = np.append(True, first[1:] > reach[:-1])
    group = np.cumsum(begins) - 1
    start, stop = np.full(group[-1] + 1, last + 1), np.zeros(group[-1] + 1, dtype=np.int64)
    np.minimum.at(start, group, np.where(empty, last + 1, places[:, 0]))
    np.maximum.at(stop, group, np.where(empty, 0, places[:, 1]))
    return np.stack([start[group], stop[group]], axis=1)


def as_they_came(words: Ragged, spans: Ragged) -> Ragged:
    """Where each of the `words` [tokens, 3] stands in the original texts, in which the tokens are at `spans` [tokens, 3].

    Tokens that are equal in `words`, places in redacted texts, get the first start and the last end of theirs. A word that has
    no place of its own is the rest of a placeholder, and gets that of the word before it.
    """
    found = words.values.copy()
    for begin, end in zip(words.starts[:-1].tolist(), words.starts[1:].tolist(), strict=True):
        last: tuple[int, int, int] | None = None
        for own, at in _same(words.values[begin:end]):
            if own < 0:
                continue
            place = spans.values[begin + at]
            real = place[place[:, 1] < place[:, 2]]
            if len(real):
                last = (own, int(real[:, 1].min()), int(real[:, 2].max()))
            if last is not None and last[0] == own:
                found[begin + at] = last
    return Ragged(found, words.starts)


def _same(words: Array) -> Iterator[tuple[int, Array]]:
    """(column, tokens) of each run of equal rows, in order."""
    cuts = np.flatnonzero((words[1:] != words[:-1]).any(axis=1)) + 1
    for at in np.split(np.arange(len(words)), cuts):
        if len(at):
            yield int(words[at[0], 0]), at
