"""The best sequence of BIO tags: an I follows the B or an I of its own label, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor


def constrained(scores: Tensor, mask: Tensor) -> Tensor:
    """Viterbi without learned transitions. `scores` [B, T, 1 + 2K] are log-probabilities; `mask` bool [B, T], ones first.

    Returns tags int64 [B, T], 0 behind the row's end. O(T K): what may come before is the same for O and every B.
    """
    _, length, width = scores.shape
    if not length:
        return mask.long()
    every = torch.arange(width, device=scores.device)
    inside = (every > 0) & (every % 2 == 0)
    begin_of = torch.where(inside, every - 1, every)
    best = scores[:, 0].masked_fill(inside, -torch.inf)
    back = []
    for at in range(1, length):
        top, chosen = best.max(dim=1, keepdim=True)
        own = best[:, begin_of]
        stay = best > own
        before = torch.where(inside, torch.where(stay, every, begin_of), chosen)
        total = torch.where(inside, torch.maximum(best, own), top) + scores[:, at]
        here = mask[:, at, None]
        best = torch.where(here, total, best)
        back.append(torch.where(here, before, every))
    tag = best.argmax(dim=1)
    found = [tag]
    for before in reversed(back):
        tag = before.gather(1, tag[:, None])[:, 0]
        found.append(tag)
    return torch.stack(found[::-1], dim=1) * mask
