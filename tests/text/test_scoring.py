"""text/scoring: labels per head, losses in the weights that were asked for, verdicts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from jenga_core.errors import DataError
from jenga_text.scoring import ScoringTask
from jenga_text.scoring_config import HeadConfig, ScoringConfig

HEADS = {
    "opening": HeadConfig(outputs=["greets"]),
    "listening": HeadConfig(outputs=["a", "b", "c", "d", "e"], weight=1.5),
}
GOOD = {"opening": [1], "listening": [1, 0, 1, 1, 1]}


def encoded(cells: list[Any], **options: Any) -> tuple[ScoringTask, Any]:
    task = ScoringTask(ScoringConfig(**{"target": "labels", "heads": HEADS, **options}))
    return task, task.encode(pd.DataFrame({"labels": pd.Series(cells, dtype=object)}), {})


def test_objects_and_json_are_the_same() -> None:
    _, found = encoded([GOOD, json.dumps(GOOD), {"opening": 1, "listening": [True, False, 1.0, 1, 1]}])
    assert found.columns["y"].tolist() == [[1, 1, 0, 1, 1, 1]] * 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (
            {"opening": [1], "listening": [1, 0, 1, 1, 1, 0]},
            "row 2, column 'labels': head 'listening' has 5 .* 6 labels",
        ),
        ({"listening": [1, 0]}, "head 'listening' has 5 outputs, but the row has 2 labels"),
        ({"closing": [1]}, "a head 'closing' that the task does not have"),
        ({"opening": [2]}, "head 'opening', 'greets': 2 is neither 0 nor 1"),
        ({"opening": ["yes"]}, "'yes' is neither 0 nor 1"),
        ({"opening": "x y"}, "is no JSON"),
        ({"opening": {"greets": 1}}, "is no list of labels"),
        ([1], "is no object"),
        ("{", "is no JSON"),
    ],
)
def test_wrong_labels_are_named_by_row_and_head(cell: Any, says: str) -> None:
    """Trap 5 of the original: short lists were filled with zeros, long ones cut."""
    with pytest.raises(DataError, match=says):
        encoded([GOOD, cell])


def test_missing_labels_are_no_labels() -> None:
    task, found = encoded([GOOD, None, {"opening": [1]}, {"listening": [1, None, 0, 1, 1]}, " "])
    assert found.present.tolist() == [True, False, True, True, False]
    assert found.excluded == {"no label": 2}
    assert found.remarks == {
        "head 'opening' has no label (the other heads count)": 1,
        "head 'listening' has no label (the other heads count)": 1,
    }
    target, count = task.collate(found, np.array([0, 2, 3]), {})
    assert count == pytest.approx(2.5 + 1.0 + 1.5)
    assert target["weight"][2].tolist() == pytest.approx([0, 0.375, 0, 0.375, 0.375, 0.375])


def test_the_loss_is_each_heads_mean_times_its_weight() -> None:
    task, found = encoded([GOOD])
    target, count = task.collate(found, np.array([0]), {})
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.0, 1.0, -0.5]])
    single = torch.nn.functional.binary_cross_entropy_with_logits(logits, target["y"], reduction="none")[0]
    by_hand = single[0] + 1.5 * single[1:].mean()
    torch.testing.assert_close(task.loss({"logits": logits}, target), by_hand)
    assert count == pytest.approx(2.5)


def test_a_head_without_labels_gets_no_gradient() -> None:
    task, found = encoded([{"opening": [1]}])
    target, _ = task.collate(found, np.array([0]), {})
    logits = torch.zeros(1, 6, requires_grad=True)
    torch.autograd.backward(task.loss({"logits": logits}, target))
    assert logits.grad is not None
    assert logits.grad[0, 0] != 0
    assert not logits.grad[0, 1:].any()


def test_verdicts() -> None:
    task, _ = encoded([GOOD])
    rows = np.array([[0.9, 0.8, 0.8, 0.8, 0.8, 0.8], [0.7, 0.5, 0.5, 0.5, 0.5, 0.5], [0.4, 0.1, 0.1, 0.1, 0.1, 0.1]])
    found = task.decode({"probability": rows}, np.arange(3), {})
    assert found["opening.verdict"].tolist() == ["PASS", "REVIEW", "FAIL"]
    assert found["final.verdict"].tolist() == ["PASS", "REVIEW", "FAIL"]
    assert found["final.score"].tolist() == pytest.approx([0.85, 0.6, 0.25])
    assert found["listening.p(b)"].tolist() == pytest.approx([0.8, 0.5, 0.1])


@pytest.mark.parametrize(
    ("limits", "verdicts"),
    [
        ({}, ["PASS", "REVIEW", "FAIL", "FAIL"]),
        ({"review_above": 0.2}, ["PASS", "REVIEW", "REVIEW", "FAIL"]),
        ({"review_above": 0.6}, ["PASS", "FAIL", "FAIL", "FAIL"]),
        ({"pass_above": 0.4, "review_above": 0.2}, ["PASS", "PASS", "REVIEW", "FAIL"]),
    ],
)
def test_review_begins_above_review_above(limits: dict[str, float], verdicts: list[str]) -> None:
    task = ScoringTask(ScoringConfig(target="labels", heads=HEADS, **limits))
    rows = np.repeat([[0.9], [0.5], [0.3], [0.1]], 6, axis=1)
    found = task.decode({"probability": rows}, np.arange(4), {})
    assert found["final.verdict"].tolist() == verdicts
    assert found["opening.verdict"].tolist() == verdicts


def test_metrics_judge_probabilities_and_one_output_is_no_micro_average() -> None:
    """Trap 4 of the original: logits were cut at 0.5, and with one output precision, recall and accuracy were one number."""
    task, found = encoded([GOOD, {"opening": [0], "listening": [0, 0, 0, 0, 0]}, {"opening": [0]}])
    probability = np.array([[0.9, 0.6, 0.4, 0.6, 0.6, 0.4], [0.6, 0.1, 0.1, 0.1, 0.1, 0.1], [0.1] * 6])
    scores = task.metrics().compute({"probability": probability}, found.columns)
    assert scores["opening.accuracy"] == pytest.approx(2 / 3)
    assert scores["opening.f1"] == pytest.approx(2 / 3)  # one right yes, one wrong yes
    assert scores["listening.f1"] == pytest.approx(6 / 7)
    assert scores.keys() == task.metrics().directions.keys()


def test_each_head_may_have_a_column() -> None:
    """Trap 23 of the original: one column of labels for all heads."""
    heads = {
        "opening": HeadConfig(outputs=["greets"], target="first"),
        "closing": HeadConfig(outputs=["x", "y"], target="last"),
    }
    config = ScoringConfig(heads=heads)
    assert config.columns() == ["first", "last"]
    cells = pd.DataFrame({"first": [1, 0], "last": ["[1, 0]", None]})
    y = ScoringTask(config).encode(cells, {}).columns["y"]
    assert np.asarray(y)[0].tolist() == [1, 1, 0]
    assert np.isnan(np.asarray(y)[1, 1:]).all()


def test_a_head_without_any_label_cannot_be_learned() -> None:
    task = ScoringTask(ScoringConfig(target="labels", heads=HEADS))
    with pytest.raises(DataError, match="head 'listening' has no label in the 1 training rows"):
        task.fit(pd.DataFrame({"labels": [{"opening": [1]}]}))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"heads": HEADS}, "give `target`"),
        ({"target": "y", "heads": {"final": HEADS["opening"]}}, "may not be called 'final'"),
        ({"target": "y", "heads": HEADS, "pass_above": 0.3}, "must be below"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ScoringConfig(**options)
