"""Poison in validation and test rows, cells and labels alike, leaves what was fitted byte for byte as it was."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import jenga_core
from jenga_security.examples.flows import flows

ROWS = {"train": slice(0, 400), "validation": slice(400, 520), "test": slice(520, 640)}
TABLE = {"exclude": ["started", "host"], "processor": {"kind": "security/table"}}
WINDOW = {"processor": {"kind": "security/window", "group": "host", "time": "started", "length": 4}}
TASKS = {
    "anomaly": (TABLE, {"kind": "security/tabular-mlp", "width": 8}, {"kind": "security/anomaly", "positive_weight": "balanced"}),
    "windows": (WINDOW, {"kind": "security/gru", "width": 8}, {"kind": "security/anomaly"}),
    "outlier": (TABLE, {"kind": "security/autoencoder", "width": 8}, {"kind": "security/outlier", "threshold": 0.9}),
    "one-class": (TABLE, {"kind": "security/bias-free-mlp", "width": 8}, {"kind": "security/one-class", "labels": "few",
                                                                          "threshold": 0.9}),
}  # fmt: skip


def config(name, **options):
    inputs, backbone, task = TASKS[name]
    return {
        "data": {"flows": {"split": {"by": "random"}}},
        "inputs": {"flow": inputs},
        "backbones": {"net": backbone},
        "tasks": {"threat": {"target": "label", "normal": "benign", **task, **options}},
        # one evaluation, after the last step: validation rows choose no weights
        "train": {"epochs": 2, "evaluate": {"epochs": 2}, "batch_size": 64, "bootstrap": 0, "baselines": False},
    }


def poisoned(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Other numbers, unknown names, missing cells, other hosts, swapped and unknown labels."""
    rng = np.random.default_rng(seed)
    worse = rows.assign(
        bytes_sent=10**15,
        packet_size=-1.0,
        duration=np.where(rng.random(len(rows)) < 0.5, np.nan, 1e9),
        protocol="poison",
        host=rng.permutation(rows["host"].to_numpy()),
    )
    labels = rng.permutation(rows["label"].to_numpy())
    labels[::7] = "never seen"
    return worse.assign(label=labels)


def trained(folder, options, poison):
    table = flows(640, 1)
    parts = {split: table[rows] for split, rows in ROWS.items()}
    for at, split in enumerate(poison):
        parts[split] = poisoned(parts[split], at)
    return jenga_core.train(options, data={"flows": parts}, output=folder, quiet=True, report=False).folder


def fitted(folder):
    """name -> bytes of all that was learned from training rows: states, sketches of the columns, weights."""
    task = json.loads((folder / "tasks/threat.json").read_text())
    assert task["alerts"]["normal"]["rows"] > 0
    for held in ("alerts", "scores"):  # these rest on validation rows by intent
        task.pop(held, None)
    for reference in filter(None, task["drift"].values()):
        assert reference["columns"]
        del reference["score"]
    files = [
        *sorted(folder.glob("processors/*.json")),
        *sorted(folder.glob("backbones/*.json")),
        folder / "model.safetensors",
    ]
    return {path.name: path.read_bytes() for path in files} | {"task": json.dumps(task, sort_keys=True).encode()}


@pytest.mark.parametrize("name", TASKS)
def test_poisoned_validation_and_test_rows_leave_the_fitted_state_byte_identical(name, tmp_path):
    options = config(name)
    clean = fitted(trained(tmp_path / "clean", options, ()))
    assert len(clean) == 4
    assert fitted(trained(tmp_path / "poisoned", options, ("validation", "test"))) == clean


def test_poisoned_test_rows_leave_the_threshold_byte_identical_too(tmp_path):
    options = config("anomaly", threshold={"target_fpr": 0.05})
    clean, poisoned = (
        trained(tmp_path / name, options, poison) for name, poison in (("clean", ()), ("poisoned", ("test",)))
    )
    for file in ("tasks/threat.json", "processors/flow.json", "model.safetensors", "columns.json"):
        assert (clean / file).read_bytes() == (poisoned / file).read_bytes(), file


def test_rows_a_day_are_counted_on_training_rows(tmp_path):
    budget = {"alert_budget": {"per_day": 5, "time": "started"}}
    options = config("anomaly", threshold=budget)
    table = flows(640, 1).assign(started=pd.date_range("2026-01-01", periods=640, freq="30min").astype(str))
    found = []
    for name, last in (("clean", table[520:]), ("poisoned", table[520:].assign(started="2036-01-01"))):
        parts = {"train": table[:400], "validation": table[400:520], "test": last}
        folder = jenga_core.train(
            options, data={"flows": parts}, output=tmp_path / name, quiet=True, report=False
        ).folder
        found.append(json.loads((folder / "tasks/threat.json").read_text())["alerts"])
    assert found[0] == found[1]
    assert found[0]["rows_per_day"] == pytest.approx(48, abs=0.2)
    # 48 rows a day, of which 5 may be false alerts
    assert found[0]["wanted"] == {"alert_budget": {"per_day": 5.0, "rows_per_day": None, "time": "started"}}


def test_poison_in_training_rows_does_change_it(tmp_path):
    """Or the tests above could not fail."""
    options = config("anomaly")
    clean, other = (
        fitted(trained(tmp_path / n, options, poison)) for n, poison in (("clean", ()), ("other", ("train",)))
    )
    assert all(clean[name] != other[name] for name in ("flow.json", "model.safetensors", "task"))
