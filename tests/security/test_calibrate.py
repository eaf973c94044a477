"""`jenga calibrate` on a real model folder."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import jenga_core
from jenga_core import artifact, locks
from jenga_core.cli import app
from jenga_security.examples.flows import flows

OPTIONS = {
    "data": {"flows": {"split": {"by": "stratified", "column": "label", "validation": 0.3, "test": 0.2}}},
    "inputs": {"flow": {"exclude": ["started", "host"], "processor": "security/table"}},
    "backbones": {"table": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
    "tasks": {"threat": {"kind": "security/anomaly", "target": "label", "normal": "benign", "threshold": {"target_fpr": 0.05}}},
    "train": {"epochs": 2, "batch_size": 128, "bootstrap": 0, "baselines": False, "learning_rate": 0.01},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate") / "run"
    return jenga_core.train(OPTIONS, data=flows(1500, 1), output=folder, quiet=True).folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def jenga(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=True)


def alerts(folder):
    return jenga_core.load(folder).parts.tasks["threat"].alerts


def test_the_threshold_is_changed_by_the_kept_scores(folder):
    before = jenga_core.load(folder).predict(flows(200, 9))
    old = alerts(folder)
    result = jenga("calibrate", folder, "--target-fpr", "0.01")
    assert result.exit_code == 0, result.output
    new = alerts(folder)
    assert new.threshold > old.threshold
    assert f"threshold {old.threshold:.6g}" in result.output
    assert (
        f"now threshold {new.threshold:.6g} (target_fpr 0.01), {new.normal.rows:,} held-out normal rows"
        in result.output
    )
    assert "95 % interval" in result.output
    assert "held-out attacks" in result.output
    after = jenga_core.load(folder).predict(flows(200, 9))
    pd.testing.assert_series_equal(before["threat.score"], after["threat.score"])
    assert (after["threat.threshold"] == new.threshold).all()
    assert "-> threshold" in artifact.verify(folder)["notes"][-1]
    assert jenga("report", folder).exit_code == 0
    assert "-&gt; threshold" in (folder / "report.html").read_text()


def test_two_at_once_one_waits(folder):
    before = (folder / "manifest.json").read_bytes()
    with locks.held(folder / locks.NAME, where=folder, next="wait"):
        result = jenga("calibrate", folder, "--threshold", "0.7")
        assert f"pid {os.getpid()} " in str(result.exception)
        assert (folder / "manifest.json").read_bytes() == before
    assert jenga("calibrate", folder, "--threshold", "0.7").exit_code == 0
    assert not list(folder.glob(".*"))


def test_there_and_back_is_the_old_threshold(folder):
    old = alerts(folder).threshold
    for options in (
        ("--threshold", 0.7),
        ("--best-f1",),
        ("--per-day", 3, "--rows-per-day", 100),
        ("--target-fpr", 0.05),
    ):
        result = jenga("calibrate", folder, *options)
        assert result.exit_code == 0, result.output
    assert alerts(folder).threshold == old


def test_the_rows_a_day_are_remembered(folder):
    jenga("calibrate", folder, "--per-day", 3, "--rows-per-day", 100)
    at_three = alerts(folder).threshold
    assert jenga("calibrate", folder, "--per-day", 10).exit_code == 0
    assert alerts(folder).rate == 0.1
    assert alerts(folder).threshold < at_three


def test_fresh_rows_with_labels_or_all_normal(folder, tmp_path):
    fresh = flows(800, 7)
    fresh.to_csv(tmp_path / "fresh.csv", index=False)
    scores = jenga_core.load(folder).predict(fresh)["threat.score"]
    assert jenga("calibrate", folder, tmp_path / "fresh.csv").exit_code == 0
    benign = (fresh["label"] == "benign").to_numpy()
    assert alerts(folder).normal.rows == benign.sum()
    assert alerts(folder).attacks.rows == (~benign).sum()
    assert 0.03 < (scores[benign] >= alerts(folder).threshold).mean() <= 0.05
    fresh[benign].drop(columns="label").to_csv(tmp_path / "normal.csv", index=False)
    result = jenga("calibrate", folder, tmp_path / "normal.csv", "--target-fpr", 0.1)
    assert "no label column 'label'" in str(result.exception)
    assert jenga("calibrate", folder, tmp_path / "normal.csv", "--normal", "--target-fpr", 0.1).exit_code == 0
    assert alerts(folder).attacks.rows == 0


@pytest.mark.parametrize(
    ("options", "what"),
    [((), "nothing to change"), (("--target-fpr", 0.0001), "at least 9,999"), (("--target-fpr", 2), "less than 1"),
     (("--target-fpr", 0.1, "--threshold", 0.5), "exclude each other"), (("--per-day", 3), "rows a day"),
     (("--threshold", "nan"), "is not a number"), (("--threshold", 0.5, "--rows-per-day", 9), "only with --per-day"),
     (("--threshold", 0.5, "--task", "thread"), "did you mean: threat"), (("--per-day", 9, "--rows-per-day", 3), "no budget")],
)  # fmt: skip
def test_what_is_refused_leaves_the_folder_as_it_was(folder, options, what):
    before = (folder / "manifest.json").read_bytes()
    result = jenga("calibrate", folder, *options)
    assert what in str(result.exception)
    assert (folder / "manifest.json").read_bytes() == before


def test_baselines_of_the_old_threshold_do_not_stand_beside_the_new_one(tmp_path):
    flows(1500, 1).to_csv(tmp_path / "flows.csv", index=False)
    data = {"flows": {**OPTIONS["data"]["flows"], "path": str(tmp_path / "flows.csv")}}
    options = {**OPTIONS, "data": data, "train": {**OPTIONS["train"], "baselines": True}}
    folder = jenga_core.train(options, output=tmp_path / "run", quiet=True, report=False).folder

    def beside():
        result = jenga("evaluate", folder, "--json")
        (judged,) = json.loads(result.stdout.splitlines()[-1])["judgements"]
        return judged["baselines"]["gradient boosting"].keys()

    assert {"average_precision", "recall"} <= beside()
    assert "would not compare" not in jenga("evaluate", folder).stdout
    result = jenga("calibrate", folder, "--target-fpr", 0.3)
    assert "judged anew on 300 rows of the test split" in result.stderr
    assert {"average_precision", "roc_auc", "log_loss"} <= beside()
    assert not {"recall", "precision", "f1", "false_positive_rate"} & beside()
    told = jenga("evaluate", folder).stdout.splitlines()[-1]
    assert "threshold of training" in told
    assert "recall" in told


def test_the_report_card_and_metrics_have_the_numbers_of_the_new_threshold(tmp_path):
    flows(1500, 1).to_csv(tmp_path / "flows.csv", index=False)
    data = {"flows": {**OPTIONS["data"]["flows"], "path": str(tmp_path / "flows.csv")}}
    folder = jenga_core.train({**OPTIONS, "data": data}, output=tmp_path / "run", quiet=True).folder
    (before,) = json.loads((folder / "metrics.json").read_text())["judgements"]
    assert jenga("calibrate", folder, "--target-fpr", 0.3).exit_code == 0
    (after,) = json.loads((folder / "metrics.json").read_text())["judgements"]
    (want,) = jenga_core.load(folder).evaluate(bootstrap=0)
    assert after["scores"]["recall"][0] == want.scores["recall"].value > before["scores"]["recall"][0]
    assert after["scores"]["average_precision"] == before["scores"]["average_precision"]
    assert {f["title"] for f in after["figures"]} == {f["title"] for f in before["figures"]}
    rate = f"{want.scores['false_positive_rate'].value:.4g}"
    for name in ("report.html", "README.md"):
        assert rate in (folder / name).read_text()
        assert "earlier threshold" not in (folder / name).read_text()
    (tmp_path / "flows.csv").unlink()
    result = jenga("calibrate", folder, "--threshold", 0.9)
    assert "not judged anew" in result.stderr
    assert artifact.verify(folder)
    for name in ("report.html", "README.md", "metrics.json"):
        assert "belong to an earlier threshold" in (folder / name).read_text()
    page = (folder / "report.html").read_text()
    assert page.index("Task threat") < page.index("earlier threshold") < page.index("of the test split")
    flows(1500, 1).to_csv(tmp_path / "flows.csv", index=False)
    jenga("calibrate", folder, "--threshold", 0.9)
    assert "earlier threshold" not in (folder / "report.html").read_text()


class Killed(BaseException):
    pass


def test_killed_between_its_writes_it_leaves_the_old_threshold_or_the_new_one(folder, monkeypatch):
    old = alerts(folder).threshold
    replace, seen = os.replace, set()
    for stop in range(12):
        calls = iter(range(99))

        def failing(source, target, calls=calls, stop=stop):
            if next(calls) == stop:
                raise Killed
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", failing)
            with suppress(Killed):
                jenga("calibrate", folder, "--threshold", 0.75)
        artifact.verify(folder)
        assert alerts(folder).threshold in (old, 0.75)
        seen.add(alerts(folder).threshold)
    assert seen == {old, 0.75}


def test_the_kept_scores_are_those_of_the_held_out_rows(finished):
    """The scores that the run itself gave its validation rows: their share above the threshold is what was asked for."""
    kept = alerts(finished)
    manifest = json.loads((finished / "manifest.json").read_text())
    assert kept.normal.rows + kept.attacks.rows == manifest["data"]["flows"]["splits"]["validation"]
    assert kept.normal.at_least(kept.threshold) / kept.normal.rows <= 0.05
    assert np.all(np.diff(kept.normal.scores) >= 0)
