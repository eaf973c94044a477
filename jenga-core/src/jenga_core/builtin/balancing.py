"""Loop hooks that weigh the losses of several tasks: fixed, learned (uncertainty), by how fast they fall (DWA), at random.

Each returns the loss to minimise from `combine_losses`. A run may have one hook that balances, of these or of
`gradient_balancing`. A term that is no task's loss (one that another hook added) is summed as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..api import hookimpl
from ..errors import UserError, nearest
from .balancing_config import (
    DwaBalancingConfig,
    FixedBalancingConfig,
    RandomBalancingConfig,
    UncertaintyBalancingConfig,
)

if TYPE_CHECKING:
    from ..run import Run


def _weighted(losses: Mapping[str, Tensor], weights: Mapping[str, Any]) -> Tensor:
    """The sum of all terms, each times its weight; a term without one counts fully."""
    return torch.stack([loss * weights.get(name, 1.0) for name, loss in losses.items()]).sum()


class FixedBalancing:
    """Weights as the config gives them; a task that it does not name keeps its own `weight`."""

    def __init__(self, config: FixedBalancingConfig) -> None:
        self.config = config

    @hookimpl
    def on_fit_start(self, run: Run) -> None:
        tasks = list(run.config.tasks)
        for name in self.config.weights:
            if name not in tasks:
                raise UserError(
                    f"no task is called {name!r}",
                    where="fixed-balancing, weights",
                    allowed=tasks,
                    nearest=nearest(name, tasks),
                )

    @hookimpl
    def combine_losses(self, run: Run, losses: Mapping[str, Tensor], share: float) -> Tensor | None:
        weights = {name: task.weight for name, task in run.config.tasks.items()} | self.config.weights
        return _weighted(losses, weights) if losses else None


class UncertaintyBalancing:
    """Learned weights: ``exp(-s) * loss + s / 2`` with one s = log of the variance per task (Kendall et al., 2018).

    The s are parameters of the model: the optimizer trains them, and they are saved with the weights. A task's own
    `weight` multiplies its whole term, for else s would undo it. Only the tasks that have a loss in this batch add
    their s / 2, times `share`, so that it counts once in a step however many batches the step has.
    """

    def __init__(self, config: UncertaintyBalancingConfig) -> None:
        self.config = config
        self.log_variances: dict[str, nn.Parameter] = {}

    @hookimpl
    def on_model_built(self, run: Run, model: nn.Module) -> None:
        model.log_variances = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in run.config.tasks)
        self.log_variances = dict(zip(run.config.tasks, model.log_variances, strict=True))

    @hookimpl
    def combine_losses(self, run: Run, losses: Mapping[str, Tensor], share: float) -> Tensor | None:
        terms = [self._term(run, name, loss, share) for name, loss in losses.items()]
        return torch.stack(terms).sum() if terms else None

    def _term(self, run: Run, name: str, loss: Tensor, share: float) -> Tensor:
        if name not in self.log_variances:
            return loss
        variance = self.log_variances[name].squeeze(0)
        term: Tensor = torch.exp(-variance) * loss + 0.5 * share * variance
        return term * run.config.tasks[name].weight


class DwaBalancing:
    """Dynamic weight average (Liu et al., 2019): a task whose loss falls slower than the others' gets more weight.

    With r = loss of the last epoch / loss of the one before, the weights are ``tasks * softmax(r / temperature)``,
    times each task's own `weight`. The first two epochs have equal weights. A task without a loss in one of the two
    epochs counts as r = 1. Losses are averaged over all processes, so that each arrives at the same weights.
    """

    def __init__(self, config: DwaBalancingConfig) -> None:
        self.config = config
        self.history: list[dict[str, float]] = []  # mean losses of the last two epochs, oldest first
        self.sums: Tensor | None = (
            None  # [2, tasks]: sum of the losses of this epoch's steps, number of steps that had one
        )
        self.weights: dict[str, float] = {}

    @hookimpl
    def combine_losses(self, run: Run, losses: Mapping[str, Tensor], share: float) -> Tensor | None:
        weights = {name: task.weight * self.weights.get(name, 1.0) for name, task in run.config.tasks.items()}
        return _weighted(losses, weights) if losses else None

    @hookimpl
    def on_step(self, run: Run, losses: Mapping[str, Tensor]) -> None:
        zero = torch.zeros((), device=run.accelerator.device)
        values = torch.stack([losses.get(name, zero).detach().float().to(zero.device) for name in run.config.tasks])
        seen = torch.tensor([float(name in losses) for name in run.config.tasks], device=zero.device)
        step = torch.stack([values, seen])
        if run.accelerator.num_processes > 1:
            step = run.accelerator.reduce(step, reduction="sum")
            step = torch.stack([step[0] / run.accelerator.num_processes, (step[1] > 0).float()])
        self.sums = step if self.sums is None else self.sums.to(step.device) + step

    @hookimpl
    def on_epoch_end(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        if self.sums is None:
            return
        sums, steps = self.sums.tolist()
        self.sums = None
        means = {name: s / n for name, s, n in zip(run.config.tasks, sums, steps, strict=True) if n}
        self.history = [*self.history, means][-2:]
        self._weigh(list(run.config.tasks))

    def _weigh(self, tasks: list[str]) -> None:
        if len(self.history) < 2:
            return
        before, last = self.history
        ratios = [last[n] / before[n] if n in last and before.get(n) else 1.0 for n in tasks]
        shares = torch.softmax(torch.tensor(ratios, dtype=torch.float64) / self.config.temperature, dim=0)
        self.weights = dict(zip(tasks, (len(tasks) * shares).tolist(), strict=True))

    @hookimpl
    def on_save(self, run: Run, state: dict[str, Any]) -> None:
        sums = None if self.sums is None else self.sums.tolist()
        state[self.config.kind] = {"history": self.history, "sums": sums, "weights": self.weights}

    @hookimpl
    def on_load(self, run: Run, state: Mapping[str, Any]) -> None:
        mine = state[self.config.kind]
        self.history, self.weights = [dict(h) for h in mine["history"]], dict(mine["weights"])
        self.sums = None if mine["sums"] is None else torch.tensor(mine["sums"])


class RandomBalancing:
    """Random loss weighting (Lin et al., 2022): ``tasks * softmax(z)`` with z standard normal, anew in every step.

    The weights follow from the seed and the step, so all batches of a step, all processes and a resumed run have the
    same ones. Each multiplies its task's own `weight`.
    """

    def __init__(self, config: RandomBalancingConfig) -> None:
        self.config = config

    @hookimpl
    def combine_losses(self, run: Run, losses: Mapping[str, Tensor], share: float) -> Tensor | None:
        tasks = run.config.tasks
        drawn = np.exp(np.random.default_rng([run.config.seed, run.step]).standard_normal(len(tasks)))
        shares = (len(tasks) * drawn / drawn.sum()).tolist()
        weights = {name: task.weight * share for (name, task), share in zip(tasks.items(), shares, strict=True)}
        return _weighted(losses, weights) if losses else None
