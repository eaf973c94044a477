"""Fusions: several inputs of a row -> one Features.

All three keep the inputs' tokens in the order of `dims` and in their lengths, so that `View.of` can slice them. A token
behind a mask is zero before anything is computed from it: whatever a backbone left there, even NaN, cannot reach
another token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..contracts import Features, Fusion
from .part_config import AttentionConfig, ConcatConfig, MeanConfig


def _clean(part: Features) -> Tensor:
    """The part's tokens [B, T, d] with zeros behind the mask."""
    return part.tokens.masked_fill(~part.mask.unsqueeze(-1), 0.0)


def _joined(parts: Sequence[Features], layers: nn.ModuleList) -> tuple[Tensor, Tensor]:
    """All tokens, each through its input's layer [B, sum of T, D], and all masks [B, sum of T]."""
    tokens = torch.cat([layer(_clean(part)) for part, layer in zip(parts, layers, strict=True)], dim=1)
    return tokens, torch.cat([part.mask for part in parts], dim=1)


class ConcatFusion(nn.Module, Fusion):
    """The pooled vectors side by side through one hidden layer; each input's tokens through a linear layer."""

    def __init__(self, config: ConcatConfig, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(dims)
        self.out_dim = config.dim or max(dims.values())
        self.pooled = nn.Sequential(nn.Linear(sum(dims.values()), self.out_dim), nn.GELU(), nn.Dropout(config.dropout))
        self.tokens = nn.ModuleList(nn.Linear(dim, self.out_dim) for dim in dims.values())

    def forward(self, parts: Mapping[str, Features]) -> Features:
        ordered = [parts[name] for name in self.names]
        tokens, mask = _joined(ordered, self.tokens)
        return Features(tokens, mask, self.pooled(torch.cat([part.pooled for part in ordered], dim=-1)))


class MeanFusion(nn.Module, Fusion):
    """The mean of the pooled vectors. An input of the fused width goes in as it is, others are projected to it."""

    def __init__(self, config: MeanConfig, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(dims)
        self.out_dim = config.dim or max(dims.values())
        self.project = nn.ModuleList(
            nn.Identity() if dim == self.out_dim else nn.Linear(dim, self.out_dim) for dim in dims.values()
        )

    def forward(self, parts: Mapping[str, Features]) -> Features:
        ordered = [parts[name] for name in self.names]
        tokens, mask = _joined(ordered, self.project)
        pooled = [layer(part.pooled) for part, layer in zip(ordered, self.project, strict=True)]
        return Features(tokens, mask, torch.stack(pooled).mean(dim=0))


class AttentionFusion(nn.Module, Fusion):
    """Transformer blocks over a summary token and the tokens of all inputs (Vaswani et al., 2017; pre-norm).

    The summary starts as a learned query plus the mean of the projected pooled vectors; what it ends as is `pooled`. It
    is never masked, so that a row whose inputs have no tokens at all still has something to attend to. A learned vector
    tells tokens of different inputs apart.
    """

    def __init__(self, config: AttentionConfig, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.names = tuple(dims)
        self.out_dim = config.dim or -(-max(dims.values()) // config.heads) * config.heads
        self.project = nn.ModuleList(nn.Linear(dim, self.out_dim) for dim in dims.values())
        self.origin = nn.Parameter(torch.randn(len(dims), self.out_dim) * 0.02)
        self.query = nn.Parameter(torch.randn(self.out_dim) * 0.02)
        self.blocks = nn.ModuleList(_Block(self.out_dim, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(self.out_dim)

    def forward(self, parts: Mapping[str, Features]) -> Features:
        ordered = [parts[name] for name in self.names]
        tokens, mask = _joined(ordered, self.project)
        lengths = torch.tensor([part.tokens.shape[1] for part in ordered], device=tokens.device)
        tokens = tokens + self.origin.repeat_interleave(lengths, dim=0, output_size=tokens.shape[1])
        pooled = [layer(part.pooled) for part, layer in zip(ordered, self.project, strict=True)]
        summary = self.query + torch.stack(pooled).mean(dim=0)
        hidden = torch.cat([summary.unsqueeze(1), tokens], dim=1)
        seen = torch.cat([mask.new_ones((len(mask), 1)), mask], dim=1)
        for block in self.blocks:
            hidden = block(hidden, seen)
        hidden = self.norm(hidden)
        return Features(hidden[:, 1:], mask, hidden[:, 0])


class _Block(nn.Module):
    """Pre-norm multi-head self-attention and a feed-forward layer, each added to what came in. `hidden` [B, T, D]."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.before_attention, self.before_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.into, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.feed = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, hidden: Tensor, seen: Tensor) -> Tensor:
        hidden = hidden + self.dropout(self.out(self._attend(self.before_attention(hidden), seen)))
        fed: Tensor = self.dropout(self.feed(self.before_feed(hidden)))
        return hidden + fed

    def _attend(self, hidden: Tensor, seen: Tensor) -> Tensor:
        batch, length, dim = hidden.shape
        query, key, value = (
            self.into(hidden).view(batch, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4).unbind()
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None, None, :])
        return mixed.transpose(1, 2).reshape(batch, length, dim)
