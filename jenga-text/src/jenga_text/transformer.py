"""text/transformer: an encoder of transformers' AutoModel, without its padding, over rows of any length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jenga_core.contracts import Array, Backbone, Encoded, Features, Ragged
from jenga_core.errors import UserError

from . import layers
from .checkpoints import config_of, load_config, load_encoder, new_encoder, saved_config
from .config import TransformerConfig
from .dropout import install
from .layout import Layout, by_length, counting, groups, rows_alone, windows
from .pooling import Pooling
from .unpadded import KNOWN, Sequences, register
from .used import only_used

AT_ONCE = 32768  # tokens of windows that are read together when nothing is trained: bounds memory on very long rows
# Pairs of tokens that attention scores on a CPU in the time that one more run of sequences takes, with dropout and gradients.
# In prediction a run of sequences of one length is cheapest: it needs neither padding nor a mask.
RUN = 8192.0
# Tokens * width^2 of a batch that an accelerator computes sooner than its program can launch a layer's kernels: leaving the
# padding out would cost more of them and gain nothing.
LAUNCHED = 2**30
DROPOUTS = ("hidden_dropout_prob", "dropout", "embedding_dropout", "mlp_dropout", "hidden_dropout")


class Transformer(nn.Module, Backbone):
    """Takes `ids` and `mask` [B, T], `types` [B, T] where the tokenizer has them, `lead` [B] where rows are not cut.

    Where the processor keeps `ids` (Ragged) among what it encoded, embeddings of other tokens are not trained (`used`).

    Model types of `unpadded.KNOWN` read the real tokens of a batch as one flat sequence; others, and small batches on an
    accelerator, read padded rows. A row longer than `window` is read in windows; each of its tokens comes from the window
    that shows most on both its sides.
    """

    def __init__(
        self, config: TransformerConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.options, self.tail, self.padding = config, int(facts["tail"]), int(facts["pad"])
        self.encoder = _encoder(config, facts, saved)
        described = self.encoder.config
        if described.vocab_size < facts["vocabulary"]:
            raise UserError(
                f"the tokenizer has {facts['vocabulary']:,} tokens, the encoder knows {described.vocab_size:,}",
                where="text/transformer",
                next="leave the tokenizer's `checkpoint` out, so that it is the encoder's own",
            )
        self.out_dim = int(described.hidden_size)
        self.flat = described.model_type in KNOWN
        self.pads = not self.flat
        self.with_types = int(getattr(described, "type_vocab_size", 0) or 0) >= int(facts["types"]) > 1
        self.first_position = layers.first_position(self.encoder)
        self.window = layers.window(self.encoder, config.window, self.first_position)
        self.overlap = min(config.overlap, self.window // 2)
        self.pool = Pooling(config.pooling, self.out_dim)
        layers.freeze(self.encoder, config.freeze)
        if config.gradient_checkpointing:
            self.encoder.activation_checkpointing_enable({"use_reentrant": False})
            self.encoder.disable_input_require_grads()  # only the reentrant kind needs inputs with gradients

    def saved(self) -> Mapping[str, Any]:
        """The Hugging Face configuration, without the places and versions that it came with."""
        return {"architecture": {k: v for k, v in self.encoder.config.to_dict().items() if not k.startswith("_")}}

    def learning_rates(self, default: float) -> Mapping[str, float]:
        rates = layers.rates(self.encoder, self.options.learning_rate or default, self.options.layer_decay)
        return {f"encoder.{name}": rate for name, rate in rates.items()}

    def trained_on(self, seen: Sequence[tuple[Encoded, Array]]) -> AbstractContextManager[None]:
        found = [(encoded.columns.get("ids"), rows) for encoded, rows in seen]
        ids = [column.take(rows).values for column, rows in found if isinstance(column, Ragged)]
        return only_used(self.encoder, ids, self.padding) if len(ids) == len(found) else nullcontext()

    def forward(self, **data: Tensor) -> Features:
        ids, mask, types = data["ids"], data["mask"], data.get("types") if self.with_types else None
        if self.flat and self._is_small(ids):
            tokens = self._padded(ids, types, mask).masked_fill(~mask.unsqueeze(-1), 0.0)
            return Features(tokens, mask, self.pool(tokens, mask, tokens[:, 0]))
        layout = self._layout(mask, data.get("lead"))
        flat = self._read(ids, types, layout)
        back = self._move(layout.back, ids)
        real = self._move(np.flatnonzero(mask.cpu().numpy()), ids)
        tokens = flat.new_zeros((mask.numel(), self.out_dim)).index_copy(0, real, flat.index_select(0, back))
        tokens = tokens.view(*mask.shape, self.out_dim)
        return Features(tokens, mask, self.pool(tokens, mask, self._first(flat, layout, len(ids))))

    def _is_small(self, ids: Tensor) -> bool:
        """Known without a look at the rows' lengths, for which the program would have to wait."""
        fits = ids.shape[1] <= self.window
        return fits and ids.device.type != "cpu" and ids.numel() * self.out_dim**2 <= LAUNCHED

    def _padded(self, ids: Tensor, types: Tensor | None, mask: Tensor) -> Tensor:
        """Hidden states [B, T, D], what stands in the padding included."""
        where = (torch.arange(ids.shape[1], device=ids.device) + self.first_position).expand_as(ids)
        whole = Sequences(None, len(ids), ids.shape[1], mask)
        data = {"input_ids": ids, "position_ids": where, "sequences": [whole]}
        found: Tensor = self.encoder(**data, **({} if types is None else {"token_type_ids": types})).last_hidden_state
        return found

    def _layout(self, mask: Tensor, lead: Tensor | None) -> Layout:
        lengths: Array = mask.sum(dim=1).cpu().numpy()
        if lengths.max(initial=0) <= self.window:
            return by_length(rows_alone(lengths, mask.shape[1]))
        starts = np.full(len(lengths), 1) if lead is None else lead.cpu().numpy()
        made = windows(lengths, mask.shape[1], starts, tail=self.tail, window=self.window, overlap=self.overlap)
        return by_length(made)

    def _first(self, flat: Tensor, layout: Layout, rows: int) -> Tensor:
        """The first token of each row; of a row in windows the mean of theirs. [B, D]"""
        first = flat.index_select(0, self._move(layout.starts, flat))
        if len(layout.row) == rows:
            return torch.empty_like(first).index_copy(0, self._move(layout.row, flat), first)
        share = self._move(1 / np.bincount(layout.row, minlength=rows)[layout.row], flat).to(flat.dtype)
        return flat.new_zeros((rows, self.out_dim)).index_add(0, self._move(layout.row, flat), first * share[:, None])

    def _read(self, ids: Tensor, types: Tensor | None, layout: Layout) -> Tensor:
        """Hidden states [N, D] of the tokens that `layout` lists."""
        source = self._move(layout.source, ids)
        flat_ids = ids.reshape(-1).index_select(0, source)
        flat_types = None if types is None else types.reshape(-1).index_select(0, source)
        if self.training or layout.lengths.sum() <= AT_ONCE or len(layout.lengths) == 1:
            return self._encode(flat_ids, flat_types, layout.lengths)
        group = np.cumsum(layout.lengths) // AT_ONCE
        cuts = np.flatnonzero(np.diff(group)) + 1
        found, at = [], 0
        for lengths in np.split(layout.lengths, cuts):
            end = at + int(lengths.sum())
            found.append(self._encode(flat_ids[at:end], None if flat_types is None else flat_types[at:end], lengths))
            at = end
        return torch.cat(found)

    def _encode(self, ids: Tensor, types: Tensor | None, lengths: Array) -> Tensor:
        data = {} if types is None else {"token_type_ids": types}
        if not self.flat:
            every = self._sequences(lengths, ids)
            data = {name: every.padded(value) for name, value in data.items()}
            data["input_ids"] = every.padded(ids, self.padding)
            return every.flat(self.encoder(**data, attention_mask=every.mask).last_hidden_state)
        overhead = RUN if self.training else 0.0
        overhead = overhead if ids.device.type == "cpu" else np.inf  # elsewhere more kernels cost more than padding
        runs = [self._sequences(lengths[run], ids) for run in groups(lengths, overhead)]
        data = {name: value[None] for name, value in {"input_ids": ids, **data}.items()}
        where = self._move(counting(lengths) + self.first_position, ids)[None]
        hidden: Tensor = self.encoder(**data, position_ids=where, sequences=runs).last_hidden_state
        return hidden[0]

    def _sequences(self, lengths: Array, like: Tensor) -> Sequences:
        longest = int(lengths.max())
        even = bool((lengths == longest).all())
        if even:
            return Sequences(None, len(lengths), longest, None)
        place = self._move(np.repeat(np.arange(len(lengths)) * longest, lengths) + counting(lengths), like)
        return Sequences(place, len(lengths), longest, self._move(np.arange(longest) < lengths[:, None], like))

    @staticmethod
    def _move(array: Array, like: Tensor) -> Tensor:
        return torch.from_numpy(array).to(like.device, non_blocking=True)


def _encoder(config: TransformerConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None) -> Any:
    """The model of transformers: rebuilt from what was saved, loaded from a checkpoint, or with new weights."""
    if saved is not None:
        described = saved_config(saved["architecture"])
    elif config.checkpoint is not None:
        described = load_config(config.checkpoint)
    else:
        given = {"vocab_size": facts["vocabulary"], "pad_token_id": facts["pad"]}
        described = config_of({**given, **(config.architecture or {})})
    if config.dropout is not None:
        for name in DROPOUTS:
            if hasattr(described, name):
                setattr(described, name, config.dropout)
    attention = register() if described.model_type in KNOWN else None
    if saved is None and config.checkpoint is not None:
        model = load_encoder(config.checkpoint, described, attention)
    else:
        model = new_encoder(described, attention)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # a layer that nothing here uses would be saved, counted and never trained
    install(model)
    return model
