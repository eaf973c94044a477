"""From validation scores to the score from which a row is an alert."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    return above(np.sort(normal_scores)[rank_of(len(normal_scores), rate) - 1])


def rank_of(rows: int, rate: float) -> int:
    """k of `conformal`: which of `rows` normal scores, counted from the lowest, the threshold lies above."""
    return math.ceil(round((rows + 1) * (1 - rate), 9))


def require_normal(rows: int, rate: float) -> None:
    """DataError when `rows` normal validation rows are too few for a threshold at `rate`."""
    least = math.ceil(round(1 / rate, 9)) - 1
    if rows < least:
        raise DataError(
            f"target_fpr {rate:g} needs at least {least:,} normal validation rows, there are {rows:,}",
            next="give more validation rows (`split: {validation: ...}`), a larger rate or budget, or a number",
        )


def require_both(y: Array) -> None:
    """DataError when the validation rows hold one class only (or none), which leaves F1 without a best threshold."""
    if len(np.unique(y)) < 2:
        raise DataError(
            f"threshold best_f1 needs normal rows and attacks among the {len(y)} validation rows; there is one class only",
            next="give more validation rows (`split: {validation: ...}`) or a number as threshold",
        )


def best_f1(scores: Array, y: Array) -> float:
    """The threshold that gives the highest F1, `between` the score of an attack and the next lower one; of equally good ones
    the highest, which alerts least."""
    require_both(y)
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(y, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = float(thresholds[np.flatnonzero(f1[:-1] == f1[:-1].max())[-1]])
    return between(scores, best)


def between(scores: Array, score: float) -> float:
    """Half-way from `score` to the next lower of `scores`, or to zero: the same row must stay on its side of the threshold when
    it is computed in another batch, where its score may differ in the last digit."""
    lower = scores[scores < score].max(initial=0.0)
    middle = float(np.float32((float(lower) + score) / 2))
    return middle if middle > lower else score  # no number lies between two neighbours


def above(score: float) -> float:
    """The next float32 above `score`: a rule "score >= threshold" then leaves rows with exactly this score out."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))


# ------------------------------------------------------------------ what a threshold promises


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends of an interval of a share."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.low:.3g} to {100 * self.high:.3g} %"

    def __contains__(self, share: float) -> bool:
        return self.low <= share <= self.high


def exceedance(rows: int, rank: int, level: float = 0.95) -> Interval:
    """Of the share of new rows above the `rank`-th smallest of `rows` exchangeable scores: Beta(rows + 1 - rank, rank).

    The law of an order statistic (Vovk 2012, "Conditional validity of inductive conformal predictors"). Exact for
    continuous scores; with ties the share is smaller.
    """
    from scipy.stats import beta

    low, high = beta.ppf([(1 - level) / 2, (1 + level) / 2], rows + 1 - rank, rank)
    return Interval(float(low), float(high))


def clopper_pearson(hits: int, rows: int, level: float = 0.95) -> Interval:
    """The exact binomial interval of a share of which `hits` of `rows` were seen (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    low = beta.ppf((1 - level) / 2, hits, rows - hits + 1) if hits else 0.0
    high = beta.ppf((1 + level) / 2, hits + 1, rows - hits) if hits < rows else 1.0
    return Interval(float(low), float(high))
