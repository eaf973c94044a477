"""security/tabm: many multilayer perceptrons in one (TabM, Gorishniy et al. 2024, arXiv 2410.24210)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from jenga_core.contracts import Backbone, Features

from .backbones import TableInput
from .network_config import TabmConfig


class MemberLinear(nn.Module):
    """One linear layer for all members, and for each its own scale of inputs and outputs and its own bias (BatchEnsemble).

    [B, in] with `member` [B], or [B, K, in] with all of them; [..., out] likewise. Scales begin as 1, those of the inputs of
    the first layer as random signs: they are what sets the members apart.
    """

    def __init__(self, before: int, after: int, members: int, *, first: bool) -> None:
        super().__init__()
        self.shared = nn.Linear(before, after, bias=False)
        signs = torch.randint(0, 2, (members, before)).float() * 2 - 1
        self.inputs = nn.Parameter(signs if first else torch.ones(members, before))
        self.outputs = nn.Parameter(torch.ones(members, after))
        bound = before**-0.5
        self.bias = nn.Parameter(torch.empty(after).uniform_(-bound, bound).repeat(members, 1))

    def forward(self, x: Tensor, member: Tensor | None) -> Tensor:
        inputs, outputs, bias = (_of(p, member) for p in (self.inputs, self.outputs, self.bias))
        return cast("Tensor", self.shared(x * inputs)) * outputs + bias


class Tabm(nn.Module, Backbone):
    """`members` perceptrons that share their weight matrices. `facts`: of security/table.

    As in the paper every member learns from every row, by the mean of the members' losses and never by the loss of a mean,
    whatever the task's head and loss are: `repeats` asks for each training row `members` times, and each of them goes to
    another member. A step costs what `members` perceptrons do. Otherwise pooled is the mean of the members' features, which
    a linear head turns into the mean of their logits; the paper averages their probabilities, and gives each member a head
    of its own, where these share the task's head behind scales of their own. Layer norms, as in security/tabular-mlp, are
    not the paper's: without them learning is slow (docs/explanation/security-backbones.md).
    """

    def __init__(self, config: TabmConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.input = TableInput(facts, config.numbers)
        self.out_dim, self.members = config.width, config.members
        self.repeats = config.members
        widths = [self.input.width] + [config.width] * config.depth
        self.layers = nn.ModuleList(
            MemberLinear(before, after, config.members, first=at == 0)
            for at, (before, after) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(config.depth))
        self.dropout = nn.Dropout(config.dropout)
        self.last = nn.Parameter(torch.randint(0, 2, (config.members, config.width)).float() * 2 - 1)

    def forward(self, **data: Tensor) -> Features:
        """numbers [B, F], categories [B, C] -> pooled [B, width]."""
        x = self.input(data["numbers"], data["categories"])
        member = torch.arange(len(x), device=x.device) % self.members if self.training else None
        x = x if self.training else x.unsqueeze(1)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(torch.relu(norm(layer(x, member))))
        x = x * _of(self.last, member)
        return Features.of_pooled(x if self.training else x.mean(dim=1))


def _of(parameter: Tensor, member: Tensor | None) -> Tensor:
    """[K, D] -> [B, D] of each row's member, or all of them."""
    return parameter if member is None else parameter[member]
