"""text/recurrent: an LSTM in both directions over words and their spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from jenga_core.contracts import Backbone, Features

from .pooling import Pooling
from .word_config import RecurrentConfig


class Recurrent(nn.Module, Backbone):
    """Takes `features` int64 [B, T, slots] and `mask` [B, T] of text/words.

    The vectors of a word's features stand side by side, go through one layer, and then through the LSTM. What the LSTM reads
    is handed on beside what it says, so that a head sees both the word and its context.
    """

    def __init__(
        self, config: RecurrentConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(int(facts["vocabulary"]), config.embedding)
        nn.init.normal_(self.table.weight, std=0.1)
        width = 2 * config.hidden
        self.mix = nn.Sequential(
            nn.Linear(int(facts["slots"]) * config.embedding, width), nn.LayerNorm(width), nn.GELU()
        )
        self.dropout = nn.Dropout(config.dropout)
        self.lstm = nn.LSTM(
            width,
            config.hidden,
            config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.out_dim = 2 * width
        self.pool = Pooling(config.pooling, self.out_dim)

    def forward(self, **data: Tensor) -> Features:
        features, mask = data["features"], data["mask"]
        words = self.dropout(self.mix(self.dropout(self.table(features).flatten(2))))
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        context, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=mask.shape[1])
        tokens = torch.cat([words, self.dropout(context)], dim=2) * mask.unsqueeze(2)
        return Features(tokens, mask, self.pool(tokens, mask, tokens[:, 0]))
