"""Personal data in texts, found by patterns and, where there is one, a check: Kenyan forms and those used everywhere.

A pattern says what may be one, a check what is: addresses by `ipaddress`, cards by Luhn (ISO/IEC 7812-1). What has the form of
many other things (seven digits) counts only behind a word that says what it is. Names of people are not looked for. All is read
as `characters.plain` gives it, and the numbers are in `numbers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from .characters import plain
from .numbers import ALONE, ENDS, LINKS, Place, cards, digits, kra_pins, national_ids, phones, without_decimals

# What redaction leaves behind. Nothing is ever found in it, so a redacted text stays as it is; and as its hashes are of letters,
# nothing with a digit can pass as one.
PLACEHOLDER = re.compile(r"\[(?:URL|EMAIL|IP|CARD|PHONE|KRA_PIN|NATIONAL_ID|MPESA)(?::[a-p]{12})?\]")
_SOME = re.compile(r"[0-9@]|://|www\.|[0-9A-Fa-f:]:", re.IGNORECASE)  # a text without any of these holds nothing

_URL = re.compile(rf"{ALONE}(?:(?:https?|ftp)://|www\.)[^\s<>\"\[\]{{}}|\\^`]+", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w+-])[\w.+'-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w-])")
_IPV4 = re.compile(rf"{ALONE}(?<![0-9]\.)[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}{ENDS}(?!\.[0-9])")
# A run of these characters has 45 of them at most as an address, and begins with a group.
_IPV6 = re.compile(rf"{ALONE}(?<![.:])(?=[0-9A-Fa-f]{{0,4}}:)[0-9A-Fa-f:.]{{2,48}}{ENDS}(?!:)")
_CODE = re.compile(rf"{ALONE}[A-Z](?=[A-Z0-9]{{0,8}}[0-9])[A-Z0-9]{{9}}{ENDS}")
_CODE_SAID = re.compile(
    rf"{ALONE}(?:m-?pesa|transaction|code|msimbo|muamala|ref|reference){ENDS}{LINKS}"
    rf"((?=[a-z]{{0,9}}[0-9])(?=[0-9]{{0,9}}[a-z])[a-z0-9]{{10}}){ENDS}",
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


def _codes(text: str) -> Iterator[Place]:
    """Ten characters, letters and digits: in capitals anywhere, in any case behind a word such as M-Pesa."""
    yield from (found.span() for found in _CODE.finditer(text))
    yield from (found.span(1) for found in _CODE_SAID.finditer(text))


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type is found in a plain text, and what makes two ways of writing it the same for a hash."""

    places: Callable[[str], Iterator[Place]]
    same: Callable[[str], str] = str.upper
    no_decimals: bool = False  # reads the text without its decimals


def _emails(text: str) -> Iterator[Place]:
    return (found.span() for found in _EMAIL.finditer(text))


# In the order of precedence: where two overlap, the earlier one is meant. One in ten rows of digits is a card by its sum
# alone, so cards come behind the numbers that have a form or a word of their own.
KINDS: Mapping[str, Kind] = {
    "url": Kind(_urls, str),
    "email": Kind(_emails, str.lower),
    "ip": Kind(_addresses, lambda text: str(ip_address(text)) if _is_address(text) else text),
    "phone": Kind(phones, lambda text: digits(text)[-9:], no_decimals=True),
    "kra-pin": Kind(kra_pins, lambda text: re.sub(r"[\W_]", "", text).upper()),
    "national-id": Kind(national_ids, digits, no_decimals=True),
    "card": Kind(cards, digits, no_decimals=True),
    "mpesa": Kind(_codes),
}
_FREE = re.compile(rb"\0+")
_INNER = re.compile(r"\w(?:.*\w)?", re.DOTALL)


def same(name: str, words: str) -> str:
    """What the words of a type are, however they are written."""
    return KINDS[name].same(plain(words).text)


def find(text: str, types: Sequence[str]) -> list[tuple[int, int, str]]:
    """(start, end, type) of each, in the order of the text, none overlapping another or a placeholder.

    Of one that overlaps what is taken, the rest is found too: whichever of the two is meant, nothing of it stays.
    """
    read = plain(text)
    return [(*read.original(start, end), name) for start, end, name in _find(read.text, types)]


def _find(text: str, types: Sequence[str]) -> list[tuple[int, int, str]]:
    if not _SOME.search(text):
        return []
    taken = bytearray(len(text))  # 1 for each character that belongs to something
    for placeholder in PLACEHOLDER.finditer(text) if "[" in text else ():
        _take(taken, *placeholder.span())
    found: list[tuple[int, int, str]] = []
    overlapping: list[tuple[int, int, str]] = []
    numbers = without_decimals(text)
    for name, kind in KINDS.items():
        for start, end in kind.places(numbers if kind.no_decimals else text) if name in types else ():
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
