"""security/pcap: captured packets (pcap, pcapng) as flows, metered by NFStream. Needs jenga-security[pcap].

A flow ends after two minutes without a packet or after half an hour (NFStream's defaults). Its sender is that of its first
packet. NFStream itself counts the bytes of the layer that `bytes:` names (its accounting mode), so the declared layer is the
one counted. Packets that are not IP belong to no flow and are not there. Times are those of the capture, to the
millisecond. NFStream gives flows in the order in which they end; here they come by their beginning, which needs all
flows (not packets) of a file in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jenga_core.errors import DataError
from jenga_core.textfiles import shown

from .capture import whole_packets
from .config import PcapConfig
from .convert import address, count, moment, port, protocol, seconds
from .lines import Lines, Parser
from .schema import ByteLayer, Field, Rows
from .source import FlowSource

ACCOUNTING = {"ethernet": 0, "ip": 1, "payload": 3}  # NFStream's accounting_mode
FIRST = "bidirectional_first_seen_ms"
READ = (
    FIRST, "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "bidirectional_duration_ms",
    "src2dst_bytes", "dst2src_bytes", "src2dst_packets", "dst2src_packets",
)  # fmt: skip
PASSED = (
    "src_mac", "dst_mac", "ip_version", "vlan_id", "tunnel_id", "application_name", "application_category_name",
    "requested_server_name",
)  # fmt: skip
PIECE = 65_536  # flows


class PcapSource(FlowSource):
    kind, what = "security/pcap", "a capture of packets"
    needs = ("ts_start", "src_ip", "dst_ip")
    config: PcapConfig

    @property
    def layer(self) -> ByteLayer:
        return self.config.bytes

    def fields(self) -> Mapping[str, Field]:
        return {
            "ts_start": Field((FIRST,), moment()),
            "src_ip": Field(("src_ip",), address),
            "src_port": Field(("src_port",), port),
            "dst_ip": Field(("dst_ip",), address),
            "port": Field(("dst_port",), port),
            "protocol": Field(("protocol",), protocol),
            "duration": Field(("bidirectional_duration_ms",), seconds(1000)),
            "bytes_sent": Field(("src2dst_bytes",), count),
            "bytes_received": Field(("dst2src_bytes",), count),
            "packets_sent": Field(("src2dst_packets",), count),
            "packets_received": Field(("dst2src_packets",), count),
        }

    def parser(self, name: str) -> Parser:
        return Capture(name)

    def _rows(self, path: Any, parser: Parser) -> Iterator[Rows]:
        """Each pass meters the capture anew: what one pass found is not kept, so that a file that changed is seen."""
        if isinstance(parser, Capture):
            parser.cut = whole_packets(path)
        flows = _metered(path, ACCOUNTING[self.layer])
        for at in range(0, len(flows), PIECE):
            piece = list(zip(*flows[at : at + PIECE], strict=True))
            cells = {name: pa.array(values, pa.string()) for name, values in zip((*READ, *PASSED), piece, strict=True)}
            yield Rows(cells, np.arange(at + 1, at + 1 + len(piece[0])))


class Capture(Parser):
    """A capture is no text: it is read by NFStream and cannot be followed line by line. `cut`: what its end lacks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cut: str | None = None

    def feed(self, lines: Lines) -> Rows | None:
        raise DataError(
            "a capture of packets cannot be followed as a log of lines",
            where=self.name,
            next="let Zeek or Suricata meter the packets, and follow their log: kind: security/zeek-conn",
        )

    def notes(self) -> list[str]:
        return [self.cut] if self.cut else []


def _metered(path: Any, accounting: int) -> list[tuple[str | None, ...]]:
    """The flows by their beginning, as text cells in the order of READ and PASSED."""
    try:
        from nfstream import NFStreamer
    except ImportError as error:
        raise DataError(
            "captures of packets are read with NFStream, which is not installed",
            where=shown(path),
            next='pip install "jenga-security[pcap]"',
        ) from error
    cores = _cores()
    try:
        streamer = NFStreamer(source=str(Path(path)), accounting_mode=accounting, n_meters=1)
        flows = [[getattr(flow, name) for name in (*READ, *PASSED)] for flow in streamer]
    except ValueError as error:
        raise DataError(f"NFStream cannot read the capture: {error}", where=shown(path)) from error
    finally:
        _set_cores(cores)
    flows.sort(key=lambda values: (values[0], [str(value) for value in values[1:6]]))
    return [tuple(None if value in (None, "") else str(value) for value in values) for values in flows]


def _cores() -> set[int] | None:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def _set_cores(cores: set[int] | None) -> None:
    """NFStream pins the process that called it to core 0, where training would then stay."""
    if cores is not None and os.sched_getaffinity(0) != cores:
        os.sched_setaffinity(0, cores)
