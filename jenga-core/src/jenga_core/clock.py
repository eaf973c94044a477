"""A column of times -> numbers that sort like it. Numbers are epochs, text is ISO 8601 or one unambiguous format.

Times without a zone count as UTC. A format such as 01/02/2020, where day and month cannot be told apart, is refused:
guessing would put test rows before training rows without anyone noticing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_NEXT = "use ISO 8601 (2026-01-31T12:00:00Z) or a number, such as seconds since 1970"


def seconds(values: pd.Series, where: Callable[[int], str]) -> Any:
    """One sortable number per row [N]. Raises `DataError` naming the first row without a usable time."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        _refuse(values, values.isna().to_numpy(), where)
        return pd.to_datetime(values, utc=True).dt.as_unit("us").astype("int64").to_numpy()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return _epochs(values, where)
    if pd.api.types.infer_dtype(values, skipna=False) == "integer":  # beyond int64: their ranks sort like them
        return np.unique(values.to_numpy(), return_inverse=True)[1]
    text = values.map(str).str.strip().mask(values.isna())
    numbers, parsed = pd.to_numeric(text, errors="coerce"), _parsed(text)
    if numbers.notna().sum() >= max(parsed.notna().sum(), 1):
        _refuse(values, numbers.isna().to_numpy(), where)
        return _epochs(numbers, where)
    _refuse(values, parsed.isna().to_numpy(), where)
    return parsed.dt.as_unit("us").astype("int64").to_numpy()


def _epochs(values: pd.Series, where: Callable[[int], str]) -> Any:
    numbers = values.to_numpy()
    if numbers.dtype.kind not in "iu":
        numbers = values.astype("float64").to_numpy()
        _refuse(values, ~np.isfinite(numbers), where)
    return numbers


def _parsed(text: pd.Series) -> Any:
    """Times in UTC, NaT where a cell does not follow ISO 8601 or the format of the first cell."""
    import pandas as pd

    iso = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    first = next(iter(text[iso.isna() & text.notna()]), None)
    if first is None:
        return iso
    with warnings.catch_warnings(action="ignore"):  # about the very ambiguity that is looked for here
        american, european = (pd.tseries.api.guess_datetime_format(first, dayfirst=d) for d in (False, True))
    if american is None or american != european:
        return iso
    other = pd.to_datetime(text, format=american, utc=True, errors="coerce")
    return other if other.notna().sum() > iso.notna().sum() else iso


def _refuse(values: pd.Series, bad: np.ndarray, where: Callable[[int], str]) -> None:
    if not bad.any():
        return
    row = int(np.flatnonzero(bad)[0])
    cell = values.iloc[row]
    raise DataError(
        f"{cell!r} is no time that rows can be sorted by ({int(bad.sum()):,} such rows)",
        where=f"{where(row)}, column {str(values.name)!r}",
        next=_NEXT,
    )
