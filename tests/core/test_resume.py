"""A run that is killed and resumed ends with the weights of the run that was not, bit for bit."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.numpy import load_file

import jenga_core
import toys
from jenga_core import checkpoint, files
from jenga_core.errors import CheckpointError, UserError

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
HOOKS = [
    {"kind": "core/early-stopping", "patience": 50},
    {"kind": "core/ema", "decay": 0.9},
    {"kind": "core/uncertainty-balancing"},
]


def config(**train: Any) -> dict[str, Any]:
    """Dropout, accumulation with a leftover, a schedule with warm-up, early stopping, averaged and balancing weights."""
    made = toys.numbers_config(
        epochs=4,
        batch_size=16,
        accumulate=2,
        schedule={"kind": "cosine", "warmup_steps": 3},
        checkpoint={"steps": 3},
        **{"evaluate": {"steps": 4}, **train},
    )
    made["tasks"]["amount"] = {"kind": "core/regression", "target": "amount"}
    made["hooks"] = HOOKS
    return made


def start(folder: Path, name: str, processes: int = 1, **options: Any) -> subprocess.Popen[str]:
    frame = folder / "rows.parquet"
    if not frame.exists():
        toys.numbers_frame().to_parquet(frame)
    path = folder / f"{name}-{len(list(folder.glob('*.json')))}.json"
    path.write_text(json.dumps({"data": str(frame), "output": str(folder / name), "config": config(), **options}))
    environment = {**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", f"--master-port={_port()}"]
    command = [sys.executable, *(launcher if processes > 1 else []), str(HERE / "train_script.py"), str(path)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def finish(folder: Path, name: str, **options: Any) -> str:
    process = start(folder, name, **options)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out + err


def same_weights(a: Path, b: Path) -> None:
    left, right = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    assert left.keys() == right.keys()
    for name in left:
        assert left[name].tobytes() == right[name].tobytes(), name


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("resume")
    finish(folder, "straight")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kill_at", [4, 9, 13, 18])
def test_killed_at_a_step_and_resumed(straight: Path, kill_at: int) -> None:
    process = start(straight, f"at{kill_at}", kill_at=kill_at)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert not (straight / f"at{kill_at}" / "manifest.json").exists()
    assert "resumed at step" in finish(straight, f"at{kill_at}", resume=True)
    same_weights(straight / f"at{kill_at}", straight / "straight")


@pytest.mark.slow
def test_sigterm_lets_the_step_end_saves_and_a_resume_ends_with_the_same_weights(straight: Path) -> None:
    process = start(straight, "term", signal_at=7)
    _, err = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGINT, err  # a KeyboardInterrupt that nobody caught; `jenga` exits with 130
    assert "the state is being saved" in err
    assert (straight / "term" / "checkpoints" / "step-00000007.json").exists()
    assert "resumed at step 7" in finish(straight, "term", resume=True)
    same_weights(straight / "term", straight / "straight")


@pytest.mark.slow
def test_a_signal_to_one_of_two_processes_stops_both_after_the_same_step(straight: Path) -> None:
    whole, broken = (finish(straight, "two", processes=2), start(straight, "twice", processes=2, signal_at=7))
    _, err = broken.communicate(timeout=300)
    assert "resumed" not in whole
    assert broken.returncode != 0
    assert (straight / "twice" / "checkpoints" / "step-00000007.json").exists(), err
    assert "resumed at step 7" in finish(straight, "twice", processes=2, resume=True)
    same_weights(straight / "twice", straight / "two")


def test_a_signal_while_the_last_epoch_is_evaluated_saves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jenga_core import training

    train_here(tmp_path / "straight", resume=False, evaluate={"epochs": 1})
    real = training.evaluate

    def interrupted(run: Any) -> None:
        real(run)
        if run.epoch == run.config.train.epochs - 1:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_here(tmp_path / "run", resume=False, evaluate={"epochs": 1})
    assert not (tmp_path / "run" / "model.safetensors").exists()
    run = train_here(tmp_path / "run", resume=True, evaluate={"epochs": 1})
    same_weights(run.folder, tmp_path / "straight")


def test_a_signal_after_the_last_step_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jenga_core import finishing

    with monkeypatch.context() as patch:
        patch.setattr(finishing, "judgements", lambda *a, **k: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            train_here(tmp_path / "run", resume=False)
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert train_here(tmp_path / "run", resume=True).judgements


def test_a_run_that_stopped_early_and_died_while_it_was_judged_resumes_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained again after the stop, and the averaged weights of the best evaluation are the model."""
    from jenga_core import finishing, training

    def early() -> dict[str, Any]:
        made = config(learning_rate=0.3)
        made["hooks"] = [{"kind": "core/early-stopping", "patience": 2}, *HOOKS[1:]]
        made["train"].update(epochs=60, checkpoint={"steps": 1})
        return made

    def run(folder: Path, *, resume: bool = False) -> Any:
        return jenga_core.train(
            early(), data=toys.numbers_frame(), output=folder, resume=resume, registry=toys.registry(), quiet=True
        )

    straight = run(tmp_path / "straight")
    assert "early stopping" in straight.stop
    with monkeypatch.context() as patch:
        patch.setattr(finishing, "judgements", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(tmp_path / "run")
    steps: list[int] = []
    monkeypatch.setattr(training, "train_step", lambda *a: steps.append(1))
    resumed = run(tmp_path / "run", resume=True)
    assert (resumed.stop, resumed.step, steps) == (straight.stop, straight.step, [])
    assert resumed.best == straight.best
    assert resumed.best["step"] < resumed.step
    same_weights(resumed.folder, straight.folder)


@pytest.mark.slow
def test_ten_kills_at_random_moments_in_one_run(straight: Path) -> None:
    rng, kills = random.Random(7), 0
    name = "often"
    for attempt in range(40):
        folder = straight / name
        resume = (folder / "log.jsonl").exists()
        process = start(straight, name, resume=resume, kill_at=None)
        if kills == 10:
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
            break
        _wait_until_it_steps(folder, process)
        time.sleep(rng.random() * 0.15)
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
        assert attempt < 39
        if (folder / "manifest.json").exists():  # it was quicker than we were: begin a new run
            name = f"often{attempt}"
    assert kills == 10
    same_weights(straight / name, straight / "straight")


def _wait_until_it_steps(folder: Path, process: subprocess.Popen[str]) -> None:
    """Imports take seconds and steps milliseconds: without this nearly every kill would hit an import."""
    before = _log_size(folder)
    while process.poll() is None and _log_size(folder) == before:
        time.sleep(0.002)


def _log_size(folder: Path) -> int:
    path = folder / "log.jsonl"
    return path.stat().st_size if path.exists() else -1


def interrupted_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of this process that stops after step 8 as Ctrl-C would, with several checkpoints on disk."""
    from jenga_core import training

    step = training.train_step

    def once(run: Any, wrapped: Any, window: Any) -> Any:
        run.interrupted = run.step + 1 == 8
        return step(run, wrapped, window)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", once)
        with pytest.raises(KeyboardInterrupt):
            train_here(tmp_path / "run", resume=False)
    return tmp_path / "run"


def train_here(output: Path, *, resume: bool, **changes: Any) -> Any:
    return jenga_core.train(
        config(**changes),
        data=toys.numbers_frame(),
        output=output,
        resume=resume,
        registry=toys.registry(),
        quiet=False,
    )


def test_a_resume_with_other_packages_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jenga_core import run

    folder, here = interrupted_state(tmp_path, monkeypatch), run.packages
    others = {"torch": "99.1", "jenga-mine": "2.0"}
    monkeypatch.setattr(run, "packages", lambda *parts: {**here(*parts), **others})
    resumed = train_here(folder, resume=True)
    (note,) = [note for note in resumed.notes if "versions" in note]
    assert f"torch 99.1 instead of {here(resumed.config, resumed.registry)['torch']}" in note
    assert "jenga-mine 2.0 instead of none" in note
    assert "numpy" not in note
    assert note in (folder / "log.jsonl").read_text()


def test_an_interrupt_saves_and_the_resumed_run_equals_the_straight_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_here(tmp_path / "straight", resume=False)
    folder = interrupted_state(tmp_path, monkeypatch)
    assert (folder / "checkpoints" / "step-00000008.json").exists()
    resumed = train_here(folder, resume=True)
    same_weights(folder, tmp_path / "straight")
    assert not [note for note in resumed.notes if "versions" in note]
    assert not (folder / "checkpoints").exists()
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


@pytest.mark.parametrize("damage", ["torn", "flipped", "no seal", "torn seal"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    train_here(tmp_path / "straight", resume=False)
    folder = interrupted_state(tmp_path, monkeypatch)
    newest = sorted((folder / "checkpoints").glob("*.pt"))[-1]
    data = bytearray(newest.read_bytes())
    if damage == "torn":
        newest.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        newest.write_bytes(data)
    elif damage == "no seal":
        newest.with_suffix(".json").unlink()
    else:
        newest.with_suffix(".json").write_text('{"sha2')
    capsys.readouterr()
    train_here(folder, resume=True)
    said = capsys.readouterr().err
    assert "step-00000008.pt is not usable" in said
    assert "resumed at step 6" in said
    same_weights(folder, tmp_path / "straight")


def test_checkpoints_that_a_resume_passed_over_do_not_push_out_whole_ones(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for step in (6, 8, 9):
        checkpoint.write(folder, step, {"step": step}, keep=5)
    for step in (8, 9):
        (folder / f"step-{step:08d}.pt").write_bytes(b"torn")
    assert checkpoint.newest(folder, lambda _: None) == {"step": 6}
    checkpoint.write(folder, 7, {"step": 7}, keep=2)
    assert sorted(p.name for p in folder.glob("*.pt")) == ["step-00000006.pt", "step-00000007.pt"]
    assert checkpoint.newest(folder, lambda _: None) == {"step": 7}


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
def test_a_full_disk_names_the_file_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(files.os, name, Broken(getattr(os, name), 0, errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as error:
        files.publish(tmp_path / "metrics.json", b"{}")
    assert error.value.filename == str(tmp_path / "metrics.json")


def test_no_whole_checkpoint_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted_state(tmp_path, monkeypatch)
    for path in (folder / "checkpoints").glob("*.json"):
        path.unlink()
    with pytest.raises(CheckpointError, match="none of 2 checkpoints is whole"):
        train_here(folder, resume=True)


def test_a_first_checkpoint_that_was_never_finished_is_no_checkpoint(tmp_path: Path) -> None:
    path, said = checkpoint.write(tmp_path, 3, {"step": 3}, keep=2), []
    path.with_suffix(".json").unlink()
    assert checkpoint.newest(tmp_path, said.append) is None
    assert "its checksum was never written" in said[0]


def test_a_resume_with_another_config_or_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = interrupted_state(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="configuration differs"):
        train_here(folder, resume=True, learning_rate=0.5)
    with pytest.raises(UserError, match="has changed since the run was started"):
        jenga_core.train(
            config(), data=toys.numbers_frame(seed=9), output=folder, resume=True, registry=toys.registry(), quiet=True
        )


class Broken:
    """Lets `after` calls of one operating-system function through, then fails every one, as a full or read-only disk does."""

    def __init__(self, real: Any, after: int, code: int) -> None:
        self.real, self.left, self.code, self.fired = real, after, code, False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.left == 0:
            self.fired = True
            raise OSError(self.code, os.strerror(self.code))
        self.left -= 1
        return self.real(*args, **kwargs)


def _calls_of_one_save(tmp_path: Path) -> dict[str, int]:
    counts = dict.fromkeys(("open", "write", "fsync", "replace"), 0)
    with pytest.MonkeyPatch.context() as patch:
        for name in counts:
            real = getattr(os, name)

            def counted(*args: Any, name: str = name, real: Any = real, **kwargs: Any) -> Any:
                counts[name] += 1
                return real(*args, **kwargs)

            patch.setattr(files.os, name, counted)
        checkpoint.write(tmp_path / "count", 1, {"x": 1}, keep=2)
    return counts


SAVE_CALLS = {"open": 4, "write": 2, "fsync": 4, "replace": 2}  # a state and its seal; each: file, then folder


def test_the_failure_points_below_are_all_there_are(tmp_path: Path) -> None:
    assert _calls_of_one_save(tmp_path) == SAVE_CALLS


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize(("name", "at"), [(n, i) for n, calls in SAVE_CALLS.items() for i in range(calls)])
def test_a_failure_at_every_point_of_the_save_path_raises_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int, code: int
) -> None:
    folder = tmp_path / "checkpoints"
    checkpoint.write(folder, 1, {"step": 1}, keep=2)
    with monkeypatch.context() as patch:
        broken = Broken(getattr(os, name), at, code)
        patch.setattr(files.os, name, broken)
        with pytest.raises(CheckpointError, match=os.strerror(code)):
            checkpoint.write(folder, 2, {"step": 2}, keep=2)
        assert broken.fired
    found = checkpoint.newest(folder, lambda _: None)
    sealed = name in ("open", "fsync") and at == 3  # only the flush of the folder after the last rename had failed
    assert found == ({"step": 2} if sealed else {"step": 1})
    checkpoint.write(folder, 3, {"step": 3}, keep=2)
    assert checkpoint.newest(folder, lambda _: None) == {"step": 3}
    assert not list(folder.glob(".*.tmp"))


@pytest.mark.parametrize(("name", "at"), [("write", 0), ("fsync", 1), ("replace", 1), ("open", 3)])
def test_a_run_whose_disk_fails_stops_and_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: int
) -> None:
    train_here(tmp_path / "straight", resume=False)
    real = checkpoint.write
    saves = {"n": 0}

    def failing(*args: Any, **kwargs: Any) -> Any:
        saves["n"] += 1
        if saves["n"] < 3:
            return real(*args, **kwargs)
        with monkeypatch.context() as patch:
            patch.setattr(files.os, name, Broken(getattr(os, name), at, errno.ENOSPC))
            return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", failing)
        with pytest.raises(CheckpointError, match="No space left"):
            train_here(tmp_path / "run", resume=False)
    train_here(tmp_path / "run", resume=True)
    same_weights(tmp_path / "run", tmp_path / "straight")


def test_random_state_round_trip_gives_the_same_numbers() -> None:
    import numpy as np
    import torch

    state = checkpoint.random_state()
    first = (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random())
    checkpoint.set_random_state(state)
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()) == first


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    run = train_here(tmp_path / "run", resume=False)
    before = {p: p.stat().st_mtime_ns for p in run.folder.rglob("*") if p.is_file()}
    assert train_here(tmp_path / "run", resume=True).finished
    assert {p: p.stat().st_mtime_ns for p in run.folder.rglob("*") if p.is_file()} == before
    with pytest.raises(UserError, match="already holds a run"):
        train_here(tmp_path / "run", resume=False)


def test_keep_and_after(tmp_path: Path) -> None:
    made = config()
    made["train"]["checkpoint"] = {"steps": 2, "keep": 3, "after": "keep"}
    run = jenga_core.train(
        made, data=pd.DataFrame(toys.numbers_frame()), output=tmp_path / "run", registry=toys.registry(), quiet=True
    )
    kept = sorted(p.name for p in (run.folder / "checkpoints").glob("*.pt"))
    assert len(kept) == 3
    assert kept[-1] == f"step-{run.step - run.step % 2:08d}.pt"
