"""YAML text -> plain values and the line of every key and item. A strict subset that means what it seems to mean.

Read as YAML 1.2's core schema, not 1.1: `2e-4` is a number; `on`, `off`, `yes` and `no` are text (a field that wants
true or false still takes them); `007`, `1_000`, `12:30` and `2026-01-31` are text. Keys are always text. Refused, each
with its line: keys given twice, tags other than the plain ones, a second document, aliases that refer to themselves or
grow too large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ..errors import ConfigError, UserError

KeyPath: TypeAlias = "tuple[str | int, ...]"

MOST_BYTES = 1 << 20
MOST_VALUES = 100_000  # after aliases are followed: a few nested ones can stand for billions
MOST_DEPTH = 40  # sections of the grammar nest five deep; component options somewhat more

_TAG = "tag:yaml.org,2002:"
INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")  # 007 is a name more often than a number


def _whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(rf"^(?:{pattern.pattern})$")


# What a plain scalar is, by its first character; the first pattern that fits wins.
PLAIN: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("null", re.compile(r"^(?:~|null|Null|NULL)$"), "~nN"),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("str", _whole(_LEADING_ZERO), "-+0"),
    ("int", _whole(INT), "-+0123456789"),
    ("float", _whole(FLOAT), "-+.0123456789"),
    ("merge", re.compile(r"^<<$"), "<"),
)


def resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """PLAIN in the form of PyYAML: first character -> (tag, pattern); an empty value is null."""
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": [(_TAG + "null", re.compile(r"^$"))]}
    for name, pattern, first in PLAIN:
        for character in first:
            table.setdefault(character, []).append((_TAG + name, pattern))
    return table


class LineLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the plain scalars of YAML 1.2. Only its parser is used: `_Builder` makes the values."""

    yaml_implicit_resolvers = resolvers()


@dataclass(frozen=True, slots=True)
class Document:
    """`value` as plain dicts, lists and scalars; `lines`: path of a key or item -> the line it starts on, from 1."""

    value: Any
    lines: dict[KeyPath, int]


def read_text(path: Path) -> str:
    """The text of a configuration file, without a byte order mark. Raises ConfigError if it is not readable UTF-8."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise _wrong(f"{size:,} bytes is too large for a configuration (at most {MOST_BYTES:,})", str(path))
        raw = path.read_bytes()
    except FileNotFoundError:
        raise _wrong("there is no such file", str(path), next="jenga init --list") from None
    except IsADirectoryError:
        raise _wrong("is a folder, not a configuration file", str(path)) from None
    except OSError as error:
        raise _wrong(f"cannot be read: {error.strerror or error}", str(path)) from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _wrong("is UTF-16 text; save it as UTF-8", str(path))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        what = f"byte {raw[error.start]:#04x} is not UTF-8 text; save the file as UTF-8"
        raise _wrong(what, f"{path}:{line}") from None


def parse(text: str, name: str) -> Document:
    """One YAML document. `name` stands for the file in messages. Raises ConfigError."""
    if len(text) > MOST_BYTES:
        raise _wrong(f"{len(text):,} characters is too long for a configuration (at most {MOST_BYTES:,})", name)
    try:
        _limit_depth(text, name)
        node = yaml.compose(text, Loader=LineLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, name) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position or 0) + 1
        raise _wrong(f"character {error.character!r} is not allowed in YAML", f"{name}:{line}") from None
    if node is None:
        return Document(None, {})
    builder = _Builder(name)
    return Document(builder.build(node, ()), builder.lines)


def parse_value(text: str, name: str) -> Any:
    """The value of one `--set`, read by the same rules as the file."""
    return parse(text, name).value


def _limit_depth(text: str, name: str) -> None:
    """Before composing, which recurses: a file of a hundred thousand brackets must not end in a RecursionError."""
    depth = 0
    for event in yaml.parse(text, Loader=LineLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MOST_DEPTH:
                at = f"{name}:{event.start_mark.line + 1}" if event.start_mark else name
                raise _wrong(f"nested more than {MOST_DEPTH} levels deep", at)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Builder:
    """Nodes -> values, keeping lines. Aliases are followed, so that every path has its own entry."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self._count = 0
        self._open: list[Node] = []

    def build(self, node: Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            raise self._wrong(f"stands for more than {MOST_VALUES:,} values once aliases are followed", node, path)
        if any(node is outer for outer in self._open):
            raise self._wrong("an alias refers to the section that it stands in", node, path)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, MappingNode) and node.tag == _TAG + "map":
                return self._mapping(node, path)
            if isinstance(node, SequenceNode) and node.tag == _TAG + "seq":
                return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        finally:
            self._open.pop()
        raise self._bad_tag(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        own: dict[str, tuple[Node, Node]] = {}
        for key, value in self._own(node, path):
            if key.value in own:
                first = own[key.value][0].start_mark.line + 1
                raise self._wrong(f"key {key.value!r} is given twice, first on line {first}", key, (*path, key.value))
            own[key.value] = (key, value)
        merged = {k.value: (k, v) for k, v in self._merged(node, path) if k.value not in own}
        built = {}
        for name, (key, value) in {**own, **merged}.items():
            self.lines[(*path, name)] = key.start_mark.line + 1
            built[name] = self.build(value, (*path, name))
        return built

    def _own(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[Node, Node]]:
        for key, value in node.value:
            if key.tag == _TAG + "merge":
                continue
            if not isinstance(key, ScalarNode):
                raise self._wrong("a key must be text, not a list or a mapping", key, path)
            if key.tag == _TAG + "null":
                raise self._wrong("a key is empty", key, path)
            yield key, value

    def _merged(self, node: MappingNode, path: KeyPath, depth: int = 0) -> Iterator[tuple[Node, Node]]:
        """Pairs that come in through `<<`; the first of several wins, as YAML has it: they are given last first."""
        if depth > MOST_DEPTH:
            raise self._wrong("`<<` refers to the mapping that it stands in", node, path)
        for key, value in node.value:
            if key.tag != _TAG + "merge":
                continue
            for source in reversed(value.value if isinstance(value, SequenceNode) else [value]):
                if not isinstance(source, MappingNode):
                    raise self._wrong("`<<` takes a mapping or a list of mappings", source, path)
                yield from self._merged(source, path, depth + 1)
                yield from self._own(source, path)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        tag, text = node.tag.removeprefix(_TAG), node.value
        try:
            if tag == "str" or tag == "merge":
                return text
            if tag == "null":
                return None
            if tag == "bool":
                return {"true": True, "false": False}[text.lower()]
            if tag == "int":
                return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
            if tag == "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except (ValueError, KeyError):
            shown = text if len(text) <= 40 else text[:37] + "..."
            raise self._wrong(f"{shown!r} cannot be read as {tag}", node, path) from None
        raise self._bad_tag(node, path)

    def _bad_tag(self, node: Node, path: KeyPath) -> ConfigError:
        shown = node.tag.replace(_TAG, "!!")
        return self._wrong(f"tag {shown} is not allowed: a configuration holds plain values only", node, path)

    def _wrong(self, what: str, node: Node, path: KeyPath) -> ConfigError:
        where = f"{self.name}:{node.start_mark.line + 1}"
        return _wrong(what, f"{where}, {dotted(path)}" if path else where)


def dotted(path: KeyPath) -> str:
    """("hooks", 0, "monitor") -> "hooks.0.monitor", the form that `--set` takes."""
    return ".".join(str(part) for part in path)


def _wrong(what: str, where: str, next: str | None = None) -> ConfigError:
    return ConfigError([UserError(what, where=where, next=next)])


_TAB = "tabs cannot indent YAML; use spaces"


def _syntax(error: yaml.MarkedYAMLError, name: str) -> ConfigError:
    """PyYAML's complaint in one sentence."""
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "cannot be read as YAML"
    if "'\\t'" in problem:
        problem = _TAB
    elif "but found another document" in problem or "expected a single document" in (error.context or ""):
        problem = "holds a second document (a line with ---); a configuration is one"
    elif problem == "mapping values are not allowed here":
        problem = "a second ': ' on this line, or wrong indentation; text that holds ': ' needs quotes"
    elif problem.startswith("expected <block end>"):
        problem = "wrong indentation: this line fits no line above it"
    elif "could not find expected ':'" in problem:
        problem = "a key without ': ' after it"
    where = name if mark is None else f"{name}:{mark.line + 1}"
    return _wrong(problem, where)
