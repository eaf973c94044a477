"""Quotes of delimited text, as RFC 4180 has them: what Arrow's parser would bend into other text is found before it is parsed.

A cell that begins with a quote ends with one, before a delimiter or a line end, and a quote inside it is doubled (2.7). Arrow
takes `"5" disk"` for `5 disk"` and says nothing. A quote in a cell that does not begin with one is a character like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Quotes:
    """Looks through text that comes in blocks. `seen`: how many quotes there were so far."""

    quote: str
    delimiter: str
    seen: int = 0
    _cells: re.Pattern[bytes] = field(init=False)  # whole cells, each with what ends it
    _stray: re.Pattern[bytes] = field(init=False)  # a quoted cell that goes on behind its closing quote
    _whole: re.Pattern[bytes] = field(init=False)  # a cell without what ends it
    _left: bytes = b""  # a cell whose end has not come yet
    _before: int = 0  # bytes before it

    def __post_init__(self) -> None:
        q, d = re.escape(self.quote.encode()), re.escape(self.delimiter.encode())
        quoted = q + b"[^" + q + b"]*+(?:" + q + q + b"[^" + q + b"]*+)*+" + q
        plain = b"[^" + q + d + rb"\r\n][^" + d + rb"\r\n]*+"
        self._cells = re.compile(b"(?:(?:" + quoted + b"|" + plain + b")?[" + d + rb"\r\n])*+")
        self._whole = re.compile(quoted + b"|" + plain)
        self._stray = re.compile(quoted + b"[^" + q + d + rb"\r\n]")

    def stray(self, block: bytes) -> int | None:
        """The offset of the first cell that goes on behind its closing quote, counted from the first block; None: all is well."""
        quote, found = self.quote.encode(), block.count(self.quote.encode())
        self.seen += found
        if not found and not self._left.startswith(
            quote
        ):  # the usual block: it matters only where its last cell begins
            last = max(block.rfind(end) for end in (self.delimiter.encode(), b"\n", b"\r"))
            text, end = self._left + block, len(self._left) + last + 1 if last >= 0 else 0
        else:
            text = self._left + block
            end = self._cells.match(text).end()  # type: ignore[union-attr]
            if self._stray.match(text, end):
                return self._before + end
        self._before, self._left = self._before + end, text[end:]
        return None

    @property
    def open(self) -> int | None:
        """The offset of a cell whose closing quote has not come; None: no quote is open."""
        return self._before if self._left and not self._whole.fullmatch(self._left) else None


def place(blocks: Iterable[bytes], quote: str, delimiter: str, offset: int) -> tuple[int, int]:
    """(record, cell) at that byte of the text, both from 0; a record of blank lines does not count."""
    q, d = re.escape(quote.encode()), re.escape(delimiter.encode())
    cell = re.compile(
        b"(" + q + b"(?:[^" + q + b"]|" + q + q + b")*" + q + b"|[^" + d + rb"\r\n]*)(" + d + rb"|\r\n|\r|\n)"
    )
    text, at, record, column = b"".join(blocks)[:offset], 0, 0, 0
    while found := cell.match(text, at):
        at = found.end()
        if found[2] == delimiter.encode():
            column += 1
        else:
            record, column = record + bool(found[1] or column), 0
    return record, column


def well_formed(line: bytes, quote: str, delimiter: str) -> bool:
    """Is this one record, whole and with its quotes in order?"""
    quotes = Quotes(quote, delimiter)
    return quotes.stray(line) is None and quotes.open is None
