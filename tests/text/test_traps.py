"""Where configurations of the original failed or said one thing and did another: the same in Jenga, as whole small runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import jenga_core
from jenga_core.errors import UserError
from jenga_core.reading import read_config
from jenga_core.registry import Registry

ROOT = Path(__file__).parents[2]
PLACES = ["Nairobi", "Mombasa", "Kisumu"]
WORDS = {"encoder": {"kind": "text/recurrent", "embedding": 8, "hidden": 8}}
TRAIN = {"epochs": 1, "batch_size": 8, "bootstrap": 0, "baselines": False, "explanations": False, "device": "cpu"}


def moods(rows: int = 30) -> pd.DataFrame:
    found = [("huduma nzuri", "good"), ("huduma mbaya", "bad"), ("huduma tu", "so so")]
    return pd.DataFrame([found[at % 3] for at in range(rows)], columns=["text", "mood"])


def entities(rows: int = 30) -> pd.DataFrame:
    found = [{"start": 11, "end": 11 + len(PLACES[at % 3]), "label": "LOC"} for at in range(rows)]
    return pd.DataFrame(
        {"text": [f"Alikwenda  {PLACES[at % 3]}" for at in range(rows)], "entities": [[each] for each in found]}
    )


def both(**more: Any) -> dict[str, Any]:
    """A classification and a tagging task in tables of their own, over one encoder."""
    return {
        "data": {"moods": {"path": "moods.csv"}, "news": {"path": "news.jsonl"}},
        "backbones": WORDS,
        "inputs": {
            n: {"data": n, "columns": ["text"], "processor": "text/words", "backbone": "encoder"}
            for n in ("moods", "news")
        },
        "tasks": {
            "mood": {"kind": "core/classification", "data": "moods", "target": "mood"},
            "places": {"kind": "text/ner", "data": "news", "target": "entities"},
        },
        "train": TRAIN,
        **more,
    }


def one(**train: Any) -> dict[str, Any]:
    return {
        "data": {"moods": {"path": "moods.csv", "split": {"validation": 0.2, "test": 0.2}}},
        "backbones": WORDS,
        "inputs": {"text": {"columns": ["text"], "processor": "text/words"}},
        "tasks": {"mood": {"kind": "core/classification", "target": "mood"}},
        "train": {**TRAIN, **train},
    }


@pytest.mark.slow
@pytest.mark.parametrize("form", ["attention", "gated", "concat"])
def test_fusion_trains_tags_and_classes_and_comes_back(form: str, tmp_path: Path) -> None:
    """Trap 16 of the original: a model with fusion stopped with an error, and its layer was never called."""
    data = {"moods": moods(), "news": entities()}
    learning = {**TRAIN, "epochs": 10, "learning_rate": 0.03}
    run = jenga_core.train(
        both(conditioning=form, train=learning), data=data, output=tmp_path / "run", quiet=True, report=False
    )
    predictor = jenga_core.load(tmp_path / "run")
    found = predictor.predict(entities(3), table="news")["places.entities"]
    assert [[each["text"] for each in row] for row in found] == [[place] for place in PLACES]
    assert predictor.predict(moods(3), table="moods")["mood.label"].tolist() == ["good", "bad", "so so"]
    layer = {name: value for name, value in run.model.state_dict().items() if name.startswith("conditioning.")}
    assert any(value.abs().sum() > 0 for name, value in layer.items() if ".out." in name), (
        "it begins at zero, and learned"
    )


def test_a_run_ends_with_a_model_on_the_disk_without_early_stopping(tmp_path: Path) -> None:
    """Trap 17 of the original: its default metric was never computed, and then nothing was saved."""
    run = jenga_core.train(one(), data=moods(), output=tmp_path / "run", quiet=True, report=False)
    assert run.best is not None
    assert run.best["monitor"] == "loss"
    assert (tmp_path / "run" / "manifest.json").is_file()
    expected = run.model.state_dict()
    found = jenga_core.load(tmp_path / "run").model.state_dict()
    assert all(expected[name].equal(found[name]) for name in expected)


def test_a_metric_that_is_never_computed_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    """Trap 17 of the original: an unknown metric_for_best_model was a warning at the end."""
    with pytest.raises(UserError, match=r"unknown metric 'mood\.f2_weighted'(.|\n)*did you mean: mood\.f1_weighted"):
        jenga_core.train(one(monitor="mood.f2_weighted"), data=moods(), output=tmp_path / "run", quiet=True)


@pytest.mark.parametrize(
    "kind", ["core/regression", "core/classification", "core/multi-label", "text/ner", "text/scoring", "text/span-qa"]
)
def test_every_kind_of_task_that_is_documented_can_be_named(kind: str) -> None:
    """Trap 18 of the original: most of the types that its documentation named were unknown to its data code."""
    assert f"### {kind}\n" in (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    registry = Registry.discover()
    options = (
        registry.config_class(kind, jenga_core.api.TaskSpec)
        .example()
        .model_dump(exclude={"kind", "data"}, exclude_none=True)
    )
    config = {**one(), "tasks": {"t": {"kind": kind, **options}}, "train": {}}
    assert read_config(config, registry=registry).tasks["t"].kind == kind


def test_no_configuration_names_a_home_folder_or_a_private_address() -> None:
    """Trap 22 of the original: home folders and a tracking server's address in files that were published."""
    private = re.compile(r"/Users/|/home/\w|[A-Z]:\\\\Users|https?://(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d")
    files = [
        p
        for folder in ("examples", "docs", "jenga-core", "jenga-security", "jenga-text", "benchmarks")
        for p in (ROOT / folder).rglob("*")
    ]
    configs = [p for p in files if p.suffix in (".yaml", ".yml", ".json", ".toml", ".md") and p.is_file()]
    assert len(configs) > 20
    assert not [str(p) for p in configs if private.search(p.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_evaluate_reads_labels_by_the_map_of_the_model(tmp_path: Path) -> None:
    """Trap 23 of the original: `evaluate` made a new map of labels out of the rows that it was given."""
    jenga_core.train(one(epochs=8, learning_rate=0.02), data=moods(), output=tmp_path / "run", quiet=True, report=False)
    predictor = jenga_core.load(tmp_path / "run")
    rows = moods().query("mood != 'bad'").iloc[::-1].reset_index(drop=True)
    by_hand = (predictor.predict(rows)["mood.label"] == rows["mood"]).mean()
    judged = predictor.evaluate(rows, bootstrap=0)[0].scores["accuracy"].value
    assert judged == pytest.approx(by_hand)
    assert judged == 1.0, "the rows are easy: a map of two labels would give numbers of its own"


def test_entities_are_found_under_any_name_of_column_and_task() -> None:
    """Traps 22 and 23 of the original: only a head called ner_head and a column called entities worked."""
    found = read_config(
        {**one(), "tasks": {"who": {"kind": "text/ner", "target": "spans", "text": "text"}}},
        registry=Registry.discover(),
    )
    assert found.tasks["who"].columns() == ["spans", "text"]
