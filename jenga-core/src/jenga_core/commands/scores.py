"""Judgements as lines for people and as one JSON object for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..evaluation import Judgement, Score


def plain(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """``{"metrics": {"task.metric": {value, low, high}}, "judgements": [...]}``."""
    metrics = {
        f"{j.task}.{name}": {"value": s.value, "low": s.low, "high": s.high} for j in judgements for name, s in j.scores.items()
    }
    return {"metrics": metrics, "judgements": [j.to_json() for j in judgements]}


def lines(judgements: Sequence[Judgement]) -> Iterator[str]:
    """A table per task: each metric with its 95 % interval, and the baselines' beside it."""
    for j in judgements:
        yield f"{j.task}: {j.rows} rows of the {j.split} split" + "".join(
            f", {n} excluded ({why})" for why, n in j.excluded.items()
        )
        rows = [["", "model", *j.baselines]]
        for name, score in j.scores.items():
            rows.append([f"{j.task}.{name}", _interval(score), *(_value(b.get(name)) for b in j.baselines.values())])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return _value(score)
    return f"{score.value:.4f} [{score.low:.4f}, {score.high:.4f}]"


def _value(score: Score | None) -> str:
    return "" if score is None else f"{score.value:.4f}"
