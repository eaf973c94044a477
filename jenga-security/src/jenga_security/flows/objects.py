"""JSON objects of a log -> `Rows`: one a line, spread over lines, in a list or not.

The keys of nested objects are joined with dots. Cells become text: lists as JSON, true and false in lower case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from jenga_core.errors import DataError

from .lines import Lines, Parser
from .schema import Rows

CELLS = 1 << 23  # of lines fed together: who may choose names could fill the memory with columns of one cell each
WIDEST = 10_000  # of their columns
_BETWEEN = re.compile(r"[\s,\[\]]*")
Keep = Callable[[Mapping[str, Any], str], bool]


class Twice(ValueError):
    """A key is in one object twice: JSON readers keep the last one silently, which loses a cell."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Twice(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
    return made


class Objects(Parser):
    """`keep(object, where)` says which objects are rows."""

    def __init__(self, name: str, keep: Keep = lambda found, where: True) -> None:
        self.name, self._keep = name, keep
        self._decoder = json.JSONDecoder(object_pairs_hook=_pairs)
        self._left, self._line = "", 1

    def feed(self, lines: Lines) -> Rows | None:
        left, self._left = self._left, ""  # what cannot be read is not tried again with the next lines
        if not left:
            self._line = lines.first
        text = left + b"\n".join(lines.lines).decode("utf-8", "replace") + ("" if lines.cut else "\n")
        found, numbers = [], []
        for line, value in self._objects(text):
            where = f"{self.name}, line {line}"
            if not isinstance(value, dict):
                raise DataError(f"a row must be an object {{...}}, this is {json.dumps(value)[:60]}", where=where)
            if self._keep(value, where):
                found.append(_flat(value, "", {}))
                numbers.append(line)
        if not found:
            return None
        names: dict[str, str | None] = {}
        for one in found:
            names |= one
        if len(names) > min(WIDEST, CELLS // len(found)):
            raise DataError(f"{len(names):,} columns in {len(found):,} rows, of which most are empty", where=self.name)
        cells = {name: self._cells(name, [one.get(name) for one in found], numbers) for name in names}
        return Rows(cells, np.asarray(numbers, dtype=np.int64))

    def close(self) -> None:
        left, self._left = self._left, ""
        if left.strip():
            raise DataError(f"the file is cut off here: {left[:60]!r}", where=f"{self.name}, line {self._line}")

    def _objects(self, text: str) -> Iterator[tuple[int, Any]]:
        """(line, value) of every whole value in `text`; what is left of it waits for the next lines."""
        at, line, counted = 0, self._line, 0
        while True:
            begin = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            line, counted = line + text.count("\n", counted, begin), begin
            if begin == len(text):
                return
            try:
                value, at = self._decoder.raw_decode(text, begin)
            except json.JSONDecodeError as error:
                if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
                    self._left, self._line = text[begin:], line
                    return
                place = f"{self.name}, line {line + text.count(chr(10), begin, error.pos)}"
                raise DataError(
                    f"invalid JSON: {error.msg}: {text[error.pos : error.pos + 40]!r}", where=place
                ) from None
            except (Twice, RecursionError, ValueError) as error:
                reason = (
                    str(error) if isinstance(error, Twice) else "JSON that cannot be read: nested or long beyond reason"
                )
                raise DataError(reason, where=f"{self.name}, line {line}") from None
            yield line, value

    def _cells(self, name: str, values: list[str | None], numbers: list[int]) -> pa.Array:
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError:
            at = next(i for i, v in enumerate(values) if v and any(0xD800 <= ord(c) < 0xE000 for c in v))
            where = f"{self.name}, line {numbers[at]}, column {name!r}"
            raise DataError("half of a surrogate pair, which is no character", where=where) from None


def _flat(value: Mapping[str, Any], prefix: str, out: dict[str, str | None]) -> dict[str, str | None]:
    """Text cells by dotted names, put into `out`."""
    for key, cell in value.items():
        kind = type(cell)
        if kind is str or cell is None:
            out[prefix + key] = cell
        elif kind is dict:
            _flat(cell, f"{prefix}{key}.", out)
        elif kind is int or kind is float:
            out[prefix + key] = repr(cell)
        else:
            out[prefix + key] = json.dumps(cell)
    return out
