"""`jenga migrate`: what each old key becomes, what is refused, and that nothing gets lost without a word."""

from __future__ import annotations

import copy
import json
import re
import string
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jenga_core import cli
from jenga_core.config import RunConfig
from jenga_core.errors import UserError
from jenga_core.reading import read_config
from jenga_core.reading.yaml_lines import parse
from jenga_core.registry import Registry
from jenga_text import plugin
from jenga_text.migrate.draft import Draft
from jenga_text.migrate.migration import migrate
from jenga_text.migrate.redaction import TYPES
from jenga_text.migrate.writing import written
from jenga_text.redact_config import EVERY

needs_security = pytest.mark.skipif(find_spec("jenga_security") is None, reason="the new kinds are jenga-security's")
CONFIGS = Path(__file__).parent / "migrate_configs"
THREATS = [
    {"text": "peace", "label": "Non-Threat"},
    {"text": "militia", "label": "Threat"},
    {"text": "market", "label": "Non-Threat"},
]
CALLS = [{"text": "hello", "labels": {"opening": [1], "listening": [1, 0, 1, 1, 1]}}]
WHOLE = {
    "opening": [1],
    "listening": [1] * 5,
    "proactiveness": [0] * 3,
    "resolution": [1] * 5,
    "hold": [0, 0],
    "closing": [1],
}
NAMES = [{"text": "Juma of Nairobi", "entities": [{"start": 0, "end": 4, "label": "PER"}]}]
BASE: dict[str, Any] = {
    "project_name": "old",
    "model": {"base_model": "distilbert-base-uncased"},
    "tasks": [
        {
            "name": "threat",
            "type": "classification",
            "data_path": "rows.jsonl",
            "heads": [{"name": "kind", "num_labels": 2}],
        }
    ],
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


class Old:
    """An old file in a folder of its own, and what `jenga migrate` makes of it."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder, self.registry = folder, registry
        self.rows(THREATS)

    def rows(self, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> None:
        (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def text(self, old: dict[str, Any]) -> str:
        path = self.folder / "old.yaml"
        path.write_text(yaml.safe_dump(old, sort_keys=False, allow_unicode=True), encoding="utf-8")
        found = migrate(path, self.registry, folder=self.folder)
        self.warnings = found.warnings
        return found.text

    def config(self, old: dict[str, Any]) -> RunConfig:
        return read_config(parse(self.text(old), "new").value, registry=self.registry)

    def task(self, type_: str, rows: list[dict[str, Any]], *heads: dict[str, Any], **more: Any) -> RunConfig:
        self.rows(rows)
        return self.config(task(type_, *heads, **more))

    def refusal(self, old: dict[str, Any]) -> str:
        with pytest.raises(UserError) as error:
            self.text(old)
        return str(error.value)


def task(type_: str, *heads: dict[str, Any], **more: Any) -> dict[str, Any]:
    one = {"name": "t", "type": type_, "data_path": "rows.jsonl", "heads": list(heads), **more}
    return {**BASE, "tasks": [one]}


def training(**keys: Any) -> dict[str, Any]:
    return {**BASE, "training": keys}


@pytest.fixture
def old(tmp_path: Path, registry: Registry) -> Old:
    return Old(tmp_path, registry)


# ------------------------------------------------------------------ keys


@pytest.mark.parametrize(
    ("keys", "path", "value"),
    [
        ({}, "epochs", 3),
        ({}, "batch_size", 16),
        ({}, "learning_rate", 2e-5),
        ({}, "schedule.warmup_steps", 100),
        ({"num_epochs": 7}, "epochs", 7),
        ({"epochs": 7}, "epochs", 7),
        ({"learning_rate": "2e-4"}, "learning_rate", 2e-4),
        ({"eval_batch_size": 5}, "evaluate_batch_size", 5),
        ({"gradient_accumulation_steps": 4}, "accumulate", 4),
        ({"weight_decay": 0.1}, "weight_decay", 0.1),
        ({"max_grad_norm": 0.5}, "clip_norm", 0.5),
        ({"max_grad_norm": 0}, "clip_norm", None),
        ({"warmup_ratio": 0.2}, "schedule.warmup_ratio", 0.2),
        ({"use_amp": True}, "precision", "fp16"),
        ({"use_amp": "no"}, "precision", "fp32"),
        ({"device": "cpu"}, "device", "cpu"),
        ({"device": "cuda"}, "device", "auto"),
        ({"eval_strategy": "steps", "eval_steps": 50}, "evaluate.steps", 50),
        ({"save_strategy": "steps", "save_steps": 50}, "checkpoint.steps", 50),
        ({"checkpoint": {"save_every_n_epochs": 2, "max_checkpoints": 5}}, "checkpoint.epochs", 2),
        ({"checkpoint": {"save_every_n_epochs": 2, "max_checkpoints": 1}}, "checkpoint.keep", 2),
        ({"save_total_limit": 4}, "checkpoint.keep", 4),
        ({"logging": {"service": "mlflow"}}, "trackers", ["mlflow"]),
        ({"logging": {"log_every_n_steps": 3}}, "log_every", 3),
    ],
)
def test_a_key_of_training_has_its_effect(old: Old, keys: dict[str, Any], path: str, value: Any) -> None:
    """Trap 9 of the original: keys that were accepted and never used."""
    found: Any = old.config(training(**keys)).train
    for part in path.split("."):
        found = getattr(found, part)
    assert found == value


def test_patience_splits_and_seeds(old: Old) -> None:
    config = old.config(training(early_stopping_patience=4, data={"test_size": 0.3, "seed": 7}))
    assert config.hooks[0].model_dump()["patience"] == 4
    assert (config.seed, config.data["rows"].split.validation, config.data["rows"].split.test) == (7, 0.3, 0)
    assert old.config(BASE).seed == 42
    assert old.config(BASE).data["rows"].split.validation == 0.2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"freeze_encoder_layers": 3}, {"freeze": 2}),
        ({"freeze_encoder_layers": 0}, {"freeze": None}),
        ({"freeze_layers": 3}, {"freeze": 3}),
        ({"gradient_checkpointing": True}, {"gradient_checkpointing": True}),
        ({"dropout": 0.3}, {"dropout": 0.3}),
    ],
)
def test_a_key_of_the_model_has_its_effect(old: Old, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Trap 15 of the original: N frozen layers were the embeddings and N - 1 layers."""
    options = old.config({**BASE, "model": {"base_model": "a/b", **given}}).backbones["encoder"].model_dump()
    assert options["checkpoint"] == "a/b"
    assert options["pooling"] == "cls"
    assert expected.items() <= options.items()


@pytest.mark.parametrize(
    ("fusion", "form"),
    [
        ({"type": "attention", "hidden_size": 768}, "attention"),
        ({"type": "attention", "dropout": 0.1}, "gated"),
        ({"type": "attention", "use_residual": False, "dropout": 0.1}, "attention"),
        ({"type": "concatenation"}, "concat"),
        ({"type": "none"}, "none"),
        ("attention", "attention"),
    ],
)
def test_fusion_is_conditioning(old: Old, fusion: Any, form: str) -> None:
    """Traps 8 and 16 of the original: fusion in a model stopped the run, on the top level it was dropped."""
    assert old.config({**BASE, "model": {"fusion": fusion}}).conditioning == form
    text = old.text({**BASE, "fusion": fusion})
    assert parse(text, "new").value["conditioning"] == form
    assert "on the top level, which the original dropped" in text


@pytest.mark.parametrize(
    ("tokenizer", "length"), [({}, 128), ({"max_length": 64}, 64), ({"max_length": 64, "truncation": False}, None)]
)
def test_the_tokenizer(old: Old, tokenizer: dict[str, Any], length: int | None) -> None:
    found = (
        old.config({**BASE, "tokenizer": {"padding": "max_length", **tokenizer}}).inputs["text"].processor.model_dump()
    )
    assert found["max_length"] == length


def test_several_tables_take_turns_unless_told_otherwise(old: Old) -> None:
    old.rows(NAMES, "names.jsonl")
    tasks = [
        *BASE["tasks"],
        {"name": "who", "type": "ner", "data_path": "names.jsonl", "heads": [{"name": "ner_head"}]},
    ]
    assert old.config({**BASE, "tasks": tasks}).train.sampling.kind == "round_robin"
    told = {**BASE, "tasks": tasks, "training": {"task_sampling": "temperature", "temperature": 3}}
    assert old.config(told).train.sampling.model_dump() == {"kind": "temperature", "temperature": 3.0}


def test_every_key_is_in_the_new_file_or_named_as_left_out(old: Old) -> None:
    """Traps 8 and 9 of the original: nothing that stands in the old file may vanish."""
    text = old.text(
        {
            **BASE,
            "model": {"base_model": "x", "hidden_size": 11},
            "tokenizer": {"padding": "max_length", "pad_token_id": 12},
            "training": {
                "output_dir": "./out",
                "save_strategy": "epoch",
                "load_best_model_at_end": True,
                "metric_for_best_model": "eval_loss",
                "greater_is_better": False,
                "task_sampling": "proportional",
                "temperature": 2.0,
                "logging": {"service": "none", "experiment_name": "some experiment"},
                "checkpoint": {"save_best": True},
                "data": {"num_workers": 2, "pii_redaction": {"strategy": "mask"}},
            },
        }
    )
    left = text.partition("Left out:")[2].partition("\nproject:")[0].replace("\n#    ", "")
    for said in (
        "model.hidden_size: 11",
        "tokenizer.padding: 'max_length'",
        "tokenizer.pad_token_id: 12",
        "training.output_dir: './out'",
        "training.save_strategy: 'epoch'",
        "training.load_best_model_at_end: true",
        "training.greater_is_better: false",
        "training.task_sampling: 'proportional' - there is one table",
        "training.temperature: 2.0",
        "training.logging.experiment_name: 'some experiment'",
        "training.checkpoint.save_best: true",
        "training.data.num_workers: 2",
        "training.data.pii_redaction.strategy: 'mask'",
    ):
        assert said in left


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"model": {"base_modell": "x"}},
            "old.yaml:3, model.base_modell: unknown key 'base_modell'.*did you mean: base_model",
        ),
        ({"training": {"early_stoping_patience": 3}}, "did you mean: early_stopping_patience"),
        ({"trainning": {}}, "did you mean: training"),
        ({"zzz": 1}, "unknown key 'zzz'.*take the key out of the old file"),
        ({"training": {"num_epochs": "many"}}, "training.num_epochs: expected a whole number, found 'many'"),
        ({"training": {"num_epochs": 3, "epochs": 3}}, "'num_epochs' and 'epochs' say the same"),
        ({"training": {"num_epochs": 0}}, r"training.num_epochs \(now train.epochs\): .*at least 1"),
        ({"training": {"learning_rate": -1}}, r"training.learning_rate \(now train.learning_rate\): .*above 0"),
        ({"training": {"eval_strategy": "steps"}}, "needs `eval_steps`"),
        ({"training": {"eval_strategy": "daily"}}, "unknown strategy 'daily'"),
        ({"training": {"logging": {"service": "mlfow"}}}, "did you mean: mlflow"),
        ({"training": {"task_sampling": "rund_robin"}}, "did you mean: round_robin"),
        ({"model": {"fusion": {"type": "atention"}}}, "unknown fusion 'atention'"),
        ({"model": {"fusion": "none"}, "fusion": "none"}, "say the same"),
        ({"model": {"backbone_type": "audio"}}, "no plugin for audio yet"),
        ({"model": "distilbert"}, "expected a section of keys"),
        ({"tasks": []}, "there is nothing to learn"),
        ({"tasks": [BASE["tasks"][0], BASE["tasks"][0]]}, "two tasks are called 'threat'"),
        ({"tasks": [{"name": "a"}]}, "needs `data_path`(.|\n)*needs `type`"),
        ({"tasks": [{**BASE["tasks"][0], "type": "clasification"}]}, "did you mean: classification"),
        ({"tasks": [{**BASE["tasks"][0], "type": "speech_to_text"}]}, "no plugin for speech yet"),
        ({"tasks": [{**BASE["tasks"][0], "label_maps": {"kin": {"0": "a"}}}]}, "no head is called 'kin'"),
        ({"tasks": [{**BASE["tasks"][0], "label_column": "lable"}]}, "no column 'lable'.*did you mean: label"),
        ({"tasks": [{**BASE["tasks"][0], "text_column": "txt"}]}, "no column 'txt'.*did you mean: text"),
    ],
)
def test_a_mistake_is_named_with_its_place(old: Old, change: dict[str, Any], says: str) -> None:
    """Trap 8 of the original: unknown keys were ignored. Trap 18: types that the documentation named were unknown."""
    found = old.refusal({**BASE, **change})
    assert re.search(says, found, re.DOTALL), found


def test_all_mistakes_are_told_at_once(old: Old) -> None:
    found = old.refusal({**BASE, "modle": {}, "training": {"num_epochs": "x", "device": 3}})
    assert all(part in found for part in ("training.num_epochs", "training.device", "unknown key 'modle'"))


def test_a_task_that_is_wrong_makes_no_metric_wrong(old: Old) -> None:
    found = old.refusal(
        {**task("classification", {"name": "h", "num_labels": 1}), "training": {"metric_for_best_model": "eval_t_h_f1"}}
    )
    assert "head 'h'" in found
    assert "metric" not in found


def test_a_broken_data_file_is_an_error(old: Old) -> None:
    (old.folder / "rows.jsonl").write_text('{"text": ', encoding="utf-8")
    assert "rows.jsonl" in old.refusal(BASE)


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize("name", ["classification", "single_label_classification", "sentiment", "sentiment_analysis"])
def test_aliases_of_classification(old: Old, name: str) -> None:
    """Trap 18 of the original: each generation knew some of these names only."""
    config = old.task(name, THREATS, {"name": "h", "num_labels": 2})
    assert config.tasks["t"].model_dump()["classes"] == ["Non-Threat", "Threat"]


def test_label_maps_keep_their_order(old: Old) -> None:
    """Trap 6 of the original: maps were made anew from the first rows."""
    maps = {"h": {0: "Threat", 1: "Non-Threat"}}
    config = old.task("classification", THREATS, {"name": "h", "num_labels": 2}, label_maps=maps)
    assert config.tasks["t"].model_dump()["classes"] == ["Threat", "Non-Threat"]


def test_a_label_outside_its_map_names_the_row(old: Old) -> None:
    """Trap 6 of the original: a label that the map lacked was left out without a word."""
    old.rows([*THREATS, {"text": "x", "label": "Thread"}])
    maps = {"h": {0: "Non-Threat", 1: "Threat"}}
    found = old.refusal(task("classification", {"name": "h", "num_labels": 2}, label_maps=maps))
    assert "label 'Thread' in row 4 of rows.jsonl is none of head 'h'" in found
    assert "did you mean: Threat" in found


def test_numbers_keep_their_places_and_names_are_told(old: Old) -> None:
    rows = [{"text": str(at), "label": at % 3} for at in range(6)]
    config = old.task("classification", rows, {"name": "h", "num_labels": 3}, labels=["bad", "good", "so so"])
    assert config.tasks["t"].model_dump()["classes"] == [0, 1, 2]
    assert "0 = bad, 1 = good, 2 = so so" in old.text(
        task("classification", {"name": "h", "num_labels": 3}, labels=["bad", "good", "so so"])
    )


def test_numbers_that_do_not_begin_at_zero_are_the_classes(old: Old) -> None:
    """Trap 6 of the original: labels 1 to 3 were taken for places in a list of three, and failed."""
    config = old.task(
        "classification", [{"text": "x", "label": at} for at in (3, 1, 2)], {"name": "h", "num_labels": 3}
    )
    assert config.tasks["t"].model_dump()["classes"] == [1, 2, 3]


@pytest.mark.parametrize("labels", [["a", "b", "c"], [0, 1, 2]])
def test_more_labels_than_outputs_are_refused(old: Old, labels: list[Any]) -> None:
    """Trap 6 of the original: the user's num_labels was replaced by what the first rows held."""
    old.rows([{"text": "x", "label": label} for label in labels])
    assert "head 'h'" in old.refusal(task("classification", {"name": "h", "num_labels": 2}))


def test_names_and_num_labels_must_agree(old: Old) -> None:
    found = old.refusal(task("classification", {"name": "h", "num_labels": 3}, label_maps={"h": {0: "a", 1: "b"}}))
    assert "num_labels is 3, but 2 labels are named: a, b" in found
    found = old.refusal(task("classification", {"name": "h", "num_labels": 2}, label_maps={"h": {1: "a", 2: "b"}}))
    assert "from 0 to 1" in found


def test_heads_have_columns_of_their_own(old: Old) -> None:
    """Traps 6 and 23 of the original: one column of labels fed every head."""
    rows = [{"narrative": "x", "priority": 1 + at % 3, "category": f"c{at % 4}"} for at in range(12)]
    heads = [
        {"name": "urgency", "num_labels": 3, "label_column": "priority"},
        {"name": "sub", "num_labels": 4, "label_column": "category", "weight": 0.5},
    ]
    config = old.task("classification", rows, *heads, text_column="narrative")
    found = {name: section.model_dump() for name, section in config.tasks.items()}
    assert {name: each["target"] for name, each in found.items()} == {"t_urgency": "priority", "t_sub": "category"}
    assert found["t_sub"]["weight"] == 0.5
    assert config.inputs["text"].columns == ["narrative"]
    assert not old.warnings


def test_heads_of_one_column_are_a_warning(old: Old) -> None:
    """Trap 6 of the original: the same column fed every head, which is hardly what is meant."""
    old.task("classification", THREATS, {"name": "a", "num_labels": 2}, {"name": "b", "num_labels": 2})
    assert any("all heads learn the column 'label'" in warning for warning in old.warnings)


def test_the_column_quality_level_is_found(old: Old) -> None:
    rows = [{"text": "x", "quality_level": mark} for mark in ("poor", "good")]
    assert old.task("classification", rows, {"name": "h", "num_labels": 2}).tasks["t"].columns() == ["quality_level"]


# ------------------------------------------------------------------ heads of yes or no


@pytest.mark.parametrize("type_", ["multi_label_classification", "qa_qc", "question_answering"])
def test_the_auditor_under_each_of_its_names(old: Old, type_: str) -> None:
    """Trap 18 of the original: qa_qc lost its labels."""
    heads = ({"name": "opening", "num_labels": 1}, {"name": "listening", "num_labels": 5, "weight": 1.5})
    found = old.task(type_, CALLS, *heads).tasks["t"].model_dump()
    assert found["target"] == "labels"
    assert len(found["heads"]["listening"]["outputs"]) == 5
    assert found["heads"]["listening"]["weight"] == 1.5


def test_label_maps_name_the_outputs(old: Old) -> None:
    maps = {"opening": {0: "greets"}, "listening": dict(enumerate("abcde"))}
    heads = ({"name": "opening", "num_labels": 1}, {"name": "listening", "num_labels": 5})
    found = old.task("multi_label_classification", CALLS, *heads, label_maps=maps).tasks["t"].model_dump()
    assert found["heads"]["opening"]["outputs"] == ["greets"]
    assert found["heads"]["listening"]["outputs"] == list("abcde")


@pytest.mark.parametrize("outputs", [4, 6])
def test_a_head_of_another_size_than_the_rows_is_refused(old: Old, outputs: int) -> None:
    """Trap 5 of the original: six outputs over rows of five were trained on a constant zero."""
    old.rows(CALLS)
    heads = ({"name": "opening", "num_labels": 1}, {"name": "listening", "num_labels": outputs})
    found = old.refusal(task("multi_label_classification", *heads))
    assert f"head 'listening' has {outputs} outputs, but row 1 of rows.jsonl has 5 labels for it" in found
    assert "set num_labels: 5, as all rows have it" in found


def test_labels_of_a_head_that_is_not_there_are_refused(old: Old) -> None:
    old.rows(CALLS)
    assert "a head 'listening'" in old.refusal(task("multi_label_classification", {"name": "opening", "num_labels": 1}))


def test_a_plain_list_is_the_label_of_the_only_head(old: Old) -> None:
    found = old.task("multi_label_classification", [{"text": "x", "labels": "[1, 0]"}], {"name": "h", "num_labels": 2})
    assert found.tasks["t"].model_dump()["heads"]["h"]["target"] == "labels"


def test_squad_under_question_answering_is_an_answer_out_of_a_text(old: Old) -> None:
    """Trap 18 of the original: one name for two tasks, of which one could not be reached."""
    squad = {
        "data": [{"paragraphs": [{"context": "Paris.", "qas": [{"question": "Where?", "id": "0", "answers": []}]}]}]
    }
    (old.folder / "squad.json").write_text(json.dumps(squad), encoding="utf-8")
    config = old.config(task("question_answering", {"name": "span"}, data_path="squad.json"))
    assert config.tasks["t"].kind == "text/span-qa"
    assert config.data["squad"].source is not None
    assert config.inputs["text"].columns == ["question", "context"]


# ------------------------------------------------------------------ entities, numbers, tables


def test_entities_need_no_label_column_and_no_name_of_a_head(old: Old) -> None:
    """Traps 22 and 23 of the original: only `ner_head` and only `label_column: entities` worked."""
    maps = {"anything": {0: "O", 1: "B-PER", 2: "I-PER"}}
    found = old.task("ner", NAMES, {"name": "anything", "num_labels": 3}, label_maps=maps).tasks["t"].model_dump()
    assert (found["target"], found["form"], found["types"]) == ("entities", "spans", ["PER"])


def test_tags_in_a_column_are_bio(old: Old) -> None:
    rows = [{"body": "Juma of Nairobi", "labels": "B-PER O B-LOC"}]
    found = old.task("ner", rows, {"name": "h"}, text_column="body").tasks["t"].model_dump()
    assert (found["target"], found["form"], found["text"]) == ("labels", "bio", "body")


def test_an_entity_outside_label_maps_is_refused(old: Old) -> None:
    old.rows(NAMES)
    found = old.refusal(task("ner", {"name": "h", "num_labels": 2}, label_maps={"h": {0: "O", 1: "ORG"}}))
    assert "the entity label 'PER' in row 1" in found


def test_regression_is_one_number_for_each_head(old: Old) -> None:
    """Trap 18 of the original: regression could not be run at all."""
    rows = [{"text": "x", "score": 0.5}]
    head = {"name": "h", "num_labels": 1}
    found = old.task("regression", rows, head, label_column="score", loss_type="huber").tasks["t"].model_dump()
    assert (found["kind"], found["target"], found["loss"]) == ("core/regression", "score", "huber")
    assert "a number is one output" in old.refusal(
        task("regression", {"name": "h", "num_labels": 2}, label_column="score")
    )


FLOWS = [{"bytes": at, "proto": "tcp", "id": at, "label": at % 2} for at in range(8)]


@needs_security
def test_a_table_is_read_whole_and_its_size_is_no_key(old: Old) -> None:
    """Trap 19 of the original: text stopped it, nothing was scaled, and input_dim was lost with the model."""
    head = {"name": "threat", "num_labels": 2}
    old.rows(FLOWS)
    given = {**task("anomaly_detection", head, input_dim=7), "model": {"base_model": "security_mlp_v1"}}
    config = old.config({**given, "model": {"base_model": "security_mlp_v1", "backbone_type": "sequential"}})
    assert config.tasks["t"].kind == "security/anomaly"
    assert config.inputs["row"].processor.kind == "security/table"
    assert config.inputs["row"].exclude == ["id"]
    assert list(config.backbones) == ["table"]
    assert "input_dim: 7 - Jenga counts the columns" in old.text(given)


def test_without_jenga_security_a_table_is_written_and_said_to_be_unchecked(old: Old) -> None:
    old.rows(FLOWS)
    old.registry = Registry.of(text=plugin)
    text = old.text(task("anomaly_detection", {"name": "threat", "num_labels": 2}))
    assert "kind: security/anomaly" in text
    assert any("pip install jenga-security" in warning for warning in old.warnings)


@needs_security
def test_label_zero_of_label_maps_is_normal(old: Old) -> None:
    rows = [{"bytes": 1, "label": "fine"}, {"bytes": 2, "label": "bad"}]
    maps = {"h": {0: "fine", 1: "bad"}}
    found = old.task("anomaly_detection", rows, {"name": "h", "num_labels": 2}, label_maps=maps).tasks["t"].model_dump()
    assert found["normal"] == ["fine"]


@needs_security
def test_more_than_two_kinds_of_traffic_are_classes(old: Old) -> None:
    rows = [{"bytes": at, "label": at % 3} for at in range(6)]
    config = old.task("anomaly_detection", rows, {"name": "h", "num_labels": 3})
    assert config.tasks["t"].kind == "core/classification"
    assert config.inputs["row"].processor.kind == "security/table"


# ------------------------------------------------------------------ metrics


@pytest.mark.parametrize(
    ("name", "monitor"),
    [
        ("eval_loss", "loss"),
        ("eval_threat_loss", "threat.loss"),
        ("threat_loss", "threat.loss"),
        ("eval_threat_kind_accuracy", "threat.accuracy"),
        ("threat_kind_f1", "threat.f1_weighted"),
        ("eval_f1", "threat.f1_weighted"),
        ("eval_overall_f1", "threat.f1_weighted"),
    ],
)
def test_names_of_metrics(old: Old, name: str, monitor: str) -> None:
    """Trap 17 of the original: its own default, eval_loss, was never computed, and no model was saved."""
    assert old.config(training(metric_for_best_model=name)).train.monitor == monitor


def test_metrics_of_other_tasks(old: Old) -> None:
    old.rows(CALLS)
    call = task("qa_qc", {"name": "opening", "num_labels": 1}, {"name": "listening", "num_labels": 5})
    for name, monitor in (("eval_t_opening_f1", "t.opening.f1"), ("t_listening_precision", "t.listening.f1")):
        assert old.config({**call, "training": {"metric_for_best_model": name}}).train.monitor == monitor
    old.rows(NAMES)
    who = {**task("ner", {"name": "h"}), "training": {"metric_for_best_model": "eval_t_h_accuracy"}}
    assert old.config(who).train.monitor == "t.f1"
    assert "the accuracy of tokens is high where nothing is found" in old.text(who)


def test_the_mean_over_tasks_becomes_the_sum_of_losses_and_says_so(old: Old) -> None:
    old.rows(NAMES, "names.jsonl")
    tasks = [
        *BASE["tasks"],
        {"name": "who", "type": "ner", "data_path": "names.jsonl", "heads": [{"name": "ner_head"}]},
    ]
    given = {
        **BASE,
        "tasks": tasks,
        "training": {"metric_for_best_model": "eval_overall_f1", "greater_is_better": True},
    }
    assert old.config(given).train.monitor == "loss"
    assert "was eval_overall_f1; the mean over tasks is no metric of Jenga" in old.text(given)
    assert not old.warnings


def test_an_unknown_metric_names_the_nearest(old: Old) -> None:
    found = old.refusal(training(metric_for_best_model="eval_threat_kind_acuracy"))
    assert "did you mean: eval_threat_kind_accuracy" in found


def test_a_direction_that_chose_the_worst_weights_is_a_warning(old: Old) -> None:
    """Trap 24 of the original: a mean of metrics was stopped on as if lower were better."""
    old.text(training(metric_for_best_model="eval_loss", greater_is_better=True))
    assert any("chose the worst weights" in warning for warning in old.warnings)


# ------------------------------------------------------------------ what should not be in a file


def test_addresses_and_home_folders_are_warned_of(old: Old) -> None:
    """Trap 22 of the original: home folders and a tracking server's address in files that were published."""
    given = task("classification", {"name": "h", "num_labels": 2}, data_path="/Users/someone/rows.jsonl")
    text = old.text({**given, "training": {"logging": {"service": "mlflow", "tracking_uri": "http://192.0.2.7:5000"}}})
    assert "192.0.2.7" not in text
    assert "someone" not in text, "the file of that name beside the old one was taken"
    assert any("absolute path" in warning for warning in old.warnings)
    assert any("tracking server" in warning for warning in old.warnings)


def redacting(**options: Any) -> dict[str, Any]:
    return training(data={"pii_redaction": {"enabled": True, **options}})


@pytest.mark.parametrize(
    ("options", "redact"),
    [
        ({}, {"action": "mask"}),
        ({"strategy": "remove", "detect_types": []}, {"action": "remove"}),
        ({"detect_types": ["mpesa_id", "ip_address", "dob"]}, {"types": ["mpesa", "ip"], "action": "mask"}),
        ({"strategy": "hash", "hash_salt": "grain"}, {"action": "hash", "secret_env": "JENGA_REDACTION_SECRET"}),
    ],
)
def test_redaction_happens_now(old: Old, options: dict[str, Any], redact: dict[str, Any]) -> None:
    """Trap 9 of the original: pii_redaction was accepted and nothing was redacted."""
    text = old.text(redacting(**options))
    assert parse(text, "new").value["inputs"]["text"]["processor"]["redact"] == redact
    assert "grain" not in text, "a salt is a secret"
    assert any("set the environment variable" in warning for warning in old.warnings) == ("secret_env" in redact)
    lost = [warning for warning in old.warnings if "no pattern for these" in warning]
    assert any("dob" in warning for warning in lost) == ("dob" in (options.get("detect_types") or "dob"))


def test_every_type_that_jenga_redacts_had_a_name_in_the_original() -> None:
    assert sorted(TYPES.values()) == sorted(EVERY)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "flag"}, "flag marked texts and changed none"),
        ({"detect_types": ["po_box", "person_name"]}, "nothing is left to look for"),
    ],
)
def test_redaction_that_does_not_happen_is_a_warning(old: Old, options: dict[str, Any], says: str) -> None:
    assert "redact" not in parse(old.text(redacting(**options)), "new").value["inputs"]["text"]["processor"]
    assert any("nothing is redacted" in warning and says in warning for warning in old.warnings)


def test_tables_of_numbers_have_nothing_to_redact(old: Old) -> None:
    old.rows([{"bytes": n, "label": n % 2} for n in range(4)])
    given = copy.deepcopy(redacting())
    given["tasks"][0]["type"] = "anomaly_detection"
    assert "redact" not in parse(old.text(given), "new").value["inputs"]["row"]["processor"]
    assert any("only texts are redacted" in warning for warning in old.warnings)


def test_redaction_that_is_off_is_left_out(old: Old) -> None:
    text = old.text(training(data={"pii_redaction": {"enabled": False, "strategy": "hash", "hash_salt": "grain"}}))
    assert "redaction was off" in text
    assert "grain" not in text
    assert "redact" not in parse(text, "new").value["inputs"]["text"]["processor"]
    assert not old.warnings


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"strategy": "masc"}, "did you mean: mask"),
        ({"detect_types": ["email", "phone_kenya"]}, "did you mean: phone_ke"),
    ],
)
def test_redaction_of_unknown_words_names_the_nearest(old: Old, options: dict[str, Any], says: str) -> None:
    assert says in old.refusal(redacting(**options))


def test_without_the_data_the_file_says_what_was_not_checked(old: Old) -> None:
    given = task(
        "classification", {"name": "h", "num_labels": 2}, data_path="absent.csv", label_maps={"h": {0: "a", 1: "b"}}
    )
    text = old.text(given)
    assert "absent.csv: not found, so nothing in it was checked" in text
    assert parse(text, "new").value["tasks"]["t"]["classes"] == ["a", "b"]


# ------------------------------------------------------------------ language models


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("llm_finetuning_experiment.yaml", "model.peft_config.r: 8"),
        ("llm_finetuning_teacher_student.yaml", "distillation: share of the teacher in the loss"),
        ("seq2seq_finetuning_experiment.yaml", "the pretrained model"),
        ("llm_finetuning.yaml", "lora.rank: 8"),
        ("translation.json", "how often its rows are seen"),
    ],
)
def test_files_of_language_models_are_explained_and_nothing_is_written(
    name: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["migrate", str(CONFIGS / name), "--output", str(tmp_path / "new.yaml")])
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "The package jenga-llm will train these" in err
    assert says in err
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_not_understood_is_said_to_be_so(old: Old) -> None:
    found = old.refusal({"model_name": "gpt2", "lora": {"rnk": 8}})
    assert "not understood; did you mean lora.rank?" in found


# ------------------------------------------------------------------ the command


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(each) for each in arguments])
    return int(end.value.code or 0)


def test_the_command_writes_a_file_once(old: Old, capsys: pytest.CaptureFixture[str]) -> None:
    path, new = old.folder / "old.yaml", old.folder / "sub" / "new.yaml"
    path.write_text(yaml.safe_dump(BASE), encoding="utf-8")
    assert run("migrate", path) == 0
    assert "path: rows.jsonl" in capsys.readouterr().out
    assert run("migrate", path, "--output", new) == 0
    assert capsys.readouterr().out == f"{new}\n"
    assert "path: ../rows.jsonl" in new.read_text(encoding="utf-8"), "relative to the new file's folder"
    assert run("check", new) == 0
    assert run("migrate", path, "--output", new) == 2
    assert run("migrate", old.folder / "nothing.yaml") == 2


# ------------------------------------------------------------------ any input


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, below in inner for each in places(below, (*path, key)))]


def other(value: Any) -> Any:
    """A value of the same form that means something else."""
    if isinstance(value, bool):
        return not value
    return value * 2 + 1 if isinstance(value, int) else value / 2


def changeable() -> list[tuple[str, tuple[Any, ...]]]:
    """Every number and switch of every old file that can be migrated."""
    found = []
    for path in sorted(CONFIGS.glob("*.yaml")):
        old = yaml.safe_load(path.read_text(encoding="utf-8"))
        for place in places(old) if "tasks" in old else ():
            value = at(old, place)
            if isinstance(value, bool | int | float) and "label_maps" not in place:
                found.append((path.stem, place))
    return found


def at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


@pytest.mark.parametrize(
    ("name", "place"), [pytest.param(*each, id=f"{each[0]}-{'.'.join(map(str, each[1]))}") for each in changeable()]
)
def test_a_key_that_is_read_changes_what_is_written(old: Old, name: str, place: tuple[Any, ...]) -> None:
    """Trap 9 of the original, for this command too: another value gives another file or a refusal."""
    given_ = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    changed = copy.deepcopy(given_)
    at(changed, place[:-1])[place[-1]] = other(at(given_, place))
    before = old.text(given_)
    try:
        after = old.text(changed)
    except UserError:
        return
    assert after != before


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=12)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, max_size=6), inner, max_size=3)
    ),
)


FULL = {
    name: yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    for name in ("hackathon_mvp", "qa_scoring")
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), value=values, name=st.sampled_from(sorted(FULL)))
def test_any_value_at_any_place_is_migrated_or_refused(old: Old, data: st.DataObject, value: Any, name: str) -> None:
    """Never a traceback, and never a file that Jenga does not read."""
    old.rows(THREATS, "threat_classification_data.jsonl")
    old.rows(NAMES, "threat_ner_data.jsonl")
    old.rows([{"transcript": each["text"], "labels": WHOLE} for each in CALLS], "sample_qa_transcripts.jsonl")
    given_ = copy.deepcopy(FULL[name])
    place = data.draw(st.sampled_from(places(given_)[1:]))
    holder = given_
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    try:
        text = old.text(given_)
    except UserError:
        return
    read_config(parse(text, "new").value, registry=old.registry)


KINDS = {
    "classification": "label",
    "qa_qc": "labels",
    "ner": "entities",
    "regression": "label",
    "anomaly_detection": "label",
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(values, min_size=1, max_size=4), kind=st.sampled_from(sorted(KINDS)))
def test_any_cell_as_a_label_is_migrated_or_refused(old: Old, cells: list[Any], kind: str) -> None:
    old.rows([{"text": "x", "size": 1, KINDS[kind]: cell} for cell in cells])
    try:
        old.config(task(kind, {"name": "h", "num_labels": 2}, label_maps={"h": {0: "O", 1: "a"}}))
    except UserError:
        return


def test_lists_of_parquet_are_those_of_json(old: Old) -> None:
    import pandas as pd

    pd.DataFrame([{"text": "x", "labels": {"opening": [1], "listening": [1, 0]}}]).to_parquet(
        old.folder / "rows.parquet"
    )
    heads = ({"name": "opening", "num_labels": 1}, {"name": "listening", "num_labels": 3})
    found = old.refusal(task("qa_qc", *heads, data_path="rows.parquet"))
    assert "head 'listening' has 3 outputs, but row 1 of rows.parquet has 2 labels for it" in found


@given(remark=st.text(max_size=300), value=st.text(max_size=40))
def test_a_remark_never_becomes_part_of_the_configuration(remark: str, value: str) -> None:
    draft = Draft()
    draft.put(("project",), value, remark)
    draft.put(("data", "rows", "path"), value, remark)
    draft.warn(remark)
    draft.looked.append(remark)
    try:
        found = parse(written(draft, "old.yaml"), "new").value
    except UserError:
        assert any(not c.isprintable() for c in value), "a value that YAML cannot hold"
        return
    assert found == {"project": value, "data": {"rows": {"path": value}}}
