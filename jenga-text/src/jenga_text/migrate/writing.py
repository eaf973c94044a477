"""A draft as YAML with comments."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from jenga_core.reading import KeyPath, dump

from .draft import Draft

WIDTH = 110


def written(draft: Draft, old: str) -> str:
    """The text of the new file; what is left out stands at its top, what changed above the key that it is about."""
    lines = [
        *_comment(f"Written by `jenga migrate {old}`. Comments say what is not as it was."),
        *_list("Looked at:", draft.looked),
        *_list("Warning:", draft.warnings),
        *_list("Left out:", draft.left_out),
        "",
        *_section(draft.values, (), draft),
    ]
    return "\n".join(lines) + "\n"


def _list(title: str, items: list[str]) -> Iterator[str]:
    if items:
        yield from _comment(title)
    for item in items:
        yield from _comment(item, first="  - ", further="    ")


def _comment(text: str, indent: int = 0, first: str = "", further: str = "") -> Iterator[str]:
    """Lines of a comment, whatever the text holds: all white space, line ends too, counts as one blank."""
    space = " " * indent
    plain = "".join(c if c.isprintable() else " " for c in text)
    for line in textwrap.wrap(
        plain,
        WIDTH,
        initial_indent=f"{space}# {first}",
        subsequent_indent=f"{space}# {further}",
        break_long_words=False,
        break_on_hyphens=False,
    ):
        yield line.rstrip()


def _section(values: dict[str, Any], path: KeyPath, draft: Draft) -> Iterator[str]:
    indent = 2 * len(path)
    for key, value in values.items():
        here = (*path, key)
        for remark in draft.remarks.get(here, ()):
            yield from _comment(remark, indent)
        head = f"{' ' * indent}{_flow(key)}:"
        line = f"{head} {_flow(value)}"
        if isinstance(value, dict) and value and (not path or len(line) > WIDTH or _remarked(here, draft)):
            yield head
            yield from _section(value, here, draft)
        elif isinstance(value, list) and value and (not path or len(line) > WIDTH):
            yield head
            yield from (f"{' ' * indent}  - {_flow(each)}" for each in value)
        else:
            yield line


def _remarked(path: KeyPath, draft: Draft) -> bool:
    return any(len(at) > len(path) and at[: len(path)] == path for at in draft.remarks)


def _flow(value: Any) -> str:
    """On one line, as the reader of configurations takes it."""
    return dump(value, default_flow_style=True, width=float("inf")).removesuffix("\n").removesuffix("\n...")
