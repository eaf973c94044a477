"""Integrated gradients (Sundararajan, Taly and Yan 2017, arXiv 1703.01365) of one output over a batch of rows.

From a reference that says nothing a straight line leads to the row: through the numbers, and through the embeddings of the
integers. The gradient of the output, integrated along it and multiplied by the way, is what each entry contributed. All of
them add up to the output at the row minus the output at the reference ("completeness"); what is missing is the error of
the integration, and is reported row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..contracts import Batch, Reference
from ..errors import PluginError
from .lookups import Lookup, Lookups, trace

Place = tuple[str, str]  # input, tensor
Output = Callable[[Batch], Tensor]  # what is explained of every row: [B], or [B, C]


@dataclass(frozen=True, slots=True)
class Attributions:
    """Contributions to the output of a batch. `parts`: (input, tensor) -> in the tensor's shape, over `Part.rows`.

    `output` and `reference` [B]: the output at the rows and at their references. `total` [B]: all contributions of a row;
    `size` [B]: the sum of their absolute values, the scale that `error` is to be held against.
    """

    parts: Mapping[Place, Tensor]
    output: Tensor
    reference: Tensor
    total: Tensor
    size: Tensor

    @property
    def error(self) -> Tensor:
        """[B]: what the contributions lack of the difference that they explain."""
        return self.output - self.reference - self.total


def attribute(output: Output, batch: Batch, references: Mapping[str, Reference], *, nodes: int) -> Attributions:
    """Contributions of every entry of the tensors in `references` (by input), by `nodes` points of Gauss-Legendre.

    Rows must not depend on each other, as in any network in evaluation mode. Parameters get no gradients.
    """
    with _differentiable():
        path = _Path.of(output, batch, references)
        points, weights = np.polynomial.legendre.leggauss(nodes)
        total: dict[Place | int, Tensor] = {}
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            for place, gradient in path.gradients(float(point)).items():
                step = gradient.double() * float(weight)
                total[place] = total[place] + step if place in total else step
        with torch.no_grad():
            here, there = path.at(1.0)[0], path.at(0.0)[0]
        parts = path.parts(total)
    return _summed(batch, parts, here.double(), there.double())


def _summed(batch: Batch, parts: Mapping[Place, Tensor], here: Tensor, there: Tensor) -> Attributions:
    total, size = torch.zeros_like(here), torch.zeros_like(here)
    for (name, _), part in parts.items():
        rows = batch.inputs[name].rows
        total.index_add_(0, rows, part.flatten(1).sum(dim=1))
        size.index_add_(0, rows, part.flatten(1).abs().sum(dim=1))
    return Attributions(parts, here, there, total, size)


@contextmanager
def _differentiable() -> Iterator[None]:
    """Gradients, whatever the caller switched off; without cuDNN, whose recurrent layers have none in evaluation mode."""
    with torch.inference_mode(False), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        yield


@dataclass(frozen=True, slots=True)
class _Path:
    """The line from the references to the rows. `starts` and `changes`: of the numbers; `lookups`: of the embeddings."""

    output: Output
    batch: Batch
    chosen: Tensor | None
    starts: Mapping[Place, Tensor]
    changes: Mapping[Place, Tensor]
    codes: Mapping[Place, Tensor]
    lookups: Mapping[int, Lookup]

    @classmethod
    def of(cls, output: Output, batch: Batch, references: Mapping[str, Reference]) -> _Path:
        given = {(i, t): batch.inputs[i].data[t] for i, reference in references.items() for t in reference.data}
        start = {(i, t): references[i].data[t].to(given[i, t].device) for i, t in given}
        floating = [place for place, tensor in given.items() if tensor.is_floating_point()]
        codes = {place: tensor for place, tensor in given.items() if not tensor.is_floating_point()}
        with torch.no_grad():
            found = output(batch)
        chosen = found.argmax(dim=1, keepdim=True) if found.ndim == 2 else None
        lookups = {}
        if codes:
            lookups = trace(lambda c: output(_with(batch, c)), codes, {place: start[place] for place in codes})
        changes = {place: given[place] - start[place] for place in floating}
        return cls(output, batch, chosen, {p: start[p] for p in floating}, changes, codes, lookups)

    def at(self, point: float) -> tuple[Tensor, dict[Place | int, Tensor]]:
        """(the output [B] at `point` of the line, 0 being the reference; the numbers and embeddings that it depends on)."""
        leaves: dict[Place | int, Tensor] = {}
        for place, start in self.starts.items():
            leaves[place] = (start + point * self.changes[place]).detach().requires_grad_()

        def answer(at: int, ids: Tensor, table: Tensor, look_up: Callable[[], Tensor]) -> Tensor:
            if at not in self.lookups:
                return look_up()
            leaves[at] = (self.lookups[at].start + point * self.lookups[at].change).detach().requires_grad_()
            return leaves[at]

        with Lookups(answer):
            found = self.output(_with(self.batch, {place: leaves[place] for place in self.starts}))
        return found if self.chosen is None else found.gather(1, self.chosen).squeeze(1), leaves

    def gradients(self, point: float) -> dict[Place | int, Tensor]:
        found, leaves = self.at(point)
        if not leaves:
            return {}
        if not found.requires_grad:
            raise PluginError("the task's output cannot be explained: it has no gradient", next="leave `explains` out")
        given = torch.autograd.grad(found.sum(), list(leaves.values()), allow_unused=True)
        return {place: g for place, g in zip(leaves, given, strict=True) if g is not None}

    def parts(self, total: Mapping[Place | int, Tensor]) -> dict[Place, Tensor]:
        """Mean gradients times the way, entry by entry; those of an embedding go to the integer that looked it up."""
        found = {place: total[place] * change if place in total else torch.zeros_like(change).double()
                 for place, change in self.changes.items()}  # fmt: skip
        if self.codes:
            sizes = [tensor.numel() for tensor in self.codes.values()]
            flat = torch.zeros(sum(sizes), dtype=torch.float64, device=next(iter(self.codes.values())).device)
            for at, lookup in self.lookups.items():
                if at in total:
                    of_each = (total[at] * lookup.change).sum(dim=-1)
                    inside = (lookup.source >= 0) & (lookup.source < len(flat))
                    flat.index_add_(0, lookup.source[inside], of_each[inside])
            pieces = torch.split(flat, sizes)
            found |= {p: piece.view(t.shape) for (p, t), piece in zip(self.codes.items(), pieces, strict=True)}
        return found


def _with(batch: Batch, tensors: Mapping[Place, Tensor]) -> Batch:
    """The batch with other tensors in some places."""
    inputs = {
        name: replace(part, data={key: tensors.get((name, key), tensor) for key, tensor in part.data.items()})
        for name, part in batch.inputs.items()
    }
    return replace(batch, inputs=inputs)
