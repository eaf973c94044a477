"""Classical detectors beside a model: the isolation forest always, PyOD's by name. They are fitted without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from jenga_core.builtin.baselines import ClassicalClassifier, Inputs, binary_baselines
from jenga_core.contracts import Baseline, Classical, Columns

from ..alerts import AlertRule
from .pyod import Pyod, medians
from .ranks import Ranks

Array = np.ndarray[Any, Any]


class Detector(Protocol):
    """`name`; `fit(features, y)` on training rows; `raw(features)` [N], larger where a row is less usual."""

    name: str

    def fit(self, features: Classical, y: Array) -> None: ...

    def raw(self, features: Classical) -> Array: ...


class Forest:
    """scikit-learn's isolation forest with its defaults (Liu et al. 2008); missing cells are the column's median."""

    name = "isolation forest"

    def __init__(self, seed: int) -> None:
        self.seed, self.inputs = seed, Inputs()
        self.model: Any = None
        self.median: Any = 0.0

    def fit(self, features: Classical, y: Array) -> None:
        from sklearn.ensemble import IsolationForest

        matrix = self.inputs.fit(features)
        if not self.inputs.sparse:
            self.median = medians(matrix)
        self.model = IsolationForest(random_state=self.seed).fit(self._whole(matrix))

    def raw(self, features: Classical) -> Array:
        """The paper's score in 0..1; 0.5 is a row like the average one."""
        return np.asarray(-self.model.score_samples(self._whole(self.inputs.take(features))))

    def _whole(self, matrix: Any) -> Any:
        return matrix if self.inputs.sparse else np.where(np.isnan(matrix), self.median, matrix)


class Boosting:
    """Gradient boosting on the rows whose label is known: what labels are worth here."""

    name = "gradient boosting, with labels"

    def __init__(self, seed: int) -> None:
        self.inner = ClassicalClassifier(2, seed)

    def fit(self, features: Classical, y: Array) -> None:
        known = np.flatnonzero(y >= 0)
        self.inner.fit(Classical(features.matrix[known], features.categorical), {"y": y[known]})

    def raw(self, features: Classical) -> Array:
        return np.asarray(self.inner.predict(features, features.matrix.shape[0])["probability"])[:, 1]


class Scored(Baseline):
    """A detector as a baseline of a labelled task: its own score, and the threshold that the model's `rule` finds."""

    trivial = False

    def __init__(self, detector: Detector, rule: AlertRule) -> None:
        self.detector, self.rule, self.threshold, self.name = detector, rule, rule.threshold, detector.name

    def fit(self, features: Classical | None, target: Columns) -> None:
        self.detector.fit(_given(features), np.asarray(target["y"]))

    def calibrate(self, output: Columns, target: Columns) -> None:
        self.threshold = self.rule.choose(np.asarray(output["score"]), np.asarray(target["y"]))

    def predict(self, features: Classical | None, rows: int) -> Columns:
        return self._judged({"raw": self.detector.raw(_given(features))})

    def _judged(self, output: Columns) -> Columns:
        score = self._score(np.asarray(output["raw"]))
        return {**output, "score": score, "flag": (score >= np.float32(self.threshold)).astype(np.int64)}

    def _score(self, raw: Array) -> Array:
        return raw.astype(np.float32)


class Ranked(Scored):
    """A detector as a baseline whose scores are ranks among normal validation rows, as those of the tasks without labels.

    `told` turns a row's label into what may be known of it: 1 = anomaly, 0 = taken as normal.
    """

    def __init__(self, detector: Detector, rule: AlertRule, told: Callable[[Array], Array] | None = None) -> None:
        super().__init__(detector, rule)
        self.told = told or (lambda y: y)
        self.ranks: Ranks | None = None

    def fit(self, features: Classical | None, target: Columns) -> None:
        super().fit(features, target)
        self.ranks = Ranks.fit(self.detector.raw(_given(features)))  # until `calibrate`, if it is ever called

    def calibrate(self, output: Columns, target: Columns) -> None:
        raw, y = np.asarray(output["raw"]), self.told(np.asarray(target["y"]))
        if (y == 0).any():
            self.ranks = Ranks.fit(raw[y == 0])
        self.threshold = self.rule.choose(self._score(raw), y)

    def _score(self, raw: Array) -> Array:
        return raw.astype(np.float32) if self.ranks is None else self.ranks.apply(raw).astype(np.float32)


class Prior(Baseline):
    """Every row gets the share of anomalies among the training rows whose label is known."""

    name = "majority"
    trivial = True

    def __init__(self, threshold: float) -> None:
        self.inner = binary_baselines(0, threshold=threshold)[0]

    def fit(self, features: Classical | None, target: Columns) -> None:
        y = np.asarray(target["y"])
        self.inner.fit(None, {"y": y[y >= 0]})

    def predict(self, features: Classical | None, rows: int) -> Columns:
        return self.inner.predict(None, rows)


def labelled_baselines(seed: int, rule: AlertRule, pyod: Sequence[str]) -> Sequence[Baseline]:
    """For security/anomaly, which adds those that use labels: the isolation forest keeps its own score, PyOD's are ranked."""
    return (Scored(Forest(seed), rule), *(Ranked(Pyod(name, seed), rule) for name in pyod))


def unlabelled_baselines(
    seed: int, rule: AlertRule, pyod: Sequence[str], *, told: Callable[[Array], Array], known: tuple[int, int]
) -> Sequence[Baseline]:
    """For the tasks without labels. `known`: training rows with a label, normal and anomalous; where both are there, the
    two baselines that use them are added."""
    detectors: list[Detector] = [Forest(seed), *(Pyod(name, seed) for name in pyod)]
    if min(known) > 1:
        detectors.append(Boosting(seed))
    prior = [Prior(rule.threshold)] if sum(known) else []
    return (*prior, *(Ranked(detector, rule, told) for detector in detectors))


def _given(features: Classical | None) -> Classical:
    if features is None:
        raise ValueError("this baseline needs features; it is not trivial")
    return features
