"""Synthetic calls to a help line, with the answers to 17 questions about what the agent did.

Nobody made these calls. An agent has a skill; each question is answered yes with a chance that grows with it, and what is said
follows from the answers. Some phrases are said by good and bad agents alike, and some answers are wrong on purpose, as two people
who listen to a call do not agree on everything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

from .phrases import Choice, date, mistyped, organisation, person, phrases, place, render

WRONG = 0.03  # share of the answers that are changed
HOLDS = 0.6  # share of the calls in which the caller is put on hold; in the others nobody can judge that


@dataclass(frozen=True, slots=True)
class Question:
    """One output of a head: what is said where the answer is yes, and where it is no. `rate`: how often it is yes."""

    head: str
    name: str
    rate: float
    yes: tuple[str, ...]
    no: tuple[str, ...]


@cache
def questions() -> tuple[Question, ...]:
    """Sections of texts/calls.txt called "head | name | rate", in the order of the labels; "+" says yes, "-" no.

    "A:" is the agent, "C:" the caller, and "|" parts turns.
    """
    found = []
    for section, lines in phrases("calls").items():
        if "|" in section:
            head, name, rate = section.split(" | ")
            yes, no = (tuple(line[1:].strip() for line in lines if line[:1] == sign) for sign in "+-")
            found.append(Question(head, name, float(rate), yes, no))
    return tuple(found)


@cache
def slots() -> dict[str, Choice]:
    """What stands in a pattern's braces."""
    return {
        **phrases("calls"),
        "agent": person,
        "caller": person,
        "branch": organisation,
        "when": date,
        "town": place,
        "number": lambda rng: f"{rng.randrange(1000):03d}",
    }


def heads() -> Mapping[str, list[str]]:
    """The names of the outputs, by head."""
    found: dict[str, list[str]] = {}
    for question in questions():
        found.setdefault(question.head, []).append(question.name)
    return found


def call(rng: Random) -> tuple[str, dict[str, list[int] | None]]:
    """(transcript, labels by head). Without a hold the labels of that head are None."""
    skill, held = rng.gauss(0, 1), rng.random() < HOLDS
    turns, labels = [], dict[str, "list[int] | None"]()
    for question in questions():
        if question.head == "hold" and not held:
            labels["hold"] = None
            continue
        chance = 1 / (1 + math.exp(-(math.log(question.rate / (1 - question.rate)) + skill)))
        does = rng.random() < chance
        turns.append(rng.choice(question.yes if does else question.no))
        if question.head == "opening":
            turns.append("{said}")
        elif rng.random() < 0.2:
            turns.append("{small}")
        given = labels.setdefault(question.head, [])
        assert given is not None
        given.append(int(does != (rng.random() < WRONG)))
    return _spoken(" | ".join(turn for turn in turns if turn), rng), labels


def _spoken(pattern: str, rng: Random) -> str:
    """The turns as a speech recogniser would write them down, now and then with a word wrong."""
    text, _ = render(pattern, rng, slots())
    turns = [mistyped(turn.strip(), rng, 0.04) for turn in text.split("|") if turn.strip()]
    return "\n".join(turn.replace("A: ", "Agent: ", 1).replace("C: ", "Caller: ", 1) for turn in turns)
