"""A column of times as a network reads it: hour and weekday as points on circles, and the time since training began.

What a cell means is told by the cell alone, never by the cells beside it or by the type that a file gave the column, so that
one instant has the same features however it is spelt and whoever its neighbours are:

- a native time, or text in ISO 8601 (2026-01-31T12:00:00Z); without a zone on the clock of `timezone`;
- a whole number of eight digits that is a day of the calendar, YYYYMMDD (20260131): midnight on that clock;
- 0, and any other number from 1e8 (March 1973) to 1e11 (the year 5138), or as far before 1970: seconds since 1970 UTC.

Numbers may be spelt as text. Others are refused: a year (2024) or a day's number is no number of seconds, and what is larger
counts milliseconds or finer. The ranges do not overlap, so nothing has to be guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from jenga_core import states
from jenga_core.errors import DataError

from . import cells as read
from .scaling import FITTERS, Scale
from .scaling import read as read_scale

Array = np.ndarray[Any, Any]

PARTS = ("hour, sine", "hour, cosine", "weekday, sine", "weekday, cosine", "elapsed")
DAY = 86_400.0
MONDAY = 3 * DAY  # 1970-01-01 was a Thursday
LATEST = 1e11  # seconds: the year 5138; epochs above it are in milliseconds or finer
EARLIEST = 1e8  # seconds: March 1973; smaller numbers are years, ordinals, counts
ISO_DAY = r"\d{4}-\d\d-\d\d"
ZONE = r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"


@dataclass(frozen=True, slots=True)
class Dates:
    """Five features per cell (`PARTS`) and, where training rows lacked times, an indicator.

    Cells are spelt as the module says. Hours and weekdays are those of the clock in `timezone`. `elapsed` is the time on that
    clock, scaled as the column's `scaling` says. A missing time is at the middle of the circles and at the training median.
    """

    name: str
    timezone: str
    median: float
    scale: Scale
    indicator: bool

    @classmethod
    def fit(cls, cells: pd.Series, scaling: str, timezone: str) -> Dates:
        clock = wall_clock(cells, timezone)
        known = clock[~np.isnan(clock)]
        median = float(np.quantile(known, 0.5, method="lower")) if len(known) else 0.0
        return cls(str(cells.name), timezone, median, FITTERS[scaling](known), bool(0 < len(known) < len(clock)))

    @property
    def names(self) -> list[str]:
        return [f"{self.name} ({part})" for part in PARTS] + [f"{self.name} is missing"] * self.indicator

    @property
    def middle(self) -> Array:
        """The features of no time in particular: the middle of the circles, the median, not missing. [len(names)]."""
        elapsed = self.scale.apply(np.array([self.median]))
        return np.concatenate([np.zeros(4), elapsed, np.zeros(int(self.indicator))])

    def encode(self, cells: pd.Series) -> tuple[Array, Array]:
        """(float64 [N, len(names)] without NaN, marks uint8 [N] of NUMBER and ABSENT). DataError for other cells."""
        clock = wall_clock(cells, self.timezone)
        absent = np.isnan(clock)
        time = np.where(absent, self.median, clock)
        day, week = 2 * np.pi * (time % DAY) / DAY, 2 * np.pi * ((time + MONDAY) % (7 * DAY)) / (7 * DAY)
        circles = np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=1)
        circles[absent] = 0
        features = [circles, self.scale.apply(time)[:, None]] + [absent[:, None].astype(np.float64)] * self.indicator
        return np.concatenate(features, axis=1), np.where(absent, read.ABSENT, read.NUMBER).astype(np.uint8)

    def state(self) -> dict[str, Any]:
        return {
            "kind": "dates",
            "name": self.name,
            "timezone": self.timezone,
            "median": self.median,
            "indicator": self.indicator,
            "scale": self.scale.state(),
        }

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Dates:
        """The inverse of `state`."""
        zone = states.text(state["timezone"])
        ZoneInfo(zone)
        median, scale = states.number(state["median"]), read_scale(states.section(state["scale"]))
        return cls(states.text(state["name"]), zone, median, scale, states.flag(state["indicator"]))


def are_times(cells: pd.Series) -> bool:
    """Whether a column is of native times, or of text of which every cell that is not missing is an ISO 8601 date or time."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return True
    if pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return False
    if not _spelt(cells.head(64)).str.match(ISO_DAY, na=True).all():  # most columns of text are told apart here
        return False
    text = _spelt(cells).dropna()
    if not len(text) or not text.str.match(ISO_DAY).all():
        return False
    return bool(pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce").notna().all())


def wall_clock(cells: pd.Series, timezone: str) -> Array:
    """Seconds since 1970-01-01 00:00 on the clock of `timezone`, float64 [N], NaN where a cell is missing."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        local = cells.dt.tz_convert(timezone).dt.tz_localize(None) if cells.dt.tz is not None else cells
        return _seconds(local)
    values, marks = read.numbers(cells)
    number = marks == read.NUMBER
    _refuse(cells, marks == read.INFINITE, "is no time")
    clock = np.full(len(cells), np.nan)
    if number.any():
        clock[number] = _of_numbers(cells[number], values[number], timezone)
    if (marks == read.TEXT).any():
        clock[~number] = _of_texts(cells[~number], timezone)
    return clock


def _of_texts(cells: pd.Series, timezone: str) -> Array:
    text = _spelt(cells)
    times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    _refuse(cells, (text.notna() & times.isna()).to_numpy(), "is not an ISO 8601 time")
    zoned = text.str.contains(ZONE, regex=True, na=False) & text.str.contains(":", na=False)
    return np.where(zoned, _seconds(times.dt.tz_convert(timezone).dt.tz_localize(None)), _seconds(times))


def _of_numbers(cells: pd.Series, values: Array, timezone: str) -> Array:
    """Of finite numbers: days of the calendar, and seconds since 1970."""
    days = _calendar_days(values)
    day, size = ~np.isnan(days), np.abs(values)
    _refuse(cells, size > LATEST, "is too large for seconds since 1970: milliseconds? Divide the column by 1000")
    _refuse(
        cells,
        ~day & (size < EARLIEST) & (values != 0),
        "is neither YYYYMMDD nor seconds since 1970: a year, a day's number or a count?",
    )
    micro = pd.Series(np.rint(np.where(day, 0.0, values) * 1e6).astype("int64").astype("datetime64[us]"))
    local = _seconds(micro.dt.tz_localize("UTC").dt.tz_convert(timezone).dt.tz_localize(None))
    return np.where(day, days * DAY, local)


def _calendar_days(values: Array) -> Array:
    """Days since 1970 of numbers that are YYYYMMDD, NaN for others."""
    whole = np.where((values >= 1e7) & (values < 1e8) & (values == np.floor(values)), values, 0).astype(np.int64)
    year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first, following = (
        m.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for m in (months, months + 1)
    )
    known = (whole > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= following - first)
    return np.where(known, first + day - 1, np.nan)


def _spelt(cells: pd.Series) -> pd.Series:
    """Text without blanks around it; None where the cell is missing or one of the marks of missing cells."""
    spelt = ["" if pd.isna(cell) else str(cell).strip() for cell in cells.astype(object)]
    return pd.Series([text if text.casefold() not in read.MISSING else None for text in spelt], dtype="str")


def _seconds(times: pd.Series) -> Array:
    """Whole microseconds divided once: pandas' own `total_seconds` is a digit off in some versions."""
    micro = pd.to_datetime(times, utc=True).dt.as_unit("us")
    return np.where(micro.isna(), np.nan, micro.to_numpy("datetime64[us]").astype(np.int64) / 1e6)


def _refuse(cells: pd.Series, wrong: Array, what: str) -> None:
    at = np.flatnonzero(wrong)
    if len(at):
        raise DataError(
            f"{cells.iloc[at[0]]!r} {what} ({len(at)} of {len(cells)} cells of this column)",
            row=cells.index[at[0]],
            column=str(cells.name),
            next="give ISO 8601 (2026-01-31T12:00:00Z), YYYYMMDD or seconds since 1970, or take the column out of `dates:`",
        )
