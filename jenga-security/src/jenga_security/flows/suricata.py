"""Suricata's eve.json (docs.suricata.io, EVE JSON format): one event a line, of which flows or alerts are read.

Suricata counts captured frames, link headers included. A flow is logged when it has ended or timed out, so `ts_start` is not
in order. An alert comes while its flow still runs: its counts are those so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from jenga_core.errors import DataError

from .convert import Check, address, count, moment, port, protocol, seconds, text
from .lines import Lines, Parser
from .objects import Objects
from .schema import ByteLayer, Field, Rows
from .signs import other_kind, stranger
from .source import FlowSource, duration_from_end


class SuricataEveSource(FlowSource):
    kind, what = "security/suricata-eve", "Suricata's eve.json"
    keeps = frozenset({"timestamp"})  # when an alert was raised is another thing than when its flow began
    needs = ("ts_start", "src_ip", "dst_ip")

    @property
    def layer(self) -> ByteLayer:
        layer: ByteLayer = self.config.bytes
        return layer

    def fields(self) -> Mapping[str, Field]:
        begin = ("flow.start",) if self.config.event == "flow" else ("flow.start", "timestamp")
        return {
            "ts_start": Field(begin, moment()),
            "src_ip": Field(("src_ip",), address),
            "src_port": Field(("src_port",), port),
            "dst_ip": Field(("dest_ip",), address),
            "port": Field(("dest_port",), port),
            "protocol": Field(("proto",), protocol),
            "duration": Field(("flow.age",), seconds()),
            "bytes_sent": Field(("flow.bytes_toserver",), count),
            "bytes_received": Field(("flow.bytes_toclient",), count),
            "packets_sent": Field(("flow.pkts_toserver",), count),
            "packets_received": Field(("flow.pkts_toclient",), count),
            "state": Field(("flow.state",), text),
            "icmp_type": Field(("icmp_type",), count),
            "icmp_code": Field(("icmp_code",), count),
        }

    def parser(self, name: str) -> Parser:
        return Eve(name, self.config.event)

    def derive(self, values: dict[str, Any], rows: Rows, check: Check) -> None:
        """From start to end where the log has both; `age` is in whole seconds."""
        duration_from_end(values, rows, "flow.end", check)


class Eve(Parser):
    """Events of one type; the others are counted."""

    def __init__(self, name: str, event: str) -> None:
        self.name, self._event, self._begin = name, event, True
        self._skipped: Counter[str] = Counter()
        self._objects = Objects(name, self._keep)

    def feed(self, lines: Lines) -> Rows | None:
        begin = next((line for line in lines.lines if line.strip()), b"") if self._begin else b"{"
        if begin and not begin.lstrip().startswith(b"{"):
            raise stranger(SuricataEveSource.what, SuricataEveSource.kind, f"{self.name}, line {lines.first}", begin)
        self._begin = self._begin and not begin
        return self._objects.feed(lines)

    def close(self) -> None:
        self._objects.close()

    def notes(self) -> list[str]:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self._skipped.most_common())
        return [f"{self._skipped.total():,} events skipped: {kinds}"] if kinds else []

    def _keep(self, found: Mapping[str, Any], where: str) -> bool:
        kind = found.get("event_type")
        if not isinstance(kind, str):
            other = other_kind(found, SuricataEveSource.kind)
            raise DataError(
                f"this is not {SuricataEveSource.what}: no event_type",
                where=where,
                allowed=list(found)[:40],
                next=f"source: {other}" if other else None,
            )
        if kind != self._event:
            self._skipped[kind] += 1
        return kind == self._event
