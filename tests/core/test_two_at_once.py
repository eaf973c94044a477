"""Two processes at one folder: the second is refused and told who is at work, and the first ends as if it had been alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import jenga_core
import toys
from jenga_core import locks
from jenga_core.bulk.parts import Parts
from jenga_core.bulk.pipeline import score_files
from jenga_core.bulk.work import Chunk, Shard
from jenga_core.errors import UserError

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
CONFIG = toys.numbers_config(epochs=2, checkpoint={"steps": 2})


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    """One that has said "here"; it goes on when its standard input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, *command], text=True, env={**os.environ, "PYTHONPATH": PATH}, **pipes
    ) as running:
        said = running.stdout.readline()
        try:
            assert said == "here\n", running.stderr.read()
            yield running
        finally:
            if running.returncode is None:
                running.kill()


def goes_on(running: subprocess.Popen[str]) -> None:
    _, err = running.communicate("", timeout=120)
    assert running.returncode == 0, err


@contextmanager
def training(folder: Path, pause: str, *, resume: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A training into `folder` that waits before the data or before the first step."""
    rows, options = folder.with_name("rows.parquet"), folder.with_name("options.json")
    toys.numbers_frame().to_parquet(rows)
    told = {"config": CONFIG, "data": str(rows), "output": str(folder), "pause": pause, "resume": resume, "quiet": True}
    options.write_text(json.dumps(told))
    with process(str(HERE / "train_script.py"), str(options)) as running:
        yield running


def train_here(folder: Path, *, resume: bool = False, config: Mapping[str, Any] = CONFIG) -> jenga_core.Run:
    return jenga_core.train(
        config, data=toys.numbers_frame(), output=folder, resume=resume, registry=toys.registry(), quiet=True,
        report=False,
    )  # fmt: skip


def is_one_model(folder: Path) -> None:
    """Of one run only, and nothing of a lock in it."""
    jenga_core.load(folder, registry=toys.registry())
    events = [json.loads(line)["event"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert (events.count("start"), events.count("end")) == (1, 1)
    assert not list(folder.rglob("*.lock"))
    assert not [name for name in json.loads((folder / "manifest.json").read_text())["files"] if "lock" in name]


@pytest.mark.slow
@pytest.mark.parametrize("pause", ["data", "step"])
def test_two_trainings_into_one_folder(tmp_path: Path, pause: str) -> None:
    """The second, shorter or not, comes while the first loads its data, and while it trains."""
    folder = tmp_path / "run"
    with training(folder, pause) as first:
        for resume in (False, True):
            with pytest.raises(UserError, match=f"pid {first.pid} on .* since ") as caught:
                train_here(folder, resume=resume, config=toys.numbers_config(epochs=1))
            assert str(folder) in str(caught.value)
            assert "another --output" in caught.value.next
        goes_on(first)
    is_one_model(folder)


@pytest.mark.slow
def test_a_killed_training_blocks_nobody_and_of_two_resumes_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with training(folder, "step") as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
    assert (folder / locks.NAME).exists()
    (folder / locks.NAME).write_bytes(b'{"host": "to')
    with pytest.raises(UserError, match="already holds a run"):
        train_here(folder)
    with training(folder, "step", resume=True) as first:
        with pytest.raises(UserError, match=f"pid {first.pid} "):
            train_here(folder, resume=True)
        goes_on(first)
    is_one_model(folder)


@pytest.mark.slow
def test_a_training_killed_before_it_began_leaves_a_folder_that_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with training(folder, "data") as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
    assert [path.name for path in folder.iterdir()] == [locks.NAME]
    train_here(folder)
    is_one_model(folder)


@pytest.mark.parametrize("place", ["columns", "monitor"])
def test_a_refused_training_leaves_nothing(tmp_path: Path, place: str) -> None:
    """Before the folder holds anything, and behind that."""
    wrong = toys.numbers_config()
    if place == "columns":
        wrong["inputs"]["x"]["columns"] = ["a", "absent"]
    else:
        wrong["train"]["monitor"] = "label.absent"
    with pytest.raises(UserError, match="absent"):
        train_here(tmp_path / "runs" / "one", config=wrong)
    assert list(tmp_path.iterdir()) == []


WORKER = """
    import sys
    import jenga_core, toys
    from jenga_core.bulk import parts, pipeline, work
    model, source, folder, shard = sys.argv[1:]
    work.CHUNK = pipeline.CHUNK = 100
    work.STRETCH = pipeline.STRETCH = 50
    real = parts.PartWriter.write

    def paused(self, table, unusual):
        real(self, table, unusual)
        parts.PartWriter.write = real
        print("here", flush=True)
        sys.stdin.read()

    parts.PartWriter.write = paused
    predictor = jenga_core.load(model, registry=toys.registry())
    pipeline.score_files(predictor, source, folder, shard=work.Shard.read(shard))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_here(tmp_path_factory.mktemp("model") / "run").folder


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in ("work", "pipeline"):
        monkeypatch.setattr(f"jenga_core.bulk.{module}.CHUNK", 100)
        monkeypatch.setattr(f"jenga_core.bulk.{module}.STRETCH", 50)
    toys.numbers_frame(430).to_parquet(tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@contextmanager
def worker(model: Path, source: Path, shard: str) -> Iterator[subprocess.Popen[str]]:
    """A worker with half a part in a temporary file."""
    arguments = [str(path) for path in (model, source, source.with_name("out"))]
    with process("-c", textwrap.dedent(WORKER), *arguments, shard) as running:
        yield running


def rows_of(folder: Path) -> int:
    return sum(len(pd.read_parquet(part)) for part in folder.glob("part-*.parquet"))


@pytest.mark.slow
def test_two_workers_with_the_same_chunks_and_two_that_share(model: Path, source: Path) -> None:
    predictor = jenga_core.load(model, registry=toys.registry())
    folder = source.with_name("out")
    with worker(model, source, "0/2") as first:
        (temporary,) = folder.glob(".part-*.tmp")
        for same in (Shard(0, 2), Shard(0, 1), Shard(2, 4)):
            with pytest.raises(UserError, match=f"pid {first.pid} .* since ") as caught:
                score_files(predictor, source, folder, shard=same)
            assert "--shard" in caught.value.next
        other = score_files(predictor, source, folder, shard=Shard(1, 2))
        assert (other.rows, other.success) == (200, None)
        assert temporary.exists()
        goes_on(first)
    assert (folder / "_SUCCESS").exists()
    assert rows_of(folder) == 430
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_a_killed_worker_blocks_nobody_and_its_leftovers_go(model: Path, source: Path) -> None:
    folder = source.with_name("out")
    with worker(model, source, "1/2") as killed:
        killed.send_signal(signal.SIGKILL)
        killed.wait(30)
    assert {path.suffix for path in folder.glob(".*")} == {".tmp", ".lock"}
    done = score_files(jenga_core.load(model, registry=toys.registry()), source, folder)
    assert (done.rows, done.success["rows"], rows_of(folder)) == (430, 430, 430)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_temporary_files_go_only_when_no_other_worker_lives(model: Path, source: Path) -> None:
    folder = source.with_name("out")
    score_files(jenga_core.load(model, registry=toys.registry()), source, folder)
    left, other = folder / ".part-00000-000000.parquet.1.tmp", folder / ".shard-1-2.lock"
    left.touch()
    parts = Parts(folder, json.loads((folder / "_score.json").read_text()))
    assert parts.done(Chunk(0, 4))
    with locks.held(other, where=folder, next="wait"):
        assert parts.finish(1, Shard(0, 2))
        assert left.exists()
    assert parts.finish(1, Shard(0, 2))
    assert not left.exists()


@pytest.mark.parametrize(
    ("one", "other", "shares"),
    [("0/1", "0/1", True), ("0/2", "1/2", False), ("0/2", "2/4", True), ("1/2", "2/4", False), ("0/2", "1/3", True)],
)
def test_which_shards_have_chunks_in_common(one: str, other: str, shares: bool) -> None:
    left, right = Shard.read(one), Shard.read(other)
    assert left.shares(right) == right.shares(left) == shares
    assert any(left.takes(Chunk(0, n)) and right.takes(Chunk(0, n)) for n in range(12)) == shares
