"""Labels that mean normal and labels that mean attack, as one column of a table spells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jenga_core import states
from jenga_core.errors import DataError, nearest

from .cells import name, names

Array = np.ndarray[Any, Any]

PAIRS = {"0": "1", "false": "true", "no": "yes"}  # normal -> attack, where the label column holds no other value
NORMAL_WORDS = ("normal", "benign")  # everything beside one of these is an attack


@dataclass(frozen=True, slots=True)
class Labels:
    """`normal`: spellings of normal labels, lower case. `attacks`: those of attacks, or None: every other.

    `words` are what predictions say: [normal, attack].
    """

    column: str
    normal: tuple[str, ...]
    attacks: tuple[str, ...] | None
    words: tuple[str | int | bool, str | int | bool]

    @classmethod
    def fit(cls, cells: pd.Series, normal: Sequence[str | int | bool] | None) -> Labels:
        """From training rows. DataError where it is not plain which label means normal, or one side is empty."""
        column = str(cells.name)
        have = _spellings(cells)
        if not have:
            raise DataError(f"column {column!r} holds no label in any training row")
        chosen = _given(column, normal, have) if normal is not None else (_guessed(column, have),)
        attacks = [spelling for spelling in have if spelling not in chosen]
        if len(attacks) == len(have) or not attacks:
            side = "attack" if not attacks else "normal row"
            raise DataError(
                f"column {column!r} has no {side} among the training rows, only {_listed(have)}: nothing to learn",
                next="check the split (a split by time or group may leave a class out) and `normal:`",
            )
        closed = normal is None and chosen[0] in PAIRS
        word = normal[0] if normal is not None else have[chosen[0]]
        return cls(
            column,
            chosen,
            tuple(attacks) if closed else None,
            (word, have[attacks[0]] if len(attacks) == 1 else "attack"),
        )

    @classmethod
    def fit_open(cls, cells: pd.Series, normal: Sequence[str | int | bool] | None) -> Labels:
        """As `fit`, for labels that need not be there: training rows may hold one class of them, or none.

        What training does not show is then taken by the words: 0, false, no, normal and benign are normal.
        """
        have = _spellings(cells)
        spelt = [str(name(value)).casefold() for value in normal or ()]
        guess = tuple(spelt) or (*PAIRS, *NORMAL_WORDS)
        if len(have) > 1 and any(word in have for word in guess):
            return cls.fit(cells, normal)
        if have and normal is None and not any(word in {**PAIRS, **dict.fromkeys(PAIRS.values())} for word in have):
            _guessed(str(cells.name), have)  # says that it is not plain
        words = (normal[0] if normal else next(iter(have.values()), "normal"), "anomaly")
        return cls(str(cells.name), guess, None, words)

    def encode(self, cells: pd.Series) -> tuple[Array, Array]:
        """(int64 [N] with 1 = attack, bool [N] = has a label). DataError for a label that training did not define."""
        codes, values = names(cells)
        spelt = [None if value is None else value.casefold() for value in values]
        for code, value in enumerate(spelt):
            if (
                value is not None
                and self.attacks is not None
                and value not in self.attacks
                and value not in self.normal
            ):
                at = int(np.flatnonzero(codes == code)[0])
                raise DataError(
                    f"label {values[code]!r} is neither of the labels that training rows hold",
                    row=cells.index[at],
                    column=self.column,
                    allowed=[*self.normal, *self.attacks],
                )
        y = np.array([value is not None and value not in self.normal for value in spelt] + [False], dtype=np.int64)
        known = np.array([value is not None for value in spelt] + [False])
        return y[codes], known[codes]

    def state(self) -> dict[str, Any]:
        attacks = None if self.attacks is None else list(self.attacks)
        return {"column": self.column, "normal": list(self.normal), "attacks": attacks, "words": list(self.words)}

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Labels:
        """The inverse of `state`."""
        attacks = None if state["attacks"] is None else states.texts(state["attacks"])
        normal, attack = state["words"]
        if not isinstance(normal, str | int) or not isinstance(attack, str | int):
            raise ValueError("the words for normal and attack are no labels")
        return cls(states.text(state["column"]), states.texts(state["normal"]), attacks, (normal, attack))


def _spellings(cells: pd.Series) -> dict[str, str | int | bool]:
    """Lower-case spelling -> the label as JSON, in the order of the spellings."""
    found: dict[str, str | int | bool] = {}
    for value in pd.unique(cells.dropna()):
        text = name(value)
        if text is not None:
            found.setdefault(text.casefold(), _plain(value, text))
    return dict(sorted(found.items()))


def _plain(value: Any, text: str) -> str | int | bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | float | np.number) and text.lstrip("-").isdigit():
        return int(text)
    return text


def _given(column: str, normal: Sequence[str | int | bool], have: Mapping[str, Any]) -> tuple[str, ...]:
    chosen = tuple(str(name(value)).casefold() for value in normal)
    for spelling in chosen:
        if spelling not in have:
            raise DataError(
                f"`normal: {spelling}` is not a label of column {column!r} in the training rows",
                allowed=[str(v) for v in list(have.values())[:20]],
                nearest=nearest(spelling, have),
            )
    return chosen


def _guessed(column: str, have: Mapping[str, Any]) -> str:
    if set(have) <= {"0", "1"} or set(have) <= {"false", "true"} or set(have) <= {"no", "yes"}:
        return next(normal for normal, attack in PAIRS.items() if {normal, attack} & set(have))
    words = [word for word in NORMAL_WORDS if word in have]
    if len(words) != 1:
        raise DataError(
            f"it is not plain which label of column {column!r} means normal: the training rows hold {_listed(have)}",
            next="name it in the task: `normal: [...]`; every other label is then an attack",
        )
    return words[0]


def _listed(have: Mapping[str, Any], most: int = 8) -> str:
    shown = ", ".join(repr(value) for value in list(have.values())[:most])
    return shown if len(have) <= most else f"{shown} and {len(have) - most} more"
