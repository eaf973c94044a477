"""security/outlier and security/one-class: labels that only judge, few labels, bad input, whole runs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from typer.testing import CliRunner

import jenga_core
from jenga_core.cli import app
from jenga_core.errors import DataError, JengaError
from jenga_core.report import verdict
from jenga_security.examples.flows import flows
from jenga_security.outliers.config import OneClassConfig, OutlierConfig
from jenga_security.outliers.forest import IsolationForest
from jenga_security.outliers.heads import OutlierHead
from jenga_security.outliers.scores import Scores
from jenga_security.outliers.task import OneClassTask, OutlierTask

BACKBONE = {"outlier": "security/autoencoder", "one-class": "security/bias-free-mlp"}


def table(rows=600, share=0.05, seed=0):
    """Two correlated numbers, a heavy tail, a category and a constant column; anomalies break the correlation."""
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < share).astype(int)
    a = rng.normal(size=rows)
    b = np.where(y == 1, rng.normal(size=rows) * 4, a + 0.1 * rng.normal(size=rows))
    kind = np.where(rng.random(rows) < 0.7, "tcp", "udp")
    tail = rng.lognormal(size=rows) * np.where(y == 1, 6, 1)
    return pd.DataFrame({"a": a, "b": b, "tail": tail, "kind": kind, "constant": 1.0, "label": y})


def train(folder, data, task="outlier", seed=0, split=None, **options):
    config = {
        "project": "odd", "seed": seed, "data": {"rows": {"split": split or {}}},
        "inputs": {"row": {"processor": {"kind": "security/table", "scaling": "standard"}, "exclude": ["label"]}},
        "backbones": {"net": {"kind": BACKBONE[task], "width": 16}},
        "tasks": {"odd": {"kind": f"security/{task}", "threshold": 0.9, **options}},
        "train": {"epochs": 3, "batch_size": 64, "bootstrap": 0},
    }  # fmt: skip
    if "target" in options:
        del config["inputs"]["row"]["exclude"]
    return jenga_core.train(config, data=data, output=folder, quiet=True, report=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("outlier") / "run", table(1500), target="label")


# ------------------------------------------------------------------ whole runs


def test_it_finds_anomalies_that_it_was_never_told_of(run):
    judged = run.judgements[0]
    assert judged.scores["roc_auc"].value > 0.85
    assert list(judged.baselines) == ["majority", "isolation forest", "gradient boosting, with labels"]
    assert judged.baselines["majority"]["roc_auc"].value == 0.5


def test_a_model_folder_gives_the_same_scores(run):
    frame = table(1500).drop(columns="label")
    found = jenga_core.load(run.folder).predict(frame)
    assert list(found.columns) == ["odd.label", "odd.score", "odd.threshold"]
    assert found["odd.score"].between(0, 1).all()
    assert set(found["odd.label"]) == {0, 1}
    one = jenga_core.load(run.folder).predict(frame.iloc[7:8])
    assert one["odd.score"].iloc[0] == pytest.approx(found["odd.score"].iloc[7], abs=1e-5)


def test_labels_that_judge_change_nothing_that_is_learned(run, tmp_path):
    data = table(1500)
    data["label"] = np.random.default_rng(1).permutation(data["label"])
    other = train(tmp_path / "run", data, target="label")
    ours, theirs = run.data.parts.tasks["odd"], other.data.parts.tasks["odd"]
    assert ours.state()["scores"] == theirs.state()["scores"]
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


def test_a_seed_gives_the_same_model(run, tmp_path):
    again = train(tmp_path / "run", table(1500), target="label")
    assert again.data.parts.tasks["odd"].state() == run.data.parts.tasks["odd"].state()
    assert again.judgements[0].scores["roc_auc"].value == run.judgements[0].scores["roc_auc"].value


@pytest.mark.parametrize("task", ["outlier", "one-class"])
def test_without_any_label(task, tmp_path):
    run = train(tmp_path / "run", table(), task)
    judged = run.judgements[0]
    assert set(judged.scores) == {"alert_rate"}
    assert list(judged.baselines) == ["isolation forest"]
    assert "Nothing here says which is better" in verdict(judged)
    assert "odd.alert_rate" not in run.directions, "more or fewer alerts are not better: nothing to monitor"
    assert jenga_core.load(run.folder).importance(table()) == {}
    found = jenga_core.load(tmp_path / "run").predict(table(20))
    assert set(found["odd.label"]) <= {"normal", "anomaly"}


@pytest.mark.parametrize("task", ["outlier", "one-class"])
def test_few_labels(task, tmp_path):
    data = table(1200)
    data["label"] = data["label"].astype(object)
    data.loc[np.random.default_rng(5).random(1200) < 0.7, "label"] = None
    data = {"train": data, "test": table(600, seed=1)}
    judged = train(tmp_path / "run", data, task, target="label", labels="few", known_weight=2.0).judgements[0]
    assert judged.scores["roc_auc"].value > 0.6
    assert "no label: trained on, not judged" in judged.remarks
    assert "gradient boosting, with labels" in judged.baselines


@pytest.mark.parametrize(("labels", "without"), [("few", True), ("judge", False)])
def test_known_anomalies_are_kept_out_of_the_fit_with_few_labels(tmp_path, monkeypatch, labels, without):
    """Neither the detector nor the ranks of its scores learn from rows that are known to be anomalies; labels that only judge
    are not looked at."""
    data, seen = table(400, share=0.2), {}
    fit_head, fit_scores = OutlierHead.fit, Scores.fit
    monkeypatch.setattr(
        OutlierHead, "fit", lambda head, rows, rng: seen.update(head=len(rows)) or fit_head(head, rows, rng)
    )
    monkeypatch.setattr(Scores, "fit", lambda raw, votes: seen.update(scores=len(raw)) or fit_scores(raw, votes))
    known = {"known_weight": 2.0} if without else {}
    run = train(tmp_path / "run", data, target="label", labels=labels, **known)
    normal = {name: int((data["label"].iloc[rows] == 0).sum()) for name, rows in run.tables["rows"].splits.items()}
    every = {name: len(rows) for name, rows in run.tables["rows"].splits.items()}
    expected = normal if without else every
    assert normal["train"] < every["train"]
    assert seen == {"head": expected["train"], "scores": expected["validation"]}


def test_all_but_a_few_rows_are_normal(tmp_path):
    data = table(4000, share=0.0)
    data.loc[[5, 3999], ["a", "b", "tail"]] = [8.0, -8.0, 200.0]
    data.loc[[5, 3999], "label"] = 1  # 99.95 % normal; the training rows may hold one class
    train(tmp_path / "run", data, target="label", normal=0)
    found = jenga_core.load(tmp_path / "run").predict(data)
    assert (found["odd.score"].iloc[[5, 3999]] > 0.99).all()
    assert (found["odd.label"] != 0).mean() < 0.15


# ------------------------------------------------------------------ the task by itself


def test_the_default_refuses_too_few_validation_rows(tmp_path):
    with pytest.raises(DataError, match="at least 99 normal validation rows"):
        train(tmp_path / "run", table(300), threshold={"target_fpr": 0.01})


def test_there_must_be_validation_rows(tmp_path):
    with pytest.raises(JengaError, match="ranks among validation rows"):
        train(tmp_path / "run", table(100), split={"validation": 0})


def test_constant_columns_only_are_refused(tmp_path):
    data = pd.DataFrame({"a": np.ones(100), "b": np.zeros(100)})
    with pytest.raises(DataError, match="same score"):
        train(tmp_path / "run", data)


def task_of(column, **options):
    task = OutlierTask(OutlierConfig(target="label", **options))
    task.fit(pd.DataFrame({"label": column}))
    return task


def y_of(task, column):
    return np.asarray(task.encode(pd.DataFrame({"label": column}), {}).columns["y"]).tolist()


@pytest.mark.parametrize(("seen", "new"), [([0, 0], [0, 1]), ([None, None], ["no", "yes"]), (["normal"], ["Normal", "dos"]),
                                           ([1, 1], [0, 1]), ([True, False], [False, True])])  # fmt: skip
def test_training_rows_may_hold_one_class_or_none(seen, new):
    assert y_of(task_of(seen), new) == [0, 1]


def test_labels_that_are_not_plain_are_refused():
    with pytest.raises(DataError, match="not plain"):
        task_of(["cat", "dog"])
    assert y_of(task_of(["cat", "cat"], normal="cat"), ["cat", "dog", None]) == [0, 1, -1]


def test_judging_labels_reach_no_loss_and_few_labels_do():
    y = np.array([0, 1, -1])
    judge, few = task_of([0, 1]), task_of([0, 1], labels="few", known_weight=3.0)
    from jenga_core.contracts import Encoded

    encoded = Encoded({"y": y}, np.ones(3, dtype=bool))
    target, count = judge.collate(encoded, np.arange(3), {})
    assert count == 3
    assert float(judge.loss({"loss": torch.tensor([1.0, 2.0, 3.0])}, target)) == 6
    target, count = few.collate(encoded, np.arange(3), {})
    assert count == 7
    assert float(few.loss({"loss": torch.tensor([1.0, 2.0, 3.0])}, target)) == pytest.approx(3 + 3 / 2.01 + 3)
    assert few._told(y).tolist() == [0, 1, 0]
    assert judge._told(y).tolist() == [0, 0, 0]


def test_state_goes_through_json():
    task = task_of([0, 1])
    task.calibrate({"raw": np.random.default_rng(0).random((200, 3))}, {"y": np.zeros(200)})
    again = OutlierTask(task.config)
    again.restore(json.loads(json.dumps(task.state())))
    assert again.state() == task.state()


def test_wrong_options():
    for wrong in ({"labels": "few"}, {"normal": 0}, {"members": []}, {"members": ["isolation", "isolation"]},
                  {"threshold": "best_f1"}, {"threshold": {"target_fpr": 0}}):  # fmt: skip
        with pytest.raises(ValidationError):
            OutlierConfig(**wrong)


# ------------------------------------------------------------------ heads


def test_one_class_refuses_a_network_that_could_collapse():
    from jenga_core.contracts import HeadContext
    from jenga_core.errors import UserError

    context = HeadContext(4, {"x": 4}, {"x": torch.nn.Linear(4, 4)}, {"x": {}})
    with pytest.raises(UserError, match="without biases"):
        OneClassTask(OneClassConfig()).head(context)
    with pytest.raises(UserError, match="reconstruct"):
        OutlierTask(OutlierConfig()).head(context)


def test_the_forest_ranks_as_scikit_learns():
    from scipy.stats import spearmanr
    from sklearn.ensemble import IsolationForest as Reference

    rows = np.random.default_rng(0).standard_t(3, size=(2000, 5)).astype(np.float32)
    forest = IsolationForest()
    forest.fit(rows, np.random.default_rng(0))
    ours = forest(torch.from_numpy(rows)).numpy()
    theirs = -Reference(n_estimators=300, random_state=0).fit(rows).score_samples(rows)
    assert spearmanr(ours, theirs)[0] > 0.95
    assert abs(ours.mean() - theirs.mean()) < 0.02
    small = IsolationForest()
    small.fit(rows[:3], np.random.default_rng(0))
    assert torch.isfinite(small(torch.from_numpy(rows))).all()


def test_the_encoding_of_rows_and_windows():
    from jenga_security.outliers.networks import MOST, Encoding

    facts = {"numbers": 2, "categories": [3, 10 * MOST]}
    numbers, codes = torch.randn(4, 5, 2), torch.randint(0, 3, (4, 5, 2))
    rows = Encoding(facts)
    flat = rows({"numbers": numbers[:, 0], "categories": codes[:, 0]})
    assert flat.shape == (4, rows.width) == (4, 2 + 3 + MOST)
    torch.testing.assert_close(flat[:, 2:].sum(dim=1), torch.zeros(4), atol=1e-5, rtol=0)  # no bias in disguise
    windows = Encoding({**facts, "length": 5})
    mask = torch.arange(5) < torch.tensor([5, 3, 1, 2])[:, None]
    found = windows({"numbers": numbers, "categories": codes, "mask": mask})
    assert found.shape == (4, windows.width) == (4, 3 * rows.width)
    torch.testing.assert_close(found[1, :2], numbers[1, 2])  # the newest row
    torch.testing.assert_close(found[1, rows.width : rows.width + 2], numbers[1, :3].mean(dim=0))
    torch.testing.assert_close(found[1, 2 * rows.width : 2 * rows.width + 2], numbers[1, :3].std(dim=0, correction=0))
    assert (found[2, 2 * rows.width :] == 0).all()  # one row does not vary


def test_alert_budgets_and_recalibration(run, tmp_path):
    budget = {"alert_budget": {"per_day": 20, "rows_per_day": 1000}}
    other = train(tmp_path / "run", table(1500), target="label", threshold=budget)
    rule = other.data.parts.tasks["odd"].alerts
    assert rule.rate == 0.02
    assert rule.normal.rows == 150
    assert not rule.attacks.rows  # labels only judge
    assert rule.changed(0.5).threshold == 0.5
    live = run.data.parts.tasks["odd"]
    y, known = live.truth(pd.DataFrame({"label": [0, 1, None]}))
    assert y[:2].tolist() == [0, 1]
    assert known.tolist() == [True, True, False]


@pytest.mark.slow
def test_a_budget_is_kept_and_changed_and_drift_is_told_without_labels(tmp_path):
    frame = flows(1500, 3).drop(columns="label")
    section = {
        "data": {"flows": {"split": {"validation": 0.3, "test": 0.1}}},
        "inputs": {"flow": {"exclude": ["started", "host"], "processor": "security/table"}},
        "backbones": {"net": {"kind": "security/autoencoder", "width": 8}},
        "tasks": {
            "odd": {"kind": "security/outlier", "threshold": {"alert_budget": {"per_day": 5, "rows_per_day": 100}}}
        },
        "train": {"epochs": 1, "batch_size": 128, "bootstrap": 0, "baselines": False},
    }
    folder = jenga_core.train(section, data=frame, output=tmp_path / "run", quiet=True, report=False).folder
    task = jenga_core.load(folder).parts.tasks["odd"]
    assert task.alerts.rate == 0.05
    assert task.drift.normal is None
    assert task.alerts.normal.rows == 450
    old = task.alerts.threshold
    new = flows(600, 4).drop(columns="label")
    new.to_csv(tmp_path / "new.csv", index=False)
    for arguments in (["--per-day", "2"], [str(tmp_path / "new.csv")]):
        result = CliRunner().invoke(app, ["calibrate", str(folder), *arguments])
        assert result.exit_code == 0, result.output
    rule = jenga_core.load(folder).parts.tasks["odd"].alerts
    assert (rule.rate, rule.normal.rows) == (0.02, 600)
    assert old != rule.threshold
    assert CliRunner().invoke(app, ["drift", str(folder), str(tmp_path / "new.csv")]).exit_code == 0
    assert "nothing is labelled normal" in str(
        CliRunner().invoke(app, ["drift", str(folder), str(tmp_path / "new.csv"), "--normal"]).exception
    )
