"""How many rows a day brings, counted by a column of times. Refused where the count would be a guess."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.clock import seconds
from jenga_core.errors import DataError

Array = np.ndarray[Any, Any]

DAY = 86_400.0
EPOCHS = ((1e8, 1e10, 1.0), (1e11, 1e13, 1e3), (1e14, 1e16, 1e6), (1e17, 1e19, 1e9))  # from, to, units of a second
_NEXT = "declare it: `alert_budget: {per_day: ..., rows_per_day: ...}`"


def rows_per_day(times: pd.Series, where: Callable[[int], str], *, share: float = 1.0) -> float:
    """Rows a day, from those of training, which are this `share` of all rows of their time.

    DataError for numbers that are no seconds, milliseconds, micro- or nanoseconds since 1970, and for less than a day
    of rows: traffic differs by the hour, so a part of a day says little about a day.
    """
    at = _seconds(times, where)
    days = float(at.max() - at.min()) / DAY
    if days < 1:
        raise DataError(
            f"the training rows cover {days * 24:.3g} hours: too little to count rows a day by column {times.name!r}",
            next=_NEXT,
        )
    return len(at) / share / days


def share_of(train: Array, others: list[Array], by: str) -> float:
    """Which share of the rows of their time the training rows are.

    A split by time takes every row of a time. Any other thins the rows out evenly, over the range of rows out of which
    it cut: splits that were given as files of their own lie behind that.
    """
    if by == "time":
        return 1.0
    return len(train) / (len(train) + sum(int((rows < train.max()).sum()) for rows in others))


def _seconds(times: pd.Series, where: Callable[[int], str]) -> Array:
    at = np.asarray(seconds(times, where), dtype=np.float64)
    size = np.abs(at)
    for low, high, unit in EPOCHS:
        if ((size >= low) & (size < high)).all():
            return at / unit
    raise DataError(
        f"column {str(times.name)!r} holds numbers of an unknown unit, so that a day is not known", next=_NEXT
    )
