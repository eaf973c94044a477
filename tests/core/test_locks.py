"""One process at a time: whoever comes second is told who is at work, and what a killed process left blocks nobody."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

import toys
from jenga_core import locks
from jenga_core.cli import app
from jenga_core.comparison import compare
from jenga_core.errors import UserError

HOLDER = """
import sys
from pathlib import Path
from jenga_core import locks
path = Path(sys.argv[1])
with locks.held(path, where=path.parent, next="wait"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its standard input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.stdin.close()


def hold(path: Path) -> None:
    with locks.held(path, where=path.parent, next="wait"):
        pass


def test_the_second_is_told_who_holds_it_since_when_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / ".jenga.lock"
    with holder(path) as process:
        with pytest.raises(UserError) as caught:
            hold(path)
        assert str(tmp_path) in str(caught.value)
        assert f"pid {process.pid} on {socket.gethostname()} since 20" in str(caught.value)
        assert caught.value.next == "wait"
        assert f"pid {process.pid}" in (locks.busy(path) or "")
    process.wait(30)
    assert not path.exists()
    hold(path)


@pytest.mark.parametrize("left", [None, b"", b'{"host": "a', b"\xff\x00", b"[]", b"7"])
def test_what_a_killed_holder_left_blocks_nobody(tmp_path: Path, left: bytes | None) -> None:
    path = tmp_path / ".jenga.lock"
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert path.exists()
    if left is not None:
        path.write_bytes(left)
    with locks.held(path, where=tmp_path, next="wait"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", [b"", b'{"host": "a', b"\xff\x00", b"[]", b"7", b'{"pid": 1}'])
def test_a_torn_file_of_a_living_holder_still_keeps_others_out(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / ".jenga.lock"
    with locks.held(path, where=tmp_path, next="wait"):
        path.write_bytes(said)
        with pytest.raises(UserError, match="does not say which"):
            hold(path)


def test_what_the_file_says_cannot_command_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / ".jenga.lock"
    with locks.held(path, where=tmp_path, next="wait"):
        facts = {"host": "\x1b]0;owned\x07", "pid": 1, "since": "\ud800", "command": "x\r\ny"}
        path.write_text(json.dumps(facts))
        assert locks.busy(path) == "pid 1 on ?]0;owned? since ? (x??y)"


def test_folders_are_made_and_go_again_unless_something_is_in_them(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / ".jenga.lock"
    hold(path)
    assert list(tmp_path.iterdir()) == []
    with locks.held(path, where=tmp_path, next="wait"):
        (tmp_path / "a" / "other").touch()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["other"]


def test_the_lock_of_another_folder_of_the_same_name_is_not_removed(tmp_path: Path) -> None:
    """The holder's folder was moved away and another one put there."""
    folder = tmp_path / "run"
    with locks.held(folder / ".lock", where=folder, next="wait"):
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        (folder / ".lock").write_text("of another process")
    assert (folder / ".lock").read_text() == "of another process"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("mine")
    (tmp_path / ".lock").symlink_to(mine)
    with pytest.raises(OSError, match=r"\.lock"):
        hold(tmp_path / ".lock")
    assert mine.read_text() == "mine"


def test_a_file_system_without_locks_is_told_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="has no locks"):
        hold(tmp_path / ".lock")


def test_two_comparisons_into_one_folder(tmp_path: Path) -> None:
    config = toys.numbers_config()
    config["tasks"]["amount"] = {"kind": "core/regression", "target": "amount"}
    with holder(tmp_path / locks.NAME) as process, pytest.raises(UserError, match=f"pid {process.pid} "):
        compare(config, data=toys.numbers_frame(), output=tmp_path, registry=toys.registry(), quiet=True)


def test_a_report_waits_for_whoever_changes_the_folder(tmp_path: Path) -> None:
    with holder(tmp_path / locks.NAME) as process:
        result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert f"pid {process.pid} " in str(result.exception)
