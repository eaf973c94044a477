"""Explanations as figures of the report: what columns are worth, and a few rows with their reasons."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd

from ..contracts import Array
from ..figures import Figure, Ranked, short
from ..passages import Passage, Piece, stretch
from .contributions import Contributions
from .importance import REPEATS, Worth
from .reasons import largest, of_columns, text_of

SHOWN = 8  # contributions of an example; the others are one bar
LONG = 1_200  # characters of a text that are shown
PIECE = 120  # characters of a word, or of what lies between two


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
    found: Contributions, what: list[str], rows: Array, frame: pd.DataFrame, where: Callable[[int], str], output: str,
    secret: Collection[str] = (),
) -> list[Figure]:  # fmt: skip
    """A figure per row. `what` each is an example of; `where` a row lies; `output`: the name of what is explained.

    Of columns in `secret` no words are shown.
    """
    figures: list[Figure] = []
    method = found.method
    for at, row in enumerate(rows.tolist()):
        title = f"{what[at].capitalize()}: {where(row)}"
        said = f"The row's {output} is {found.output[at]:.4g}; {method.reference} has {found.reference[at]:.4g}. "
        hidden = any(column in secret for column, _, _ in found.spans[at])
        form = _passage if found.spans[at] and not hidden else _bars
        said += "Its texts are redacted for the model and not shown here. " if hidden else ""
        figures.append(form(found, at, row, frame, title, f"contribution to {output}", said + method.says))
    return figures


def _bars(
    found: Contributions, at: int, row: int, frame: pd.DataFrame, title: str, unit: str, note: str
) -> Ranked:  # fmt: skip
    line = _largest(found, at, row, frame)
    names, values = [_name(reason) for reason in line], [reason["contribution"] for reason in line]
    if found.method.adds_up:
        names, values = [*names, "rest"], [*values, float(found.output[at] - found.reference[at] - sum(values))]
    return Ranked(title, unit, names, np.array(values, dtype=np.float64), note=note)


def _passage(
    found: Contributions, at: int, row: int, frame: pd.DataFrame, title: str, unit: str, note: str
) -> Passage:  # fmt: skip
    """The texts of the row, each around its largest contribution, and its other cells as numbers."""
    texts, cut = [], False
    for name in dict.fromkeys(column for column, _, _ in found.spans[at]):
        words = sorted((start, end, value) for (n, start, end), value in found.spans[at].items() if n == name)
        shown, left_out = stretch(_pieces(text_of(frame[name].array[row]), words), LONG)
        texts.append((name, shown))
        cut |= left_out
    others = [(_name(reason), reason["contribution"]) for reason in _largest(found, at, row, frame)]
    rest = found.output[at] - found.reference[at] - sum(value for _, value in others) - sum(found.spans[at].values())
    note += " Of a long text the part around its strongest word is shown." * cut
    return Passage(title, unit, texts, [*others, ("rest", float(rest))], note)


def _largest(found: Contributions, at: int, row: int, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Of whole cells, the largest contribution first."""
    every = of_columns(found, at, {name: frame[name].array for name in frame.columns}, row)
    return largest(every, float(found.noise[at]))[:SHOWN]


def _pieces(text: str, words: list[tuple[int, int, float]]) -> list[Piece]:
    """The text, whole: words and what lies between them, very long pieces cut."""
    found: list[Piece] = []
    behind = 0
    for start, end, value in words:
        start = max(start, behind)
        found += [(text[behind:start], None), (text[start:end], value)]
        behind = max(end, behind)
    found.append((text[behind:], None))
    return [(piece if len(piece) <= PIECE else f"{piece[:PIECE]}\u2026", value) for piece, value in found if piece]


def _name(reason: dict[str, Any]) -> str:
    value = "missing" if reason["value"] is None else short(str(reason["value"]), 24)
    return f"{reason['feature']}: {value}"
