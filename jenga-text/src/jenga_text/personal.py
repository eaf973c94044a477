"""Personal data in texts, found by patterns and, where there is one, a check: Kenyan forms and those used everywhere.

A pattern says what may be one, a check what is: addresses by `ipaddress`, cards by Luhn (ISO/IEC 7812-1). What has the form of
many other things (seven digits) counts only behind a word that says what it is. Names of people are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeAlias

Place: TypeAlias = "tuple[int, int]"
# What redaction leaves behind. Nothing is ever found in it, so a redacted text stays as it is.
PLACEHOLDER = re.compile(r"\[(?:URL|EMAIL|IP|CARD|PHONE|KRA_PIN|NATIONAL_ID|MPESA)(?::[0-9a-f]{12})?\]")
_SOME = re.compile(r"[0-9@]|://|www\.|[0-9A-Fa-f:]:", re.IGNORECASE)  # a text without any of these holds nothing

_URL = re.compile(r"(?<!\w)(?:(?:https?|ftp)://|www\.)[^\s<>\"\[\]{}|\\^`]+", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+'-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w-])")
_IPV4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w.:])[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?![\w:])")
_DIGITS = re.compile(r"(?<!\w)[0-9](?:[ -]?[0-9]){12,}(?!\w)")
_PHONE = re.compile(
    r"(?<![\w+])(?<![0-9][.,])"
    r"(?=((?:(?:\+|00)?254[ .-]?(?:\(?0\)?[ .-]?)?|\(?\+254\)[ .-]?|0)"
    r"[17](?:[0-9](?:[ .-]?[0-9]){7}|(?:[ .-][0-9]{2}){4})(?!\w)))"
)
_KRA_PIN = re.compile(r"(?<!\w)[A-Za-z][0-9]{9}[A-Za-z](?!\w)")
_LINK = (
    r"(?:no|num|number|nambari|namba|card|ya|yangu|yako|yake|za|cha|changu|chako|chake|wangu|langu|taifa|ni|is|was|hii)"
)
_NATIONAL_ID = re.compile(
    rf"(?<!\w)(?:id|i\.d|kitambulisho|identity|huduma)(?!\w)(?:[\s:#.,()/-]{{1,3}}{_LINK}(?!\w)){{0,5}}[\s:#.,()/-]{{1,3}}([0-9]{{7,8}})(?!\w)",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<!\w)[A-Z](?=[A-Z0-9]*[0-9])[A-Z0-9]{9}(?!\w)")
_CODE_SAID = re.compile(
    rf"(?<!\w)(?:m-?pesa|transaction|code|msimbo|muamala|ref|reference)(?!\w)(?:[\s:#.,()/-]{{1,3}}{_LINK}(?!\w)){{0,5}}[\s:#.,()/-]{{1,3}}"
    r"((?=[a-z]*[0-9])(?=[0-9]*[a-z])[a-z0-9]{10})(?!\w)",
    re.IGNORECASE,
)


def _urls(text: str) -> Iterator[Place]:
    """Without the punctuation of the sentence behind it."""
    for found in _URL.finditer(text):
        whole = found[0].rstrip(".,;:!?)'*")
        if whole.partition("://")[2] or "." in whole:
            yield found.start(), found.start() + len(whole)


def _addresses(text: str) -> Iterator[Place]:
    """IPv4 and IPv6 as `ipaddress` takes them, without a port; "::" alone is nobody's."""
    for found in [*_IPV6.finditer(text), *_IPV4.finditer(text)]:
        each = found[0].rstrip(".")
        each = each if each.endswith("::") else each.rstrip(":")
        if each != "::" and _is_address(each):
            yield found.start(), found.start() + len(each)


def _is_address(words: str) -> bool:
    try:
        ip_address(words)
    except ValueError:
        return False
    return True


def _cards(text: str) -> Iterator[Place]:
    """13 to 19 digits, single blanks or hyphens between, that pass Luhn's check: all from each group on, the longest first."""
    for found in _DIGITS.finditer(text):
        digits = [at for at in range(*found.span()) if text[at].isdigit()]
        for first, at in enumerate(digits):
            if (first and digits[first - 1] == at - 1) or text[at] not in "23456":
                continue
            for size in range(min(19, len(digits) - first), 12, -1):
                last = digits[first + size - 1]
                whole = first + size == len(digits) or digits[first + size] > last + 1
                if whole and luhn("".join(text[d] for d in digits[first : first + size])):
                    yield at, last + 1


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1, annex B)."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _codes(text: str) -> Iterator[Place]:
    """Ten characters, letters and digits: in capitals anywhere, in any case behind a word such as M-Pesa."""
    yield from (found.span() for found in _CODE.finditer(text))
    yield from (found.span(1) for found in _CODE_SAID.finditer(text))


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type is found, and what makes two ways of writing it the same for a hash."""

    places: Callable[[str], Iterator[Place]]
    same: Callable[[str], str] = str.upper


def _of(pattern: re.Pattern[str], group: int = 0) -> Callable[[str], Iterator[Place]]:
    return lambda text: (found.span(group) for found in pattern.finditer(text))


def _digits(text: str) -> str:
    return re.sub("[^0-9]", "", text)


# In the order of precedence: where two overlap, the earlier one is meant. One in ten rows of digits is a card by its sum
# alone, so cards come behind the numbers that have a form or a word of their own.
KINDS: Mapping[str, Kind] = {
    "url": Kind(_urls, str),
    "email": Kind(_of(_EMAIL), str.lower),
    "ip": Kind(_addresses, lambda text: str(ip_address(text)) if _is_address(text) else text),
    "phone": Kind(_of(_PHONE, 1), lambda text: _digits(text)[-9:]),
    "kra-pin": Kind(_of(_KRA_PIN)),
    "national-id": Kind(_of(_NATIONAL_ID, 1)),
    "card": Kind(_cards, _digits),
    "mpesa": Kind(_codes),
}
_FREE = re.compile(rb"\0+")
_INNER = re.compile(r"\w(?:.*\w)?", re.DOTALL)


def find(text: str, types: Sequence[str]) -> list[tuple[int, int, str]]:
    """(start, end, type) of each, in the order of the text, none overlapping another or a placeholder.

    Of one that overlaps what is taken, the rest is found too: whichever of the two is meant, nothing of it stays.
    """
    if not _SOME.search(text):
        return []
    taken = bytearray(len(text))  # 1 for each character that belongs to something
    for placeholder in PLACEHOLDER.finditer(text) if "[" in text else ():
        _take(taken, *placeholder.span())
    found: list[tuple[int, int, str]] = []
    overlapping: list[tuple[int, int, str]] = []
    for name, kind in KINDS.items():
        for start, end in kind.places(text) if name in types else ():
            if any(taken[start:end]):
                overlapping.append((start, end, name))
            else:
                _take(taken, start, end)
                found.append((start, end, name))
    for start, end, name in overlapping:
        for free in list(_FREE.finditer(taken, start, end)):
            if rest := _INNER.search(text, *free.span()):
                _take(taken, *rest.span())
                found.append((*rest.span(), name))
    return sorted(found)


def _take(taken: bytearray, start: int, end: int) -> None:
    taken[start:end] = b"\1" * (end - start)
