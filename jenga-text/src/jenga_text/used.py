"""Training that leaves alone the embeddings of tokens which no training row holds.

Of the 30,522 rows of a BERT's table a small set of texts reads a few thousand; of XLM-R's 250,002, seven tenths of the whole
model, still fewer. Their gradients are zero, yet they are cleared, clipped and stepped in every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from jenga_core.contracts import Array
from jenga_core.errors import JengaError

WORTH = 0.5  # of the table: with more of it in use it is trained as a whole


class UsedEmbedding(nn.Module):
    """`weight` [U, D]: the trained rows of a table [V, D], which keeps the others as they are; looks up any of the V.

    Trains as the whole table does, but that weight decay leaves the other rows alone. Saves and loads the whole table.
    """

    def __init__(self, whole: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        table = whole.weight.detach()
        self.weight = nn.Parameter(table[used])
        self.padding_idx = whole.padding_idx
        # Neither parameters nor buffers: nobody who walks over those should train, average or broadcast them.
        self.others, self.used = [table], [used]
        self.slots = [
            torch.full((len(table),), -1, device=used.device).index_copy(0, used, torch.arange(len(used)).to(used))
        ]
        self.unknown = [torch.tensor(-1, device=used.device)]
        self.register_state_dict_post_hook(_join)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_part)  # type: ignore[no-untyped-call]

    def forward(self, ids: Tensor) -> Tensor:
        slot = self.slots[0][ids]
        if self.training:
            self._look_for_unknown(ids, slot)
        trained = functional.embedding(slot.clamp_min(0), self.weight)
        return torch.where((slot >= 0).unsqueeze(-1), trained, functional.embedding(ids, self.others[0]))

    def _look_for_unknown(self, ids: Tensor, slot: Tensor) -> None:
        """Remembers the largest token that is not trained; on an accelerator nobody waits for the answer here."""
        missed = slot < 0
        if self.padding_idx is not None:
            missed &= ids != self.padding_idx
        self.unknown = [torch.where(missed, ids, -1).amax().maximum(*self.unknown)]
        if ids.device.type == "cpu":
            self.require_known()

    def require_known(self) -> None:
        token = int(self.unknown[0])
        if token >= 0:
            raise JengaError(
                f"a batch of training rows holds token {token}, which would not be trained: the processor must put every "
                "token that `collate` gives into its encoded column `ids`"
            )

    def train(self, mode: bool = True) -> Self:
        if not mode:  # before rows are judged
            self.require_known()
        return super().train(mode)

    def table(self) -> Tensor:
        """[V, D], a copy."""
        return self.others[0].index_copy(0, self.used[0], self.weight.detach())

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        for held in (self.others, self.used, self.slots, self.unknown):
            held[0] = fn(held[0])
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call,no-any-return]


@contextmanager
def only_used(encoder: Any, ids: Sequence[Array], pad: int) -> Iterator[None]:
    """Within it the encoder of transformers trains the input embeddings of `ids` and `pad` alone, where that is worth it."""
    whole = _table(encoder)
    used = np.unique(np.concatenate([*map(np.unique, ids), np.array([pad])])).astype(np.int64)
    # Transformers never trains the vector of padding where it knows which that is: it is one of those that stay.
    used = used if whole is None else used[used != whole.padding_idx]
    if whole is None or not 0 < len(used) <= WORTH * len(whole.weight):
        yield
        return
    parted = UsedEmbedding(whole, torch.from_numpy(used).to(whole.weight.device)).train(whole.training)
    encoder.set_input_embeddings(parted)
    try:
        yield
        parted.require_known()
    finally:
        with torch.no_grad():
            whole.to(parted.weight.device).weight.copy_(parted.table())
        encoder.set_input_embeddings(whole)


def _table(encoder: Any) -> nn.Embedding | None:
    """The input embeddings, where they are a plain table that is trained, and by nothing else. Adapters keep theirs."""
    try:
        found = encoder.get_input_embeddings()
    except NotImplementedError:  # CANINE has no table
        return None
    if type(found) is not nn.Embedding or not found.weight.requires_grad:
        return None
    if found.max_norm is not None or found.scale_grad_by_freq or found.sparse:
        return None
    hooks = (found._forward_hooks, found._forward_pre_hooks, found._backward_hooks, found.weight._backward_hooks)
    tied = sum(p is found.weight for _, p in encoder.named_parameters(remove_duplicate=False)) > 1
    return None if tied or any(hooks) else found


def _join(module: UsedEmbedding, state: dict[str, Any], prefix: str, _: Any) -> None:
    module.require_known()  # a checkpoint would outlive the error that is due
    state[f"{prefix}weight"] = module.table()


def _part(module: UsedEmbedding, state: dict[str, Any], prefix: str, *_: Any) -> None:
    whole = state.get(f"{prefix}weight")
    if whole is not None and whole.shape == module.others[0].shape:  # else torch names what is missing or misshapen
        module.others[0].copy_(whole)
        state[f"{prefix}weight"] = module.others[0].index_select(0, module.used[0])
