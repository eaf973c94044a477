"""Redaction takes time in proportion to the text, whatever the text is."""

from __future__ import annotations

from time import process_time

import pytest

from jenga_text.numbers import without_decimals
from jenga_text.personal import KINDS, find
from jenga_text.redaction import redacted

TYPES = list(KINDS)
PIECES = [
    "1", "1 ", "12 ", "123 ", "1234 ", "0712 345 67", "(0712) ", "07 12 34 ", "0712345678,", "254 ", "+", "07", "0", "0.", "1.",
    "1,234", ",", "a", "a.", "a-", "é", "A", "A1", "A 123", ":", "a:", "f:1", "@", "a@", "x@a.", "a@b.co.", "_", "'", "(", "[",
    "[PHONE:", "www.", "https://", "http://a ", "id ", "id:::", "id no ", "code:", "m-pesa ya ", "ref ya ya ", "\n", " ", "-",
    "\u200b", "\u0661", "\u00a0", "1\u200b", "\u0660\u0667", "huduma namba yangu ni ",
]  # fmt: skip
READERS = {
    **{name: kind.places for name, kind in KINDS.items()},
    "decimals": without_decimals,
    "all": lambda text: find(text, TYPES),
}
LENGTH, SLACK = 4_000, 0.02


def seconds(reader, text: str) -> float:
    begin = process_time()
    list(reader(text))
    return process_time() - begin


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("tail", ["", "x"])
def test_four_times_the_text_takes_four_times_as_long(name: str, tail: str) -> None:
    """A pattern that tries every end from every start takes sixteen times as long, and hours for a megabyte."""
    reader = READERS[name]
    for piece in PIECES:
        long = piece * (4 * LENGTH // len(piece))
        for _ in range(3):  # the machine may do something else meanwhile
            short_time, long_time = seconds(reader, long[:LENGTH] + tail), seconds(reader, long + tail)
            if long_time <= 8 * short_time + SLACK:
                break
        else:
            pytest.fail(
                f"{piece!r}: {short_time:.3f} s for {LENGTH:,} characters, {long_time:.3f} s for {4 * LENGTH:,}"
            )


@pytest.mark.parametrize("text", [":" * 16_000 + "x", "a:" * 8_000 + "z", "1:" * 8_000 + "1"])
def test_colons_take_no_time(text: str) -> None:
    assert seconds(lambda text: find(text, TYPES), text) < 0.5


@pytest.mark.parametrize("piece", ["Piga 0712 345 678 ama a@b.example, ID 23456789. ", "1\u00a0", ":", "a@b.co."])
def test_a_megabyte_takes_seconds(piece: str) -> None:
    assert seconds(lambda text: find(text, TYPES), (piece * 1_000_000)[:1_000_000]) < 20


def test_numbers_hidden_within_numbers_take_few_passes() -> None:
    """Each of these appears when the one within it is gone; one at a time, a megabyte would take 80,000 passes."""
    text = "07123456 " * 1000 + "https://a" + " 78" * 1000
    made = redacted(text, TYPES, lambda name, words: "")
    assert len(made.passes) < 12
    assert find(made.text, TYPES) == []
    few = redacted("07123456 https://a 78 leo", TYPES, lambda name, words: "")
    assert few.text == " leo"
