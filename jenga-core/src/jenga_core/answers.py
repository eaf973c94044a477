"""What a plugin's registration hooks may return: which family of spec from which hook, and how a spec must look."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .api import (
    AnySpec,
    BackboneSpec,
    CommandSpec,
    ExampleSpec,
    FusionSpec,
    ProcessorSpec,
    SourceSpec,
    Spec,
    TaskSpec,
    TrainerHookSpec,
)
from .commands import NAMES
from .errors import PluginError

FAMILIES: dict[str, type[Any]] = {
    "jenga_register_sources": SourceSpec,
    "jenga_register_processors": ProcessorSpec,
    "jenga_register_backbones": BackboneSpec,
    "jenga_register_fusions": FusionSpec,
    "jenga_register_tasks": TaskSpec,
    "jenga_register_trainer_hooks": TrainerHookSpec,
    "jenga_register_commands": CommandSpec,
    "jenga_register_examples": ExampleSpec,
}
WORD = {
    SourceSpec: "source",
    ProcessorSpec: "processor",
    BackboneSpec: "backbone",
    FusionSpec: "fusion",
    TaskSpec: "task",
    TrainerHookSpec: "trainer hook",
    CommandSpec: "command",
    ExampleSpec: "example",
}
_KEBAB = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def check_answers(answers: Iterable[tuple[str, object]]) -> tuple[AnySpec, ...]:
    """The specs of one plugin, from (hook name, what it returned). Raises `PluginError` for what may not be so."""
    specs: list[AnySpec] = []
    for hook, answer in answers:
        if not isinstance(answer, Iterable):
            raise PluginError(f"{hook} returned {type(answer).__name__}, not a list of {FAMILIES[hook].__name__}")
        for spec in answer:
            if type(spec) is not FAMILIES[hook]:
                raise PluginError(f"{hook} returned a {type(spec).__name__}, not a {FAMILIES[hook].__name__}")
            _check(hook, spec)
            specs.append(spec)
    _check_distinct(specs)
    return tuple(specs)


def _check(hook: str, spec: Any) -> None:
    """One spec's fields."""
    if not isinstance(spec.name, str) or not _KEBAB.fullmatch(spec.name):
        raise PluginError(f"{hook}: the name {spec.name!r} must be lower-case words joined by '-'")
    for key in ("factory", "config"):
        text = getattr(spec, key, "module:Name")  # commands and examples have no config
        if not isinstance(text, str) or not _REFERENCE.fullmatch(text):
            raise PluginError(f"{hook}: {key} of {spec.name} must read 'module:Name', not {text!r}")
    if not isinstance(spec.summary, str) or not spec.summary.strip() or "\n" in spec.summary:
        raise PluginError(f"{hook}: {spec.name} needs a summary of one line")
    for key in ("accepts", "provides", "needs"):
        if not isinstance(getattr(spec, key, frozenset()), frozenset):
            raise PluginError(f"{hook}: {key} of {spec.name} must be a frozenset of names")
    suffixes = getattr(spec, "suffixes", ())
    if not isinstance(suffixes, tuple) or not all(isinstance(s, str) and s.startswith(".") for s in suffixes):
        raise PluginError(f"{hook}: suffixes of {spec.name} must be a tuple such as ('.csv',), not {suffixes!r}")
    if isinstance(spec, CommandSpec) and spec.name in NAMES:
        raise PluginError(f"{hook}: jenga itself has a command {spec.name!r}")


def _check_distinct(specs: Iterable[AnySpec]) -> None:
    """A kind names one component, whatever its family; commands and examples are named apart from those."""
    seen: set[tuple[object, str]] = set()
    for spec in specs:
        space = Spec if isinstance(spec, Spec) else type(spec)
        if (space, spec.name) in seen:
            raise PluginError(f"it registers {spec.name!r} twice")
        seen.add((space, spec.name))
