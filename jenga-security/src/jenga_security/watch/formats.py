"""An alert as a line of ECS JSON, OCSF JSON or CEF.

ECS: Elastic Common Schema 8, event.kind alert. OCSF 1.3: Detection Finding, class 2004, activity 1 (create). CEF 0 (ArcSight
Common Event Format, revision 25). Cells of a log are what an attacker writes, so nothing in them may end a line or a field:
JSON escapes by itself (with ensure_ascii), CEF is escaped here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PRODUCT, VENDOR, VERSION = "jenga-security", "Jenga", "0.1.0"
_NUMBER, _WHOLE = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?"), re.compile(r"0|-?[1-9][0-9]{0,18}")
_FIRST, _LAST = (
    -62_135_596_800,
    253_402_300_799,
)  # seconds since 1970: the years 1 to 9999, which are all that a date can say
_TRANSPORT = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}
_CEF_CELLS = {
    "src_ip": "src",
    "src_port": "spt",
    "dst_ip": "dst",
    "port": "dpt",
    "bytes_sent": "out",
    "bytes_received": "in",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """A row whose `score` reached the `threshold`. `row`: its cells, missing ones left out, as JSON can say them.

    `uid` is the same whenever the same row of the same watch raises it. `time`: seconds since 1970 UTC, of the row where it
    has one, else when it was read; `seen`: when it was read.
    """

    uid: str
    task: str
    label: str
    score: float
    threshold: float
    time: float
    seen: float
    model: str
    log: str
    row: Mapping[str, Any]

    @property
    def excess(self) -> float:
        """How far the score lies between the threshold and 1."""
        return min(max((self.score - self.threshold) / max(1 - self.threshold, 1e-9), 0.0), 1.0)

    @property
    def message(self) -> str:
        return f"{self.task}: {self.label}, score {self.score:.4g}, threshold {self.threshold:.4g}"


def ecs(alert: Alert) -> str:
    row = alert.row
    network = "src_ip" in row or "dst_ip" in row
    event = {
        "kind": "alert", "module": "jenga", "dataset": f"jenga.{alert.task}", "id": alert.uid, "created": _iso(alert.seen),
        "risk_score": round(100 * alert.score, 2), "severity": 47 if alert.excess < 0.5 else 73,
        **({"category": ["intrusion_detection", "network"], "type": ["info"]} if network else {}),
    }  # fmt: skip
    ends = {
        side: _known({"ip": row.get(f"{short}_ip"), "port": _whole(row.get(port)), "bytes": _whole(row.get(size))})
        for side, short, port, size in (
            ("source", "src", "src_port", "bytes_sent"),
            ("destination", "dst", "port", "bytes_received"),
        )
    }
    number = _whole(row.get("protocol"))
    flow = {} if number is None else _known({"iana_number": str(number), "transport": _TRANSPORT.get(number)})
    return _json(
        {
            "@timestamp": _iso(alert.time),
            "ecs": {"version": "8.17.0"},
            "event": event,
            "message": alert.message,
            "rule": {"name": alert.task, "ruleset": alert.model},
            **(_filled({**ends, "network": flow}) if network else {}),
            "log": {"file": {"path": alert.log}},
            "jenga": _jenga(alert),
        }
    )


def ocsf(alert: Alert) -> str:
    row = alert.row
    ends = {
        f"{side}_endpoint": _known({"ip": row.get(f"{side}_ip"), "port": _whole(row.get(port))})
        for side, port in (("src", "src_port"), ("dst", "port"))
    }
    high = alert.excess >= 0.5
    return _json(
        {
            "activity_id": 1,
            "activity_name": "Create",
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": 2004,
            "class_name": "Detection Finding",
            "type_uid": 200401,
            "type_name": "Detection Finding: Create",
            "time": round(1000 * alert.time),
            "severity_id": 4 if high else 3,
            "severity": "High" if high else "Medium",
            "status_id": 1,
            "status": "New",
            "risk_score": round(100 * alert.score),
            "message": alert.message,
            "finding_info": {
                "uid": alert.uid,
                "title": f"{alert.task}: {alert.label}",
                "created_time": round(1000 * alert.seen),
                "analytic": {"name": alert.model, "type": "Learning (ML/DL)", "type_id": 4},
            },
            "metadata": {
                "version": "1.3.0",
                "product": {"name": PRODUCT, "vendor_name": VENDOR, "version": VERSION},
                "log_name": alert.log,
                "uid": alert.uid,
            },
            **({"evidences": [_filled(ends)]} if _filled(ends) else {}),
            "unmapped": _jenga(alert),
        }
    )


def cef(alert: Alert) -> str:
    head = ["CEF:0", VENDOR, PRODUCT, VERSION, alert.task, alert.message, str(5 + round(4 * alert.excess))]
    cells = {_CEF_CELLS[name]: value for name, value in alert.row.items() if name in _CEF_CELLS}
    rest = {name: value for name, value in alert.row.items() if name not in _CEF_CELLS}
    fields = {
        "rt": round(1000 * alert.seen),
        "start": round(1000 * alert.time),
        "externalId": alert.uid,
        **cells,
        "cs1Label": "label",
        "cs1": alert.label,
        "cs2Label": "model",
        "cs2": alert.model,
        "cs3Label": "row",
        "cs3": json.dumps(rest),
        "cfp1Label": "score",
        "cfp1": alert.score,
        "cfp2Label": "threshold",
        "cfp2": alert.threshold,
        "fname": alert.log,
    }
    extension = " ".join(f"{key}={cef_value(str(_plain(value)))}" for key, value in fields.items())
    return "|".join([head[0], *map(cef_header, head[1:]), extension])


def cef_header(text: str) -> str:
    r"""A field between pipes: `\` and `|` escaped; a header has no form for line ends, so they become spaces."""
    return _spaced(text).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")


def cef_value(text: str) -> str:
    r"""A value of the extension: `\` and `=` escaped, line ends as \n and \r."""
    return _spaced(text).replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\n").replace("\r", "\\r")


def _spaced(text: str) -> str:
    """Control characters and Unicode's line ends as spaces, but for \\n and \\r; half surrogates as question marks."""
    kept = "".join(
        " " if (ord(c) < 32 and c not in "\n\r") or c in "\x7f\x85\u2028\u2029" or "\x80" <= c < "\xa0" else c
        for c in text
    )
    return kept.encode("utf-8", "replace").decode("utf-8")


def _jenga(alert: Alert) -> dict[str, Any]:
    return {
        "task": alert.task, "label": alert.label, "score": alert.score, "threshold": alert.threshold,
        "model": alert.model, "row": dict(alert.row),
    }  # fmt: skip


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, allow_nan=False)


def moment(value: Any) -> float | None:
    """A cell as seconds since 1970 UTC, a number or one written as text; None where it is none of the years 1 to 9999."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if _FIRST <= value < _LAST else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _whole(value: Any) -> int | None:
    """A whole number of 64 bits, as which ports and sizes are looked up; also one that is written as text, as `str` would."""
    if isinstance(value, str):
        value = int(value) if _WHOLE.fullmatch(value) else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


FORMATS: Mapping[str, Callable[[Alert], str]] = {"ecs": ecs, "ocsf": ocsf, "cef": cef}
