"""Metrics against scikit-learn's own functions on whole rows, and what is undefined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from jenga_core.builtin.metrics import BinaryMetrics, ClassificationMetrics, RegressionMetrics, calibration_error
from jenga_core.builtin.plots import CELLS, confusion, thin


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def example(rows: int = 300, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), y] += 1
    return y, softmax(logits).astype(np.float32)


@pytest.mark.parametrize("positive", [0, 1])
def test_binary_metrics_are_scikit_learns(positive: int) -> None:
    y, p = example()
    found = ClassificationMetrics(["a", "b"], positive).compute({"probability": p}, {"y": y})
    truth, score, flag = (y == positive), p[:, positive].astype(float), p.argmax(axis=1) == positive
    tn, fp, _, _ = sk.confusion_matrix(truth, flag).ravel()
    expected = {
        "accuracy": sk.accuracy_score(truth, flag),
        "precision": sk.precision_score(truth, flag),
        "recall": sk.recall_score(truth, flag),
        "f1": sk.f1_score(truth, flag),
        "false_positive_rate": fp / (fp + tn),
        "roc_auc": sk.roc_auc_score(truth, score),
        "average_precision": sk.average_precision_score(truth, score),
        "log_loss": sk.log_loss(truth, score),
        "brier": sk.brier_score_loss(truth, score),
        "f1_macro": sk.f1_score(truth, flag, average="macro"),
        "precision_weighted": sk.precision_score(truth, flag, average="weighted"),
        "recall_macro": sk.balanced_accuracy_score(truth, flag),
    }
    assert {k: found[k] for k in expected} == pytest.approx(expected, rel=1e-5)


@given(data=st.data(), classes=st.integers(3, 5))
@settings(max_examples=60, deadline=None)
def test_averages_are_scikit_learns_with_any_classes_missing(data: Any, classes: int) -> None:
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=30)
    )
    y, decided = (np.array(side) for side in zip(*pairs, strict=True))
    found = ClassificationMetrics(list("abcde"[:classes])).compute({"probability": np.eye(classes)[decided]}, {"y": y})
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, decided))
    for average in ("macro", "weighted"):
        expected = sk.precision_recall_fscore_support(y, decided, average=average, zero_division=0)
        assert found[f"precision_{average}"] == pytest.approx(expected[0])
        assert found[f"f1_{average}"] == pytest.approx(expected[2])
    present = sk.recall_score(y, decided, average="macro", labels=np.unique(y))
    assert found["recall_macro"] == pytest.approx(present)
    assert found["recall_weighted"] == pytest.approx(found["accuracy"])


@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40).filter(
        lambda r: len({y for y, _ in r}) == 2
    )
)
@settings(deadline=None)
def test_ranking_with_ties_is_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    y, score = np.array([y for y, _ in rows]).astype(int), np.array([s / 5 for _, s in rows])
    found = BinaryMetrics().compute({"score": score, "flag": score > 0.5}, {"y": y})
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, score))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(y, score))


def test_many_classes_against_scikit_learn() -> None:
    y, p = example(classes=4)
    found = ClassificationMetrics(list("abcd")).compute({"probability": p}, {"y": y})
    p = p.astype(float) / p.astype(float).sum(axis=1, keepdims=True)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"))
    assert found["average_precision"] == pytest.approx(sk.average_precision_score(np.eye(4)[y], p, average="macro"))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p))


@pytest.mark.parametrize(
    ("metrics", "output", "target"),
    [
        (BinaryMetrics(), {"score": np.array([0.0, 1.0, 1.0]), "flag": np.array([0, 1, 1])}, np.array([0, 1, 1])),
        (ClassificationMetrics(["a", "b"]), {"probability": np.eye(2)[[0, 1, 1]]}, np.array([0, 1, 1])),
        (ClassificationMetrics(list("abc")), {"probability": np.eye(3)[[0, 1, 2]]}, np.array([0, 1, 2])),
        (RegressionMetrics(), {"value": np.array([1.0, 2.0, 4.0])}, np.array([1.0, 2.0, 4.0])),
    ],
)
def test_a_perfect_prediction_has_the_best_of_every_metric(metrics: Any, output: Any, target: np.ndarray) -> None:
    found = metrics.compute(output, {"y": target})
    assert list(found) == list(metrics.directions)
    best = {name: {"max": 1.0, "min": 0.0}[way] for name, way in metrics.directions.items()}
    assert found == pytest.approx(best, abs=1e-9)


def test_what_is_undefined_is_nan() -> None:
    one_class = BinaryMetrics().compute(
        {"score": np.array([0.2, 0.4]), "flag": np.array([0, 0])}, {"y": np.array([0, 0])}
    )
    for name in ("roc_auc", "average_precision", "recall", "precision", "f1"):
        assert math.isnan(one_class[name]), name
    assert one_class["accuracy"] == 1
    assert one_class["false_positive_rate"] == 0
    nothing = BinaryMetrics().compute(
        {"score": np.array([0.2, 0.4]), "flag": np.array([0, 0])}, {"y": np.array([0, 1])}
    )
    assert math.isnan(nothing["precision"])
    assert nothing["recall"] == 0
    assert math.isnan(nothing["roc_auc"]) is False
    all_positive = BinaryMetrics().compute({"score": np.array([0.9]), "flag": np.array([1])}, {"y": np.array([1])})
    assert math.isnan(all_positive["false_positive_rate"])
    missing = ClassificationMetrics(list("abc")).compute({"probability": np.eye(3)[[0, 1]]}, {"y": np.array([0, 1])})
    assert math.isnan(missing["roc_auc"])
    constant = RegressionMetrics().compute({"value": np.array([1.0, 2.0])}, {"y": np.array([3.0, 3.0])})
    assert math.isnan(constant["r2"])


@pytest.mark.parametrize(
    ("metrics", "output"),
    [
        (BinaryMetrics(), {"score": np.array([np.nan, 0.5]), "flag": np.array([0, 1])}),
        (ClassificationMetrics(["a", "b"]), {"probability": np.array([[np.nan, 1], [0.5, 0.5]])}),
        (RegressionMetrics(), {"value": np.array([np.inf, 0.5])}),
    ],
)
def test_outputs_that_are_not_finite_have_no_metric_and_no_figure(metrics: Any, output: Any) -> None:
    target = {"y": np.array([0, 1])}
    assert all(math.isnan(v) for v in metrics.compute(output, target).values())
    assert metrics.figures(output, target) == []


def test_no_rows_have_no_metric() -> None:
    empty = {"y": np.zeros(0, dtype=int)}
    assert all(
        math.isnan(v)
        for v in ClassificationMetrics(["a", "b"]).compute({"probability": np.zeros((0, 2))}, empty).values()
    )
    assert all(math.isnan(v) for v in RegressionMetrics().compute({"value": np.zeros(0)}, empty).values())


def test_regression_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    value = y + rng.normal(size=50)
    found = RegressionMetrics().compute({"value": value}, {"y": y})
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((y - value) ** 2)))
    assert found["mae"] == pytest.approx(np.mean(np.abs(y - value)))
    assert found["r2"] == pytest.approx(sk.r2_score(y, value))


def test_calibration_error_of_known_bins() -> None:
    probability = np.array([0.25] * 4 + [0.95] * 2)
    assert calibration_error(np.array([1, 0, 0, 0, 1, 1]), probability) == pytest.approx((4 * 0 + 2 * 0.05) / 6)
    assert calibration_error(np.array([0.0]), np.array([1.0])) == 1


def test_figures_put_precision_recall_before_roc() -> None:
    y, p = example()
    titles = [f.title for f in ClassificationMetrics(["a", "b"]).figures({"probability": p}, {"y": y})]
    assert titles == ["Precision and recall", "ROC", "Confusion matrix", "Calibration", "Scores"]
    y, p = example(classes=3)
    assert [f.title for f in ClassificationMetrics(list("abc")).figures({"probability": p}, {"y": y})] == titles[:4]


def test_confusion_matrix_joins_rare_classes() -> None:
    y = np.repeat(np.arange(50), np.arange(50, 0, -1))
    matrix = confusion(y, y, [f"c{i}" for i in range(50)])
    assert matrix.values.shape == (CELLS, CELLS)
    assert matrix.values.sum() == len(y)
    assert matrix.rows[-1] == f"({50 - CELLS + 1} others)"
    assert np.trace(matrix.values) == len(y)


def test_thinning_keeps_ends_and_steep_parts() -> None:
    x = np.linspace(0, 1, 10_000)
    y = (x > 0.5).astype(float)
    tx, ty = thin(x, y)
    assert len(tx) <= 205
    assert (tx[0], tx[-1], ty[0], ty[-1]) == (0, 1, 0, 1)
    step = int(np.flatnonzero(np.diff(ty))[0])
    assert tx[step + 1] - tx[step] < 0.02
