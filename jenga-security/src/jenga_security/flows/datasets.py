"""Public data sets of flows in CSV, with the defects that they are known for.

UNSW-NB15 (Moustafa and Slay 2015), made with Argus and Zeek: times in seconds, bytes with IP headers (a TCP handshake counts
about 43 bytes a packet, less than an Ethernet frame of one has).

CICIDS2017 and CSE-CIC-IDS2018 (Sharafaldin et al. 2018), made with CICFlowMeter: durations in microseconds, bytes of payload,
spaces around names, a name twice, header lines amid the rows, Infinity, negative durations; the times of 2017 are on a
12-hour clock without am and pm. Some of their labels are wrong (Engelen et al. 2021): corrected versions are better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.compute as pc

from .convert import address, count, moment, port, protocol, seconds, text
from .lines import Dialect, Lines, Parser, lines_of, rows_of
from .schema import ByteLayer, Field, Rows
from .signs import stranger
from .source import FlowSource

_RAW = (
    "srcip sport dstip dsport proto state dur sbytes dbytes sttl dttl sloss dloss service sload dload spkts dpkts swin dwin "
    "stcpb dtcpb smeansz dmeansz trans_depth res_bdy_len sjit djit stime ltime sintpkt dintpkt tcprtt synack ackdat "
    "is_sm_ips_ports ct_state_ttl ct_flw_http_mthd is_ftp_login ct_ftp_cmd ct_srv_src ct_srv_dst ct_dst_ltm ct_src_ltm "
    "ct_src_dport_ltm ct_dst_sport_ltm ct_dst_src_ltm attack_cat label"
)  # of the four raw files, which have no header
_STEP = "source: {{kind: security/cicids, encoding: {encoding}}}"


class UnswNb15Source(FlowSource):
    """Names in lower case, as the training and testing sets have them; the raw files get those of their documentation."""

    kind, what, always = "security/unsw-nb15", "UNSW-NB15", False
    needs = ("protocol", "bytes_sent", "bytes_received", "packets_sent")
    layer: ByteLayer = "ip"

    def fields(self) -> Mapping[str, Field]:
        return {
            "ts_start": Field(("stime",), moment()),
            "src_ip": Field(("srcip",), address),
            "src_port": Field(("sport",), port),
            "dst_ip": Field(("dstip",), address),
            "port": Field(("dsport",), port),
            "protocol": Field(("proto",), protocol),
            "duration": Field(("dur",), seconds()),
            "bytes_sent": Field(("sbytes",), count),
            "bytes_received": Field(("dbytes",), count),
            "packets_sent": Field(("spkts",), count),
            "packets_received": Field(("dpkts",), count),
            "state": Field(("state",), text),
        }

    def parser(self, name: str) -> Parser:
        return Csv(name, self, headerless=_RAW.split(), lower=True)


class CicidsSource(FlowSource):
    kind, what, always = "security/cicids", "CSV of CICFlowMeter", False
    needs = ("duration", "port", "packets_sent")
    layer: ByteLayer = "payload"

    def lines(self, path: Any) -> Iterator[Lines]:
        return lines_of(path, self.config.encoding, _STEP)

    def fields(self) -> Mapping[str, Field]:
        return {
            "ts_start": Field(("Timestamp",), moment("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y %I:%M:%S %p")),
            "src_ip": Field(("Source IP", "Src IP"), address),
            "src_port": Field(("Source Port", "Src Port"), port),
            "dst_ip": Field(("Destination IP", "Dst IP"), address),
            "port": Field(("Destination Port", "Dst Port"), port),
            "protocol": Field(("Protocol",), protocol),
            "duration": Field(("Flow Duration",), seconds(1e6)),
            "bytes_sent": Field(
                ("Total Length of Fwd Packets", "Total Length of Fwd Packet", "TotLen Fwd Pkts"), count
            ),
            "bytes_received": Field(
                ("Total Length of Bwd Packets", "Total Length of Bwd Packet", "TotLen Bwd Pkts"), count
            ),
            "packets_sent": Field(("Total Fwd Packets", "Total Fwd Packet", "Tot Fwd Pkts"), count),
            "packets_received": Field(("Total Backward Packets", "Total Bwd packets", "Tot Bwd Pkts"), count),
        }

    def parser(self, name: str) -> Parser:
        return Csv(name, self)

    def notes(self) -> list[str]:
        return [*super().notes(), "labels and times of CICIDS have known errors: prefer a corrected version"]


class Csv(Parser):
    """CSV with a header, whose names are trimmed; `headerless`: the names of a file that has none."""

    def __init__(self, name: str, source: FlowSource, headerless: list[str] | None = None, lower: bool = False) -> None:
        self.name, self._source, self._headerless, self._lower = name, source, headerless, lower
        self._names: list[str] = []
        self._header = b""
        self._repeated = 0

    def feed(self, lines: Lines) -> Rows | None:
        numbers, kept = [], []
        for number, line in enumerate(lines.lines, lines.first):
            line = line.strip()
            if not line:
                continue
            if not self._names and self._begins(number, line):
                self._header = line
            elif line == self._header:
                self._repeated += 1
            else:
                numbers.append(number)
                kept.append(line)
        if not kept:
            return None
        rows = rows_of(self.name, self._names, kept, numbers, Dialect(), lines.cut)
        return Rows({n: pc.utf8_trim_whitespace(c) for n, c in rows.cells.items()}, rows.lines)

    def notes(self) -> list[str]:
        return [f"{self._repeated:,} header lines amid the rows skipped"] if self._repeated else []

    def _begins(self, number: int, line: bytes) -> bool:
        """Is the first line a header? Sets the names either way."""
        cells = [cell.strip().strip('"').strip() for cell in line.decode("utf-8", "replace").split(",")]
        if self._headerless and len(cells) == len(self._headerless) and cells[0].lower() != self._headerless[0]:
            self._names = list(self._headerless)
            return False
        seen: dict[str, int] = {}
        for cell in cells:
            name = cell.lower() if self._lower else cell
            times = seen[name] = seen.get(name, -1) + 1
            self._names.append(f"{name}.{times}" if times else name)
        if self._source.lacking(self._names):
            raise stranger(self._source.what, self._source.kind, f"{self.name}, line {number}", line)
        return True
