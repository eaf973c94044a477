"""Encoders with new weights, small enough to train in a test: text/transformer of each type that is known without padding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from jenga_text.config import TransformerConfig
from jenga_text.transformer import Transformer

SMALL = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 40, "pad_token_id": 1,
}  # fmt: skip
OWN = {
    "distilbert": {"intermediate_size": None, "hidden_dim": 32},
    "electra": {"embedding_size": 8},
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


# ------------------------------------------------------------------ a run


def small_tokenizer(folder: Path) -> Path:
    """A tokenizer as transformers keeps one: letters, and three hundred words that no text of `frame` holds."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    words += [f"neno{number}" for number in range(300)]
    made = Tokenizer(models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


def frame() -> pd.DataFrame:
    """24 texts with a class and a number."""
    texts = [f"{one} {two}" for one in ("nzuri", "mbaya", "sawa", "vibaya") for two in ("sana", "leo", "jana")] * 2
    return pd.DataFrame({"text": texts, "label": ["good", "bad"] * 12, "size": [float(len(text)) for text in texts]})


def config(tokenizer: Path, *hooks: Any, backbone: Mapping[str, Any] | None = None, **train: Any) -> dict[str, Any]:
    """A small BERT with 400 tokens over `frame`, two tasks, three epochs of three steps, without dropout in the encoder."""
    bert = {**architecture("bert"), "vocab_size": 400, "pad_token_id": 0, "attention_probs_dropout_prob": 0.0}
    return {
        "seed": 3,
        "data": {"rows": {"split": {"validation": 0.25, "test": 0.25}}},
        "backbones": {"encoder": {"kind": "text/transformer", "architecture": bert, "dropout": 0.0, **(backbone or {})}},
        "inputs": {
            "text": {"columns": ["text"], "processor": {"kind": "text/tokenizer", "checkpoint": str(tokenizer)}}
        },
        "tasks": {
            "mood": {"kind": "core/classification", "target": "label"},
            "size": {"kind": "core/regression", "target": "size"},
        },
        "train": {
            "epochs": 3, "batch_size": 4, "learning_rate": 0.01, "bootstrap": 0, "baselines": False, "device": "cpu",
            "checkpoint": {"steps": 1}, **train,
        },
        "hooks": list(hooks),
    }  # fmt: skip
