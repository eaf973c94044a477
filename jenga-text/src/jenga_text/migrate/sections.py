"""Sections of the old file. Every key that is there must be asked for; what nobody asks for is unknown, and an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jenga_core.errors import ConfigError, UserError, nearest
from jenga_core.reading import KeyPath, Origin
from jenga_core.reading.problems import show
from jenga_core.reading.yaml_lines import parse, read_text

T = TypeVar("T")
MOST_OUTPUTS = 10_000  # classes are listed one by one


def number(value: Any) -> float | int:
    """A number, also as text (`"2e-5"`), as files for PyYAML have it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number")
    try:
        return value if isinstance(value, int | float) else float(value)
    except ValueError:
        raise ValueError("a number") from None


def whole(value: Any) -> int:
    try:
        found = number(value)
        if int(found) == found:
            return int(found)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a whole number")


def count(value: Any) -> int:
    """How many outputs a head has."""
    found = whole(value)
    if not 1 <= found <= MOST_OUTPUTS:
        raise ValueError(f"a whole number from 1 to {MOST_OUTPUTS:,}")
    return found


def flag(value: Any) -> bool:
    """true or false; `yes`, `no`, `on`, `off` as PyYAML read them."""
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("true or false")
    return words[str(value).lower()]


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text")
    return value


def label(value: Any) -> str:
    """A name, also one that YAML takes for a number."""
    if isinstance(value, dict | list) or value is None:
        raise ValueError("text")
    return show(value) if isinstance(value, bool) else str(value)


def labels(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("a list of names")
    return [label(each) for each in value]


@dataclass
class Section:
    """A mapping of the old file at `path`. `problems` is shared by all sections of a file."""

    values: dict[str, Any]
    path: KeyPath
    origin: Origin
    problems: list[UserError]
    asked: dict[str, None] = field(default_factory=dict)
    below: dict[KeyPath, Section] = field(default_factory=dict)

    def get(self, key: str, form: Callable[[Any], T]) -> T | None:
        """The value of `key`; None where it is not there, is null or is not of that form, which becomes a problem."""
        self.asked[key] = None
        value = self.values.get(key)
        if value is None:
            return None
        try:
            return form(value)
        except ValueError as error:
            self.problem(f"expected {error}, found {show(value)}", key)
            return None

    def first(self, form: Callable[[Any], T], *keys: str) -> tuple[str, T | None]:
        """The one of several spellings that is given, and its value. Two of them are a problem."""
        given = [key for key in keys if self.values.get(key) is not None]
        if len(given) > 1:
            self.problem(f"{' and '.join(map(repr, given))} say the same; keep one", given[1])
        found = [self.get(key, form) for key in keys]
        return (given[0], found[keys.index(given[0])]) if given else (keys[0], None)

    def section(self, key: str) -> Section:
        """The mapping under `key`, empty where it is not there."""
        value = self.get(key, _mapping)
        return self._inner(value or {}, key)

    def sections(self, key: str) -> list[Section]:
        """The list of mappings under `key`."""
        found = self.get(key, _list) or []
        for at, each in enumerate(found):
            if not isinstance(each, dict):
                self.problem(f"item {at + 1} is {show(each)}, not a section of keys", key)
        return [self._inner(each, key, at) for at, each in enumerate(found) if isinstance(each, dict)]

    def items(self, key: str) -> dict[str, Any]:
        """A mapping under `key` whose keys are names."""
        return self.get(key, _mapping) or {}

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def where(self, *key: str) -> str:
        return self.origin.where((*self.path, *key))

    def dotted(self, key: str) -> str:
        return ".".join(str(part) for part in (*self.path, key))

    def problem(self, what: str, *key: str, **more: Any) -> None:
        self.problems.append(UserError(what, where=self.where(*key), **more))

    def unknown(self) -> Iterator[UserError]:
        """Keys that nobody asked for, here and below."""
        for key in self.values:
            if key not in self.asked:
                what = f"unknown key {key!r}; it would be lost without a word"
                near = nearest(key, self.asked)
                yield UserError(
                    what,
                    where=self.where(key),
                    allowed=self.asked,
                    nearest=near,
                    next=None if near else "take the key out of the old file, if it is not needed",
                )
        for section in self.below.values():
            yield from section.unknown()

    def _inner(self, values: dict[str, Any], *path: str | int) -> Section:
        """The same object whenever it is asked for, so that it knows of every key that was."""
        return self.below.setdefault(path, Section(values, (*self.path, *path), self.origin, self.problems))


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a section of keys")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list")
    return value


def read_old(path: Path) -> Section:
    """The whole old file, YAML or JSON. ConfigError where it cannot be read or holds no section."""
    document = parse(_spaced(read_text(path), path), str(path))
    if not isinstance(document.value, dict):
        what = f"holds {show(document.value)}, not a section of keys such as `model:` and `tasks:`"
        raise ConfigError([UserError(what, where=str(path))])
    return Section(document.value, (), Origin(str(path), document.lines), [])


def _spaced(content: str, path: Path) -> str:
    """JSON may be indented by tabs, YAML may not: between JSON's values they are the same blank."""
    return content.replace("\t", " ") if path.suffix.lower() == ".json" else content
