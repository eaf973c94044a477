"""Bad texts and labels through the command line: an error with file, row and column, or counted and reported.

Every case runs `jenga` in this process over a few rows and a network of eight units.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from jenga_core.cli import main

ROWS = 40
PLACES = ["Nairobi", "Mombasa", "Kisumu", "Nakuru"]
HEADS = {"opening": ["greets"], "listening": ["a", "b", "c", "d", "e"]}


def rows() -> list[dict[str, Any]]:
    """Good rows, with a label for every kind of task."""
    made = []
    for at in range(ROWS):
        text = f"{'Habari njema' if at % 2 else 'Shida kubwa'} kutoka {PLACES[at % 4]} leo"
        start = text.index("kutoka ") + 7
        entities = [{"start": start, "end": start + len(PLACES[at % 4]), "label": "LOC"}]
        scores = {"opening": [at % 2], "listening": [1, 0, at % 2, 1, int(at % 3 == 0)]}
        made.append({"text": text, "mood": "good" if at % 2 else "bad", "entities": entities, "scores": scores,
                     "tags": "O O O B-LOC O"})  # fmt: skip
    return made


TASKS: dict[str, dict[str, Any]] = {
    "mood": {"kind": "core/classification", "target": "mood"},
    "ner": {"kind": "text/ner", "target": "entities"},
    "bio": {"kind": "text/ner", "target": "tags", "form": "bio"},
    "audit": {
        "kind": "text/scoring",
        "target": "scores",
        "heads": {name: {"outputs": outputs} for name, outputs in HEADS.items()},
    },
}


class Shell:
    """`jenga` in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys, self.runs = folder, capsys, 0

    def __call__(self, *arguments: object, status: int = 0) -> tuple[str, str]:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(each) for each in arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        assert (end.value.code or 0) == status, err
        return out, err

    def write(self, content: Any, name: str = "calls.jsonl") -> Path:
        path = self.folder / name
        lines = "".join(json.dumps(row) + "\n" for row in content) if isinstance(content, list) else content
        path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
        return path

    def train(
        self, content: Any, task: str | Mapping[str, Any], status: int = 0, name: str = "calls.jsonl", **processor: Any
    ) -> str:
        """stderr of a training run over these rows; the model is in `folder / "run"`."""
        section = TASKS[task] if isinstance(task, str) else task
        config = {
            "data": {"calls": {"path": str(self.write(content, name)), "split": {"validation": 0.2, "test": 0.2}}},
            "inputs": {"call": {"columns": ["text"], "processor": {"kind": "text/words", "min_count": 1, **processor}}},
            "backbones": {"words": {"kind": "text/recurrent", "embedding": 4, "hidden": 8}},
            "tasks": {"task": section},
            "train": {"epochs": 1, "batch_size": 16, "bootstrap": 0, "baselines": False, "device": "cpu"},
        }
        if name.endswith(".conll"):
            config["data"]["calls"]["source"] = "text/conll"
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))
        run = self.folder / "run"
        err = self("train", self.folder / "config.yaml", "--output", run, status=status)[1]
        assert run.exists() == (status == 0)
        return err

    def refused(self, content: Any, task: str | Mapping[str, Any], name: str = "calls.jsonl") -> str:
        return self.train(content, task, status=2, name=name)

    def predict(self, content: Any, name: str = "new.jsonl") -> tuple[pd.DataFrame, str]:
        scored = self.folder / "scored.jsonl"
        err = self("predict", self.folder / "run", self.write(content, name), "--output", scored)[1]
        return pd.read_json(scored, lines=True), err

    def evaluate(self, content: Any) -> dict[str, Any]:
        out, _ = self("evaluate", self.folder / "run", self.write(content, "judged.jsonl"), "--json")
        (judgement,) = json.loads(out)["judgements"]
        found: dict[str, Any] = judgement
        return found


@pytest.fixture
def jenga(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def changed(at: int, **cells: Any) -> list[dict[str, Any]]:
    """Good rows, with these cells in row `at` (counted from 1)."""
    made = rows()
    made[at - 1].update(cells)
    return made


@pytest.mark.parametrize("blank", ["", "  \t\n", None], ids=["empty", "white space", "null"])
def test_blank_texts_are_counted_and_keep_their_place(jenga: Shell, blank: str | None) -> None:
    bad = changed(7, text=blank)
    assert "input call: 1 of 40 rows excluded: no text" in jenga.train(bad, "mood")
    scored, err = jenga.predict(bad)
    assert len(scored) == ROWS
    assert scored["task.label"].isna().tolist() == [at == 6 for at in range(ROWS)]
    assert "no usable input, so no prediction: 1 of 40 rows" in err


def test_a_megabyte_in_one_cell_is_read_and_predicted(jenga: Shell) -> None:
    bad = changed(7, text="neno " * 200_000, entities=[])
    begun = time.process_time()
    jenga.train(bad, "ner")
    scored, _ = jenga.predict(bad)
    assert time.process_time() - begun < 60
    assert scored["task.entities"].notna().all()


@pytest.mark.parametrize("name", ["calls.jsonl", "calls.csv", "calls.conll"])
def test_bytes_that_are_no_utf_8(jenga: Shell, name: str) -> None:
    lines = {
        "calls.jsonl": b'{"text": "caf\xe9", "mood": "good"}\n',
        "calls.csv": b"text,mood\ncaf\xe9,good\n",
        "calls.conll": b"caf\xe9 B-LOC\n",
    }
    task = {**TASKS["ner"]} if name.endswith("conll") else "mood"
    err = jenga.refused(lines[name], task, name)
    assert name in err
    assert "byte 0xe9 is not valid utf-8" in err


@pytest.mark.parametrize(
    ("entities", "says"),
    [
        ([{"start": 0, "end": 6, "label": "LOC"}, {"start": 3, "end": 9, "label": "LOC"}], "overlap"),
        ([{"start": 0, "end": 999, "label": "LOC"}], "LOC 0:999 does not lie within the text of"),
        ([{"start": -2, "end": 3, "label": "LOC"}], "LOC -2:3 does not lie within the text of"),
    ],
)
def test_spans_that_overlap_or_lie_outside(jenga: Shell, entities: Any, says: str) -> None:
    err = jenga.refused(changed(9, entities=entities), "ner")
    assert "calls.jsonl, row 9, column 'entities'" in err
    assert says in err


def test_spans_that_cut_a_word_are_counted_and_in_the_report(jenga: Shell) -> None:
    err = jenga.train(changed(9, entities=[{"start": 1, "end": 6, "label": "LOC"}]), "ner")
    assert "task task: 1 of 40 rows: an entity cuts a token" in err
    assert "an entity cuts a token" in (jenga.folder / "run" / "report.html").read_text()


LISTED = {**TASKS["mood"], "classes": ["bad", "good"]}
TYPES = {**TASKS["ner"], "types": ["PER", "LOC"]}


@pytest.mark.parametrize(
    ("task", "column", "cell", "says", "near"),
    [
        (LISTED, "mood", "god", "label 'god' is not one of `classes`", "did you mean: good"),
        (
            TYPES,
            "entities",
            [{"start": 0, "end": 6, "label": "LOK"}],
            "type 'LOK' is not in `types`",
            "did you mean: LOC",
        ),
        (TASKS["audit"], "scores", {"oppening": [1]}, "labels of a head 'oppening'", "did you mean: opening"),
        (TASKS["bio"], "tags", "O O O X-LOC O", "'X-LOC' is no tag", "O, or B-LABEL and I-LABEL"),
    ],
    ids=["class", "type", "head", "tag"],
)
def test_labels_outside_the_map(jenga: Shell, task: Any, column: str, cell: Any, says: str, near: str) -> None:
    made = rows()
    for row in made:
        row[column] = cell
    err = jenga.refused(made, task)
    assert f"column '{column}'" in err
    assert "calls.jsonl, row " in err
    assert says in err
    assert near in err


def test_bio_that_begins_with_i_is_read_and_counted(jenga: Shell) -> None:
    err = jenga.train(changed(9, tags="O O O I-LOC O"), "bio")
    assert "1 of 40 rows: an entity begins with I (read as B)" in err
    lines = "\n\n".join(f"Habari O\n{PLACES[at % 4]} {'I' if at == 3 else 'B'}-LOC" for at in range(ROWS))
    noted = Shell(jenga.folder, jenga.capsys)
    (jenga.folder / "run").rename(jenga.folder / "other")
    assert "1 entities begin with I- or E-" in noted.train(lines, "ner", name="calls.conll")


def test_six_outputs_over_rows_with_five(jenga: Shell) -> None:
    """Trap 5 of the original: the sixth was filled with a constant 0."""
    heads = {"opening": {"outputs": ["greets"]}, "listening": {"outputs": ["a", "b", "c", "d", "e", "f"]}}
    err = jenga.refused(rows(), {**TASKS["audit"], "heads": heads})
    assert "calls.jsonl, row " in err
    assert "column 'scores': head 'listening' has 6 outputs, but the row has 5 labels for it" in err


@pytest.mark.parametrize(
    ("task", "cells", "kind", "reason", "judged"),
    [
        ("mood", {"mood": "odd"}, "excluded", "unknown label", ROWS - 1),
        (
            "ner",
            {"entities": [{"start": 0, "end": 6, "label": "PER"}]},
            "remarks",
            "an entity of a type that training rows lack (judged as missed)",
            ROWS,
        ),
    ],
)
def test_a_label_first_seen_at_evaluation(
    jenga: Shell, task: str, cells: dict[str, Any], kind: str, reason: str, judged: int
) -> None:
    """Trap 6 of the original: what the map lacked became "ignore", silently."""
    jenga.train(rows(), task)
    judgement = jenga.evaluate(changed(9, **cells))
    assert judgement[kind][reason] == 1
    assert reason not in judgement["remarks" if kind == "excluded" else "excluded"]
    assert judgement["rows"] == judged


@pytest.mark.parametrize(
    ("task", "column"), [("mood", "mood"), ("ner", "entities"), ("audit", "scores"), ("bio", "tags")]
)
def test_null_labels_are_counted(jenga: Shell, task: str, column: str) -> None:
    err = jenga.train(changed(9, **{column: None}), task)
    assert "task task: 1 of 40 rows excluded: no label" in err


def test_a_list_where_a_text_should_be(jenga: Shell) -> None:
    err = jenga.refused(changed(9, text=["a", "b"]), "mood")
    assert "calls.jsonl, row 9, column 'text': a list is not a text" in err
