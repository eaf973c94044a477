"""Permutation importance (Breiman 2001; Fisher, Rudin and Dominici 2019): what a column is worth to a model.

The cells of one column are dealt out anew among the rows, before they are encoded, so that what processors make of a column
goes with it; the metric that becomes worse by much relied on it. Two columns that say the same share their worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..contracts import Array, Ragged, take
from ..data import Data, EncodedTable, Parts
from ..errors import UserError
from ..evaluation import compute
from ..model import Model
from ..scoring import Place, score
from .explained import Explained

ROWS = 2_000  # at most, of a split
STRETCHES = 20  # of neighbours, evenly over the split: a window finds most of its rows there
SCORED = 400_000  # rows over all columns and repeats, at most
COLUMNS = 64  # at most: those with the largest contributions
REPEATS = 5
DIGITS = 9  # decimals of a metric by which columns are ranked; those that are equal in them stay in their order
STUDENT = 2.776  # 97.5 % quantile of Student's t with REPEATS - 1 degrees of freedom


@dataclass(frozen=True, slots=True)
class Worth:
    """How much worse `metric` becomes without each column: the mean over `REPEATS` shuffles and its 95 % interval."""

    metric: str
    base: float
    rows: int
    columns: Mapping[str, tuple[float, float, float]]  # mean, low, high; the largest mean first


def sample(rows: Array, most: int) -> Array:
    """At most `most` of `rows` (ascending), in stretches of neighbours spread evenly from the first to the last."""
    if len(rows) <= most:
        return rows
    length = max(1, most // STRETCHES)
    starts = np.linspace(0, len(rows) - length, most // length).astype(np.int64)
    return rows[np.unique(starts[:, None] + np.arange(length))]


def worth(
    model: Model,
    parts: Parts,
    table: str,
    frame: pd.DataFrame,
    columns: Mapping[str, Sequence[str]],
    place: Place,
    *,
    seed: int = 0,
) -> dict[str, Worth]:
    """By task with a label per row. `frame`: labelled rows, taken by themselves as `predict` would take them.

    Nothing for a table with one column, which is worth all there is, or for a metric that is undefined on these rows.
    """
    names = list(dict.fromkeys(column for reads in columns.values() for column in reads))
    most = min(ROWS, SCORED // (REPEATS * min(max(len(names), 1), COLUMNS)))
    frame = frame.iloc[sample(np.arange(len(frame)), most)].reset_index(drop=True)
    every = {"all": np.arange(len(frame))}
    encoded = parts.encode(table, frame, every, {k: list(v) for k, v in columns.items()}, labels=True)
    base = _judged(model, parts, encoded, place)
    if len(names) < 2 or not base:
        return {}
    drops: dict[str, dict[str, list[float]]] = {task: {} for task in base}
    rng = np.random.default_rng(seed)
    for name in _largest(
        names,
        Explained(model, Data(parts, {table: encoded}), table, columns, place.device, place.batch_size, place.tokens),
        base,
    ):
        for shuffled in _shuffled(parts, encoded, frame, name, columns, rng):
            for task, (metric, value) in _judged(model, parts, shuffled, place).items():
                sign = 1 if parts.tasks[task].metrics().directions[metric] == "max" else -1
                drops[task].setdefault(name, []).append(sign * (base[task][1] - value))
    rows = {task: len(encoded.labelled(task, "all")) for task in base}
    return {task: _worth(*base[task], rows[task], found) for task, found in drops.items()}


def _judged(model: Model, parts: Parts, encoded: EncodedTable, place: Place) -> dict[str, tuple[str, float]]:
    """Task -> (its most telling metric, the value); without those that are undefined."""
    rows = np.flatnonzero(encoded.usable)
    if not len(rows):
        return {}
    scored, found = score(model, Data(parts, {encoded.name: encoded}), encoded.name, rows, place, labels=False), {}
    for task, target in encoded.targets.items():
        labelled = encoded.labelled(task, "all")
        if not len(labelled) or any(isinstance(column, Ragged) for column in target.columns.values()):
            continue  # targets of tokens belong to the cells that they were encoded with
        metrics = parts.tasks[task].metrics()
        metric, way = next(iter(metrics.directions.items()))
        if way == "none":
            continue  # nothing becomes worse
        value = compute(metrics, scored.at(task, labelled), take(target.columns, labelled))[metric]
        if math.isfinite(value):
            found[task] = (metric, float(value))
    return found


def _shuffled(
    parts: Parts, encoded: EncodedTable, frame: pd.DataFrame, name: str, columns: Mapping[str, Sequence[str]],
    rng: np.random.Generator,
) -> Iterator[EncodedTable]:  # fmt: skip
    """The table with the cells of one column dealt out anew, encoded again where it is read."""
    for _ in range(REPEATS):
        cells = frame.assign(**{name: frame[name].array[rng.permutation(len(frame))]})
        inputs = dict(encoded.inputs)
        for key, reads in columns.items():
            if name in reads:
                processor = parts.processors[key]
                inputs[key] = processor.divide(processor.encode(cells[list(reads)]), encoded.splits)
        yield replace(encoded, inputs=inputs)


def _largest(names: list[str], of: Explained, tasks: Mapping[str, object]) -> list[str]:
    """Of very many columns, those that contribute most to the first rows; the first, where no task can be explained."""
    if len(names) <= COLUMNS:
        return names
    rows = np.flatnonzero(of.data.tables[of.table].usable)[:200]
    sizes: dict[str, float] = {}
    for task in [name for name in tasks if of.data.parts.tasks[name].explains is not None][:1]:
        with suppress(UserError):  # no input of the table can be explained
            sizes = {n: float(np.abs(v).mean()) for n, v in of.contributions(task, rows).columns.items()}
    return sorted(names, key=lambda name: -sizes.get(name, math.inf))[:COLUMNS]


def _worth(metric: str, base: float, rows: int, drops: Mapping[str, Sequence[float]]) -> Worth:
    found = {}
    for name, values in drops.items():
        mean, half = float(np.mean(values)), math.inf
        if len(values) > 1:
            half = STUDENT * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        found[name] = (mean, mean - half, mean + half)
    return Worth(metric, base, rows, dict(sorted(found.items(), key=lambda item: -round(item[1][0], DIGITS))))
