"""What the templates share: invented people and organisations, places, dates, and sentences made from patterns.

Names and patterns are in the folder `texts`, beside this module.

All randomness comes from the `random.Random` that is handed in, so the same seed gives the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

Entity: TypeAlias = "dict[str, Any]"  # start, end, label
Choice: TypeAlias = "Sequence[str] | Callable[[Random], str]"

_SECTION = re.compile(r"\[(.+)\]")


@cache
def phrases(name: str) -> Mapping[str, tuple[str, ...]]:
    """``texts/NAME.txt``: section -> its phrases, one a line; a line "-" is an empty phrase."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (Path(__file__).parent / "texts" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if begun := _SECTION.fullmatch(line):
            lines = found.setdefault(begun[1], [])
        elif line:
            lines.append("" if line == "-" else line)
    return {section: tuple(each) for section, each in found.items()}


def name(rng: Random, kind: str) -> str:
    return rng.choice(phrases("names")[kind])


def person(rng: Random) -> str:
    """One to three names. Some family names are also places or given names; one in seven is made up, and seen once."""
    given = name(rng, "given") if rng.random() < 0.85 else made_up(rng)
    family = name(rng, "family") if rng.random() < 0.85 else made_up(rng)
    title = rng.choice(["", "", "", "", "", "Bi. ", "Bw. ", "Dkt. ", "Mhe. ", "Dr. "])
    return (
        title + rng.choices([given, family, f"{given} {family}", f"{given} {made_up(rng)} {family}"], [3, 1, 7, 1])[0]
    )


def place(rng: Random) -> str:
    """A town, a part of one, a county, a road or a river; the words around it are the same as for organisations and people."""
    town = name(rng, "town") if rng.random() < 0.75 else made_up(rng)
    other = [
        name(rng, "area"),
        f"Kaunti ya {town}",
        f"{town} County",
        f"Barabara ya {name(rng, 'family')}",
        f"Mto {made_up(rng)}",
    ]
    return rng.choices([town, *other], [10, 5, 2, 1, 1, 1])[0]


def organisation(rng: Random) -> str:
    """Companies, schools, banks and clubs, many of them called after a place or a person, some by their letters."""
    firm, town = name(rng, "firm"), name(rng, "town")
    return rng.choice(
        [
            f"Benki ya {firm}",
            f"{firm} Sacco",
            f"Kampuni ya {firm} {made_up(rng)}",
            f"Chuo Kikuu cha {town}",
            f"Hospitali ya {name(rng, 'given')}",
            f"Shule ya Upili ya {made_up(rng)}",
            f"{town} United",
            f"{firm} Logistics Ltd",
            f"{made_up(rng)} FC",
            f"Wizara ya {rng.choice(['Afya', 'Elimu', 'Fedha', 'Kilimo', 'Maji'])}",
            "".join(rng.choice("ABCDEGKLMNSTUW") for _ in range(rng.choice([3, 3, 4]))),
            firm,
            made_up(rng),
            made_up(rng),
        ]
    )


def date(rng: Random) -> str:
    """A day, a month, a year or a part of them, in Swahili or English."""
    language = rng.choice(["sw", "sw", "en"])
    day, month, weekday = rng.randint(1, 28), name(rng, f"month {language}"), name(rng, f"day {language}")
    year = rng.randint(1998, 2027)
    swahili = [
        f"tarehe {day} {month}",
        f"{day} {month} {year}",
        f"mwezi wa {month}",
        f"mwaka wa {year}",
        f"{weekday} iliyopita",
    ]
    english = [f"{day} {month}", f"{month} {day}, {year}", f"{month} {year}", str(year), f"last {weekday}"]
    return rng.choice([weekday, *(swahili if language == "sw" else english)])


def made_up(rng: Random) -> str:
    """A name that training rows hardly hold."""
    return "".join(name(rng, "syllable") for _ in range(rng.choice([2, 3, 3, 4]))).capitalize()


ENTITIES: Mapping[str, Choice] = {"PER": person, "LOC": place, "ORG": organisation, "DATE": date}
_SLOT = re.compile(r"\{(\w+)\}")


def render(pattern: str, rng: Random, slots: Mapping[str, Choice], *, typos: float = 0.0) -> tuple[str, list[Entity]]:
    """A sentence from a pattern such as "{PER} alifika {LOC}", and where its entities are.

    A slot in capitals is an entity of that label; any other is filled by a phrase that may hold slots itself. `typos`: share
    of the words between entities that are mistyped.
    """
    text, entities = "", []
    at = 0
    for found in _SLOT.finditer(pattern):
        text += mistyped(pattern[at : found.start()], rng, typos)
        at = found.end()
        filled = choose(slots[found[1]], rng)
        if found[1].isupper():
            entities.append(_entity(len(text), filled, found[1]))
            text += filled
        else:
            inner, within = render(filled, rng, slots, typos=typos)
            entities += [_entity(len(text) + e["start"], inner[e["start"] : e["end"]], e["label"]) for e in within]
            text += inner
    return text + mistyped(pattern[at:], rng, typos), entities


def _entity(start: int, words: str, label: str) -> Entity:
    return {"start": start, "end": start + len(words), "label": label}


def choose(choice: Choice, rng: Random) -> str:
    return choice(rng) if callable(choice) else rng.choice(choice)


def mistyped(text: str, rng: Random, share: float) -> str:
    """`share` of the words of four letters or more lose a letter, double one, swap two or are shortened as in a text message."""
    if not share:
        return text
    words = text.split(" ")
    return " ".join(_mistype(w, rng) if len(w) > 3 and rng.random() < share else w for w in words)


def _mistype(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[0] + re.sub("[aeiou]", "", word[1:]),
        ]
    )
