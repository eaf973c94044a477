"""JSON documents and JSON lines. An object is a row, its keys are columns; a key that it lacks is a missing cell.

Types come from JSON, for the whole file at once: all integers -> as `cells` says; numbers -> float64; true/false ->
bool (object with None where missing); strings -> str; a column with a list or an object in it stays Python objects.
A column that mixes the others is text: strings as they are, everything else as `cells.spelt` writes it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..cells import EXACT, Kind, Seen, Written, frame, integer_kind, integers, objects, spelt
from ..contracts import Live, Source, Stretch
from ..errors import DataError, nearest
from ..stretches import of_frames
from ..textfiles import BlockFile, shown, utf8_blocks
from .source_config import JsonConfig, JsonlConfig

CELLS = 1 << 20  # of lines fed together: who may choose names could fill the memory with columns of one cell each
WIDEST = 10_000  # of their columns
HEAD = 1000  # rows of a JSONL file that its columns are read from by a check
_STEP = "convert the file to UTF-8: iconv -f {encoding} -t utf-8"
_NUMBERS = frozenset((int, float))


@dataclass(slots=True)
class _Column:
    """What a JSON column holds, gathered over the file."""

    types: set[type] = field(default_factory=set)
    cells: int = 0
    largest: int = 0

    def add(self, values: list[Any]) -> None:
        types = {float if t is Written else t for t in map(type, values)}
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

    def arrow(self) -> pa.DataType | None:
        """None for lists and objects, whose cells say it, and for a column without a value."""
        types = self.types - {type(None)}
        if not types or types & {list, dict}:
            return None
        if types == {bool}:
            return pa.bool_()
        if types == {int} and integer_kind(self.largest) is Kind.INTEGER:
            return pa.int64()
        return pa.float64() if types <= _NUMBERS and float in types and self.largest <= EXACT else pa.string()


def as_they_are(values: list[Any]) -> Any:
    """A column of one type in its dtype, any other as Python objects."""
    types = set(map(type, values))
    if types == {str} or types == {str, type(None)}:
        return pd.Series(values, dtype="str")
    if types == {float}:
        return np.asarray(values, dtype=np.float64)
    if types == {bool}:
        return np.asarray(values, dtype=bool)
    return objects(values)


def _text(values: list[Any]) -> pd.Series:
    return pd.Series([v if v is None or isinstance(v, str) else _spelt(v) for v in values], dtype="str")


def _spelt(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else spelt(value)


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
        self, records: Iterable[Mapping[str, Any]], wanted: Collection[str] | None, batch_rows: int
    ) -> Iterator[pd.DataFrame]:
        kept = {n: c for n, c in self.columns.items() if wanted is None or n in wanted}
        iterator, start = iter(records), 0
        while chunk := list(islice(iterator, batch_rows)):
            cells = {n: c.build([r.get(n) for r in chunk], self.rows) for n, c in kept.items()}
            yield frame(cells, start, len(chunk))
            start += len(chunk)

    def written(
        self, records: Iterable[Mapping[str, Any]], wanted: Collection[str] | None, batch_rows: int
    ) -> Iterator[pd.DataFrame]:
        """Cells as JSON has them: a column of one type in its dtype, any other as Python objects."""
        kept = [n for n in self.columns if wanted is None or n in wanted]
        iterator, start = iter(records), 0
        while chunk := list(islice(iterator, batch_rows)):
            cells = {n: as_they_are([r.get(n) for r in chunk]) for n in kept}
            yield frame(cells, start, len(chunk))
            start += len(chunk)

    def arrow(self) -> dict[str, pa.DataType]:
        """Of each column the Arrow type that holds all cells of the file, where there is one."""
        found = {name: column.arrow() for name, column in self.columns.items()}
        return {name: kind for name, kind in found.items() if kind is not None}


class JsonlSource(Source):
    """One JSON object a line; blank lines are skipped. Two passes, memory flat."""

    def __init__(self, config: JsonlConfig) -> None:
        self.config = config

    def live(self, name: str) -> Live:
        return LiveJsonl(name)

    def columns(self, path: Any) -> list[str]:
        """From the first thousand rows: a column that only comes later is not seen by a check."""
        return list(_Records.scan(islice(self._objects(path), HEAD)).columns)

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self.tables_of(path, None, batch_rows=batch_rows)

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        found = _Records.scan(self._objects(path))
        yield from found.frames(self._objects(path), columns, batch_rows)

    def written(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        yield from _Records.scan(self._objects(path)).written(self._objects(path), columns, batch_rows)

    def stretches(
        self, path: Any, columns: Collection[str] | None, *, rows: int, wanted: Callable[[int], bool]
    ) -> Iterator[Stretch]:
        found = _Records.scan(self._objects(path))
        frames = found.written(self._objects(path), None, rows)
        return of_frames(frames, columns, rows=rows, wanted=wanted, types=found.arrow())

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
        yield from _Records.scan(records).frames(records, columns, batch_rows)

    def written(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        records = self._objects(path)
        yield from _Records.scan(records).written(records, columns, batch_rows)

    def stretches(
        self, path: Any, columns: Collection[str] | None, *, rows: int, wanted: Callable[[int], bool]
    ) -> Iterator[Stretch]:
        records = self._objects(path)
        found = _Records.scan(records)
        frames = found.written(records, None, rows)
        return of_frames(frames, columns, rows=rows, wanted=wanted, types=found.arrow())

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
    return json.JSONDecoder(object_pairs_hook=_pairs, parse_float=Written.read)


def _parsed(decoder: json.JSONDecoder, text: str, where: str, *, cut: bool) -> Any:
    """The value of `text`. `cut`: nothing follows in the file, so an early end means a truncated file."""
    try:
        value = decoder.decode(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError:
        column = next((f", column {name!r}" for name, cell in _items(value) if not _encodable(cell)), "")
        raise DataError(
            "half of a surrogate pair, which is no character",
            where=where.partition(" (line")[0] + column if column else where,
            next="write the text as UTF-8, or take the broken escape out",
        ) from None
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


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


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
        """Cells as JSON has them."""
        records = [self._object(line) for line in lines if line.strip()]
        names = len(set(chain.from_iterable(records)))
        if names > min(WIDEST, CELLS // max(len(records), 1)):
            raise DataError(f"{names:,} columns in {len(records):,} rows, of which most are empty", where=self.name)
        return next(_Records.scan(records).written(records, None, len(records) or 1), pd.DataFrame())

    def _object(self, line: bytes) -> Mapping[str, Any]:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"no UTF-8: {error.reason} at byte {error.start + 1}", where=self.name) from None
        return _object(_parsed(_decoder(), text.strip().removeprefix("\ufeff"), self.name, cut=False), self.name)
