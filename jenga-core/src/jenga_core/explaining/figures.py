"""Explanations as figures of the report: what columns are worth, and a few rows with their reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Array
from ..figures import Figure, Ranked, short
from .contributions import Contributions
from .importance import REPEATS, Worth
from .reasons import listed

SHOWN = 8  # contributions of an example; the others are one bar


def of_worth(worth: Worth) -> Figure:
    metric = worth.metric.replace("_", " ")
    means, low, high = (np.array(ends) for ends in zip(*worth.columns.values(), strict=True))
    note = (
        f"How much worse {metric} ({worth.base:.4g} on these {worth.rows:,} rows) becomes when the cells of one column are "
        f"shuffled among the rows; 95 % intervals over {REPEATS} shuffles, not over rows. Columns that say the same share "
        "their worth."
    )
    return Ranked("What each column is worth", f"loss of {metric}", list(worth.columns), means, low, high, note)


def of_rows(
    found: Contributions, what: list[str], rows: Array, frame: pd.DataFrame, where: Callable[[int], str], output: str
) -> list[Figure]:
    """A figure per row. `what` each is an example of; `where` a row lies; `output`: the name of what is explained."""
    figures: list[Figure] = []
    for at, line in enumerate(listed(found, rows, frame, SHOWN)):
        values = [reason["contribution"] for reason in line]
        rest = float(found.output[at] - found.reference[at] - sum(values))
        names = [_name(reason) for reason in line]
        note = (
            f"The row's {output} is {found.output[at]:.4g}; a row that says nothing has {found.reference[at]:.4g}. The bars "
            "add up to the difference; `rest` is all other columns and the error of the integral."
        )
        title = f"{what[at].capitalize()}: {where(int(rows[at]))}"
        figures.append(
            Ranked(title, f"contribution to {output}", [*names, "rest"], np.array([*values, rest]), note=note)
        )
    return figures


def _name(reason: dict[str, Any]) -> str:
    value = "missing" if reason["value"] is None else short(str(reason["value"]), 24)
    return f"{reason['feature']}: {value}"
