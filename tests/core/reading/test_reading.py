"""YAML or a mapping -> RunConfig: what may be left out, lines, overrides, every key, and back to YAML."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jenga_core.config import RunConfig, Section
from jenga_core.errors import ConfigError
from jenga_core.reading import dump_config, read, read_config, stratify_column

GOOD = """\
project: soc
data:
  flows: {path: flows.csv, split: {by: time, column: ts}}
backbones:
  table: security/tabular-mlp
inputs:
  flow:
    columns: [bytes, port]
    processor: {kind: security/table, bins: 4}
tasks:
  threat: {kind: core/classification, target: label}
train: {learning_rate: 2e-4, deterministic: on}
hooks:
  - core/early-stopping
"""


def put(value: Any, path: str, new: Any) -> Any:
    """A copy of `value` with `new` at the dotted `path`."""
    value = deepcopy(value)
    *way, last = path.split(".")
    holder = value
    for key in way:
        holder = holder.setdefault(key, {})
    holder[last] = new
    return value


def errors(source: Any, kinds: Any, **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_config(source, registry=kinds, **more)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_becomes_a_run_config(tmp_path: Path, kinds: Any) -> None:
    (tmp_path / "soc.yaml").write_text(GOOD)
    config = read_config(tmp_path / "soc.yaml", registry=kinds)
    assert config.project == "soc"
    assert config.train.learning_rate == 2e-4
    assert config.train.deterministic is True
    assert config.data["flows"].path == ["flows.csv"]
    assert config.inputs["flow"].processor.kind == "security/table"
    assert config.inputs["flow"].processor.bins == 4
    assert type(config.backbones["table"]).__name__ == "NetworkConfig"
    assert config.hooks[0].kind == "core/early-stopping"


def test_what_may_be_left_out_is_filled_in(smallest: Any, kinds: Any) -> None:
    config = read_config(smallest, registry=kinds)
    assert config.inputs["flow"].data == "flows"
    assert config.inputs["flow"].backbone == "table"
    assert config.tasks["threat"].data == "flows"


def test_the_source_mapping_is_not_changed(smallest: Any, kinds: Any) -> None:
    before = deepcopy(smallest)
    read_config(smallest, overrides=["train.epochs=2"], registry=kinds)
    assert smallest == before


def test_only_the_kinds_that_are_named_are_imported(smallest: Any, kinds: Any) -> None:
    read_config(smallest, registry=kinds)
    assert sorted(kinds.imported) == ["core/classification", "security/table", "security/tabular-mlp"]


def test_reading_keeps_lines_and_folder_for_later_messages(tmp_path: Path, kinds: Any) -> None:
    (tmp_path / "soc.yaml").write_text(GOOD)
    reading = read(str(tmp_path / "soc.yaml"), registry=kinds)
    assert reading.base == tmp_path
    assert reading.origin.where(("inputs", "flow", "columns", 1)) == f"{tmp_path}/soc.yaml:8, inputs.flow.columns.1"
    assert reading.origin.where(("train", "epochs")) == f"{tmp_path}/soc.yaml:12, train.epochs"


def test_reading_imports_neither_torch_nor_pandas() -> None:
    code = "import jenga_core.reading, sys; print([m for m in ('torch', 'pandas', 'transformers') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# ------------------------------------------------------------------ every key

KEYS: list[tuple[str, Any, Any]] = [  # path, value typed, value that lands there
    ("project", "soc", "soc"),
    ("seed", 7, 7),
    ("data.flows.path", "a.csv", ["a.csv"]),
    ("data.flows.path", ["a.csv", "b*.csv"], ["a.csv", "b*.csv"]),
    ("data.flows.path", {"train": "a.csv", "test": ["b.csv"]}, {"train": ["a.csv"], "test": ["b.csv"]}),
    ("data.flows.source", "core/csv", {"kind": "core/csv", "delimiter": ","}),
    ("data.flows.source", {"kind": "core/csv", "delimiter": ";"}, {"kind": "core/csv", "delimiter": ";"}),
    ("data.flows.split.validation", 0.3, 0.3),
    ("data.flows.split.test", 0, 0.0),
    ("data.flows.split.by", "stratified", "stratified"),
    ("data.flows.split", {"by": "group", "column": "host"}, {"by": "group", "column": "host"}),
    ("data.flows.split", {"by": "stratified", "column": "site"}, {"column": "site"}),
    ("inputs.flow.data", "flows", "flows"),
    ("inputs.flow.columns", ["x", "no"], ["x", "no"]),
    ("inputs.flow.columns", None, None),
    ("inputs.flow", {"exclude": ["x"], "processor": "security/table"}, {"exclude": ["x"]}),
    ("inputs.flow.processor", {"kind": "security/table", "bins": 2}, {"kind": "security/table", "bins": 2}),
    ("inputs.flow.backbone", "table", "table"),
    ("backbones.table", {"kind": "security/tabular-mlp", "width": 4}, {"kind": "security/tabular-mlp", "width": 4}),
    ("fusion", "core/concat", {"kind": "core/concat", "dim": None}),
    ("conditioning", "attention", "attention"),
    ("tasks.threat.data", "flows", "flows"),
    ("tasks.threat.weight", 0.5, 0.5),
    ("tasks.threat.target", "attack", "attack"),
    ("tasks.threat.threshold", {"target_fpr": 0.01}, {"target_fpr": 0.01}),
    ("train.epochs", 3, 3),
    ("train.max_steps", 100, 100),
    ("train.batch_size", 8, 8),
    ("train.accumulate", 4, 4),
    ("train.learning_rate", 1, 1.0),
    ("train.weight_decay", 0, 0.0),
    ("train.clip_norm", None, None),
    ("train.clip_norm", 5, 5.0),
    ("train.schedule", "cosine", {"kind": "cosine", "warmup_steps": 0, "warmup_ratio": 0.0}),
    ("train.schedule", {"kind": "constant", "warmup_steps": 5}, {"kind": "constant", "warmup_steps": 5}),
    ("train.schedule", {"warmup_ratio": 0.1}, {"kind": "linear", "warmup_ratio": 0.1}),
    ("train.precision", "bf16", "bf16"),
    ("train.device", "cpu", "cpu"),
    ("train.sampling", "sequential", {"kind": "sequential"}),
    ("train.sampling", {"kind": "round_robin"}, {"kind": "round_robin"}),
    ("train.sampling", {"kind": "proportional"}, {"kind": "proportional"}),
    ("train.sampling", {"kind": "temperature", "temperature": 5}, {"kind": "temperature", "temperature": 5.0}),
    ("train.evaluate", {"steps": 50}, {"steps": 50, "epochs": None}),
    ("train.evaluate", {"epochs": 2}, {"epochs": 2, "steps": None}),
    ("train.evaluate_batch_size", 256, 256),
    ("train.checkpoint", {"steps": 10, "keep": 3, "after": "keep"}, {"steps": 10, "keep": 3, "after": "keep"}),
    ("train.monitor", "threat.f1", "threat.f1"),
    ("train.deterministic", True, True),
    ("train.log_every", 1, 1),
    ("train.trackers", ["tensorboard", "mlflow", "wandb"], ["tensorboard", "mlflow", "wandb"]),
    ("train.bootstrap", 0, 0),
    ("train.baselines", False, False),
    ("train.explanations", False, False),
    ("train.batch_tokens", 512, 512),
]


def at(config: Any, path: str) -> Any:
    for key in path.split("."):
        config = config[key] if isinstance(config, dict) else getattr(config, key)
    return config


@pytest.mark.parametrize(("path", "typed", "landed"), KEYS, ids=[f"{k[0]}={k[1]}" for k in KEYS])
def test_every_key_lands(path: str, typed: Any, landed: Any, smallest: Any, kinds: Any) -> None:
    value = at(read_config(put(smallest, path, typed), registry=kinds), path)
    if isinstance(value, Section):
        options = value.model_dump()
        value = {key: options[key] for key in landed}
    assert value == landed


def test_hooks_land_in_order(smallest: Any, kinds: Any) -> None:
    smallest["hooks"] = [{"kind": "core/early-stopping", "patience": 9}, "core/early-stopping"]
    assert [hook.patience for hook in read_config(smallest, registry=kinds).hooks] == [9, 3]


def test_the_table_above_has_every_key_of_the_grammar() -> None:
    from jenga_core import config as grammar

    tested = {path.split(".")[-1] for path, _, _ in KEYS}
    tested |= {key for _, typed, _ in KEYS if isinstance(typed, dict) for key in typed}
    sections = [v for v in vars(grammar).values() if isinstance(v, type) and issubclass(v, Section)]
    every = {name for section in sections for name in section.model_fields}
    holders = {"backbones", "inputs", "tasks", "train", "split", "hooks"}  # reached by every path through them
    assert every - holders <= tested


# ------------------------------------------------------------------ back to YAML


def test_a_dump_says_every_default_and_reads_back_equal(tmp_path: Path, smallest: Any, kinds: Any) -> None:
    config = read_config(smallest, registry=kinds)
    text = dump_config(config)
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    assert read_config(tmp_path / "config.yaml", registry=kinds) == config
    dumped = yaml.safe_load(text)
    assert set(dumped) == set(RunConfig.model_fields)
    assert set(dumped["train"]) == set(type(config.train).model_fields)
    assert dumped["backbones"]["table"] == {"kind": "security/tabular-mlp", "width": 8, "dropout": 0.1}


NAMES = st.text("abcXYZ019_-", min_size=1, max_size=8)
WORDS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.sampled_from(["on", "no", "y", "2e-4", "1_000", "007", "0x1f", "12:30", "2026-01-31", "null", "~", "=", "<<"]),
    st.sampled_from([".5", "1.", "-", "- a", "a: b", "# c", "true", ".inf", "*a", "&a", "!x", "%d", "\ufeff", "\x85"]),
)
SPLITS = st.one_of(
    st.fixed_dictionaries({"validation": st.floats(0, 0.4), "test": st.floats(0, 0.4)}),
    st.fixed_dictionaries({"by": st.sampled_from(["group", "time", "stratified"]), "column": WORDS}),
)
TRAIN = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 10**30),
        "learning_rate": st.floats(0, 1e300, exclude_min=True),
        "clip_norm": st.none() | st.floats(1e-12, 1e12),
        "schedule": st.sampled_from(["constant", {"kind": "cosine", "warmup_ratio": 1e-05}]),
        "sampling": st.sampled_from(["round_robin", {"kind": "temperature", "temperature": 1e22}]),
        "checkpoint": st.fixed_dictionaries({"steps": st.integers(1, 9), "keep": st.integers(2, 9)}),
        "trackers": st.lists(st.sampled_from(["wandb", "mlflow"]), unique=True),
        "deterministic": st.booleans(),
    },
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    table, backbone, task = draw(NAMES), draw(NAMES), draw(NAMES)
    columns = draw(st.none() | st.lists(WORDS, min_size=1, max_size=4, unique=True))
    target = draw(WORDS.filter(lambda word: word not in (columns or [])))
    labels = st.lists(st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS)
    return {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "data": {table: {"path": draw(WORDS | st.lists(WORDS, min_size=1)), "split": draw(SPLITS)}},
        "backbones": {backbone: draw(st.sampled_from(["security/tabular-mlp", {"kind": "security/tabular-resnet"}]))},
        "inputs": {draw(NAMES): {"columns": columns, "processor": "security/table"}},
        "tasks": {task: {"kind": "core/classification", "target": target, "classes": draw(st.none() | labels)}},
        "train": draw(TRAIN),
        "hooks": draw(st.lists(st.just("core/early-stopping"), max_size=2)),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(source=configurations())
def test_dump_and_read_are_inverse(
    source: dict[str, Any], kinds: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = read_config(source, registry=kinds)
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_config(config), encoding="utf-8", newline="")
    again = read_config(path, registry=kinds)
    assert again == config
    assert dump_config(again) == dump_config(config)


# ------------------------------------------------------------------ --set


def test_overrides_reach_sections_lists_and_components(smallest: Any, kinds: Any) -> None:
    smallest["hooks"] = ["core/early-stopping"]
    config = read_config(
        smallest,
        overrides=[
            "train.epochs=1",
            "data.flows.path=[x.csv, y.csv]",
            "hooks.0.monitor=threat.f1",
            "inputs.flow.processor.bins=3",
            "train.schedule=cosine",
            "train.schedule.warmup_steps=2",
            "fusion=core/concat",
            "train.clip_norm=",
            "backbones.table.kind=security/tabular-resnet",
        ],
        registry=kinds,
    )
    assert config.train.epochs == 1
    assert config.data["flows"].path == ["x.csv", "y.csv"]
    assert config.hooks[0].monitor == "threat.f1"
    assert config.inputs["flow"].processor.bins == 3
    assert (config.train.schedule.kind, config.train.schedule.warmup_steps) == ("cosine", 2)
    assert config.fusion is not None
    assert config.fusion.kind == "core/concat"
    assert config.train.clip_norm is None
    assert config.backbones["table"].kind == "security/tabular-resnet"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "--set train.epochs: an override has the form path=value"),
        ("=3", "an override has the form path=value"),
        ("train..epochs=3", "an override has the form path=value"),
        ("train.epoch=3", "--set train.epoch=3, train.epoch: unknown key 'epoch' (value 3)"),
        ("train.epochs=none", "--set train.epochs=none, train.epochs: expected a whole number, not 'none'"),
        ("hooks.0.patience=1", "--set hooks.0.patience=1: `hooks` is a list of 0; '0' is no item"),
        ("seed.x=1", "--set seed.x=1: `seed` is 4, which has no keys"),
        ("data.flows.path.train=a.csv", "`data.flows.path` is 'flows.csv', which has no keys"),
        ("train.trackers=[wandb", "--set train.trackers=[wandb:"),
        ("tasks.threat=[1]", "--set tasks.threat=[1], tasks.threat: expected a task"),
        (
            "inputs.flow.processor=core/none",
            "--set inputs.flow.processor=core/none, inputs.flow.processor.kind: unknown",
        ),
    ],
)
def test_a_wrong_override_is_named(override: str, message: str, smallest: Any, kinds: Any) -> None:
    smallest |= {"seed": 4, "hooks": []}
    found = errors(smallest, kinds, overrides=[override])
    assert len(found) == 1
    assert message in found[0]


def test_all_wrong_overrides_are_named(smallest: Any, kinds: Any) -> None:
    found = errors(smallest, kinds, overrides=["a", "train.epochs=3", "data.flows.path.x=1"])
    assert [problem.split(":")[0] for problem in found] == ["--set a", "--set data.flows.path.x=1"]


# ------------------------------------------------------------------ the stratified split's column


def test_a_stratified_split_takes_the_only_label(smallest: Any, kinds: Any) -> None:
    source = put(smallest, "data.flows.split", {"by": "stratified"})
    assert stratify_column(read_config(source, registry=kinds), "flows") == "label"
    source = put(smallest, "data.flows.split", {"by": "stratified", "column": "site"})
    assert stratify_column(read_config(source, registry=kinds), "flows") == "site"
    assert stratify_column(read_config(smallest, registry=kinds), "flows") is None


def test_two_labels_need_a_column(smallest: Any, kinds: Any) -> None:
    source = put(smallest, "data.flows.split", {"by": "stratified"})
    source = put(source, "tasks.second", {"kind": "core/classification", "target": "other"})
    (problem,) = errors(source, kinds)
    assert problem.startswith("data.flows.split.column: `column` is missing")
    assert "allowed: label, other" in problem


@pytest.mark.parametrize(
    ("given", "every"), [({"after": "keep"}, (1, None)), ({"steps": 3}, (None, 3)), ({}, (1, None))]
)
def test_checkpoints_are_after_every_epoch_unless_said_otherwise(given: dict, every: tuple, kinds: Any) -> None:
    config = read_config(put(yaml.safe_load(GOOD), "train.checkpoint", given), registry=kinds)
    assert (config.train.checkpoint.epochs, config.train.checkpoint.steps) == every
    assert read_config(yaml.safe_load(dump_config(config)), registry=kinds) == config
