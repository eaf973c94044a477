"""`jenga watch --recalibrate`: thresholds follow the log, hold their floor, stand still in a burst, survive a kill exactly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import drifting
import jenga_core
from jenga_core.cli import app
from jenga_core.errors import UserError
from jenga_security.alert_config import TargetRate
from jenga_security.alerts import AlertRule
from jenga_security.watch import recalibration as module
from jenga_security.watch.journal import Journal, Memory, Progress
from jenga_security.watch.recalibration import Followed, ceiling_of


def normal(rows: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return (np.random.default_rng(seed).beta(2, 30, rows) + shift).astype(np.float32)


def rule(rate: float = 0.01) -> AlertRule:
    """Normal scores about 0.06, attacks about 0.7."""
    scores = np.concatenate([normal(4000, 0), np.random.default_rng(1).beta(7, 3, 500).astype(np.float32)])
    return AlertRule.of(TargetRate(target_fpr=rate)).calibrated(scores, np.repeat([0, 1], [4000, 500]))


def followed(rate: float = 0.01) -> tuple[Followed, list[str]]:
    told: list[str] = []
    return Followed.of("threat", rule(rate), told.append), told


def test_it_follows_traffic_that_shifts_slowly_and_says_so():
    one, told = followed()
    for step in range(40):
        one.apply(normal(2000, step, shift=0.004 * step))
    shifted = normal(4000, 99, shift=0.16)
    assert (shifted >= one.rolling.floor).mean() > 0.1
    assert (shifted >= one.rolling.threshold).mean() < 0.025
    assert any("followed the traffic" in line for line in told)


def test_quieter_traffic_leaves_the_floor_and_says_so_once():
    one, told = followed()
    for step in range(10):
        one.apply(normal(4000, step) * np.float32(0.2))
    assert one.rolling.threshold == one.rolling.floor
    assert len(told) == 1
    assert "the floor" in told[0]
    assert "holds" in told[0]


@pytest.mark.parametrize("score", [0.3, 0.95])
def test_an_attack_that_is_most_of_the_traffic_moves_nothing_and_is_told(score):
    one, told = followed()
    one.apply(normal(20_000, 0))
    before = one.rolling.threshold
    mixed = np.where(np.random.default_rng(5).random(60_000) < 0.8, np.float32(score), normal(60_000, 6))
    thresholds = one.apply(mixed)
    assert (thresholds == before).all()
    assert ((mixed >= thresholds)[mixed == np.float32(score)]).all()
    assert sum("nothing is learned" in line for line in told) == 6  # once a window while it lasts
    one.apply(normal(5000, 7))
    assert any("the burst is over" in line for line in told)


def test_attacks_below_the_burst_never_lift_the_threshold_over_the_ceiling():
    one, _ = followed()
    ceiling = ceiling_of(rule())
    rng = np.random.default_rng(5)
    for step in range(20):
        few = np.where(rng.random(4000) < 0.08, rng.uniform(0.2, 1, 4000), normal(4000, step)).astype(np.float32)
        one.apply(few)
    assert one.rolling.floor < one.rolling.threshold <= ceiling
    found = rule().attacks.scores
    found = found[found >= one.rolling.floor]
    assert (found >= ceiling).mean() >= 0.5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 900), max_size=40), st.integers(0, 3))
def test_it_depends_on_the_order_of_scores_and_not_on_batches_or_restarts(sizes, seed):
    scores = np.concatenate([normal(4000, seed), np.full(700, 0.8, np.float32), normal(sum(sizes), 9, shift=0.05)])
    scores[::97] = np.nan
    whole, _ = followed(0.05)
    want = whole.apply(scores)
    other, _ = followed(0.05)
    found, at = [], 0
    for size in [*sizes, len(scores)]:
        found.append(other.apply(scores[at : at + size]))
        at += size
        again, _ = followed(0.05)
        again.restore(json.loads(json.dumps(other.state())))
        other = again
    np.testing.assert_array_equal(np.concatenate(found), want)
    assert json.dumps(other.state()) == json.dumps(whole.state())  # text, as NaN is equal to nothing


def test_what_cannot_follow_is_refused():
    with pytest.raises(UserError, match="no share of rows"):
        Followed.of("threat", AlertRule.of(0.5), print)
    flat = AlertRule.of(TargetRate(target_fpr=0.01)).calibrated(np.full(200, 0.5), np.zeros(200, dtype=int))
    with pytest.raises(UserError, match="no room"):
        Followed.of("threat", flat, print)


# ------------------------------------------------------------------ the command


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("recalibrate") / "run"
    return jenga_core.train(
        drifting.OPTIONS, data=drifting.traffic(2000, 1), output=found, quiet=True, report=False
    ).folder


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    """Many windows of 1,000 rows, whose normal traffic moves slowly towards attacks."""
    frame = drifting.traffic(5000, 4, drift=0.8, attacks=0.01).drop(columns="label")
    path = tmp_path_factory.mktemp("log") / "flows.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def short(monkeypatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 1000)


def watch(*arguments):
    return CliRunner().invoke(app, ["watch", *map(str, arguments)], catch_exceptions=True)


def thresholds(output: Path) -> list[float]:
    return [json.loads(line)["jenga"]["threshold"] for line in output.read_text().splitlines()]


def test_the_alert_records_the_threshold_in_force(folder, log, tmp_path, short):
    floor = jenga_core.load(folder).parts.tasks["threat"].alerts.threshold
    plain, rolling = tmp_path / "plain", tmp_path / "rolling"
    assert watch(folder, log, "--output", plain, "--from-start", "--once").exit_code == 0
    result = watch(folder, log, "--output", rolling, "--from-start", "--once", "--recalibrate")
    assert result.exit_code == 0, result.output
    assert "follows the newest 1,000 rows at a rate of 0.05" in result.stderr
    assert set(thresholds(plain)) == {floor}
    found = thresholds(rolling)
    assert min(found) == floor < max(found)
    for line in rolling.read_text().splitlines():
        assert json.loads(line)["jenga"]["score"] >= json.loads(line)["jenga"]["threshold"]
    assert len(found) < len(thresholds(plain))


def test_a_watch_that_follows_and_one_that_does_not_are_not_mixed(folder, log, tmp_path, short):
    output = tmp_path / "alerts"
    watch(folder, log, "--output", output, "--from-start", "--once", "--recalibrate")
    assert "another recalibration" in str(watch(folder, log, "--output", output, "--once").exception)


def test_a_threshold_that_is_no_rate_is_refused(folder, log, tmp_path):
    other = jenga_core.train(
        {**drifting.OPTIONS, "tasks": {"threat": {**drifting.OPTIONS["tasks"]["threat"], "threshold": 0.5}}},
        data=drifting.traffic(600, 1), output=tmp_path / "run", quiet=True, report=False,
    ).folder  # fmt: skip
    result = watch(other, log, "--output", tmp_path / "alerts", "--once", "--recalibrate")
    assert "no share of rows" in str(result.exception)


def test_scores_that_a_failing_machine_lost_take_the_watch_back_to_its_memory(tmp_path):
    def journal() -> Journal:
        return Journal(tmp_path / "alerts", {"log": "one"}, scores=2)

    kept = np.arange(6, dtype=np.float32)
    first = journal()
    first.open()
    begin = Memory(Progress(), {}, None, {"threat": 1})
    first.remember(begin)
    first.write(["one"], Progress(rows=3, alerts=1), kept.tobytes() + b"torn")
    memory, progress = journal().open()
    assert memory == begin
    assert progress.rows == 3
    np.testing.assert_array_equal(journal().scores(memory, progress), kept.reshape(3, 2))
    os.truncate(tmp_path / "alerts.watch" / "scores-0", 20)
    assert journal().open()[1] == Progress()
    assert (tmp_path / "alerts").read_bytes() == b""


SLOW = """
import sys, time
from jenga_security.watch import recalibration, watcher
recalibration.WINDOW, watcher.BATCH, watcher.EVERY = 1000, 128, float(sys.argv.pop(1))
step = watcher.Watcher.step
def slowly(self):
    time.sleep(0.01)
    return step(self)
watcher.Watcher.step = slowly
from jenga_core.cli import main
sys.exit(main())
"""


@pytest.mark.slow
def test_killed_processes_write_what_one_that_is_not_killed_writes(folder, log, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(SLOW)

    def start(output: Path) -> subprocess.Popen:
        command = [sys.executable, str(script), "0.3", "watch", str(folder), str(log), "--output", str(output)]
        return subprocess.Popen(
            [*command, "--from-start", "--once", "--recalibrate"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    assert start(tmp_path / "whole").wait(120) == 0
    want = [without_time(line) for line in (tmp_path / "whole").read_text().splitlines()]
    assert len({line["jenga"]["threshold"] for line in want}) > 3
    output, kills = tmp_path / "killed", 0
    while True:
        running = start(output)
        size = output.stat().st_size if output.exists() else 0
        deadline = time.monotonic() + 60
        while running.poll() is None and time.monotonic() < deadline:
            if kills < 2 and output.exists() and output.stat().st_size > size + 4000:
                running.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.002)
        if running.wait(60) == 0:
            break
    assert kills == 2
    assert [without_time(line) for line in output.read_text().splitlines()] == want


def without_time(line: str) -> dict:
    """Without when it was read, and with the float32 score to the digits that rows in other company leave."""
    found = json.loads(line)
    del found["event"]["created"]
    found["jenga"]["score"] = round(found["jenga"]["score"], 5)
    found.pop("@timestamp")
    found.pop("message")
    found["event"].pop("risk_score")
    return found
