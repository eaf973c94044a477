"""The tokens of a row -> one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pooling(nn.Module):
    """`tokens` [B, T, D] with zeros where `mask` [B, T] is False, `first` [B, D] -> [B, D]. `kind` as in the options.

    attention: a learned score per token, softmax over the row (the word attention of Yang et al. 2016, one layer).
    """

    def __init__(self, kind: str, dim: int) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(dim, 1) if kind == "attention" else None

    def forward(self, tokens: Tensor, mask: Tensor, first: Tensor) -> Tensor:
        if self.kind == "cls":
            return first
        if self.kind == "max":
            return tokens.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(dim=1)
        if self.score is None:
            return tokens.sum(dim=1) / mask.sum(dim=1, keepdim=True).to(tokens.dtype)
        score = self.score(tokens).squeeze(-1).masked_fill(~mask, -torch.inf)
        return (torch.softmax(score.float(), dim=-1).to(tokens.dtype).unsqueeze(-1) * tokens).sum(dim=1)
