"""`jenga check` as a user meets it: exit status, one clear message, no traceback. Needs jenga-security."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jenga_core.check import check, dry_run
from jenga_core.cli import main
from jenga_core.reading import read, schema
from jenga_core.registry import Registry

WRONG = sorted((Path(__file__).parent.parent / "core" / "wrong_configs").glob("*.yaml"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of `network-threats` with a few rows."""
    folder = tmp_path_factory.mktemp("threats")
    with pytest.raises(SystemExit) as done:
        main(["init", "network-threats", str(folder), "--rows", "1200"])
    assert done.value.code == 0
    return folder / "config.yaml"


def expectations(path: Path) -> list[str]:
    raw = path.read_bytes()
    text = raw.decode("utf-16") if raw[:2] == b"\xff\xfe" else raw.decode("latin-1")
    found = re.findall(r"^# expect: (.+)$", text, flags=re.MULTILINE)
    return [f"{path}:{e}" if re.match(r"\d+[,:]", e) else e for e in found]


@pytest.mark.parametrize("command", ["check", "train"])
@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_wrong_configuration_ends_with_2_and_a_message(
    path: Path, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [command, str(path), *(["--output", str(tmp_path / "run")] if command == "train" else [])]
    with pytest.raises(SystemExit) as done:
        main(arguments)
    said = capsys.readouterr()
    assert done.value.code == 2
    for part in expectations(path):
        assert part in said.err
    assert "Traceback" not in said.err + said.out
    assert not (tmp_path / "run").exists()


def test_a_wrong_configuration_from_the_shell() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "jenga_core.cli", "check", str(WRONG[0])], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr.startswith(f"jenga: {WRONG[0]}")
    assert "Traceback" not in run.stderr


def test_a_good_configuration(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["check", str(template)])
    assert done.value.code == 0
    assert "-> security/table -> backbone table" in capsys.readouterr().out


def test_a_column_that_is_not_there_is_told_with_its_line(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = template.with_name("wrong.yaml")
    wrong.write_text(template.read_text(encoding="utf-8").replace("packet_size", "packet_sise", 1), encoding="utf-8")
    line = wrong.read_text(encoding="utf-8").split("packet_sise")[0].count("\n") + 1
    with pytest.raises(SystemExit) as done:
        main(["check", str(wrong)])
    said = capsys.readouterr().err
    assert done.value.code == 2
    assert f"{wrong}:{line}, inputs.flow.columns.0: flows.csv has no column 'packet_sise'" in said
    assert "did you mean: packet_size" in said


def test_a_dry_run_tells_shapes_parameters_and_time(template: Path) -> None:
    registry = Registry.discover()
    reading = read(template, overrides=["train.batch_size=16", "train.accumulate=2"], registry=registry)
    before = sorted(template.parent.iterdir())
    text = "\n".join(dry_run(reading.config, reading.base, registry))
    assert re.search(r"a batch of table flows: 16 rows of [\d,]+ to learn from", text)
    assert re.search(r"input flow: \w+ float32 \[16, \d+\]", text)
    assert re.search(r"task threat: \w+ int64 \[16\]; the loss sums over 16", text)
    assert re.search(r"parameters: [\d,]+\n  backbone table \(security/tabular-mlp\): [\d,]+", text)
    assert re.search(r"a step takes about .+ \(cpu, fp32, \d+ threads\); \d+ steps: ", text)
    assert re.search(r"scoring \d+ validation rows takes about", text)
    assert sorted(template.parent.iterdir()) == before


def test_a_dry_run_finds_what_training_would_refuse(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["check", str(template), "--dry-run", "--set", "train.monitor=threat.auc"])
    assert done.value.code == 2
    assert "did you mean: threat.roc_auc" in capsys.readouterr().err


def test_the_schema_of_everything_installed(template: Path) -> None:
    whole = schema(Registry.discover())
    backbones = whole["$defs"]["RunConfig"]["properties"]["backbones"]["additionalProperties"]["anyOf"]
    kind = yaml.safe_load(template.read_text(encoding="utf-8"))["backbones"]["table"]["kind"]
    assert kind in {b["properties"]["kind"]["const"] for b in backbones if "properties" in b}


def test_the_template_is_sound(template: Path) -> None:
    registry = Registry.discover()
    reading = read(template, registry=registry)
    assert check(reading.config, reading.base, registry).ok
