"""How the named parts of a configuration refer to each other: the only choice filled in, what does not fit refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..api import BackboneSpec, ProcessorSpec, TaskSpec
from ..config import RunConfig
from ..errors import UserError, nearest
from .components import Kinds
from .problems import Problem, show
from .yaml_lines import KeyPath

_NAME = re.compile(r"[A-Za-z0-9_-]+")  # no dot: it separates task and metric in `monitor`, and keys in --set


def fill_in(raw: dict[str, Any]) -> None:
    """The only table and the only backbone, where an input or a task names none; in place."""
    table, backbone = _only(raw.get("data")), _only(raw.get("backbones"))
    for section in _sections(raw.get("inputs")):
        _default(section, "data", table)
        _default(section, "backbone", backbone)
    for section in _sections(raw.get("tasks")):
        _default(section, "data", table)


def _only(section: Any) -> str | None:
    return next(iter(section)) if isinstance(section, dict) and len(section) == 1 else None


def _sections(holder: Any) -> list[dict[str, Any]]:
    return [s for s in holder.values() if isinstance(s, dict)] if isinstance(holder, dict) else []


def _default(section: dict[str, Any], key: str, value: str | None) -> None:
    if value is not None and section.get(key, "") == "":
        section[key] = value


def stratify_column(config: RunConfig, table: str) -> str | None:
    """The column whose shares a stratified split of `table` keeps: `split.column`, else the only label column."""
    split = config.data[table].split
    if split.by != "stratified":
        return None
    return split.column or _only(dict.fromkeys(_labels(config, table)))


def _labels(config: RunConfig, table: str) -> list[str]:
    return [column for task in config.tasks_of(table).values() for column in task.label_columns()]


# ------------------------------------------------------------------ checks


def references(config: RunConfig, kinds: Kinds) -> Iterator[Problem]:
    """Names that refer to nothing, and parts that do not fit. May be asked while stand-ins replace broken parts."""
    yield from _names(config)
    yield from _tables(config)
    yield from _backbones(config)
    yield from _forms(config, kinds)
    yield from _needs(config, kinds)
    yield from _shared(config)
    yield from _leaks(config)
    yield from _stratified(config)
    yield from _monitors(config)


def absences(config: RunConfig) -> Iterator[Problem]:
    """Parts that nothing uses, tables with half of what they need. Meaningful only where there is no other problem."""
    used = {section.backbone for section in config.inputs.values()}
    for name in config.backbones:
        if name not in used:
            what = f"no input uses the backbone {name!r}; remove it or name it in an input"
            yield Problem(path=("backbones", name), what=what)
    for name in config.data:
        inputs, tasks = config.inputs_of(name), config.tasks_of(name)
        if not inputs and not tasks:
            what = f"no input and no task uses the table {name!r}; remove it or use it"
            yield Problem(path=("data", name), what=what)
        elif not tasks:
            yield Problem(path=("data", name), what=f"no task learns from the table {name!r}, which inputs read")
        elif not inputs:
            yield Problem(
                path=("tasks", next(iter(tasks)), "data"),
                what=f"no input reads the table {name!r}, which this task learns from",
                allowed=tuple(n for n in config.data if config.inputs_of(n)),
            )


def _names(config: RunConfig) -> Iterator[Problem]:
    for section in ("data", "backbones", "inputs", "tasks"):
        for name in getattr(config, section):
            if not _NAME.fullmatch(name):
                yield Problem(
                    path=(section, name), what=f"the name {name!r} may hold only letters, digits, '_' and '-'"
                )


def _tables(config: RunConfig) -> Iterator[Problem]:
    for name, section in config.inputs.items():
        yield from _known("table", section.data, config.data, ("inputs", name, "data"))
    for name, task in config.tasks.items():
        yield from _known("table", task.data, config.data, ("tasks", name, "data"))


def _backbones(config: RunConfig) -> Iterator[Problem]:
    for name, section in config.inputs.items():
        yield from _known("backbone", section.backbone, config.backbones, ("inputs", name, "backbone"))


def _known(word: str, name: str, names: Iterable[str], path: KeyPath) -> Iterator[Problem]:
    names = tuple(names)
    if name == "":
        yield Problem(path=path, what=f"`{path[-1]}` is missing: there are several, say which {word}", allowed=names)
    elif name not in names:
        yield Problem(path=path, what=f"unknown {word} {show(name)}", allowed=names, nearest=nearest(name, names))


def _spec(kinds: Kinds, kind: str, family: type[Any]) -> Any:
    """None for a stand-in, whose kind is a problem already."""
    try:
        return kinds.spec(kind, family)
    except UserError:
        return None


def _forms(config: RunConfig, kinds: Kinds) -> Iterator[Problem]:
    for name, section in config.inputs.items():
        if section.backbone not in config.backbones:
            continue
        processor = _spec(kinds, section.processor.kind, ProcessorSpec)
        kind = config.backbones[section.backbone].kind
        backbone = _spec(kinds, kind, BackboneSpec)
        if processor is None or backbone is None or processor.emits in backbone.accepts:
            continue
        fitting = [k for k, s in kinds.specs(BackboneSpec).items() if processor.emits in s.accepts]
        yield Problem(
            path=("inputs", name, "backbone"),
            what=f"processor {section.processor.kind} gives {processor.emits!r}, but backbone {section.backbone!r} "
            f"({kind}) takes {_list(backbone.accepts)}; the kinds that fit:",
            allowed=tuple(fitting) or ("none that is installed",),
            next="jenga plugins list",
        )


def _needs(config: RunConfig, kinds: Kinds) -> Iterator[Problem]:
    """Each need must be met by at least one of the table's inputs: a task that generates does so from one of them."""
    for name, task in config.tasks.items():
        spec = _spec(kinds, task.kind, TaskSpec)
        names = [s.backbone for s in config.inputs_of(task.data).values()]
        specs = [_spec(kinds, config.backbones[b].kind, BackboneSpec) for b in names if b in config.backbones]
        if spec is None or not specs or None in specs:
            continue
        for need in sorted(spec.needs - frozenset().union(*(s.provides for s in specs))):
            fitting = [k for k, s in kinds.specs(BackboneSpec).items() if need in s.provides]
            yield Problem(
                path=("tasks", name),
                what=f"{task.kind} needs {need!r}, which no backbone of table {task.data!r} provides; kinds that do:",
                allowed=tuple(fitting) or ("none that is installed",),
                next="jenga plugins list",
            )


def _shared(config: RunConfig) -> Iterator[Problem]:
    """A backbone is built from one processor's facts, so inputs that share it must be encoded alike."""
    first: dict[str, str] = {}
    for name, section in config.inputs.items():
        other = first.setdefault(section.backbone, name)
        theirs = config.inputs[other].processor.kind
        if section.backbone and section.processor.kind and theirs and section.processor.kind != theirs:
            yield Problem(
                path=("inputs", name, "processor"),
                what=f"input {name!r} shares the backbone {section.backbone!r} with input {other!r}, whose processor "
                f"is {theirs}, not {section.processor.kind}; give each its own backbone or the same processor",
            )


def _leaks(config: RunConfig) -> Iterator[Problem]:
    for name, section in config.inputs.items():
        columns = section.columns or []
        for task_name, task in config.tasks_of(section.data).items():
            for column in task.label_columns():
                if column in columns:
                    what = f"column {column!r} is what task {task_name!r} learns; as a feature it would leak the answer"
                    yield Problem(path=("inputs", name, "columns", columns.index(column)), what=what)


def _stratified(config: RunConfig) -> Iterator[Problem]:
    for name, section in config.data.items():
        if section.split.by == "stratified" and stratify_column(config, name) is None and config.tasks_of(name):
            yield Problem(
                path=("data", name, "split", "column"),
                what="`column` is missing: `by: stratified` takes the label where the table's tasks have exactly one",
                allowed=tuple(dict.fromkeys(_labels(config, name))),
            )


def _monitors(config: RunConfig) -> Iterator[Problem]:
    """`train.monitor`, and every hook's option of that name. Which metrics a task has is known once it is built."""
    yield from _monitor(config.train.monitor, ("train", "monitor"), config)
    for i, hook in enumerate(config.hooks):
        if monitor := getattr(hook, "monitor", None):
            yield from _monitor(str(monitor), ("hooks", i, "monitor"), config)


def _monitor(monitor: str, path: KeyPath, config: RunConfig) -> Iterator[Problem]:
    task, dot, metric = monitor.partition(".")
    if monitor == "loss" or (dot and metric and task in config.tasks):
        return
    allowed = ("loss", *(f"{name}.METRIC" for name in config.tasks))
    if dot and metric:
        guess = nearest(task, config.tasks)
        what, near = f"unknown task {task!r} in {monitor!r}", f"{guess}.{metric}" if guess else None
    else:
        what, near = f"{monitor!r} is neither `loss` nor of the form TASK.METRIC", nearest(monitor, ["loss"])
        if near is None and len(config.tasks) == 1:
            near = f"{next(iter(config.tasks))}.{task}"
    yield Problem(path=path, what=what, allowed=allowed, nearest=near)


def _list(names: Iterable[str]) -> str:
    return ", ".join(repr(n) for n in sorted(names))
