"""What redaction finds and what it does not, as the page of redaction states it: numbers x separators x contexts."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jenga_text.characters import plain
from jenga_text.numbers import luhn
from jenga_text.personal import KINDS, find
from jenga_text.redaction import redacted

SIGNS = {
    " ": " \u00a0\u202f\u2009\u2007\u2002\u3000",
    "-": "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    ".": ".\u00b7",
    "/": "/\u2215",
    "_": "_",
}
HIDDEN = ["", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202c", "\ufe0f\u20e3"]
NO_SEPARATORS = [",", ";", ":", "\t", "\n", "    ", "x", "~", "*"]
ZEROS = [code for code in range(sys.maxunicode) if unicodedata.decimal(chr(code), -1) == 0]
BEFORE = [
    "",
    " ",
    "tel",
    "simu:",
    ",",
    "lipa 500,",
    "1,",
    "leo.",
    "(",
    "[",
    "=",
    "#",
    "/",
    "no_",
    "ni ",
    "7;",
    "\n",
    "3.14,",
]
BEHIND = ["", " ", ",", ",500", ".", ")", "]", "na", ";7", " 5", "\n", "!", ":", ", 0.5", "_x"]
settings.register_profile("grammar", deadline=None, max_examples=150)
GRAMMAR = settings.get_profile("grammar")


@st.composite
def separated(draw: st.DrawFn, digits: str, sizes: Sequence[int], kinds: Sequence[str]) -> str:
    """The digits in groups, each separator of its kind, in the signs of any; digits of one script, unseen characters between."""
    zero = draw(st.sampled_from([0x30, *ZEROS]))
    hidden = draw(st.sampled_from(HIDDEN))
    written, at = "", 0
    for number, size in enumerate(sizes):
        if number:
            sign = draw(st.sampled_from(SIGNS[kinds[number - 1]]))
            written += draw(st.sampled_from([sign, f"\u00a0{sign} "])) if sign.strip(" .\u00b7") else sign
        written += hidden.join(chr(zero + int(digit)) for digit in digits[at : at + size])
        at += size
    return written


@st.composite
def groups(draw: st.DrawFn, total: int) -> tuple[list[int], list[str]]:
    """(sizes of groups, the kind of each separator between them)."""
    sizes = []
    while sum(sizes) < total:
        sizes.append(draw(st.integers(1, min(total - sum(sizes), 8))))
    same = draw(st.booleans())
    kind = st.sampled_from(list(SIGNS))
    one = draw(kind)
    return sizes, [one if same else draw(kind) for _ in sizes[1:]]


def digits(size: int, first: str = "0123456789") -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(first), st.text("0123456789", min_size=size - 1, max_size=size - 1)).map("".join)


def joined(kinds: list[str]) -> bool:
    """By the page: a dot parts all groups or none."""
    return "." not in kinds or set(kinds) == {"."}


def whole(text: str, number: str, before: str, kind: str) -> bool:
    """Whether the number is found from its first to its last digit, and nothing beside it."""
    return (len(before), len(before) + len(number), kind) in find(text, [kind])


# ------------------------------------------------------------------ phones


def is_phone(sizes: list[int], kinds: list[str]) -> bool:
    """By the page: sizes of the groups of 0 and nine digits."""
    if sizes == [2, 2, 2, 2, 2]:
        return len(set(kinds)) == 1
    return sizes[0] >= 3 and (min(sizes) >= 3 or (min(sizes) == 2 and len(set(kinds)) == 1)) and joined(kinds)


@GRAMMAR
@given(digits(9, "17"), groups(10), st.sampled_from(BEFORE), st.sampled_from(BEHIND), st.data())
def test_a_phone_is_found_if_and_only_if_its_groups_are_those_of_the_page(
    nine: str, parts: tuple[list[int], list[str]], before: str, behind: str, data: st.DataObject
) -> None:
    sizes, kinds = parts
    number = data.draw(separated("0" + nine, sizes, kinds))
    assume(not (sizes == [2] * 5 and (before[-1:] in ("/", "_", ".") or behind[:1] in ("_", "."))))
    assert whole(before + number + behind, number, before, "phone") == is_phone(sizes, kinds)


@GRAMMAR
@given(
    digits(9, "17"),
    st.sampled_from(["254", "+254", "00254", "+ 254", "(+254)", "(254)", "+254(0)", "+254 0"]),
    st.data(),
)
def test_a_phone_with_its_country(nine: str, country: str, data: st.DataObject) -> None:
    sizes = data.draw(st.sampled_from([[9], [3, 3, 3], [3, 6], [2, 3, 4], [1, 2, 2, 2, 2]]))
    kind = data.draw(st.sampled_from(list(SIGNS)))
    before, behind = data.draw(st.sampled_from(BEFORE)), data.draw(st.sampled_from(BEHIND))
    assume(not (sizes[0] == 1 and (before[-1:] in ("/", "_", ".") or behind[:1] in ("_", "."))))
    assume(not (kind == "." and len(sizes) == 2))  # reads as a decimal
    between = ["", " ", "-", "\u00a0", *([".", "/"] if country == "+254" else [])]
    number = country + data.draw(st.sampled_from(between))
    number += data.draw(separated(nine, sizes, [kind] * 8))
    assume(not find(plain(number).text, ["ip"]))
    assert whole(before + number + behind, number, before, "phone")


@GRAMMAR
@given(digits(9, "17"), st.sampled_from(NO_SEPARATORS), st.integers(1, 8))
def test_other_signs_are_no_separators(nine: str, sign: str, at: int) -> None:
    text = "0" + nine[:at] + sign + nine[at:]
    assert find(text, ["phone"]) == []


@GRAMMAR
@given(
    st.lists(digits(9, "17"), min_size=1, max_size=8), st.sampled_from([",", ".", ";", "/", "|", " ", "\n", ", ", "_"])
)
def test_of_a_list_of_phones_no_digit_stays(numbers: list[str], between: str) -> None:
    made = redacted(between.join("0" + each for each in numbers), ["phone"], lambda name, words: "[PHONE]")
    assert made.text == between.join(["[PHONE]"] * len(numbers))


# ------------------------------------------------------------------ cards, IDs and PINs


@GRAMMAR
@given(digits(15, "23456"), st.data())
def test_a_card_is_found_if_and_only_if_its_groups_are_those_of_the_page(most: str, data: st.DataObject) -> None:
    most = most[: data.draw(st.integers(12, 15))]
    card = next(most + last for last in "0123456789" if luhn(most + last))
    sizes, kinds = data.draw(groups(len(card)))
    number = data.draw(separated(card, sizes, kinds))
    before, behind = data.draw(st.sampled_from(BEFORE)), data.draw(st.sampled_from(BEHIND))
    decimal = kinds == ["."]
    wanted = min(sizes) >= 3 and max(sizes) >= 4 and joined(kinds) and not decimal
    assert whole(before + number + behind, number, before, "card") == wanted


@GRAMMAR
@given(
    st.sampled_from(
        [
            "ID",
            "id",
            "Kitambulisho",
            "national_id",
            "IDNO",
            "huduma namba",
            "ID_no",
            "my id is",
            "kitambulisho changu ni",
        ]
    ),
    st.sampled_from(["=", ": ", " ", "\u00a0", "_", ", ", " #", '": "', " (", " \u2013 ", ""]),
    st.integers(7, 8),
    st.data(),
)
def test_an_id_is_found_if_and_only_if_its_groups_are_those_of_the_page(
    word: str, between: str, size: int, data: st.DataObject
) -> None:
    sizes, kinds = data.draw(groups(size))
    number = data.draw(separated(data.draw(digits(size)), sizes, kinds))
    assume(not (len(sizes) == 2 and kinds == ["."]) and not find(plain(number).text, ["ip"]))  # a decimal, an address
    before, behind = f"{word}{between}", data.draw(st.sampled_from(["", " ", ",", ".", ")", "\n", ",500"]))
    day = sorted(sizes) in ([2, 2, 4], [1, 2, 4]) and 4 in (sizes[0], sizes[-1])
    wanted = len(set(kinds)) <= 1 and all(each >= 2 for each in sizes[1:]) and not (day and len(sizes) == 3)
    assert whole(before + number + behind, number, before, "national-id") == (wanted or sizes == [size])


@GRAMMAR
@given(digits(7), st.sampled_from(["", "Oda ", "idadi ni ", "kid ", "12 ", "ida "]))
def test_seven_digits_without_their_word_are_no_id(number: str, before: str) -> None:
    assert find(before + number, ["national-id"]) == []


@GRAMMAR
@given(st.sampled_from("APap"), digits(9), st.sampled_from("BXz"), st.data())
def test_a_pin_with_separators(first: str, nine: str, last: str, data: st.DataObject) -> None:
    sizes = data.draw(st.sampled_from([[9], [3, 3, 3]]))
    kind = data.draw(st.sampled_from(list(SIGNS)))
    number = first + data.draw(separated(nine, sizes, [kind] * 2)) + data.draw(st.sampled_from(["", " ", "-"])) + last
    before = data.draw(st.sampled_from(["", "pin ", "PIN:", "x,", "leo.", "pin_", "\u00a0"]))
    assert whole(f"{before}{number} leo", number, before, "kra-pin")
    assert find(f"x{number}", ["kra-pin"]) == []


# ------------------------------------------------------------------ what is something else

YEARS = {"min_value": date(1900, 1, 1), "max_value": date(2100, 1, 1)}
DATE = st.dates(**YEARS).flatmap(
    lambda day: st.sampled_from([f"{day:%d{sign}%m{sign}%Y}" for sign in "-./"] + [day.isoformat()])
)
TIME = st.times().flatmap(lambda time: st.sampled_from([time.isoformat(), f"{time:%H:%M}", f"{time:%H.%M}"]))
WHOLE = st.integers(0, 10**16).map(str)
FRACTION = st.text("0123456789", min_size=1, max_size=20).filter(lambda digits: digits != "0")
OTHERS = {
    "decimals": st.tuples(st.sampled_from(["", "-"]), WHOLE, FRACTION).map(lambda part: f"{part[0]}{part[1]}.{part[2]}"),
    "floats": st.floats(1e-4, 1e15, allow_nan=False).map(repr).filter(lambda number: not number.endswith(".0")),
    "amounts": st.tuples(st.integers(0, 10**15), st.sampled_from(["", ".00", ".5", ".0712345678"])).map(
        lambda part: f"{part[0]:,}{part[1]}" if "," in f"{part[0]:,}" or part[1] else "1"
    ),
    "dates": DATE,
    "moments": st.tuples(DATE, st.sampled_from([" ", "T", ", "]), TIME).map("".join),
    "stamps": st.tuples(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.sampled_from("-./_")).map(
        lambda part: f"{part[0]:%Y-%m-%d-%H-%M-%S}".replace("-", part[1])
    ),
    "versions": st.lists(st.integers(0, 99), min_size=1, max_size=6).map(lambda parts: ".".join(map(str, parts))),
    "addresses": st.lists(st.integers(0, 255), min_size=4, max_size=4).map(lambda parts: ".".join(map(str, parts))),
    "hardware": st.lists(st.integers(0, 255), min_size=6, max_size=6).map(lambda parts: "-".join(f"{p:02x}" for p in parts)),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_numbers_are_nobodys(name: str) -> None:
    @settings(deadline=None, max_examples=150)
    @given(st.lists(OTHERS[name], min_size=1, max_size=3), st.sampled_from([", ", " na ", "\n", " = "]))
    def stays(numbers: list[str], between: str) -> None:
        assert find("bei " + between.join(numbers) + " leo", [kind for kind in KINDS if kind != "ip"]) == []

    stays()


@pytest.mark.parametrize(
    "text",
    [
        "020 271 4500", "+44 20 7946 0958", "O722 145 908", "0 7 1 2 3 4 5 6 7 8", "0712,345,678", "0712    345678",
        "500.0712345678", "712345678", "0712 345 67 8", "0712-34 56 78", "24681012", "ID 12345678 na 23456789", "ID A2345678",
        "PINA012345678B", "kadi 4111 1111 1111 1", "41 11 11 11 11 11 11 11", "qdf8h3k2l1", "a at b.example", "bit.ly/xyz12",
        "hxxp://wezi.example", "ip:fe80::1", "[PHONE]", "[PHONE:dpckbafeghij]", "Amina Juma, S.L.P. 4411 Kisumu", "KCA 123A",
    ],
)  # fmt: skip
def test_what_the_page_says_is_not_caught(text: str) -> None:
    left = "12345678" if text.startswith("ID 12345678") else ""
    assert [text[a:b] for a, b, _ in find(text, list(KINDS))] == ([left] if left else [])


@pytest.mark.parametrize(
    "typed", ["[PHONE:254712345678]", "[PHONE:0712345678ab]", "[CARD:411111111111]", "[IP:0123456789ab]"]
)
def test_what_a_user_types_does_not_pass_as_a_hash(typed: str) -> None:
    """Hashes are of letters alone, so that no number is taken for one."""
    assert find(f"ID 1234567 {typed}0712345678", list(KINDS))
    made = redacted(typed, list(KINDS), lambda name, words: "[PHONE]")
    assert not [run for run in made.text.split(":") if "0712345678" in run or "254712345678" in run]
    assert find("[PHONE:abcdefghijkl]", list(KINDS)) == []
