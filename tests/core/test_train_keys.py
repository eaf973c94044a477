"""Every key of the `train` section changes what a run does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import jenga_core
import toys
from jenga_core.api import hookimpl
from jenga_core.errors import TrainingError
from jenga_core.run import Run
from jenga_core.training import Defaults


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


# ------------------------------------------------------------------ what is not finite is never saved


def nothing_but_finite(folder: Path) -> None:
    """No model, and no checkpoint with a value that is not finite."""
    assert not (folder / "model.safetensors").exists()
    for path in folder.glob("checkpoints/*.pt"):
        state = torch.load(path, weights_only=True)
        assert all(bool(torch.isfinite(v).all()) for v in state["model"].values())


@pytest.mark.parametrize("split", [{"validation": 0.2, "test": 0.2}, {"validation": 0, "test": 0.2}])
@pytest.mark.parametrize("train", [{"checkpoint": {"steps": 1}}, {}])
def test_weights_that_overflow_stop_the_run_before_they_are_saved(tmp_path: Path, split: Any, train: Any) -> None:
    config = toys.numbers_config(epochs=1, batch_size=1000, learning_rate=1e38, clip_norm=None, **train)
    config["data"]["rows"]["split"] = split
    with pytest.raises(TrainingError, match="the weights are not finite after step 1"):
        trained(tmp_path / "run", config)
    nothing_but_finite(tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run_and_names_rows(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss of step \d+ is not finite .*rows: \[\d+"):
        trained(tmp_path / "run", learning_rate=1e30, clip_norm=None)
    nothing_but_finite(tmp_path / "run")


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(self: Any, run: Run, loss: torch.Tensor) -> bool:
        loss.backward()
        next(run.model.parameters()).grad.fill_(float("nan"))
        return True

    monkeypatch.setattr(Defaults, "backward", hookimpl(trylast=True)(poisoned))
    with pytest.raises(TrainingError, match=r"the gradient norm of step 1 is not finite .*rows: \[\d+"):
        trained(tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()
