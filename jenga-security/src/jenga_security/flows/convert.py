"""Text cells of a log -> canonical values, and what happens to a cell that cannot be one.

Missing is a null, an empty cell and "-". A cell that is neither missing nor a value of its column is refused with file, line
and column, or under `invalid: missing` taken as missing and counted.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from jenga_core.errors import DataError

from . import protocols
from .schema import Array, Reader, Rows

YEAR_2100 = 4_102_444_800.0
MILLISECONDS = 1e11  # a number of seconds beyond it lies after the year 5000: it counts milliseconds
_REMEMBERED = 1 << 20
_ZONED = re.compile(r"[T ].*(?:Z|[+-]\d{2}(?::?\d{2})?)$", re.IGNORECASE)
_MARKS = pa.array(["", "-"])


@dataclass(slots=True)
class Check:
    """The place in a file and the policy for cells that are no values. `counts`: reason -> cells taken as missing."""

    name: str
    kind: str
    invalid: Literal["error", "missing"] = "error"
    zone: str = "UTC"
    counts: Counter[str] = field(default_factory=Counter)
    rows: Rows | None = None
    column: str = ""
    known: dict[str, str] = field(default_factory=dict)  # addresses met before, as they are written -> short form

    def refuse(self, bad: Array, reason: str, say: Callable[[int], str], column: str | None = None) -> None:
        """Nothing where no row is `bad`; else the first one is an error, or all are counted under `reason`."""
        if not bad.any():
            return
        column = column or self.column
        if self.invalid == "missing":
            self.counts[f"{column}: {reason}"] += int(bad.sum())
            return
        at = int(np.flatnonzero(bad)[0])
        line = int(self.rows.lines[at]) if self.rows is not None else at + 1
        raise DataError(
            say(at),
            where=f"{self.name}, line {line}, column {column!r}",
            next=f"correct the log, or take such cells as missing: source: {{kind: {self.kind}, invalid: missing}}",
        )


def clean(cells: pa.Array) -> pa.Array:
    """Trimmed; null where missing."""
    cells = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(cells, _MARKS), pa.scalar(None, pa.string()), cells)


def number(cells: pa.Array, check: Check) -> Array:
    """float64 [N], NaN where missing. Refused: what is no finite number."""
    values, bad = _floats(cells)
    bad |= np.isinf(values)
    check.refuse(bad, "not a number", lambda at: f"{cells[at].as_py()!r} is not a number")
    values[bad] = np.nan
    return values


def count(cells: pa.Array, check: Check) -> Array:
    """A whole number of 0 or more."""
    values = number(cells, check)
    bad = (values < 0) | (np.floor(values) != values) & ~np.isnan(values)
    check.refuse(bad, "not a count", lambda at: f"{cells[at].as_py()!r} is not a whole number of 0 or more")
    values[bad] = np.nan
    return values


def port(cells: pa.Array, check: Check) -> Array:
    """0 to 65535; also in hexadecimal with 0x, as Argus writes some."""
    values, bad = _floats(cells)
    for at in np.flatnonzero(bad):
        text = cells[int(at)].as_py()
        if re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}", text):
            values[at], bad[at] = int(text, 16), False
    check.refuse(bad, "not a port", lambda at: f"{cells[at].as_py()!r} is not a port")
    outside = ~np.isnan(values) & ~((values >= 0) & (values <= 65535) & (np.floor(values) == values))
    check.refuse(outside, "port outside 0 to 65535", lambda at: f"port {cells[at].as_py()} is not one of 0 to 65535")
    values[bad | outside] = np.nan
    return values


def seconds(per: float = 1.0) -> Reader:
    """A duration in a unit of which a second has `per`."""

    def read(cells: pa.Array, check: Check) -> Array:
        return duration(number(cells, check) / per, check)

    return read


def duration(values: Array, check: Check) -> Array:
    """Seconds [N], of which negative ones are refused: the clock was set back during the flow, or the log is damaged."""
    bad = values < 0
    check.refuse(bad, "negative duration", lambda at: f"the duration of {values[at]:g} s is negative")
    kept: Array = np.where(bad, np.nan, values)
    return kept


def moment(*formats: str) -> Reader:
    """Seconds since 1970 UTC, from a number (seconds; milliseconds from 1e11 on), ISO 8601, or text in one of `formats`.

    Text without a zone is in the zone of `check`; of an hour that occurs twice there, the second one is meant. Refused:
    what is no time, and times outside 1970 to 2100.
    """

    def read(cells: pa.Array, check: Check) -> Array:
        values, bad = _floats(cells)
        values = np.where(values >= MILLISECONDS, values / 1000, values)
        if bad.any():
            values[bad] = _text_times(cells.filter(pa.array(bad)), check.zone, formats)
            bad &= np.isnan(values)
        check.refuse(bad, "not a time", lambda at: f"{cells[at].as_py()!r} is not a time")
        outside = ~np.isnan(values) & ~((values >= 0) & (values < YEAR_2100))
        check.refuse(
            outside, "time outside 1970 to 2100", lambda at: f"the time {cells[at].as_py()} is not within 1970 to 2100"
        )
        values[bad | outside] = np.nan
        return values

    return read


def address(cells: pa.Array, check: Check) -> pa.Array:
    """IP addresses in their short form; an IPv4-mapped one (::ffff:192.0.2.1) as IPv4, so that a host has one name."""

    def one(text: str) -> str:
        if text in check.known:
            return check.known[text]
        found = ipaddress.ip_address(text)
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        check.known[text] = str(mapped or found)
        return check.known[text]

    if len(check.known) > _REMEMBERED:
        check.known.clear()
    return _by_value(cells, one, check, "not an IP address", pa.string())


def protocol(cells: pa.Array, check: Check) -> Array:
    """IANA numbers; NaN for names that are of no IP protocol."""
    found = _by_value(cells, protocols.number, check, "not an IP protocol", pa.float64())
    numbers: Array = found.to_numpy(zero_copy_only=False).astype(np.float64, copy=True)
    return numbers


def text(cells: pa.Array, check: Check) -> pa.Array:
    return cells


# ------------------------------------------------------------------ helpers


def _floats(cells: pa.Array) -> tuple[Array, Array]:
    """(float64 [N], bool [N]: neither missing nor a number). "nan" is missing."""
    try:
        values = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
        return values.astype(np.float64, copy=True), np.zeros(len(cells), dtype=bool)
    except pa.ArrowInvalid:
        words = cells.to_pandas().astype(object)
    values = np.array(pd.to_numeric(words, errors="coerce").to_numpy("float64"))
    return values, np.isnan(values) & words.notna().to_numpy() & (words.str.lower() != "nan").to_numpy()


def _by_value(cells: pa.Array, one: Callable[[str], Any], check: Check, reason: str, kind: pa.DataType) -> pa.Array:
    """`one` of every distinct cell. A `ValueError` of it is a cell to refuse."""
    coded = pc.dictionary_encode(cells)
    values: list[Any] = []
    wrong = []
    for at, word in enumerate(coded.dictionary.to_pylist()):
        try:
            values.append(one(word))
        except ValueError:
            values.append(None)
            wrong.append(at)
    if wrong:
        bad = pc.fill_null(pc.is_in(coded.indices, pa.array(wrong, coded.indices.type)), False)
        check.refuse(
            bad.to_numpy(zero_copy_only=False),
            reason,
            lambda at: f"{cells[at].as_py()!r} is {reason.replace('not', 'no')}",
        )
    return pa.array(values, kind).take(coded.indices)


def _text_times(cells: pa.Array, zone: str, formats: tuple[str, ...]) -> Array:
    """Seconds since 1970 of times written as text, NaN where a cell is in no known form."""
    words = cells.to_pandas()
    zoned = words.str.contains(_ZONED)
    out = _since_1970(pd.to_datetime(words.where(zoned), format="ISO8601", utc=True, errors="coerce"))
    for form in ("ISO8601", *formats):
        try:
            naive = pd.to_datetime(words.where(~zoned & np.isnan(out)), format=form, errors="coerce")
        except ValueError:  # zones in forms that `_ZONED` does not know
            continue
        if not pd.api.types.is_datetime64_dtype(naive):
            continue
        twice = np.zeros(len(naive), dtype=bool)
        local = naive.dt.tz_localize(ZoneInfo(zone), ambiguous=twice, nonexistent="shift_forward")
        out = np.where(np.isnan(out), _since_1970(local), out)
    return out


def _since_1970(times: pd.Series) -> Array:
    """Whole microseconds divided once: pandas' own `total_seconds` is a digit off in some versions."""
    micro = pd.to_datetime(times, utc=True).dt.as_unit("us")
    seconds: Array = np.where(micro.isna(), np.nan, micro.to_numpy("datetime64[us]").astype(np.int64) / 1e6)
    return seconds
