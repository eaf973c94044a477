"""What the labels of a file say about a task: its classes in order, the kinds of its entities, the sizes of its heads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from jenga_core.errors import UserError, nearest

from .draft import Draft
from .rows import Rows
from .tasks import Head

MOST_CLASSES = 1000  # a number or a text that is another one in every row is no class


def classes_of(head: Head, rows: Rows, column: str, at: tuple[str, ...], draft: Draft) -> list[Any] | None:
    """The classes in the order of the original's numbers; None: those of the training rows. UserError where they do not fit."""
    cells = rows.cells(column)
    if not cells:
        return _unseen(head, at, draft)
    if any(isinstance(cell, list | dict) for _, cell in cells):
        raise UserError(
            "lists are no label of one class; the type for several is multi_label_classification", where=at[-1]
        )
    numbers = all(_is_whole(cell) for _, cell in cells)
    if not numbers:
        return _of_texts(head, rows, column, at, draft)
    found = sorted({int(cell) for _, cell in cells})
    if head.names:
        _fit(head, rows, column, range(len(head.names)))
        says = ", ".join(f"{number} = {name}" for number, name in enumerate(head.names))
        draft.remark(at, f"{says}. Predictions are labels as the file has them: write the names there to get names")
        return list(range(len(head.names)))
    if head.outputs is None or (len(found) == head.outputs and found != list(range(head.outputs))):
        if head.outputs is not None:
            draft.remark(
                at, f"the labels are {found}; the original took them for places 0 to {head.outputs - 1} and failed"
            )
        return found
    _fit(head, rows, column, range(head.outputs))
    return list(range(head.outputs))


def _unseen(head: Head, at: tuple[str, ...], draft: Draft) -> list[Any] | None:
    if head.names:
        draft.remark(at, f"where the rows hold numbers instead of these names: classes: {list(range(len(head.names)))}")
        return list(head.names)
    if head.outputs is not None:
        draft.remark(at, f"num_labels was {head.outputs}; the classes are those of the training rows")
    return None


def _of_texts(head: Head, rows: Rows, column: str, at: tuple[str, ...], draft: Draft) -> list[Any]:
    found = sorted({_text(cell) for _, cell in rows.cells(column)})
    if head.names:
        _fit(head, rows, column, head.names)
        return list(head.names)
    if len(found) > MOST_CLASSES or (head.outputs is not None and len(found) > head.outputs):
        many = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
        raise UserError(
            f"head {head.name!r} has {head.outputs} outputs, but {column!r} of {rows.path} holds {len(found):,} labels: {many}",
            where=head.section.where("num_labels"),
            next="correct num_labels, or name the label's column with label_column",
        )
    if head.outputs is not None and len(found) < head.outputs:
        draft.remark(
            at, f"num_labels was {head.outputs}, but the rows hold only these {len(found)}; add what is to come"
        )
    return found


def _fit(head: Head, rows: Rows, column: str, allowed: Iterable[Any]) -> None:
    """UserError for the first label that is not one of `allowed`."""
    names = [str(each) for each in allowed]
    for row, cell in rows.cells(column):
        if _text(cell) not in names:
            raise UserError(
                f"label {_text(cell)!r} in row {row} of {rows.path} is none of head {head.name!r}",
                where=head.section.where("num_labels"),
                allowed=names,
                nearest=nearest(_text(cell), names),
                next="correct num_labels or label_maps, or the row",
            )


def _is_whole(cell: Any) -> bool:
    return not isinstance(cell, bool | str) and float(cell).is_integer()


def _text(cell: Any) -> str:
    return str(int(cell)) if _is_whole(cell) else str(cell)


# ------------------------------------------------------------------ entities


def entity_form(rows: Rows, column: str) -> str:
    """`bio` where the cells are tags, a text of them or a list; else `spans`."""
    for _, cell in rows.cells(column):
        value = parsed(cell)
        if isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], str)):
            return "bio"
    return "spans"


def entity_types(names: Iterable[str]) -> list[str]:
    """PER and LOC of O, B-PER, I-PER and B-LOC; those without B- and I- as they are."""
    plain = [name[2:] if name[:2] in ("B-", "I-") else name for name in names if name != "O"]
    return list(dict.fromkeys(plain))


def check_entities(types: list[str], rows: Rows, column: str, where: str) -> None:
    """UserError for the first span whose label is not among `types`."""
    for row, cell in rows.cells(column):
        spans = parsed(cell)
        for span in spans if isinstance(spans, list) else ():
            found = span.get("label") if isinstance(span, dict) else None
            label = str(found).strip()  # as text/ner reads it
            if found is not None and label not in types:
                raise UserError(
                    f"the entity label {label!r} in row {row} of {rows.path} is not in label_maps",
                    where=where,
                    allowed=types,
                    nearest=nearest(label, types),
                )


# ------------------------------------------------------------------ heads of yes or no


def sizes(rows: Rows, column: str) -> dict[str, dict[int, int]]:
    """Head -> number of its labels -> the first row that has so many."""
    found: dict[str, dict[int, int]] = {}
    for row, cell in rows.cells(column):
        value = parsed(cell)
        for name, given in value.items() if isinstance(value, dict) else ():
            if given is not None:
                found.setdefault(str(name), {}).setdefault(len(given) if isinstance(given, list) else 1, row)
    return found


def parsed(cell: Any) -> Any:
    """A cell that may be JSON as text."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell
