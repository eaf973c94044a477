"""The canonical columns, and how a source says where it has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from .convert import Check

Array = np.ndarray[Any, Any]
ByteLayer = Literal["payload", "ip", "ethernet"]
Reader = Callable[[pa.Array, "Check"], Any]

COLUMNS = (
    "ts_start", "src_ip", "src_port", "dst_ip", "port", "protocol", "duration", "bytes_sent", "bytes_received",
    "packets_sent", "packets_received", "packet_size", "state", "icmp_type", "icmp_code", "request_count", "byte_layer",
)  # fmt: skip
TEXT = frozenset({"src_ip", "dst_ip", "state", "byte_layer"})
WHOLE = frozenset(
    {
        "src_port", "port", "protocol", "bytes_sent", "bytes_received", "packets_sent", "packets_received",
        "icmp_type", "icmp_code", "request_count",
    }
)  # fmt: skip
SMALLEST: Mapping[str, int] = {"payload": 0, "ip": 20, "ethernet": 34}  # bytes of a packet that carries nothing
PORTED = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
ICMP = (1, 58)


@dataclass(frozen=True, slots=True)
class Field:
    """A canonical column in a log: the first of `names` that has a value in a row, read by `read`."""

    names: tuple[str, ...]
    read: Reader


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as the log has them: text cells [N] by the log's own names, null = missing. `lines` int64 [N]: where they begin."""

    cells: Mapping[str, pa.Array]
    lines: Array

    def __len__(self) -> int:
        return len(self.lines)
