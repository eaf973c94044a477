"""NetFlow and IPFIX as nfdump writes it: `-o csv` (of 1.6 and 1.7, and the short one of later releases) and `-o json`.

The bytes are those of octetDeltaCount: IP headers included (IANA IPFIX element 1). nfdump's records are of one direction;
`nfdump -b` joins the two of a connection, else what was received is 0 (CSV) or missing (JSON), as nfdump writes it. Its
times are local, without a zone: run it with TZ=UTC or give `timezone:`. CSV has the beginning in whole seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jenga_core.errors import DataError

from .convert import Check, address, count, moment, port, protocol, seconds, text
from .lines import Dialect, Lines, Parser, rows_of
from .objects import Objects
from .schema import ByteLayer, Field, Rows
from .signs import stranger
from .source import FlowSource, duration_from_end

_BEGINNINGS = (b"ts,", b"firstSeen,")


class NfdumpSource(FlowSource):
    kind, what = "security/nfdump", "output of nfdump -o csv or -o json"
    needs = ("ts_start", "src_ip", "dst_ip")

    @property
    def layer(self) -> ByteLayer:
        layer: ByteLayer = self.config.bytes
        return layer

    def fields(self) -> Mapping[str, Field]:
        return {
            "ts_start": Field(("ts", "firstSeen", "first"), moment()),
            "src_ip": Field(("sa", "srcAddr", "src4_addr", "src6_addr", "src_addr"), address),
            "src_port": Field(("sp", "srcPort", "src_port"), port),
            "dst_ip": Field(("da", "dstAddr", "dst4_addr", "dst6_addr", "dst_addr"), address),
            "port": Field(("dp", "dstPort", "dst_port"), port),
            "protocol": Field(("pr", "proto"), protocol),
            "duration": Field(("td", "duration"), seconds()),
            "bytes_sent": Field(("ibyt", "bytes", "in_bytes"), count),
            "bytes_received": Field(("obyt", "out_bytes"), count),
            "packets_sent": Field(("ipkt", "packets", "in_packets"), count),
            "packets_received": Field(("opkt", "out_packets"), count),
            "state": Field(("flg", "tcp_flags"), text),
            "icmp_type": Field(("icmp_type",), count),
            "icmp_code": Field(("icmp_code",), count),
        }

    def parser(self, name: str) -> Parser:
        return Records(name)

    def derive(self, values: dict[str, Any], rows: Rows, check: Check) -> None:
        """JSON has the end instead of the duration; CSV has ICMP in the destination port, as type * 256 + code."""
        duration_from_end(values, rows, "last", check)
        if "icmp_type" not in rows.cells:
            values["icmp_type"], values["icmp_code"] = np.floor(values["port"] / 256), values["port"] % 256


class Records(Parser):
    """CSV or JSON, told apart by the first line. Header lines in the middle and summaries at the end are left out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._objects: Objects | None = None
        self._names: list[str] = []
        self._summary = False

    def feed(self, lines: Lines) -> Rows | None:
        if self._objects is None and not self._names:
            begin = next((line.strip() for line in lines.lines if line.strip()), b"")
            if begin[:1] in (b"[", b"{"):
                self._objects = Objects(self.name)
        if self._objects is not None:
            kept = [b"" if line.strip() == b"No matching flows" else line for line in lines.lines]
            rows = self._objects.feed(Lines(lines.first, kept, lines.cut))
            return rows and _unlabelled(rows)
        numbers, kept = [], []
        for number, line in enumerate(lines.lines, lines.first):
            line = line.strip()
            if line and self._is_row(number, line):
                numbers.append(number)
                kept.append(line)
        return rows_of(self.name, self._names, kept, numbers, Dialect(quote=None), lines.cut) if kept else None

    def close(self) -> None:
        if self._objects is not None:
            self._objects.close()

    def header(self) -> list[bytes]:
        return [",".join(self._names).encode()] if self._names else []

    def _is_row(self, number: int, line: bytes) -> bool:
        if line.startswith(_BEGINNINGS):
            names = line.decode("utf-8", "replace").split(",")
            if self._names and names != self._names:
                raise DataError("other columns than above begin here", where=f"{self.name}, line {number}")
            self._names, self._summary = names, False
            return False
        if line == b"Summary":
            self._summary = True
        if self._summary or line == b"No matching flows":
            return False
        if not self._names:
            where = f"{self.name}, line {number}"
            raise stranger(NfdumpSource.what, NfdumpSource.kind, where, line, "nfdump -r FILE -b -o csv, or -o json")
        return True


def _unlabelled(rows: Rows) -> Rows:
    """nfdump writes the label of a flow that has none as <none>."""
    if "label" not in rows.cells:
        return rows
    none = pa.scalar(None, pa.string())
    label = pc.if_else(pc.equal(rows.cells["label"], "<none>"), none, rows.cells["label"])
    return Rows({**rows.cells, "label": label}, rows.lines)
