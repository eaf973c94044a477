"""Every key of the `train` section changes what a run does."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import jenga_core
import toys
from jenga_core import opening
from jenga_core.api import hookimpl
from jenga_core.config import ScheduleConfig
from jenga_core.errors import TrainingError, UserError
from jenga_core.run import Run
from jenga_core.schedules import schedule
from jenga_core.scoring import score
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


# ------------------------------------------------------------------ the schedule


def rates(run: Run) -> list[float]:
    """The learning rate after each step, as a share of its peak."""
    return [line["learning_rate"] / run.config.train.learning_rate for line in lines(run, "train")]


@pytest.mark.parametrize(("kind", "half", "last"), [("constant", 1.0, 1.0), ("linear", 0.5, 0.0), ("cosine", 0.5, 0.0)])
def test_schedule_kinds_have_their_shapes(tmp_path: Path, kind: str, half: float, last: float) -> None:
    found = rates(trained(tmp_path / "run", schedule=kind, log_every=1, epochs=2))
    assert len(found) == 18
    assert found[8] == pytest.approx(half)
    assert found[-1] == pytest.approx(last)
    assert found == sorted(found, reverse=True)


def test_cosine_is_not_linear() -> None:
    linear, cosine = (schedule(ScheduleConfig(kind=k), 100) for k in ("linear", "cosine"))
    assert cosine(25) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4))) != linear(25) == 0.75


@pytest.mark.parametrize("warm", [{"warmup_steps": 4}, {"warmup_ratio": 4 / 18}])
def test_warm_up_by_steps_or_ratio_climbs_to_the_peak(tmp_path: Path, warm: dict[str, Any]) -> None:
    found = rates(trained(tmp_path / "run", schedule={"kind": "constant", **warm}, log_every=1, epochs=2))
    assert found[:5] == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0])
    assert set(found[4:]) == {1.0}


@given(kind=st.sampled_from(["constant", "linear", "cosine"]), total=st.integers(1, 400), warm=st.integers(0, 500))
def test_a_schedule_stays_within_its_peak_and_never_stops_a_step(kind: str, total: int, warm: int) -> None:
    factor = schedule(ScheduleConfig(kind=kind, warmup_steps=warm), total)
    found = [factor(step) for step in range(total)]
    assert all(0 < f <= 1 for f in found)
    assert found[:warm] == sorted(found[:warm])
    assert found[warm:] == sorted(found[warm:], reverse=True)


# ------------------------------------------------------------------ where and how it computes


def same_weights(a: Run, b: Run) -> bool:
    left, right = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


def test_bf16_computes_in_bf16_and_gives_the_same_numbers_after_a_reload(tmp_path: Path) -> None:
    """Three runs in one process: a precision does not stay behind for the next one."""
    plain, half, again = (trained(tmp_path / str(i), precision=p) for i, p in enumerate(("fp32", "bf16", "fp32")))
    assert not same_weights(plain, half)
    assert same_weights(plain, again)
    frame = toys.numbers_frame()
    before = score(half.model, half.data, "rows", np.arange(len(frame)), half.place, labels=False)
    after = jenga_core.load(half.folder, registry=toys.registry()).predict(frame)["label.p(bad)"]
    np.testing.assert_array_equal(after.to_numpy(np.float32), before.outputs["label"]["probability"][:, 0])


def test_fp16_on_a_cpu_is_refused_and_not_taken_for_fp32(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fp16 needs an accelerator"):
        trained(tmp_path / "run", precision="fp16", device="cpu")
    assert not (tmp_path / "run").exists()


def test_device_cpu_is_the_cpu_whatever_else_there_is(tmp_path: Path) -> None:
    assert trained(tmp_path / "run", device="cpu", epochs=1).accelerator.device.type == "cpu"


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED"])
def test_sharding_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(UserError, match=f"{name} is not supported"):
        trained(tmp_path / "run")


# ------------------------------------------------------------------ trackers


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda module: None)
    with pytest.raises(UserError, match=rf'pip install "jenga-core\[{name}\]"'):
        trained(tmp_path / "run", trackers=[name])
    assert not (tmp_path / "run").exists()


def test_tensorboard_gets_the_numbers_of_the_log_in_the_run_folder(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = trained(tmp_path / "run", trackers=["tensorboard"], log_every=5)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    files = list((run.folder / "trackers").rglob("events.out.tfevents.*"))
    read = EventAccumulator(str(next(f for f in files if f.parent.name == "toy")))
    read.Reload()
    logged = {line["step"]: line["loss"] for line in lines(run, "train")}
    assert {e.step: e.value for e in read.Scalars("train/loss")} == pytest.approx(logged)
    assert not any(
        name.startswith("trackers") for name in jenga_core.load(run.folder, registry=toys.registry()).manifest["files"]
    )
