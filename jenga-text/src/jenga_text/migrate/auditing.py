"""Heads whose outputs are answered with yes or no, such as the parts of a call: text/scoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jenga_core.errors import UserError, nearest

from .draft import Draft, Translated
from .labels import sizes
from .monitors import SCORES
from .naming import named
from .rows import Rows
from .tasks import Head, OldTask

# the names that the rewrite printed for the heads of a call, where label_maps gave none
CALL = {
    "opening": ("greeting_quality",),
    "listening": ("active_listening", "paraphrasing", "empathy", "patience", "clarification"),
    "proactiveness": ("initiative", "anticipation", "follow_up"),
    "resolution": (
        "problem_identification",
        "solution_accuracy",
        "completeness",
        "first_call_resolution",
        "escalation_handling",
    ),
    "hold": ("hold_notification", "hold_duration"),
    "closing": ("closing_quality",),
}


def score(task: OldTask, rows: Rows, draft: Draft, known: Mapping[str, tuple[str, ...]]) -> Translated:
    name = named(task.name, draft, ("tasks",), "task")
    column = rows.pick(task.label, ("labels", "label"), task.section.where("label_column"), "the labels")
    seen = sizes(rows, column)
    flat = not seen and bool(rows.cells(column)) and len(task.heads) == 1
    options: dict[str, Any] = {"kind": "text/scoring", **({} if flat else {"target": column}), "heads": {}}
    for head in task.heads:
        own: dict[str, Any] = {"outputs": _outputs(head, seen, known, rows, name, draft)}
        if head.weight != 1:
            own["weight"] = head.weight
        if head.column or flat:
            own["target"] = head.column or column
        options["heads"][head.name] = own
        draft.sources[f"tasks.{name}.heads.{head.name}"] = head.section.where()
    if extra := [each for each in seen if each not in options["heads"]]:
        what = f"the rows of {rows.path} have labels of a head {extra[0]!r} that is not among the heads"
        near = nearest(extra[0], options["heads"])
        raise UserError(what, where=task.section.where("heads"), allowed=options["heads"], nearest=near)
    if dropouts := [head.dropout for head in task.heads if head.dropout is not None]:
        options["dropout"] = max(dropouts)
        if len(set(dropouts)) > 1:
            draft.remark(("tasks", name), "dropout: one for all heads, the largest of theirs")
    draft.remark(
        ("tasks", name), "yes is a probability above a half; the first generation cut the logit at 0.5, which is 0.62"
    )
    draft.sources[f"tasks.{name}"] = task.section.where()
    prefixes = {head.name: f"{name}.{head.name}." for head in task.heads}
    return Translated({name: options}, prefixes, SCORES)


def _outputs(
    head: Head,
    seen: dict[str, dict[int, int]],
    known: Mapping[str, tuple[str, ...]],
    rows: Rows,
    task: str,
    draft: Draft,
) -> list[str]:
    """Names of a head's outputs, as many as every row has labels for it. UserError where they are more or fewer."""
    in_rows = seen.get(head.name, {})
    count = head.outputs if head.outputs is not None else next(iter(in_rows), None)
    if count is None:
        raise UserError(f"head {head.name!r} needs `num_labels`", where=head.section.where())
    for size, row in in_rows.items():
        if size != count:
            every = (
                f"set num_labels: {size}, as all rows have it"
                if len(in_rows) == 1
                else "correct the rows or num_labels"
            )
            raise UserError(
                f"head {head.name!r} has {count} outputs, but row {row} of {rows.path} has {size} labels for it; "
                "the original filled the missing ones with 0 and cut the others off",
                where=head.section.where("num_labels"),
                next=every,
            )
    names = head.names or (known.get(head.name) if len(known.get(head.name, ())) == count else None)
    if names is None:
        numbered = [head.name] if count == 1 else [f"{head.name}_{at}" for at in range(1, count + 1)]
        draft.remark(
            ("tasks", task), "the old file does not name its outputs: write under `outputs` what each one asks"
        )
        return numbered
    return list(names)
