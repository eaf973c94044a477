"""security/causal-transformer: attention from each row of a window to itself and the rows before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jenga_core.contracts import Backbone, Features

from .backbones import TableInput
from .network_config import CausalTransformerConfig
from .transformer import Block


class CausalTransformer(nn.Module, Backbone):
    """A linear layer per row, then `depth` blocks of causal attention (Vaswani et al. 2017; norms first). `facts`: of
    security/window.

    What says how old a row is: a learned bias of each head on its attention, by distance in rows (Raffel et al. 2020,
    without the buckets). So a token depends on the rows before it alone, not on where its window begins or ends, and a window
    at the start of a series is read as any other. Padding lies behind the row, where no token looks.
    """

    def __init__(
        self, config: CausalTransformerConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.input = TableInput(facts)
        self.out_dim = config.width
        self.first = nn.Linear(self.input.width, config.width)
        self.distances = nn.Parameter(torch.zeros(config.heads, int(facts["length"])))
        self.blocks = nn.ModuleList(Block(config, first=False) for _ in range(config.depth))
        self.last = nn.LayerNorm(config.width)

    def forward(self, **data: Tensor) -> Features:
        """numbers [B, T, F], categories [B, T, C], mask [B, T] -> tokens [B, T, width]; pooled [B, width]."""
        mask = data["mask"]
        rows, length = mask.shape
        flat = self.input(data["numbers"].flatten(0, 1), data["categories"].flatten(0, 1))
        tokens, bias = self.first(flat).view(rows, length, -1), self._bias(length)
        for block in self.blocks:
            tokens = block(tokens, bias)
        tokens = cast("Tensor", self.last(tokens))
        newest = mask.sum(dim=1) - 1
        return Features(tokens, mask, tokens[torch.arange(rows, device=mask.device), newest])

    def _bias(self, length: int) -> Tensor:
        """[heads, T, T] to add to the attention of row i on row j: that of the distance i - j, minus infinity for j > i."""
        place = torch.arange(length, device=self.distances.device)
        back = place[:, None] - place[None, :]
        return F.embedding(back.clamp(min=0), self.distances.T).permute(2, 0, 1).masked_fill(back < 0, float("-inf"))
