"""JSON documents and JSON lines. An object is a row, its keys are columns; a key that it lacks is a missing cell.

Types come from JSON, for the whole file at once: all integers -> as `cells` says; numbers -> float64; true/false ->
bool (object with None where missing); strings -> str; a column with a list or an object in it stays Python objects.
A column that mixes the others is text: strings as they are, everything else as JSON writes it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd

from ..cells import Kind, Seen, frame, integer_kind, integers, objects
from ..contracts import Live, Source
from ..errors import DataError, nearest
from ..textfiles import BlockFile, shown, utf8_blocks
from .source_config import JsonConfig, JsonlConfig

HEAD = 1000  # rows of a JSONL file that its columns are read from by a check
_STEP = "convert the file to UTF-8: iconv -f {encoding} -t utf-8"
_NUMBERS = {int, float}


@dataclass(slots=True)
class _Column:
    """What a JSON column holds, gathered over the file."""

    types: set[type] = field(default_factory=set)
    cells: int = 0
    largest: int = 0

    def add(self, values: list[Any]) -> None:
        types = set(map(type, values))
        self.cells += len(values)
        self.types |= types
        if int in types:
            self.largest = max(self.largest, max(abs(v) for v in values if type(v) is int))

    def build(self, values: list[Any], rows: int) -> Any:
        """`values`: the cells of a chunk; `rows`: those of the file, which tell whether any is missing."""
        types = self.types - {type(None)}
        missing = self.cells < rows or type(None) in self.types
        if types & {list, dict}:
            return objects(values)
        if not types or types == {float} or (types == _NUMBERS and integer_kind(self.largest) < Kind.TEXT):
            return np.asarray([np.nan if v is None else float(v) for v in values], dtype=np.float64)
        if types == {int}:
            seen = Seen(integer_kind(self.largest), missing, False, self.largest).settled()
            return _text(values) if seen.kind is Kind.TEXT else integers(values, seen)
        if types == {bool}:
            return objects(values) if missing else np.asarray(values, dtype=bool)
        return _text(values)


def _text(values: list[Any]) -> pd.Series:
    return pd.Series([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], dtype="str")


@dataclass(frozen=True, slots=True)
class _Records:
    """All columns of a file with their types, and how many rows it has."""

    columns: Mapping[str, _Column]
    rows: int

    @classmethod
    def scan(cls, records: Iterable[Mapping[str, Any]]) -> _Records:
        columns: dict[str, _Column] = {}
        rows, iterator = 0, iter(records)
        while chunk := list(islice(iterator, 4096)):
            rows += len(chunk)
            for name in dict.fromkeys(chain.from_iterable(chunk)):
                columns.setdefault(name, _Column()).add([r[name] for r in chunk if name in r])
        return cls(columns, rows)

    def frames(
        self, path: Any, records: Iterable[Mapping[str, Any]], wanted: Collection[str] | None, batch_rows: int
    ) -> Iterator[pd.DataFrame]:
        kept = {n: c for n, c in self.columns.items() if wanted is None or n in wanted}
        iterator, start = iter(records), 0
        while chunk := list(islice(iterator, batch_rows)):
            cells = {n: self._cells(path, n, [r.get(n) for r in chunk], start) for n in kept}
            yield frame(cells, start, len(chunk))
            start += len(chunk)

    def _cells(self, path: Any, name: str, values: list[Any], start: int) -> Any:
        try:
            built = self.columns[name].build(values, self.rows)
        except UnicodeEncodeError:
            at = next(i for i, v in enumerate(values) if isinstance(v, str) and not _encodable(v))
            raise DataError(
                "half of a surrogate pair, which is no character",
                where=f"{shown(path)}, row {start + at + 1}, column {name!r}",
                next="write the text as UTF-8, or take the broken escape out",
            ) from None
        return built


def _encodable(text: str) -> bool:
    return not any(0xD800 <= ord(c) < 0xE000 for c in text)


class JsonlSource(Source):
    """One JSON object a line; blank lines are skipped. Two passes, memory flat."""

    def __init__(self, config: JsonlConfig) -> None:
        self.config = config

    def live(self, name: str) -> Live:
        """A column has the type of the lines fed together."""
        return LiveJsonl(name)

    def columns(self, path: Any) -> list[str]:
        """From the first thousand rows: a column that only comes later is not seen by a check."""
        return list(_Records.scan(islice(self._objects(path), HEAD)).columns)

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self.tables_of(path, None, batch_rows=batch_rows)

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        found = _Records.scan(self._objects(path))
        yield from found.frames(path, self._objects(path), columns, batch_rows)

    def _objects(self, path: Any) -> Iterator[Mapping[str, Any]]:
        row, decoder, name = 0, _decoder(), shown(path)
        with io.BufferedReader(BlockFile(utf8_blocks(path, step=_STEP)), 1 << 20) as lines:
            for number, line in enumerate(lines, start=1):
                text = line.decode().strip()
                if not text:
                    continue
                row += 1
                where = f"{name}, row {row} (line {number})"
                value = _parsed(decoder, text, where, cut=not line.endswith(b"\n"))
                yield _object(value, where)
        if not row:
            raise DataError("the file is empty", where=shown(path))


class JsonSource(Source):
    """A list of objects, alone or under a key. The whole document is held in memory; JSON lines are not."""

    def __init__(self, config: JsonConfig) -> None:
        self.config = config

    def columns(self, path: Any) -> list[str]:
        return list(_Records.scan(self._objects(path)).columns)

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self.tables_of(path, None, batch_rows=batch_rows)

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        records = self._objects(path)
        yield from _Records.scan(records).frames(path, records, columns, batch_rows)

    def _objects(self, path: Any) -> list[Mapping[str, Any]]:
        text = b"".join(utf8_blocks(path, step=_STEP)).decode()
        if not text.strip():
            raise DataError("the file is empty", where=shown(path))
        records = self._list(path, _parsed(_decoder(), text.strip(), shown(path), cut=True))
        if not records:
            raise DataError("the list of rows is empty", where=shown(path))
        name = shown(path)
        return [_object(value, f"{name}, row {row}") for row, value in enumerate(records, start=1)]

    def _list(self, path: Any, document: Any) -> list[Any]:
        key = self.config.records
        if key is None and isinstance(document, list):
            return document
        keys = list(document) if isinstance(document, dict) else []
        found = document.get(key or "data") if isinstance(document, dict) else None
        if isinstance(found, list):
            return found
        lists = [k for k in keys if isinstance(document[k], list)]
        raise DataError(
            f"{key!r} holds no list of rows"
            if key
            else 'the document is neither a list of objects nor {"data": [...]}',
            where=shown(path),
            allowed=lists,
            nearest=key and nearest(key, lists),
            next=f"source: {{kind: core/json, records: {lists[0]}}}" if lists else None,
        )


class _Twice(ValueError):
    """A key is in one object twice: JSON readers keep the last one silently, which loses a cell."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        keys = [k for k, _ in pairs]
        raise _Twice(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
    return out


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_pairs)


def _parsed(decoder: json.JSONDecoder, text: str, where: str, *, cut: bool) -> Any:
    """The value of `text`. `cut`: nothing follows in the file, so an early end means a truncated file."""
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        early = cut and (error.pos >= len(text) or error.msg.startswith("Unterminated string"))
        place = f"line {error.lineno}, column {error.colno}" if "\n" in text else f"character {error.pos + 1}"
        raise DataError(
            f"the file is cut off here: {_tail(text)}" if early else f"invalid JSON at {place}: {error.msg}",
            where=where,
        ) from None
    except RecursionError:
        raise DataError("JSON is nested too deeply", where=where) from None
    except _Twice as error:
        raise DataError(str(error), where=where) from None
    except ValueError:  # Python refuses to read integers of more than 4300 digits
        raise DataError("an integer of thousands of digits", where=where) from None


def _tail(text: str) -> str:
    return repr(text if len(text) <= 60 else "..." + text[-57:])


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"a row must be an object {{...}}, this is {_tail(json.dumps(value))}", where=where)
    return value


class LiveJsonl(Live):
    """One object a line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def feed(self, lines: Sequence[bytes]) -> pd.DataFrame:
        records = [self._object(line) for line in lines if line.strip()]
        return next(_Records.scan(records).frames(self.name, records, None, len(records) or 1), pd.DataFrame())

    def _object(self, line: bytes) -> Mapping[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"no JSON: {error}", where=self.name) from None
        if not isinstance(found, dict):
            raise DataError(f"a row must be an object {{...}}, this is {json.dumps(found)[:60]}", where=self.name)
        return found
