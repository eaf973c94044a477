"""The security components in whole runs: the template end to end, leakage, and what must fail before any training."""

import json

import numpy as np
import pandas as pd
import pytest

import jenga_core
from jenga_core.errors import DataError
from jenga_security.examples.flows import flows
from jenga_security.examples.network_threats import write

QUICK = ("train.epochs=6", "train.batch_size=64", "train.bootstrap=0", "train.baselines=false")


def config(**task):
    return {
        "data": {"flows": {"split": {"by": "stratified", "column": "label", "validation": 0.2, "test": 0.2}}},
        "inputs": {"flow": {"exclude": ["started", "host"], "processor": "security/table"}},
        "backbones": {"table": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
        "tasks": {"threat": {"kind": "security/anomaly", "target": "label", **task}},
        "train": {"epochs": 1, "batch_size": 128, "bootstrap": 0, "baselines": False, "learning_rate": 0.01},
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    write(folder, seed=3, rows=3000)
    overrides = (*QUICK, "tasks.threat.threshold.target_fpr=0.05")
    return folder, jenga_core.train(folder / "config.yaml", output=folder / "run", overrides=overrides, quiet=True)


def test_the_template_learns(trained):
    scores = trained[1].judgements[0].scores
    assert scores["average_precision"].value > 0.3  # attacks are 12 % of the rows, so chance is 0.12
    assert scores["roc_auc"].value > 0.8


def test_a_loaded_folder_scores_new_flows_in_their_order(trained):
    """Trap 19 of the original: neither the width nor a scaler was saved with the model."""
    folder, run = trained
    new = pd.read_csv(folder / "new_flows.csv").set_index(pd.Index(np.arange(500)[::-1]))
    predictor = jenga_core.load(run.folder)
    found = predictor.predict(new)
    assert found.index.equals(new.index)
    assert found["threat.score"].between(0, 1).all()
    threshold = json.loads((run.folder / "tasks" / "threat.json").read_text())["alerts"]["threshold"]
    assert ((found["threat.score"] >= threshold) == (found["threat.label"] == "attack")).all()
    pd.testing.assert_series_equal(predictor.predict(new[::-1])["threat.score"][::-1], found["threat.score"], rtol=1e-5)


def test_unseen_missing_and_infinite_cells_get_a_finite_score(trained):
    folder, run = trained
    new = pd.read_csv(folder / "new_flows.csv").head(6).astype({"bytes_sent": float, "protocol": object})
    new.loc[0, "protocol"] = "sctp"
    new.loc[1, "protocol"] = None
    new.loc[2, "bytes_sent"] = np.inf
    new.loc[3, "duration"] = np.nan
    new.loc[4, "bytes_sent"] = 1e300
    new.loc[5, "port"] = 70_000
    assert np.isfinite(jenga_core.load(run.folder).predict(new)["threat.score"]).all()


def test_text_among_numbers_at_prediction_names_the_row(trained):
    folder, run = trained
    new = pd.read_csv(folder / "new_flows.csv").head(3).astype({"duration": object})
    new.loc[1, "duration"] = "long"
    with pytest.raises(DataError, match="row 2, column 'duration'"):
        jenga_core.load(run.folder).predict(new)


@pytest.mark.parametrize(
    ("threshold", "what"), [({"target_fpr": 0.001}, "at least 999 normal"), ("best_f1", "one class")]
)
def test_too_few_validation_rows_for_the_threshold_fail_before_training(tmp_path, threshold, what):
    table = flows(400, 1)
    parts = {"train": table[:200], "test": table[200:], "validation": table[table["label"] == "benign"][:150]}
    with pytest.raises(DataError, match=what):
        jenga_core.train(
            config(normal="benign", threshold=threshold), data={"flows": parts}, output=tmp_path / "run", quiet=True
        )
    log = (tmp_path / "run" / "log.jsonl").read_text() if (tmp_path / "run" / "log.jsonl").exists() else ""
    assert '"train"' not in log


def test_one_class_in_training_is_an_error(tmp_path):
    table = flows(300, 1).assign(label="benign")
    with pytest.raises(DataError, match="no attack among the training rows"):
        jenga_core.train(config(normal="benign"), data=table, output=tmp_path / "run", quiet=True)


def test_training_tells_which_columns_it_took_as_numbers_and_as_categories(tmp_path, capsys):
    jenga_core.train(config(normal="benign"), data=flows(300, 1), output=tmp_path / "run")
    told = capsys.readouterr().err
    assert "flows: input flow: numbers: packet_size, duration" in told
    assert "flows: input flow: categories: port (" in told
    assert "protocol (3)" in told
    assert "by name ports, read as categories (`numeric:` reads them as numbers): port" in told
