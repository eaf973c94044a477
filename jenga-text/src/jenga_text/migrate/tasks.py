"""The old file's tasks as values, and for each type what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jenga_core.errors import nearest
from jenga_core.reading.problems import show

from .draft import Draft
from .sections import Section, count, label, labels, number, text

ALIASES = {
    "classification": "classification",
    "single_label_classification": "classification",
    "single_head_single_label_classification": "classification",
    "sentiment": "classification",
    "sentiment_analysis": "classification",
    "multi_label_classification": "scoring",
    "qa_qc": "scoring",
    "question_answering": "questions",
    "ner": "ner",
    "regression": "regression",
    "anomaly_detection": "anomaly",
}
ABSENT = {
    "speech_to_text": "speech",
    "audio_classification": "audio",
    "emotion": "audio",
    "image_classification": "images",
    "summarization": "generated text",
    "translation": "generated text",
}
FAMILIES = {"text": "text", "sequential": "table"}


@dataclass(frozen=True)
class Head:
    """`outputs`: num_labels. `names`: of its outputs or classes, by number, from label_maps or labels."""

    name: str
    outputs: int | None
    weight: float
    dropout: float | None
    column: str | None
    names: tuple[str, ...] | None
    section: Section


@dataclass(frozen=True)
class OldTask:
    name: str
    type: str
    path: str
    heads: tuple[Head, ...]
    text: str | None
    label: str | None
    family: str
    section: Section


def read_tasks(old: Section, family: str, draft: Draft) -> list[OldTask]:
    """All tasks; names that cannot be used or are given twice are problems."""
    found = [_task(section, family, draft) for section in old.sections("tasks")]
    if not found and not old.problems:
        old.problem("no task: there is nothing to learn. Files of the standalone scripts cannot be migrated", "tasks")
    for at, task in enumerate(found):
        if task.name in [other.name for other in found[:at]]:
            task.section.problem(f"two tasks are called {task.name!r}", "name")
    return found


def _task(section: Section, family: str, draft: Draft) -> OldTask:
    name = section.get("name", label)
    if name is None:
        section.problem("a task needs `name`")
    path = section.get("data_path", text)
    if path is None:
        section.problem("a task needs `data_path`")
    family = backbone_family(section, family)
    draft.drop(section, "input_dim", "Jenga counts the columns")
    return OldTask(
        name=name or "",
        type=_type(section),
        path=path or "",
        heads=_heads(section, name or "", draft),
        text=section.get("text_column", label),
        label=section.get("label_column", label),
        family=family,
        section=section,
    )


def _type(section: Section) -> str:
    """The type without its aliases; a problem where there is none of that name."""
    given = section.get("type", text)
    if given is None:
        section.problem("a task needs `type`", allowed=ALIASES)
    elif given in ABSENT:
        section.problem(f"Jenga has no plugin for {ABSENT[given]} yet, so {given!r} cannot be migrated", "type")
    elif given not in ALIASES:
        section.problem(f"unknown type {given!r}", "type", allowed=ALIASES, nearest=nearest(given, ALIASES))
    return ALIASES.get(given or "", "")


def backbone_family(section: Section, default: str) -> str:
    """text or table, from `backbone_type`."""
    given = section.get("backbone_type", text)
    if given is not None and given not in FAMILIES:
        absent = f"Jenga has no plugin for {given} yet" if given in ("audio", "vision") else f"unknown {given!r}"
        section.problem(absent, "backbone_type", allowed=FAMILIES, nearest=nearest(given, FAMILIES))
    return FAMILIES.get(given or "", default)


def _heads(section: Section, task: str, draft: Draft) -> tuple[Head, ...]:
    maps = section.items("label_maps")
    common = section.get("labels", labels)
    outputs = section.get("num_labels", count)
    given = section.sections("heads")
    if outputs is not None and given:
        section.problem("`num_labels` belongs to each of the `heads`", "num_labels")
    found = tuple(_head(each, maps, common) for each in given)
    if not given:
        names = _names(section, maps.get(task), common, outputs, "label_maps")
        found = (Head(task, outputs, 1.0, None, None, names, section),)
        if outputs is not None:
            draft.remark(("tasks",), f"{task}: one head for `num_labels` of the task, as its README wrote it")
    known = [head.name for head in found]
    for name in maps:
        if name not in known:
            section.problem(f"no head is called {name!r}", "label_maps", allowed=known, nearest=nearest(name, known))
    return found


def _head(section: Section, maps: Mapping[str, object], common: list[str] | None) -> Head:
    name = section.get("name", label)
    if name is None:
        section.problem("a head needs `name`")
    outputs = section.get("num_labels", count)
    weight = section.get("weight", number)
    return Head(
        name=name or "",
        outputs=outputs,
        weight=1.0 if weight is None else weight,
        dropout=section.get("dropout", number),
        column=section.get("label_column", label),
        names=_names(section, maps.get(name or ""), common, outputs, "name"),
        section=section,
    )


def _names(
    section: Section, mapped: object, common: list[str] | None, outputs: int | None, key: str
) -> tuple[str, ...] | None:
    """Names by their number: {0: Non-Threat, 1: Threat} -> (Non-Threat, Threat)."""
    names = tuple(common) if common else None
    if isinstance(mapped, dict) and mapped:
        wanted = [str(at) for at in range(len(mapped))]
        if sorted(mapped) != sorted(wanted):
            section.problem(f"label_maps must number the labels from 0 to {len(mapped) - 1}, found {show(mapped)}", key)
            return None
        if any(isinstance(each, dict | list) or each is None for each in mapped.values()):
            section.problem(f"label_maps must name each label, found {show(mapped)}", key)
            return None
        names = tuple(label(mapped[at]) for at in wanted)
    elif mapped is not None:
        section.problem(f"label_maps: expected {{0: NAME, ...}}, found {show(mapped)}", key)
    if names is not None and len(set(names)) < len(names):
        section.problem(f"a label is named twice: {show(list(names))}", key)
    if names is not None and outputs is not None and len(names) != outputs:
        section.problem(f"num_labels is {outputs}, but {len(names)} labels are named: {', '.join(names)}", "num_labels")
    return names
