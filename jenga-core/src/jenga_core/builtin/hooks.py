"""Loop hooks that any run can use: early stopping, averaged weights, gradient statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..api import hookimpl
from ..errors import UserError, nearest
from .gramian import cosines
from .part_config import EarlyStoppingConfig, EmaConfig, GradientStatisticsConfig
from .task_gradients import GradientRows, shared_parameters

if TYPE_CHECKING:
    from ..run import Run


class EarlyStopping:
    """Sets `run.stop` once `patience` evaluations in a row have not improved the metric by more than `min_delta`.

    A metric that is NaN is no improvement. A metric that is missing from an evaluation is a user's error.
    """

    def __init__(self, config: EarlyStoppingConfig) -> None:
        self.config = config
        self.best: float | None = None
        self.waited = 0

    @hookimpl
    def on_fit_start(self, run: Run) -> None:
        monitor, known = self._monitor(run), sorted(run.directions)
        if monitor not in run.directions:
            raise UserError(
                f"no metric is called {monitor!r}",
                where="early-stopping, monitor",
                allowed=known,
                nearest=nearest(monitor, known),
            )

    @hookimpl
    def on_evaluate(self, run: Run, metrics: Mapping[str, float]) -> None:
        monitor = self._monitor(run)
        if monitor not in metrics:
            raise UserError(
                f"the evaluation gave no {monitor!r}", where="early-stopping, monitor", allowed=sorted(metrics)
            )
        value = float(metrics[monitor])
        if self._better(value, run.directions[monitor]):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.config.patience:
            best = "was never a number" if self.best is None else f"has not improved on {self.best:.6g}"
            run.stop = f"early stopping: {monitor} {best} for {self.waited} evaluation{'s' if self.waited > 1 else ''}"

    def _monitor(self, run: Run) -> str:
        return self.config.monitor or run.config.train.monitor

    def _better(self, value: float, direction: str) -> bool:
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        gain = value - self.best if direction == "max" else self.best - value
        return gain > self.config.min_delta

    @hookimpl
    def on_save(self, run: Run, state: dict[str, Any]) -> None:
        mine = state.setdefault(self.config.kind, {})  # one entry per metric: a run may watch several
        mine[self._monitor(run)] = {"best": self.best, "waited": self.waited}

    @hookimpl
    def on_load(self, run: Run, state: Mapping[str, Any]) -> None:
        mine = state[self.config.kind][self._monitor(run)]
        self.best, self.waited = mine["best"], mine["waited"]


class Ema:
    """An exponential moving average of parameters and floating-point buffers (Polyak and Juditsky, 1992).

    After update n, average = d * average + (1 - d) * weights with d = `decay`, or with `warmup` the smaller of it and
    (1 + n) / (10 + n). The average is in the model while validation rows are scored, so the weights that are kept as
    the best are averaged ones, and stays in it when training ends. Frozen parameters are not averaged.
    """

    def __init__(self, config: EmaConfig) -> None:
        self.config = config
        self.updates = 0
        self.average: dict[str, Tensor] = {}
        self.swapped = False

    @hookimpl
    def on_fit_start(self, run: Run) -> None:
        saved, self.average = self.average, {k: v.detach().clone() for k, v in _floats(run.model)}
        for name, value in saved.items():  # from a checkpoint: on the host, in the same order of names or not
            self.average[name].copy_(value)

    @hookimpl
    @torch.no_grad()
    def on_step(self, run: Run, losses: Mapping[str, Tensor]) -> None:
        decay = self.config.decay
        if self.config.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        now = dict(_floats(run.model))
        torch._foreach_lerp_([self.average[k] for k in now], [v.detach() for v in now.values()], 1 - decay)

    @hookimpl(tryfirst=True)
    def on_evaluate_start(self, run: Run) -> None:
        self._swap(run, into=True)

    @hookimpl(trylast=True)
    def on_evaluate(self, run: Run, metrics: Mapping[str, float]) -> None:
        self._swap(run, into=False)

    @hookimpl(tryfirst=True)
    def on_exception(self, run: Run, error: BaseException) -> None:
        """A run that is interrupted while it evaluates must save the trained weights, not the averaged ones."""
        self._swap(run, into=False)

    @hookimpl(tryfirst=True)
    def on_fit_end(self, run: Run) -> None:
        self._swap(run, into=True)

    @torch.no_grad()
    def _swap(self, run: Run, *, into: bool) -> None:
        """Exchange the model's values with the kept ones; does nothing when they are there already."""
        if self.swapped is into:
            return
        for name, value in _floats(run.model):
            held = value.detach().clone()
            value.copy_(self.average[name])
            self.average[name].copy_(held)
        self.swapped = into

    @hookimpl
    def on_save(self, run: Run, state: dict[str, Any]) -> None:
        now = dict(_floats(run.model)) if self.swapped else self.average
        state[self.config.kind] = {"updates": self.updates, "average": {k: v.detach().clone() for k, v in now.items()}}

    @hookimpl
    def on_load(self, run: Run, state: Mapping[str, Any]) -> None:
        mine = state[self.config.kind]
        self.updates, self.average = mine["updates"], dict(mine["average"])


def _floats(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What is averaged: trained parameters and floating-point buffers (running means and variances), by name."""
    yield from ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    yield from ((name, b) for name, b in model.named_buffers() if b.is_floating_point())


class GradientStatistics:
    """Every `every` steps: gradient norms of every backbone, fusion and head, and the cosines between the tasks' gradients.

    Norms (after clipping) are one line of the log, event "gradients", with a key such as ``heads/threat``; a part without
    any gradient in this step has no key. Cosines are of the gradients of the shared parameters, over the whole step and
    all processes, before anything balances them: event "cosines", ``between`` = {task: {other task: cosine}}. They cost one
    more backward pass per task in the steps that are measured, and none where fewer than two tasks share anything.
    """

    def __init__(self, config: GradientStatisticsConfig) -> None:
        self.config = config
        self.rows: GradientRows | None = None  # of the step that is measured

    @hookimpl(tryfirst=True)  # the first hook that computes gradients ends this event
    def backward(self, run: Run, losses: Mapping[str, Tensor], last: bool) -> None:
        if run.step % self.config.every or len(run.config.tasks) < 2:
            return
        if self.rows is None:
            self.rows = GradientRows(shared_parameters(run.model, {n: t.data for n, t in run.config.tasks.items()}))
        parameters = self.rows.parameters
        for name in [n for n in run.config.tasks if n in losses and losses[n].requires_grad and parameters]:
            found = torch.autograd.grad(losses[name], parameters, retain_graph=True, allow_unused=True)
            self.rows.add(name, found)
        if last:
            self._log_cosines(run, self.rows)
            self.rows = None

    def _log_cosines(self, run: Run, rows: GradientRows) -> None:
        rows.reduce(run.accelerator, list(run.config.tasks))
        tasks = [name for name in run.config.tasks if name in rows.rows]
        if len(tasks) < 2:
            return
        found = cosines(rows.gramian(tasks))
        pairs = {
            one: {other: float(found[i, j]) for j, other in enumerate(tasks) if j > i} for i, one in enumerate(tasks)
        }
        run.log("cosines", between={one: others for one, others in pairs.items() if others})

    @hookimpl
    def on_gradients(self, run: Run) -> None:
        if run.step % self.config.every:
            return
        norms = {
            f"{family}/{name}": torch.stack(torch._foreach_norm(gradients)).norm()
            for family in ("backbones", "fusions", "heads")
            for name, part in getattr(run.model, family).items()
            if (gradients := [p.grad for p in part.parameters() if p.grad is not None])
        }
        if norms:
            values = torch.stack(list(norms.values())).tolist()  # one transfer from the device for all of them
            run.log("gradients", **dict(zip(norms, values, strict=True)))
