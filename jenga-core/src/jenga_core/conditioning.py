"""Task conditioning: what a head sees is the shared features, moved by what its task's own vector finds in them.

Each task has a learned vector; the layers that use it are shared by all tasks of one width. All forms add something to the
features that is exactly zero before training, so that a model starts as the one without conditioning and a pretrained
backbone is not disturbed. A token behind a mask is zero before anything is computed from it, and has no weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .contracts import Features, View
from .named import Named

Kind = Literal["attention", "concat", "gated"]
FUSED = ""  # the vector for the features of the whole row; others are named by their input


class Attention(nn.Module):
    """The task reads the row: additive attention of its vector over the tokens (Bahdanau et al., 2015), added everywhere."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.key, self.query = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.score, self.out = nn.Linear(dim, 1, bias=False), _zero(nn.Linear(dim, dim))

    def forward(self, tokens: Tensor, mask: Tensor, pooled: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        """What to add to `tokens` [B, T, D] and `pooled` [B, D]; `task` [D]."""
        read = self.read(tokens, mask, task)
        return read.unsqueeze(1), read

    def read(self, tokens: Tensor, mask: Tensor, task: Tensor) -> Tensor:
        """[B, D]; a row without tokens reads nothing."""
        score = self.score(torch.tanh(self.key(tokens) + self.query(task))).squeeze(-1)
        weight = torch.softmax(score.masked_fill(~mask, torch.finfo(score.dtype).min), dim=1) * mask
        found: Tensor = self.out((weight.unsqueeze(-1) * tokens).sum(dim=1))
        return found


class Gated(Attention):
    """As attention, but each token and the pooled vector let in a share of what was read, feature by feature."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.gate = nn.Linear(2 * dim, dim)

    def forward(self, tokens: Tensor, mask: Tensor, pooled: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        read = self.read(tokens, mask, task)
        return self._let_in(tokens, read.unsqueeze(1).expand_as(tokens)), self._let_in(pooled, read)

    def _let_in(self, x: Tensor, read: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(torch.cat([x, read], dim=-1))) * read


class Concat(nn.Module):
    """Each token and the pooled vector, concatenated with the task's vector, through one hidden layer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.features, self.task = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)  # one layer over both
        self.out = _zero(nn.Linear(dim, dim))

    def forward(self, tokens: Tensor, mask: Tensor, pooled: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        return self._change(tokens, task), self._change(pooled, task)

    def _change(self, x: Tensor, task: Tensor) -> Tensor:
        found: Tensor = self.out(functional.gelu(self.features(x) + self.task(task)))
        return found


FORMS: Mapping[str, type[nn.Module]] = {"attention": Attention, "concat": Concat, "gated": Gated}


def _zero(linear: nn.Linear) -> nn.Linear:
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class TaskVector(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.randn(dim) * 0.02)


class ConditionedHead(nn.Module):
    """A task's head behind its conditioning; called as a head is, so that whoever calls one need not know.

    `shared`: width -> the layers that all tasks of that width use. The model owns them; here they are only referred to.
    `dims`: FUSED -> the width of the fused features, or, for a task that declines fusion, input -> its width.
    """

    def __init__(self, head: nn.Module, shared: Mapping[int, nn.Module], dims: Mapping[str, int]) -> None:
        super().__init__()
        self.head = head
        self.vectors = Named({name: TaskVector(dim) for name, dim in dims.items()})
        self.shared = {name: shared[dim] for name, dim in dims.items()}  # a dict: its modules are not registered

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = self.head(self.condition(view), target)
        return found

    def condition(self, view: View) -> View:
        if view.fused is None:
            return View(None, {name: self._of(name, part) for name, part in view.parts.items()}, view.slices)
        fused = self._of(FUSED, view.fused)
        alone = len(view.parts) == 1  # then it is the row as a whole, and `view.of` gives it
        return View(fused, dict.fromkeys(view.parts, fused) if alone else view.parts, view.slices)

    def _of(self, name: str, features: Features) -> Features:
        tokens = features.tokens.masked_fill(~features.mask.unsqueeze(-1), 0.0)
        vector: Tensor = self.vectors[name].vector  # type: ignore[assignment]
        to_tokens, to_pooled = self.shared[name](tokens, features.mask, features.pooled, vector)
        return Features(tokens + to_tokens, features.mask, features.pooled + to_pooled)


def conditioned(
    heads: Mapping[str, nn.Module], kind: Kind, dims: Mapping[str, Mapping[str, int]]
) -> tuple[dict[str, nn.Module], dict[str, dict[str, nn.Module]]]:
    """The heads, those of the tasks in `dims` behind their conditioning; and the shared layers of those, named by width."""
    widths = dict.fromkeys(dim for each in dims.values() for dim in each.values())
    shared = {dim: FORMS[kind](dim) for dim in widths}
    wrapped: dict[str, nn.Module] = {n: ConditionedHead(heads[n], shared, dims[n]) for n in dims}
    return {**heads, **wrapped}, {n: {str(dim): shared[dim] for dim in each.values()} for n, each in dims.items()}
