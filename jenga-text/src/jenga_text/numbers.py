"""Numbers of people in plain texts (`characters.plain`): phones, national IDs, KRA PINs and cards, however they are parted.

A separator is up to three of blank, dot, hyphen, slash, underscore and brackets. Which groups of digits make one number is said
at each kind; docs/how-to/redact-personal-data.md says it for users. Every repetition in a pattern has an upper bound, or can end
in one way only, so that the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

Place: TypeAlias = "tuple[int, int]"

_SIGNS = " ./_()[]-"
_SEP = r"[ ./_()\[\]-]{0,3}"
ALONE, ENDS = r"(?<![^\W_])", r"(?![^\W_])"  # no letter or digit before, behind; an underscore parts words
_GROUP, _BETWEEN = re.compile(r"[0-9]+"), re.compile(r"[^0-9]+")
# 3.14159, 1234567.89 and 1,234,567.00. Not 0712.345678, as no decimal begins with 0 and a digit; not 1.2.3; and not
# 254712345678.0, a whole number that went through a column of floats.
_DECIMAL = re.compile(
    r"(?<![0-9.])(?<!\+(?=254))(?<!\+ (?=254))"
    r"(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,6}|[1-9][0-9]*+)\.(?!0(?![0-9]))[0-9]++(?!\.[0-9])"
)


def without_decimals(text: str) -> str:
    """The text with NUL for each character of a decimal: no part of one is a number of a person."""
    return _DECIMAL.sub(lambda found: "\0" * len(found[0]), text) if "." in text else text


def _parts(number: str) -> tuple[list[int], set[str]]:
    """The sizes of the groups of digits, and the kinds of separators; " - " and "-" are one kind, ") " and " " as well."""
    sizes = [len(group) for group in _GROUP.findall(number)]
    return sizes, {between.strip(" ()[]") for between in _BETWEEN.findall(number)}


def _joined(kinds: set[str]) -> bool:
    """Whether separators of these kinds part one number: a dot between some groups only is a decimal's, or a sentence's."""
    return len(kinds) <= 1 or "." not in kinds


# ------------------------------------------------------------------ phones

# An opening bracket belongs to the number if it closes behind the first group. Group 2: from the 0, or behind 254.
_PHONE = re.compile(
    rf"(?<![0-9])(?=[(\[+02])(?=((?:[(\[](?=[+0-9]{{2,5}}[)\]]))?(?:(?:(?:\+|00) ?)?254{_SEP}(?:[(\[]?0[)\]]?{_SEP})?|\+?(?=0))"
    rf"(0?[17](?:{_SEP}[0-9]){{8}})(?![0-9])))"
)
_PAIRS = [2, 2, 2, 2, 2]


def phones(text: str) -> Iterator[Place]:
    """Kenyan mobile numbers: 0, 254 or +254, and nine digits from 1 or 7 on.

    Groups have three digits or more, or two or more where all separators are of one kind. The first, counted with its 0, has
    three or more; else all have two (07 12 34 56 78) and are no part of a longer row, such as a time 2026-07-12-10-15-00.
    """
    for found in _PHONE.finditer(text):
        start, end = found.span(1)
        sizes, kinds = _parts(found[2])
        sizes[0] += found[2][0] != "0"
        if sizes == _PAIRS:
            right = len(kinds) == 1 and not _in_a_row(text, *found.span(2 if found[2][0] == "0" else 1))
        else:
            right = sizes[0] >= 3 and (min(sizes) >= 3 or (min(sizes) >= 2 and len(kinds) == 1)) and _joined(kinds)
        if right and not _is_ipv4(found[1]):
            yield start, end


def _in_a_row(text: str, start: int, end: int) -> bool:
    """Whether pairs with a sign between them go on: before the first, or behind the last."""
    sign = _BETWEEN.findall(text[start:end])[-1]
    if sign.isspace():
        return False
    before, behind = text[max(start - 4, 0) : start], text[end : end + 4]
    goes_on = behind.startswith(sign) and behind[len(sign) : len(sign) + 1].isalnum()
    return goes_on or (before.endswith(sign) and before[: -len(sign)][-1:].isalnum())


def _is_ipv4(number: str) -> bool:
    """As `ipaddress` reads one: no part begins with a zero that says nothing."""
    parts = number.split(".")
    return len(parts) == 4 and all(part.isdigit() and str(int(part)) == part and int(part) < 256 for part in parts)


# ------------------------------------------------------------------ national IDs and KRA PINs

# What stands between a word such as ID and what it names: signs, and words that say nothing else.
GAP = r"""[\s:#.,;()/_=|>"'\[\]-]{0,4}"""
_LINK = (
    r"(?:no|num|number|nambari|namba|card|ya|yangu|yako|yake|za|cha|changu|chako|chake|wangu|langu|taifa|ni|is|was|hii)"
)
NO_LETTER = r"(?![^\W\d_])"
LINKS = rf"{NO_LETTER}(?:{GAP}{_LINK}{NO_LETTER}){{0,5}}{GAP}"
_NATIONAL_ID = re.compile(
    rf"{ALONE}(?:(?:national)?id(?:no|num|number)?|i\.d|kitambulisho|identity|huduma){LINKS}"
    rf"([0-9](?:{_SEP}[0-9]){{6,7}}){ENDS}",
    re.IGNORECASE,
)
_DATES = ([2, 2, 4], [1, 2, 4], [2, 1, 4], [4, 2, 2], [4, 1, 2], [4, 2, 1])


def national_ids(text: str) -> Iterator[Place]:
    """Seven or eight digits behind a word that says what they are; in groups of two or more, but for the first, with one kind of
    separator, and not those of a date."""
    for found in _NATIONAL_ID.finditer(text):
        sizes, kinds = _parts(found[1])
        if len(kinds) <= 1 and min(sizes[1:], default=2) >= 2 and sizes not in _DATES and not _is_ipv4(found[1]):
            yield found.span(1)


_KRA_PIN = re.compile(rf"{ALONE}[A-Za-z](?:{_SEP}[0-9]){{9}}{_SEP}[A-Za-z]{ENDS}")


def kra_pins(text: str) -> Iterator[Place]:
    """A letter, nine digits, a letter. With separators the letter is A or P, and the digits are together or in threes."""
    for found in _KRA_PIN.finditer(text):
        sizes, kinds = _parts(found[0][1:-1].strip(_SIGNS))
        if len(found[0]) == 11 or (found[0][0] in "aApP" and sizes in ([9], [3, 3, 3]) and _joined(kinds)):
            yield found.span()


# ------------------------------------------------------------------ cards

_DIGITS = re.compile(rf"(?<![0-9])[0-9](?:{_SEP}[0-9]){{12,}}")
_SHORTEST, _LONGEST = 13, 19


def cards(text: str) -> Iterator[Place]:
    """13 to 19 digits that begin with 2 to 6 and pass Luhn's check, together or in groups of three or more of which one has four:
    all from each group on, the longest first."""
    for found in _DIGITS.finditer(text):
        groups = [group.span() for group in _GROUP.finditer(text, *found.span())]
        for first, (start, _) in enumerate(groups):
            if text[start] not in "23456":
                continue
            # Groups have three digits or more, so seven of them are already too long.
            sizes = [end - begin for begin, end in groups[first : first + 7]]
            for last in reversed(range(len(sizes))):
                end, own = groups[first + last][1], sizes[: last + 1]
                fits = _SHORTEST <= sum(own) <= _LONGEST and min(own) >= 3 and max(own) > 3
                if fits and luhn(digits(text[start:end])) and _joined(_parts(text[start:end])[1]):
                    yield start, end


def digits(number: str) -> str:
    return "".join(_GROUP.findall(number))


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1, annex B)."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0
