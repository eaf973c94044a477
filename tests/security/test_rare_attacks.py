"""Splits without attacks, and rows of which nearly all are normal."""

import math

import numpy as np
import pandas as pd
import pytest

import jenga_core
from jenga_core.errors import DataError


def rows(count, attacks, seed):
    rng = np.random.default_rng(seed)
    y = np.zeros(count, dtype=int)
    y[rng.choice(count, attacks, replace=False)] = 1
    return pd.DataFrame({"x": rng.normal(size=count) + 6 * y, "z": rng.normal(size=count), "label": y})


def trained(folder, frames, task=None, kind="security/anomaly", **train):
    config = {
        "data": {"rows": {}},
        "inputs": {"row": {"processor": "security/table"}},
        "backbones": {"row": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
        "tasks": {"attack": {"kind": kind, "target": "label", **(task or {})}},
        "train": {"epochs": 1, "batch_size": 128, "bootstrap": 0, "baselines": False, "learning_rate": 0.01, **train},
    }
    return jenga_core.train(config, data=frames, output=folder / "run", quiet=True, report=False)


def three(validation, test=30):
    return {"train": rows(500, 50, 0), "validation": rows(300, validation, 1), "test": rows(300, test, 2)}


@pytest.mark.parametrize("kind", ["security/anomaly", "core/classification"])
def test_a_class_that_validation_lacks_is_told_and_training_goes_on(tmp_path, kind):
    run = trained(tmp_path, three(0), kind=kind)
    absent = "rows: task attack: none of the 300 validation rows is labelled 1: metrics that need it are left open"
    assert absent in run.notes
    assert math.isfinite(run.judgements[0].scores["roc_auc"].value)
    assert not any("is labelled" in note for note in trained(tmp_path / "other", three(10), kind=kind).notes)


def test_a_threshold_that_needs_the_absent_class_is_refused_before_training(tmp_path):
    with pytest.raises(DataError, match="one class only"):
        trained(tmp_path, three(0), {"threshold": "best_f1"})
    assert not list(tmp_path.glob("run/*.safetensors"))
    trained(tmp_path / "other", three(0), {"threshold": {"target_fpr": 0.05}})  # needs normal rows alone


def test_a_metric_that_validation_cannot_give_chooses_no_weights(tmp_path):
    run = trained(tmp_path, three(0), monitor="attack.average_precision")
    assert run.best is None
    assert any("was never a number on validation rows: the last weights are kept" in note for note in run.notes)


def test_a_class_that_test_rows_lack_leaves_metrics_open(tmp_path):
    run = trained(tmp_path, three(10, test=0))
    assert any("none of the 300 test rows is labelled 1" in note for note in run.notes)
    assert math.isnan(run.judgements[0].scores["average_precision"].value)
    assert math.isnan(run.judgements[0].scores["recall"].value)


@pytest.mark.parametrize("task", [{"positive_weight": "balanced"}, {"focal_gamma": 2.0}, {}])
def test_one_attack_in_ten_thousand_rows(tmp_path, task):
    """Nothing overflows, scores are probabilities, and the threshold keeps its rate on normal rows."""
    frames = {name: rows(10_000, 1, seed) for seed, name in enumerate(("train", "validation", "test"))}
    run = trained(tmp_path, frames, task | {"threshold": {"target_fpr": 0.01}}, batch_size=1024)
    scores = run.judgements[0].scores
    assert scores["false_positive_rate"].value < 0.02
    assert all(math.isfinite(scores[name].value) for name in ("average_precision", "log_loss", "recall"))


def test_no_attack_among_training_rows_is_an_error_that_names_the_split(tmp_path):
    with pytest.raises(DataError, match=r"no attack among the training rows.*\n.*check the split"):
        trained(
            tmp_path, {"train": rows(500, 0, 0), "validation": rows(300, 3, 1), "test": rows(300, 3, 2)}, {"normal": 0}
        )
