"""Every write of a model folder and of the log, made to fail: the message names the file, and nothing whole is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

import jenga_core
import toys
from jenga_core import artifact, cli, files, report, training
from jenga_core.errors import ArtifactError
from jenga_core.publishing import publish_run
from jenga_core.run import Run

CALLS = ("open", "write", "fsync", "replace")


class Killed(BaseException):
    """What SIGKILL does, without the end of the process."""


class Broken:
    """Lets `after` calls through; the next one and all behind it raise `error`. `count` calls so far."""

    def __init__(self, real: Any, after: int, error: BaseException | None, patch: pytest.MonkeyPatch) -> None:
        self.real, self.after, self.error, self.count, self.patch = real, after, error, 0, patch

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        if self.error is not None and self.count > self.after:
            if isinstance(self.error, Killed):  # nobody tidies up behind a process that was killed
                self.patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
            raise self.error
        return self.real(*args, **kwargs)


@contextmanager
def breaking(name: str, after: int, error: BaseException | None) -> Iterator[Broken]:
    with pytest.MonkeyPatch.context() as patch:
        broken = Broken(getattr(os, name), after, error, patch)
        patch.setattr(files.os, name, broken)
        yield broken


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = toys.numbers_config(epochs=1)
    return jenga_core.train(made, data=toys.numbers_frame(), output=tmp_path_factory.mktemp("disks") / "run",
                            registry=toys.registry(), quiet=True, report=False)  # fmt: skip


@pytest.fixture
def unpublished(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The run as it is before it writes its model folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "log.jsonl"):
        shutil.copy(finished.folder / name, folder / name)
    monkeypatch.setattr(finished, "folder", folder)
    monkeypatch.setattr(report, "picture", lambda figure: "data:,")  # drawing takes longest, and writes nothing
    return finished


def publish_and_load(run: Run) -> None:
    publish_run(run)
    assert not list(run.folder.rglob("*.tmp"))
    assert len(jenga_core.load(run.folder, registry=toys.registry()).predict(toys.numbers_frame(3))) == 3


def points(run: Run, name: str) -> int:
    """How often publishing calls one function of the operating system."""
    with breaking(name, 0, None) as counted:
        publish_run(run)
    for path in run.folder.rglob("*"):
        if path.is_file() and path.name not in ("config.yaml", "log.jsonl"):
            path.unlink()
    return counted.count


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("name", CALLS)
def test_a_failure_at_any_write_of_a_model_folder_names_the_file_and_leaves_no_model(
    unpublished: Run, name: str, code: int
) -> None:
    count = points(unpublished, name)
    assert count >= 9  # weights, a backbone, a processor, a task, columns, metrics, report, card, manifest
    for at in range(count):
        with (
            breaking(name, at, OSError(code, os.strerror(code))),
            pytest.raises(OSError, match=os.strerror(code)) as error,
        ):
            publish_run(unpublished)
        assert Path(str(error.value.filename)).is_relative_to(unpublished.folder), (name, at)
        flushed = at == count - 1 and name in (
            "open",
            "fsync",
        )  # only the flush of the folder after the manifest failed
        assert (unpublished.folder / "manifest.json").exists() == flushed
        if not flushed:
            with pytest.raises(ArtifactError):
                artifact.verify(unpublished.folder)
    publish_and_load(unpublished)


@pytest.mark.parametrize("name", CALLS)
def test_a_kill_at_any_write_of_a_model_folder_leaves_no_model_and_can_be_repeated(unpublished: Run, name: str) -> None:
    for at in range(points(unpublished, name)):
        (unpublished.folder / "manifest.json").unlink(missing_ok=True)
        with breaking(name, at, Killed()), pytest.raises(Killed):
            publish_run(unpublished)
        if (unpublished.folder / "manifest.json").exists():
            artifact.verify(unpublished.folder)  # the rename was the last thing to happen
    publish_and_load(unpublished)


def test_weights_that_do_not_fit_on_the_disk_are_an_error_that_says_so(
    unpublished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(artifact, "save_file", full)
    with pytest.raises(ArtifactError, match=r"model.safetensors: cannot be written: .*No space left"):
        publish_run(unpublished)


def test_a_report_that_cannot_be_written_anew_leaves_the_old_one(unpublished: Run) -> None:
    publish_run(unpublished)
    before = (unpublished.folder / "report.html").read_bytes()
    with breaking("write", 0, OSError(errno.ENOSPC, "full")), pytest.raises(SystemExit) as end:
        cli.main(["report", str(unpublished.folder)])
    assert end.value.code == 1
    assert (unpublished.folder / "report.html").read_bytes() == before
    artifact.verify(unpublished.folder)


@pytest.mark.parametrize("name", ["open", "write"])
def test_a_line_of_the_log_that_cannot_be_written_names_the_log(finished: Run, name: str) -> None:
    with breaking(name, 0, OSError(errno.ENOSPC, "No space left")), pytest.raises(OSError, match="No space") as error:
        finished.log("note", text="x")
    assert error.value.filename == str(finished.folder / "log.jsonl")


def test_an_error_of_the_disk_without_a_file_ends_the_command_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training, "train", full)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "x.yaml"])
    assert end.value.code == 1
    assert capsys.readouterr().err.strip() == "jenga: No space left on device"


# ------------------------------------------------------------------ the first and the last moments of a run


@pytest.mark.parametrize("name", CALLS)
def test_a_run_that_dies_while_it_begins_can_be_begun_or_resumed(tmp_path: Path, name: str) -> None:
    def train(folder: Path, *, resume: bool) -> Run:
        made = toys.numbers_config(epochs=1)
        return jenga_core.train(made, data=toys.numbers_frame(), output=folder, resume=resume,
                                registry=toys.registry(), quiet=True, report=False)  # fmt: skip

    for at in range(5):
        folder = tmp_path / f"run{at}"
        with breaking(name, at, Killed()), pytest.raises(Killed):
            train(folder, resume=False)
        run = train(folder, resume=(folder / "log.jsonl").exists())
        assert (run.folder / "manifest.json").exists()


def test_a_resume_before_the_evaluation_of_its_step_logs_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved after the last step of an epoch, evaluated at its end, and killed before the next checkpoint."""
    steps = 9  # of 144 training rows in batches of 16
    made = toys.numbers_config(epochs=2, checkpoint={"steps": steps})
    real = training.train_step

    def dying(run: Run, wrapped: Any, window: Any) -> Any:
        if run.step == steps + 2:
            raise KeyboardInterrupt
        return real(run, wrapped, window)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_step", dying)
        with pytest.raises(KeyboardInterrupt):
            jenga_core.train(
                made, data=toys.numbers_frame(), output=tmp_path / "run", registry=toys.registry(), quiet=True
            )
    jenga_core.train(made, data=toys.numbers_frame(), output=tmp_path / "run", resume=True, registry=toys.registry(),
                     quiet=True, report=False)  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "evaluate"] == [steps, 2 * steps]


def test_a_run_that_died_after_its_end_was_logged_ends_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jenga_core import publishing

    made = toys.numbers_config(epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "publish_run", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            jenga_core.train(
                made, data=toys.numbers_frame(), output=tmp_path / "run", registry=toys.registry(), quiet=True
            )
    jenga_core.train(made, data=toys.numbers_frame(), output=tmp_path / "run", resume=True, registry=toys.registry(),
                     quiet=True, report=False)  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines].count("end") == 1
