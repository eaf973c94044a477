"""How several labels per row are judged, from what threshold on a label applies, and what a classical model reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..contracts import Array, Baseline, Classical, Columns, Metrics
from .baselines import Binary, Majority, binary_baselines

Direction = Literal["max", "min"]
_DIRECTIONS: dict[str, Direction] = dict.fromkeys(
    ("f1_macro", "f1_micro", "precision_micro", "recall_micro", "exact_match", "average_precision", "roc_auc"), "max"
)


class MultiLabelMetrics(Metrics):
    """Output: `probability` and `flag` [N, C]; target: `y` and `known` [N, C]. Unknown labels are in no metric.

    F1 and its parts judge `flag`; macro is the mean over labels that occur or are flagged, micro pools all labels;
    `exact_match` is the share of rows with every known label right. `average_precision` and `roc_auc` are means over the
    labels that have rows of both kinds, NaN where none has.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    @property
    def directions(self) -> Mapping[str, Direction]:
        return _DIRECTIONS

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        probability = np.asarray(output["probability"], dtype=np.float64)
        flag, y = np.asarray(output["flag"]).astype(bool), np.asarray(target["y"]).astype(bool)
        known = np.asarray(target["known"]).astype(bool)
        if not len(y) or not np.isfinite(probability).all():
            return dict.fromkeys(_DIRECTIONS, math.nan)
        hit, flagged, real = ((each & known).sum(axis=0).astype(np.float64) for each in (flag & y, flag, y))
        occurs = flagged + real > 0
        ranked = [_ranking(y[known[:, at], at], probability[known[:, at], at]) for at in range(y.shape[1])]
        found = {
            "f1_macro": _mean((2 * hit[occurs] / (flagged + real)[occurs]).tolist()),
            "f1_micro": _share(2 * hit.sum(), flagged.sum() + real.sum()),
            "precision_micro": _share(hit.sum(), flagged.sum()),
            "recall_micro": _share(hit.sum(), real.sum()),
            "exact_match": float(((flag == y) | ~known).all(axis=1).mean()),
            "average_precision": _mean([ap for ap, _ in ranked]),
            "roc_auc": _mean([auc for _, auc in ranked]),
        }
        return {name: found[name] for name in _DIRECTIONS}

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        """The rows with the surest label, and those whose surest label is known to be wrong."""
        probability, y = np.asarray(output["probability"]), np.asarray(target["y"])
        best = probability.argmax(axis=1)[:, None]
        wrong = (np.take_along_axis(np.asarray(target["known"]).astype(bool) & (y == 0), best, axis=1))[:, 0]
        order = np.argsort(-probability.max(axis=1), kind="stable")
        return {"surest label": order[:2], "surest label is wrong": order[wrong[order]][:1]}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _ranking(y: Array, score: Array) -> tuple[float, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    if not 0 < y.sum() < len(y):
        return math.nan, math.nan
    return float(average_precision_score(y, score)), float(roc_auc_score(y, score))


def best_threshold(score: Array, y: Array) -> float:
    """The threshold with the best F1 over these rows, half-way to the next lower score; 0.5 where no row has the label.

    Of equally good ones the highest is taken, which flags least.
    """
    y = np.asarray(y).astype(bool)
    if not y.any():
        return 0.5
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order].astype(np.float64), np.cumsum(y[order])
    f1 = 2 * hits / (np.arange(1, len(y) + 1) + y.sum())
    f1[:-1][ranked[:-1] == ranked[1:]] = -1  # equal scores are flagged together
    best = int(np.argmax(f1))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)


class PerLabel(Baseline):
    """One yes-or-no baseline per label: `which` 0 is the trivial one, 1 the classical one.

    A label that is the same in every training row is left to the trivial one.
    """

    def __init__(
        self, labels: int, seed: int, which: int, threshold: float, choose: Callable[[Array, Array], float] | None
    ) -> None:
        self.each: list[Any] = [
            binary_baselines(seed, threshold=threshold, choose=choose)[which] for _ in range(labels)
        ]
        self.threshold, self.choose = threshold, choose
        self.name, self.trivial = self.each[0].name, self.each[0].trivial

    def fit(self, features: Classical | None, target: Columns) -> None:
        y, known = np.asarray(target["y"]), np.asarray(target["known"])
        for at, baseline in enumerate(self.each):
            rows = np.flatnonzero(known[:, at])
            if len(np.unique(y[rows, at])) < 2:
                baseline = self.each[at] = Binary(Majority(2), self.threshold, self.choose)
            baseline.fit(_rows(features, rows), {"y": y[rows, at]})
        self.name = next((b.name for b in self.each if b.trivial == self.trivial), self.name)

    def calibrate(self, output: Columns, target: Columns) -> None:
        score, y, known = np.asarray(output["probability"]), np.asarray(target["y"]), np.asarray(target["known"])
        for at, baseline in enumerate(self.each):
            rows = known[:, at]
            baseline.calibrate({"score": score[rows, at]}, {"y": y[rows, at]})

    def predict(self, features: Classical | None, rows: int) -> Columns:
        made = [baseline.predict(features, rows) for baseline in self.each]
        columns = {"probability": "score", "flag": "flag"}
        return {name: np.stack([np.asarray(m[key]) for m in made], axis=1) for name, key in columns.items()}


def _rows(features: Classical | None, rows: Array) -> Classical | None:
    return None if features is None else features.take(rows)
