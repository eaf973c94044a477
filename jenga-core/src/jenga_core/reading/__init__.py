"""From YAML, or a mapping, to a RunConfig in which every name refers to something and every option is known.

The way there: text -> plain values with lines (`yaml_lines`), `--set` (`overrides`), kinds -> config classes
(`components`), pydantic's findings -> sentences (`plain_words`), names that refer to each other (`wiring`). All that is
wrong comes in one ConfigError, each problem with its file and line. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..config import ComponentConfig, RunConfig
from ..errors import ConfigError, UserError
from . import overrides as override
from .components import Kinds, build, places, spell_out
from .dumping import dump, dump_config
from .plain_words import explain
from .problems import Origin, Problem, show
from .schema import schema
from .wiring import absences, fill_in, references, stratify_column
from .yaml_lines import KeyPath, parse, read_text

__all__ = [
    "KeyPath",
    "Origin",
    "Problem",
    "Reading",
    "dump",
    "dump_config",
    "read",
    "read_config",
    "schema",
    "stratify_column",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """A valid configuration, where its parts come from (for later messages), the folder its paths are relative to."""

    config: RunConfig
    origin: Origin
    base: Path


def read_config(source: Path | str | Mapping[str, Any], *, overrides: Sequence[str] = (), registry: Kinds) -> RunConfig:
    """The configuration in a file or a mapping. Raises ConfigError, whose `problems` are all that is wrong with it."""
    return read(source, overrides=overrides, registry=registry).config


def read(source: Path | str | Mapping[str, Any], *, overrides: Sequence[str] = (), registry: Kinds) -> Reading:
    """As `read_config`, together with the lines of the file."""
    raw, origin, base = _load(source)
    spell_out(raw)
    origin = Origin(origin.file, origin.lines, override.apply(raw, overrides))
    spell_out(raw)
    fill_in(raw)
    config, problems = _validate(raw, registry, origin)
    if config is not None and not problems:
        return Reading(config, origin, base)
    problems.sort(key=lambda problem: _order(problem, origin))
    raise ConfigError([p.error(origin.where, next=origin.command("check")) for p in problems])


def _load(source: Path | str | Mapping[str, Any]) -> tuple[dict[str, Any], Origin, Path]:
    if isinstance(source, Mapping):
        return _plain(source), Origin(), Path()
    path = Path(source)
    document = parse(read_text(path), str(path))
    if document.value is None:
        raise ConfigError([UserError("is empty", where=str(path), next="jenga init --list")])
    if not isinstance(document.value, dict):
        what = f"holds {show(document.value)}, not a section of keys such as `data:` and `tasks:`"
        raise ConfigError([UserError(what, where=str(path), allowed=RunConfig.model_fields, next="jenga init --list")])
    return document.value, Origin(str(path), document.lines), path.parent


def _plain(value: Any) -> Any:
    """A copy in dicts, lists and scalars, as a file would have given it."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else deepcopy(value)


# ------------------------------------------------------------------ validation


def _validate(raw: dict[str, Any], registry: Kinds, origin: Origin) -> tuple[RunConfig | None, list[Problem]]:
    """Components, each by its own class; then the grammar; then, as far as the parts are sound, how they are joined."""
    problems: list[Problem] = []
    for place in list(places(raw)):
        place.holder[place.key], found = build(place, registry, origin.command("check"))
        problems += found
    try:
        config: RunConfig | None = RunConfig.model_validate(raw)
    except ValidationError as error:
        found = explain(error, RunConfig, raw, (), origin.command("check"))
        problems += found
        config = _without(raw, [p.path for p in found])
    if config is not None:
        problems += _beside(references(config, registry), problems)
    if config is not None and not problems:
        problems += absences(config)
    return config, problems


def _without(raw: dict[str, Any], wrong: Iterable[KeyPath]) -> RunConfig | None:
    """The configuration with every wrong value left out, or None where it cannot do without one.

    It is examined further, so that a misspelt key does not hide a misspelt table, and then thrown away.
    """
    for path in wrong:
        if not path:
            return None  # something is wrong with the whole, such as a task that is called loss
        holder: Any = raw
        for key in path[:-1]:
            if not isinstance(holder.get(key), dict):
                break
            holder = holder[key]
        else:
            key = path[-1]
        if key == "processor":
            holder[key] = ComponentConfig.model_construct(kind="")
        else:
            holder.pop(key, None)
    try:
        return RunConfig.model_validate(raw)
    except ValidationError:
        return None


def _beside(found: Iterable[Problem], known: Sequence[Problem]) -> list[Problem]:
    """Those that do not merely follow from a known problem at the same place, above or below it."""
    return [
        p for p in found if not any(p.path[: len(k.path)] == k.path or k.path[: len(p.path)] == p.path for k in known)
    ]


def _order(problem: Problem, origin: Origin) -> tuple[int, str]:
    """Top to bottom of the file; what `--set` brought comes last."""
    where = origin.where(problem.path)
    return origin.line(problem.path) if not where.startswith("--set") else 1 << 30, where
