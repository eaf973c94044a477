"""Gradients of each task for itself, over the parameters that tasks share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Array
from ..model import Model


def shared_parameters(model: Model, tables: Mapping[str, str]) -> list[nn.Parameter]:
    """Trained parameters outside the heads that at least two tasks reach. `tables`: task -> its table."""
    reached: dict[nn.Parameter, int] = {}
    for task, table in tables.items():
        mine = {p for part in model.body(task, table) for p in part.parameters() if p.requires_grad}
        for p in mine:
            reached[p] = reached.get(p, 0) + 1
    return [p for p in model.parameters() if reached.get(p, 0) > 1]


class GradientRows:
    """Named gradients of some parameters, each laid out flat [P] and summed over the batches of one optimizer step.

    What no gradient reached stays without one (None, not zero): the optimizer must leave it alone.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.sizes = [p.numel() for p in self.parameters]
        self.rows: dict[str, Tensor] = {}
        self.reached = [False] * len(self.parameters)

    def add(self, name: str, gradients: Iterable[Tensor | None]) -> None:
        """`gradients` as `torch.autograd.grad` gives them, in the order of the parameters."""
        if name not in self.rows:
            self.rows[name] = self._empty()
        for i, (part, gradient) in enumerate(zip(torch.split(self.rows[name], self.sizes), gradients, strict=True)):
            if gradient is not None:
                part += gradient.reshape(-1)
                self.reached[i] = True

    def reduce(self, accelerator: Any, names: Sequence[str]) -> None:
        """The mean over all processes, as DDP forms it. A row that some process has becomes everyone's."""
        if accelerator.num_processes == 1 or not self.parameters:
            return
        flags = torch.tensor([*(n in self.rows for n in names), *self.reached], device=accelerator.device)
        seen = (accelerator.reduce(flags.float(), reduction="sum") > 0).tolist()
        self.reached = seen[len(names) :]
        for name in (n for n, there in zip(names, seen, strict=False) if there):
            row = self.rows[name] if name in self.rows else self._empty()
            self.rows[name] = accelerator.reduce(row, reduction="mean")

    def gramian(self, names: Sequence[str]) -> Array:
        """Inner products of those rows, float64 [k, k]."""
        matrix = torch.stack([self.rows[name] for name in names])
        found: Array = (matrix @ matrix.T).double().cpu().numpy()
        return found

    def write(self, flat: Tensor) -> None:
        """Make `flat` [P] the gradients that the optimizer will see."""
        for p, part, reached in zip(self.parameters, torch.split(flat, self.sizes), self.reached, strict=True):
            p.grad = part.view_as(p) if reached else None

    def total(self, weights: Mapping[str, float]) -> Tensor:
        """The rows, each times its weight, summed [P]. A row without a weight is left out."""
        found = self._empty()
        for name, weight in weights.items():
            if name in self.rows:
                found.add_(self.rows[name], alpha=weight)
        return found

    def _empty(self) -> Tensor:
        return torch.zeros(sum(self.sizes), device=self.parameters[0].device if self.parameters else None)
