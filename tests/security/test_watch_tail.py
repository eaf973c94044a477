"""Following a file: every line once, in order, through rotation, copytruncate, cut lines and restarts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_security.watch.archive import Position
from jenga_security.watch.tail import Tail


def everything(tail: Tail, most: int = 3) -> list[bytes]:
    found: list[bytes] = []
    while lines := tail.read(most):
        assert len(lines) <= most
        found += lines
    return found


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_line_is_given_when_its_end_is_there(tmp_path):
    log = tmp_path / "log"
    append(log, "one\ntw")
    tail = Tail(log)
    assert everything(tail) == [b"one"]
    append(log, "o")
    assert everything(tail) == []
    append(log, "\nthree\n")
    assert everything(tail) == [b"two", b"three"]


def test_a_log_that_is_not_there_yet(tmp_path):
    tail = Tail(tmp_path / "log")
    assert tail.read(5) == []
    assert tail.position.offset == 0
    append(tmp_path / "log", "one\n")
    assert everything(tail) == [b"one"]


def test_from_the_end_begins_behind_the_last_whole_line(tmp_path):
    log = tmp_path / "log"
    append(log, "one\ntwo\nthr")
    tail = Tail(log, end=True)
    append(log, "ee\n")
    assert everything(tail) == [b"three"]


def test_a_rotated_log_is_read_to_its_end_first(tmp_path):
    log = tmp_path / "log"
    append(log, "one\n")
    tail = Tail(log)
    everything(tail)
    log.rename(tmp_path / "log.1")
    append(tmp_path / "log.1", "two\n")
    log.touch()
    assert everything(tail) == [b"two"]
    append(tmp_path / "log.1", "three\ncut")
    append(log, "four\n")
    assert everything(tail) == [b"three", b"cut", b"four"]
    assert tail.lost == 0


def test_two_rotations_between_two_reads(tmp_path):
    log = tmp_path / "log"
    append(log, "one\n")
    tail = Tail(log)
    everything(tail)
    log.rename(tmp_path / "log.2")
    append(log, "two\n")
    os.utime(tmp_path / "log.2", ns=(1, 1))
    log.rename(tmp_path / "log.1")
    append(log, "three\n")
    assert everything(tail) == [b"two", b"three"]


@pytest.mark.parametrize("regrown", ["", "six\n", "a much longer line than all of those that were there before\n"])
def test_after_copytruncate_the_rest_is_read_from_the_copy(tmp_path, regrown):
    log = tmp_path / "log"
    append(log, "one\ntwo\n")
    tail = Tail(log)
    everything(tail)
    append(log, "three\nfour\n")
    shutil.copy(log, tmp_path / "log.1")
    os.truncate(log, 0)
    append(log, regrown)
    assert everything(tail) == [b"three", b"four", *([regrown[:-1].encode()] if regrown else [])]
    append(log, "seven\n")
    assert everything(tail) == [b"seven"]
    assert tail.lost == 0


def test_what_was_emptied_without_a_copy_is_said_to_be_lost(tmp_path):
    log = tmp_path / "log"
    append(log, "one\n")
    tail = Tail(log)
    everything(tail)
    os.truncate(log, 0)
    append(log, "t\n")
    assert everything(tail) == [b"t"]
    assert tail.lost == 1


def test_a_restart_finds_the_log_under_its_new_name(tmp_path):
    log = tmp_path / "log"
    append(log, "one\ntwo\nthree\n")
    tail = Tail(log)
    assert tail.read(1) == [b"one"]
    position = Position.read(tail.position.state())
    tail.close()
    log.rename(tmp_path / "log-20260301")
    append(log, "four\n")
    (tmp_path / "log.alerts").write_text("not a rotated log\n")
    again = Tail(log, position)
    assert everything(again) == [b"two", b"three", b"four"]
    assert again.lost == 0


def test_a_restart_that_does_not_find_it_says_so(tmp_path):
    log = tmp_path / "log"
    append(log, "one\ntwo\n")
    tail = Tail(log)
    tail.read(1)
    position = tail.position
    tail.close()
    log.unlink()
    append(log, "three\n")
    again = Tail(log, position)
    assert everything(again) == [b"three"]
    assert again.lost == 1


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.one_of(
            st.integers(1, 5),  # so many lines are written
            st.sampled_from(["part", "rename", "copytruncate", "read", "restart", "read all"]),
        ),
        max_size=25,
    )
)
def test_every_line_once_in_order(tmp_path_factory, actions):
    """Whatever happens between reads, as long as no copy is made of a log that is not read to the end of the one before."""
    folder = tmp_path_factory.mktemp("tail")
    log, written, rotations, cut = folder / "log", 0, 0, False
    log.touch()
    tail, found = Tail(log), []
    for action in actions:
        if isinstance(action, int):
            append(log, "".join(f"{'' if cut and not n else f'line {written + n}'}\n" for n in range(action)))
            written, cut = written + action, False
        elif action == "part" and not cut:
            append(log, f"line {written}")
            cut = True
        elif action == "rename" and log.stat().st_size and not cut:
            rotations += 1
            log.rename(folder / f"log.{1000 - rotations}")
            log.touch()
        elif action == "copytruncate" and log.stat().st_size and not cut:
            found += everything(tail)  # of a log that is emptied between two looks, only the copy tells
            rotations += 1
            append(log, f"line {written}\n")
            written += 1
            shutil.copy(log, folder / f"log.{1000 - rotations}")
            os.truncate(log, 0)
        elif action == "read":
            found += tail.read(2)
        elif action == "read all":
            found += everything(tail)
        elif action == "restart" and tail.position is not None:
            position = tail.position
            tail.close()
            tail = Tail(log, position)
    append(log, f"{'' if cut else f'line {written}'}\n")
    found += everything(tail)
    assert found == [f"line {n}".encode() for n in range(written + 1)]
    assert tail.lost == 0
