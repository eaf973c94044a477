"""Every family of old configurations: migrated, checked, trained for a step and used, on the original's own rows.

Set JENGA_BENCH_DATA to the folder that holds `jenga_examples`, the sample files of the original. Pretrained encoders come from a
hub, which a test cannot reach: a tiny network with new weights and a tokenizer of bytes stand in for them.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import jenga_text
from jenga_core import cli
from jenga_core.reading import read_config
from jenga_core.registry import Registry

DATA = Path(os.environ.get("JENGA_BENCH_DATA", "")) / "jenga_examples"
CONFIGS = Path(__file__).parent / "migrate_configs"
BYTES = Path(jenga_text.__file__).parent / "bytes"
TINY = (
    "{kind: text/transformer, pooling: cls, architecture: {model_type: bert, hidden_size: 16, num_hidden_layers: 2, "
    "num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 512}}"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (os.environ.get("JENGA_BENCH_DATA") and DATA.is_dir()),
        reason="NOT CHECKED on the original's rows: JENGA_BENCH_DATA does not name a folder with jenga_examples",
    ),
]

Rows = list[dict[str, Any]]


def rows_of(name: str) -> Rows:
    text = (DATA / name).read_text(encoding="utf-8")
    return (
        json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines() if line.strip()]
    )


def quality() -> Rows:
    marks = ("poor", "average", "good")
    texts = [row["text"] for row in rows_of("examples/sentiment_data.jsonl")]
    return [{"text": text, "quality_level": marks[at % 3]} for at, text in enumerate(texts)]


def urgency() -> Rows:
    return [{"text": row["text"], "label": at / 6} for at, row in enumerate(rows_of("examples/sentiment_data.jsonl"))]


def transcripts() -> Rows:
    return [{"transcript": row["text"], "labels": row["labels"]} for row in rows_of("examples/qa_score_data.json")]


def cases() -> Rows:
    """A made-up case for each category of the classifier; its own rows are not published."""
    lists = {
        name: rows_of(f"scripts/classification/{name}.json") for name in ("categories", "interventions", "priorities")
    }
    main = rows_of("scripts/classification/main_categories.json")
    return [
        {
            "narrative": f"A case of {category}.",
            "category": category,
            "main_category": main[at % len(main)],
            "intervention": lists["interventions"][at % 5],
            "priority": lists["priorities"][at % 3],
        }
        for at, category in enumerate(lists["categories"])
    ]


FILES: dict[str, Callable[[], Rows] | str] = {
    "qa_score_data.json": "examples/qa_score_data.json",
    "ner_data.jsonl": "examples/ner_data.jsonl",
    "network_traffic.json": "examples/network_traffic.json",
    "sentiment_data.csv": "examples/sentiment_data.csv",
    "sample_classification.jsonl": "examples/sentiment_data.jsonl",
    "sample_sentiment.jsonl": "multitask_bert/tests/dummy_classification_data.jsonl",
    "dummy_classification_data.jsonl": "multitask_bert/tests/dummy_classification_data.jsonl",
    "threat_classification_data.jsonl": "threat_classification_data.jsonl",
    "threat_ner_data.jsonl": "threat_ner_data.jsonl",
    "quality.jsonl": quality,
    "urgency.jsonl": urgency,
    "sample_qa_transcripts.jsonl": transcripts,
    "cases.csv": cases,
}
FAMILIES = {
    "experiment_17_outputs": {"QAScoring.final.verdict"},
    "experiment_qa": {"QA_Task.label"},
    "experiment_ner": {"SwahiliNER.entities"},
    "experiment1": {"SwahiliNER.entities"},
    "experiment_security": {"ThreatDetection.score"},
    "single_classification": {"sentiment_classification.label"},
    "hackathon_mvp": {"ThreatClassification.label", "ThreatNER.entities"},
    "phishing_and_network": {"Phishing.label", "Network.score"},
    "case_classifier": {"cases_main.label", "cases_sub.label", "cases_intervention.label", "cases_priority.label"},
    "multi_task_classification": {"fraud_detection.label"},
    "multi_task_3way_fusion": {"fraud_detection.label", "sentiment_analysis.label", "call_quality.final.verdict"},
    "qa_scoring": {"qa_scoring.final.verdict", "qa_scoring.listening.p(active_listening)"},
    "readme_shape": {
        "threat_classification.label",
        "entity_extraction.entities",
        "sentiment.label",
        "urgency_score.value",
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The old files beside the rows that they speak of."""
    for name, made in FILES.items():
        if isinstance(made, str):
            shutil.copyfile(DATA / made, tmp_path / name)
        elif name.endswith(".csv"):
            found = made()
            with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(found[0]))
                writer.writeheader()
                writer.writerows(found)
        else:
            (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in made()), encoding="utf-8")
    for path in CONFIGS.iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path


def jenga(*arguments: object) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([str(each) for each in arguments])
    assert not end.value.code, arguments


def stand_ins(new: Path) -> list[str]:
    """What a test needs instead of a pretrained encoder and a tracker."""
    config = read_config(new, registry=Registry.discover())
    found = ["train.max_steps=1", "train.trackers=[]", "train.bootstrap=0", "train.explanations=false"]
    if "encoder" in config.backbones:
        found.append(f"backbones.encoder={TINY}")
    for name, section in config.inputs.items():
        if section.backbone == "encoder":
            found.append(f"inputs.{name}.processor={{kind: text/tokenizer, max_length: 64, checkpoint: {BYTES}}}")
    return found


OF_SECURITY = {"experiment_security", "phishing_and_network"}
needs_security = pytest.mark.skipif(find_spec("jenga_security") is None, reason="the new kinds are jenga-security's")


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=needs_security if name in OF_SECURITY else ()) for name in FAMILIES]
)
def test_a_family_is_migrated_checked_trained_and_predicts(
    family: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Traps 2, 16, 17, 18, 19 of the original: fusion, types and tables that could not run, a run without a model on disk."""
    new, run = folder / "new.yaml", folder / "run"
    jenga("migrate", folder / f"{family}.yaml", "--output", new)
    jenga("check", new)
    jenga("train", new, "--output", run, *(word for each in stand_ins(new) for word in ("--set", each)))
    assert (run / "model.safetensors").is_file() or any(run.glob("*.safetensors"))
    columns: set[str] = set()
    for name, table in read_config(new, registry=Registry.discover()).data.items():
        scored = folder / f"{name}-scored.jsonl"
        jenga("predict", run, folder / next(iter(table.path or ())), "--table", name, "--output", scored)
        columns |= set(json.loads(scored.read_text(encoding="utf-8").splitlines()[0]))
    assert FAMILIES[family] <= columns


def test_six_outputs_over_rows_of_five_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trap 5 of the original: the sixth output was trained on a constant zero."""
    with pytest.raises(SystemExit) as end:
        cli.main(["migrate", str(folder / "experiment.yaml"), "--output", str(folder / "new.yaml")])
    assert end.value.code == 2
    assert (
        "head 'listening' has 6 outputs, but row 1 of qa_score_data.json has 5 labels for it" in capsys.readouterr().err
    )
    assert not (folder / "new.yaml").exists()
