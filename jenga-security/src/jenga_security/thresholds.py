"""From validation scores to the score from which a row is an alert."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jenga_core.errors import DataError

Array = np.ndarray[Any, Any]


def conformal(normal_scores: Array, rate: float) -> float:
    """The split-conformal threshold: a new normal row's score reaches it with a probability of at most `rate`.

    With n scores of normal rows that the model did not train on, the threshold lies just above the k-th smallest one,
    k = ceil((n + 1) (1 - rate)) (Vovk et al. 2005; Angelopoulos and Bates 2021). It holds over draws of the validation
    rows as long as new normal rows come from the same distribution, and needs n >= 1 / rate - 1.
    """
    require_normal(len(normal_scores), rate)
    k = math.ceil(round((len(normal_scores) + 1) * (1 - rate), 9))
    return above(np.sort(normal_scores)[k - 1])


def require_normal(rows: int, rate: float) -> None:
    """DataError when `rows` normal validation rows are too few for a threshold at `rate`."""
    least = math.ceil(round(1 / rate, 9)) - 1
    if rows < least:
        raise DataError(
            f"target_fpr {rate:g} needs at least {least} normal validation rows, there are {rows}",
            next="give more validation rows (`split: {validation: ...}`), a larger target_fpr or a number",
        )


def require_both(y: Array) -> None:
    """DataError when the validation rows hold one class only (or none), which leaves F1 without a best threshold."""
    if len(np.unique(y)) < 2:
        raise DataError(
            f"threshold best_f1 needs normal rows and attacks among the {len(y)} validation rows; there is one class only",
            next="give more validation rows (`split: {validation: ...}`) or a number as threshold",
        )


def best_f1(scores: Array, y: Array) -> float:
    """The score that gives the highest F1; ties go to the higher threshold, which alerts less."""
    require_both(y)
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(y, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = np.flatnonzero(f1[:-1] == f1[:-1].max())[-1]
    return float(thresholds[best])


def above(score: float) -> float:
    """The next float32 above `score`: a rule "score >= threshold" then leaves rows with exactly this score out."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))
