"""Judging a task's outputs on held-out rows: metrics with bootstrap intervals, baselines on the same rows, plots.

Torch-free: everything here is numpy on the table's side.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .contracts import Array, Baseline, Classical, Columns, Metrics, Ragged, Task, take
from .figures import Figure, figure_from_json
from .splits import NAMES

LEVEL = 0.95
UNDEFINED_AT_MOST = 0.05  # a metric undefined in a larger share of the resamples gets no interval
WORK = 10_000_000  # output cells resampled at most, which bounds the time: 227 resamples of 22,000 rows x 2 classes
FEWEST = 100  # resamples, however many rows
FOR_BASELINES = 100
PERFECT = 1e-9  # how far from 1 rounding may bring a metric without a mistake


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value and the ends of its interval; NaN where undefined (or, for the ends, where none was asked for)."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def to_json(self) -> list[float | None]:
        return [None if math.isnan(n) else n for n in (self.value, self.low, self.high)]

    @classmethod
    def from_json(cls, data: Sequence[float | None]) -> Score:
        return cls(*(math.nan if n is None else float(n) for n in data))


Scores = Mapping[str, Score]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How one task did on the rows of one split: "train", "validation", "test", or of the file that it names.

    `rows` were judged; `excluded` says how many more of them could not be and why, `remarks` what is to be known of rows of
    the whole table that were. `scores` are in the order that the task's
    metrics give, the most telling first, and `directions` says which way each is better. Intervals are 95 % percentile
    intervals over `resamples` resamples of the rows (of the baselines: over the first `FOR_BASELINES` of the same).
    `caution`: what must be known before any of this is read, such as that a threshold was changed since.
    """

    task: str
    split: str
    rows: int
    excluded: Mapping[str, int]
    scores: Scores
    baselines: Mapping[str, Scores] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    directions: Mapping[str, str] = field(default_factory=dict)
    resamples: int = 0
    seed: int = 0
    caution: str = ""
    remarks: Mapping[str, int] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """For "rows of ...": the split of the run's own data, or the file."""
        return f"the {self.split} split" if self.split in NAMES else self.split

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without NaN: undefined is null."""
        return {
            "task": self.task,
            "split": self.split,
            "rows": self.rows,
            "excluded": dict(self.excluded),
            "remarks": dict(self.remarks),
            "scores": {metric: score.to_json() for metric, score in self.scores.items()},
            "baselines": {name: {m: s.to_json() for m, s in scores.items()} for name, scores in self.baselines.items()},
            "directions": dict(self.directions),
            "resamples": self.resamples,
            "seed": self.seed,
            "caution": self.caution,
            "figures": [figure.to_json() for figure in self.figures],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Judgement:
        return cls(
            task=data["task"],
            split=data["split"],
            rows=data["rows"],
            excluded=dict(data["excluded"]),
            scores={m: Score.from_json(s) for m, s in data["scores"].items()},
            baselines={name: {m: Score.from_json(s) for m, s in ss.items()} for name, ss in data["baselines"].items()},
            figures=tuple(figure_from_json(figure) for figure in data["figures"]),
            directions=dict(data["directions"]),
            resamples=data["resamples"],
            seed=data["seed"],
            caution=data.get("caution", ""),
            remarks=dict(data.get("remarks", {})),
        )


def judge(
    name: str,
    task: Task,
    output: Columns,
    target: Columns,
    *,
    split: str,
    excluded: Mapping[str, int],
    remarks: Mapping[str, int] | None = None,
    baselines: Mapping[str, Columns] | None = None,
    bootstrap: int = 500,
    seed: int = 0,
    cautions: Sequence[str] = (),
) -> Judgement:
    """Metrics of `output` (from `Task.predict`) against `target` (from `Task.encode`), row by row.

    Give only rows that have a label: a row without one must not reach a metric. The same arguments give the same intervals.
    """
    metrics = task.metrics()
    rows = _rows(target)
    outputs = {"": output, **(baselines or {})}
    for which, columns in outputs.items():
        if _rows(columns) != rows:
            raise ValueError(
                f"task {name}: {which or 'the model'} has {_rows(columns)} outputs for {rows} labelled rows"
            )
    resamples = resamples_for(output, bootstrap) if rows > 1 else 0
    scored = {
        which: _scores(metrics, columns, target, resamples if not which else min(resamples, FOR_BASELINES), seed)
        for which, columns in outputs.items()
    }
    return Judgement(
        task=name,
        split=split,
        rows=rows,
        excluded=dict(excluded),
        remarks=dict(remarks or {}),
        scores=scored.pop(""),
        baselines=scored,
        figures=tuple(metrics.figures(output, target)) if rows else (),
        directions=dict(metrics.directions),
        resamples=resamples,
        seed=seed,
        caution=" ".join([*cautions, *_too_good(scored, metrics.directions)]),
    )


def _too_good(baselines: Mapping[str, Scores], directions: Mapping[str, str]) -> list[str]:
    """A sentence where a baseline makes no mistake: every metric that grows with what is right is 1."""
    perfect = []
    for name, scores in baselines.items():
        best = [score.value for metric, score in scores.items() if directions.get(metric) == "max"]
        known = [value for value in best if not math.isnan(value)]
        if known and min(known) >= 1 - PERFECT:
            perfect.append(name)
    if not perfect:
        return []
    return [
        f"The baseline {' and '.join(perfect)} makes no mistake on these rows. Either they are easy or of one kind, or a column "
        "gives the answer away: look at what each column is worth before you believe any score."
    ]


def fit_baselines(
    task: Task,
    *,
    features: Classical | None,
    target: Columns,
    test_features: Classical | None,
    test_rows: int,
    seed: int,
    validation: tuple[Classical | None, Columns] | None = None,
) -> dict[str, Columns]:
    """Fit each of the task's baselines on training rows and return its outputs for the test rows.

    `target` are the training rows' and `features` theirs, row by row; a baseline that needs features is left out where
    there are none. Thresholds are set on the (features, target) of `validation` rows, as the model's are.
    """
    outputs: dict[str, Columns] = {}
    for baseline in task.baselines(seed):
        lacking = any(_lacking(baseline, given) for given in (features, test_features))
        if lacking and not baseline.trivial:
            continue
        given, new = (None, None) if lacking else (features, test_features)
        baseline.fit(given, target)
        if validation is not None:
            columns = next(iter(validation[1].values()))
            baseline.calibrate(baseline.predict(None if lacking else validation[0], len(columns)), validation[1])
        predicted = baseline.predict(new, test_rows)
        outputs[baseline.name] = predicted  # the name may depend on what was fitted
    return outputs


def _lacking(baseline: Baseline, features: Classical | None) -> bool:
    if features is None:
        return True
    return not features.inputs if baseline.reads == "inputs" else features.matrix.shape[1] == 0


# ------------------------------------------------------------------ the bootstrap


def resamples_for(output: Columns, asked: int) -> int:
    """How many resamples: those asked for, fewer (never below `FEWEST`) when there are many output cells to go through.

    A rule about sizes and not a clock, so that a seed gives the same intervals on every machine.
    """
    cells = sum(int((v.values if isinstance(v, Ragged) else v).size) for v in output.values())
    return min(asked, max(FEWEST, WORK // max(cells, 1)))


def draws(rows: int, resamples: int, seed: int) -> Iterator[Array]:
    """Row numbers of each resample, with replacement: int64 [rows], ascending (metrics don't depend on the order; caches do)."""
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.repeat(np.arange(rows), np.bincount(rng.integers(0, rows, rows), minlength=rows))


def _scores(metrics: Metrics, output: Columns, target: Columns, resamples: int, seed: int) -> dict[str, Score]:
    rows = _rows(target)
    point = compute(metrics, output, target) if rows else dict.fromkeys(metrics.directions, math.nan)
    drawn = [compute(metrics, take(output, r), take(target, r)) for r in draws(rows, resamples, seed)]
    return {
        name: Score(float(value), *interval(np.array([d.get(name, math.nan) for d in drawn]), value))
        for name, value in point.items()
    }


def interval(values: Array, point: float) -> tuple[float, float]:
    """The middle 95 % of the resampled values; NaN twice when the metric itself or too many of them are undefined."""
    undefined = np.isnan(values)
    if math.isnan(point) or not len(values) or undefined.mean() > UNDEFINED_AT_MOST:
        return math.nan, math.nan
    low, high = np.quantile(values[~undefined], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_of(values: Array) -> Score:
    """The mean with Student's 95 % interval, which takes the values as independent; no interval for fewer than two."""
    from scipy.stats import t

    middle = float(values.mean())
    if len(values) < 2:
        return Score(middle)
    half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Score(middle, middle - half, middle + half)


def compute(metrics: Metrics, output: Columns, target: Columns) -> dict[str, float]:
    """A resample may lack a class; metrics answer with NaN, so scikit-learn's warnings of it would say nothing new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
        return metrics.compute(output, target)


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))
