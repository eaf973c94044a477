"""A document of 5,000 words gets its entities, with offsets that count characters as Python does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jenga_core.inference import load
from jenga_core.registry import Registry
from jenga_core.training import train

PEOPLE = ["Amina Juma", "José Ngũgĩ", "Zoe\u0308 Otieno", "Wanjikũ", "Ng'ang'a Mwai"]
PLACES = ["Nairobi", "Mombasa", "Kisumũ", "Dar es Salaam"]
FILLERS = [
    "alisafiri kwenda",
    "😀 aliona",
    "👨‍👩‍👧 alifika",
    "e\u0301tait a\u0300",
    "hakuenda,",
    "alirudi (tena) kutoka",
]

INPUTS = {
    "words": (
        {"kind": "text/words", "min_count": 1, "word_dropout": 0.0},
        {"kind": "text/recurrent", "embedding": 12, "hidden": 24, "dropout": 0.0},
    ),
    "windows": (
        {"kind": "text/train-bpe", "vocabulary": 400, "max_length": None},
        {
            "kind": "text/transformer", "window": 64, "overlap": 24,
            "architecture": {
                "model_type": "bert", "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
                "intermediate_size": 96, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
                "max_position_embeddings": 64,
            },
        },
    ),
}  # fmt: skip


def sentence(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Pieces of text, each with its label or ""."""
    person, place, filler = (str(rng.choice(each)) for each in (PEOPLE, PLACES, FILLERS))
    return [(person, "PER"), (f" {filler} ", ""), (place, "LOC"), (rng.choice([". ", " 😀! ", "\n"]), "")]


def document(sentences: int, seed: int) -> tuple[str, list[dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    text, entities = "", []
    for piece, label in (pair for _ in range(sentences) for pair in sentence(rng)):
        if label:
            entities.append({"start": len(text), "end": len(text) + len(piece), "label": label})
        text += piece
    return text, entities


@pytest.mark.slow
@pytest.mark.parametrize("name", INPUTS)
def test_every_entity_of_a_long_document_is_found(name: str, tmp_path: Path) -> None:
    processor, backbone = INPUTS[name]
    config = {
        "data": {"d": {}},
        "backbones": {"encoder": backbone},
        "inputs": {"text": {"data": "d", "columns": ["text"], "processor": processor, "backbone": "encoder"}},
        "tasks": {"ner": {"kind": "text/ner", "target": "entities", "dropout": 0.0}},
        "train": {
            "epochs": 12,
            "batch_size": 16,
            "learning_rate": 0.005,
            "monitor": "ner.f1",
            "bootstrap": 0,
            "device": "cpu",
        },
    }
    rows = pd.DataFrame([document(2, seed) for seed in range(200)], columns=["text", "entities"])
    data = {"d": {"train": rows, "validation": rows[:20], "test": rows[:20]}}
    train(config, data=data, output=tmp_path / "run", registry=Registry.discover(), quiet=True, report=False)
    text, entities = document(900, seed=1000)
    assert len(text.split()) >= 5000
    found = load(tmp_path / "run").predict(pd.DataFrame({"text": [text]}))["ner.entities"][0]
    places = {(e["start"], e["end"], e["label"]) for e in found}
    wanted = {(e["start"], e["end"], e["label"]) for e in entities}
    assert len(places & wanted) >= 0.995 * len(wanted)  # what a small network misses, not what stitching shifts
    assert len(places - wanted) <= 0.005 * len(wanted)
    assert all(e["text"] == text[e["start"] : e["end"]] for e in found)
    assert max(e["start"] for e in found) > len(text) - 100
