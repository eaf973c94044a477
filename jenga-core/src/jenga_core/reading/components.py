"""Where components stand in the configuration, and how their options become instances of their own config classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from ..api import BackboneSpec, FusionSpec, ProcessorSpec, SourceSpec, Spec, TaskSpec, TrainerHookSpec
from ..config import ComponentConfig, TaskConfig
from ..errors import UserError, nearest
from .plain_words import explain
from .problems import Problem, show
from .yaml_lines import KeyPath


class Kinds(Protocol):
    """What reading needs of `jenga_core.registry.Registry`."""

    def specs(self, family: type[Any]) -> dict[str, Any]: ...

    def spec(self, kind: str, family: type[Any]) -> Any: ...

    def config_class(self, kind: str, family: type[Any]) -> type[Any]: ...


# "*" stands for any key of a section, "#" for any item of a list
POSITIONS: dict[tuple[str, ...], type[Spec]] = {
    ("data", "*", "source"): SourceSpec,
    ("backbones", "*"): BackboneSpec,
    ("inputs", "*", "processor"): ProcessorSpec,
    ("fusion",): FusionSpec,
    ("tasks", "*"): TaskSpec,
    ("hooks", "#"): TrainerHookSpec,
}
# these also take a plain string for `{kind: string}`; their kinds are the core's own
SHORT = (("train", "sampling"), ("train", "schedule"))
WORDS: dict[type[Spec], str] = {
    SourceSpec: "source",
    BackboneSpec: "backbone",
    ProcessorSpec: "processor",
    FusionSpec: "fusion",
    TaskSpec: "task",
    TrainerHookSpec: "hook",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A component in the raw configuration: `holder[key]` is its value."""

    path: KeyPath
    family: type[Spec]
    holder: Any
    key: str | int

    @property
    def value(self) -> Any:
        return self.holder[self.key]


def places(raw: dict[str, Any]) -> Iterator[Place]:
    """Every component there is, in the order of POSITIONS; null stands for none."""
    for pattern, family in POSITIONS.items():
        for path, holder, key in _matches(raw, pattern, ()):
            if holder[key] is not None:
                yield Place(path, family, holder, key)


def _matches(value: Any, pattern: tuple[str, ...], path: KeyPath) -> Iterator[tuple[KeyPath, Any, str | int]]:
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value) if pattern[0] == "*" else [k for k in value if k == pattern[0]]
    elif isinstance(value, list) and pattern[0] == "#":
        keys = list(range(len(value)))
    for key in keys:
        if len(pattern) == 1:
            yield (*path, key), value, key
        else:
            yield from _matches(value[key], pattern[1:], (*path, key))


def takes_kind(path: KeyPath) -> bool:
    """Whether a plain string at `path` is short for `{kind: string}`."""
    return any(
        len(path) == len(pattern) and all(p in ("*", "#", part) for p, part in zip(pattern, path, strict=True))
        for pattern in (*POSITIONS, *SHORT)
    )


def spell_out(raw: dict[str, Any]) -> None:
    """`processor: security/table` -> `processor: {kind: security/table}`, in place."""
    for place in places(raw):
        if isinstance(place.value, str):
            place.holder[place.key] = {"kind": place.value}


def build(place: Place, kinds: Kinds, command: str) -> tuple[ComponentConfig, list[Problem]]:
    """The options as an instance of the component's own class, and what is wrong with them.

    With problems the instance is only a stand-in that lets the rest of the configuration be examined.
    """
    options = place.value
    problems = _kind_problems(place, kinds, command)
    if problems:
        return _stand_in(place), problems
    try:
        config_class = kinds.config_class(options["kind"], place.family)
    except UserError as error:
        return _stand_in(place), [_from_registry(error, place)]
    try:
        return config_class.model_validate(options), []
    except ValidationError as error:
        problems = explain(error, config_class, options, place.path, f"jenga schema {options['kind']}")
        return _stand_in(place), problems


def _kind_problems(place: Place, kinds: Kinds, command: str) -> list[Problem]:
    word, options = WORDS[place.family], place.value
    if not isinstance(options, dict):
        what = f"expected a {word}, as plugin/name or as a section with `kind`, not {show(options)}"
        return [Problem(path=place.path, what=what, allowed=tuple(kinds.specs(place.family)), next=command)]
    if "kind" not in options:
        near = nearest("kind", options)
        what = f"`kind` is missing: it says which {word}"
        if near:
            what += f" (there is a key {near!r})"
        return [Problem(path=place.path, what=what, allowed=tuple(kinds.specs(place.family)), next=command)]
    if not isinstance(options["kind"], str):
        what = f"expected the name of a {word}, as plugin/name, not {show(options['kind'])}"
        return [Problem(path=(*place.path, "kind"), what=what, allowed=tuple(kinds.specs(place.family)), next=command)]
    try:
        kinds.spec(options["kind"], place.family)
    except UserError as error:
        return [_from_registry(error, place)]
    return []


def _from_registry(error: UserError, place: Place) -> Problem:
    path = (*place.path, "kind")
    return Problem(path=path, what=error.what, allowed=error.allowed, nearest=error.nearest, next=error.next)


def _stand_in(place: Place) -> ComponentConfig:
    """Carries the kind and a task's table, so that names which refer to it can still be checked."""
    given = place.value if isinstance(place.value, dict) else {}
    kind = given.get("kind") if isinstance(given.get("kind"), str) else ""
    if place.family is TaskSpec:
        data = given.get("data") if isinstance(given.get("data"), str) else ""
        return TaskConfig.model_construct(kind=kind, data=data, weight=1.0)
    return ComponentConfig.model_construct(kind=kind)
