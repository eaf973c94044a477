"""What a column's name decides where nobody listed it: labels are left out, ports are categories; and what `check` refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import jenga_core
from jenga_core.check import check
from jenga_core.errors import DataError
from jenga_core.reading import read_config
from jenga_core.registry import Registry
from jenga_security.names import LABELS, PORTS, is_label, is_port
from jenga_security.processors import TableProcessor
from jenga_security.table_config import TableConfig

QUICK = {"epochs": 1, "bootstrap": 0, "baselines": False, "explanations": False}
REGISTRY = Registry.discover()


def frame(rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    attack = rng.random(rows) < 0.3
    return pd.DataFrame(
        {
            "packets": rng.normal(attack, 1).round(4),
            "src_port": rng.integers(1024, 60_000, rows),
            "Destination Port": rng.choice([22, 53, 80, 443], rows),
            "label": attack.astype(int),
            "Attack_Cat": np.where(attack, rng.choice(["dos", "scan"], rows), "none"),
        }
    )


def config(tmp_path: Path, *, task: dict, processor: dict | None = None, columns: list[str] | None = None) -> dict:
    frame().to_csv(tmp_path / "flows.csv", index=False)
    flow = {"processor": {"kind": "security/table", **(processor or {})}}
    return {
        "data": {"flows": {"path": str(tmp_path / "flows.csv"), "split": {"validation": 0.4}}},
        "inputs": {"flow": {**flow, "columns": columns} if columns else flow},
        "backbones": {"net": {"kind": "security/tabular-mlp", "width": 8, "depth": 1}},
        "tasks": {"threat": task},
        "train": QUICK,
    }


ANOMALY = {"kind": "security/anomaly", "target": "label"}
OUTLIER = {"kind": "security/one-class"}


def trained(tmp_path: Path, options: dict) -> jenga_core.Run:
    if options["tasks"]["threat"] == OUTLIER:
        options["backbones"]["net"] = {"kind": "security/bias-free-mlp", "width": 8, "depth": 1, "out": 4}
    return jenga_core.train(options, output=tmp_path / "run", quiet=True, report=False)


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("task", "left"), [(ANOMALY, ["Attack_Cat"]), (OUTLIER, ["label", "Attack_Cat"])], ids=["labelled", "unlabelled"]
)
def test_columns_with_the_name_of_a_label_are_no_features_and_the_note_says_so(tmp_path, task, left):
    options = config(tmp_path, task=task)
    run = trained(tmp_path, options)
    read = jenga_core.load(run.folder).columns["flows"]["inputs"]["flow"]
    assert read == ["packets", "src_port", "Destination Port"]
    (note,) = [note for note in run.notes if "left out: " in note]
    assert f"left out: {', '.join(left)}: by name a label" in note
    assert "list it under" in note
    told = check(read_config(options, registry=REGISTRY), tmp_path, REGISTRY)
    assert any(f"left out: {', '.join(left)}: " in line for line in told.lines)
    assert any("input flow: 3 columns" in line for line in told.lines)


@pytest.mark.parametrize(
    "more",
    [{"processor": {"categorical": ["Attack_Cat"]}}, {"columns": ["packets", "Attack_Cat"]}],
    ids=["option", "columns"],
)
def test_one_that_is_listed_is_read(tmp_path, more):
    run = trained(tmp_path, config(tmp_path, task=ANOMALY, **more))
    assert "Attack_Cat" in jenga_core.load(run.folder).columns["flows"]["inputs"]["flow"]
    assert not [note for note in run.notes if "by name a label" in note]


@pytest.mark.parametrize(
    "name", ["label", "Label", " LABEL ", "attack-cat", "Attack Cat", "isFraud", "FraudFound_P", "y"]
)
def test_names_of_labels(name):
    assert is_label(name)


@pytest.mark.parametrize(
    "name", ["labels_seen", "classification", "yield", "type", "attacks_before", "target_host", "x"]
)
def test_names_that_only_look_like_labels(name):
    assert not is_label(name)


# ------------------------------------------------------------------ ports


@pytest.mark.parametrize(
    "name", ["port", "src_port", "Dst Port", "id.orig_p", "id.resp_p", "Destination Port", "sport"]
)
def test_names_of_ports(name):
    assert is_port(name)


@pytest.mark.parametrize("name", ["ports_seen", "support", "transport", "report", "port_scan"])
def test_names_that_only_look_like_ports(name):
    assert not is_port(name)


def test_the_lists_do_not_meet():
    assert not LABELS & PORTS


def fitted(cells: pd.DataFrame, **options) -> TableProcessor:
    found = TableProcessor(TableConfig(kind="security/table", **options))
    found.fit(cells)
    return found


def test_ports_are_categories_of_bounded_number_and_the_note_says_so():
    cells = pd.DataFrame({"src_port": np.arange(60_000), "port": [443, 53] * 30_000, "bytes": np.arange(60_000.0)})
    found = fitted(cells)
    assert [c.name for c in found.categories] == ["src_port", "port"]
    assert found.facts()["categories"] == [2 + 128, 2 + 2]
    assert [c.name for c in found.numbers] == ["bytes"]
    notes = found.notes()
    assert any(
        note.startswith("by name ports, read as categories") and note.endswith(": src_port, port") for note in notes
    )
    assert any(note.startswith("ports few of which come again") and note.endswith(": src_port") for note in notes)


@pytest.mark.parametrize("kind", ["numeric", "categorical", "hashed"])
def test_a_list_goes_before_the_name(kind):
    cells = pd.DataFrame({"port": [443, 53, 22] * 20, "bytes": np.arange(60.0)})
    found = fitted(cells, **{kind: ["port"]})
    assert ("port" in [c.name for c in found.numbers]) == (kind == "numeric")
    assert not any("by name" in note for note in found.notes())


# ------------------------------------------------------------------ check refuses what fit refuses


@pytest.mark.parametrize(
    ("kind", "options", "at"),
    [
        ("security/table", {"numeric": ["packet"]}, ("numeric", 0)),
        ("security/table", {"categorical": ["src_port", "label"]}, ("categorical", 1)),
        ("security/table", {"hashed": ["url"]}, ("hashed", 0)),
        ("security/table", {"dates": ["day"]}, ("dates", 0)),
        ("security/table", {"overrides": {"packet": {"scaling": "log"}}}, ("overrides", "packet")),
        (
            "security/table",
            {"numeric": ["packets"], "overrides": {"packets": {"buckets": 3}}},
            ("overrides", "packets", "buckets"),
        ),
        ("security/table", {"overrides": {"src_port": {"scaling": "log"}}}, ("overrides", "src_port", "scaling")),
        ("security/window", {"group": "hosts"}, ("group",)),
        ("security/window", {"time": "label"}, ("time",)),
        ("security/window", {"group": "src_port", "numeric": ["packet"]}, ("numeric", 0)),
    ],
)  # fmt: skip
def test_what_training_refuses_by_the_columns_check_refuses_with_the_same_words(tmp_path, kind, options, at):
    made = config(tmp_path, task=ANOMALY, processor={"kind": kind, **options})
    if kind == "security/window":
        made["backbones"]["net"] = {"kind": "security/gru", "width": 8}
    (problem,) = check(
        read_config(made, registry=REGISTRY), tmp_path, REGISTRY, where=lambda path: ".".join(map(str, path))
    ).problems
    assert problem.where == ".".join(map(str, ("inputs", "flow", "processor", *at)))
    with pytest.raises(DataError) as refused:
        trained(tmp_path, made)
    assert refused.value.what == problem.what
    assert refused.value.nearest == problem.nearest


def test_check_leads_to_the_time_of_an_alert_budget(tmp_path):
    made = config(tmp_path, task={**ANOMALY, "threshold": {"alert_budget": {"per_day": 5, "time": "startd"}}})
    found = check(read_config(made, registry=REGISTRY), tmp_path, REGISTRY, where=lambda path: ".".join(map(str, path)))
    assert [problem.where for problem in found.problems] == ["tasks.threat.threshold.alert_budget.time"]
    assert "has no column 'startd'" in found.problems[0].what


def test_check_names_the_line_of_the_option(tmp_path):
    from typer.testing import CliRunner

    from jenga_core.cli import app

    path = tmp_path / "soc.yaml"
    path.write_text(yaml.safe_dump(config(tmp_path, task=ANOMALY, processor={"numeric": ["packet"]})))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "- packet" in text)
    result = CliRunner().invoke(app, ["check", str(path)])
    assert f"soc.yaml:{line}, inputs.flow.processor.numeric.0" in str(result.exception) + result.output
    assert "did you mean: packets" in str(result.exception) + result.output
