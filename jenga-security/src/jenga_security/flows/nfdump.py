"""NetFlow and IPFIX as nfdump writes it: `-o csv` (of 1.6 and 1.7, and from 1.7.5 on the short one, `csv-fast` and custom
`csv:%ts,...` formats) and `-o json`.

The bytes are those of octetDeltaCount: IP headers included (IANA IPFIX element 1). nfdump's records are of one direction;
`nfdump -b` joins the two of a connection, else what was received is 0 (CSV) or missing (JSON), as nfdump writes it. Its
times are local, without a zone: run it with TZ=UTC or give `timezone:`. The CSV of 1.6 has the beginning in whole seconds.

What differs between versions is told cell by cell: the destination port of ICMP is `type.code` from 1.7.5 on (8.0, 3.10;
output_csv.c, ICMP_Port_decode), type * 256 + code before and in csv-fast (2048); a duration is seconds or hh:mm:ss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jenga_core.errors import DataError

from .convert import Check, address, clean, count, duration, moment, number, port, protocol, text
from .lines import Dialect, Lines, Parser, rows_of
from .objects import Objects
from .schema import ICMP, Array, ByteLayer, Field, Rows
from .signs import stranger
from .source import FlowSource, duration_from_end

BEGINS = ("ts", "firstSeen")  # what a header names the beginning of a flow
EMPTY = (b"No matching flows", b"No matched flows")  # of 1.7, of 1.6
_NAMES = (
    "ts te td sa da sp dp pr flg fwd stos ipkt ibyt opkt obyt in out sas das smk dmk dtos dir nh nhb svln dvln ismc odmc idmc "
    "osmc mpls1 mpls2 mpls3 mpls4 mpls5 mpls6 mpls7 mpls8 mpls9 mpls10 cl sl al ra eng exid tr "
    "cnt af version count Ident engine exporterID firstSeen lastSeen received duration packets inPackets bytes inBytes "
    "srcPort dstPort icmpTYpe icmpType icmpCode proto flags fwdStatus tos srcTos bps pps bpp srcAddr dstAddr input output "
    "srcMask dstMask direction dstTos biDirection endReason srcNet dstNet inIfName outIfName outPackets outBytes flows srcVlan "
    "dstVlan srcAS dstAS bgpNextIP nextIP routerIP mplsLabel1 mplsLabel2 mplsLabel3 mplsLabel4 mplsLabel5 mplsLabel6 "
    "mplsLabel7 mplsLabel8 mplsLabel9 mplsLabel10 mplsLabel1-10 inSrcMac outDstMac inDstMac outSrcMac nextAS prevAS "
    "clientLatency serverLatency appLatency eventTime event connectionID xEvent srcXIP dstXIP srcXPort dstXPort ingressACL "
    "egressACL nselUser pbStart pbEnd pbStep pbSize nbarID nbarName obsDomainID obsPointID ingressVrfID ingressVrfName "
    "egressVrfID egressVrfName pfInterface pfAction pfReason pfDirection pfRule flowID inSrvID outSrvID natString ja3 ja4 "
    "sniName tlsVersion srcGeo dstGeo srcLocation dstLocation srcOrg dstOrg srcTor dstTor label minTTL maxTTL Frag"
)  # in the CSV of all versions; "icmpTYpe" is nfdump's own spelling
NAMES = frozenset(_NAMES.split())
_CLOCK = r"^(?:(?P<d>\d+)d\s*)?(?P<h>\d+):(?P<m>[0-5]?\d):(?P<s>[0-5]?\d(?:\.\d+)?)$"
_DOTTED = r"^(?P<type>\d+)\.(?P<code>\d+)$"


class NfdumpSource(FlowSource):
    kind, what = "security/nfdump", "output of nfdump -o csv or -o json"
    needs = ("ts_start", "src_ip", "dst_ip")

    @property
    def layer(self) -> ByteLayer:
        layer: ByteLayer = self.config.bytes
        return layer

    def fields(self) -> Mapping[str, Field]:
        return _FIELDS

    def parser(self, name: str) -> Parser:
        return Records(name)

    def derive(self, values: dict[str, Any], rows: Rows, check: Check) -> None:
        """JSON and csv-fast have the end instead of the duration; CSV has type and code of ICMP in the destination port."""
        fields = self.fields()
        ends = ("last",) if any(name in rows.cells for name in fields["duration"].names) else ("last", "lastSeen")
        for end in ends:
            duration_from_end(values, rows, end, check)
        ports = next((name for name in fields["port"].names if name in rows.cells), None)
        if ports is None:
            return
        check.column = ports
        _decode(values, clean(rows.cells[ports]), check)
        for name, read in (("icmp_type", np.floor(values["port"] / 256)), ("icmp_code", values["port"] % 256)):
            if not any(each in rows.cells for each in fields[name].names):
                values[name] = read


def undotted_port(cells: pa.Array, check: Check) -> Array:
    """A port, or type * 256 + code of ICMP; NaN for type.code, which needs the protocol (`_decode`) and is no decimal number."""
    if not pc.any(pc.match_substring(cells, ".")).as_py():
        return port(cells, check)
    return port(pc.if_else(pc.match_substring_regex(cells, _DOTTED), pa.scalar(None, pa.string()), cells), check)


def _decode(values: dict[str, Any], cells: pa.Array, check: Check) -> None:
    """Ports written type.code -> type * 256 + code. A dot in a flow that is not ICMP comes from a program that read ports as
    decimals and wrote 443.0: what was 8.0 or 3.10 cannot be told there."""
    if not pc.any(pc.match_substring(cells, ".")).as_py():
        return
    parts = pc.extract_regex(cells, _DOTTED)
    kinds, codes = (_digits(pc.struct_field(parts, name)) for name in ("type", "code"))
    dotted, icmp = ~np.isnan(kinds), np.isin(values["protocol"], ICMP)
    beyond = dotted & icmp & ((kinds > 255) | (codes > 255))
    check.refuse(
        dotted & ~icmp,
        "a port with a dot, of a flow that is not ICMP",
        lambda at: (
            f"{cells[at].as_py()!r} has a dot, which nfdump writes for ICMP only: did another program rewrite the log?"
        ),
    )
    check.refuse(
        beyond, "not type.code", lambda at: f"{cells[at].as_py()!r} is not one of 0.0 to 255.255, type.code of ICMP"
    )
    values["port"] = np.where(dotted & icmp & ~beyond, kinds * 256 + codes, values["port"])


def lasted(cells: pa.Array, check: Check) -> Array:
    """Seconds, from a number of them or hh:mm:ss.mmm with days ("2d 01:00:00.000") before it."""
    if not pc.any(pc.match_substring(cells, ":")).as_py():
        return duration(number(cells, check), check)
    parts = pc.extract_regex(cells, _CLOCK)
    clocks = pc.fill_null(pc.is_valid(parts), False).to_numpy(zero_copy_only=False)
    plain = number(pc.if_else(pa.array(clocks), pa.scalar(None, pa.string()), cells), check)
    days, hours, minutes, seconds = (np.nan_to_num(_digits(pc.struct_field(parts, name))) for name in "dhms")
    return duration(np.where(clocks, ((days * 24 + hours) * 60 + minutes) * 60 + seconds, plain), check)


def _digits(cells: pa.Array) -> Array:
    """Digits -> float64, NaN where there are none."""
    none = pa.scalar(None, pa.string())
    found: Array = pc.cast(pc.if_else(pc.equal(cells, ""), none, cells), pa.float64()).to_numpy(zero_copy_only=False)
    return found.astype(np.float64)


_FIELDS: Mapping[str, Field] = {
    "ts_start": Field(("ts", "firstSeen", "first"), moment()),
    "src_ip": Field(("sa", "srcAddr", "src4_addr", "src6_addr", "src_addr"), address),
    "src_port": Field(("sp", "srcPort", "src_port"), port),
    "dst_ip": Field(("da", "dstAddr", "dst4_addr", "dst6_addr", "dst_addr"), address),
    "port": Field(("dp", "dstPort", "dst_port"), undotted_port),
    "protocol": Field(("pr", "proto"), protocol),
    "duration": Field(("td", "duration"), lasted),
    "bytes_sent": Field(("ibyt", "bytes", "inBytes", "in_bytes"), count),
    "bytes_received": Field(("obyt", "outBytes", "out_bytes"), count),
    "packets_sent": Field(("ipkt", "packets", "inPackets", "in_packets"), count),
    "packets_received": Field(("opkt", "outPackets", "out_packets"), count),
    "state": Field(("flg", "flags", "tcp_flags"), text),
    "icmp_type": Field(("icmp_type", "icmpTYpe", "icmpType"), count),
    "icmp_code": Field(("icmp_code", "icmpCode"), count),
}


class Records(Parser):
    """CSV or JSON, told apart by the first line. Header lines in the middle and summaries at the end are left out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._objects: Objects | None = None
        self._names: list[str] = []
        self._unknown: dict[str, None] = {}
        self._summary = False

    def feed(self, lines: Lines) -> Rows | None:
        if self._objects is None and not self._names:
            begin = next((line.strip() for line in lines.lines if line.strip()), b"")
            if begin[:1] in (b"[", b"{"):
                self._objects = Objects(self.name)
        if self._objects is not None:
            kept = [b"" if line.strip() in EMPTY else line for line in lines.lines]
            rows = self._objects.feed(Lines(lines.first, kept, lines.cut))
            return rows and _unlabelled(rows)
        numbers, kept = [], []
        for place, line in enumerate(lines.lines, lines.first):
            line = line.strip()
            if line and self._is_row(place, line):
                numbers.append(place)
                kept.append(line)
        return rows_of(self.name, self._names, kept, numbers, Dialect(quote=None), lines.cut) if kept else None

    def close(self) -> None:
        if self._objects is not None:
            self._objects.close()

    def notes(self) -> list[str]:
        if not self._unknown:
            return []
        return [f"columns that nfdump does not name so, passed through as they are: {', '.join(self._unknown)}"]

    def header(self) -> list[bytes]:
        return [",".join(self._names).encode()] if self._names else []

    def _is_row(self, place: int, line: bytes) -> bool:
        if not self._names or line.partition(b",")[0].decode("utf-8", "replace") in NAMES:
            names = [name.strip() for name in line.decode("utf-8", "replace").split(",")]
            if any(name in BEGINS for name in names):
                self._begin(place, names)
                return False
        if line == b"Summary":
            self._summary = True
        if self._summary or line in EMPTY:
            return False
        if not self._names:
            where = f"{self.name}, line {place}"
            raise stranger(NfdumpSource.what, NfdumpSource.kind, where, line, "nfdump -r FILE -b -o csv, or -o json")
        return True

    def _begin(self, place: int, names: list[str]) -> None:
        where = f"{self.name}, line {place}"
        if self._names and names != self._names:
            raise DataError("other columns than above begin here", where=where)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"the header names {twice[0]!r} twice", where=where)
        self._names, self._summary = names, False
        read = {name for field in _FIELDS.values() for name in field.names}
        self._unknown = dict.fromkeys(name for name in names if name not in NAMES | read)


def _unlabelled(rows: Rows) -> Rows:
    """nfdump writes the label of a flow that has none as <none>."""
    if "label" not in rows.cells:
        return rows
    none = pa.scalar(None, pa.string())
    label = pc.if_else(pc.equal(rows.cells["label"], "<none>"), none, rows.cells["label"])
    return Rows({**rows.cells, "label": label}, rows.lines)
