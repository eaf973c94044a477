"""Every command for real, on the plugin that `jenga plugins new` writes: right and wrong input, what is printed and kept."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from jenga_core import cli, inference, loading, plugins, scaffold

QUICK = ("--set", "train.epochs=1", "--set", "train.bootstrap=0", "--set", "train.baselines=false")


class Shell:
    """`jenga` in this process: status, stdout and stderr of a command."""

    def __init__(self, capsys) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, status: int = 0) -> tuple[str, str]:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(a) for a in arguments])
        out, err = self.capsys.readouterr()
        assert (end.value.code or 0) == status, err
        assert "Traceback" not in err
        return out, err


@pytest.fixture
def jenga(capsys) -> Shell:
    return Shell(capsys)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Path]:
    """A folder with an installed plugin `acme-sonar`, first on the path."""
    root = tmp_path_factory.mktemp("plugin")
    scaffold.write("acme-sonar", root / "source")
    package = root / "source" / "src"
    info = package / "acme_sonar-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.3\nName: acme-sonar\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[jenga.plugins.v1]\nacme-sonar = acme_sonar.plugin\n")
    sys.path.insert(0, str(package))
    yield root
    sys.path.remove(str(package))
    plugins.forget()
    for name in [m for m in sys.modules if m.partition(".")[0] == "acme_sonar"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def trained(site) -> Path:
    """A folder with the template and, in `model`, a run of two epochs over it."""
    folder = site / "echoes"
    for command in (
        ["init", "acme-sonar", folder, "--rows", 300, "--seed", 3],
        [
            "train",
            folder / "config.yaml",
            "--output",
            folder / "model",
            "--set",
            "train.epochs=2",
            "--set",
            "train.bootstrap=20",
        ],
    ):
        with pytest.raises(SystemExit) as end:
            cli.main([str(c) for c in command])
        assert not end.value.code
    return folder


def test_list_and_show(site, jenga):
    assert re.search(
        r"acme-sonar +acme-sonar 0.1.0 +ok +1 processor, 1 backbone, 1 example", jenga("plugins", "list")[0]
    )
    assert "acme-sonar/numbers" in jenga("plugins", "show", "acme-sonar")[0]
    assert "acme-sonar" in jenga("init", "--list")[0]
    assert jenga("plugins", "new", "acme-sonar", status=2)[1].startswith("jenga: the name 'acme-sonar' is taken")


def test_train_prints_the_folder_on_stdout_and_progress_on_stderr(trained, jenga, tmp_path):
    out, err = jenga("train", trained / "config.yaml", "--output", tmp_path / "m", *QUICK, "--seed", 5)
    assert out == f"{(tmp_path / 'm').resolve()}\n"
    assert "epoch 1" in err
    assert json.loads((tmp_path / "m" / "manifest.json").read_text())["seed"] == 5
    text = jenga("train", trained / "config.yaml", "--output", tmp_path / "m", status=2)[1]
    assert "--resume" in text


def test_deterministic_is_a_key_of_the_run(trained, jenga, tmp_path):
    import torch

    try:
        jenga("train", trained / "config.yaml", "--output", tmp_path / "m", *QUICK, "--deterministic")
    finally:
        torch.use_deterministic_algorithms(False)
    assert "deterministic: true" in (tmp_path / "m" / "config.yaml").read_text()


def test_check(trained, jenga):
    out, _ = jenga("check", trained / "config.yaml")
    assert "acme-sonar/numbers" in out
    assert "names of metrics (--dry-run does)" in out
    whole = jenga("check", trained / "config.yaml", "--dry-run")[0]
    assert "parameters" in whole
    assert "not looked at" not in whole
    wrong = ("--set", "train.monitor=target.f1macro")
    assert "unknown metric" in jenga("check", trained / "config.yaml", "--dry-run", *wrong, status=2)[1]
    for change, nearest in (
        ("inputs.echo.columns=[band_11]", "band_1"),
        ("train.epoch=1", "epochs"),
        ("backbones.network.kind=acme-sonar/netwrk", "acme-sonar/network"),
        ("backbones.network.kind=acme-snar/network", "acme-sonar/network"),
    ):
        assert f"did you mean: {nearest}" in jenga("check", trained / "config.yaml", "--set", change, status=2)[1]


def test_schema_knows_the_plugin(site, jenga):
    assert "acme-sonar/network" in jenga("schema")[0]
    assert "dropout" in json.loads(jenga("schema", "acme-sonar/network")[0])["properties"]


def test_doctor_answers_in_json(site, jenga, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {"name", "ok", "text", "cure"} == set(findings[0])
    assert end.value.code == (0 if all(f["ok"] for f in findings) else 1)


def test_evaluate_is_the_runs_own_judgement_and_its_baselines(trained, jenga):
    out, _ = jenga("evaluate", trained / "model", "--json")
    answer = json.loads(out.splitlines()[-1])
    recorded = json.loads((trained / "model" / "metrics.json").read_text())["judgements"][0]
    assert answer["judgements"][0]["scores"] == recorded["scores"]
    assert answer["judgements"][0]["baselines"] == recorded["baselines"] != {}
    assert answer["metrics"]["target.accuracy"] == recorded["scores"]["accuracy"][0]
    text, _ = jenga("evaluate", trained / "model")
    assert f"target.accuracy             {recorded['scores']['accuracy'][0]:.4f}" in text


def test_evaluate_on_a_file(trained, jenga):
    answer = json.loads(jenga("evaluate", trained / "model", trained / "echoes.csv", "--json")[0])
    assert answer["judgements"][0]["rows"] == 300
    assert answer["judgements"][0]["baselines"] == {}
    assert "target" in jenga("evaluate", trained / "model", trained / "new_echoes.csv", status=2)[1]


def test_predict_keeps_rows_and_order_in_every_format(trained, jenga, tmp_path):
    rows = pd.read_csv(trained / "new_echoes.csv")
    out, err = jenga("predict", trained / "model", trained / "new_echoes.csv")
    (tmp_path / "stdout.csv").write_text(out)
    assert "20 rows" in err
    for name in ("a.csv", "b.jsonl", "c.parquet"):
        assert jenga("predict", trained / "model", trained / "new_echoes.csv", "--output", tmp_path / name)[
            0
        ].strip() == str(tmp_path / name)
    read = {"a.csv": pd.read_csv, "b.jsonl": lambda p: pd.read_json(p, lines=True), "c.parquet": pd.read_parquet}
    frames = [pd.read_csv(tmp_path / "stdout.csv"), *(f(tmp_path / name) for name, f in read.items())]
    for frame in frames:
        pd.testing.assert_frame_equal(frame[list(rows.columns)], rows, check_dtype=False)
        assert all(c.startswith("target.") for c in frame.columns[len(rows.columns) :])
        pd.testing.assert_frame_equal(frame, frames[0], check_dtype=False, rtol=1e-6)


def test_predict_from_another_format_gives_the_same(trained, jenga, tmp_path):
    pd.read_csv(trained / "new_echoes.csv").to_parquet(tmp_path / "new.parquet")
    first = jenga("predict", trained / "model", trained / "new_echoes.csv")[0]
    assert jenga("predict", trained / "model", tmp_path / "new.parquet")[0] == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("band_0,band_1\n1,2\n", "band_2"),
        ("", "empty"),
        (",".join(f"band_{i}" for i in range(10)) + "\n", "no rows"),
        (",".join(f"band_{i}" for i in range(10)) + "\n" + "1," * 9 + "x\n", "x"),
        (",".join(f"band_{i}" for i in range(10)) + ",target.label\n" + "1," * 10 + "x\n", "target.label"),
    ],
)
def test_predict_refuses_rows_that_do_not_fit(trained, jenga, tmp_path, text, said):
    (tmp_path / "rows.csv").write_text(text)
    out, err = jenga("predict", trained / "model", tmp_path / "rows.csv", "--output", tmp_path / "out.csv", status=2)
    assert said in err
    assert out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_report_is_written_anew_and_the_folder_stays_whole(trained, jenga):
    report = trained / "model" / "report.html"
    of_training = report.read_bytes()
    assert jenga("report", trained / "model")[0].strip() == str(report)
    assert report.read_bytes() == of_training
    jenga("evaluate", trained / "model")
    whole = report.read_bytes()
    report.write_text("altered")
    assert "report.html" in jenga("report", trained / "model", status=2)[1]
    report.unlink()
    jenga("report", trained / "model")
    assert report.read_bytes() == whole


def test_demo_goes_the_whole_way_and_overwrites_nothing(site, jenga, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo-acme-sonar").mkdir()
    (tmp_path / "demo-acme-sonar" / "mine.txt").write_text("mine")
    out, _ = jenga("demo", "acme-sonar", "--rows", 200)
    assert "demo-acme-sonar-2/model/report.html" in out
    assert "target.accuracy" in out
    assert (tmp_path / "demo-acme-sonar-2" / "model" / "report.html").exists()
    assert len(pd.read_csv(tmp_path / "demo-acme-sonar-2" / "scored-new_echoes.csv")) == 20
    assert [p.name for p in (tmp_path / "demo-acme-sonar").iterdir()] == ["mine.txt"]
    assert "not empty" in jenga("demo", "acme-sonar", "--output", "demo-acme-sonar", status=2)[1]


def test_a_model_whose_plugin_is_gone_names_it(trained, jenga, monkeypatch):
    monkeypatch.setenv("JENGA_DISABLE_PLUGINS", "acme-sonar")
    text = jenga("evaluate", trained / "model", status=2)[1]
    assert "acme-sonar" in text
    assert "disabled" in text


def test_hooks_of_the_loop_are_traced(trained, jenga, tmp_path, monkeypatch):
    monkeypatch.setenv("JENGA_TRACE_HOOKS", "1")
    _, err = jenga("train", trained / "config.yaml", "--output", tmp_path / "m", *QUICK, "--set", "train.max_steps=1")
    assert "run: backward(" in err


def test_a_next_command_can_be_pasted_where_a_folder_has_a_space(jenga, site, tmp_path):
    folder = tmp_path / "my work"
    _, err = jenga("init", "acme-sonar", folder, "--rows", 60)
    assert shlex.split(err.removeprefix("Next: ")) == ["jenga", "train", str(folder / "config.yaml")]
    _, err = jenga("check", folder / "config.yaml", "--set", "train.epoch=1", status=2)
    (command,) = re.findall(r"next: (.+)", err)
    assert shlex.split(command) == ["jenga", "check", str(folder / "config.yaml")]


@pytest.mark.parametrize("command", ["evaluate", "predict", "score"])
def test_the_model_computes_on_the_device_that_is_named(command, trained, jenga, tmp_path, monkeypatch):
    asked = []

    def device_of(config, given):
        asked.append(given)
        return torch.device("cpu")

    monkeypatch.setattr(loading, "device_of", device_of)
    more = {"evaluate": [], "predict": [trained / "echoes.csv"], "score": [trained / "echoes.csv"]}[command]
    for at, option in enumerate(([], ["--device", "cuda:1"])):
        into = [tmp_path / f"out{at}"] if command == "score" else []
        jenga(command, trained / "model", *more, *into, *option)
    assert asked == [None, "cuda:1"]


def test_a_device_that_is_not_here_is_an_error_and_not_a_traceback(trained, jenga):
    _, err = jenga("predict", trained / "model", trained / "echoes.csv", "--device", "cuda:97", status=2)
    assert "there is no device 'cuda:97' here" in err


def test_rows_of_a_file_are_not_said_to_be_test_rows(trained, jenga, tmp_path):
    rows = pd.read_csv(trained / "echoes.csv").head(40)
    rows.to_csv(tmp_path / "mine.csv", index=False)
    own, _ = jenga("evaluate", trained / "model")
    assert "rows of the test split" in own
    other, _ = jenga("evaluate", trained / "model", tmp_path / "mine.csv")
    assert f"target: 40 rows of {tmp_path / 'mine.csv'}" in other
    assert "test split" not in other
    assert "was trained on rows of this file" not in own + other
    same, _ = jenga("evaluate", trained / "model", trained / "echoes.csv")
    assert "The model was trained on rows of this file" in same
    answer = json.loads(jenga("evaluate", trained / "model", trained / "echoes.csv", "--json")[0])["judgements"][0]
    assert answer["split"] == str(trained / "echoes.csv")
    assert "trained on rows of this file" in answer["caution"]
    (given,) = inference.evaluate(trained / "model", rows)
    assert (given.where, given.caution) == ("the given rows", "")
