"""Texts of example rows with what each word contributed: marks in the page, the numbers in a table below.

Importable without torch or matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .markup import Html, element, join

Piece: TypeAlias = "tuple[str, float | None]"  # characters, and their contribution; None: they are part of no word

LEVELS = 4  # shades of a mark; the strongest is that of the largest contribution of the row
LISTED = 20  # contributions in the table


@dataclass(frozen=True, slots=True)
class Passage:
    """`texts`: (name, pieces that follow each other) of the columns of text. `others`: contributions of anything else.

    The sign of a contribution is told by the line under a word and by its colour, its size by the shade; `unit` says what
    the numbers are.
    """

    title: str
    unit: str
    texts: Sequence[tuple[str, Sequence[Piece]]]
    others: Sequence[tuple[str, float]] = ()
    note: str = ""

    def markup(self) -> Html:
        """What the page shows in place of a drawing."""
        largest = max((abs(value) for _, _, value in self._words()), default=0.0)
        texts = [
            element(
                "p",
                element("b", name),
                " ",
                *(_marked(*piece, largest) for piece in pieces),
                dir="auto",
                class_="passage",
            )
            for name, pieces in self.texts
        ]
        return join([*texts, legend()])

    def draw(self, axes: Any) -> None:
        names, values = zip(*self.table()[1], strict=True) if self.table()[1] else ((), ())
        axes.barh(range(len(values)), values)
        axes.set_yticks(range(len(names)), names)

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Words, largest contribution first, then all that is not text."""
        words = sorted(self._words(), key=lambda word: -abs(word[2]))[:LISTED]
        found: list[list[Any]] = [[f"{name}: {text}", value] for name, text, value in words]
        return ["", self.unit], found + [[name, value] for name, value in self.others]

    def _words(self) -> list[tuple[str, str, float]]:
        return [(name, text, value) for name, pieces in self.texts for text, value in pieces if value is not None]

    def to_json(self) -> dict[str, Any]:
        texts = [[name, [list(piece) for piece in pieces]] for name, pieces in self.texts]
        return {"form": "passage", "title": self.title, "unit": self.unit, "texts": texts,
                "others": [list(other) for other in self.others], "note": self.note}  # fmt: skip

    @classmethod
    def of_json(cls, **data: Any) -> Passage:
        texts = [(name, [(text, value) for text, value in pieces]) for name, pieces in data.pop("texts")]
        return cls(**data | {"texts": texts, "others": [(name, value) for name, value in data["others"]]})


def _marked(text: str, value: float | None, largest: float) -> str:
    level = level_of(value, largest)
    if not level:
        return text
    return element("mark", text, class_=f"{'up' if level > 0 else 'down'} level-{abs(level)}", title=f"{value:+.4g}")


def level_of(value: float | None, largest: float) -> int:
    """-LEVELS to LEVELS; 0 for what is no word, or contributed less than half of the smallest step."""
    if value is None or not largest:
        return 0
    return round(LEVELS * value / largest)


def legend() -> Html:
    """How to read the marks, in words as well as in colours."""
    up = [element("mark", "\u2007+\u2007", class_=f"up level-{level}") for level in range(1, LEVELS + 1)]
    down = [element("mark", "\u2007\u2212\u2007", class_=f"down level-{level}") for level in range(1, LEVELS + 1)]
    said = (
        "raises it (solid line)",
        "lowers it (dashed line); the darker, the more. A word's number appears when it is pointed at.",
    )
    return element("p", *up, f" {said[0]}, ", *down, f" {said[1]}", class_="soft legend")


def stretch(pieces: Sequence[Piece], most: int) -> tuple[list[Piece], bool]:
    """At most about `most` characters around the largest contribution, whole pieces, and whether anything was left out."""
    sizes = [len(text) for text, _ in pieces]
    if sum(sizes) <= most:
        return list(pieces), False
    middle = max(range(len(pieces)), key=lambda at: abs(pieces[at][1] or 0.0))
    begin = end = middle
    room = most - sizes[middle]
    while room > 0 and (begin > 0 or end < len(pieces) - 1):
        for side in (begin - 1, end + 1):
            if 0 <= side < len(pieces) and room > 0:
                room -= sizes[side]
                begin, end = min(begin, side), max(end, side)
    shown: list[Piece] = list(pieces[begin : end + 1])
    return [("\u2026 ", None)] * (begin > 0) + shown + [(" \u2026", None)] * (end < len(pieces) - 1), True
