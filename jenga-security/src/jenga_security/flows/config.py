"""Options of the sources of flows. Torch-free, pandas-free."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from jenga_core.config import ComponentConfig


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"unknown time zone {value!r}; examples: UTC, Africa/Nairobi, Europe/Berlin") from None
    return value


def _codec(value: str) -> str:
    try:
        "".encode(value)
    except LookupError:
        raise ValueError(f"unknown encoding {value!r}; examples: utf-8, cp1252, latin-1") from None
    return value


Invalid = Literal["error", "missing"]
Zone = Annotated[str, AfterValidator(_zone)]
Codec = Annotated[str, AfterValidator(_codec)]
_WINDOW = "seconds that request_count looks back; null: no such column"
_INVALID = "cells that cannot be (port 70000, a negative duration): error, or missing: taken as missing and counted"
_ZONE = "time zone of times that name none, such as Africa/Nairobi"
_BYTES = "the layer that bytes_sent and bytes_received count: "


class FlowConfig(ComponentConfig):
    """What every source of flows takes."""

    window: float | None = Field(default=60.0, gt=0, description=_WINDOW)
    invalid: Invalid = Field(default="error", description=_INVALID)


class ZonedConfig(FlowConfig):
    """A source whose times may come without a zone."""

    timezone: Zone = Field(default="UTC", description=_ZONE)


class ZeekConnConfig(ZonedConfig):
    """security/zeek-conn: Zeek's conn.log, TSV or JSON, also compressed and several logs in one file."""

    bytes: Literal["payload", "ip"] = Field(
        default="ip", description=_BYTES + "ip (orig_ip_bytes) or payload (orig_bytes, often unset)"
    )


class SuricataEveConfig(ZonedConfig):
    """security/suricata-eve: Suricata's eve.json. Events of other types are skipped and counted."""

    event: Literal["flow", "alert"] = Field(
        default="flow", description="flow: one row per finished flow, with flow.alerted; alert: one row per alert"
    )
    bytes: Literal["ethernet", "ip"] = Field(
        default="ethernet", description=_BYTES + "ethernet, or ip where Suricata saw no frames (NFQUEUE, tunnels)"
    )


class NfdumpConfig(ZonedConfig):
    """security/nfdump: NetFlow and IPFIX as `nfdump -o csv` or `nfdump -o json` writes them; use `nfdump -b` for both ways."""

    bytes: Literal["ip", "ethernet"] = Field(
        default="ip", description=_BYTES + "ip, or ethernet where the exporter was set to count frames"
    )


class PcapConfig(FlowConfig):
    """security/pcap: captures of packets, pcap or pcapng. Needs `pip install "jenga-security[pcap]"`."""

    bytes: Literal["ethernet", "ip", "payload"] = Field(
        default="ethernet", description="the layer whose bytes are counted: ethernet, ip, or payload (of TCP or UDP)"
    )


class DatasetConfig(FlowConfig):
    """A public data set: its known defects are counted rather than refused."""

    window: float | None = Field(default=None, gt=0, description=_WINDOW)
    invalid: Invalid = Field(default="missing", description=_INVALID)


class UnswNb15Config(DatasetConfig):
    """security/unsw-nb15: the training and testing set, or the four raw files without a header."""


class CicidsConfig(DatasetConfig):
    """security/cicids: CICIDS2017, CSE-CIC-IDS2018 and other output of CICFlowMeter."""

    encoding: Codec = Field(default="utf-8", description="of the text; some files of CICIDS2017 are cp1252")
    timezone: Zone = Field(default="UTC", description=_ZONE)


class NslKddConfig(ComponentConfig):
    """security/nsl-kdd: KDDTrain+.txt, KDDTest+.txt and their 20 % and -21 files, which have no header."""

    difficulty: bool = Field(
        default=False,
        description="keep the last column: how many of 21 learners got the row right, which tells the label",
    )
