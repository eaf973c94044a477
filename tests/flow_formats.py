"""Canonical flows as the logs of several tools would have them, for tests that read them back."""

from __future__ import annotations

import ipaddress
import json
import math
import struct
from datetime import UTC, datetime
from typing import Any

PORTED = (6, 17)
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}


def sample(count: int = 14) -> list[dict[str, Any]]:
    """Flows of three hosts, complete, in order."""
    return [
        {
            "ts_start": 1767225600.25 + 7 * at,
            "src_ip": f"10.0.0.{at % 3}",
            "src_port": 40000 + at,
            "dst_ip": "2001:db8::53" if at % 5 == 0 else "192.0.2.80",
            "port": 53 if at % 2 else 443,
            "protocol": 17 if at % 2 else 6,
            "duration": round(0.125 * at, 6),
            "bytes_sent": 60 + 100 * at,
            "bytes_received": 80 + 900 * at,
            "packets_sent": 1 + at // 4,
            "packets_received": 2,
            "state": "SF",
        }
        for at in range(count)
    ]


def _unset(value: Any, form: str = "") -> str:
    return "-" if value is None else format(value, form)


_ZEEK = (
    "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\t"
    "conn_state\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes"
)


def zeek_tsv(flows: list[dict[str, Any]], *, close: bool = True) -> str:
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn"]
    head.append(f"#fields\t{_ZEEK}")
    rows = [
        "\t".join(
            [
                f"{f['ts_start']:.6f}", f"C{at}", f["src_ip"], str(f["src_port"]), f["dst_ip"], str(f["port"]),
                NAMES[f["protocol"]], _unset(f["duration"], ".6f"), f["state"], _unset(f["packets_sent"]),
                _unset(f["bytes_sent"]), _unset(f["packets_received"]), _unset(f["bytes_received"]),
            ]
        )
        for at, f in enumerate(flows)
    ]  # fmt: skip
    return "\n".join([*head, *rows, *["#close\t2026-01-01-00-00-00"] * close]) + "\n"


def zeek_json(flows: list[dict[str, Any]]) -> str:
    names = {
        "ts_start": "ts", "src_ip": "id.orig_h", "src_port": "id.orig_p", "dst_ip": "id.resp_h", "port": "id.resp_p",
        "duration": "duration", "state": "conn_state", "packets_sent": "orig_pkts", "bytes_sent": "orig_ip_bytes",
        "packets_received": "resp_pkts", "bytes_received": "resp_ip_bytes",
    }  # fmt: skip
    rows = [
        {"proto": NAMES[f["protocol"]], **{names[n]: v for n, v in f.items() if n in names and v is not None}}
        for f in flows
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(math.floor(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S") + f"{seconds % 1:.6f}"[1:]


def eve(flows: list[dict[str, Any]]) -> str:
    rows = []
    for at, f in enumerate(flows):
        flow = {
            "pkts_toserver": f["packets_sent"], "pkts_toclient": f["packets_received"], "bytes_toserver": f["bytes_sent"],
            "bytes_toclient": f["bytes_received"], "start": iso(f["ts_start"]) + "+0000", "state": f["state"],
        }  # fmt: skip
        flow |= {} if f["duration"] is None else {"end": iso(f["ts_start"] + f["duration"]) + "+0000", "age": 0}
        row = {
            "timestamp": iso(f["ts_start"]) + "+0000", "flow_id": at, "event_type": "flow", "src_ip": f["src_ip"],
            "src_port": f["src_port"], "dest_ip": f["dst_ip"], "dest_port": f["port"], "proto": NAMES[f["protocol"]].upper(),
        }  # fmt: skip
        rows.append(row | {"flow": {k: v for k, v in flow.items() if v is not None}})
    return "".join(json.dumps(row) + "\n" for row in rows)


def nfdump_csv(flows: list[dict[str, Any]]) -> str:
    head = "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt"
    rows = [
        ",".join(
            [
                iso(f["ts_start"]).replace("T", " "), "x", _unset(f["duration"], ".6f"), f["src_ip"], f["dst_ip"],
                str(f["src_port"]), str(f["port"]), NAMES[f["protocol"]].upper(), f["state"], _unset(f["packets_sent"]),
                _unset(f["bytes_sent"]), _unset(f["packets_received"]), _unset(f["bytes_received"]),
            ]
        )
        for f in flows
    ]  # fmt: skip
    return "\n".join([head, *rows, "Summary", "flows,bytes,packets,avg_bps,avg_pps,avg_bpp", "1,2,3,4,5,6"]) + "\n"


def nfdump_json(flows: list[dict[str, Any]]) -> str:
    rows = []
    for f in flows:
        four = ":" not in f["src_ip"] + f["dst_ip"]
        row = {
            "type": "FLOW", "first": iso(f["ts_start"]), "last": iso(f["ts_start"] + (f["duration"] or 0)),
            "in_packets": f["packets_sent"], "in_bytes": f["bytes_sent"], "out_packets": f["packets_received"],
            "out_bytes": f["bytes_received"], "proto": f["protocol"], "tcp_flags": f["state"], "src_port": f["src_port"],
            "dst_port": f["port"], f"src{4 if four else 6}_addr": f["src_ip"], f"dst{4 if four else 6}_addr": f["dst_ip"],
            "label": "<none>",
        }  # fmt: skip
        rows.append({k: v for k, v in row.items() if v is not None})
    return json.dumps(rows, indent="\t") + "\n"


def unsw(flows: list[dict[str, Any]]) -> str:
    head = "srcip,sport,dstip,dsport,proto,state,dur,sbytes,dbytes,spkts,dpkts,stime,label"
    rows = [
        f"{f['src_ip']},{f['src_port']},{f['dst_ip']},{f['port']},{NAMES[f['protocol']]},{f['state']},{_unset(f['duration'])},"
        f"{_unset(f['bytes_sent'])},{_unset(f['bytes_received'])},{_unset(f['packets_sent'])},{_unset(f['packets_received'])},"
        f"{f['ts_start']!r},{at % 2}"
        for at, f in enumerate(flows)
    ]
    return "\n".join([head, *rows]) + "\n"


def cicids(flows: list[dict[str, Any]]) -> str:
    head = (
        "Flow ID, Source IP, Source Port, Destination IP, Destination Port, Protocol, Timestamp, Flow Duration, Total Fwd "
        "Packets, Total Backward Packets,Total Length of Fwd Packets, Total Length of Bwd Packets, Label"
    )
    rows = [
        f"{at},{f['src_ip']},{f['src_port']},{f['dst_ip']},{f['port']},{f['protocol']},{iso(f['ts_start']).replace('T', ' ')},"
        f"{'' if f['duration'] is None else round(f['duration'] * 1e6)},{_unset(f['packets_sent'])},"
        f"{_unset(f['packets_received'])},{_unset(f['bytes_sent'])},{_unset(f['bytes_received'])},BENIGN"
        for at, f in enumerate(flows)
    ]
    return "\n".join([head, *rows]) + "\n"


def pcap(flows: list[dict[str, Any]]) -> bytes:
    """Ethernet frames of IPv4 and IPv6, of the flows' packets and bytes at the layer ip, spread evenly over the duration."""
    packets = []
    for f in flows:
        ways = [
            ("src", "dst", f["packets_sent"], f["bytes_sent"]),
            ("dst", "src", f["packets_received"], f["bytes_received"]),
        ]
        for way, (source, target, count, size) in enumerate(ways):
            for at in range(count):
                share = at / max(1, count - 1) if way == 0 else 0.5
                length = size // count + (size % count if at == 0 else 0)
                ports = [f["src_port"], f["port"]] if source == "src" else [f["port"], f["src_port"]]
                when = f["ts_start"] + share * (f["duration"] or 0)
                packets.append(
                    (when, way, at, _frame(f[f"{source}_ip"], f[f"{target}_ip"], ports, f["protocol"], length))
                )
    packets.sort(key=lambda packet: packet[:3])
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for when, _, _, frame in packets:
        micro = round(when * 1e6)
        out.append(struct.pack("<IIII", micro // 10**6, micro % 10**6, len(frame), len(frame)) + frame)
    return b"".join(out)


def _frame(source: str, target: str, ports: list[int], protocol: int, length: int) -> bytes:
    """`length`: of the IP packet."""
    addresses = [ipaddress.ip_address(a) for a in (source, target)]
    six = any(a.version == 6 for a in addresses)
    packed = b"".join(
        ipaddress.IPv6Address(f"2001:db8:4::{a}").packed if six and a.version == 4 else a.packed for a in addresses
    )
    header = 40 if six else 20
    rest = length - header
    if protocol == 6:
        segment = struct.pack(">HHIIBBHHH", *ports, 1, 1, 5 << 4, 16, 8192, 0, 0)
    else:
        segment = struct.pack(">HHHH", *ports, rest, 0)
    segment += bytes(rest - len(segment))
    if six:
        head = struct.pack(">IHBB", 6 << 28, rest, protocol, 64) + packed
    else:
        head = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, protocol, 0) + packed
    return b"\1" * 6 + b"\2" * 6 + struct.pack(">H", 0x86DD if six else 0x0800) + head + segment


def nsl_kdd(count: int = 14) -> str:
    row = ["0", "tcp", "http", "SF", *["0"] * 37, "normal", "21"]
    return "".join(",".join([str(at), *row[1:]]) + "\n" for at in range(count))


WRITERS = {
    "zeek-conn": zeek_tsv,
    "suricata-eve": eve,
    "nfdump": nfdump_csv,
    "unsw-nb15": unsw,
    "cicids": cicids,
}
