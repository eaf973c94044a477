"""Training that leaves alone the embeddings of tokens which no training row holds.

Of the 30,522 rows of a BERT's table a small set of texts reads a few thousand; of XLM-R's 250,002, seven tenths of the whole
model, still fewer. Their gradients are zero, yet they are cleared, clipped and stepped in every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from jenga_core.contracts import Array

WORTH = 0.5  # of the table: with more of it in use it is trained as a whole


class UsedEmbedding(nn.Module):
    """`weight` [U, D]: the trained rows of a table [V, D], which keeps the others as they are; looks up any of the V.

    Trains as the whole table does, but that weight decay leaves the other rows alone. Saves and loads the whole table.
    """

    def __init__(self, whole: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        self.whole = whole.weight  # the very parameter, so that it moves between devices with this module
        self.weight = nn.Parameter(whole.weight.detach()[used])
        self.padding_idx = whole.padding_idx
        slot = torch.full((len(whole.weight),), -1).index_copy(0, used, torch.arange(len(used)))
        self.register_buffer("used", used, persistent=False)
        self.register_buffer("slot", slot, persistent=False)
        self.register_state_dict_post_hook(_join)
        self.register_load_state_dict_pre_hook(_part)

    def forward(self, ids: Tensor) -> Tensor:
        slot: Tensor = self.slot[ids]  # type: ignore[index]
        trained = functional.embedding(slot.clamp_min(0), self.weight)
        return torch.where((slot >= 0).unsqueeze(-1), trained, functional.embedding(ids, self.whole))

    def table(self) -> Tensor:
        """[V, D], a copy."""
        return self.whole.detach().index_copy(0, self.used, self.weight.detach())  # type: ignore[arg-type]


@contextmanager
def only_used(encoder: Any, ids: Sequence[Array]) -> Iterator[None]:
    """Within it the encoder of transformers trains the input embeddings of `ids` alone, where that is worth it."""
    whole = encoder.get_input_embeddings()
    used = np.unique(np.concatenate([*map(np.unique, ids), np.zeros(0, np.int64)])).astype(np.int64)
    if not _can_part(encoder, whole) or len(used) > WORTH * len(whole.weight):
        yield
        return
    # The vector of padding is never trained; where it is looked up, it is one of the rows that stay.
    parted = UsedEmbedding(whole, torch.from_numpy(used[used != whole.padding_idx]).to(whole.weight.device))
    whole.weight.requires_grad_(False)
    encoder.set_input_embeddings(parted)
    try:
        yield
    finally:
        with torch.no_grad():
            whole.weight.copy_(parted.table())
        whole.weight.requires_grad_(True)
        encoder.set_input_embeddings(whole)


def _can_part(encoder: Any, embedding: Any) -> bool:
    """A plain table that is trained, and by nothing else: adapters and tied weights keep theirs."""
    if type(embedding) is not nn.Embedding or not embedding.weight.requires_grad or embedding.max_norm is not None:
        return False
    return sum(p is embedding.weight for _, p in encoder.named_parameters(remove_duplicate=False)) == 1


def _join(module: UsedEmbedding, state: dict[str, Any], prefix: str, _: Any) -> None:
    state[f"{prefix}weight"] = module.table()
    del state[f"{prefix}whole"]


def _part(module: UsedEmbedding, state: dict[str, Any], prefix: str, *_: Any) -> None:
    if f"{prefix}weight" in state:  # else the missing key is reported by its own name
        state[f"{prefix}whole"] = state[f"{prefix}weight"]
        state[f"{prefix}weight"] = state[f"{prefix}whole"].index_select(
            0, module.used.to(state[f"{prefix}whole"].device)
        )
