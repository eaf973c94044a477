"""security/anomaly: labels, loss, thresholds, decoding."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jenga_core.contracts import Batch, Features, HeadContext, View
from jenga_core.errors import DataError
from jenga_security.alerts import AlertRule
from jenga_security.config import AnomalyConfig
from jenga_security.tasks import AnomalyTask
from jenga_security.thresholds import best_f1, conformal


def frame(*labels):
    return pd.DataFrame({"label": list(labels)})


def fitted(*labels, **options):
    task = AnomalyTask(AnomalyConfig(target="label", **options))
    task.fit(frame(*labels))
    return task


def y_of(task, *labels):
    return np.asarray(task.encode(frame(*labels), {}).columns["y"]).tolist()


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    "labels",
    [(0, 1, 1), (0.0, 1.0, 1.0), ("0", "1", "1"), (False, True, True), ("no", "YES", "yes"), ("normal", "attack", "attack"),
     ("Benign", "dos", "scan")],
)  # fmt: skip
def test_labels_that_need_no_normal(labels):
    task = fitted(*labels)
    assert y_of(task, *labels) == [0, 1, 1]


@pytest.mark.parametrize(
    "labels", [("a", "b"), (0, 1, 2), (1, 2), ("normal", "benign", "x"), ("0", "yes"), (0, "attack")]
)
def test_labels_that_leave_it_open_ask_for_normal(labels):
    with pytest.raises(DataError, match=r"not plain which label.*\n.*normal: \[\.\.\.\]"):
        fitted(*labels)


def test_normal_may_be_several_labels_and_every_other_is_an_attack():
    task = fitted("web", "mail", "dos", normal=["web", "mail"])
    assert y_of(task, "mail", "dos", "never seen", "WEB") == [0, 1, 1, 0]


def test_normal_may_be_a_number_whatever_type_the_file_gave():
    assert y_of(fitted(3, 4, 5, normal=3), 3.0, "3", 4) == [0, 0, 1]


def test_normal_that_is_not_among_the_labels_names_the_nearest():
    with pytest.raises(DataError, match="did you mean: normal"):
        fitted("normal", "dos", normal="norml")


def test_missing_labels_are_left_out_and_counted():
    task = fitted("normal", None, "dos", "")
    encoded = task.encode(frame("normal", None, "dos", " "), {})
    assert encoded.present.tolist() == [True, False, True, False]
    assert encoded.excluded == {"no label": 2}


def test_a_label_outside_zero_and_one_names_its_row():
    with pytest.raises(DataError, match=r"row 2, column 'label': label '2' is neither"):
        fitted(0, 1).encode(frame(0, 2), {})


@pytest.mark.parametrize(
    ("labels", "options", "what"),
    [((0, 0), {}, "no attack"), ((1, 1), {}, "no normal row"), (("benign",), {}, "no attack"), ((None, None), {}, "no label"),
     (("a", "a"), {"normal": "a"}, "no attack")],
)  # fmt: skip
def test_one_class_only_is_an_error(labels, options, what):
    with pytest.raises(DataError, match=what):
        fitted(*labels, **options)


# ------------------------------------------------------------------ loss


def head_and_view(rows=4):
    torch.manual_seed(0)
    features = Features.of_pooled(torch.randn(rows, 8))
    return features, View(features, {"x": features})


def test_the_loss_is_a_sum_and_the_count_its_weight():
    task = fitted("normal", "normal", "normal", "dos", positive_weight="balanced")
    assert task.weight == 3.0
    target, count = task.collate(task.encode(frame("normal", "dos"), {}), np.array([0, 1]), {})
    assert count == 4.0
    output = {"logit": torch.tensor([0.0, 0.0])}
    assert float(task.loss(output, target)) == pytest.approx(4 * np.log(2))


def test_sums_over_parts_are_the_sum_over_all():
    task = fitted("normal", "dos", positive_weight=2.5)
    _, view = head_and_view()
    head = task.head(HeadContext(8, {"x": 8}, {}, {}))
    target = {"y": torch.tensor([0, 1, 1, 0])}
    whole = task.loss(head(view, target), target)
    rows = [torch.tensor([0, 1]), torch.tensor([2, 3])]
    parts = sum(task.loss(head(view.take(r), None), {"y": target["y"][r]}) for r in rows)
    torch.testing.assert_close(whole, parts)


class Model:
    """As much of a model as `Task.predict` asks for."""

    def __init__(self, logits):
        self.logits, self.heads = logits, {"threat": lambda view, target: {"logit": self.logits}}

    def view(self, batch, fuse):
        return None


@pytest.mark.parametrize("weight", [1.0, 5.0])
def test_scores_are_corrected_for_the_weight(weight):
    task = fitted("normal", "dos", positive_weight=weight)
    found = task.predict(Model(torch.logit(torch.tensor([0.5, 0.9]))), Batch("t", np.arange(2), {}, {}), "threat")
    odds = found["score"] / (1 - found["score"])
    torch.testing.assert_close(odds, torch.tensor([1.0, 9.0]) / weight)
    assert found["score"].dtype == torch.float32
    assert found["flag"].tolist() == (found["score"] >= 0.5).tolist()


# ------------------------------------------------------------------ thresholds


def test_conformal_needs_enough_normal_rows():
    with pytest.raises(DataError, match=r"target_fpr 0.01 needs at least 99 normal validation rows, there are 98"):
        conformal(np.linspace(0, 1, 98, dtype=np.float32), 0.01)
    scores = np.linspace(0, 1, 99, dtype=np.float32)
    assert (scores >= conformal(scores, 0.01)).sum() == 0


@settings(max_examples=60)
@given(st.integers(20, 400), st.sampled_from([0.05, 0.1, 0.2, 0.5]), st.integers(0, 9), st.sampled_from([1, 2]))
def test_conformal_is_at_most_the_rate_on_its_own_rows(rows, rate, seed, digits):
    scores = np.random.default_rng(seed).random(rows).round(digits).astype(np.float32)  # with ties
    assert (scores >= conformal(scores, rate)).mean() <= rate


def test_conformal_holds_the_rate_over_draws():
    rng = np.random.default_rng(0)
    realised = []
    for _ in range(300):
        scores = rng.random(1200).astype(np.float32)
        realised.append((scores[199:] >= conformal(scores[:199], 0.05)).mean())
    assert np.mean(realised) == pytest.approx(0.05, abs=0.003)


def test_best_f1():
    scores, y = np.array([0.1, 0.2, 0.3, 0.9], dtype=np.float32), np.array([0, 1, 0, 1])
    threshold = best_f1(scores, y)
    assert (scores >= threshold).tolist() == [False, True, True, True]
    with pytest.raises(DataError, match="one class only"):
        best_f1(scores, np.zeros(4))


def test_a_row_stays_on_its_side_of_best_f1_when_its_score_changes_in_the_last_digit():
    scores = np.random.default_rng(0).random(200).astype(np.float32)
    y = np.arange(200) % 3 == 0
    threshold = best_f1(scores, y)
    for way in (0, 1):
        assert ((np.nextafter(scores, np.float32(way)) >= threshold) == (scores >= threshold)).all()
    assert AlertRule.of("best_f1").calibrated(scores, y).threshold == threshold
    neighbours = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1))], dtype=np.float32)
    assert best_f1(neighbours, np.array([0, 1])) == neighbours[1]  # nothing lies between


def test_the_threshold_is_set_on_validation_rows_and_kept():
    task = fitted("normal", "dos", threshold={"target_fpr": 0.1})
    assert task.alerts.threshold == 0.5
    scores = np.linspace(0, 1, 100, dtype=np.float32)
    task.calibrate({"score": scores, "flag": scores > 2}, {"y": np.array([0] * 90 + [1] * 10)})
    assert 0.8 < task.alerts.threshold < 0.85
    other = AnomalyTask(task.config)
    other.restore(json.loads(json.dumps(task.state())))
    assert other.state() == task.state()


def test_a_fixed_threshold_stays():
    task = fitted("normal", "dos", threshold=0.7)
    task.calibrate({"score": np.zeros(4, np.float32)}, {"y": np.zeros(4)})
    assert task.alerts.threshold == 0.7
    assert AnomalyTask(AnomalyConfig(target="label", threshold=1)).alerts.threshold == 1.0


@pytest.mark.parametrize("threshold", [-0.1, 1.1, {"target_fpr": 0}, {"target_fpr": 0.1, "x": 1}, "best"])
def test_wrong_thresholds(threshold):
    with pytest.raises(ValidationError):
        AnomalyConfig(target="label", threshold=threshold)


# ------------------------------------------------------------------ decoding, metrics, baselines


@pytest.mark.parametrize("labels", [(0, 1), (False, True), ("no", "yes"), ("Benign", "dos"), ("normal", "dos", "scan")])
def test_decoding_a_perfect_prediction_gives_labels_that_encode_to_the_same(labels):
    task = fitted(*labels)
    y = np.array([0, 1, 0])
    decoded = task.decode({"score": y.astype(np.float32), "flag": y == 1}, np.arange(3), {})
    assert list(decoded.columns) == ["label", "score", "threshold"]
    assert y_of(task, *decoded["label"]) == y.tolist()
    assert decoded["label"][0] == labels[0]


def test_a_perfect_prediction_has_the_best_metrics():
    task = fitted("normal", "dos")
    y = np.array([0, 1, 0, 1])
    found = task.metrics().compute({"score": y.astype(np.float32), "flag": y == 1}, {"y": y})
    assert found["average_precision"] == found["roc_auc"] == found["f1"] == found["accuracy"] == 1.0
    assert found["false_positive_rate"] == 0.0


def test_the_realised_false_positive_rate_is_that_of_the_flags():
    task = fitted("normal", "dos")
    found = task.metrics().compute(
        {"score": np.array([0.9, 0.2, 0.1, 0.8]), "flag": np.array([True, False, False, True])},
        {"y": np.array([0, 0, 0, 1])},
    )
    assert found["false_positive_rate"] == pytest.approx(1 / 3)


def test_a_trivial_and_a_classical_baseline_run():
    task, rng = fitted("normal", "dos"), np.random.default_rng(0)
    from jenga_core.contracts import Classical

    x = rng.normal(size=(200, 2))
    y = (x[:, 0] > 0).astype(np.int64)
    for baseline in task.baselines(0):
        baseline.fit(Classical(x), {"y": y})
        found = task.metrics().compute(baseline.predict(Classical(x), 200), {"y": y})
        supervised = not baseline.trivial and baseline.name != "isolation forest"
        assert not supervised or found["average_precision"] > 0.95
