"""text/conv: a small encoder with new weights, for CPUs: embeddings and blocks of separable convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from jenga_core.contracts import Backbone, Features

from .config import ConvConfig
from .pooling import Pooling


class Block(nn.Module):
    """Depthwise convolution over the neighbours, then two layers per token; residual, normalised first.

    Dilated as in ByteNet (Kalchbrenner et al. 2016). `x` [B, T, D] holds zeros behind the end of a row. The convolution has
    no bias and keeps the variance: one beside the small vectors of tokens makes all tokens alike once they are normalised.
    `down` begins at zero, so that a new network is its embeddings and each block adds what it has learned.
    """

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        reach = dilation * (kernel - 1) // 2
        self.norm = nn.LayerNorm(width)
        self.near = nn.Conv1d(width, width, kernel, padding=reach, dilation=dilation, groups=width, bias=False)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.near.weight, std=kernel**-0.5)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.near((self.norm(x) * mask).transpose(1, 2)).transpose(1, 2)
        found: Tensor = x + self.dropout(self.down(functional.gelu(self.up(y)))) * mask
        return found


class Conv(nn.Module, Backbone):
    """Takes `ids` and `mask` [B, T] of rows of any length. Block i looks `kernel // 2 * 2**i` tokens to each side."""

    def __init__(self, config: ConvConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.out_dim = config.width
        self.embedding = nn.Embedding(int(facts["vocabulary"]), config.width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.embedding.weight[int(facts["pad"])])  # never trained: what explanations start from
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(config.width, config.kernel, 2**at, config.dropout) for at in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.pool = Pooling(config.pooling, config.width)

    def forward(self, **data: Tensor) -> Features:
        mask = data["mask"]
        shown = mask.unsqueeze(-1).to(self.embedding.weight.dtype)
        x: Tensor = self.dropout(self.embedding(data["ids"])) * shown
        for block in self.blocks:
            x = block(x, shown)
        tokens = torch.where(mask.unsqueeze(-1), self.norm(x), torch.zeros((), dtype=x.dtype, device=x.device))
        return Features(tokens, mask, self.pool(tokens, mask, tokens[:, 0]))
