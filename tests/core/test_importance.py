"""Permutation importance, and explanations in the report: the column that matters, the rows that are worth seeing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jenga_core
import toys
from jenga_core.builtin.metrics import BinaryMetrics, ClassificationMetrics, RegressionMetrics
from jenga_core.explaining.importance import sample
from jenga_core.figures import Ranked, figure_from_json
from jenga_core.registry import Registry
from jenga_core.run import Run
from jenga_core.testing import doubles

REGISTRY = Registry.of(double=doubles)


def frame(rows: int = 300) -> pd.DataFrame:
    """Of five columns one decides; the processor leaves out `text`."""
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(rows, 4)), columns=["a", "b", "c", "d"])
    return numbers.assign(text="x", label=np.where(numbers["c"] > 0, "yes", "no"), amount=numbers["c"] * 5)


def train(folder: Path, tasks: dict[str, Any], **options: Any) -> Run:
    config = {
        "data": {"rows": {}},
        "backbones": {"net": {"kind": "double/network", "width": 8}},
        "inputs": {"n": {"columns": ["a", "b", "c", "d", "text"], "processor": "double/numbers"}},
        "tasks": tasks,
        "train": {"epochs": 8, "batch_size": 16, "learning_rate": 0.02, "bootstrap": 0, "baselines": False, **options},
    }
    return jenga_core.train(config, data=frame(), output=folder, registry=REGISTRY, quiet=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    tasks = {
        "t": {"kind": "core/classification", "target": "label"},
        "n": {"kind": "core/regression", "target": "amount"},
    }
    return train(tmp_path_factory.mktemp("importance") / "run", tasks)


def ranked(run: Run, task: str) -> list[Ranked]:
    judgements = json.loads((run.folder / "metrics.json").read_text())["judgements"]
    figures = next(j["figures"] for j in judgements if j["task"] == task)
    return [figure_from_json(f) for f in figures if f["form"] == "ranked"]  # type: ignore[misc]


@pytest.mark.parametrize("task", ["t", "n"])
def test_the_only_column_that_says_anything_is_found(run: Run, task: str) -> None:
    worth = ranked(run, task)[0]
    assert worth.title == "What each column is worth"
    assert worth.names[0] == "c"
    assert set(worth.names) == {"a", "b", "c", "d", "text"}
    of = dict(zip(worth.names, zip(worth.values, worth.low, worth.high, strict=True), strict=True))
    assert of["text"] == (0, 0, 0)  # no network sees it
    assert of["c"][1] > 5 * max(of[name][2] for name in "abd")
    assert all(low <= mean <= high for mean, low, high in of.values())


def test_example_rows_come_with_bars_that_add_up(run: Run) -> None:
    examples = ranked(run, "t")[1:]
    assert 2 <= len(examples) <= 4
    table = run.tables["rows"]
    for figure in examples:
        what, _, where = figure.title.partition(": ")
        assert what.split(",")[0] in ("Highest score", "False positive", "False negative")
        row = next(r for r in table.splits["test"] if table.where(int(r)) == where)
        assert f"c: {table.frame['c'][row]}"[:20] in [name[:20] for name in figure.names]
        assert figure.names[-1] == "rest"
        said = re.search(r"probability is ([\d.e-]+); a row that says nothing has ([\d.e-]+)\.", figure.note)
        assert said is not None
        assert abs(float(said[1]) - float(said[2]) - float(np.sum(figure.values))) < 1e-3
    page = (run.folder / "report.html").read_text()
    assert "What each column is worth" in page
    assert "furthest above the truth" in page.lower()


def test_explanations_can_be_switched_off(tmp_path: Path) -> None:
    run = train(
        tmp_path / "run", {"t": {"kind": "core/classification", "target": "label"}}, epochs=1, explanations=False
    )
    assert not ranked(run, "t")


def test_what_cannot_be_explained_is_noted_and_judged_all_the_same(tmp_path: Path) -> None:
    """The toys' processor has no reference: columns are shuffled, no row has reasons."""
    run = jenga_core.train(toys.numbers_config(epochs=1), data=toys.numbers_frame(), output=tmp_path / "run",
                           registry=toys.registry(), quiet=True)  # fmt: skip
    assert [f.title for f in ranked(run, "label")] == ["What each column is worth"]
    assert [note for note in run.notes if "no reasons for single rows: no input of 'rows' can be explained: x" in note]


def test_explaining_changes_no_weight_and_no_metric(tmp_path: Path, run: Run) -> None:
    tasks = {
        "t": {"kind": "core/classification", "target": "label"},
        "n": {"kind": "core/regression", "target": "amount"},
    }
    plain = train(tmp_path / "run", tasks, explanations=False)
    assert (plain.folder / "model.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()
    assert [j.scores for j in plain.judgements] == [j.scores for j in run.judgements]


# ------------------------------------------------------------------ parts


@given(st.integers(0, 5000), st.integers(20, 500))
def test_a_sample_is_ascending_distinct_spread_and_small(rows: int, most: int) -> None:
    every = np.arange(rows) * 3
    found = sample(every, most)
    assert len(found) == rows if rows <= most else most / 2 < len(found) <= most
    assert (np.diff(found) > 0).all()
    assert set(found) <= set(every)
    if rows:
        assert found[0] == every[0]
        assert found[-1] == every[-1]


def test_examples_of_yes_or_no() -> None:
    output = {"score": np.array([0.9, 0.8, 0.2, 0.1, 0.7]), "flag": np.array([1, 1, 0, 0, 1])}
    found = BinaryMetrics().examples(output, {"y": np.array([1, 0, 1, 1, 0])})
    assert {k: v.tolist() for k, v in found.items()} == {
        "highest score": [0, 1],
        "false positive": [1],
        "false negative": [3],
    }
    none = BinaryMetrics().examples({k: v[:0] for k, v in output.items()}, {"y": np.zeros(0)})
    assert all(not len(rows) for rows in none.values())


def test_examples_of_many_classes_and_of_numbers() -> None:
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.2, 0.2, 0.6]])
    found = ClassificationMetrics(("a", "b", "c")).examples({"probability": p}, {"y": np.array([0, 0, 2])})
    assert {k: v.tolist() for k, v in found.items()} == {"surest right": [0, 2], "surest wrong": [1]}
    numbers = RegressionMetrics().examples({"value": np.array([3.0, 2.0, 9.0])}, {"y": np.array([1.0, 2.0, 8.5])})
    assert {k: v.tolist() for k, v in numbers.items()} == {
        "largest value": [2], "furthest above the truth": [0], "furthest below the truth": [],
    }  # fmt: skip


def test_ranked_bars_survive_json() -> None:
    figure = Ranked("t", "x", ["a", "b"], np.array([2.0, -1.0]), np.array([1.0, -2.0]), np.array([3.0, 0.0]), "n")
    again = figure_from_json(json.loads(json.dumps(figure.to_json())))
    assert again.table() == figure.table() == (["", "x", "from", "to"], [["a", 2.0, 1.0, 3.0], ["b", -1.0, -2.0, 0.0]])
    plain = Ranked("t", "x", ["a"], np.array([2.0]))
    assert figure_from_json(plain.to_json()).table() == (["", "x"], [["a", 2.0]])


# ------------------------------------------------------------------ on request


def test_what_columns_are_worth_on_rows_of_ones_own(tmp_path: Path) -> None:
    from jenga_core.commands.scores import as_json, worth_lines
    from jenga_core.inference import load

    run = train(tmp_path / "run", {"t": {"kind": "core/classification", "target": "label"}}, explanations=False)
    found = load(run.folder, registry=REGISTRY).importance(frame(80))
    assert found["t"].rows == 80
    head, first, *rest = worth_lines(found)
    assert head.startswith("t: loss of average_precision (")
    assert first.split()[0] == "c"
    assert len(rest) == 4
    line = json.loads(as_json([], found))["importance"]["t"]
    assert next(iter(line["columns"])) == "c"
    assert line["columns"]["c"] == pytest.approx(list(found["t"].columns["c"]))
