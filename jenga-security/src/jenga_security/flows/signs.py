"""Which source reads a log, told by the names in it: for the error about a log that is something else."""

from __future__ import annotations

import json
from collections.abc import Collection

from jenga_core.errors import DataError

SIGNS: tuple[tuple[str, frozenset[str]], ...] = (
    ("security/zeek-conn", frozenset({"id.orig_h", "id.resp_h"})),
    ("security/suricata-eve", frozenset({"event_type", "dest_ip"})),
    ("security/nfdump", frozenset({"ts", "sa", "da"})),
    ("security/nfdump", frozenset({"firstSeen", "srcAddr"})),
    ("security/nfdump", frozenset({"first", "last", "in_bytes"})),
    ("security/unsw-nb15", frozenset({"sbytes", "dbytes"})),
    ("security/cicids", frozenset({"flow duration"})),
)


def other_kind(names: Collection[str], own: str) -> str | None:
    """The source whose names these are, if it is another one than `own`."""
    known = {*names, *(name.lower() for name in names)}
    return next((kind for kind, sign in SIGNS if sign <= known and kind != own), None)


def stranger(what: str, own: str, where: str, line: bytes, hint: str | None = None) -> DataError:
    """The error for a log whose `line` cannot be one of `what`, which `own` reads. `hint`: what else to do about it."""
    text = line.decode("utf-8", "replace")
    kind = other_kind(_names(text), own)
    return DataError(f"this is not {what}: {text[:60]!r}", where=where, next=f"source: {kind}" if kind else hint)


def _names(line: str) -> list[str]:
    """The names in a header line or an object."""
    if line.startswith("#"):
        return ["id.orig_h", "id.resp_h"] if line.startswith("#separator") else []
    if line.startswith("{"):
        try:
            return list(json.loads(line))
        except ValueError:
            return []
    return [cell.strip() for cell in line.split(",")]
