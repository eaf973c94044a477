"""What all sources of flows share: two passes over a file, or one over a live log; the same rows from either.

The first pass finds every defect and the type of every column, the second gives the rows: nothing is given of a file that
turns out to be broken, no two tables differ in the type of a column, and memory stays flat.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jenga_core.cells import Kind, Seen, column, frame, look
from jenga_core.contracts import Source
from jenga_core.errors import DataError
from jenga_core.textfiles import shown
from jenga_core.values import MARKS, Numerals

from .config import FlowConfig
from .convert import Check, clean, duration, moment
from .lines import Lines, Parser, lines_of
from .schema import COLUMNS, ICMP, PORTED, SMALLEST, TEXT, WHOLE, Array, ByteLayer, Field, Rows
from .signs import other_kind
from .windows import RequestCount

NUMERALS = Numerals(("-", *MARKS))  # of columns that pass through
_HEAD = 1000  # rows that the columns of a log of objects are read from by a check


@dataclass(slots=True)
class _File:
    """What the first pass learned: names in the order of the file, types of those that pass through, rows."""

    names: dict[str, None] = field(default_factory=dict)
    canonical: list[str] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    complete: set[str] = field(default_factory=lambda: set(WHOLE))
    filled: set[str] = field(default_factory=set)  # canonical columns that have a value in some row
    rows: int = 0


class FlowSource(Source):
    """A log of flows. `always`: the log gives every canonical column; else those whose names it has.

    After a read `notes()` says what was skipped or taken as missing.
    """

    numerals = NUMERALS
    kind: ClassVar[str]
    what: ClassVar[str]  # in messages
    always: ClassVar[bool] = True
    keeps: ClassVar[frozenset[str]] = frozenset()  # names that a canonical column reads and that pass through as well
    needs: ClassVar[tuple[str, ...]]  # canonical columns without which the file is something else

    def __init__(self, config: FlowConfig) -> None:
        self.config: Any = config
        self._notes: list[str] = []

    @property
    @abstractmethod
    def layer(self) -> ByteLayer: ...

    @abstractmethod
    def fields(self) -> Mapping[str, Field]: ...

    @abstractmethod
    def parser(self, name: str) -> Parser: ...

    def lines(self, path: Any) -> Iterator[Lines]:
        return lines_of(path)

    def derive(self, values: dict[str, Any], rows: Rows, check: Check) -> None:
        """Canonical values that need more than one column of the log."""

    def notes(self) -> list[str]:
        return list(self._notes)

    # -------------------------------------------------------------- the contract

    def columns(self, path: Any) -> list[str]:
        found = _File()
        check, parser = self._check(path), self.parser(shown(path))
        for rows in self._rows(path, parser):
            self._look(rows, self._canonical(rows, check), check, found, frozenset())
            if found.rows >= _HEAD:
                break
        return self._names(self._some(found, parser, check), found)

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self.tables_of(path, None, batch_rows=batch_rows)

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self._tables(path, columns, batch_rows, typed=True)

    def written(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """As `tables_of`; columns of the log that are none of `COLUMNS` are text, as the log has it."""
        return self._tables(path, columns, batch_rows, typed=False)

    def untyped(self, columns: Collection[str]) -> Collection[str]:
        return [name for name in columns if name not in COLUMNS]

    def _tables(
        self, path: Any, columns: Collection[str] | None, batch_rows: int, *, typed: bool
    ) -> Iterator[pd.DataFrame]:
        found = self._scan(path, columns)
        kept = [name for name in self._names(shown(path), found) if columns is None or name in columns]
        count = self._counter() if "request_count" in kept else None
        check, start = self._check(path), 0
        for rows in self._rows(path, self.parser(shown(path))):
            values = self._canonical(rows, check)
            if count:
                values["request_count"] = count.add(_texts(values["src_ip"]), values["ts_start"])
            table = frame({n: self._cells(n, values, rows, found, typed=typed) for n in kept}, start, len(rows))
            start += len(rows)
            for at in range(0, len(rows), batch_rows):
                yield table.iloc[at : at + batch_rows]

    def live(self, name: str = "live") -> Live:
        """For a log that is still being written: lines in, rows out, nothing read twice."""
        return Live(self, name)

    # -------------------------------------------------------------- the two passes

    def _scan(self, path: Any, columns: Collection[str] | None) -> _File:
        found, check, parser = _File(), self._check(path), self.parser(shown(path))
        for rows in self._rows(path, parser):
            self._look(rows, self._canonical(rows, check), check, found, columns)
        self._notes = [*parser.notes(), *self._absent(found), *_missing(check)]
        self._some(found, parser, check)
        return found

    def _absent(self, found: _File) -> list[str]:
        """That no column of the log fills a canonical one, as another version or a custom format may lack or rename it."""
        lacking = [
            f"{name} ({', '.join(each.names)})"
            for name, each in self.fields().items()
            if name in found.canonical
            and name not in {*found.filled, "icmp_type", "icmp_code"}  # a log without ICMP flows has neither
            and not any(n in found.names for n in each.names)
        ]
        return [f"the log has no column for {', '.join(lacking)}: missing in every row"] if lacking else []

    def _some(self, found: _File, parser: Parser, check: Check) -> str:
        """The name of a file that has rows."""
        if not found.rows:
            said = "; ".join(parser.notes())
            raise DataError(f"no rows of {self.what}" + (f": {said}" if said else ""), where=check.name)
        return check.name

    def _look(
        self, rows: Rows, values: Mapping[str, Any], check: Check, found: _File, columns: Collection[str] | None
    ) -> None:
        """Widen what is known of the file by one piece of it."""
        found.names |= dict.fromkeys(rows.cells)
        found.canonical = found.canonical or list(values)
        found.complete -= {name for name in found.complete & values.keys() if np.isnan(values[name]).any()}
        if {"src_ip", "ts_start"} <= values.keys():
            lacking = values["src_ip"].null_count or np.isnan(values["ts_start"]).any()
            found.complete -= {"request_count"} if lacking else set()
        found.filled |= {name for name in values.keys() - found.filled if _any_value(values[name])}
        for name, cells in rows.cells.items():
            before = found.seen.get(name)
            if columns is not None and name not in columns:
                continue
            if before is None:
                before = Seen(missing=found.rows > 0)  # the rows before these had no such cell
            found.seen[name] = look(cells, before, NUMERALS.absent)
        for name in found.seen.keys() - rows.cells.keys():
            found.seen[name] |= Seen(missing=True)
        found.rows += len(rows)

    def _recognise(self, rows: Rows, check: Check) -> None:
        """Refuse a log that is not what this source reads."""
        if lacking := self.lacking(rows.cells):
            kind = other_kind(rows.cells, self.kind)
            raise DataError(
                f"this is not {self.what}: it has no {' or '.join(map(repr, lacking))}",
                where=check.name,
                allowed=list(rows.cells)[:40],
                next=f"source: {kind}" if kind else None,
            )
        twice = [n for n in rows.cells if n in COLUMNS and n not in self._taken()]
        if "byte_layer" in twice:
            raise DataError(
                f"the byte layer is declared twice: by the log's own column byte_layer and by {self.kind}, as {self.layer!r}",
                where=check.name,
                next="take the column byte_layer out of the log, or rename it",
            )
        if twice:
            raise DataError(
                f"the column {twice[0]!r} is there twice: the log has it, and {self.kind} makes one of that name",
                where=check.name,
                next="rename the log's own column",
            )

    def lacking(self, names: Collection[str]) -> tuple[str, ...]:
        """Where the first of the columns would be that a log of `names` cannot do without; empty if it has all."""
        fields = self.fields()
        return next((fields[c].names for c in self.needs if not any(n in names for n in fields[c].names)), ())

    def _taken(self) -> set[str]:
        return {name for field in self.fields().values() for name in field.names} - self.keeps

    def _names(self, name: str, found: _File) -> list[str]:
        canonical = {*found.canonical, "byte_layer"} | ({"request_count"} if self.config.window else set())
        if self.config.window and not {"ts_start", "src_ip"} <= canonical:
            raise DataError(
                "request_count needs the time and the source of each flow, and this file has not both",
                where=name,
                next=f"source: {{kind: {self.kind}, window: null}}",
            )
        return [n for n in COLUMNS if n in canonical] + [n for n in found.names if n not in self._taken()]

    # -------------------------------------------------------------- one piece

    def _rows(self, path: Any, parser: Parser) -> Iterator[Rows]:
        for lines in self.lines(path):
            rows = parser.feed(lines)
            if rows is not None and len(rows):
                yield rows
        parser.close()

    def _check(self, path: Any) -> Check:
        zone = getattr(self.config, "timezone", "UTC")
        return Check(shown(path), self.kind, self.config.invalid, zone)

    def _counter(self) -> RequestCount | None:
        return RequestCount(self.config.window) if self.config.window else None

    def _canonical(self, rows: Rows, check: Check) -> dict[str, Any]:
        """The canonical columns but request_count and byte_layer: float64 arrays with NaN, text as Arrow arrays."""
        check.rows = rows
        self._recognise(rows, check)
        values: dict[str, Any] = {}
        for name, each in self.fields().items():
            present = [n for n in each.names if n in rows.cells]
            if present:
                check.column = present[0]
                cells = [clean(rows.cells[n]) for n in present]
                values[name] = each.read(pc.coalesce(*cells) if len(cells) > 1 else cells[0], check)
            elif self.always:
                values[name] = pa.nulls(len(rows), pa.string()) if name in TEXT else np.full(len(rows), np.nan)
        self.derive(values, rows, check)
        _finish(values, self.layer, check)
        return {name: values[name] for name in COLUMNS if name in values}

    def _cells(self, name: str, values: Mapping[str, Any], rows: Rows, found: _File, *, typed: bool) -> Any:
        """A column of a table, in the type that it has over the whole file; `typed=False`: the log's own as text."""
        if name == "byte_layer":
            return pd.Series([self.layer] * len(rows), dtype="str")
        if name in values:
            cells = values[name]
            if name in TEXT:
                return cells.to_pandas().astype("str")
            return cells.astype(np.int64) if name in WHOLE & found.complete else cells
        raw = rows.cells.get(name)
        cells = pa.nulls(len(rows), pa.string()) if raw is None else raw
        return column(cells, found.seen[name] if typed else Seen(Kind.TEXT), NUMERALS.absent, ("",))


class Live:
    """A log as it grows. `feed` takes whole lines without their ends, in order, over rotations; a new header is fine.

    Its rows are those that `written` gives for a file of the same lines, request_count included, with one difference: counts
    are float64. A later log may lack a column or bring one.
    """

    def __init__(self, source: FlowSource, name: str) -> None:
        self._source, self._parser = source, source.parser(name)
        self._check = Check(name, source.kind, source.config.invalid, getattr(source.config, "timezone", "UTC"))
        self._count = source._counter()
        self._line, self._start = 1, 0

    @property
    def notes(self) -> list[str]:
        """What was skipped or taken as missing so far."""
        return [*self._parser.notes(), *_missing(self._check)]

    def end(self) -> None:
        """No line belongs to those before it. DataError where something of them is left over; it is dropped."""
        self._parser.close()

    def state(self) -> dict[str, Any]:
        """What the rows to come need of the lines before them: arrays, and JSON."""
        count = {} if self._count is None else {f"count.{k}": v for k, v in self._count.state().items()}
        return {"header": [line.decode("utf-8", "replace") for line in self._parser.header()], **count}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken; a state with nothing but a header is that of a log that begins."""
        self._parser.feed(Lines(1, [line.encode() for line in state["header"]]))
        if self._count is not None and "count.sizes" in state:
            self._count.restore({k.removeprefix("count."): v for k, v in state.items() if k.startswith("count.")})

    def feed(self, lines: Sequence[bytes]) -> pd.DataFrame:
        """The rows of the next lines, with an index that goes on; an empty frame where they hold none."""
        piece = Lines(self._line, lines)
        self._line += len(lines)
        rows = self._parser.feed(piece)
        if rows is None or not len(rows):
            return pd.DataFrame(index=pd.RangeIndex(self._start, self._start))
        found = _File(complete=set())
        values = self._source._canonical(rows, self._check)
        self._source._look(rows, values, self._check, found, rows.cells.keys() - self._source._taken())
        names = self._source._names(self._check.name, found)
        cells = {n: self._source._cells(n, values, rows, found, typed=False) for n in names if n != "request_count"}
        if self._count:  # last, when nothing can fail any more: lines that are fed again are counted once
            cells["request_count"] = self._count.add(_texts(values["src_ip"]), values["ts_start"])
        made = frame({n: cells[n] for n in names}, self._start, len(rows))
        self._start += len(rows)
        return made


# ------------------------------------------------------------------ what every log has in common


def _finish(values: dict[str, Any], layer: ByteLayer, check: Check) -> None:
    """Ports of protocols that have none, bytes that their layer rules out, the mean size of packets."""
    protocol = values.get("protocol")
    if protocol is not None:
        portless = ~np.isnan(protocol) & ~np.isin(protocol, PORTED)
        for name in ("src_port", "port"):
            if name in values:
                values[name] = np.where(portless, 0.0, values[name])
        for name in ("icmp_type", "icmp_code"):
            if name in values:
                values[name] = np.where(np.isin(protocol, ICMP), values[name], np.nan)
    for way in ("sent", "received"):
        if {f"bytes_{way}", f"packets_{way}"} <= values.keys():
            _layer(values, way, layer, check)
    needed = ("bytes_sent", "bytes_received", "packets_sent", "packets_received")
    if all(name in values for name in needed):
        sent, received, there, back = (values[name] for name in needed)
        one_way = np.isnan(received) & np.isnan(back)  # a record of one direction
        total, packets = sent + np.where(one_way, 0, received), there + np.where(one_way, 0, back)
        values["packet_size"] = np.divide(total, packets, out=np.full(len(total), np.nan), where=packets > 0)


def _layer(values: dict[str, Any], way: str, layer: ByteLayer, check: Check) -> None:
    size, packets = values[f"bytes_{way}"], values[f"packets_{way}"]
    bad = size < SMALLEST[layer] * packets
    check.refuse(
        bad,
        f"too few bytes for the layer {layer}",
        lambda at: (
            f"{size[at]:.0f} bytes in {packets[at]:.0f} packets: at the layer {layer!r} each has {SMALLEST[layer]} or more. "
            "Does `bytes:` name the layer of this log?"
        ),
        f"bytes_{way}",
    )
    values[f"bytes_{way}"] = np.where(bad, np.nan, size)


def _texts(cells: pa.Array) -> list[str | None]:
    found: list[str | None] = cells.to_pylist()
    return found


def _any_value(cells: Any) -> bool:
    return cells.null_count < len(cells) if isinstance(cells, pa.Array) else not np.isnan(cells).all()


def _missing(check: Check) -> list[str]:
    return [f"{count:,} cells taken as missing: {reason}" for reason, count in check.counts.items()]


def duration_from_end(values: dict[str, Any], rows: Rows, end: str, check: Check) -> None:
    """From beginning to end, to the microsecond, in rows that have a column `end`."""
    if end in rows.cells:
        check.column = end
        ended = moment()(clean(rows.cells[end]), check)
        lasted = duration(np.round(ended - values["ts_start"], 6), check)
        values["duration"] = np.where(np.isnan(ended), values["duration"], lasted)


def icmp_from_ports(values: dict[str, Array]) -> None:
    """Where a log writes type and code of ICMP into the ports, as Zeek does."""
    values["icmp_type"], values["icmp_code"] = values["src_port"].copy(), values["port"].copy()
