"""Texts with one character for each of what people and word processors write in its place, so that patterns stay simple."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

# Of no category that says it: signs that stand for another one, and what is drawn onto the character before it.
_OTHERS = {
    "\u2212": "-", "\u2043": "-", "\u2215": "/", "\u2044": "/", "\u00b7": ".", "\u2022": ".", "\u2219": ".", "\u22c5": ".",
    "\u066b": ".", "\u066c": ",", "\ufe0e": None, "\ufe0f": None, "\u20e3": None, "\u034f": None,
}  # fmt: skip
_FULL_WIDTH = range(0xFF01, 0xFF5F)  # the ASCII characters as wide as Chinese ones


class _Meanings(dict[int, str | None]):
    """What each character is read as, found when it is first met; None: it is passed over."""

    def __missing__(self, code: int) -> str | None:
        self[code] = meaning = _meaning(chr(code))
        return meaning


def _meaning(letter: str) -> str | None:
    if letter in _OTHERS:
        return _OTHERS[letter]
    if letter.isdecimal():
        return str(int(letter))
    if ord(letter) in _FULL_WIDTH:
        return chr(ord(letter) - 0xFEE0)
    category = unicodedata.category(letter)
    return {"Zs": " ", "Pd": "-", "Cf": None}.get(category, letter)


_MEANINGS = _Meanings()


@dataclass(frozen=True, slots=True)
class Plain:
    """`text` as patterns read it. `places[i]`: where its character i stands in the text as it came; None: at i."""

    text: str
    places: Sequence[int] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the text as it came behind ``text[start:end]``, which is not empty."""
        return (start, end) if self.places is None else (self.places[start], self.places[end - 1] + 1)


def plain(text: str) -> Plain:
    """Decimal digits of every script as 0 to 9, blanks as " ", dashes as "-", full-width signs as ASCII; line breaks stay.

    Characters that cannot be seen (Unicode's Cf: joiners, zero-width blanks, soft hyphens, marks of direction) are passed over.
    """
    if text.isascii():
        return Plain(text)
    read = text.translate(_MEANINGS)
    if len(read) == len(text):
        return Plain(read)
    return Plain(read, [at for at, letter in enumerate(text) if _MEANINGS[ord(letter)] is not None])
