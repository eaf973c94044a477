"""text/words: words with their places, and what is made of their spelling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.contracts import Ragged
from jenga_core.errors import DataError
from jenga_text.word_config import WordsConfig
from jenga_text.words import WORD, WordsProcessor, features_of, shape


def fitted(texts: list[object], **options: object) -> tuple[WordsProcessor, pd.DataFrame]:
    cells = pd.DataFrame({"text": pd.Series(texts, dtype=object)})
    processor = WordsProcessor(WordsConfig.model_validate(options))
    processor.fit(cells)
    return processor, cells


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ng'ombe wa U.S. ni 3,5!", ["Ng'ombe", "wa", "U", ".", "S", ".", "ni", "3", ",", "5", "!"]),
        ("e\u0301 John\u2019s 😀😀 a-b", ["e\u0301", "John\u2019s", "😀", "😀", "a-b"]),
        (" \t ", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert WORD.findall(text) == words


@settings(deadline=None)
@given(st.text())
def test_no_character_that_is_no_blank_is_left_out(text: str) -> None:
    assert "".join(WORD.findall(text)) == "".join(text.split())


def test_features() -> None:
    assert shape("Nairobi2026-ABC.") == "Xxx99-XX."
    assert features_of("Wiki") == ("wiki", "Xxx", "w", "wi", "wik", "", "i", "ki", "iki", "")


def test_places_and_rare_values() -> None:
    processor, cells = fitted(["Rais Ruto", "Rais wa 😀", None], min_count=2)
    encoded = processor.encode(cells)
    assert encoded.present.tolist() == [True, True, False]
    assert encoded.spans is not None
    assert encoded.spans.take(np.array([1])).values.tolist() == [[0, 0, 4], [0, 5, 7], [0, 8, 9]]
    features = encoded.columns["features"]
    assert isinstance(features, Ragged)
    assert (features.values[:, 0] > 0).tolist() == [True, False, True, False, False]
    assert features.values.max() < processor.facts()["vocabulary"]


def test_word_dropout_is_for_training_only() -> None:
    processor, cells = fitted(["a b c d e f g h"] * 2, min_count=1, word_dropout=0.5)
    encoded, rows = processor.encode(cells), np.array([0, 1])
    shown = {
        p: processor.collate(encoded, rows, p, np.random.default_rng(0))["features"][:, :, 0]
        for p in ("train", "predict")
    }
    assert (shown["predict"] > 0).all()
    assert 0 < int((shown["train"] == 0).sum()) < 16


def test_no_word_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no word in the training rows"):
        fitted([None, " "])
