"""Classification and regression: label maps, targets, losses, decoding, baselines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight

import jenga_core
import toys
from jenga_core.builtin.baselines import Inputs, binary_baselines, classification_baselines, regression_baselines
from jenga_core.builtin.labels import NO_LABEL, UNKNOWN, LabelMap
from jenga_core.builtin.metrics import RegressionMetrics
from jenga_core.builtin.task_config import ClassificationConfig, RegressionConfig
from jenga_core.builtin.tasks import ClassificationTask, RegressionTask
from jenga_core.contracts import Batch, Classical, Features, HeadContext, View
from jenga_core.errors import DataError


def frame(*labels: Any, column: str = "label") -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(list(labels))})


def classification(cells: pd.DataFrame, **options: Any) -> ClassificationTask:
    task = ClassificationTask(ClassificationConfig(target="label", **options))
    task.fit(cells)
    return task


def regression(cells: pd.DataFrame, **options: Any) -> RegressionTask:
    task = RegressionTask(RegressionConfig(target="value", **options))
    task.fit(cells)
    return task


class OneHead:
    """What `Task.predict` needs of a model: heads by name and a view of the batch."""

    def __init__(self, head: torch.nn.Module, pooled: torch.Tensor) -> None:
        self.heads, self.pooled = {"task": head}, pooled

    def view(self, batch: Batch, fuse: bool) -> View:
        return view_of(self.pooled)


def view_of(pooled: torch.Tensor) -> View:
    return View(None, {"x": Features.of_pooled(pooled)})


def context(dim: int) -> HeadContext:
    return HeadContext(dim, {"x": dim}, {}, {})


def empty_batch(rows: int) -> Batch:
    return Batch("t", np.arange(rows), {}, {})


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("labels", "names", "form"),
    [
        (["b", "a", "b"], ("a", "b"), "text"),
        ([1, 0, 1], ("0", "1"), "integer"),
        ([10, 9, 2], ("2", "9", "10"), "integer"),
        ([True, False, True], ("False", "True"), "boolean"),
        ([1.0, 0.0, None], ("0", "1"), "integer"),
        (["10", "9", "x"], ("10", "9", "x"), "text"),
        (["1", "0"], ("0", "1"), "text"),
        ([0.5, 1.5], ("0.5", "1.5"), "text"),
        ([1, "1", "2"], ("1", "2"), "text"),
        ([True, "True", "no"], ("True", "no"), "text"),
        ([-1, 1], ("-1", "1"), "integer"),
    ],
)
def test_label_map(labels: list[Any], names: tuple[str, ...], form: str) -> None:
    found = LabelMap.fit(frame(*labels)["label"], "label")
    assert found.names == names
    assert found.form == form
    assert LabelMap.of_state(json.loads(json.dumps(found.state()))) == found


def test_the_map_is_that_of_all_training_rows_and_integers_are_numbered_anew() -> None:
    """Trap 6 of the original: the map was that of the first thousand rows, and labels from 1 to 3 were taken as they were."""
    found = ClassificationTask(ClassificationConfig(target="label"))
    cells = pd.DataFrame({"label": [1] * 1500 + [2, 3]})
    found.fit(cells)
    assert found.map.names == ("1", "2", "3")
    assert np.asarray(found.encode(cells, {}).columns["y"])[-3:].tolist() == [0, 1, 2]
    assert len(found.map) == 3


def test_a_gap_in_an_integer_column_changes_no_label() -> None:
    whole, gapped = frame(0, 1, 1)["label"], frame(0, 1, None)["label"]
    assert gapped.dtype == float
    found = LabelMap.fit(whole, "label")
    assert found.codes(gapped, "label").tolist() == [0, 1, NO_LABEL]


def test_codes_tell_no_label_from_unknown_label() -> None:
    found = LabelMap.fit(frame("a", "b")["label"], "label")
    cells = pd.Series(["b", None, "c", float("nan"), "", "  ", pd.NA, "a"], dtype=object)
    none, unknown = NO_LABEL, UNKNOWN
    assert found.codes(cells, "label").tolist() == [1, none, unknown, none, none, none, none, 0]


@pytest.mark.parametrize("dtype", ["category", "string", "Int64", "boolean"])
def test_nullable_types(dtype: str) -> None:
    values: list[Any] = {"Int64": [1, 2, None], "boolean": [True, False, None]}.get(dtype, ["a", "b", None])
    cells = pd.Series(values, dtype=dtype)
    found = LabelMap.fit(cells, "label")
    codes = found.codes(cells, "label")
    assert sorted(codes[:2].tolist()) == [0, 1]
    assert codes[2] == NO_LABEL
    assert found.labels(codes[:2]).tolist() == values[:2]


LABELS = st.one_of(
    st.lists(st.integers(-(2**40), 2**40), min_size=2),
    st.lists(st.booleans(), min_size=2),
    st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), min_size=2),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2),
    st.lists(st.one_of(st.integers(0, 3), st.booleans(), st.sampled_from(["a", "1", "True"])), min_size=2),
)


@given(labels=LABELS, order=st.randoms())
def test_decoding_inverts_encoding_for_labels_of_every_kind(labels: list[Any], order: Any) -> None:
    cells = pd.Series(labels, dtype=object)
    try:
        found = LabelMap.fit(cells, "label")
    except DataError:
        assert len(set(map(str, labels))) < 2 or len(set(map(str, labels))) > 20 or len({float(x) for x in labels}) < 2
        return
    codes = found.codes(cells, "label")
    assert (codes >= 0).all()
    again = found.codes(pd.Series(found.labels(codes), dtype=object), "label")
    assert again.tolist() == codes.tolist()
    shuffled = list(labels)
    order.shuffle(shuffled)
    assert LabelMap.fit(pd.Series(shuffled, dtype=object), "label").names == found.names


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["a", "a"], "every label is 'a' in the 2 training rows"),
        ([None, None], "there is no label"),
        ([1.0, float("inf"), 0.0], "row 2, column 'label': the label is infinite"),
        ([["a"], "b"], "row 1, column 'label': the label is a list"),
        ([f"id{i}" for i in range(30)], "30 different labels in 30 training rows are not classes"),
    ],
)
def test_labels_that_cannot_be_used(labels: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        classification(pd.DataFrame({"label": labels}))


def test_fixed_classes_keep_their_order_and_refuse_others_in_training() -> None:
    """Trap 6 of the original: maps of labels came from the first rows, whatever the user had said."""
    assert classification(frame("low", "high"), classes=["low", "middle", "high"]).map.names == (
        "low",
        "middle",
        "high",
    )
    with pytest.raises(DataError, match="row 2, column 'label': label 'hihg' is not one of `classes`") as caught:
        classification(frame("low", "hihg"), classes=["low", "high"])
    assert caught.value.nearest == "high"


@pytest.mark.parametrize(
    "wrong", [{"classes": ["a"]}, {"classes": ["a", "a"]}, {"classes": ["a", "b"], "positive": "c"}, {"dropout": 1.0}]
)
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClassificationConfig(target="label", **wrong)


def test_delta_without_huber_is_refused() -> None:
    with pytest.raises(ValidationError, match="no effect"):
        RegressionConfig(target="value", loss="mse", delta=2.0)


# ------------------------------------------------------------------ classification


def test_blanks_around_labels() -> None:
    """They are no part of a label: three classes, as security/anomaly would see them."""
    cells = pd.Series(["DoS", "Fuzzers", " Fuzzers", " Fuzzers ", "Normal", " Normal", "\tDoS"])
    labels = LabelMap.fit(cells, "attack_cat")
    assert labels.names == ("DoS", "Fuzzers", "Normal")
    assert labels.codes(cells, "attack_cat").tolist() == [0, 1, 1, 1, 2, 2, 0]


def test_rows_without_a_usable_label_are_counted() -> None:
    """Trap 6 of the original: labels outside the map were left out without a word."""
    task = classification(frame("a", "b"))
    encoded = task.encode(frame("a", None, "c", "b", None), {})
    assert encoded.present.tolist() == [True, False, False, True, False]
    assert encoded.excluded == {"no label": 2, "unknown label": 1}
    assert task.encode(frame("a", "b"), {}).excluded == {}


def test_a_row_without_a_label_can_never_be_a_loss_of_zero() -> None:
    task = classification(frame("a", "b"))
    target, _ = task.collate(task.encode(frame(None, "a"), {}), np.array([0]), {})
    with pytest.raises((IndexError, RuntimeError)):
        task.loss({"logits": torch.zeros(1, 2)}, target)
    number = regression(frame(1.0, 2.0, column="value"))
    missing, _ = number.collate(number.encode(frame(None, 1.0, column="value"), {}), np.array([0]), {})
    assert torch.isnan(number.loss({"value": torch.zeros(1, 1)}, missing))


@pytest.mark.parametrize("weight", ["none", "balanced"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_sum_over_the_count_is_the_mean_of_torch(weight: str, smoothing: float) -> None:
    cells = frame(*"aaaaabbbc")
    task = classification(cells, class_weight=weight, label_smoothing=smoothing)
    target, count = task.collate(task.encode(cells, {}), np.arange(9), {})
    logits = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    weights = None
    if weight == "balanced":
        y = target["y"].numpy()
        weights = torch.tensor(compute_class_weight("balanced", classes=np.arange(3), y=y), dtype=torch.float32)
    mean = torch.nn.functional.cross_entropy(logits, target["y"], weight=weights, label_smoothing=smoothing)
    assert float(task.loss({"logits": logits}, target)) / count == pytest.approx(float(mean), rel=1e-5)


@pytest.mark.parametrize("weight", ["none", "balanced"])
def test_a_batch_in_two_parts_has_the_same_loss(weight: str) -> None:
    cells = frame(*"aaaaabbbc")
    task = classification(cells, class_weight=weight)
    encoded = task.encode(cells, {})
    logits = torch.randn(9, 3, generator=torch.Generator().manual_seed(1))
    whole = [task.collate(encoded, np.arange(9), {})]
    halves = [task.collate(encoded, rows, {}) for rows in (np.arange(4), np.arange(4, 9))]
    sums = [float(task.loss({"logits": part}, t)) for part, (t, _) in zip(logits.split([4, 5]), halves, strict=True)]
    assert sum(sums) == pytest.approx(float(task.loss({"logits": logits}, whole[0][0])), rel=1e-6)
    assert sum(c for _, c in halves) == pytest.approx(whole[0][1])


def test_head_predict_and_decode() -> None:
    task = classification(frame("a", "b", "c"))
    head = task.head(context(3))
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(3) * 20)
        head.linear.bias.zero_()
    encoded = task.encode(frame("c", "a", "b"), {})
    pooled = torch.nn.functional.one_hot(torch.tensor(encoded.columns["y"]), 3).float()
    output = task.predict(OneHead(head, pooled), empty_batch(3), "task")
    assert output["probability"].dtype == torch.float32
    assert output["probability"].sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    decoded = task.decode({k: v.detach().numpy() for k, v in output.items()}, np.arange(3), {})
    assert decoded["label"].tolist() == ["c", "a", "b"]
    assert list(decoded.columns) == ["label", "score", "p(a)", "p(b)", "p(c)"]
    assert (decoded["score"] == decoded[["p(a)", "p(b)", "p(c)"]].max(axis=1)).all()


def test_labels_come_back_as_they_were() -> None:
    perfect = {"probability": np.array([[0.1, 0.9], [0.8, 0.2]])}
    for labels, expected in (([0, 1], [1, 0]), ([False, True], [True, False]), (["n", "y"], ["y", "n"])):
        assert classification(frame(*labels)).decode(perfect, np.arange(2), {})["label"].tolist() == expected


def test_state_round_trip() -> None:
    task = classification(frame(0, 1, 1, 1), class_weight="balanced", positive=0)
    assert task.positive == 0
    other = ClassificationTask(task.config)
    other.restore(json.loads(json.dumps(task.state())))
    assert (other.map, other.class_weight, other.positive) == (task.map, task.class_weight, task.positive)


def test_positive_must_be_one_of_two_classes() -> None:
    with pytest.raises(DataError, match="not one of two classes"):
        classification(frame("a", "b", "c"), positive="a")
    with pytest.raises(DataError, match="not one of two classes"):
        classification(frame("a", "b"), positive="z")


def test_dropout_option_changes_the_head() -> None:
    head = classification(frame("a", "b"), dropout=0.5).head(context(64)).train()
    view = view_of(torch.ones(4, 64))
    assert not torch.equal(head(view)["logits"], head(view)["logits"])
    head.eval()
    assert torch.equal(head(view)["logits"], head(view)["logits"])


# ------------------------------------------------------------------ regression


def test_regression_learns_in_deviations_and_answers_in_its_own_unit() -> None:
    cells = frame(100.0, 200.0, 300.0, column="value")
    task = regression(cells)
    target, count = task.collate(task.encode(cells, {}), np.arange(3), {})
    assert count == 3
    assert float(target["y"].mean()) == pytest.approx(0, abs=1e-6)
    assert float(target["y"].std(correction=0)) == pytest.approx(1)
    head = task.head(context(1))
    with torch.no_grad():
        head.linear.weight.fill_(1.0)
        head.linear.bias.zero_()
    output = task.predict(OneHead(head, target["y"][:, None]), empty_batch(3), "task")
    decoded = task.decode({k: v.detach().numpy() for k, v in output.items()}, np.arange(3), {})
    assert decoded["value"].tolist() == pytest.approx([100, 200, 300])
    restored = RegressionTask(task.config)
    restored.restore(json.loads(json.dumps(task.state())))
    assert restored.state() == task.state()


@pytest.mark.parametrize("level", [0.0, -1e9, 1e9, 1e12])
def test_regression_keeps_its_precision_at_any_level(tmp_path: Path, level: float) -> None:
    """float32 has 24 bits: at 1e9 its steps are 64, at 1e12 65,536, and all of x in y = level + x would be lost."""
    rows = toys.numbers_frame(400)
    rows["amount"] = level + rows["a"] * 2 - rows["b"]
    options = toys.numbers_config(epochs=20)
    options |= {"tasks": {"amount": {"kind": "core/regression", "target": "amount"}}, "backbones": {"net": "toy/dense"}}
    run = jenga_core.train(
        options, data=rows, output=tmp_path / "run", registry=toys.registry(), quiet=True, report=False
    )
    scores = run.judgements[0].scores
    assert scores["r2"].value > 0.95
    assert scores["pearson"].value > 0.97
    found = jenga_core.load(run.folder, registry=toys.registry()).predict(rows)["amount.value"]
    assert found.dtype == np.float64
    assert np.abs(found - rows["amount"]).median() < 0.5


@pytest.mark.parametrize("level", [0.0, 1e9, 1e12])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_baselines_keep_their_precision_at_any_level(level: float, form: str) -> None:
    x = np.random.default_rng(0).normal(size=(400, 3))
    y = level + x[:, 0] * 2 - x[:, 1]
    features = Classical(sparse.csr_matrix(x) if form == "sparse" else x, kind="x" if form == "sparse" else "")
    strong = regression_baselines(0)[1]
    strong.fit(features, {"y": y})
    scores = RegressionMetrics("y").compute(strong.predict(features, 400), {"y": y})
    assert scores["r2"] > 0.95
    assert scores["pearson"] > 0.97


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_regression_losses_are_sums(loss: str) -> None:
    task = regression(frame(0.0, 1.0, column="value"), loss=loss)
    value, y = torch.tensor([[0.0], [3.0]]), torch.tensor([0.5, 0.0])
    expected = {"mse": 0.25 + 9, "mae": 0.5 + 3, "huber": 0.125 + 2.5}[loss]
    assert float(task.loss({"value": value}, {"y": y})) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["1", "x", "3", "y"], r"row 2, column '\w+': 'x' is not a number \(2 rows are so\)"),
        ([1.0, float("inf"), 2.0], r"row 2, column '\w+': the target is infinite"),
        ([5, 5, 5], "5 in every one"),
        ([None, None], "empty in all"),
        ([True, 2, 3], r"row 1, column '\w+': True is not a number"),
    ],
)
def test_targets_that_cannot_be_used(values: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        regression(pd.DataFrame({"value": pd.Series(values, dtype=object)}))


def test_missing_targets_are_counted() -> None:
    task = regression(frame(1.0, 2.0, column="value"))
    encoded = task.encode(pd.DataFrame({"value": pd.Series([1, None, " ", "2.5"], dtype=object)}), {})
    assert encoded.excluded == {"no label": 2}
    assert encoded.present.tolist() == [True, False, False, True]
    assert encoded.columns["y"][3] == 2.5


# ------------------------------------------------------------------ baselines


def features(rows: int = 400) -> tuple[Classical, np.ndarray]:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=rows), rng.integers(0, 300, rows)])
    y = (matrix[:, 0] + (matrix[:, 1] % 2) > 0.5).astype(np.int64)
    matrix[::17, 0] = np.nan
    matrix[5, 0] = np.inf
    return Classical(matrix, categorical=(1,)), y


def test_the_trivial_baseline_needs_no_features() -> None:
    trivial = classification_baselines(3, seed=0)[0]
    assert trivial.trivial
    trivial.fit(None, {"y": np.array([0, 0, 0, 2])})
    assert np.allclose(trivial.predict(None, 2)["probability"], [[0.75, 0, 0.25]] * 2)
    mean = regression_baselines(0)[0]
    mean.fit(None, {"y": np.array([1.0, 3.0])})
    assert mean.predict(None, 2)["value"].tolist() == [2, 2]


def test_boosting_learns_with_missing_cells_and_many_categories() -> None:
    given_, y = features()
    strong = classification_baselines(3, seed=0)[1]  # class 2 has no training row
    strong.fit(given_, {"y": y})
    output = strong.predict(given_, len(y))["probability"]
    assert strong.name == "gradient boosting"
    assert output.shape == (len(y), 3)
    assert (output[:, 2] == 0).all()
    assert (output.argmax(axis=1) == y).mean() > 0.85


def test_unseen_and_rare_categories_share_a_place() -> None:
    inputs = Inputs()
    many = np.repeat(np.arange(300.0), [3] * 10 + [1] * 290)[:, None]
    fitted = inputs.fit(Classical(many, (0,)))
    assert fitted.max() == 254
    assert inputs.take(Classical(np.array([[0.0], [999.0], [np.nan]]), (0,)))[:2, 0].tolist() == [0, 254]
    few = Inputs()
    few.fit(Classical(np.array([[1.0], [2.0]]), (0,)))
    assert np.isnan(few.take(Classical(np.array([[7.0]]), (0,)))[0, 0])


@pytest.mark.parametrize(("build", "name"), [("c", "logistic regression"), ("r", "ridge regression")])
def test_sparse_features_get_a_linear_model(build: str, name: str) -> None:
    y = np.array([0, 1] * 20)
    matrix = Classical(sparse.csr_matrix(np.column_stack([y, 1 - y]).astype(float)))
    strong = (classification_baselines(2, 0) if build == "c" else regression_baselines(0))[1]
    strong.fit(matrix, {"y": y})
    output: Mapping[str, Any] = strong.predict(matrix, 40)
    found = output["probability"][:, 1] if build == "c" else output["value"]
    assert strong.name == name
    assert ((found > 0.5) == y).all()


def test_validation_rows_choose_how_strongly_ridge_regression_is_held_back() -> None:
    """Two hundred features of noise beside one that tells: too weak a penalty learns the noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 201))
    y = x[:, 0] + 2 * rng.normal(size=240)
    parts = {"train": slice(0, 80), "held": slice(80, 160), "test": slice(160, 240)}
    given_ = {name: Classical(sparse.csr_matrix(x[part]), kind="noise") for name, part in parts.items()}
    ridge = regression_baselines(0)[1]
    ridge.fit(given_["train"], {"y": y[parts["train"]]})
    assert ridge.name == "ridge regression on noise"
    errors = []
    for _ in range(2):
        errors.append(float(np.mean((ridge.predict(given_["test"], 80)["value"] - y[parts["test"]]) ** 2)))
        ridge.calibrate(ridge.predict(given_["held"], 80), {"y": y[parts["held"]]})
    assert errors[1] < errors[0]


def test_binary_baselines_speak_in_scores_and_flags() -> None:
    given_, y = features()
    for baseline in binary_baselines(seed=0, threshold=0.5):
        baseline.fit(given_, {"y": y.astype(np.float32)})
        output = baseline.predict(given_, len(y))
        assert set(output) == {"score", "flag"}
        assert ((output["score"] >= 0.5) == output["flag"]).all()
