"""`check`: files and columns against a configuration, without torch; the wiring as a person reads it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jenga_core.api import BackboneSpec, ProcessorSpec, hookimpl
from jenga_core.check import CheckReport, check
from jenga_core.reading import read
from jenga_core.registry import Registry

NO_OPTIONS = {"factory": "nowhere:Nothing", "config": "jenga_core.config:ComponentConfig", "summary": "for tests"}
HEADER = "ts,host,bytes,port,label\n"
ROWS = HEADER + "1,a,10,80,ok\n2,b,11,443,bad\n"


def _plugin() -> Any:
    def processors() -> list[ProcessorSpec]:
        return [ProcessorSpec(name="table", emits="table", **NO_OPTIONS)]

    def backbones() -> list[BackboneSpec]:
        return [BackboneSpec(name="net", accepts=frozenset({"table"}), **NO_OPTIONS)]

    return SimpleNamespace(
        jenga_register_processors=hookimpl(specname="jenga_register_processors")(processors),
        jenga_register_backbones=hookimpl(specname="jenga_register_backbones")(backbones),
    )


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.of(toy=_plugin())


def config(**changes: Any) -> dict[str, Any]:
    """`changes` replace or add sections."""
    return {
        "data": {"flows": {"path": "flows.csv"}},
        "backbones": {"net": "toy/net"},
        "inputs": {"flow": {"processor": "toy/table"}},
        "tasks": {"threat": {"kind": "core/classification", "target": "label"}},
        **changes,
    }


@pytest.fixture
def looked(tmp_path: Path, registry: Registry) -> Any:
    (tmp_path / "flows.csv").write_text(ROWS)

    def look(**changes: Any) -> CheckReport:
        path = tmp_path / "soc.yaml"  # JSON is YAML, all on line 1
        path.write_text(json.dumps(config(**changes)))
        reading = read(path, registry=registry)
        return check(reading.config, reading.base, registry, where=reading.origin.where)

    return look


def test_the_wiring_is_told(looked: Any) -> None:
    report = looked(data={"flows": {"path": "flows.csv", "split": {"by": "time", "column": "ts"}}})
    assert report.ok
    text = "\n".join(report.lines)
    assert "table flows: flows.csv by core/csv, 5 columns; 80% train, 10% validation, 10% test by time of ts" in text
    assert "input flow: 3 columns -> toy/table -> backbone net (toy/net)\n    host, bytes, port" in text
    assert "task threat: core/classification of label" in text
    assert "the best weights are those by loss" in text


def test_columns_that_are_not_there_are_named_with_the_nearest(looked: Any) -> None:
    report = looked(
        data={"flows": {"path": "flows.csv", "split": {"by": "group", "column": "hosts"}}},
        inputs={"flow": {"columns": ["bytes", "prot"], "processor": "toy/table"}},
        tasks={"threat": {"kind": "core/classification", "target": "lable"}},
    )
    places = {str(p).split(":1, ")[1].split(":")[0]: p for p in report.problems}
    assert set(places) == {"inputs.flow.columns.1", "tasks.threat.target", "data.flows.split.column"}
    assert places["inputs.flow.columns.1"].nearest == "port"
    assert places["tasks.threat.target"].nearest == "label"
    assert places["tasks.threat.target"].allowed == ("ts", "host", "bytes", "port", "label")
    assert places["data.flows.split.column"].nearest == "host"


def test_an_excluded_column_must_exist(looked: Any) -> None:
    report = looked(inputs={"flow": {"exclude": ["Host"], "processor": "toy/table"}})
    assert [p.nearest for p in report.problems] == ["host"]
    assert looked(inputs={"flow": {"exclude": ["host"], "processor": "toy/table"}}).ok


def test_an_input_needs_a_column(looked: Any) -> None:
    report = looked(inputs={"flow": {"exclude": ["ts", "host", "bytes", "port"], "processor": "toy/table"}})
    assert "no column of flows.csv is left for input 'flow'" in str(report.problems[0])


def test_a_missing_file_names_the_nearest(looked: Any) -> None:
    report = looked(data={"flows": {"path": "flow.csv"}})
    (problem,) = report.problems
    assert "soc.yaml:1, data.flows.path: flow.csv: no such file" in str(problem)
    assert problem.nearest == "flows.csv"
    assert "table flows: its files cannot be read" in report.lines


@pytest.mark.parametrize("path", ["nowhere/*.csv", "flows.unknown", []])
def test_other_paths_that_give_nothing(path: Any, looked: Any, tmp_path: Path) -> None:
    (tmp_path / "flows.unknown").write_text("x")
    report = looked(data={"flows": {"path": path}})
    assert len(report.problems) == 1


def test_no_path(looked: Any) -> None:
    report = looked(data={"flows": {}})
    assert "`path` is missing: where are the rows of table 'flows'?" in str(report.problems[0])


def test_each_split_file_is_looked_at(looked: Any, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("ts,host,bytes,port\n1,a,10,80\n")
    report = looked(data={"flows": {"path": {"train": "flows.csv", "test": "test.csv"}}})
    (problem,) = report.problems
    assert "test.csv has no column 'label'" in str(problem)
    assert any("files for train and test; validation cut from train at random" in line for line in report.lines)


def test_globs_and_compressed_files(looked: Any, tmp_path: Path) -> None:
    for name in ("part.1.csv.gz", "part.2.csv.gz"):
        (tmp_path / name).write_bytes(gzip.compress(ROWS.encode()))
    assert looked(data={"flows": {"path": "part.*.csv.gz"}}).ok


def test_several_tables_and_inputs(looked: Any, tmp_path: Path) -> None:
    (tmp_path / "mails.csv").write_text("size,spam\n1,yes\n")
    report = looked(
        data={"flows": {"path": "flows.csv"}, "mails": {"path": "mails.csv", "split": {"by": "stratified"}}},
        inputs={
            "flow": {"data": "flows", "columns": ["bytes"], "processor": "toy/table"},
            "who": {"data": "flows", "columns": ["host"], "processor": "toy/table"},
            "mail": {"data": "mails", "processor": "toy/table"},
        },
        tasks={
            "threat": {"kind": "core/classification", "data": "flows", "target": "label", "weight": 0.5},
            "spam": {"kind": "core/classification", "data": "mails", "target": "spam"},
        },
        train={"sampling": "round_robin", "accumulate": 2, "max_steps": 5},
        hooks=["core/early-stopping"],
    )
    text = "\n".join(report.lines)
    assert report.ok
    assert "fused by core/concat" in text
    assert "stratified by spam" in text
    assert "weight 0.5" in text
    assert "tables take part by round_robin sampling" in text
    assert "batches of 32 x 2" in text
    assert "at most 5 steps" in text
    assert "hook core/early-stopping" in text


def test_an_empty_and_an_unreadable_file(looked: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01" * 9)
    for name in ("empty.csv", "binary.csv"):
        report = looked(data={"flows": {"path": name}})
        assert report.problems
        assert name in str(report.problems[0])


def test_torch_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "flows.csv").write_text(ROWS)
    (tmp_path / "soc.yaml").write_text(json.dumps(config()))
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_check import _plugin, check, read, Registry\n"
        f"registry = Registry.of(toy=_plugin()); reading = read({str(tmp_path / 'soc.yaml')!r}, registry=registry)\n"
        "assert check(reading.config, reading.base, registry).ok\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
