"""Encoders over one flat sequence of many rows: every layer but attention sees real tokens only, none of the padding.

The idea is that of ModernBERT (Warner et al. 2024) and of Zeng et al. 2022. Attention, a small part of the work in short
texts, works on runs of rows of similar lengths, each run with its own padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .dropout import drop

NAME = "jenga_unpadded"
SCORES = 2**20  # of attention, computed at a time where they are dropped out on a CPU: about what its caches hold
# The model types of which tests show that this changes nothing but the order of floating-point sums.
KNOWN = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "modernbert"})


@dataclass(frozen=True, slots=True)
class Sequences:
    """W sequences of flat tokens [N]: `place` [N] = sequence * longest + position; `mask` bool [W, longest].

    `place` is None where the flat tokens are those of [W, longest] already; so is `mask` where all of them may be seen.
    """

    place: Tensor | None
    count: int
    longest: int
    mask: Tensor | None

    @property
    def tokens(self) -> int:
        """N"""
        return self.count * self.longest if self.place is None else len(self.place)

    def padded(self, flat: Tensor, fill: int = 0) -> Tensor:
        """[N, ...] -> [W, longest, ...], with `fill` behind the shorter sequences."""
        shape = (self.count, self.longest, *flat.shape[1:])
        if self.place is None:
            return flat.reshape(shape)
        out = flat.new_full((self.count * self.longest, *flat.shape[1:]), fill)
        return out.index_copy(0, self.place, flat).view(shape)

    def flat(self, padded: Tensor) -> Tensor:
        """[W, longest, ...] -> [N, ...]"""
        every = padded.reshape(self.count * self.longest, *padded.shape[2:])
        return every if self.place is None else every.index_select(0, self.place)


def register() -> str:
    """Make `attend` known to transformers, under the name that is returned."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    return NAME


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    sequences: Sequence[Sequences],
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attention within each sequence. `query`, `key`, `value` [1, H, N, d]; returns [1, N, H, d].

    `sequences`: the tokens in runs of sequences of similar lengths; each run is padded on its own. Where there is one run
    whose tokens are padded already, they may also be [W, H, longest, d]; that returns [W, longest, H, d].
    """
    first, *others = sequences
    if not others and first.place is None and query.shape[0] == first.count:
        return _within(first, query, key, value, dropout, scaling, sliding_window).transpose(1, 2), None
    found, sizes = [], [some.tokens for some in sequences]
    # Not slices: the gradient of each would be as large as all of them.
    every = (torch.split(each[0].transpose(0, 1), sizes) for each in (query, key, value))
    for some, *flat in zip(sequences, *every, strict=True):
        q, k, v = (some.padded(each).transpose(1, 2) for each in flat)
        out = _within(some, q, k, v, dropout, scaling, sliding_window)
        found.append(some.flat(out.transpose(1, 2)))
    return torch.cat(found)[None], None


def _within(
    some: Sequences, q: Tensor, k: Tensor, v: Tensor, dropout: float, scale: float | None, window: int | None
) -> Tensor:
    """[W, H, longest, d] -> the same"""
    mask = some.mask
    if mask is not None:
        mask = mask[:, None, None, :]
    if window is not None and some.longest > window:
        near = _near(some.longest, window, q.device)
        # What is padding sees all that is near: nobody reads it, but to see nothing makes it NaN in some kernels.
        mask = near if mask is None else near & (mask | ~mask.transpose(-1, -2))
    return _attention(q, k, v, mask, dropout, scale)


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, scale: float | None) -> Tensor:
    """softmax(q k^T * scale) v with dropout on the probabilities. [W, H, T, d]

    PyTorch's kernel for CPUs knows no dropout: with it, it takes steps over all sequences at once that neither a cache holds
    nor the mask needs. Here a few sequences at a time take them.
    """
    if dropout == 0.0 or q.device.type != "cpu":
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)
    count, heads, longest, width = q.shape
    q = q * (width**-0.5 if scale is None else scale)
    size, out = max(SCORES // (heads * longest**2), 1), []
    masks = [None] * count if mask is None else torch.split(mask.expand(count, *mask.shape[1:]), size)
    for some_q, some_k, some_v, some_mask in zip(*(torch.split(x, size) for x in (q, k, v)), masks, strict=False):
        scores = some_q @ some_k.transpose(-1, -2)
        if some_mask is not None:
            # Past autograd: where a probability is zero, so is the gradient. Not minus infinity: what is behind the end of
            # a sequence may see nothing, and must not become NaN.
            scores.detach().masked_fill_(~some_mask, torch.finfo(scores.dtype).min)
        out.append(drop(scores.softmax(-1), dropout) @ some_v)
    return torch.cat(out)


def _near(longest: int, window: int, device: Any) -> Tensor:
    """bool [1, 1, longest, longest]: within the window, the place itself and both sides."""
    at = torch.arange(longest, device=device)
    return ((at[:, None] - at[None, :]).abs() < window)[None, None]
