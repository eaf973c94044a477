"""Which source reads a log, told by the names in it: for the error about a log that is something else."""

from __future__ import annotations

from collections.abc import Collection

SIGNS: tuple[tuple[str, frozenset[str]], ...] = (
    ("security/zeek-conn", frozenset({"id.orig_h", "orig_pkts"})),
    ("security/suricata-eve", frozenset({"event_type", "dest_ip"})),
    ("security/nfdump", frozenset({"ts", "sa", "da"})),
    ("security/nfdump", frozenset({"firstSeen", "srcAddr"})),
    ("security/nfdump", frozenset({"first", "last", "in_bytes"})),
    ("security/unsw-nb15", frozenset({"sbytes", "dbytes", "sttl"})),
    ("security/cicids", frozenset({"Flow Duration"})),
)


def other_kind(names: Collection[str], own: str) -> str | None:
    """The source whose names these are, if it is another one than `own`."""
    return next((kind for kind, sign in SIGNS if sign <= set(names) and kind != own), None)
