"""A linear-chain conditional random field over BIO tags (Lafferty, McCallum and Pereira 2001; neural: Lample et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Crf(nn.Module):
    """Learned scores of one tag after another; what BIO does not allow is minus infinity. Sequences [B, T] begin with ones
    of `mask`. `first` [tags] and `after` [tags, tags] (from, to) are the learned scores."""

    allowed: Tensor
    begins: Tensor

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(tags))
        self.after = nn.Parameter(torch.zeros(tags, tags))
        every = torch.arange(tags)
        inside = (every > 0) & (every % 2 == 0)
        own = (every[:, None] == every[None, :]) | (every[:, None] == every[None, :] - 1)
        self.register_buffer("allowed", own | ~inside[None, :], persistent=False)
        self.register_buffer("begins", ~inside, persistent=False)

    def scores(self) -> tuple[Tensor, Tensor]:
        """(of the first tag [tags], of a tag after another [tags, tags])"""
        return self.first.masked_fill(~self.begins, -1e4), self.after.masked_fill(~self.allowed, -1e4)

    def loss(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """-log p(tags) of each sequence, [B]. `emissions` [B, T, tags], `tags` int64 [B, T]."""
        first, after = self.scores()
        here = emissions.gather(2, tags[:, :, None])[:, :, 0] * mask
        steps = after[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]
        gold = first[tags[:, 0]] + here.sum(dim=1) + steps.sum(dim=1)
        return self._forward(emissions, mask)[-1].logsumexp(dim=1) - gold

    def _forward(self, emissions: Tensor, mask: Tensor) -> list[Tensor]:
        """Log-sums over all sequences up to each place, [B, tags] each; a place behind the end repeats the one before."""
        first, after = self.scores()
        alpha = [first + emissions[:, 0]]
        for at in range(1, emissions.shape[1]):
            new = (alpha[-1][:, :, None] + after[None]).logsumexp(dim=1) + emissions[:, at]
            alpha.append(torch.where(mask[:, at, None], new, alpha[-1]))
        return alpha

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """log p(tag at a place), [B, T, tags], by the forward-backward algorithm."""
        _, after = self.scores()
        alpha = self._forward(emissions, mask)
        beta = [torch.zeros_like(alpha[0])]
        for at in range(emissions.shape[1] - 1, 0, -1):
            new = (after[None] + (emissions[:, at] + beta[-1])[:, None, :]).logsumexp(dim=2)
            beta.append(torch.where(mask[:, at, None], new, beta[-1]))
        total = alpha[-1].logsumexp(dim=1)
        return torch.stack(alpha, dim=1) + torch.stack(beta[::-1], dim=1) - total[:, None, None]

    def best(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The most likely sequence (Viterbi), int64 [B, T], 0 behind the row's end."""
        first, after = self.scores()
        same = torch.arange(len(first), device=emissions.device)
        best, back = first + emissions[:, 0], []
        for at in range(1, emissions.shape[1]):
            top, chosen = (best[:, :, None] + after[None]).max(dim=1)
            here = mask[:, at, None]
            best = torch.where(here, top + emissions[:, at], best)
            back.append(torch.where(here, chosen, same))
        tag = best.argmax(dim=1)
        found = [tag]
        for before in reversed(back):
            tag = before.gather(1, tag[:, None])[:, 0]
            found.append(tag)
        return torch.stack(found[::-1], dim=1) * mask
