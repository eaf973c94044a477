"""Encoders with new weights, small enough to train in a test: text/transformer of each type that is known without padding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from jenga_text.config import TransformerConfig
from jenga_text.transformer import Transformer

SMALL = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 40, "pad_token_id": 1,
}  # fmt: skip
OWN = {
    "distilbert": {"intermediate_size": None, "hidden_dim": 32},
    "electra": {"embedding_size": 16},
    "modernbert": {"local_attention": 8, "layer_types": ["full_attention", *["sliding_attention"] * 2],
                   "bos_token_id": 2, "eos_token_id": 3,
                   "cls_token_id": 2, "sep_token_id": 3},
}  # fmt: skip
FACTS = {"vocabulary": 50, "pad": 1, "types": 1, "tail": 1}


def architecture(kind: str) -> dict[str, Any]:
    options = {"model_type": kind, **SMALL, **OWN.get(kind, {})}
    return {name: value for name, value in options.items() if value is not None}


def built(kind: str = "bert", facts: Mapping[str, Any] = FACTS, **options: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(architecture=architecture(kind), **options), facts).eval()
