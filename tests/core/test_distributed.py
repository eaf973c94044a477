"""Two processes on gloo give what one process gives for the same global batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import jenga_core
import toys
from jenga_core.errors import UserError

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])


def run(folder: Path, processes: int, *, resume: bool = False) -> dict[str, dict[str, torch.Tensor]]:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    script = [str(HERE / "ddp_script.py"), str(folder)]
    command = [sys.executable, *script]
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", f"--master-port={port}"]
        command = [sys.executable, *launcher, *script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(folder / "gradients.pt", weights_only=True)
    return {**found, "weights": torch.load(folder / "weights.pt", weights_only=True)}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict, Path]:
    folder = tmp_path_factory.mktemp("ddp")
    return run(folder / "one", 1), run(folder / "two", 2), folder


@pytest.mark.slow
@pytest.mark.parametrize("which", ["first", "second", "balanced", "headless", "weights"])
def test_two_processes_equal_one(both: tuple[dict, dict, Path], which: str) -> None:
    """`first`: one rank never sees a text, the other no amount. `second`: a rank without any row, then accumulation.

    `balanced`: gradients of each task, reduced over the processes before CAGrad combines them.
    `headless`: a rank without a row, where no head has parameters.
    `weights`: the whole run, with partial labels, missing inputs, accumulation and an early best epoch.
    """
    one, two, _ = both
    for name, value in one[which].items():
        other = two[which][name]
        assert (value is None) == (other is None), name
        if value is not None:
            torch.testing.assert_close(
                other, value, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
            )


@pytest.mark.slow
def test_processes_without_a_gpu_are_one_group(both: tuple[dict, dict, Path]) -> None:
    """The config leaves the device open: each process alone would train a model of its own."""
    for name, world in (("one", 1), ("two", 2)):
        lines = (both[2] / name / "run" / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["world"] for line in lines if json.loads(line)["event"] == "start"] == [world]


@pytest.mark.parametrize("started", ["torchrun", "by hand"])
def test_a_process_that_is_alone_though_it_should_not_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: str
) -> None:
    """As with an accelerator that has no groups, or a variable that another program left."""
    train = {"data": toys.numbers_frame(), "registry": toys.registry(), "quiet": True, "report": False}
    jenga_core.train(toys.numbers_config(epochs=1), output=tmp_path / "alone", **train)
    monkeypatch.setenv("WORLD_SIZE", "2")
    if started == "torchrun":
        monkeypatch.setenv("LOCAL_RANK", "0")
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="one of 2 processes") as caught:
        jenga_core.train(toys.numbers_config(epochs=1), output=tmp_path / "run", **train)
    assert ("train.device=cpu" in caught.value.next) == (started == "torchrun")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_processes_judge_what_one_judges(both: tuple[dict, dict, Path]) -> None:
    folder = both[2]
    one, two = (json.loads((folder / n / "run" / "metrics.json").read_text()) for n in ("one", "two"))
    assert len(one["judgements"]) == len(two["judgements"]) == 2
    for a, b in zip(one["judgements"], two["judgements"], strict=True):
        assert a["rows"] == b["rows"]
        assert a["scores"].keys() == b["scores"].keys()
        for metric, (value, *_) in a["scores"].items():
            assert b["scores"][metric][0] == pytest.approx(value, rel=1e-4, abs=1e-5), metric


@pytest.mark.slow
def test_processes_leave_their_group_before_they_end(both: tuple[dict, dict, Path]) -> None:
    """Threads of a group that is still open when the interpreter ends abort the process now and then."""
    for rank in (0, 1):
        assert (both[2] / "two" / f"ended-{rank}").read_text() == "left the group"
