"""Loop hooks that balance tasks by their gradients: PCGrad, CAGrad, MGDA, Nash-MTL and GradNorm.

Each task's loss (times its `weight`) is differentiated for itself with respect to the shared parameters: what at least two
tasks reach of backbones and fusions. The method turns those gradients into one. Everything else, heads above all, gets the
plain gradient of its own loss. A step costs one forward pass and one backward pass per task, and holds a copy of the shared
gradients per task.

Gradients are those of the whole optimizer step: summed over its `accumulate` batches and averaged over all processes before
they are combined, so the result is that of one big batch; clipping comes after. Tasks without a label in the step take no
part. A term that is no task's loss is added as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..api import hookimpl
from ..config import BalancingConfig
from ..contracts import Array
from ..errors import UserError
from . import gramian
from .balancing_config import CagradBalancingConfig, GradnormBalancingConfig
from .task_gradients import GradientRows, shared_parameters

if TYPE_CHECKING:
    from ..run import Run

REST = ""  # the row of what is no task's loss


class Window:
    """The gradients of one optimizer step: `shared` by task, `own` for all other parameters in one row."""

    def __init__(self, run: Run) -> None:
        shared = shared_parameters(run.model, {name: task.data for name, task in run.config.tasks.items()})
        among = set(shared)
        self.shared = GradientRows(shared)
        self.own = GradientRows([p for p in run.model.parameters() if p.requires_grad and p not in among])
        self.losses: dict[str, Tensor] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """One batch: as many backward passes as `terms`, through one graph."""
        parameters = [*self.shared.parameters, *self.own.parameters]
        for at, (name, term) in enumerate(terms.items(), start=1):
            found = torch.autograd.grad(term, parameters, retain_graph=at < len(terms), allow_unused=True)
            self.shared.add(name, found[: len(self.shared.parameters)])
            self.own.add(REST, found[len(self.shared.parameters) :])
            self.losses[name] = self.losses.get(name, 0.0) + term.detach()

    def reduce(self, run: Run) -> list[str]:
        """Average over processes; returns the tasks that have a gradient in this step."""
        tasks = list(run.config.tasks)
        self.shared.reduce(run.accelerator, [*tasks, REST])
        self.own.reduce(run.accelerator, [REST])
        return [name for name in tasks if name in self.shared.rows]


class GradientBalancing(ABC):
    """What the methods have in common; a method is its `weigh`."""

    def __init__(self, config: BalancingConfig) -> None:
        self.config = config
        self.window: Window | None = None

    @abstractmethod
    def weigh(self, run: Run, tasks: Sequence[str], products: Array, losses: Mapping[str, float]) -> Array:
        """The weights [k] of the gradients of `tasks`. `products` [k, k] are their inner products, `losses` those of the step."""

    @hookimpl
    def on_fit_start(self, run: Run) -> None:
        if run.config.train.precision == "fp16":
            raise UserError(
                "fp16 scales the loss, and gradients of single tasks would be scaled or infinite",
                where=f"hooks, {self.config.kind}",
                next="use precision: bf16 or fp32",
            )

    @hookimpl
    def backward(self, run: Run, loss: Tensor, losses: Mapping[str, Tensor], last: bool) -> bool:
        self.window = self.window or Window(run)
        self.window.add(_terms(run, losses))
        if last:
            self._finish(run, self.window)
            self.window = None
        return True

    def _finish(self, run: Run, window: Window) -> None:
        tasks = window.reduce(run)
        weights = dict(zip(tasks, self._weights(run, window, tasks).tolist(), strict=True))
        window.shared.write(window.shared.total({**weights, REST: 1.0}))
        window.own.write(window.own.total({REST: 1.0}))
        if (run.step + 1) % run.config.train.log_every == 0:
            run.log("balancing", weights=weights)

    def _weights(self, run: Run, window: Window, tasks: Sequence[str]) -> Array:
        if not tasks or not window.shared.parameters:
            return np.ones(len(tasks))
        products = window.shared.gramian(tasks)
        if not np.isfinite(products).all():
            return np.ones(len(tasks))  # the loop stops the run at such gradients and says where
        return self.weigh(run, tasks, products, self._losses(run, window, tasks))

    def _losses(self, run: Run, window: Window, tasks: Sequence[str]) -> dict[str, float]:
        """The losses of the step over all processes: terms are scaled by their number, so the mean is the whole."""
        zero = torch.zeros((), device=run.accelerator.device)
        values = torch.stack([torch.as_tensor(window.losses.get(n, zero)).to(zero).float() for n in tasks])
        if run.accelerator.num_processes > 1:
            values = run.accelerator.reduce(values, reduction="mean")
        return dict(zip(tasks, values.tolist(), strict=True))


def _terms(run: Run, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each task's weighted loss, and the sum of all that is no task's. A task of weight 0 is not trained."""
    weights = run.weights
    terms = {n: weights[n] * losses[n] for n in weights if n in losses and weights[n] > 0}
    rest = [loss for name, loss in losses.items() if name not in weights]
    found = {**terms, **({REST: torch.stack(rest).sum()} if rest else {})}
    return {name: term for name, term in found.items() if term.requires_grad}


class PcgradBalancing(GradientBalancing):
    """Gradient surgery (Yu et al., 2020): each task's gradient loses its part against each other one; the rest is summed.

    The random order of the projections follows from the seed and the step.
    """

    def weigh(self, run: Run, tasks: Sequence[str], products: Array, losses: Mapping[str, float]) -> Array:
        return gramian.pcgrad(products, np.random.default_rng([run.config.seed, run.step]))


class CagradBalancing(GradientBalancing):
    """Conflict-averse gradient descent (Liu et al., 2021): near the mean gradient, what helps the worst-off task most."""

    config: CagradBalancingConfig

    def weigh(self, run: Run, tasks: Sequence[str], products: Array, losses: Mapping[str, float]) -> Array:
        return gramian.cagrad(products, self.config.c)


class MgdaBalancing(GradientBalancing):
    """Multiple gradient descent (Sener and Koltun, 2018): the convex combination of least norm."""

    def weigh(self, run: Run, tasks: Sequence[str], products: Array, losses: Mapping[str, float]) -> Array:
        return gramian.mgda(products)


class NashMtlBalancing(GradientBalancing):
    """Nash-MTL (Navon et al., 2022): the step that the tasks would agree on as a bargain."""

    def weigh(self, run: Run, tasks: Sequence[str], products: Array, losses: Mapping[str, float]) -> Array:
        return gramian.nash(products)


class GradnormBalancing(GradientBalancing):
    """GradNorm (Chen et al., 2018): weights that bring the tasks' gradient norms together, more for tasks that learn slower.

    With G_i = w_i |g_i|, their mean G, and r_i = (loss_i / first loss_i) over the mean of those ratios, w_i descends on
    ``|G_i - G r_i^alpha|``, the target held still, and the weights of the present tasks keep their sum. Departures from the
    paper: the norms are over all shared parameters, not the last shared layer; log(w) descends and not w, in units of G, so
    that weights stay positive and `learning_rate` means the same whatever the size of the losses; heads are not weighted.
    """

    config: GradnormBalancingConfig

    def __init__(self, config: GradnormBalancingConfig) -> None:
        super().__init__(config)
        self.weights: dict[str, float] = {}
        self.first: dict[str, float] = {}

    def weigh(self, run: Run, tasks: Sequence[str], products: Array, losses: Mapping[str, float]) -> Array:
        for name in tasks:
            self.first.setdefault(name, losses[name])
        now = np.array([self.weights.get(name, 1.0) for name in tasks])
        ratios = np.array([losses[n] / self.first[n] if self.first[n] else 1.0 for n in tasks])
        moved = self._move(now, np.sqrt(np.diag(products)), ratios)
        self.weights.update(zip(tasks, moved.tolist(), strict=True))
        return now

    def _move(self, weights: Array, norms: Array, ratios: Array) -> Array:
        """The weights of the next step."""
        scaled = weights * norms
        mean = scaled.mean()
        if mean == 0 or ratios.mean() <= 0:
            return weights
        target = mean * np.clip(ratios / ratios.mean(), 0, None) ** self.config.alpha
        moved = weights * np.exp(-self.config.learning_rate * np.sign(scaled - target) * scaled / mean)
        found: Array = moved * (weights.sum() / moved.sum())
        return found

    @hookimpl
    def on_save(self, run: Run, state: dict[str, Any]) -> None:
        state[self.config.kind] = {"weights": self.weights, "first": self.first}

    @hookimpl
    def on_load(self, run: Run, state: Mapping[str, Any]) -> None:
        mine = state[self.config.kind]
        self.weights, self.first = dict(mine["weights"]), dict(mine["first"])
