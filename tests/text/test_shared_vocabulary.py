"""Inputs that share a backbone share what its tokens mean, in one table or in several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import jenga_core
import jenga_text.plugin
from jenga_core.errors import UserError
from jenga_core.registry import Registry

MOODS = pd.DataFrame({"comment": ["habari njema sana", "mbaya sana leo", "njema kabisa", "si njema"] * 10})
MOODS["mood"] = ["good", "bad"] * 20
TOPICS = pd.DataFrame({"title": ["bei ya mahindi", "timu ya taifa", "bei ya mafuta", "kocha mpya"] * 10})
TOPICS["topic"] = ["trade", "sport"] * 20
PROCESSORS = [
    {"kind": "text/train-bpe", "vocabulary": 300, "min_frequency": 1},
    {"kind": "text/words", "min_count": 1},
]
BACKBONE = {"text/train-bpe": "text/conv", "text/words": "text/recurrent"}


def config(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": {name: {"split": {"validation": 0.2, "test": 0.0}} for name in ("moods", "topics")},
        "backbones": {"encoder": BACKBONE[one["kind"]]},
        "inputs": {
            "comment": {"data": "moods", "columns": ["comment"], "processor": one},
            "title": {"data": "topics", "columns": ["title"], "processor": two},
        },
        "tasks": {
            "mood": {"kind": "core/classification", "data": "moods", "target": "mood"},
            "topic": {"kind": "core/classification", "data": "topics", "target": "topic"},
        },
        "train": {"epochs": 1, "bootstrap": 0, "baselines": False, "device": "cpu"},
    }


def trained(folder: Path, one: dict[str, Any], two: dict[str, Any]) -> Any:
    return jenga_core.train(
        config(one, two), data={"moods": MOODS, "topics": TOPICS}, output=folder,
        registry=Registry.of(text=jenga_text.plugin), quiet=True, report=False,
    )  # fmt: skip


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda p: p["kind"])
def test_tables_that_share_an_encoder_have_one_vocabulary_of_the_words_of_both(
    tmp_path: Path, processor: dict[str, Any]
) -> None:
    run = trained(tmp_path / "run", processor, processor)
    one, two = (run.data.parts.processors[name] for name in ("comment", "title"))
    assert one.state() == two.state()
    assert (one.columns, two.columns) == (("comment",), ("title",))
    cells = pd.DataFrame({"text": ["njema mahindi"]})
    if processor["kind"] == "text/words":
        assert (one.encode(cells).columns["features"].values[:, 0] > 0).all()  # none is a rare word
    first, second = (p.encode(cells).columns for p in (one, two))
    name = "features" if processor["kind"] == "text/words" else "ids"
    assert first[name].values.tolist() == second[name].values.tolist()
    predictor = jenga_core.load(run.folder, registry=Registry.of(text=jenga_text.plugin))
    assert {"mood.label"} <= set(predictor.predict(MOODS.head(3), table="moods").columns)


def test_validation_rows_of_neither_table_teach_words(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", PROCESSORS[1], PROCESSORS[1])
    known = set(run.data.parts.processors["title"].values[0])
    seen = {
        word
        for table, column in (("moods", "comment"), ("topics", "title"))
        for text in run.tables[table].frame[column].iloc[run.tables[table].splits["train"]]
        for word in text.split()
    }
    assert known == seen


def test_vocabularies_of_one_size_that_are_not_the_same_are_refused(tmp_path: Path) -> None:
    other = {**PROCESSORS[0], "lowercase": not jenga_text.config.TrainBpeConfig().lowercase}
    with pytest.raises(
        UserError, match="share backbone 'encoder' but their processors differ after fitting"
    ) as refused:
        trained(tmp_path / "run", PROCESSORS[0], other)
    assert "equal options" in str(refused.value)
