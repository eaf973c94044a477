"""`jenga score` and `jenga watch` as real processes that are killed, interrupted or met by a limit at random moments."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

import jenga_core
from jenga_core.bulk import score_files

pytestmark = pytest.mark.slow
FILES, ROWS = 24, 3_000


def rows(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"size": rng.lognormal(6, 2, ROWS), "port": rng.choice([53, 80, 443], ROWS)})
    return frame.assign(row=np.arange(ROWS) + seed * ROWS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frame = rows(99)
    config = {
        "data": {"flows": {}},
        "inputs": {
            "flow": {"columns": ["size", "port"], "processor": {"kind": "security/table", "categorical": ["port"]}}
        },
        "backbones": {"net": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
        "tasks": {"threat": {"kind": "security/anomaly", "target": "label", "normal": "benign"}},
        "train": {"epochs": 1, "bootstrap": 0, "baselines": False},
    }
    labelled = frame.assign(label=np.where(frame["size"] > 900, "attack", "benign"))
    folder = tmp_path_factory.mktemp("killed") / "run"
    jenga_core.train(config, data=labelled, output=folder, quiet=True, report=False)
    return folder


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "jenga_core.cli", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # a shell that runs the tests in its background has them ignore SIGINT, and what they start with them
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, preexec_fn=heard)


def until(process: subprocess.Popen[bytes], reached: object) -> None:
    """Wait until `reached()` is true or the process has ended."""
    end = time.monotonic() + 120
    while process.poll() is None and not reached() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.002)


def test_every_row_once_whatever_is_killed_when(model: Path, tmp_path: Path) -> None:
    source, out, chance = tmp_path / "in", tmp_path / "out", random.Random(4)
    source.mkdir()
    for n in range(FILES):
        rows(n).to_parquet(source / f"{n:02}.parquet")
    for moment in sorted(chance.sample(range(1, FILES - 2), 3)):
        workers = [start("score", model, source, out, "--shard", f"{n}/2", "--workers", 1) for n in range(2)]
        until(workers[0], lambda moment=moment: len(list(out.glob("part-*.parquet"))) >= moment)
        time.sleep(chance.random() * 0.02)
        for worker in workers:
            worker.kill()
            worker.wait()
        assert not (out / "_SUCCESS").exists()
    ends = [start("score", model, source, out, "--shard", f"{n}/2").wait() for n in range(2)]
    assert ends == [0, 0]
    success = json.loads((out / "_SUCCESS").read_text())
    assert success["rows"] == FILES * ROWS
    assert not list(out.glob(".*.tmp"))
    assert sorted(path.name for path in out.glob("part-*")) == [part["name"] for part in success["parts"]]
    found = pd.concat([parquet.read_table(out / part["name"]).to_pandas() for part in success["parts"]])
    assert found["row"].tolist() == list(range(FILES * ROWS))
    score_files(jenga_core.load(model), source, tmp_path / "whole")
    whole = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "whole").glob("part-*.parquet"))])
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_every_alert_once_whatever_is_killed_when(model: Path, tmp_path: Path) -> None:
    log, output, chance = tmp_path / "log.jsonl", tmp_path / "alerts", random.Random(5)
    frame = rows(1)
    log.write_text("")
    pieces = np.array_split(np.arange(ROWS), 60)
    watch, kills = start("watch", model, log, "--output", output, "--from-start"), 0
    position = tmp_path / "alerts.watch" / "position"
    until(watch, position.exists)
    for number, piece in enumerate(pieces):
        with log.open("a") as file:
            file.write(frame.iloc[piece].to_json(orient="records", lines=True))
        if number in (10, 25, 40):
            size = output.stat().st_size
            until(watch, lambda size=size: output.stat().st_size > size)
            time.sleep(chance.random() * 0.03)
            watch.kill()
            watch.wait()
            kills += 1
            watch = start("watch", model, log, "--output", output)
    watch.kill()
    watch.wait()
    assert start("watch", model, log, "--output", output, "--once").wait() == 0
    assert kills == 3
    predicted = jenga_core.load(model).predict(frame)
    alerts = [json.loads(line) for line in output.read_text().splitlines()]
    assert [a["jenga"]["row"]["row"] for a in alerts] == frame["row"][predicted["threat.label"] == "attack"].tolist()
    assert len({alert["event"]["id"] for alert in alerts}) == len(alerts) > 100


def test_ids_are_those_of_one_watch_whatever_is_interrupted_when(model: Path, tmp_path: Path) -> None:
    """SIGINT, several times, within batches: the ids say which row of the watch an alert belongs to."""
    log, output, chance = tmp_path / "log.jsonl", tmp_path / "alerts", random.Random(6)
    log.write_text("".join(rows(n).to_json(orient="records", lines=True) for n in range(10)))
    position = tmp_path / "alerts.watch" / "position"
    for least in (1, 6_000, 16_000):
        watch = start("watch", model, log, "--output", output, "--from-start")
        until(watch, lambda least=least: position.exists() and json.loads(position.read_text())["rows"] >= least)
        time.sleep(chance.random() * 0.05)
        watch.send_signal(signal.SIGINT)
        assert watch.wait() == 130
    assert start("watch", model, log, "--output", output, "--once").wait() == 0
    assert start("watch", model, log, "--output", tmp_path / "once", "--from-start", "--once").wait() == 0
    assert output.read_bytes().count(b"\n") > 1_000
    assert told(output) == told(tmp_path / "once")
    assert json.loads(position.read_text())["rows"] == 10 * ROWS


def told(output: Path) -> list[tuple[str, object]]:
    alerts = [json.loads(line) for line in output.read_text().splitlines()]
    return [(alert["event"]["id"], alert["jenga"]["row"]) for alert in alerts]


def test_a_watch_that_met_a_limit_goes_on_without_it(model: Path, tmp_path: Path) -> None:
    """A quota, or a full disk: status 1 and the name of the file; the same command goes on when there is room."""
    log, output = tmp_path / "log.jsonl", tmp_path / "alerts"
    log.write_text("".join(rows(n).to_json(orient="records", lines=True) for n in range(4)))
    command = ("watch", model, log, "--output", output, "--from-start", "--once")
    limited = [sys.executable, "-m", "jenga_core.cli", *map(str, command)]
    for limit in (300_000, 900_000, 300_000):
        done = subprocess.run(
            limited,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1, done.stderr
        assert f"{output}: File too large" in done.stderr
        assert "Traceback" not in done.stderr
    assert start(*command).wait() == 0
    assert start("watch", model, log, "--output", tmp_path / "once", "--from-start", "--once").wait() == 0
    assert told(output) == told(tmp_path / "once")
    assert not list((tmp_path / "alerts.watch").glob(".*.tmp"))
