"""Zeek's conn.log (docs.zeek.org, base/protocols/conn): TSV with its header lines, or JSON.

A file may hold several logs one after the other, as rotation leaves them: each brings its header and ends in #close. Zeek logs
a connection when it has ended, so `ts_start` is not in order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jenga_core.errors import DataError

from .convert import Check, address, count, moment, port, protocol, seconds, text
from .lines import Dialect, Lines, Parser, joined, rows_of
from .objects import Objects
from .schema import ByteLayer, Field, Rows
from .signs import stranger
from .source import FlowSource, icmp_from_ports

_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_BYTES = {"ip": ("orig_ip_bytes", "resp_ip_bytes"), "payload": ("orig_bytes", "resp_bytes")}


class ZeekConnSource(FlowSource):
    kind, what = "security/zeek-conn", "Zeek's conn.log"
    needs = ("ts_start", "src_ip", "dst_ip")

    @property
    def layer(self) -> ByteLayer:
        layer: ByteLayer = self.config.bytes
        return layer

    def fields(self) -> Mapping[str, Field]:
        sent, received = _BYTES[self.config.bytes]
        return {
            "ts_start": Field(("ts",), moment()),
            "src_ip": Field(("id.orig_h",), address),
            "src_port": Field(("id.orig_p",), port),
            "dst_ip": Field(("id.resp_h",), address),
            "port": Field(("id.resp_p",), port),
            "protocol": Field(("proto",), protocol),
            "duration": Field(("duration",), seconds()),
            "bytes_sent": Field((sent,), count),
            "bytes_received": Field((received,), count),
            "packets_sent": Field(("orig_pkts",), count),
            "packets_received": Field(("resp_pkts",), count),
            "state": Field(("conn_state",), text),
        }

    def parser(self, name: str) -> Parser:
        return ConnLog(name)

    def derive(self, values: dict[str, Any], rows: Rows, check: Check) -> None:
        """Zeek says icmp for both versions, and has the type and the code in the ports."""
        over_v6 = pc.fill_null(pc.match_substring(values["src_ip"], ":"), False).to_numpy(zero_copy_only=False)
        values["protocol"] = np.where((values["protocol"] == 1) & over_v6, 58.0, values["protocol"])
        icmp_from_ports(values)


class ConnLog(Parser):
    """Header lines, rows and JSON, told apart by how a line begins."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._objects: Objects | None = None
        self._separator, self._absent = "\t", ["-", "(empty)"]
        self._names: list[str] = []
        self._head: dict[str, bytes] = {}

    def header(self) -> list[bytes]:
        return list(self._head.values())

    def feed(self, lines: Lines) -> Rows | None:
        if not self._names and self._objects is None:
            begin = next((line.strip() for line in lines.lines if line.strip()), b"")
            self._objects = Objects(self.name, _is_conn) if begin.startswith(b"{") else None
        if self._objects is not None:
            return self._objects.feed(lines)
        found: list[Rows] = []
        done = 0
        for at in [i for i, line in enumerate(lines.lines) if line.startswith(b"#")]:
            found += self._rows(lines.lines[done:at], lines.first + done)
            self._header(lines.first + at, lines.lines[at].removesuffix(b"\r").decode("utf-8", "replace"))
            done = at + 1
        found += self._rows(lines.lines[done:], lines.first + done, lines.cut)
        return joined(found)

    def close(self) -> None:
        if self._objects is not None:
            self._objects.close()

    def _rows(self, lines: Sequence[bytes], first: int, cut: bool = False) -> list[Rows]:
        numbers: Sequence[int] = range(first, first + len(lines))
        if not all(lines) or b"\r" in b"".join(lines[:1]):
            lines = [line.removesuffix(b"\r") for line in lines]
            numbers = [number for number, line in zip(numbers, lines, strict=True) if line]
            lines = [line for line in lines if line]
        if not lines:
            return []
        if not self._names:
            hint = "keep Zeek's header lines (zeek-cut -C keeps them), or write the log as JSON"
            raise stranger(
                f"{ZeekConnSource.what} with its line #fields",
                ZeekConnSource.kind,
                f"{self.name}, line {numbers[0]}",
                lines[0],
                hint,
            )
        rows = rows_of(self.name, self._names, lines, numbers, Dialect(self._separator, None), cut)
        marks = pa.array(self._absent)
        none = pa.scalar(None, pa.string())
        cells = {n: pc.if_else(pc.is_in(c, marks), none, c) for n, c in rows.cells.items()}
        return [Rows({name: cells[name] for name in self._order}, rows.lines)]

    def _header(self, number: int, line: str) -> None:
        where = f"{self.name}, line {number}"
        sign = line.split(self._separator if not line.startswith("#separator") else " ", 1)[0]
        if sign in ("#separator", "#path", "#unset_field", "#empty_field", "#fields"):
            self._head[sign] = line.encode()
        if line.startswith("#separator"):
            self._separator = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), line.removeprefix("#separator").strip(" "))
            if len(self._separator) != 1 or not self._separator.isascii() or self._separator in "\r\n\0":
                raise DataError(f"the separator {self._separator!r} is not one ASCII character", where=where)
            return
        key, *cells = line[1:].split(self._separator)
        if key == "path" and cells != ["conn"]:
            raise DataError(f"this is not Zeek's conn.log but {cells[0] if cells else 'nameless'}.log", where=where)
        if key == "unset_field":
            self._absent[0] = cells[0] if cells else ""
        elif key == "empty_field":
            self._absent[1] = cells[0] if cells else ""
        elif key == "fields":
            self._fields(cells, where)

    def _fields(self, names: list[str], where: str) -> None:
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise DataError(f"#fields names {twice[0]!r} twice", where=where)
        if not self._names:
            self._order = {name: at for at, name in enumerate(names)}
        elif set(names) != set(self._order):
            lacks, more = sorted(set(self._order) - set(names)), sorted(set(names) - set(self._order))
            said = [f"lacks {', '.join(lacks)}"] * bool(lacks) + [f"has {', '.join(more)} more"] * bool(more)
            raise DataError(
                f"the log that begins here {' and '.join(said)} than the first one",
                where=where,
                next="put logs of different fields into files of their own",
            )
        self._names = names


def _is_conn(found: Mapping[str, Any], where: str) -> bool:
    path = found.get("_path", "conn")
    if path != "conn":
        raise DataError(f"this is not Zeek's conn.log but {path}.log", where=where)
    return True
