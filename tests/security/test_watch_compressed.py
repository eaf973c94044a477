"""Rotated logs that were compressed: what was not yet read is read once, from the plain file or from the compressed one."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drifting
import jenga_core
from jenga_security.watch.archive import NotWhole, Position, opened, rotated
from jenga_security.watch.tail import Tail

PROGRAM = shutil.which("gzip")


def compress(path: Path) -> None:
    """As gzip does: beside the file, with its time, which is then deleted."""
    if PROGRAM:
        subprocess.run([PROGRAM, str(path)], check=True)
        return
    facts, packed = path.stat(), path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    path.unlink()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def everything(tail: Tail, most: int = 3) -> list[bytes]:
    found: list[bytes] = []
    while got := tail.read(most):
        found += got
    return found


def rotate(log: Path, *, delay: bool) -> None:
    """logrotate's numbers, with `compress` or with `delaycompress`."""
    for n in range(9, 0, -1):
        for ending in ("", ".gz"):
            old = log.with_name(f"{log.name}.{n}{ending}")
            if old.exists():
                old.rename(log.with_name(f"{log.name}.{n + 1}{ending}"))
    log.rename(log.with_name(f"{log.name}.1"))
    log.touch()
    late = log.with_name(f"{log.name}.{2 if delay else 1}")
    if late.exists():
        compress(late)


def lines(*numbers: int) -> list[bytes]:
    return [f"line {n}".encode() for n in numbers]


def grow(log: Path, *numbers: int) -> None:
    append(log, "".join(f"line {n}\n" for n in numbers))


def stopped(log: Path, most: int) -> Position:
    """Where a watch stood that read so many lines, through JSON."""
    tail = Tail(log)
    tail.read(most)
    assert tail.position is not None
    position = Position.read(json.loads(json.dumps(tail.position.state())))
    tail.close()
    return position


@pytest.mark.parametrize(
    "name", ["log.1", "log-20260301", "log-2026-03-01", "log.2026-03-01T10:00:00", "log-1767225600"]
)
@pytest.mark.parametrize("read", [0, 1, 2, 3])
def test_compressed_while_away(tmp_path, name, read):
    log = tmp_path / "log"
    grow(log, 1, 2, 3)
    position = stopped(log, read) if read else Position.read(Tail(log).position.state())
    log.rename(tmp_path / name)
    compress(tmp_path / name)
    grow(log, 4)
    again = Tail(log, position)
    assert everything(again) == lines(*range(read + 1, 5))
    assert again.lost == 0


@pytest.mark.parametrize("delay", [True, False])
def test_several_rotations_while_away(tmp_path, delay):
    log = tmp_path / "log"
    grow(log, 0, 1)
    rotate(log, delay=delay)  # an older one, which was read and must not be again
    grow(log, 2, 3, 4)
    position = stopped(log, 2)
    for n in (5, 7, 9):
        rotate(log, delay=delay)
        grow(log, n, n + 1)
    assert any(path.suffix == ".gz" for path in tmp_path.iterdir())
    again = Tail(log, position)
    assert everything(again) == lines(*range(4, 11))
    assert again.lost == 0


@pytest.mark.parametrize("delay", [True, False, None])
def test_where_the_file_is_gone_the_oldest_one_after_it_is_next(tmp_path, delay):
    """Retention took the file in which the watch stood; None: nothing is compressed."""
    log = tmp_path / "log"
    grow(log, 1)
    log.rename(tmp_path / "log-20200101")
    time.sleep(0.02)  # the clock of a file system has steps
    grow(log, 2, 3)
    position = stopped(log, 1)
    log.unlink()
    grow(log, 4, 5)
    for n in (6, 8):
        rotate(log, delay=True if delay is None else delay)
        grow(log, n, n + 1)
    if delay is None:
        for packed in tmp_path.glob("*.gz"):
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
            os.utime(packed.with_suffix(""), ns=(0, packed.stat().st_mtime_ns))
            packed.unlink()
    again = Tail(log, position)
    assert everything(again) == lines(*range(4, 10))
    assert again.lost == 1


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("begin", ["", "a header\n"])
@pytest.mark.parametrize("reused", [True, False])
def test_a_watch_that_began_on_a_log_without_rows(tmp_path, delay, begin, reused):
    """It is filled, rotated and compressed while the watch is stopped; every log begins alike, and inodes are used again."""
    log = tmp_path / "log"
    log.write_text(begin + "an older log\n")
    rotate(log, delay=delay)
    append(log, begin)
    tail = Tail(log, end=True)
    position = Position.read(json.loads(json.dumps(tail.position.state())))
    tail.close()
    time.sleep(0.02)  # the clock of a file system has steps
    want: list[bytes] = []
    for n in (1, 3, 5):
        grow(log, n, n + 1)
        want += [*([begin[:-1].encode()] if begin and n > 1 else []), *lines(n, n + 1)]
        rotate(log, delay=delay)
        append(log, begin)
    grow(log, 7)
    want += [*([begin[:-1].encode()] if begin else []), *lines(7)]
    if reused:
        position = replace(position, inode=log.stat().st_ino)
    again = Tail(log, position)
    assert everything(again) == want
    assert again.lost == 0


def test_a_watch_that_began_before_there_was_a_log(tmp_path):
    log = tmp_path / "log"
    grow(log, 0)
    rotate(log, delay=False)  # read by nobody, and not of this watch
    log.unlink()
    time.sleep(0.02)
    tail = Tail(log)
    assert tail.read(1) == []
    position = tail.position
    time.sleep(0.02)
    grow(log, 1, 2)
    again = Tail(log, position)
    assert everything(again) == lines(1, 2)
    assert again.lost == 0
    rotate(log, delay=False)
    grow(log, 3)
    again = Tail(log, position)
    assert everything(again) == lines(1, 2, 3)
    assert again.lost == 0


def test_a_copy_of_the_living_log_is_not_read_again(tmp_path):
    """Somebody copied it by hand, to a name that a rotation could have given."""
    log = tmp_path / "log"
    grow(log, 1, 2, 3)
    position = stopped(log, 2)
    time.sleep(0.02)
    shutil.copy(log, tmp_path / "log.1")
    grow(log, 4)
    again = Tail(log, position)
    assert everything(again) == lines(3, 4)
    assert again.lost == 0


@pytest.mark.parametrize("delay", [True, False])
def test_several_rotations_between_two_looks(tmp_path, delay):
    """The file that is open has another inode under its new name, or none any more."""
    log = tmp_path / "log"
    grow(log, 0, 1, 2)
    tail = Tail(log)
    assert tail.read(1) == lines(0)
    for n in (3, 5, 7):
        rotate(log, delay=delay)
        grow(log, n, n + 1)
    assert everything(tail, 2) == lines(*range(1, 9))
    assert tail.lost == 0


def test_a_restart_in_the_middle_of_a_compressed_file(tmp_path):
    log = tmp_path / "log"
    grow(log, *range(6))
    position = stopped(log, 1)
    rotate(log, delay=False)
    grow(log, 6)
    tail = Tail(log, position)
    assert tail.read(2) == lines(1, 2)
    position = tail.position
    tail.close()
    rotate(log, delay=False)
    grow(log, 7)
    again = Tail(log, position)
    assert everything(again) == lines(*range(3, 8))
    assert again.lost == 0


def test_a_copy_that_was_compressed(tmp_path):
    """copytruncate with compress."""
    log = tmp_path / "log"
    grow(log, 1, 2)
    tail = Tail(log)
    everything(tail)
    grow(log, 3, 4)
    shutil.copy2(log, tmp_path / "log.1")
    os.truncate(log, 0)
    compress(tmp_path / "log.1")
    grow(log, 5)
    assert everything(tail) == lines(3, 4, 5)
    assert tail.lost == 0


def test_while_it_is_being_compressed_the_plain_file_counts(tmp_path):
    log = tmp_path / "log"
    grow(log, 1, 2, 3)
    position = stopped(log, 1)
    log.rename(tmp_path / "log.1")
    packed = gzip.compress((tmp_path / "log.1").read_bytes())
    grow(log, 4)
    for size in (0, 10, len(packed)):
        (tmp_path / "log.1.gz").write_bytes(packed[:size])
        again = Tail(log, position)
        assert everything(again) == lines(2, 3, 4)
        assert again.lost == 0
    assert [one.path.name for one in rotated(log)] == ["log.1"]


@pytest.mark.parametrize("gone", ["deleted", "broken"])
def test_what_is_gone_is_counted_once_and_the_log_goes_on(tmp_path, gone):
    log = tmp_path / "log"
    grow(log, 1, 2, 3)
    position = stopped(log, 1)
    rotate(log, delay=False)
    packed = tmp_path / "log.1.gz"
    if gone == "deleted":
        packed.unlink()
    else:
        packed.write_bytes(packed.read_bytes()[:-9])
        with pytest.raises(NotWhole):
            opened(packed)
    grow(log, 4)
    again = Tail(log, position)
    assert everything(again) == lines(4)
    assert everything(again) == []
    assert again.lost == 1


def test_a_broken_file_between_two_logs_is_counted_once(tmp_path):
    log = tmp_path / "log"
    grow(log, 1)
    tail = Tail(log)
    everything(tail)
    rotate(log, delay=False)
    grow(log, 2)
    rotate(log, delay=False)
    packed = tmp_path / "log.1.gz"
    facts = packed.stat()
    packed.write_bytes(packed.read_bytes()[:-9])
    os.utime(packed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert everything(tail) == everything(tail) == []
    grow(log, 3)
    assert everything(tail) == lines(3)
    assert tail.lost == 1


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.one_of(st.integers(1, 4), st.sampled_from(["rotate", "read", "restart", "read all"])), max_size=16),
    st.booleans(),
)
def test_every_line_once_in_order(tmp_path_factory, actions, delay):
    folder = tmp_path_factory.mktemp("packed")
    log, written, rotations = folder / "log", 1, 0
    grow(log, 0)
    tail, found = Tail(log), []
    for action in actions:
        if isinstance(action, int):
            grow(log, *range(written, written + action))
            written += action
        elif action == "rotate" and log.stat().st_size and rotations < 8:
            rotations += 1
            rotate(log, delay=delay)
        elif action == "read":
            found += tail.read(2)
        elif action == "read all":
            found += everything(tail)
        elif action == "restart":
            position = tail.position
            tail.close()
            tail = Tail(log, position)
    grow(log, written)
    found += everything(tail)
    assert found == lines(*range(written + 1))
    assert tail.lost == 0


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_a_killed_watch_goes_on_in_a_compressed_file(tmp_path, kept):
    """A real process, killed within its first memory; the log is rotated and compressed three times before it is back."""
    folder = jenga_core.train(
        drifting.OPTIONS, data=drifting.traffic(1000, 1), output=tmp_path / "run", quiet=True, report=False
    ).folder
    rows = drifting.traffic(5000, 3).drop(columns="label")
    header, *body = rows.to_csv(index=False).splitlines(keepends=True)
    log, output = tmp_path / "flows.csv", tmp_path / "alerts"
    log.write_text(header + "".join(body[:2000]))
    program = [sys.executable, "-c", "from jenga_core.cli import main; main()"]
    command = [*program, "watch", str(folder), str(log), "--output", str(output), "--from-start"]
    with (tmp_path / "told").open("w") as told, subprocess.Popen(command, stderr=told) as running:
        while not (output.exists() and output.stat().st_size):
            assert running.poll() is None, (tmp_path / "told").read_text()
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    for n in range(2000, 5000, 1000):
        rotate(log, delay=True)
        log.write_text(header + "".join(body[n : n + 1000]))
    if not kept:
        (tmp_path / "flows.csv.3.gz").unlink()
    done = subprocess.run([*command, "--once"], capture_output=True, text=True, check=True)
    found = [json.loads(line)["jenga"]["row"]["packets"] for line in output.read_text().splitlines()]
    flagged = jenga_core.load(folder).predict(rows)["threat.label"] == "attack"
    want = rows.loc[flagged, "packets"].tolist()
    if kept:
        assert found == want
        assert "lost" not in done.stderr
        assert "0 gaps" in done.stderr
    else:
        assert found[-int(flagged[2000:].sum()) :] == rows[2000:].loc[flagged[2000:], "packets"].tolist()
        assert "is lost (1 times so far)" in done.stderr
        assert "1 gaps" in done.stderr
