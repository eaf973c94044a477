"""The new configuration as it grows, with what a reader must be told about each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from jenga_core.errors import UserError
from jenga_core.reading import KeyPath
from jenga_core.reading.problems import show
from jenga_core.reading.yaml_lines import dotted

from .sections import Section

Metrics: TypeAlias = Mapping[str, tuple[str, str]]  # the original's name -> (Jenga's, what is not the same)


@dataclass
class Draft:
    """`values`: the new configuration. `remarks`: comments above a key. `left_out`: old keys that have no place in it.

    `warnings` are about things that should not be in a file that is passed on, or that a user may rely on wrongly: they are also
    printed. `sources`: where in the old file a new key comes from, so that a value out of range is named there.
    """

    values: dict[str, Any] = field(default_factory=dict)
    remarks: dict[KeyPath, list[str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[UserError] = field(default_factory=list)

    def put(self, path: KeyPath, value: Any, *remarks: str, of: str | None = None) -> None:
        """Set a key; sections on the way are made. `of`: where the value stands in the old file."""
        holder = self.values
        for part in path[:-1]:
            holder = holder.setdefault(str(part), {})
        holder[str(path[-1])] = value
        for remark in remarks:
            self.remark(path, remark)
        if of:
            self.sources[dotted(path)] = of

    def remark(self, path: KeyPath, text: str) -> None:
        said = self.remarks.setdefault(path, [])
        if text not in said:
            said.append(text)

    def drop(self, section: Section, key: str, reason: str, *, hide: bool = False) -> None:
        """An old key that is left out, if it is there. `hide`: its value is not repeated."""
        section.asked[key] = None
        if section.has(key):
            value = "" if hide else f": {show(section.values[key])}"
            self.left_out.append(f"{section.dotted(key)}{value} - {reason}")

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def where(self, path: KeyPath) -> str:
        """The place in the old file that the new key, or the closest thing above it, comes from."""
        for end in range(len(path), 0, -1):
            if found := self.sources.get(dotted(path[:end])):
                return f"{found} (now {dotted(path)})"
        return f"now {dotted(path)}"


@dataclass
class Translated:
    """`tasks`: options by new name. `prefixes`: old head -> what its metrics begin with now. `metrics`: names of them."""

    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)
    text: str | None = None  # a column that the task reads its text from, where it must say so
