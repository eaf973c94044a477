"""Tokens as the words that a reader knows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.contracts import Ragged
from jenga_text.config import TokenizerConfig
from jenga_text.processors import TokenizerProcessor
from jenga_text.readable import whole_words, words


def split(text: str) -> list[str]:
    number = words(text)
    return ["".join(c for c, n in zip(text, number, strict=True) if n == at) for at in sorted(set(number.tolist()))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ng'ombe wa 2026!", ["Ng'ombe ", "wa ", "2026", "!"]),
        ("'sawa' John\u2019s", ["'", "sawa", "' ", "John\u2019s"]),
        ("e\u0301tait Wanjiku\u0303 n\u0303", ["e\u0301tait ", "Wanjiku\u0303 ", "n\u0303"]),
        ("👨\u200d👩\u200d👧👍🏽😀", ["👨\u200d👩\u200d👧", "👍🏽", "😀"]),
        ("🇰🇪 ❤\ufe0f!", ["🇰🇪 ", "❤\ufe0f", "!"]),
        ("हिन्दी में", ["हिन्दी ", "में"]),
        ("中文 ok", ["中", "文 ", "ok"]),
        ("  x", ["  x"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@settings(deadline=None)
@given(st.text())
def test_words_are_numbered_in_order_and_begin_at_one(text: str) -> None:
    found = words(text)
    assert len(found) == len(text)
    if text:
        assert found[0] == 1
        assert set(np.diff(found).tolist()) <= {0, 1}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(alphabet=st.sampled_from("ab '😀e\u0301\u200d中\n!"), max_size=20), min_size=1, max_size=3))
def test_every_token_lies_in_the_place_of_its_word_and_places_do_not_overlap(texts: list[str]) -> None:
    processor = TokenizerProcessor(TokenizerConfig.example())
    cells = pd.DataFrame({"text": texts})
    processor.fit(cells)
    encoded = processor.encode(cells)
    assert encoded.spans is not None
    rows = np.arange(len(texts))
    shown = processor.shown(encoded, rows)
    row, _, before = encoded.spans.flat(rows)
    _, _, after = shown.flat(rows)
    assert np.array_equal(before[:, 0], after[:, 0])  # columns, and tokens of no cell, stay
    cell = before[:, 0] >= 0
    assert (after[cell, 1] < after[cell, 2]).all()
    real = cell & (before[:, 1] < before[:, 2])
    assert (after[real, 1] <= before[real, 1]).all()
    assert (after[real, 2] >= before[real, 2]).all()
    for at, text in enumerate(texts):
        places = sorted({tuple(place[1:]) for place in after[cell & (row == at)].tolist()})
        assert all(one[1] <= two[0] for one, two in pairwise(places))
        assert all(text[s:e].strip() for s, e in places)


def test_a_word_that_was_cut_keeps_what_is_left() -> None:
    spans = Ragged(np.array([[-1, 0, 0], [0, 0, 3], [0, 3, 5]]), np.array([0, 3]))
    assert whole_words(spans, [["habariyako"]]).values.tolist() == [[-1, 0, 0], [0, 0, 5], [0, 0, 5]]
