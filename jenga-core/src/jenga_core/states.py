"""Checks for `restore`: what a fitted state says, as the type and in the range that it must have. ValueError says what it is not.

A state comes from a file that anybody may have written. What is not checked here fails later, or worse, does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def number(value: Any, *, least: float | None = None, above: float | None = None) -> float:
    """A finite number, at least `least`, greater than `above`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{_shown(value)} is no finite number")
    if (least is not None and value < least) or (above is not None and value <= above):
        raise ValueError(f"{value!r} is out of range")
    return float(value)


def numbers(
    values: Any, *, size: int | None = None, least: float | None = None, above: float | None = None,
    rising: bool = False
) -> tuple[float, ...]:  # fmt: skip
    """Finite numbers, `size` of them; `rising`: each greater than the one before."""
    found = tuple(number(value, least=least, above=above) for value in _listed(values))
    if size is not None and len(found) != size:
        raise ValueError(f"there are {len(found):,} numbers where {size:,} belong")
    if rising and not all(one < other for one, other in pairwise(found)):
        raise ValueError("the numbers do not rise")
    return found


def whole(value: Any, *, least: int = 0, below: int = 2**53) -> int:
    """A whole number, `least` <= value < `below`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{_shown(value)} is no whole number")
    if not least <= value < below:
        raise ValueError(f"{_shown(value)} is not from {least:,} to {below - 1:,}")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is no text")
    return value


def texts(values: Any, *, fewest: int = 0) -> tuple[str, ...]:
    """Texts, no two alike, at least so many."""
    found = tuple(text(value) for value in _listed(values))
    if len({*found}) < len(found) or len(found) < fewest:
        raise ValueError(f"{len(found):,} names, of which {len({*found}):,} differ; at least {fewest:,} belong here")
    return found


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is neither true nor false")
    return value


def section(value: Any) -> Mapping[str, Any]:
    """An object of JSON."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{_shown(value)} is no object")
    return value


def _listed(values: Any) -> Sequence[Any]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"{_shown(values)} is no list")
    return values


def _shown(value: Any) -> str:
    try:
        found = repr(value)
    except ValueError:  # a whole number of more digits than Python spells
        found = "a huge number"
    return found if len(found) <= 40 else f"{found[:40]}..."
