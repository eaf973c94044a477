"""Every key of the `train` section changes what a run does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import jenga_core
import toys
from jenga_core.run import Run


def trained(folder: Path, config: dict[str, Any] | None = None, data: Any = None, **train: Any) -> Run:
    """A run of the toy config with `train` keys over it."""
    return jenga_core.train(
        config or toys.numbers_config(**train), data=toys.numbers_frame() if data is None else data, output=folder,
        registry=toys.registry(), quiet=True, report=False,
    )  # fmt: skip


def lines(run: Run, event: str) -> list[dict[str, Any]]:
    """The log's lines of one event."""
    every = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    return [line for line in every if line["event"] == event]


# ------------------------------------------------------------------ the log


def test_log_every_is_the_steps_between_lines_and_a_line_is_the_mean_of_its_steps(tmp_path: Path) -> None:
    every, fifth = (trained(tmp_path / str(n), log_every=n) for n in (1, 5))
    losses = [line["loss"] for line in lines(every, "train")]
    assert len(losses) == every.step == 27
    found = {line["step"]: line["loss"] for line in lines(fifth, "train")}
    assert list(found) == [5, 10, 15, 20, 25, 27]
    for start, step in zip([0, *found], found, strict=False):
        assert found[step] == pytest.approx(sum(losses[start:step]) / (step - start), rel=1e-5)


def test_a_logged_loss_is_the_mean_over_the_steps_that_had_it(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", log_every=4, epochs=1)
    run._recent, run.step = {}, 1
    run.record_losses({"label": torch.tensor(3.0)})
    run.step = 4
    run.record_losses({"amount": torch.tensor(5.0)})
    assert lines(run, "train")[-1]["losses"] == {"label": 3.0, "amount": 5.0}
