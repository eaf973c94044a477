"""Each type of task of the old configuration as tasks of the new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from jenga_core.errors import UserError

from .auditing import CALL, score
from .draft import Draft, Metrics, Translated
from .labels import check_entities, classes_of, entity_form, entity_types
from .monitors import ALERTS, ANSWERS, CLASSES, ENTITIES, NUMBERS
from .naming import named
from .rows import Rows
from .sections import text
from .tasks import Head, OldTask

LABEL = ("label", "quality_level", "labels")


Translator: TypeAlias = Callable[[OldTask, Rows, Draft], Translated]


def _each_head(
    task: OldTask, draft: Draft, metrics: Metrics, options: Callable[[Head, tuple[str, ...]], dict[str, Any]]
) -> Translated:
    """A task for each head: heads of Jenga have labels of their own."""
    found = Translated(metrics=metrics)
    for head in task.heads:
        several = len(task.heads) > 1
        name = named(f"{task.name}_{head.name}" if several else task.name, draft, ("tasks",), "task")
        at = ("tasks", name)
        found.tasks[name] = {**options(head, at), **_common(head)}
        found.prefixes[head.name] = f"{name}."
        draft.sources[".".join(at)] = head.section.where()
        if several:
            draft.remark(at, f"head {head.name!r} of {task.name!r}: each head is a task with a column of its own")
    columns = {each.get("target") for each in found.tasks.values()}
    if len(task.heads) > 1 and len(columns) == 1:
        draft.warn(
            f"{task.section.where('heads')}: all heads learn the column {columns.pop()!r}, as they did in the original; "
            "give each its label_column, or correct `target` in the new file"
        )
    return found


def _common(head: Head) -> dict[str, Any]:
    found: dict[str, Any] = {} if head.weight == 1 else {"weight": head.weight}
    return found if head.dropout is None else {**found, "dropout": head.dropout}


def _label(task: OldTask, head: Head, rows: Rows, draft: Draft, usual: tuple[str, ...] = LABEL) -> str:
    section = head.section if head.column else task.section
    given = head.column or task.label
    column = rows.pick(given, usual, section.where("label_column" if given else "data_path"), "the label")
    if given is None and (column != usual[0] or rows.frame is None):
        draft.remark(
            ("tasks",), f"{task.name}: {column!r} is taken for the label's column, which the old file does not name"
        )
    return column


def classification(task: OldTask, rows: Rows, draft: Draft) -> Translated:
    def options(head: Head, at: tuple[str, ...]) -> dict[str, Any]:
        column = _label(task, head, rows, draft)
        classes = classes_of(head, rows, column, at, draft)
        if head.outputs == 1:
            raise UserError("one class is nothing to choose from", where=head.section.where("num_labels"))
        return {"kind": "core/classification", "target": column, **({"classes": classes} if classes else {})}

    return _each_head(task, draft, CLASSES, options)


def regression(task: OldTask, rows: Rows, draft: Draft) -> Translated:
    def options(head: Head, at: tuple[str, ...]) -> dict[str, Any]:
        if head.outputs not in (None, 1):
            what = f"a number is one output, not {head.outputs}"
            raise UserError(what, where=head.section.where("num_labels"), next="one head for each number")
        given = task.section.get("loss_type", text)
        loss = {"loss": given} if given else {}
        return {"kind": "core/regression", "target": _label(task, head, rows, draft), **loss}

    for key in ("label_maps", "labels"):
        draft.drop(task.section, key, "numbers have no names")
    return _each_head(task, draft, NUMBERS, options)


def anomaly(task: OldTask, rows: Rows, draft: Draft) -> Translated:
    """security/anomaly, by its name: what is installed is checked when the new file is read."""
    if any(head.outputs not in (None, 2) for head in task.heads):
        return classification(task, rows, draft)

    def options(head: Head, at: tuple[str, ...]) -> dict[str, Any]:
        column = _label(task, head, rows, draft)
        classes = classes_of(head, rows, column, at, draft) if rows.cells(column) else None
        draft.remark(at, "a probability, and an alert from 0.5 on, as the more probable of two classes was before")
        found: dict[str, Any] = {"kind": "security/anomaly", "target": column}
        if head.names and classes != [0, 1]:
            draft.remark(at, "normal: the label that label_maps numbers 0")
            found["normal"] = head.names[0]
        return found

    found = _each_head(task, draft, ALERTS, options)
    for name, each in found.tasks.items():
        if each.pop("dropout", None) is not None:
            draft.remark(("tasks", name), "dropout of the head: security/anomaly has none of its own")
    return found


def ner(task: OldTask, rows: Rows, draft: Draft) -> Translated:
    found = _each_head(task, draft, ENTITIES, lambda head, at: _entities(task, head, rows, at, draft))
    found.text = "text"
    return found


def _entities(task: OldTask, head: Head, rows: Rows, at: tuple[str, ...], draft: Draft) -> dict[str, Any]:
    column = _label(task, head, rows, draft, ("entities", "labels", "tags"))
    options: dict[str, Any] = {"kind": "text/ner", "target": column}
    if entity_form(rows, column) == "bio":
        options["form"] = "bio"
    draft.remark(
        at, "tags are aligned by characters, and f1 counts whole entities that are right in start, end and label"
    )
    if head.names:
        options["types"] = entity_types(head.names)
        check_entities(options["types"], rows, column, head.section.where("name"))
        draft.remark(at, "types: label_maps without O and without B- and I-, which Jenga adds itself")
    elif head.outputs is not None:
        draft.remark(at, f"num_labels was {head.outputs}; the types are those of the training rows")
    return options


def scoring(task: OldTask, rows: Rows, draft: Draft) -> Translated:
    return score(task, rows, draft, {})


def questions(task: OldTask, rows: Rows, draft: Draft) -> Translated:
    """The first generation meant SQuAD, the rewrite the scoring of calls: the file, or the heads, tell which."""
    if rows.source is None and any(head.outputs is not None for head in task.heads):
        return score(task, rows, draft, CALL)
    for key in ("text_column", "label_column", "label_maps", "labels"):
        draft.drop(task.section, key, "a file of SQuAD has columns of its own")
    if len(task.heads) > 1:
        raise UserError("answers out of a context are one head", where=task.section.where("heads"))

    def options(head: Head, at: tuple[str, ...]) -> dict[str, Any]:
        draft.remark(
            at, "answers out of a context, by one head for their first and last word; the original could not be run"
        )
        return {"kind": "text/span-qa"}

    return _each_head(task, draft, ANSWERS, options)


TRANSLATORS: dict[str, Translator] = {
    "classification": classification,
    "regression": regression,
    "anomaly": anomaly,
    "ner": ner,
    "scoring": scoring,
    "questions": questions,
}
