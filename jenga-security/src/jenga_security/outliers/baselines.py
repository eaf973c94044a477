"""Classical detectors beside a model: the isolation forest always, PyOD's by name. They are fitted without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from jenga_core.builtin.baselines import ClassicalClassifier, Inputs, binary_baselines
from jenga_core.contracts import Baseline, Classical, Columns

from .scores import Scores

Array = np.ndarray[Any, Any]
Choose = Callable[[Array], float]  # scores of rows that stand for the normal -> threshold
ChooseLabelled = Callable[[Array, Array], float]  # scores and labels of validation rows -> threshold


class Detector(Protocol):
    """`name`; `fit(features, y)` on training rows; `raw(features)` >= 0 [N], larger where a row is less usual."""

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
            known = ~np.isnan(matrix).all(axis=0)
            self.median = np.zeros(matrix.shape[1])
            self.median[known] = np.nanmedian(matrix[:, known], axis=0)
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
    """A detector as a baseline of a labelled task: its own score, and the threshold that `choose` finds with labels."""

    trivial = False

    def __init__(self, detector: Detector, choose: ChooseLabelled, threshold: float = 0.5) -> None:
        self.detector, self.choose, self.threshold, self.name = detector, choose, threshold, detector.name

    def fit(self, features: Classical | None, target: Columns) -> None:
        self.detector.fit(_given(features), np.asarray(target["y"]))

    def calibrate(self, output: Columns, target: Columns) -> None:
        self.threshold = self.choose(np.asarray(output["score"], dtype=np.float32), np.asarray(target["y"]))

    def predict(self, features: Classical | None, rows: int) -> Columns:
        return self._judged({"raw": self.detector.raw(_given(features))[:, None]})

    def _judged(self, output: Columns) -> Columns:
        score = self._score(np.asarray(output["raw"]))
        return {**output, "score": score, "flag": (score >= np.float32(self.threshold)).astype(np.int64)}

    def _score(self, raw: Array) -> Array:
        return raw[:, 0].astype(np.float32)


class Ranked(Scored):
    """A detector as a baseline whose scores are ranks, as those of the tasks without labels are."""

    def __init__(
        self, detector: Detector, choose: ChooseLabelled, held_out: Callable[[Array], Array] | None = None
    ) -> None:
        super().__init__(detector, choose)
        self.held_out = held_out or (lambda y: np.ones(len(y), dtype=bool))
        self.scores: Scores | None = None

    def fit(self, features: Classical | None, target: Columns) -> None:
        super().fit(features, target)
        self.scores = Scores.fit(
            self.detector.raw(_given(features))[:, None]
        )  # until `calibrate`, if it is ever called

    def calibrate(self, output: Columns, target: Columns) -> None:
        y = np.asarray(target["y"])
        held = self.held_out(y)
        if held.any():
            self.scores = Scores.fit(np.asarray(output["raw"])[held])
            self.threshold = self.choose(self._score(np.asarray(output["raw"]))[held], y[held])

    def _score(self, raw: Array) -> Array:
        return raw[:, 0].astype(np.float32) if self.scores is None else self.scores.apply(raw).astype(np.float32)


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


def unlabelled_baselines(
    seed: int, *, known: tuple[int, int], held_out: Callable[[Array], Array], choose: Choose, threshold: float
) -> Sequence[Baseline]:
    """For the tasks without labels. `known`: training rows with a label, normal and anomalous; where both are there, the
    two baselines that use them are added."""

    def rule(scores: Array, y: Array) -> float:
        return choose(scores)

    found: list[Baseline] = [Prior(threshold)] if sum(known) else []
    found.append(Ranked(Forest(seed), rule, held_out))
    if min(known) > 1:
        found.append(Ranked(Boosting(seed), rule, held_out))
    return found


def _given(features: Classical | None) -> Classical:
    if features is None:
        raise ValueError("this baseline needs features; it is not trivial")
    return features
