"""Every key of the `train` section changes what a run does."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import jenga_core
import toys
from jenga_core import processes, training
from jenga_core.api import hookimpl
from jenga_core.config import ScheduleConfig, TrainConfig
from jenga_core.errors import TrainingError, UserError
from jenga_core.opening import open_run
from jenga_core.run import Run
from jenga_core.schedules import schedule
from jenga_core.scoring import metrics_of, score
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


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_a_gradient_that_is_not_finite_never_reaches_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip_norm: float | None
) -> None:
    def poisoned(self: Any, run: Run, loss: torch.Tensor) -> bool:
        loss.backward()
        next(run.model.parameters()).grad.fill_(float("nan"))
        return True

    monkeypatch.setattr(Defaults, "backward", hookimpl(trylast=True)(poisoned))
    with pytest.raises(TrainingError, match=r"the gradient norm of step 1 is not finite .*rows: \[\d+"):
        trained(tmp_path / "run", clip_norm=clip_norm)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_loss_of_one_number_may_have_any_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_one(self: Any, losses: dict[str, torch.Tensor]) -> torch.Tensor:
        return sum(losses.values(), torch.zeros(1))

    monkeypatch.setattr(Defaults, "combine_losses", hookimpl(trylast=True)(of_one))
    assert trained(tmp_path / "run", epochs=1).metrics["loss"] > 0


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


@pytest.mark.parametrize(("kind", "middle"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5)])
def test_after_warm_up_the_whole_shape_follows(kind: str, middle: float) -> None:
    factor = schedule(ScheduleConfig(kind=kind, warmup_steps=40), 100)
    assert [factor(40), factor(70)] == pytest.approx([1.0, middle])
    assert factor(99) == pytest.approx(
        {"constant": 1.0, "linear": 1 / 60}.get(kind, 0.5 * (1 - math.cos(math.pi / 60)))
    )


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


@pytest.mark.parametrize("clip_norm", [0.05, 100.0])
def test_clipping_and_hooks_see_gradients_that_fp16_has_unscaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip_norm: float
) -> None:
    """A loss scaled by a power of two, as fp16 scales it, on a CPU: gradients and weights are those of the plain run."""

    def scaled(run: Run, prepare: Any) -> Any:
        run.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        wrapped = prepare(run)
        run.accelerator.native_amp, run.accelerator.state._mixed_precision = True, "fp16"
        return wrapped

    config = toys.numbers_config(epochs=1, clip_norm=clip_norm)
    config["hooks"] = [{"kind": "core/gradient-statistics", "every": 1}]
    plain = trained(tmp_path / "plain", config)
    with monkeypatch.context() as patch:
        patch.setattr(training, "prepare", partial(scaled, prepare=training.prepare))
        half = trained(tmp_path / "half", config)
    assert half.accelerator.scaler.get_scale() == 2.0**16  # no step was skipped
    assert same_weights(plain, half)
    assert [line["backbones/net"] for line in lines(half, "gradients")] == [
        line["backbones/net"] for line in lines(plain, "gradients")
    ]


def test_fp32_is_not_tf32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN's default would round what an LSTM or a convolution multiplies to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    run = trained(tmp_path / "run", precision="fp32", epochs=1)
    assert not torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    jenga_core.load(run.folder, registry=toys.registry())
    assert not torch.backends.cudnn.allow_tf32


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
    monkeypatch.setattr(processes, "find_spec", lambda module: None)
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


# ------------------------------------------------------------------ how long, how much at once


def test_epochs_and_max_steps_end_a_run_and_only_max_steps_says_so(tmp_path: Path) -> None:
    runs = [
        trained(tmp_path / str(i), epochs=2, **more) for i, more in enumerate(({}, {"max_steps": 5}, {"max_steps": 99}))
    ]
    assert [(run.step, run.stop) for run in runs] == [(18, None), (5, "max_steps reached"), (18, None)]
    assert rates_end(runs[1]) == pytest.approx(0.0)  # the schedule is over when the steps are


def rates_end(run: Run) -> float:
    return float(run.scheduler.get_last_lr()[0])


def test_max_steps_that_are_all_steps_are_reached(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", epochs=1, max_steps=9)
    assert (run.step, run.stop) == (9, "max_steps reached")


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "steps"), [(16, 1, 9), (16, 2, 5), (16, 4, 3), (1000, 1, 1), (1000, 3, 1)]
)
def test_batch_size_and_accumulate_make_the_steps_of_an_epoch(
    tmp_path: Path, batch_size: int, accumulate: int, steps: int
) -> None:
    """144 training rows; what is left over is a smaller step, and a batch larger than the table is the table."""
    assert trained(tmp_path / "run", epochs=1, batch_size=batch_size, accumulate=accumulate).step == steps


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 0.02}, {"weight_decay": 0.5}, {"clip_norm": 0.01}, {"clip_norm": None}, {"batch_size": 8},
     {"accumulate": 3}, {"schedule": "cosine"}, {"epochs": 3}],
    ids=str,
)  # fmt: skip
def test_a_key_of_the_optimisation_changes_the_weights(tmp_path: Path, change: dict[str, Any]) -> None:
    base = {"epochs": 2, "clip_norm": 0.1}
    assert not same_weights(trained(tmp_path / "a", **base), trained(tmp_path / "b", **{**base, **change}))


def words_config(**train: Any) -> dict[str, Any]:
    """One table of texts of 2 to 8 words, one class."""
    return {
        "seed": 3,
        "data": {"rows": {"split": {"validation": 0.2, "test": 0.2}}},
        "backbones": {"net": "toy/bag"},
        "inputs": {"x": {"columns": ["text"], "processor": "toy/words"}},
        "tasks": {"place": {"kind": "core/classification", "target": "place"}},
        "train": {"epochs": 2, "batch_size": 16, "bootstrap": 0, "baselines": False, **train},
    }


def test_batch_tokens_bounds_what_is_computed_at_once_and_not_what_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    forward = toys.Bag.forward

    def watched(self: toys.Bag, ids: torch.Tensor, mask: torch.Tensor) -> Any:
        seen.append(ids.numel())
        return forward(self, ids, mask)

    monkeypatch.setattr(toys.Bag, "forward", watched)
    whole = trained(tmp_path / "whole", words_config(), toys.words_frame())
    assert max(seen) > 40
    seen.clear()
    parts = trained(tmp_path / "parts", words_config(batch_tokens=40), toys.words_frame())
    assert max(seen) <= 40
    assert parts.step == whole.step
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    seen.clear()
    monkeypatch.setattr(toys.Bag, "repeats", 3)
    trained(tmp_path / "thrice", words_config(batch_tokens=40, evaluate={"epochs": 2}), toys.words_frame())
    assert max(seen) <= 40, "a row that is read three times counts as three"


def test_a_backbone_may_set_learning_rates_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys.Dense, "learning_rates", lambda self, default: {"net.0.weight": default / 10})
    run = trained(tmp_path / "run", epochs=1, learning_rate=0.02)
    rates = {id(p): group["initial_lr"] for group in run.optimizer.param_groups for p in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in run.model.named_parameters()}
    assert found.pop("backbones._net.net.0.weight") == pytest.approx(0.002)
    assert set(found.values()) == {0.02}


def test_a_backbone_to_which_padding_is_nothing_gets_random_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread: list[list[float]] = [[], []]

    def lengths(self: Any, run: Run, batch: Any) -> None:
        spread[toys.Bag.pads].append(float(np.ptp(run.data.tables["rows"].lengths()[batch.rows])))

    monkeypatch.setattr(toys.Probe, "on_batch", hookimpl(lengths))
    for pads in (True, False):
        monkeypatch.setattr(toys.Bag, "pads", pads)
        trained(tmp_path / str(pads), {**words_config(batch_size=8), "hooks": ["toy/probe"]}, toys.words_frame())
    assert np.mean(spread[True]) < np.mean(spread[False]) / 2


def test_a_backbone_may_ask_for_each_training_row_several_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows stand one behind the other; the loss is their mean, so that a network to which they are alike learns the same."""
    seen: list[np.ndarray] = []
    monkeypatch.setattr(toys.Probe, "on_batch", hookimpl(lambda self, run, batch: seen.append(batch.rows)))
    config = {
        **toys.numbers_config(epochs=1),
        "hooks": ["toy/probe"],
        "backbones": {"net": {"kind": "toy/dense", "dropout": 0}},
    }
    once = trained(tmp_path / "once", config)
    batches = [rows.copy() for rows in seen]
    seen.clear()
    monkeypatch.setattr(toys.Dense, "repeats", 3)
    thrice = trained(tmp_path / "thrice", config)
    assert len(seen) == len(batches)
    for rows, before in zip(seen, batches, strict=True):
        assert rows.tolist() == np.repeat(before, 3).tolist()
    for name, value in thrice.model.state_dict().items():
        torch.testing.assert_close(value, once.model.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_clip_norm_bounds_the_gradient(tmp_path: Path) -> None:
    config = toys.numbers_config(epochs=1, clip_norm=0.05)
    config["hooks"] = [{"kind": "core/gradient-statistics", "every": 1}]
    for line in lines(trained(tmp_path / "run", config), "gradients"):
        assert math.hypot(line["backbones/net"], line["heads/label"]) <= 0.05 * 1.001


def test_weight_decay_shrinks_matrices_and_leaves_biases_alone(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", epochs=1, weight_decay=0.25)
    decays = {p.ndim: g["weight_decay"] for g in run.optimizer.param_groups for p in g["params"]}
    assert decays == {2: 0.25, 1: 0.0}


def test_a_tasks_weight_scales_its_loss_and_zero_leaves_its_head_as_it_began(tmp_path: Path) -> None:
    def two(weight: float) -> Run:
        config = toys.numbers_config(epochs=1, weight_decay=0.0, device="cpu")
        config["tasks"]["amount"] = {"kind": "core/regression", "target": "amount", "weight": weight}
        return trained(tmp_path / str(weight), config)

    none, much = two(0.0), two(5.0)
    assert not same_weights(none, much)
    begun = open_run(
        none.config, data=toys.numbers_frame(), output=tmp_path / "begun", resume=False, seed=None, overrides=(),
        registry=toys.registry(), quiet=True, defaults=Defaults(),
    )  # fmt: skip
    heads = [run.model.heads["amount"].state_dict() for run in (begun, none, much)]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert not any(torch.equal(heads[0][name], heads[2][name]) for name in heads[0])
    assert none.metrics["loss"] == pytest.approx(none.metrics["label.loss"])
    assert much.metrics["loss"] == pytest.approx(much.metrics["label.loss"] + 5 * much.metrics["amount.loss"])


# ------------------------------------------------------------------ evaluating


def test_evaluate_by_steps_or_epochs(tmp_path: Path) -> None:
    by_steps = trained(tmp_path / "steps", epochs=2, evaluate={"steps": 4})
    assert [line["step"] for line in lines(by_steps, "evaluate")] == [4, 8, 12, 16, 18]
    by_epochs = trained(tmp_path / "epochs", epochs=3, evaluate={"epochs": 2})
    assert [line["step"] for line in lines(by_epochs, "evaluate")] == [18, 27]


@pytest.mark.parametrize("size", [1, 7, 1000, None])
def test_evaluate_batch_size_changes_the_batches_and_not_the_numbers(tmp_path: Path, size: int | None) -> None:
    run = trained(tmp_path / "run", epochs=1, evaluate_batch_size=size)
    assert run.place.batch_size == (size or 64)
    assert run.metrics == pytest.approx(trained(tmp_path / "base", epochs=1).metrics, rel=1e-5)


@pytest.mark.parametrize(("monitor", "pick"), [("loss", min), ("label.loss", min), ("label.accuracy", max)])
def test_monitor_chooses_the_best_weights_in_its_direction(tmp_path: Path, monitor: str, pick: Any) -> None:
    """Traps 15 and 17 of the original: the last weights were kept, or none."""
    run = trained(tmp_path / "run", monitor=monitor, learning_rate=0.3, epochs=6)
    values = [line["metrics"][monitor] for line in lines(run, "evaluate")]
    assert len(set(values)) > 1
    assert run.best["value"] == pick(values)
    assert run.best["epoch"] == values.index(pick(values)) + 1
    rows = run.data.tables["rows"].trainable("validation")
    scored = {"rows": score(run.model, run.data, "rows", rows, run.place, labels=True)}
    assert metrics_of(run.data, scored, "validation", run.weights)[monitor] == pytest.approx(run.best["value"])


def test_of_equally_good_evaluations_the_first_is_kept(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", epochs=1)
    run.best = None
    for step, loss in ((5, 1.0), (9, 1.0), (13, 2.0)):
        run.step, run.metrics = step, {"loss": loss}
        run.keep_best()
    assert run.best["step"] == 5


def test_an_unknown_monitor_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"label\.acuracy") as error:
        trained(tmp_path / "run", monitor="label.acuracy")
    assert error.value.nearest == "label.accuracy"


def test_without_validation_rows_the_last_weights_are_kept_and_it_is_said(tmp_path: Path) -> None:
    config = toys.numbers_config(epochs=1)
    config["data"]["rows"]["split"] = {"validation": 0, "test": 0.2}
    assert any("the last weights are kept" in note for note in trained(tmp_path / "run", config).notes)


def test_without_rows_to_judge_on_no_score_is_announced(tmp_path: Path) -> None:
    config = toys.numbers_config(epochs=1)
    config["data"]["rows"]["split"] = {"validation": 0, "test": 0}
    run = trained(tmp_path / "run", config)
    assert not run.judgements
    assert not any("the scores below" in note for note in run.notes)
    assert any("it is not judged" in note for note in run.notes)


def test_a_task_without_labelled_test_rows_is_named(tmp_path: Path) -> None:
    config = toys.numbers_config(epochs=1)
    config["tasks"]["amount"] = {"kind": "core/regression", "target": "amount"}
    frame = toys.numbers_frame()
    run = trained(tmp_path / "run", config, {"train": frame, "test": frame[:40].assign(amount=np.nan)})
    assert "task amount has no labelled test rows: it is not judged" in run.notes
    assert [j.task for j in run.judgements] == ["label"]


def test_bootstrap_and_baselines(tmp_path: Path) -> None:
    without, with_both = (
        trained(tmp_path / "a", epochs=1),
        trained(tmp_path / "b", epochs=1, bootstrap=20, baselines=True),
    )
    (plain,), (full,) = without.judgements, with_both.judgements
    assert (plain.resamples, full.resamples) == (0, 20)
    assert math.isnan(plain.scores["accuracy"].low)
    assert full.scores["accuracy"].low <= full.scores["accuracy"].value <= full.scores["accuracy"].high
    assert not plain.baselines
    assert full.baselines


# ------------------------------------------------------------------ the rest


def test_deterministic_refuses_what_is_not_and_is_gone_in_the_next_run(tmp_path: Path) -> None:
    trained(tmp_path / "a", epochs=1, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    trained(tmp_path / "b", epochs=1)
    assert not torch.are_deterministic_algorithms_enabled()


def test_every_key_of_the_section_is_spoken_of_here() -> None:
    """A new key fails this until it has a test. Trap 9 of the original: keys that nothing read."""
    tested = {
        "epochs", "max_steps", "batch_size", "accumulate", "learning_rate", "weight_decay", "clip_norm", "schedule",
        "precision", "device", "evaluate", "evaluate_batch_size", "monitor", "deterministic", "log_every", "trackers",
        "bootstrap", "baselines", "batch_tokens",
        "explanations",  # test_importance.py
        "sampling",  # test_sampling.py, test_contract.py
        "checkpoint",  # test_resume.py
    }  # fmt: skip
    assert set(TrainConfig.model_fields) == tested
