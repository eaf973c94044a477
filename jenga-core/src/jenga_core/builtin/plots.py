"""The plots of the core's metrics, as data (`jenga_core.figures`). The curves are scikit-learn's, thinned for the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts import Array
from ..figures import Bars, Curve, Figure, Line, Matrix, Scatter

POINTS = 200
CLASSES = 8
CELLS = 30


def thin(x: Array, y: Array, points: int = POINTS) -> tuple[Array, Array]:
    """At most about `points` of a curve's points, evenly along its length, so that steep parts keep theirs."""
    if len(x) <= points:
        return x, y
    spread = np.abs(np.diff(x)) / (np.ptp(x) or 1) + np.abs(np.diff(y)) / (np.ptp(y) or 1)
    along = np.concatenate([[0.0], np.cumsum(spread)])
    picks = np.unique(np.append(np.searchsorted(along, np.linspace(0, along[-1], points)), [0, len(x) - 1]))
    picks = np.minimum(picks, len(x) - 1)
    return x[picks], y[picks]


def ranking(y: Array, score: Array, positive: str) -> list[Figure]:
    """Precision-recall, then ROC. None of both where one kind of row is missing."""
    if not 0 < y.sum() < len(y):
        return []
    return _curves([(positive, y, score)], f"{positive!r}")


def ranking_of_many(y: Array, probability: Array, names: Sequence[str]) -> list[Figure]:
    """The same with a line per class against the rest, for the classes with most rows."""
    rows = np.bincount(y, minlength=len(names))
    shown = [c for c in np.argsort(-rows, kind="stable")[:CLASSES] if 0 < rows[c] < len(y)]
    note = "each class against the rest" + (f", the {CLASSES} with most rows" if len(names) > CLASSES else "")
    return _curves([(names[c], (y == c).astype(int), probability[:, c]) for c in shown], note) if shown else []


def _curves(lines: Sequence[tuple[str, Array, Array]], of: str) -> list[Figure]:
    from sklearn import metrics as sk

    precision_recall, roc = [], []
    for name, truth, score in lines:
        precision, recall, _ = sk.precision_recall_curve(truth, score)
        precision_recall.append(Line(f"{name} ({truth.mean():.1%} of rows)", *thin(recall[::-1], precision[::-1])))
        false, true, _ = sk.roc_curve(truth, score)
        roc.append(Line(name, *thin(false, true)))
    return [
        Curve(
            "Precision and recall",
            "recall",
            "precision",
            precision_recall,
            note=f"Of {of}. Upper right is better; chance is a level line at the share of such rows.",
        ),
        Curve(
            "ROC",
            "false-positive rate",
            "true-positive rate",
            roc,
            note=f"Of {of}. Upper left is better; the dotted line is chance. With few positives, trust the plot above more.",
            diagonal=True,
        ),
    ]


def confusion(y: Array, decided: Array, names: Sequence[str]) -> Matrix:
    """With more than `CELLS` classes, those with fewest rows are joined into one line and column."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(y, decided, labels=np.arange(len(names)))
    shown = list(names)
    if len(names) > CELLS:
        order = np.argsort(-counts.sum(axis=1), kind="stable")
        group = np.full(len(names), CELLS - 1)
        group[order[: CELLS - 1]] = np.arange(CELLS - 1)
        joined = np.zeros((CELLS, CELLS), dtype=counts.dtype)
        np.add.at(joined, (group[:, None], group[None, :]), counts)
        counts, shown = joined, [names[c] for c in order[: CELLS - 1]] + [f"({len(names) - CELLS + 1} others)"]
    return Matrix(
        "Confusion matrix",
        "true",
        "predicted",
        shown,
        shown,
        counts,
        note="Rows by true class (down) and predicted class (across); shades are shares of the true class.",
    )


def calibration(happened: Array, probability: Array, of: str, bins: int = 10) -> Curve:
    """Reliability diagram over at most ten bins with equally many rows."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, max(1, len(order) // 10))) if len(part)]
    return Curve(
        "Calibration",
        "predicted probability",
        "observed share",
        [Line(of, np.array([probability[p].mean() for p in parts]), np.array([happened[p].mean() for p in parts]))],
        note=f"Of {of}: each point is a tenth of the rows. On the dotted line, probabilities mean what they say.",
        diagonal=True,
        marks=True,
    )


def scores(y: Array, score: Array, names: Sequence[str], threshold: float | None, bins: int = 20) -> Bars:
    edges = np.linspace(0, 1, bins + 1)
    counts = [np.histogram(score[y == c], bins=edges)[0] for c in (0, 1)]
    return Bars(
        "Scores",
        f"score for {names[1]!r}",
        "share of the class",
        edges,
        [Line(name, edges[:-1], n / max(n.sum(), 1)) for name, n in zip(names, counts, strict=True)],
        note="The less the two overlap, the better the model tells them apart."
        + ("" if threshold is None else f" The line is the threshold, {threshold:.3g}."),
        mark=threshold,
    )


def errors(y: Array, value: Array, unit: str, points: int = 1000) -> list[Figure]:
    """Predicted against true, and the error over the prediction; at most `points` rows, evenly through the table."""
    picks = np.unique(np.linspace(0, len(y) - 1, min(points, len(y))).astype(int))
    y, value = y[picks], value[picks]
    return [
        Scatter(
            "Predicted and true",
            f"true {unit}",
            f"predicted {unit}",
            y,
            value,
            note="On the dotted line, predictions are right.",
            diagonal=True,
        ),
        Scatter(
            "Residuals",
            f"predicted {unit}",
            "true minus predicted",
            value,
            y - value,
            note="A level band around zero is good; a slope, a bend or a funnel is a pattern that the model missed.",
            level=0.0,
        ),
    ]
