"""security/gru and security/lstm: recurrent networks over the rows of a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from jenga_core.contracts import Backbone, Features

from .backbones import TableInput
from .config import GruConfig


class Recurrent(nn.Module, Backbone):
    """`depth` layers of `cell`, layer norm and dropout. `facts`: of security/window.

    Padding lies behind the row, so that no state before it depends on it; pooled is the state at the row itself.
    """

    cell: ClassVar[type[nn.GRU] | type[nn.LSTM]]

    def __init__(self, config: GruConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.input = TableInput(facts)
        self.out_dim = config.width
        between = config.dropout if config.depth > 1 else 0.0
        self.layers = self.cell(self.input.width, config.width, config.depth, batch_first=True, dropout=between)
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.Dropout(config.dropout))

    def forward(self, **data: Tensor) -> Features:
        """numbers [B, T, F], categories [B, T, C], mask [B, T] -> tokens [B, T, width]; pooled [B, width]."""
        mask = data["mask"]
        rows, length = mask.shape
        flat = self.input(data["numbers"].flatten(0, 1), data["categories"].flatten(0, 1))
        tokens = self.last(self.layers(flat.view(rows, length, -1))[0])
        newest = mask.sum(dim=1) - 1
        return Features(tokens, mask, tokens[torch.arange(rows, device=mask.device), newest])


class Gru(Recurrent):
    """Gated recurrent units (Cho et al. 2014)."""

    cell = nn.GRU


class Lstm(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997)."""

    cell = nn.LSTM
