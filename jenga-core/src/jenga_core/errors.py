"""Every error that Jenga raises on purpose. Importable without torch, pandas or pydantic."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

LINES = "\n"  # what `visible` keeps in a text that Jenga has laid out in lines


def visible(text: str, keep: str = "") -> str:
    r"""`text` with everything that is no printable character escaped as `repr` does it, but for the characters in `keep`.

    What came from data or from outside goes through here on its way to a terminal, a card or a note: control characters could
    clear the screen or forge lines, marks of direction turn a name round, and half a surrogate cannot be written at all.
    Applied twice it changes nothing more.

    >>> print(visible("a\x1b[2Jb\n"))
    a\x1b[2Jb\n
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


class JengaError(Exception):
    """The work failed. The command line prints the message without a traceback and exits with 1."""

    exit_code = 1


class UserError(JengaError):
    """The user's input was wrong. Says what, where, what is allowed, the nearest name and the next command; exits with 2.

    >>> print(UserError("unknown key 'epoch'", where="soc.yaml:12, train.epoch", allowed=["epochs"], nearest="epochs"))
    soc.yaml:12, train.epoch: unknown key 'epoch'
      allowed: epochs
      did you mean: epochs
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        allowed: Iterable[str] = (),
        nearest: str | None = None,
        next: str | None = None,
    ) -> None:
        self.what, self.where, self.allowed, self.nearest, self.next = what, where, tuple(allowed), nearest, next
        lines = [f"{visible(where)}: {visible(what, LINES)}" if where else visible(what, LINES)]
        if self.allowed:
            lines.append("  allowed: " + ", ".join(map(visible, self.allowed)))
        if nearest:
            lines.append("  did you mean: " + visible(nearest))
        if next:
            lines.append("  next: " + visible(next))
        super().__init__("\n".join(lines))


class ConfigError(UserError):
    """A configuration file is wrong. `problems` holds one UserError for each thing that is."""

    def __init__(self, problems: Iterable[UserError]) -> None:
        self.problems = tuple(problems)
        Exception.__init__(self, "\n".join(str(p) for p in self.problems))
        self.what, self.where, self.allowed, self.nearest, self.next = str(self), None, (), None, None


class DataError(UserError):
    """A table cannot be used as it is: names the file, the row number and the column.

    A component that sees cells but no files gives `row`, the cells' index label (from 0 in a table), and `column`; the
    message counts rows from 1. `within` puts the file in front once it is known.
    """

    def __init__(
        self, what: str, *, row: Any = None, column: str | None = None, where: str | None = None, **more: Any
    ) -> None:
        self.row, self.column, self._more = row, column, more
        super().__init__(what, where=where or self._place(_row), **more)

    def _place(self, name: Callable[[Any], str]) -> str | None:
        places = [] if self.row is None else [name(self.row)]
        return ", ".join([*places, *([] if self.column is None else [f"column {self.column!r}"])]) or None

    def within(self, name: Callable[[int], str]) -> DataError:
        """The same error with the row called `name(row)`; unchanged where the row is unknown."""
        return self if self.row is None else DataError(self.what, where=self._place(name), **self._more)


def _row(label: Any) -> str:
    return f"row {label + 1}" if isinstance(label, Integral) else f"row {label!r}"


class PluginError(UserError):
    """A kind is unknown, its plugin failed to load, or it is not installed."""


class ArtifactError(UserError):
    """A model folder is torn, altered, unsafe or made by plugins that are not here."""


class CheckpointError(JengaError):
    """A checkpoint cannot be written or none that is whole can be read."""


class HookError(JengaError):
    """A loop hook raised. Names the hook's kind and the event."""


class TrainingError(JengaError):
    """The run cannot go on: a loss or gradient is not finite, no row has a label, and the like."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is spelt most like `name`, or None."""
    found = difflib.get_close_matches(str(name), [str(n) for n in names], n=1, cutoff=0.6)
    return found[0] if found else None
