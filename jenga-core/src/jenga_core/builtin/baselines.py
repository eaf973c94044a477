"""Classical models beside the neural one: a trivial one and a strong one, in the form of the tasks' own outputs.

The strong one is gradient boosting on a dense matrix (missing values and categories as they are) and a linear model on a
sparse one, both from scikit-learn. scikit-learn is imported when a baseline is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..contracts import Array, Baseline, Classical, Columns

_BINS = 255  # the most that scikit-learn's histograms have
_TREES = 1000  # over all classes: one tree per class and round
_STRENGTHS = (1.0, 10.0, 100.0, 1000.0)  # of ridge regression's penalty; the first where there are no validation rows


def classification_baselines(classes: int, seed: int) -> Sequence[Baseline]:
    """For outputs {"probability": [N, C]} and targets {"y": class number}."""
    return (Majority(classes), ClassicalClassifier(classes, seed))


def regression_baselines(seed: int) -> Sequence[Baseline]:
    """For outputs {"value": [N]} and targets {"y": number}."""
    return (Mean(), ClassicalRegressor(seed))


Choose = Callable[[np.ndarray, np.ndarray], float]  # (scores [N], y [N]) of validation rows -> threshold


def binary_baselines(seed: int, *, threshold: float = 0.5, choose: Choose | None = None) -> Sequence[Baseline]:
    """For outputs {"score": [N], "flag": [N]} and targets {"y": 0 or 1}; a score at or above `threshold` is flagged.

    `choose` sets the threshold on validation rows by the rule that the model's own threshold follows.
    """
    return tuple(Binary(each, threshold, choose) for each in classification_baselines(2, seed))


class Majority(Baseline):
    """Every row gets the classes' shares of the training rows: the most frequent class, with its own share as the score."""

    name = "majority"
    trivial = True

    def __init__(self, classes: int) -> None:
        self.shares = np.full(classes, 1 / classes)

    def fit(self, features: Classical | None, target: Columns) -> None:
        rows = np.bincount(np.asarray(target["y"]), minlength=len(self.shares))
        self.shares = rows / rows.sum()

    def predict(self, features: Classical | None, rows: int) -> Columns:
        return {"probability": np.tile(self.shares, (rows, 1))}


class Mean(Baseline):
    """Every row gets the mean of the training targets."""

    name = "mean"
    trivial = True

    def __init__(self) -> None:
        self.mean = 0.0

    def fit(self, features: Classical | None, target: Columns) -> None:
        self.mean = float(np.mean(np.asarray(target["y"], dtype=np.float64)))

    def predict(self, features: Classical | None, rows: int) -> Columns:
        return {"value": np.full(rows, self.mean)}


class ClassicalClassifier(Baseline):
    """`name` says which after `fit`: "gradient boosting", or "logistic regression" and on what, such as TF-IDF."""

    trivial = False

    def __init__(self, classes: int, seed: int) -> None:
        self.classes, self.seed, self.name = classes, seed, "classical"
        self.inputs = Inputs()
        self.model: Any = None

    def fit(self, features: Classical | None, target: Columns) -> None:
        y = np.asarray(target["y"])
        matrix = self.inputs.fit(_given(features))
        if self.inputs.sparse:
            from sklearn.linear_model import LogisticRegression

            self.name, self.model = _named("logistic regression", features), LogisticRegression(max_iter=1000)
        else:
            from sklearn.ensemble import HistGradientBoostingClassifier

            rows = np.unique(y, return_counts=True)[1]
            per_round = 1 if len(rows) == 2 else len(rows)
            self.name = "gradient boosting"
            self.model = HistGradientBoostingClassifier(
                max_iter=int(np.clip(_TREES // per_round, 10, 100)),
                categorical_features=self.inputs.categorical or None,
                # its inner stratified split needs two rows of every class
                early_stopping=bool(len(y) > 10_000 and rows.min() >= 2 and len(rows) < len(y) / 20),
                random_state=self.seed,
            )
        self.model.fit(matrix, y)

    def predict(self, features: Classical | None, rows: int) -> Columns:
        probability = np.zeros((rows, self.classes))
        probability[:, self.model.classes_] = self.model.predict_proba(self.inputs.take(_given(features)))
        return {"probability": probability}


class ClassicalRegressor(Baseline):
    """`name` says which after `fit`: "gradient boosting", or "ridge regression" and on what, such as TF-IDF.

    Ridge regression is fitted at several strengths; validation rows choose the one with the least squared error.
    """

    trivial = False

    def __init__(self, seed: int) -> None:
        self.seed, self.name = seed, "classical"
        self.inputs = Inputs()
        self.models: list[Any] = []
        self.chosen = 0

    def fit(self, features: Classical | None, target: Columns) -> None:
        y = np.asarray(target["y"], dtype=np.float64)
        matrix = self.inputs.fit(_given(features))
        if self.inputs.sparse:
            from sklearn.linear_model import Ridge

            self.name, self.models = _named("ridge regression", features), [Ridge(alpha=a) for a in _STRENGTHS]
        else:
            from sklearn.ensemble import HistGradientBoostingRegressor

            self.name = "gradient boosting"
            self.models = [
                HistGradientBoostingRegressor(
                    categorical_features=self.inputs.categorical or None, random_state=self.seed
                )
            ]
        for model in self.models:
            model.fit(matrix, y)

    def calibrate(self, output: Columns, target: Columns) -> None:
        errors = np.asarray(output["each"]) - np.asarray(target["y"], dtype=np.float64)[:, None]
        self.chosen = int(np.argmin((errors**2).mean(axis=0)))

    def predict(self, features: Classical | None, rows: int) -> Columns:
        """`each` [N, strengths] beside `value` [N], the chosen one."""
        matrix = self.inputs.take(_given(features))
        each = np.stack([model.predict(matrix) for model in self.models], axis=1)
        return {"value": each[:, self.chosen], "each": each}


class Binary(Baseline):
    """A two-class baseline, with its outputs as score and flag."""

    def __init__(self, inner: Baseline, threshold: float, choose: Choose | None = None) -> None:
        self.inner, self.threshold, self.choose = inner, threshold, choose
        self.name, self.trivial = inner.name, inner.trivial

    def fit(self, features: Classical | None, target: Columns) -> None:
        self.inner.fit(features, {"y": np.asarray(target["y"]).astype(np.int64)})
        self.name = self.inner.name

    def calibrate(self, output: Columns, target: Columns) -> None:
        if self.choose is not None:
            self.threshold = self.choose(np.asarray(output["score"], dtype=np.float32), np.asarray(target["y"]))

    def predict(self, features: Classical | None, rows: int) -> Columns:
        score = np.asarray(self.inner.predict(features, rows)["probability"])[:, 1]
        return {"score": score, "flag": (score >= self.threshold).astype(np.int64)}


class Inputs:
    """Prepares a `Classical.matrix`: infinite cells are missing, categories are numbered anew by training frequency.

    The histograms have `_BINS` places, so the rarest categories of a column that has more share the last one.
    """

    def __init__(self) -> None:
        self.sparse = False
        self.categorical: list[int] = []
        self.places: dict[int, tuple[Array, Array]] = {}  # column -> (category ascending, its place)

    def fit(self, features: Classical) -> Any:
        self.sparse = hasattr(features.matrix, "tocsr")
        self.categorical = [] if self.sparse else list(features.categorical)
        for column in self.categorical:
            cells = np.asarray(features.matrix[:, column], dtype=np.float64)
            values, counts = np.unique(cells[np.isfinite(cells)], return_counts=True)
            place = np.empty(len(values))
            place[np.argsort(-counts, kind="stable")] = np.minimum(np.arange(len(values)), _BINS - 1)
            self.places[column] = (values, place)
        return self.take(features)

    def take(self, features: Classical) -> Any:
        if self.sparse:
            return features.matrix.tocsr()
        matrix = np.array(features.matrix, dtype=np.float64)
        matrix[~np.isfinite(matrix)] = np.nan
        for column, (values, place) in self.places.items():
            matrix[:, column] = self._place(matrix[:, column], values, place)
        return matrix

    def _place(self, cells: Array, values: Array, place: Array) -> Array:
        """A category that training did not see: the shared last place where there is one, else missing."""
        if not len(values):
            return np.full(len(cells), np.nan)
        at = np.minimum(np.searchsorted(values, cells), len(values) - 1)
        unseen = float(_BINS - 1) if len(values) >= _BINS else np.nan
        return np.where(np.isnan(cells), np.nan, np.where(values[at] == cells, place[at], unseen))


def _named(model: str, features: Classical | None) -> str:
    kind = _given(features).kind
    return f"{model} on {kind}" if kind else model


def _given(features: Classical | None) -> Classical:
    if features is None:
        raise ValueError("this baseline needs features; it is not trivial")
    return features
