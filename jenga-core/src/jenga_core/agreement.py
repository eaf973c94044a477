"""How far tasks agree: cosines of their gradients, from the log of core/gradient-statistics to the report. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .figures import Curve, Line

HEADER = ["tasks", "mean cosine", "95 % interval", "share of steps at odds", "steps measured"]


def agreement(history: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Cosines over steps, one line per pair of tasks. `history`: the lines of log.jsonl; undefined cosines are left out."""
    found: dict[str, dict[int, float]] = {}
    for line in history:
        if line.get("event") == "cosines":
            for pair, value in _pairs(line["between"]):
                found.setdefault(pair, {})[int(line["step"])] = value  # a resumed run logs some steps twice
    return [Line(p, np.array(list(v), dtype=float), np.array(list(v.values()))) for p, v in found.items()]


def _pairs(between: Mapping[str, Mapping[str, float | None]]) -> Iterator[tuple[str, float]]:
    for one, others in between.items():
        for other, value in others.items():
            if value is not None:
                yield f"{one} and {other}", value


def curve(lines: Sequence[Line]) -> Curve:
    note = "Below 0 a step that helps one task harms the other; near 0 the tasks ignore each other."
    return Curve("Cosines between tasks", "optimizer steps", "cosine of gradients", lines, note=note, marks=True)
