"""security/ft-transformer: attention between the columns of a row (Gorishniy et al. 2021, arXiv 2106.11959, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jenga_core.contracts import Backbone, Features

from .config import FtTransformerConfig


class Tokenizer(nn.Module):
    """One token per column behind a summary token: numbers [B, F], categories [B, C] -> [B, 1 + F + C, D].

    A number is its column's vector times its value; a category is the vector of its code; both have a bias per column.
    """

    offsets: Tensor

    def __init__(self, facts: Mapping[str, Any], width: int) -> None:
        super().__init__()
        sizes = [int(size) for size in facts["categories"]]
        numbers = int(facts["numbers"])
        self.summary = nn.Parameter(torch.empty(1, width))
        self.numbers = nn.Parameter(torch.empty(numbers, width)) if numbers else None
        self.categories = nn.Parameter(torch.empty(sum(sizes), width)) if sizes else None
        self.bias = nn.Parameter(torch.empty(numbers + len(sizes), width))
        starts = torch.tensor([0, *sizes[:-1]], dtype=torch.int64).cumsum(0) if sizes else torch.zeros(0).long()
        self.register_buffer("offsets", starts, persistent=False)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        columns = []
        if self.numbers is not None:
            columns.append(numbers.unsqueeze(-1) * self.numbers)
        if self.categories is not None:
            columns.append(F.embedding(categories + self.offsets, self.categories))
        tokens = torch.cat(columns, dim=1) + self.bias
        return torch.cat([self.summary.expand(len(tokens), 1, -1).to(tokens.dtype), tokens], dim=1)


class Block(nn.Module):
    """Attention and a gated layer (ReGLU), each behind a layer norm and beside a residual. [B, T, D] -> [B, T, D].

    `bias` [heads, T, T], where given, is added to the attention of each token on each, before its softmax. The first block
    of the paper has no norm before its attention: the tokens are already of one scale, and it was found better.
    """

    def __init__(self, config: FtTransformerConfig, *, first: bool) -> None:
        super().__init__()
        width, inner = config.width, max(1, round(config.width * config.expansion))
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        self.before_attention: nn.Module = nn.Identity() if first else nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.before_layer = nn.LayerNorm(width)
        self.gated = nn.Linear(width, 2 * inner)
        self.dropout = nn.Dropout(config.dropout)
        self.back = nn.Linear(inner, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        x = x + self._attend(cast("Tensor", self.before_attention(x)), bias)
        value, gate = self.gated(self.before_layer(x)).chunk(2, dim=-1)
        return x + cast("Tensor", self.back(self.dropout(value * F.relu(gate))))

    def _attend(self, x: Tensor, bias: Tensor | None) -> Tensor:
        rows, length, width = x.shape
        split = self.projections(x).view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each [B, heads, T, D / heads]
        dropped = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropped)
        return cast("Tensor", self.merge(mixed.transpose(1, 2).reshape(rows, length, width)))


class FtTransformer(nn.Module, Backbone):
    """A token per column, `depth` blocks, and the summary token through layer norm and ReLU. `facts`: of security/table."""

    def __init__(
        self, config: FtTransformerConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.out_dim = config.width
        self.tokenizer = Tokenizer(facts, config.width)
        self.blocks = nn.Sequential(*(Block(config, first=at == 0) for at in range(config.depth)))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, **data: Tensor) -> Features:
        """numbers [B, F], categories [B, C] -> pooled [B, D]; tokens [B, 1 + F + C, D], the summary token first."""
        tokens = self.norm(self.blocks(self.tokenizer(data["numbers"], data["categories"])))
        return Features(tokens, tokens.new_ones(tokens.shape[:2]).bool(), F.relu(tokens[:, 0]))
