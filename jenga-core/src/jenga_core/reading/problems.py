"""A problem of a configuration as a value, and where in the file (or in which `--set`) a path of it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from shlex import quote
from typing import Any, TypeAlias

from ..errors import UserError
from .yaml_lines import KeyPath, dotted

Where: TypeAlias = Callable[[KeyPath], str]
MOST_ALLOWED = 40  # a table of 200 columns should not fill the screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong at `path`. The fields are those of UserError."""

    path: KeyPath
    what: str
    allowed: tuple[str, ...] = ()
    nearest: str | None = None
    next: str | None = None

    def error(self, where: Where, next: str | None = None) -> UserError:
        """`next` is the command to name where the problem itself names none."""
        return UserError(
            self.what,
            where=where(self.path),
            allowed=shorten(self.allowed),
            nearest=self.nearest,
            next=self.next or next,
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the parts of a configuration come from: lines of a file, `--set` options, or a mapping made in Python."""

    file: str | None = None
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    overrides: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """``soc.yaml:12, train.epoch``; what `--set` put there is named as that."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return f"--set {self.overrides[path[:end]]}, {dotted(path)}"
        line = self.line(path)
        place = f"{self.file}:{line}" if line else self.file
        return ", ".join(part for part in (place, dotted(path)) if part)

    def line(self, path: KeyPath) -> int:
        """The line on which `path`, or the closest thing above it, stands; 0 where there is none."""
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), 0)

    def command(self, verb: str) -> str:
        """The next command on this file: ``jenga check soc.yaml``."""
        return f"jenga {verb} {quote(self.file) if self.file else 'CONFIG'}"


def show(value: Any) -> str:
    """A value as the user may have typed it, at most one short line."""
    if value is None:
        return "nothing"
    if value is True or value is False:
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def shorten(names: Iterable[str]) -> tuple[str, ...]:
    names = tuple(names)
    if len(names) <= MOST_ALLOWED:
        return names
    return (*names[:MOST_ALLOWED], f"... and {len(names) - MOST_ALLOWED} more")
