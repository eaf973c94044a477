"""Several labels per row: what cells mean, unknown labels, thresholds, metrics against scikit-learn's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import sparse
from sklearn import metrics as sk

import jenga_core
import toys
from jenga_core.builtin.config import MultiLabelConfig
from jenga_core.builtin.multi_label import MultiLabelTask
from jenga_core.builtin.multi_label_judging import MultiLabelMetrics, best_threshold
from jenga_core.contracts import Classical
from jenga_core.errors import DataError


def task(cells: pd.DataFrame, **options: Any) -> MultiLabelTask:
    made = MultiLabelTask(MultiLabelConfig(**options))
    made.fit(cells)
    return made


def test_columns_of_zero_and_one_with_gaps() -> None:
    cells = pd.DataFrame({"joy": [1, 0, None, None], "fear": ["yes", "no", "True", None]})
    made = task(cells, targets=["joy", "fear"])
    found = made.encode(cells, {})
    assert found.present.tolist() == [True, True, True, False]
    assert found.columns["y"].tolist() == [[1, 1], [0, 0], [0, 1], [0, 0]]
    assert found.columns["known"].tolist() == [[True, True], [True, True], [False, True], [False, False]]
    assert found.excluded == {"no label": 1}
    assert made.collate(found, np.arange(3), {})[1] == 5


@pytest.mark.parametrize("cell", [2, "maybe", 0.5])
def test_a_cell_that_is_neither_zero_nor_one_is_named(cell: Any) -> None:
    cells = pd.DataFrame({"joy": [1, cell]}, dtype=object)
    with pytest.raises(DataError, match=r"row 2, column 'joy'.*neither 0 nor 1"):
        task(cells, targets=["joy"])


@pytest.mark.parametrize("first", ["joy, fear", ["fear", "joy"], ("joy", "fear")])
def test_a_column_of_names(first: Any) -> None:
    cells = pd.DataFrame({"emotions": [first, "anger", None, []]}, dtype=object)
    made = task(cells, target="emotions")
    assert made.names == ["anger", "fear", "joy"]
    found = made.encode(cells, {})
    assert found.columns["y"].tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert found.present.tolist() == [True, True, False, True]  # an empty list says that none applies


def test_a_name_that_training_rows_lack_leaves_the_row_out_and_counts_it() -> None:
    made = task(pd.DataFrame({"emotions": ["joy", "fear"]}), target="emotions")
    found = made.encode(pd.DataFrame({"emotions": ["joy", "joy,envy"]}), {})
    assert found.present.tolist() == [True, False]
    assert found.excluded == {"unknown label": 1}


@pytest.mark.parametrize(
    "options", [{}, {"targets": ["a"], "target": "b"}, {"targets": ["a", "a"]}, {"targets": ["a"], "classes": ["b"]}]
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MultiLabelConfig(**options)


def test_a_list_as_target_names_the_option_that_was_meant() -> None:
    with pytest.raises(ValidationError, match="did you mean: targets"):
        MultiLabelConfig(target=["a", "b"])  # type: ignore[arg-type]


def test_an_unknown_label_has_no_part_in_the_loss() -> None:
    import torch

    made = task(pd.DataFrame({"a": [1, 0], "b": [0, 1]}), targets=["a", "b"])
    logits = torch.tensor([[0.3, -1.0]], requires_grad=True)
    target = {"y": torch.tensor([[1.0, 0.0]]), "known": torch.tensor([[True, False]])}
    made.loss({"logits": logits}, target).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0].item() == pytest.approx(1 / (1 + math.exp(-0.3)) - 1)


# ------------------------------------------------------------------ thresholds and metrics


def test_probabilities_are_cut_and_not_logits() -> None:
    """Trap 4 of the original: a logit was compared with 0.5, which is a probability of 0.62."""
    import torch

    class Model:
        heads: ClassVar = {"tags": lambda view, target: {"logits": torch.tensor([[0.3], [-0.3], [0.6]])}}

        def view(self, batch: Any, fuse: bool) -> None:
            return None

    made = task(pd.DataFrame({"a": [1, 0]}), targets=["a"], threshold=0.5)
    found = made.predict(Model(), None, "tags")  # type: ignore[arg-type]
    assert found["flag"][:, 0].tolist() == [1, 0, 1]
    assert found["probability"][0, 0].item() == pytest.approx(1 / (1 + math.exp(-0.3)))


def test_of_a_single_label_only_the_yes_answers_are_averaged() -> None:
    """Trap 4 of the original: of one column, averages over yes and no made accuracy, precision, recall and F1 one number."""
    y, flag = np.array([[1], [1], [0], [0], [0]]), np.array([[1], [0], [1], [1], [0]])
    output, target = {"probability": flag * 0.8, "flag": flag}, {"y": y, "known": np.ones((5, 1), dtype=bool)}
    found = MultiLabelMetrics("a").compute(output, target)
    assert found["precision_micro"] == pytest.approx(1 / 3)
    assert found["recall_micro"] == pytest.approx(1 / 2)
    assert found["f1_micro"] == pytest.approx(2 / 5)
    assert found["exact_match"] == pytest.approx(2 / 5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40))
def test_no_threshold_has_a_better_f1_than_the_best_one(pairs: list[tuple[int, bool]]) -> None:
    score, y = np.array([s / 12 for s, _ in pairs]), np.array([t for _, t in pairs])
    if not y.any():
        assert best_threshold(score, y) == 0.5
        return
    best = sk.f1_score(y, score >= best_threshold(score, y))
    assert best == pytest.approx(max(sk.f1_score(y, score >= at) for at in np.unique(score)))


def test_metrics_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (80, 3)), rng.random((80, 3)).round(2)
    flag, known = (p >= 0.4).astype(int), np.ones((80, 3), dtype=bool)
    found = MultiLabelMetrics("abc").compute({"probability": p, "flag": flag}, {"y": y, "known": known})
    assert found == pytest.approx(
        {
            "f1_macro": sk.f1_score(y, flag, average="macro"),
            "f1_micro": sk.f1_score(y, flag, average="micro"),
            "precision_micro": sk.precision_score(y, flag, average="micro"),
            "recall_micro": sk.recall_score(y, flag, average="micro"),
            "exact_match": sk.accuracy_score(y, flag),
            "average_precision": sk.average_precision_score(y, p, average="macro"),
            "roc_auc": sk.roc_auc_score(y, p, average="macro"),
        }
    )


def test_what_is_unknown_changes_no_metric() -> None:
    rng = np.random.default_rng(1)
    y, p, known = rng.integers(0, 2, (60, 2)), rng.random((60, 2)), rng.random((60, 2)) > 0.3
    output = {"probability": p, "flag": (p > 0.5).astype(int)}
    other = np.where(known, y, 1 - y)
    one, two = (MultiLabelMetrics("ab").compute(output, {"y": t, "known": known}) for t in (y, other))
    assert one == two


def test_baselines_learn_each_label_and_leave_a_constant_one_to_the_majority() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(120, 2))
    y = np.column_stack([x[:, 0] > 0, x[:, 1] > 0.5, np.zeros(120)]).astype(np.float32)
    target = {"y": y, "known": np.ones((120, 3), dtype=bool)}
    made = task(pd.DataFrame(y, columns=["a", "b", "c"]), targets=["a", "b", "c"])
    trivial, classical = made.baselines(0)
    for baseline in (trivial, classical):
        baseline.fit(Classical(sparse.csr_matrix(x)), target)
        baseline.calibrate(baseline.predict(Classical(sparse.csr_matrix(x)), 120), target)
    found = classical.predict(Classical(sparse.csr_matrix(x)), 120)
    assert (trivial.name, classical.name) == ("majority", "logistic regression")
    assert found["flag"].sum(axis=0).tolist() == pytest.approx(y.sum(axis=0).tolist(), abs=6)
    assert not found["flag"][:, 2].any()


# ------------------------------------------------------------------ a whole run


def test_a_run_tunes_thresholds_on_validation_rows_and_keeps_them(tmp_path: Path) -> None:
    frame = toys.numbers_frame(300)
    frame = frame.assign(one=(frame.a > 0.8).astype(int), two=(frame.b < 0.3).astype(int)).drop(columns="label")
    config = toys.numbers_config(epochs=6, baselines=True)
    config["tasks"] = {"tags": {"kind": "core/multi-label", "targets": ["one", "two"]}}
    run = jenga_core.train(config, data=frame, output=tmp_path / "run", registry=toys.registry(), quiet=True)
    thresholds = run.data.parts.tasks["tags"].state()["thresholds"]
    assert len(set(thresholds)) == 2
    assert 0.5 not in thresholds
    judged = run.judgements[0]
    assert judged.scores["f1_macro"].value > judged.baselines["majority"]["f1_macro"].value
    predictor = jenga_core.load(tmp_path / "run", registry=toys.registry())
    assert predictor.parts.tasks["tags"].state()["thresholds"] == thresholds
    found = predictor.predict(frame.head(20))
    assert found.columns.tolist() == ["tags.labels", "tags.p(one)", "tags.p(two)"]
    expected = [
        ",".join(n for n, t in zip(("one", "two"), thresholds, strict=True) if row[f"tags.p({n})"] >= np.float32(t))
        for _, row in found.iterrows()
    ]
    assert found["tags.labels"].tolist() == expected
