"""Networks over tables. Layer norm, never batch norm: a row's output does not depend on the rows beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from jenga_core.contracts import Backbone, Features

from .config import MlpConfig, ResnetConfig
from .embeddings import EMBEDDINGS


class TableInput(nn.Module):
    """numbers [B, F], embedded as `numbers` says, beside an embedding of each category: [B, width]."""

    def __init__(self, facts: Mapping[str, Any], numbers: str = "plain") -> None:
        super().__init__()
        self.numbers = EMBEDDINGS[numbers](int(facts["numbers"]))
        sizes = [int(size) for size in facts["categories"]]
        self.embeddings = nn.ModuleList(nn.Embedding(size, embedding_width(size)) for size in sizes)
        self.width = self.numbers.width + sum(embedding_width(size) for size in sizes)
        for embedding in self.embeddings:
            table = cast("Tensor", embedding.weight)
            nn.init.normal_(table, std=table.shape[1] ** -0.5)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        embedded = [embedding(categories[:, at]) for at, embedding in enumerate(self.embeddings)]
        return torch.cat([self.numbers(numbers), *embedded], dim=1) if embedded else self.numbers(numbers)


def embedding_width(size: int) -> int:
    """1.6 * size^0.56, at most 64: the rule of thumb of fastai's tabular learner."""
    return min(64, round(1.6 * math.pow(size, 0.56)))


class TabularMlp(nn.Module, Backbone):
    """`depth` layers of linear, layer norm, ReLU and dropout. `facts` come from security/table."""

    def __init__(self, config: MlpConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.input = TableInput(facts, config.numbers)
        self.out_dim = config.width
        widths = [self.input.width] + [config.width] * config.depth
        self.layers = nn.Sequential()
        for before, after in pairwise(widths):
            self.layers.extend([nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU(), nn.Dropout(config.dropout)])

    def forward(self, **data: Tensor) -> Features:
        """numbers [B, F], categories [B, C] -> pooled [B, width]."""
        return Features.of_pooled(self.layers(self.input(data["numbers"], data["categories"])))


class ResidualBlock(nn.Module):
    """x + dropout(linear(dropout(relu(linear(norm(x)))))), the block of Gorishniy et al. 2021 with layer norm."""

    def __init__(self, config: ResnetConfig) -> None:
        super().__init__()
        inner = max(1, round(config.width * config.expansion))
        self.layers = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, inner),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(inner, config.width),
            nn.Dropout(config.residual_dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + cast("Tensor", self.layers(x))


class TabularResnet(nn.Module, Backbone):
    """A linear layer, `depth` residual blocks, layer norm, ReLU (arXiv 2106.11959). `facts`: of security/table."""

    def __init__(self, config: ResnetConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.input = TableInput(facts)
        self.out_dim = config.width
        self.layers = nn.Sequential(
            nn.Linear(self.input.width, config.width),
            *(ResidualBlock(config) for _ in range(config.depth)),
            nn.LayerNorm(config.width),
            nn.ReLU(),
        )

    def forward(self, **data: Tensor) -> Features:
        """numbers [B, F], categories [B, C] -> pooled [B, width]."""
        return Features.of_pooled(self.layers(self.input(data["numbers"], data["categories"])))
