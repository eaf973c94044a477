"""A column of times as a network reads it: hour and weekday as points on circles, and the time since training began."""

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
ISO_DAY = r"\d{4}-\d\d-\d\d"
ZONE = r"(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"


@dataclass(frozen=True, slots=True)
class Dates:
    """Five features per cell (`PARTS`) and, where training rows lacked times, an indicator.

    Cells are ISO 8601, native times, or numbers: seconds since 1970 in UTC. Hours and weekdays are those of the clock in
    `timezone`; text without a zone is read as that clock already. `elapsed` is the time on that clock, scaled as the
    column's `scaling` says. A missing time is at the middle of the circles and at the training median.
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
    if (marks == read.NUMBER).any():
        return _of_epochs(cells, values, marks, timezone)
    text = _spelt(cells)
    times = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    _refuse(cells, (text.notna() & times.isna()).to_numpy(), "is not an ISO 8601 time")
    zoned = text.str.contains(ZONE, regex=True, na=False) & text.str.contains(":", na=False)
    return np.where(zoned, _seconds(times.dt.tz_convert(timezone).dt.tz_localize(None)), _seconds(times))


def _of_epochs(cells: pd.Series, values: Array, marks: Array, timezone: str) -> Array:
    _refuse(cells, ~np.isin(marks, (read.NUMBER, read.ABSENT)), "is no number of seconds, as other cells are")
    _refuse(cells, np.abs(values) > LATEST, "is too large for seconds since 1970: milliseconds? Divide the column")
    times = pd.Series(pd.to_datetime(values, unit="s", utc=True))
    return _seconds(times.dt.tz_convert(timezone).dt.tz_localize(None))


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
            next="give ISO 8601 (2026-01-31T12:00:00Z) or seconds since 1970, or take the column out of `dates:`",
        )
