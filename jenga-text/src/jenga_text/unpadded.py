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

NAME = "jenga_unpadded"
# The model types of which tests show that this changes nothing but the order of floating-point sums.
KNOWN = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "modernbert"})


@dataclass(frozen=True, slots=True)
class Sequences:
    """W sequences of flat tokens [N]: `place` [N] = sequence * longest + position; `mask` bool [W, longest] or None."""

    place: Tensor
    count: int
    longest: int
    mask: Tensor | None

    def padded(self, flat: Tensor) -> Tensor:
        """[N, ...] -> [W, longest, ...]"""
        shape = (self.count, self.longest, *flat.shape[1:])
        if self.mask is None:
            return flat.reshape(shape)
        out = flat.new_zeros((self.count * self.longest, *flat.shape[1:]))
        return out.index_copy(0, self.place, flat).view(shape)

    def flat(self, padded: Tensor) -> Tensor:
        """[W, longest, ...] -> [N, ...]"""
        every = padded.reshape(self.count * self.longest, *padded.shape[2:])
        return every if self.mask is None else every.index_select(0, self.place)


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

    `sequences`: the tokens in runs of sequences of similar lengths; each run is padded on its own.
    """
    found, begin = [], 0
    for some in sequences:
        run = slice(begin, begin + len(some.place))
        q, k, v = (some.padded(each[0, :, run].transpose(0, 1)).transpose(1, 2) for each in (query, key, value))
        mask = None if some.mask is None else some.mask[:, None, None, :]
        if sliding_window is not None and some.longest > sliding_window:
            near = _near(some.longest, sliding_window, query.device)
            mask = near if mask is None else mask & near
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling)
        found.append(some.flat(out.transpose(1, 2)))
        begin = run.stop
    return torch.cat(found)[None], None


def _near(longest: int, window: int, device: Any) -> Tensor:
    """bool [1, 1, longest, longest]: within the window, the place itself and both sides."""
    at = torch.arange(longest, device=device)
    return ((at[:, None] - at[None, :]).abs() < window)[None, None]
