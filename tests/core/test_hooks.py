"""Early stopping, loss balancing, averaged weights, gradient statistics, against a run that is only what they read."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from jenga_core.api import hookimpl
from jenga_core.assembly import Events
from jenga_core.builtin.balancing import DwaBalancing, FixedBalancing, RandomBalancing, UncertaintyBalancing
from jenga_core.builtin.balancing_config import (
    DwaBalancingConfig,
    FixedBalancingConfig,
    RandomBalancingConfig,
    UncertaintyBalancingConfig,
)
from jenga_core.builtin.hooks import EarlyStopping, Ema, GradientStatistics
from jenga_core.builtin.part_config import EarlyStoppingConfig, EmaConfig, GradientStatisticsConfig
from jenga_core.errors import PluginError, UserError


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbones = nn.ModuleDict({"x_table": nn.Linear(2, 2)})
        self.fusions = nn.ModuleDict()
        self.heads = nn.ModuleDict({"x_a": nn.Linear(2, 1), "x_b": nn.Linear(2, 1)})
        self.register_buffer("running", torch.zeros(3))


class Accelerator:
    """One process, or two of which the other always gives `other`."""

    device = torch.device("cpu")

    def __init__(self, other: torch.Tensor | None = None) -> None:
        self.other, self.num_processes = other, 1 if other is None else 2

    def reduce(self, tensor: torch.Tensor, reduction: str) -> torch.Tensor:
        assert reduction == "sum"
        return tensor + self.other


def make_run(**weights: float) -> Any:
    lines: list[dict[str, Any]] = []
    tasks = {name: SimpleNamespace(weight=weights.get(name, 1.0)) for name in ("a", "b")}
    return SimpleNamespace(
        model=Model(),
        config=SimpleNamespace(tasks=tasks, train=SimpleNamespace(monitor="loss"), seed=0),
        directions={"loss": "min", "a.f1": "max"},
        stop=None,
        step=0,
        accelerator=Accelerator(),
        lines=lines,
        log=lambda event, **values: lines.append({"event": event, **values}),
    )


def through_checkpoint(hook: Any, fresh: Any, run: Any) -> Any:
    state: dict[str, Any] = {}
    hook.on_save(run=run, state=state)
    fresh.on_load(run=run, state=state)
    return fresh


# ------------------------------------------------------------------ early stopping


def evaluations(run: Any, hook: EarlyStopping, name: str, values: list[float]) -> int | None:
    """Which evaluation stopped the run, counted from 0."""
    for at, value in enumerate(values):
        hook.on_evaluate(run=run, metrics={name: value})
        if run.stop:
            return at
    return None


def test_stops_after_patience_evaluations_without_an_improvement():
    run = make_run()
    assert evaluations(run, EarlyStopping(EarlyStoppingConfig(patience=2)), "loss", [3.0, 2.0, 2.5, 2.0, 1.0]) == 3
    assert "loss has not improved on 2 for 2 evaluations" in run.stop


def test_patience_is_counted_from_the_newest_improvement():
    assert evaluations(make_run(), EarlyStopping(EarlyStoppingConfig(patience=2)), "loss", [3, 4, 2, 4, 1, 4]) is None


def test_monitor_chooses_the_metric_and_its_direction():
    values = [0.1, 0.2, 0.3]  # better as f1, worse as a loss
    assert (
        evaluations(make_run(), EarlyStopping(EarlyStoppingConfig(patience=1, monitor="a.f1")), "a.f1", values) is None
    )
    assert evaluations(make_run(), EarlyStopping(EarlyStoppingConfig(patience=1)), "loss", values) == 1


def test_min_delta_is_what_an_improvement_must_exceed():
    values = [1.0, 0.95, 0.9]
    assert evaluations(make_run(), EarlyStopping(EarlyStoppingConfig(patience=2)), "loss", values) is None
    assert evaluations(make_run(), EarlyStopping(EarlyStoppingConfig(patience=2, min_delta=0.2)), "loss", values) == 2


def test_nan_is_no_improvement():
    run = make_run()
    assert evaluations(run, EarlyStopping(EarlyStoppingConfig(patience=2)), "loss", [math.nan, math.nan]) == 1
    assert "was never a number" in run.stop


def test_an_unknown_monitor_is_refused_before_the_first_step():
    with pytest.raises(UserError, match=r"'a\.f2'") as error:
        EarlyStopping(EarlyStoppingConfig(monitor="a.f2")).on_fit_start(run=make_run())
    assert error.value.nearest == "a.f1"
    with pytest.raises(UserError, match="gave no 'loss'"):
        EarlyStopping(EarlyStoppingConfig()).on_evaluate(run=make_run(), metrics={})


def test_early_stopping_goes_on_counting_after_a_resume():
    run = make_run()
    configs = [EarlyStoppingConfig(kind="core/early-stopping", patience=3, monitor=m) for m in (None, "a.f1")]
    state: dict[str, Any] = {}
    for config, values in zip(
        configs, ([1.0, 2.0], [0.1, 0.2]), strict=True
    ):  # two in one run do not disturb each other
        hook = EarlyStopping(config)
        evaluations(run, hook, config.monitor or "loss", values)
        hook.on_save(run=run, state=state)
    resumed = [EarlyStopping(c) for c in configs]
    for hook in resumed:
        hook.on_load(run=run, state=json.loads(json.dumps(state)))
    assert [(h.best, h.waited) for h in resumed] == [(1.0, 1), (0.2, 0)]


# ------------------------------------------------------------------ balancing

LOSSES = {"a": torch.tensor(2.0), "b": torch.tensor(3.0), "distillation": torch.tensor(5.0)}


def test_fixed_weights_replace_the_tasks_own():
    run = make_run(a=0.5, b=4.0)
    assert FixedBalancing(FixedBalancingConfig()).combine_losses(run=run, losses=LOSSES, share=1.0) == 1 + 12 + 5
    weighted = FixedBalancing(FixedBalancingConfig(weights={"a": 10.0}))
    assert weighted.combine_losses(run=run, losses=LOSSES, share=1.0) == 20 + 12 + 5


def test_fixed_weights_of_an_unknown_task_are_refused():
    with pytest.raises(UserError, match="'c'"):
        FixedBalancing(FixedBalancingConfig(weights={"c": 1.0})).on_fit_start(run=make_run())


def uncertainty(run: Any) -> UncertaintyBalancing:
    hook = UncertaintyBalancing(UncertaintyBalancingConfig())
    hook.on_model_built(run=run, model=run.model)
    return hook


def test_uncertainty_starts_as_the_plain_sum_and_has_its_parameters_in_the_model():
    run = make_run(a=2.0)
    hook = uncertainty(run)
    assert hook.combine_losses(run=run, losses=LOSSES, share=1.0).item() == 4 + 3 + 5
    assert sum("log_variances" in name for name in run.model.state_dict()) == 2


def test_uncertainty_regulariser_is_counted_once_over_the_batches_of_a_step():
    run = make_run()
    hook = uncertainty(run)
    with torch.no_grad():
        hook.log_variances["a"].fill_(0.7)
    zero = {"a": torch.tensor(0.0)}
    halves = [hook.combine_losses(run=run, losses=zero, share=0.5).item() for _ in range(2)]
    assert sum(halves) == pytest.approx(0.35)


def test_uncertainty_converges_to_the_log_of_the_loss():
    """d/ds (exp(-s) L + s/2) = 0 at exp(s) = 2 L."""
    run = make_run()
    hook = uncertainty(run)
    optimizer = torch.optim.LBFGS(run.model.log_variances.parameters(), max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = hook.combine_losses(run=run, losses=LOSSES, share=1.0)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert {n: v.item() for n, v in hook.log_variances.items()} == pytest.approx(
        {"a": math.log(4), "b": math.log(6)}, abs=1e-3
    )


def test_uncertainty_of_a_task_without_a_loss_gets_no_gradient():
    run = make_run()
    hook = uncertainty(run)
    hook.combine_losses(run=run, losses={"a": torch.tensor(2.0)}, share=1.0).backward()
    assert hook.log_variances["a"].grad is not None
    assert hook.log_variances["b"].grad is None


@pytest.fixture
def torchjd() -> Any:
    return pytest.importorskip("torchjd.scalarization", reason="the oracle is not installed: pip install torchjd")


def test_uncertainty_is_torchjds(torchjd: Any) -> None:
    """Theirs is the form for regression, exp(-s) L / 2 + s / 2; ours, without the half, is theirs of losses twice as large."""
    run = make_run()
    hook, theirs = uncertainty(run), torchjd.UW(2)
    variances = torch.tensor([0.4, -1.3])
    with torch.no_grad():
        theirs.log_var.copy_(variances)
        for parameter, value in zip(hook.log_variances.values(), variances, strict=True):
            parameter.fill_(value)
    losses = torch.tensor([2.0, 3.0], requires_grad=True)
    other = losses.detach().clone().requires_grad_()
    mine = hook.combine_losses(run=run, losses={"a": losses[0], "b": losses[1]}, share=1.0)
    wanted = theirs(2 * other)
    assert mine.item() == pytest.approx(wanted.item())
    mine.backward()
    wanted.backward()
    assert losses.grad.tolist() == pytest.approx(other.grad.tolist())
    assert [p.grad.item() for p in hook.log_variances.values()] == pytest.approx(theirs.log_var.grad.tolist())


def test_dwa_is_torchjds(torchjd: Any) -> None:
    run, hook, theirs = make_run(), DwaBalancing(DwaBalancingConfig(temperature=1.5)), torchjd.DWA(temperature=1.5)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(5):
        for _ in range(3):
            losses = torch.rand(2, generator=generator) + 0.1
            named = {"a": losses[0], "b": losses[1]}
            mine = hook.combine_losses(run=run, losses=named, share=1.0)
            assert mine.item() == pytest.approx(theirs(losses).item(), rel=1e-6)
            hook.on_step(run=run, losses=named)
        hook.on_epoch_end(run=run, epoch=epoch, metrics={})
        theirs.step()
    assert hook.weights["a"] != pytest.approx(1.0)


def epochs(hook: DwaBalancing, run: Any, *means: dict[str, float]) -> None:
    for epoch, losses in enumerate(means):
        hook.on_step(run=run, losses={k: torch.tensor(v) for k, v in losses.items()})
        hook.on_epoch_end(run=run, epoch=epoch, metrics={})


def test_dwa_weighs_by_the_ratio_of_the_last_two_epochs():
    run, hook = make_run(b=3.0), DwaBalancing(DwaBalancingConfig(temperature=2.0))
    epochs(hook, run, {"a": 4.0, "b": 4.0})
    assert hook.combine_losses(run=run, losses=LOSSES, share=1.0) == 2 + 9 + 5  # two epochs with equal weights
    epochs(hook, run, {"a": 4.0, "b": 1.0})
    raw = {"a": math.exp(1.0 / 2), "b": math.exp(0.25 / 2)}
    want = {k: 2 * v / sum(raw.values()) for k, v in raw.items()}
    assert hook.weights == pytest.approx(want)
    got = hook.combine_losses(run=run, losses=LOSSES, share=1.0).item()
    assert got == pytest.approx(2 * want["a"] + 3 * 3 * want["b"] + 5, rel=1e-6)


def test_dwa_temperature_evens_the_weights_out():
    spread = []
    for temperature in (0.5, 50.0):
        hook = DwaBalancing(DwaBalancingConfig(temperature=temperature))
        epochs(hook, make_run(), {"a": 4.0, "b": 4.0}, {"a": 4.0, "b": 1.0})
        spread.append(hook.weights["a"] - hook.weights["b"])
    assert spread[0] > 10 * spread[1] > 0


def test_dwa_takes_the_mean_over_steps_that_had_a_loss():
    run, hook = make_run(), DwaBalancing(DwaBalancingConfig())
    hook.on_step(run=run, losses={"a": torch.tensor(2.0)})
    hook.on_step(run=run, losses={"a": torch.tensor(4.0), "b": torch.tensor(6.0)})
    hook.on_epoch_end(run=run, epoch=0, metrics={})
    assert hook.history == [{"a": 3.0, "b": 6.0}]


def test_dwa_survives_a_missing_task_and_a_zero_loss():
    run, hook = make_run(), DwaBalancing(DwaBalancingConfig())
    epochs(hook, run, {"a": 0.0}, {"a": 1.0, "b": 1.0})
    assert hook.weights == pytest.approx({"a": 1.0, "b": 1.0})


def test_dwa_sees_the_same_losses_on_every_process():
    run, hook = make_run(), DwaBalancing(DwaBalancingConfig())
    run.accelerator = Accelerator(other=torch.tensor([[6.0, 8.0], [1.0, 1.0]]))  # the other rank: a = 6, b = 8
    epochs(hook, run, {"a": 2.0})  # this rank: no b at all
    assert hook.history == [{"a": 4.0, "b": 4.0}]


def test_dwa_survives_a_resume_in_the_middle_of_an_epoch():
    run = make_run()
    means = [{"a": 4.0, "b": 4.0}, {"a": 4.0, "b": 1.0}, {"a": 2.0, "b": 1.0}]
    straight, config = DwaBalancing(DwaBalancingConfig(kind="core/dwa")), DwaBalancingConfig(kind="core/dwa")
    epochs(straight, run, *means)
    resumed = DwaBalancing(config)
    epochs(resumed, run, *means[:2])
    resumed.on_step(run=run, losses={k: torch.tensor(v) for k, v in means[2].items()})
    resumed = through_checkpoint(resumed, DwaBalancing(config), run)
    resumed.on_epoch_end(run=run, epoch=2, metrics={})
    assert resumed.weights == straight.weights


def test_random_weights_sum_to_the_number_of_tasks_and_change_with_step_and_seed():
    run, hook = make_run(b=3.0), RandomBalancing(RandomBalancingConfig())

    def weights() -> list[float]:
        ones = [{name: torch.tensor(float(name == n)) for name in ("a", "b")} for n in ("a", "b")]
        return [hook.combine_losses(run=run, losses=one, share=1.0).item() for one in ones]

    first = weights()
    assert first[0] + first[1] / 3 == pytest.approx(2)
    assert weights() == first  # all batches of a step
    run.step = 1
    assert weights() != first
    run.step, run.config.seed = 0, 1
    assert weights() != first


def test_random_weights_leave_other_terms_alone_and_are_one_on_average():
    run, hook, found = make_run(), RandomBalancing(RandomBalancingConfig()), []
    for run.step in range(2000):
        found.append(hook.combine_losses(run=run, losses={"a": torch.tensor(1.0)}, share=1.0).item())
    assert sum(found) / len(found) == pytest.approx(1.0, abs=0.05)
    assert hook.combine_losses(run=run, losses={"distillation": torch.tensor(5.0)}, share=1.0) == 5


# ------------------------------------------------------------------ averaged weights


def steps(hook: Ema, run: Any, values: list[float]) -> None:
    for value in values:
        for p in run.model.parameters():
            p.data.fill_(value)
        run.model.running.fill_(value)
        hook.on_step(run=run, losses={})


def started(config: EmaConfig, run: Any) -> Ema:
    for p in run.model.parameters():
        p.data.zero_()
    run.model.running.zero_()
    hook = Ema(config)
    hook.on_fit_start(run=run)
    return hook


def test_ema_averages_parameters_and_buffers_with_decay():
    run = make_run()
    hook = started(EmaConfig(decay=0.5, warmup=False), run)
    steps(hook, run, [1.0, 2.0])
    assert all(torch.all(v == 1.25) for v in hook.average.values())  # 0.5 * (0.5 * 0 + 0.5 * 1) + 0.5 * 2
    assert "running" in hook.average


def test_ema_warmup_forgets_the_first_weights():
    run, after = make_run(), {}
    for warmup in (True, False):
        hook = started(EmaConfig(decay=0.99, warmup=warmup), run)
        steps(hook, run, [1.0])
        after[warmup] = hook.average["running"][0].item()
    assert after == pytest.approx({True: 0.9, False: 0.01})


def test_ema_is_in_the_model_while_it_is_judged_and_at_the_end():
    run = make_run()
    hook = started(EmaConfig(decay=0.5, warmup=False), run)
    steps(hook, run, [1.0])
    weight = run.model.heads["x_a"].weight

    def value() -> float:
        return weight[0, 0].item()

    hook.on_evaluate_start(run=run)
    assert value() == 0.5
    hook.on_evaluate(run=run, metrics={})
    assert value() == 1.0
    hook.on_evaluate_start(run=run)
    hook.on_exception(run=run, error=KeyboardInterrupt())
    assert value() == 1.0
    hook.on_fit_end(run=run)
    assert value() == 0.5


def test_ema_leaves_frozen_parameters_alone():
    run = make_run()
    run.model.backbones.requires_grad_(False)
    hook = started(EmaConfig(), run)
    assert not any(name.startswith("backbones") for name in hook.average)


@pytest.mark.parametrize("during_evaluation", [False, True])
def test_ema_survives_a_resume(during_evaluation):
    run, config = make_run(), EmaConfig(kind="core/ema", decay=0.5)
    straight = started(config, run)
    steps(straight, run, [1.0, 2.0, 3.0])
    hook = started(config, run)
    steps(hook, run, [1.0, 2.0])
    if during_evaluation:
        hook.on_evaluate_start(run=run)
    resumed = through_checkpoint(hook, Ema(config), run)
    hook.on_evaluate(run=run, metrics={})
    resumed.on_fit_start(run=run)
    steps(resumed, run, [3.0])
    assert resumed.updates == straight.updates == 3
    assert all(torch.equal(straight.average[k], resumed.average[k]) for k in straight.average)


# ------------------------------------------------------------------ gradient statistics


def test_gradient_norms_are_logged_by_part_every_so_many_steps():
    run, hook = make_run(), GradientStatistics(GradientStatisticsConfig(every=2))
    run.model.heads["x_a"](run.model.backbones["x_table"](torch.ones(1, 2))).sum().backward()
    for run.step in range(4):
        hook.on_gradients(run=run)
    assert len(run.lines) == 2
    line = run.lines[0]
    assert line["event"] == "gradients"
    assert set(line) == {"event", "backbones/x_table", "heads/x_a"}  # head b had no gradient
    head = run.model.heads["x_a"]
    assert line["heads/x_a"] == pytest.approx(
        math.hypot(*head.weight.grad.flatten().tolist(), *head.bias.grad.tolist()), rel=1e-6
    )


def test_no_gradients_no_line():
    run = make_run()
    GradientStatistics(GradientStatisticsConfig(every=1)).on_gradients(run=run)
    assert run.lines == []


def test_a_misspelt_event_is_named_with_the_nearest() -> None:
    class Misspelt:
        @hookimpl
        def on_stepp(self, run: Any) -> None: ...

    with pytest.raises(PluginError, match="hook acme/tired: 'on_stepp' is no event of the loop") as error:
        Events({"acme/tired": Misspelt()})
    assert error.value.nearest == "on_step"


def test_an_argument_that_an_event_does_not_give_is_named() -> None:
    class Asking:
        @hookimpl
        def on_step(self, run: Any, gradients: Any) -> None: ...

    with pytest.raises(PluginError, match=r"hook acme/tired: .*gradients"):
        Events({"acme/tired": Asking()})
