"""How a run is opened: its folder, its config, what a second start finds."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import jenga_core
import toys
from jenga_core.config import RunConfig
from jenga_core.errors import UserError
from jenga_core.reading import read_config


def trained(config: Any, **options: Any) -> jenga_core.Run:
    return jenga_core.train(
        config, data=toys.numbers_frame(), registry=toys.registry(), quiet=True, report=False, **options
    )


def resolved(**train: Any) -> RunConfig:
    return read_config(toys.numbers_config(**train), registry=toys.registry())


def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda form: "20300101-000000")
    names = [trained(toys.numbers_config(epochs=1)).folder.name for _ in range(3)]
    assert names == ["20300101-000000", "20300101-000000-2", "20300101-000000-3"]
    assert sorted(names) == names  # --resume without a folder takes the newest


def test_overrides_and_seed_hold_for_a_config_object_as_for_a_file(tmp_path: Path) -> None:
    run = trained(resolved(), output=tmp_path / "run", overrides=["train.epochs=1"], seed=11)
    assert (run.config.train.epochs, run.config.seed) == (1, 11)
    with pytest.raises(UserError, match="epoch"):
        trained(resolved(), output=tmp_path / "other", overrides=["train.epoch=1"])


@pytest.mark.parametrize("kind", ["file", "full"])
def test_a_folder_that_is_taken_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    taken = tmp_path / "taken"
    if kind == "full":
        taken.mkdir()
    mine = taken if kind == "file" else taken / "thesis.txt"
    mine.write_text("mine")
    with pytest.raises(UserError, match=str(taken)):
        trained(toys.numbers_config(), output=taken)
    assert mine.read_text() == "mine"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [mine]


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert trained(toys.numbers_config(epochs=1), output=tmp_path).folder == tmp_path.resolve()


def test_a_run_that_died_before_its_first_checkpoint_begins_again_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jenga_core import training

    real = training.evaluate

    def dies(run: Any) -> None:
        real(run)
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", dies)
        with pytest.raises(RuntimeError, match="power cut"):
            trained(toys.numbers_config(), output=tmp_path / "run")
    run = trained(toys.numbers_config(), output=tmp_path / "run", resume=True)
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines].count("start") == 1
    assert [line["epoch"] for line in lines if line["event"] == "evaluate"] == [1, 2, 3]


def test_a_run_in_a_thread_trains_as_one_in_the_main_thread(tmp_path: Path) -> None:
    here = trained(toys.numbers_config(epochs=1), output=tmp_path / "here")
    runs: list[jenga_core.Run] = []
    thread = threading.Thread(
        target=lambda: runs.append(trained(toys.numbers_config(epochs=1), output=tmp_path / "there"))
    )
    thread.start()
    thread.join()
    assert (runs[0].folder / "model.safetensors").read_bytes() == (here.folder / "model.safetensors").read_bytes()
