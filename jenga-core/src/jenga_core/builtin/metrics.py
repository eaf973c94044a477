"""How classification, yes-or-no and regression outputs are judged. The numbers are scikit-learn's; undefined ones are NaN.

What is undefined: ROC-AUC and average precision without rows of both kinds, precision when nothing is flagged, anything
on no rows or on outputs that are not finite. Plots are in `plots.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..contracts import Array, Columns, Metrics
from ..figures import Figure
from . import plots

Direction = Literal["max", "min"]

_BINARY: dict[str, Direction] = {
    "average_precision": "max",
    "roc_auc": "max",
    "f1": "max",
    "precision": "max",
    "recall": "max",
    "false_positive_rate": "min",
    "accuracy": "max",
    "log_loss": "min",
    "brier": "min",
    "calibration_error": "min",
}
_AVERAGED: dict[str, Direction] = {
    f"{metric}_{average}": "max" for average in ("macro", "weighted") for metric in ("f1", "precision", "recall")
}
_MANY: dict[str, Direction] = {
    "f1_macro": "max",  # first, since accuracy flatters a model that knows only the large classes
    "accuracy": "max",
    **_AVERAGED,
    "roc_auc": "max",
    "average_precision": "max",
    "log_loss": "min",
    "brier": "min",
    "calibration_error": "min",
}
_NUMBER: dict[str, Direction] = {"rmse": "min", "mae": "min", "r2": "max", "pearson": "max", "spearman": "max"}


class BinaryMetrics(Metrics):
    """Yes or no. Output: `score` [N] in 0..1 and `flag` [N] 0 or 1; target: `y` [N] 0 or 1.

    Precision, recall, F1, accuracy and the false-positive rate judge `flag`; the others judge `score`, whatever the
    threshold. `names` are the classes 0 and 1 in plots; `threshold` is only drawn there.
    """

    def __init__(self, names: Sequence[str] = ("0", "1"), threshold: float | None = None) -> None:
        self.names, self.threshold = tuple(names), threshold

    @property
    def directions(self) -> Mapping[str, Direction]:
        return _BINARY

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        y, score, flag = _binary(output, target)
        if not len(y) or not np.isfinite(score).all():
            return dict.fromkeys(_BINARY, math.nan)
        return self.from_decisions(y, score, _decisions(y, flag, 2))

    @staticmethod
    def from_decisions(y: Array, score: Array, values: Mapping[str, Any]) -> dict[str, float]:
        """The metrics, given what `_decisions` found: classification has that already."""
        (precision, _), (false, recall), (f1, _) = values["precision"][::-1], values["recall"], values["f1"][::-1]
        found = {
            "f1": f1,
            "precision": precision,
            "recall": recall,
            "false_positive_rate": 1 - false,  # the recall of the negatives is the true-negative rate
            "accuracy": values["accuracy"],
            **_ranking(y, score),
            **_probabilities(y, np.column_stack([1 - score, score])),
            "calibration_error": calibration_error(y, score),
        }
        return {name: float(found[name]) for name in _BINARY}

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        y, score, flag = _binary(output, target)
        if not len(y) or not np.isfinite(score).all():
            return []
        return [
            *plots.ranking(y, score, self.names[1]),
            plots.confusion(y, flag, self.names),
            plots.calibration(y, score, self.names[1]),
            plots.scores(y, score, self.names, self.threshold),
        ]

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        """The two highest scores that are flagged, the worst false positive and the worst false negative."""
        y, score, flag = _binary(output, target)
        order = np.argsort(-score, kind="stable")
        return {
            "highest score": order[flag[order] == 1][:2],
            "false positive": order[(flag[order] == 1) & (y[order] == 0)][:1],
            "false negative": order[(flag[order] == 0) & (y[order] == 1)][-1:],
        }


class ClassificationMetrics(Metrics):
    """One of C classes. Output: `probability` [N, C]; target: `y` [N]. The decision is the most probable class.

    With two classes the metrics of `BinaryMetrics` for class number `positive` come first. Macro averages are over the
    classes that occur in the truth or the decisions: a class that is never chosen has precision 0, as scikit-learn counts
    it; `recall_macro` leaves out classes without rows (it is scikit-learn's balanced accuracy).
    """

    def __init__(self, names: Sequence[str], positive: int = 1) -> None:
        self.names, self.positive = tuple(names), positive
        order = (names[1 - positive], names[positive]) if len(names) == 2 else ("0", "1")
        self.binary = BinaryMetrics(order, threshold=0.5)

    @property
    def directions(self) -> Mapping[str, Direction]:
        return {**_BINARY, **_AVERAGED} if len(self.names) == 2 else _MANY

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        y, probability = np.asarray(target["y"]), np.asarray(output["probability"], dtype=np.float64)
        if not len(y) or not np.isfinite(probability).all():
            return dict.fromkeys(self.directions, math.nan)
        decided = probability.argmax(axis=1)
        values = _decisions(y, decided, len(self.names))
        if len(self.names) == 2:
            order = [1 - self.positive, self.positive]
            ordered = {k: v[order] if isinstance(v, np.ndarray) else v for k, v in values.items()}
            truth = (y == self.positive).astype(np.int64)
            return {**self.binary.from_decisions(truth, probability[:, self.positive], ordered), **_averages(values)}
        found = {
            "accuracy": values["accuracy"],
            **_averages(values),
            **_ranking_of_many(y, probability),
            **_probabilities(y, probability),
            "calibration_error": calibration_error(decided == y, probability.max(axis=1)),
        }
        return {name: float(found[name]) for name in _MANY}

    def _as_binary(self, probability: Array, y: Array) -> tuple[dict[str, Any], dict[str, Any]]:
        flag = probability.argmax(axis=1) == self.positive
        return {"score": probability[:, self.positive], "flag": flag.astype(np.int64)}, {
            "y": (y == self.positive).astype(np.int64)
        }

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        y, probability = np.asarray(target["y"]), np.asarray(output["probability"], dtype=np.float64)
        if not len(y) or not np.isfinite(probability).all():
            return []
        if len(self.names) == 2:
            return self.binary.figures(*self._as_binary(probability, y))
        decided = probability.argmax(axis=1)
        return [
            *plots.ranking_of_many(y, probability, self.names),
            plots.confusion(y, decided, self.names),
            plots.calibration(decided == y, probability.max(axis=1), "the chosen class"),
        ]

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        """Of two classes as of yes or no; of more, the surest right and the surest wrong choices."""
        y, probability = np.asarray(target["y"]), np.asarray(output["probability"], dtype=np.float64)
        if len(self.names) == 2:
            return self.binary.examples(*self._as_binary(probability, y))
        order, right = np.argsort(-probability.max(axis=1), kind="stable"), probability.argmax(axis=1) == y
        return {"surest right": order[right[order]][:2], "surest wrong": order[~right[order]][:2]}


class RegressionMetrics(Metrics):
    """One number. Output: `value` [N]; target: `y` [N], both in the target's own unit.

    R2 of constant targets is undefined, a correlation also where the outputs are constant. Ties share the mean rank.
    """

    def __init__(self, unit: str = "value") -> None:
        self.unit = unit

    @property
    def directions(self) -> Mapping[str, Direction]:
        return _NUMBER

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        from sklearn import metrics as sk

        y, value = np.asarray(target["y"], dtype=np.float64), np.asarray(output["value"], dtype=np.float64)
        if not len(y) or not np.isfinite(value).all():
            return dict.fromkeys(_NUMBER, math.nan)
        varies = bool((y != y[0]).any())
        pearson, spearman = correlations(y, value)
        return {
            "rmse": float(sk.root_mean_squared_error(y, value)),
            "mae": float(sk.mean_absolute_error(y, value)),
            "r2": float(sk.r2_score(y, value)) if varies else math.nan,
            "pearson": pearson,
            "spearman": spearman,
        }

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        y, value = np.asarray(target["y"], dtype=np.float64), np.asarray(output["value"], dtype=np.float64)
        return plots.errors(y, value, self.unit) if len(y) and np.isfinite(value).all() else []

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        """The largest value, and the values that are furthest above and below the truth."""
        value = np.asarray(output["value"], dtype=np.float64)
        error = value - np.asarray(target["y"], dtype=np.float64)
        worst = {"furthest above the truth": error, "furthest below the truth": -error}
        found = {what: np.argsort(-e, kind="stable")[:1] for what, e in worst.items()}
        return {"largest value": np.argsort(-value, kind="stable")[:1],
                **{what: rows[worst[what][rows] > 0] for what, rows in found.items()}}  # fmt: skip


# ------------------------------------------------------------------ the parts


def correlations(y: Array, value: Array) -> tuple[float, float]:
    """(Pearson's, Spearman's): the second is the first between ranks."""
    from scipy.stats import rankdata

    if len(y) < 2 or not (np.ptp(y) > 0 and np.ptp(value) > 0):
        return math.nan, math.nan
    return tuple(float(np.corrcoef(a, b)[0, 1]) for a, b in ((y, value), (rankdata(y), rankdata(value))))  # type: ignore[return-value]


def calibration_error(happened: Array, probability: Array, bins: int = 10) -> float:
    """Expected calibration error: |share that happened - mean probability| over equal-width bins, weighted by their rows.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017; scikit-learn has no function for it.
    """
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    gap = np.bincount(bin_of, weights=np.asarray(happened, dtype=np.float64) - probability, minlength=bins)
    return float(np.abs(gap).sum() / len(probability))


def _binary(output: Columns, target: Columns) -> tuple[Array, Array, Array]:
    return (
        np.asarray(target["y"]).astype(np.int64),
        np.asarray(output["score"], dtype=np.float64),
        np.asarray(output["flag"]).astype(np.int64),
    )


def _decisions(y: Array, decided: Array, classes: int) -> dict[str, Any]:
    """Accuracy, and precision, recall, F1 and rows of each class (NaN: undefined).

    scikit-learn gets the cells of the confusion matrix with their counts as weights instead of the rows: the same numbers,
    at a cost that does not grow with the rows, which is what makes the bootstrap affordable.
    """
    from sklearn.metrics import precision_recall_fscore_support

    counts = np.bincount(y * classes + decided, minlength=classes * classes)
    cells = np.flatnonzero(counts)
    truth, choice, rows = cells // classes, cells % classes, counts[cells].astype(np.float64)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, choice, sample_weight=rows, labels=np.arange(classes), zero_division=np.nan
    )
    accuracy = np.average(
        recall[support > 0], weights=support[support > 0]
    )  # the recalls' mean, each weighted by its rows
    return {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1, "rows": support}


def _averages(values: Mapping[str, Any]) -> dict[str, float]:
    rows = values["rows"]
    occurs = ~np.isnan(values["f1"])  # in the truth or among the decisions
    precision = np.nan_to_num(values["precision"])
    of = {"f1": values["f1"], "precision": precision, "recall": values["recall"]}
    macro = {f"{k}_macro": float(np.nanmean(v[occurs])) for k, v in of.items()}
    weighted = {f"{k}_weighted": float(np.average(v[rows > 0], weights=rows[rows > 0])) for k, v in of.items()}
    return {**macro, **weighted}


def _ranking(y: Array, score: Array) -> dict[str, float]:
    """ROC-AUC and average precision from one sort: scikit-learn's counts at every threshold, its definitions of both."""
    from sklearn.metrics import auc, confusion_matrix_at_thresholds

    if not 0 < y.sum() < len(y):
        return {"roc_auc": math.nan, "average_precision": math.nan}
    _, false, _, true, _ = confusion_matrix_at_thresholds(y, score)
    recall, precision = true / true[-1], true / (true + false)
    return {
        "roc_auc": float(auc(np.append(0.0, false / false[-1]), np.append(0.0, recall))),
        "average_precision": float(np.sum(np.diff(recall, prepend=0.0) * precision)),
    }


def _ranking_of_many(y: Array, probability: Array) -> dict[str, float]:
    """Means over the classes of each against the rest; NaN unless every class has rows."""
    classes = range(probability.shape[1])
    if len(np.unique(y)) < len(classes):
        return {"roc_auc": math.nan, "average_precision": math.nan}
    of_each = [_ranking((y == c).astype(np.int64), probability[:, c]) for c in classes]
    return {metric: float(np.mean([values[metric] for values in of_each])) for metric in of_each[0]}


def _probabilities(y: Array, probability: Array) -> dict[str, float]:
    from sklearn import metrics as sk

    classes = np.arange(probability.shape[1])
    probability = probability / probability.sum(axis=1, keepdims=True)  # softmax in fp32 sums to 1 only nearly
    if len(classes) == 2:
        brier = sk.brier_score_loss(y, probability[:, 1], pos_label=1)  # the same as below, at half the cost
    else:
        brier = sk.brier_score_loss(y, probability, labels=classes, scale_by_half=True)
    return {"log_loss": float(sk.log_loss(y, probability, labels=classes)), "brier": float(brier)}
