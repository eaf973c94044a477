"""Tables, backbones, inputs, tasks and the loop: the parts of the old file in the order of the new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jenga_core.errors import UserError

from . import model, training
from .draft import Draft, Translated
from .monitors import monitor
from .redaction import redaction
from .rows import Rows
from .sections import Section, flag, text
from .tasks import OldTask
from .translating import TRANSLATORS

NEVER = ("label", "id", "text", "labels")  # the original took every other column of a table for a feature


@dataclass(frozen=True)
class Table:
    """A file, how its rows are read (`family`: text or table), and the tasks that learn from it."""

    name: str
    rows: Rows
    family: str
    tasks: list[OldTask]


def assemble(old: Section, tables: list[Table], draft: Draft) -> None:
    """Fill `draft`. What cannot be translated becomes a problem of it, so that all are told at once."""
    options = old.section("training")
    tokenizer = old.section("tokenizer")
    split = training.split(options, draft)
    draft.put(("seed",), split.seed, of=options.section("data").where("seed"))
    if not options.section("data").has("seed"):
        draft.remark(("seed",), "the original's default")
    translated = {task.name: _translated(task, table, draft) for table in tables for task in table.tasks}
    for table in tables:
        _data(table, split, draft)
    model.backbones(old, {table.family for table in tables}, draft)
    texts = any(table.family == "text" for table in tables)
    redact = redaction(options.section("data"), texts, draft)
    for table in tables:
        _input(table, tables, tokenizer, translated, draft, redact)
    model.without_padding(tokenizer, texts, draft)
    model.conditioning(old, draft)
    for table in tables:
        _tasks(table, tables, translated, draft)
    training.train(options, len(tables), draft)
    if all(table.family == "table" for table in tables):
        draft.remark(("train", "schedule"), "the original's trainer for tables had no schedule, whatever the file said")
    _monitor(options, translated, draft)
    training.early_stopping(options, draft)


def _translated(task: OldTask, table: Table, draft: Draft) -> Translated:
    try:
        return TRANSLATORS[task.type](task, table.rows, draft)
    except UserError as error:
        draft.problems.append(error)
        return Translated()


def _data(table: Table, split: training.Split, draft: Draft) -> None:
    at = ("data", table.name)
    source = {"source": table.rows.source} if table.rows.source else {}
    shares = {"validation": split.validation, "test": 0}
    draft.put(at, {"path": table.rows.path, **source, "split": shares}, of=table.tasks[0].section.where("data_path"))
    if table.rows.frame is None:
        draft.remark(at, "there was no such file to look into")
    draft.remark(
        ("data",),
        "as in the original, the rows that choose the weights are the only ones it is judged on, which flatters it; "
        "with enough rows write test: 0.1 as well",
    )


def _input(
    table: Table,
    tables: list[Table],
    tokenizer: Section,
    translated: dict[str, Translated],
    draft: Draft,
    redact: dict[str, Any] | None,
) -> None:
    name = "row" if table.family == "table" else "text"
    at = ("inputs", name if len(tables) == 1 else table.name)
    options: dict[str, Any] = {"data": table.name} if len(tables) > 1 else {}
    try:
        columns = _columns(table, draft)
    except UserError as error:
        draft.problems.append(error)
        return
    if columns is not None:
        options["columns"] = columns
        for task in table.tasks:
            for each in translated[task.name].tasks.values():
                if translated[task.name].text and columns != ["text"]:
                    each["text"] = columns[0]
    elif exclude := _excluded(table, translated):
        options["exclude"] = exclude
    options["processor"] = model.processor(tokenizer, table.family, at, draft)
    if redact and table.family == "text":
        options["processor"]["redact"] = redact
        draft.remark(at, "redact: the original accepted pii_redaction and redacted nothing; now texts are read without")
    options["backbone"] = model.BACKBONES[table.family]
    draft.put(at, options, of=table.tasks[0].section.where())


def _columns(table: Table, draft: Draft) -> list[str] | None:
    """The columns of texts; None for a table of numbers, whose every column is read."""
    task = table.tasks[0]
    if table.family == "table":
        draft.drop(task.section, "text_column", "a table has no text")
        return None
    if table.rows.source is not None:
        return ["question", "context"]
    return [table.rows.pick(task.text, ("text",), task.section.where("text_column"), "the text")]


def _excluded(table: Table, translated: dict[str, Translated]) -> list[str]:
    learned = {each.get("target") for task in table.tasks for each in translated[task.name].tasks.values()}
    return [name for name in NEVER if table.rows.has(name) and name not in learned]


def _tasks(table: Table, tables: list[Table], translated: dict[str, Translated], draft: Draft) -> None:
    for task in table.tasks:
        for name, options in translated[task.name].tasks.items():
            if name in draft.values.get("tasks", {}):
                what = f"two tasks would be called {name!r}: names may hold letters, digits, '_' and '-'"
                draft.problems.append(UserError(what, where=task.section.where("name")))
            kind = {"kind": options["kind"], **({"data": table.name} if len(tables) > 1 else {})}
            draft.put(("tasks", name), {**kind, **options})


def _monitor(options: Section, translated: dict[str, Translated], draft: Draft) -> None:
    given, greater = options.get("metric_for_best_model", text), options.get("greater_is_better", flag)
    draft.drop(options, "greater_is_better", "Jenga knows the direction of each metric")
    if given is None or draft.problems:  # the metrics of a task that is wrong are not known
        return
    where = options.where("metric_for_best_model")
    try:
        found, remark = monitor(given, translated, where)
    except UserError as error:
        draft.problems.append(error)
        return
    draft.put(("train", "monitor"), found, f"was {given}" + (f"; {remark}" if remark else ""), of=where)
    falls = given.endswith(("loss", "mse", "rmse", "mae"))
    if greater is not None and greater == falls:
        draft.warn(
            f"{options.where('greater_is_better')}: greater_is_better: {str(greater).lower()} chose the worst weights by "
            f"{given}, which is better when it is {'lower' if falls else 'higher'}; Jenga chooses the best"
        )
