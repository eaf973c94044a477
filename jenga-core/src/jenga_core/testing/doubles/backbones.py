"""Numbers -> one vector; words -> a vector for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jenga_core.contracts import Backbone, Features

from .config import NetworkConfig, ReaderConfig


class Network(nn.Module, Backbone):
    """`values` [B, columns] -> pooled [B, width]; no sequence."""

    def __init__(self, config: NetworkConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.out_dim = config.width
        self.layers = nn.Sequential(
            nn.Linear(facts["numbers"], config.width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, config.width),
        )

    def forward(self, **data: Tensor) -> Features:
        return Features.of_pooled(self.layers(data["values"]))


class Reader(nn.Module, Backbone):
    """`ids` [B, T], 0 = padding -> tokens: each word, the mean of its row added; pooled: the mean of the words."""

    def __init__(self, config: ReaderConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.out_dim = config.width
        self.embedding = nn.Embedding(facts["vocabulary"], config.width)
        self.mix = nn.Linear(config.width, config.width)

    def forward(self, **data: Tensor) -> Features:
        mask = data["ids"] > 0
        words = self.embedding(data["ids"]).masked_fill(~mask.unsqueeze(-1), 0.0)
        pooled = self.mix(words.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1))
        return Features(torch.where(mask.unsqueeze(-1), words + pooled.unsqueeze(1), 0.0), mask, pooled)
