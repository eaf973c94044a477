"""Texts with marks: whole, escaped, cut around what matters, the same after JSON; numbers for those who do not see colours."""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.figures import figure_from_json
from jenga_core.passages import LEVELS, Passage, Piece, level_of, stretch

PIECES: list[Piece] = [("<b>", -0.5), (" ", None), ("nzuri", 1.0), (" & ", None), ("sana", 0.05)]
PASSAGE = Passage("t", "contribution to score", [("text", PIECES)], [("age: 3", 0.25), ("rest", 0.0)], "n")


def test_marks_tell_sign_and_size_and_markup_in_a_text_is_text() -> None:
    page = PASSAGE.markup()
    assert re.findall(r'<mark class="(\w+) level-(\d)" title="([^"]+)">([^<]+)</mark>', page)[:2] == [
        ("down", "2", "-0.5", "&lt;b&gt;"), ("up", "4", "+1", "nzuri"),
    ]  # fmt: skip
    assert "</mark> &amp; sana</p>" in page  # too small for a mark
    assert 'dir="auto"' in page
    assert "solid line" in page
    assert "dashed line" in page


def test_every_number_is_in_the_table() -> None:
    assert PASSAGE.table() == (
        ["", "contribution to score"],
        [["text: nzuri", 1.0], ["text: <b>", -0.5], ["text: sana", 0.05], ["age: 3", 0.25], ["rest", 0.0]],
    )


def test_a_passage_survives_json() -> None:
    assert figure_from_json(json.loads(json.dumps(PASSAGE.to_json()))) == PASSAGE
    assert Passage("t", "u", []).markup().count("<mark") == 2 * LEVELS  # the legend


def test_levels() -> None:
    assert [level_of(value, 2.0) for value in (2.0, -2.0, 0.2, -0.6, None)] == [4, -4, 0, -1, 0]
    assert level_of(0.0, 0.0) == 0


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=9), st.none() | st.floats(-1, 1)), max_size=30), st.integers(9, 60)
)
def test_what_is_shown_of_a_long_text_is_one_stretch_around_the_largest(pieces: list[Piece], most: int) -> None:
    shown, left_out = stretch(pieces, most)
    text = "".join(piece for piece, _ in pieces)
    assert left_out == (len(text) > most)
    inner = [piece for piece in shown if piece not in ((" \u2026", None), ("\u2026 ", None))] if left_out else shown
    assert "".join(piece for piece, _ in inner) in text
    if pieces:
        largest = max(abs(value or 0.0) for _, value in pieces)
        assert max(abs(value or 0.0) for _, value in shown) == largest
        assert len("".join(piece for piece, _ in inner)) <= most + 9
