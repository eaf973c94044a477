"""The shell around the commands: exit status, one message and no traceback, files written whole or not at all."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import types

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jenga_core import cli
from jenga_core.commands import CORE, NAMES
from jenga_core.commands.scores import as_json, lines
from jenga_core.commands.tables import check_ending, write_frames
from jenga_core.errors import JengaError, UserError
from jenga_core.evaluation import Judgement, Score


def jenga(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    return end.value.code or 0


def test_names_that_plugins_may_not_use_are_the_commands_there_are():
    assert set(cli.typer.main.get_command(cli.app).commands) == set(NAMES)


@pytest.mark.parametrize("spec", CORE, ids=lambda spec: spec.name)
def test_what_is_listed_is_what_the_command_says_of_itself(spec):
    command = cli.typer.main.get_command(cli._imported(spec.factory))
    assert command.help.splitlines()[0] == spec.summary
    assert len(spec.summary) <= 62  # or `jenga --help` cuts it short in 80 columns


@pytest.mark.parametrize("name", [(n,) for n in NAMES] + [("plugins", n) for n in ("list", "show", "check", "new")])
def test_every_command_has_help_with_an_example(name, capsys):
    assert jenga(*name, "--help") == 0
    out = capsys.readouterr().out
    assert "Usage: jenga" in out
    assert "Example: jenga" in out or name == ("plugins",)


# ------------------------------------------------------------------ exit status


@pytest.fixture
def broken_doctor(monkeypatch):
    """`jenga doctor` that raises."""

    def install(error: BaseException) -> None:
        def examine():
            raise error

        monkeypatch.setitem(sys.modules, "jenga_core.doctor", types.SimpleNamespace(examine=examine))

    return install


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("wrong", where="a.yaml:3", nearest="right"), 2, "jenga: a.yaml:3: wrong\n  did you mean: right\n"),
        (JengaError("it failed"), 1, "jenga: it failed\n"),
        (PermissionError(13, "Permission denied", "/x/y"), 1, "jenga: /x/y: Permission denied\n"),
        (OSError(28, "No space left on device", "/x/y"), 1, "jenga: /x/y: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_status_and_message(broken_doctor, error, status, message, capsys, monkeypatch):
    monkeypatch.delenv("JENGA_DEBUG", raising=False)
    broken_doctor(error)
    assert jenga("doctor") == status
    captured = capsys.readouterr()
    assert captured.err == message
    assert captured.out == ""


def test_debug_shows_the_traceback(broken_doctor, monkeypatch):
    monkeypatch.setenv("JENGA_DEBUG", "1")
    broken_doctor(UserError("wrong"))
    with pytest.raises(UserError):
        cli.main(["doctor"])


def test_a_defect_of_jenga_itself_is_not_dressed_up(broken_doctor):
    broken_doctor(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["doctor"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["train"],
        ["train", "a.yaml", "--nonsense"],
        ["train", "a.yaml", "--seed", "x"],
        ["train", "a.yaml", "--seed", "-1"],
        ["plugins", "lisst"],
        ["plugins", "show", "nobody"],
        ["plugins", "check", "nobody"],
        ["plugins", "new", "Not_A_Name"],
        ["init"],
        ["init", "nonsense", "x"],
        ["init", "--rows", "0"],
        ["demo", "nonsense"],
        ["schema", "nonsense"],
        ["schema", "core/cvs"],
        ["check", "not-there.yaml"],
        ["train", "not-there.yaml"],
        ["evaluate", "not-there"],
        ["predict", "not-there", "a.csv"],
        ["predict", "not-there", "a.csv", "--output", "a.xyz"],
        ["report", "not-there"],
    ],
    ids=" ".join,
)
def test_a_users_mistake_is_status_2_and_one_message(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert jenga(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert list(tmp_path.iterdir()) == []


def test_python_m_works():
    done = subprocess.run([sys.executable, "-m", "jenga_core.cli", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("jenga ")


def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m jenga_core.cli schema | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "{"
    assert "Traceback" not in done.stderr


def test_init_writes_into_a_folder_of_the_templates_name(tmp_path, monkeypatch, capsys):
    template = next(iter(cli_templates(capsys)), None)
    if template is None:
        pytest.skip("no template is installed")
    monkeypatch.chdir(tmp_path)
    assert jenga("init", template, "--rows", "500") == 0
    assert (tmp_path / template / "config.yaml").exists()
    assert jenga("init") == 2
    assert "a template is needed" in capsys.readouterr().err


def test_init_refuses_a_folder_in_use(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    template = next(iter(cli_templates(capsys)), None)
    if template is None:
        pytest.skip("no template is installed")
    assert jenga("init", template, tmp_path) == 2
    assert "not empty" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def cli_templates(capsys) -> list[str]:
    assert jenga("init", "--list") == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()]


# ------------------------------------------------------------------ rows out


FRAME = pd.DataFrame({"a": [1, 2, 3], "text": ["x,y", 'quo"te', "näh\n"], "p": [0.1, 1 / 3, float("nan")]})


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".ndjson", ".parquet", ".pq", ".CSV"])
def test_rows_come_back_as_they_were(tmp_path, ending):
    path = tmp_path / "new" / f"out{ending}"
    assert write_frames(iter([FRAME[:2], FRAME[2:]]), path) == 3
    read = {"c": pd.read_csv, "j": lambda p: pd.read_json(p, lines=True), "n": lambda p: pd.read_json(p, lines=True)}
    got = read.get(ending[1].lower(), pd.read_parquet)(path)
    pd.testing.assert_frame_equal(got, FRAME, check_dtype=False, rtol=1e-14)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_rows_go_to_stdout_as_csv(monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=out))
    assert write_frames([FRAME[:1], FRAME[1:]], None) == 3
    assert out.getvalue().decode().startswith("a,text,p\n1,")
    assert out.getvalue().decode().count("a,text,p") == 1


def test_a_failure_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def frames():
        yield FRAME
        raise UserError("row 3 is bad")

    with pytest.raises(UserError):
        write_frames(frames(), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


@given(st.text(alphabet="abcsvjl.", max_size=8))
def test_an_ending_is_known_or_an_error(tail):
    from pathlib import Path

    path = Path(f"out{tail}")
    if path.suffix in (".csv", ".jsonl", ".ndjson", ".parquet", ".pq"):
        check_ending(path)
    else:
        with pytest.raises(UserError, match="allowed"):
            check_ending(path)


# ------------------------------------------------------------------ scores


JUDGEMENT = Judgement(
    task="threat",
    split="test",
    rows=1234,
    excluded={"no label": 5, "nothing": 0},
    scores={"f1": Score(0.5, 0.4, 0.6), "roc_auc": Score(math.nan)},
    baselines={"majority": {"f1": Score(0.25)}},
)


def test_scores_for_people():
    text = "\n".join(lines([JUDGEMENT]))
    assert "threat: 1,234 rows of the test split, 5 excluded (no label)" in text
    assert "nothing" not in text
    assert "threat.f1       0.5000 [0.4000, 0.6000]  0.2500" in text
    assert "threat.roc_auc  undefined" in text


def test_scores_for_programs_are_one_line_without_nan():
    text = as_json([JUDGEMENT])
    assert "\n" not in text
    assert json.loads(text)["metrics"] == {"threat.f1": 0.5, "threat.roc_auc": None}
