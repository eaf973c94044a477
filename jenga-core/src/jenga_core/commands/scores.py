"""Judgements as lines for people and as one JSON object for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING

from ..artifact import MANIFEST
from ..evaluation import Judgement

if TYPE_CHECKING:
    from ..evaluation import Score
    from ..explaining.importance import Worth


def recorded(model: Path) -> list[Judgement]:
    """The judgements that the run itself wrote down on its test rows, baselines and figures included."""
    metrics = loads((model / "metrics.json").read_text(encoding="utf-8"))
    return [Judgement.from_json(data) for data in metrics["judgements"]]


def with_baselines(judgements: Sequence[Judgement], model: Path) -> list[Judgement]:
    """The same judgements with the baselines that the run fitted and judged on the same rows, and the caution it gave there.

    A task whose state was amended since, by another threshold say, would stand beside baselines that still have the old
    one: of those only the metrics stay in which the model itself scores as it did then.
    """
    known = {(j.task, j.split): j for j in recorded(model)}
    amended = loads((model / MANIFEST).read_text(encoding="utf-8")).get("states", {})
    made = []
    for j in judgements:
        then = known.get((j.task, j.split))
        baselines = then.baselines if then else {}
        caution = then.caution if then and f"tasks/{j.task}" not in amended else ""  # else it may be of that threshold
        if then and f"tasks/{j.task}" in amended:
            same = {m for m, s in j.scores.items() if m in then.scores and _equal(s.value, then.scores[m].value)}
            baselines = {n: {m: s for m, s in scores.items() if m in same} for n, scores in baselines.items()}
        made.append(replace(j, baselines=baselines, caution=j.caution or caution))
    return made


def _equal(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6) or (math.isnan(a) and math.isnan(b))


def as_json(judgements: Sequence[Judgement], worth: Mapping[str, Worth] | None = None) -> str:
    """``{"metrics": {"task.metric": value}, "judgements": [...]}`` on one line; an undefined metric is null.

    With `worth` also ``"importance": {"task": {"metric": ..., "rows": ..., "columns": {name: [mean, low, high]}}}``. Without
    the figures, which are in the folder's metrics.json and report.html.
    """
    facts = [{key: value for key, value in j.to_json().items() if key != "figures"} for j in judgements]
    metrics = {f"{j['task']}.{name}": score[0] for j in facts for name, score in j["scores"].items()}
    more = {"importance": {task: asdict(found) for task, found in worth.items()}} if worth else {}
    return dumps({"metrics": metrics, "judgements": facts, **more}, allow_nan=False)


def worth_lines(worth: Mapping[str, Worth]) -> Iterator[str]:
    """A table per task: how much worse its metric becomes without each column, with the 95 % interval over shuffles."""
    for task, found in worth.items():
        yield f"{task}: loss of {found.metric} ({found.base:.4f} on {found.rows:,} rows) when a column is shuffled"
        width = max(map(len, found.columns))
        for name, (mean, low, high) in found.columns.items():
            yield f"  {name.ljust(width)}  {mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def lines(judgements: Sequence[Judgement]) -> Iterator[str]:
    """A table per task: each metric with its 95 % interval, and the baselines' beside it."""
    for j in judgements:
        lost = "".join(f", {n:,} excluded ({why})" for why, n in j.excluded.items() if n)
        yield f"{j.task}: {j.rows:,} rows of {j.where}{lost}"
        if j.caution:
            yield f"  {j.caution}"
        yield from (f"  {n:,} rows of the whole table: {remark}" for remark, n in j.remarks.items())
        rows = [["", "model", *j.baselines]]
        for name, score in j.scores.items():
            rows.append([f"{j.task}.{name}", _interval(score), *(_value(b.get(name)) for b in j.baselines.values())])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        lacking = [m for m in j.scores if j.baselines and not any(m in scores for scores in j.baselines.values())]
        if lacking:
            yield f"  the baselines have the threshold of training, so their {', '.join(lacking)} would not compare"


def _interval(score: Score) -> str:
    if math.isnan(score.low) or math.isnan(score.high):
        return _value(score)
    return f"{score.value:.4f} [{score.low:.4f}, {score.high:.4f}]"


def _value(score: Score | None) -> str:
    if score is None:
        return ""
    return "undefined" if math.isnan(score.value) else f"{score.value:.4f}"
