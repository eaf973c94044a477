"""`jenga watch`: the alerts of a log, each once, whatever stops the watch and whatever is in the log."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import flow_formats
import jenga_core
from jenga_core import locks
from jenga_core.api import SourceSpec
from jenga_core.cli import app
from jenga_core.errors import DataError, UserError
from jenga_core.following import Following
from jenga_core.registry import Registry
from jenga_security.flows.windows import RequestCount
from jenga_security.watch import journal
from jenga_security.watch import watcher as module
from jenga_security.watch.alarms import Alarms
from jenga_security.watch.journal import Journal, Memory, Progress
from jenga_security.watch.rows import Reader
from jenga_security.watch.watcher import Watcher

COLUMNS = ["port", "protocol", "duration", "request_count", "bytes_sent", "bytes_received"]
QUICK = {"epochs": 10, "learning_rate": 0.01, "bootstrap": 0, "baselines": False}


def source(kind: str, **options):
    registry = Registry.discover()
    return registry.factory(kind, SourceSpec)(registry.config_class(kind, SourceSpec)(kind=kind, **options))


def train(folder: Path, frame: pd.DataFrame, columns: list[str], processor: dict, backbone: str):
    config = {
        "data": {
            "flows": {
                "source": "security/zeek-conn",
                "split": {"by": "time", "column": "ts_start", "validation": 0.2, "test": 0.0},
            }
        },
        "inputs": {"flow": {"columns": columns, "processor": processor}},
        "backbones": {"net": {"kind": backbone, "width": 16}},
        "tasks": {
            "threat": {
                "kind": "security/anomaly",
                "target": "label",
                "normal": "benign",
            }
        },
        "train": QUICK,
    }
    jenga_core.train(config, data=frame, output=folder, quiet=True, report=False)
    return jenga_core.load(folder)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return flow_formats.zeek_tsv(flow_formats.sample(300), close=False).splitlines()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, lines) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("log") / "conn.log"
    path.write_text("\n".join(lines) + "\n")
    frame = pd.concat(source("security/zeek-conn").tables(path, batch_rows=1000))
    return frame.assign(label=np.where(frame["port"] == 443, "attack", "benign"))


@pytest.fixture(scope="module")
def model(tmp_path_factory, labelled):
    return train(
        tmp_path_factory.mktemp("model") / "run", labelled, COLUMNS, {"kind": "security/table"}, "security/tabular-mlp"
    )


@pytest.fixture(scope="module")
def windowed(tmp_path_factory, labelled):
    processor = {"kind": "security/window", "group": "src_ip", "time": "ts_start", "length": 5}
    return train(
        tmp_path_factory.mktemp("windows") / "run",
        labelled,
        [*COLUMNS, "src_ip", "ts_start"],
        processor,
        "security/gru",
    )


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    monkeypatch.setattr(module, "BATCH", 16)


def watching(predictor, log: Path, output: Path, **more) -> tuple[Watcher, list[str]]:
    told: list[str] = []
    made = Watcher(predictor, log, output, source("security/zeek-conn"), tell=told.append, clock=lambda: 1.8e9, **more)
    made.start(from_start=True)
    return made, told


def drain(watch: Watcher) -> None:
    while watch.step():
        pass


def whole(predictor, log: Path, output: Path, **more) -> bytes:
    watch, told = watching(predictor, log, output, **more)
    drain(watch)
    watch.close()
    assert not told
    return output.read_bytes()


def test_alerts_are_the_rows_that_predict_flags(model, lines, tmp_path):
    log = tmp_path / "conn.log"
    log.write_text("\n".join(lines) + "\n")
    found = [json.loads(line) for line in whole(model, log, tmp_path / "alerts").splitlines()]
    rows = model.read(log)
    predicted = model.predict(rows)
    flagged = rows[predicted["threat.label"] == "attack"]
    assert 0 < len(flagged) < len(rows)
    assert [alert["jenga"]["row"]["uid"] for alert in found] == flagged["uid"].tolist()
    want = predicted["threat.score"][flagged.index]
    np.testing.assert_allclose([alert["jenga"]["score"] for alert in found], want, rtol=1e-5)
    assert [a["jenga"]["row"]["request_count"] for a in found] == flagged["request_count"].tolist()
    assert len({alert["event"]["id"] for alert in found}) == len(found)


@pytest.mark.parametrize("kind", ["model", "windowed"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_predict_command_reads_a_log_and_writes_its_rows_with_scores(kind, suffix, lines, tmp_path, request):
    """Log in, the same flows plus score, label and threshold out."""
    predictor = request.getfixturevalue(kind)
    log, output = tmp_path / f"conn.log{suffix}", tmp_path / "scored.csv"
    with gzip.open(log, "wt") if suffix else log.open("w") as file:
        file.write("\n".join(lines) + "\n")
    result = CliRunner().invoke(app, ["predict", str(predictor.folder), str(log), "--output", str(output)])
    assert result.exit_code == 0, result.output
    rows, written = predictor.read(log), pd.read_csv(output)
    want = predictor.predict(rows)
    assert written["uid"].tolist() == rows["uid"].tolist()
    assert written["request_count"].tolist() == rows["request_count"].tolist()
    assert written["threat.label"].tolist() == want["threat.label"].tolist()
    assert {"threat.score", "threat.threshold"} <= set(written)
    np.testing.assert_allclose(written["threat.score"], want["threat.score"], rtol=1e-5)


@pytest.mark.parametrize("kind", ["model", "windowed"])
def test_a_watch_that_is_killed_at_any_batch_writes_what_one_that_is_not_does(kind, lines, tmp_path, request):
    predictor = request.getfixturevalue(kind)
    log = tmp_path / "conn.log"
    log.write_text("\n".join(lines) + "\n")
    want = whole(predictor, log, tmp_path / "once")
    assert want
    for steps in (1, 3, 7):
        output = tmp_path / f"again-{steps}"
        for _ in range(40):
            watch, told = watching(predictor, log, output)
            assert not told
            done = [watch.step() for _ in range(steps)]
            if not done[-1]:
                break  # without `close`: what a kill leaves
            with output.open("ab") as file:
                file.write(b'{"half an alert')  # written, and killed before `position` was
        assert output.read_bytes() == want


@pytest.mark.parametrize("kind", ["model", "windowed"])
@pytest.mark.parametrize("place", ["read", "scored", "raised", "written", "placed"])
def test_a_batch_that_is_broken_off_is_not_remembered(kind, place, lines, tmp_path, request, monkeypatch):
    """Ctrl-C, or a full disk, within a batch: after `close` and a start, ids, counts and windows are those of one watch."""
    predictor = request.getfixturevalue(kind)
    log, output = tmp_path / "conn.log", tmp_path / "alerts"
    bad = "\t".join(["1767225601.0", *["no"] * 12])
    log.write_text("\n".join([*lines[:60], bad, *lines[60:]]) + "\n")
    once, _ = watching(predictor, log, tmp_path / "once")
    drain(once)
    for steps in (2, 4):
        watch, _ = watching(predictor, log, output)
        for _ in range(steps):
            watch.step()
        before = watch.progress
        with monkeypatch.context() as patch:
            break_off(place, patch)
            with pytest.raises((KeyboardInterrupt, OSError)):
                watch.step()
        assert watch.progress == before
        watch.close()
    last, _ = watching(predictor, log, output)
    drain(last)
    assert output.read_bytes() == (tmp_path / "once").read_bytes()
    assert last.progress == once.progress
    assert last.progress.bad == 1


def break_off(place: str, patch: pytest.MonkeyPatch) -> None:
    """The next batch ends behind a place: with Ctrl-C, or with the disk full after half of an alert."""

    def interrupted(real):
        def call(*args, **more):
            real(*args, **more)
            raise KeyboardInterrupt

        return call

    def full(file, data):
        file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if place == "written":
        patch.setattr(journal, "_all", full)
        return
    owner, name = {
        "read": (Reader, "rows"),
        "scored": (Following, "scores"),
        "raised": (Alarms, "raised"),
        "placed": (Journal, "_place"),
    }[place]
    patch.setattr(owner, name, interrupted(getattr(owner, name)))


def test_alerts_are_on_the_disk_before_they_are_remembered(model, lines, tmp_path, monkeypatch):
    """In every memory: fsync of the alerts, then the memory that builds on them."""
    log, output, did = tmp_path / "conn.log", tmp_path / "alerts", []
    log.write_text("\n".join(lines) + "\n")
    fsync, replace = os.fsync, os.replace

    def flushing(file: int) -> None:
        did.extend(["alerts"] if output.exists() and os.fstat(file).st_ino == output.stat().st_ino else [])
        fsync(file)

    def replacing(old, new) -> None:
        did.extend(["memory"] if Path(new).name == "memory" else [])
        replace(old, new)

    monkeypatch.setattr(os, "fsync", flushing)
    monkeypatch.setattr(os, "replace", replacing)
    monkeypatch.setattr(module, "EVERY", 0.0)
    watch, _ = watching(model, log, output)
    for _ in range(5):
        watch.step()
    watch.close()
    assert did == ["alerts", "memory"] * 7  # at the start, after five steps, and at the end


def test_the_size_of_the_alerts_is_remembered_in_bytes(model, lines, tmp_path):
    """CEF has letters as they are, such as those of the log's name: more bytes than characters."""
    log = tmp_path / "straße.log"
    log.write_text("\n".join(lines) + "\n")
    want = whole(model, log, tmp_path / "once", form="cef")
    assert len(want) > len(want.decode())
    output = tmp_path / "again"
    for _ in range(30):
        watch, _ = watching(model, log, output, form="cef")
        more = watch.step()
        assert watch.progress.size == output.stat().st_size
        if not more:
            break
    assert output.read_bytes() == want


@pytest.mark.parametrize("mixed", [["tcp", 6.0, None, True], [{"a": [1]}, "x", 10**40, 0.5], ["a", np.nan, "b", None]])
def test_rows_that_windows_need_are_remembered_whatever_their_cells_are(mixed):
    frame = pd.DataFrame(
        {"group": ["a", "a", "b", "b"], "cell": pd.Series(mixed, dtype=object), "number": [1.5, np.nan, 3, 4]}
    )
    found = Memory.from_bytes(Memory(Progress(), {}, frame).to_bytes()).before
    pd.testing.assert_frame_equal(found, frame)


def test_rows_that_were_bad_before_a_stop_are_in_no_window_after_it(windowed, lines, tmp_path, monkeypatch):
    """They were left out of the windows of later rows, and are so when the lines are read again."""
    log, output = tmp_path / "conn.log", tmp_path / "alerts"
    log.write_text("\n".join(lines) + "\n")
    scores = Following.scores

    def picky(self, frame, **more):
        if frame["ts_start"].isin(odd).any():
            raise DataError("a cell that the model cannot read")
        return scores(self, frame, **more)

    odd = {float(line.split("\t")[0]) for line in lines[40:60:4]}
    monkeypatch.setattr(Following, "scores", picky)
    once, _ = watching(windowed, log, tmp_path / "once")
    drain(once)
    assert once.progress.bad == 5
    for steps in (5, 2, 40):
        watch, _ = watching(windowed, log, output)
        for _ in range(steps):
            watch.step()
    assert output.read_bytes() == (tmp_path / "once").read_bytes()
    assert watch.progress == once.progress


def test_alerts_that_a_failing_machine_lost_are_raised_again(model, lines, tmp_path):
    log, output = tmp_path / "conn.log", tmp_path / "alerts"
    log.write_text("\n".join(lines) + "\n")
    want = whole(model, log, tmp_path / "once")
    watch, _ = watching(model, log, output)
    for _ in range(9):
        watch.step()
    output.write_bytes(b"")  # never reached the disk, while `position` did
    watch, _ = watching(model, log, output)
    drain(watch)
    assert output.read_bytes() == want


def test_a_watch_goes_on_over_a_rotation_while_it_was_stopped(model, lines, tmp_path):
    log, output = tmp_path / "conn.log", tmp_path / "alerts"
    log.write_text("\n".join(lines) + "\n")
    want = whole(model, log, tmp_path / "once")
    log.write_text("\n".join(lines[:150]) + "\n")
    watch, _ = watching(model, log, output)
    for _ in range(3):
        watch.step()
    log.rename(tmp_path / "conn.log.1")
    log.write_text("\n".join([*lines[:6], *lines[150:]]) + "\n")
    watch, told = watching(model, log, output)
    drain(watch)
    assert not told
    assert [_row(line) for line in output.read_bytes().splitlines()] == [_row(line) for line in want.splitlines()]


def _row(line: bytes) -> dict:
    return json.loads(line)["jenga"]["row"]


@pytest.mark.parametrize("bad", ["x\ty", "", "\t".join(["1767225601.0", *["no"] * 12]), "\x00\xff", "#close"])
def test_a_bad_line_is_counted_and_its_neighbours_stay(model, lines, tmp_path, bad):
    log = tmp_path / "conn.log"
    log.write_text("\n".join([*lines[:100], bad, *lines[100:]]) + "\n")
    watch, told = watching(model, log, tmp_path / "alerts")
    drain(watch)
    assert watch.progress.rows == 300
    assert watch.progress.bad == len(told) == (0 if bad in ("", "#close") else 1)


def test_a_port_that_cannot_be_is_one_bad_line(model, lines, tmp_path):
    log = tmp_path / "conn.log"
    wrong = lines[50].replace("\t443\t", "\t70000\t").replace("\t53\t", "\t70000\t")
    log.write_text("\n".join([*lines[:50], wrong, *lines[51:]]) + "\n")
    watch, told = watching(model, log, tmp_path / "alerts")
    drain(watch)
    assert (watch.progress.rows, watch.progress.bad) == (299, 1)
    assert "70000" in told[0]


def test_from_the_end_the_header_is_known(model, lines, tmp_path):
    log, output = tmp_path / "conn.log", tmp_path / "alerts"
    log.write_text("\n".join(lines[:100]) + "\n")
    watch = Watcher(model, log, output, source("security/zeek-conn"), tell=pytest.fail)
    watch.start()
    assert watch.step() == 0
    with log.open("a") as file:
        file.write("\n".join(lines[100:110]) + "\n")
    drain(watch)
    assert watch.progress.rows == 10


def test_another_watch_is_refused(model, lines, tmp_path):
    log, output = tmp_path / "conn.log", tmp_path / "alerts"
    log.write_text("\n".join(lines) + "\n")
    whole(model, log, output)
    with pytest.raises(UserError, match="another format"):
        watching(model, log, output, form="cef")
    (tmp_path / "mine").write_text("something else\n")
    with pytest.raises(UserError, match="is there"):
        watching(model, log, tmp_path / "mine")
    output.unlink()
    with pytest.raises(DataError, match="had written"):
        watching(model, log, output)


def test_two_watches_of_one_file_of_alerts(model, lines, tmp_path):
    log, output = tmp_path / "conn.log", tmp_path / "alerts"
    log.write_text("\n".join(lines) + "\n")
    command = ["watch", str(model.folder), str(log), "--output", str(output), "--from-start", "--once"]
    with locks.held(tmp_path / ".alerts.lock", where=output, next="wait"):
        result = CliRunner().invoke(app, command)
        assert f"{output}: another process is at work here: pid {os.getpid()} " in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conn.log"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert len(output.read_bytes().splitlines()) == len(whole(model, log, tmp_path / "again").splitlines()) > 0
    assert not list(tmp_path.glob(".*"))


def test_a_log_without_the_columns_of_the_model_is_an_error(model, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"x": 1}\n')
    watch = Watcher(model, log, tmp_path / "alerts", source("core/jsonl"), tell=pytest.fail)
    with pytest.raises(DataError, match="none of the columns"):
        watch.start(from_start=True)


@pytest.mark.parametrize("kind", ["core/csv", "core/jsonl"])
def test_csv_and_json_lines_are_followed(model, labelled, tmp_path, kind):
    rows = labelled[COLUMNS]
    text = rows.to_csv(index=False) if kind == "core/csv" else rows.to_json(orient="records", lines=True)
    log, output = tmp_path / "log", tmp_path / "alerts"
    pieces = text.splitlines(keepends=True)
    bad = "only one cell\n" if kind == "core/csv" else "{\n"
    log.write_text("".join([*pieces[:40], bad, *pieces[40:]]))
    told: list[str] = []
    for _ in range(60):
        watch = Watcher(model, log, output, source(kind), tell=told.append)
        watch.start(from_start=True)
        if not watch.step():
            break
    assert watch.progress.rows == 300
    assert watch.progress.bad == 1
    assert watch.progress.alerts == int((model.predict(rows)["threat.label"] == "attack").sum())


def test_counts_go_on_after_state_and_restore():
    rng = np.random.default_rng(0)
    sources, times = [f"10.0.0.{n}" for n in rng.integers(0, 5, 400)], np.cumsum(rng.exponential(5, 400))
    whole = RequestCount().add(sources, times)
    first = RequestCount()
    found = first.add(sources[:150], times[:150])
    second = RequestCount()
    second.restore(first.state())
    assert np.array_equal(np.append(found, second.add(sources[150:], times[150:])), whole)
    empty = RequestCount()
    empty.restore(RequestCount().state())
    assert np.array_equal(empty.add(sources, times), whole)


def test_the_model_computes_on_one_core_or_on_the_device_that_is_named(monkeypatch, tmp_path):
    asked = []

    def load(model, device):
        asked.append(device)
        raise UserError("seen enough")

    monkeypatch.setattr("jenga_core.inference.load", load)
    (tmp_path / "conn.log").touch()
    for option in ([], ["--device", "cuda:1"]):
        CliRunner().invoke(
            app, ["watch", "folder", str(tmp_path / "conn.log"), "--output", str(tmp_path / "a.jsonl"), *option]
        )
    assert asked == ["cpu", "cuda:1"]
