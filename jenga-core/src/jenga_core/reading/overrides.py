"""`--set data.flows.path=x.csv`: one value of the configuration from the command line, read like YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError, UserError
from .components import takes_kind
from .problems import show
from .yaml_lines import KeyPath, dotted, parse_value


def apply(raw: dict[str, Any], overrides: Sequence[str]) -> dict[KeyPath, str]:
    """Put each ``path=value`` into `raw`, in order; returns path -> the override as typed.

    Sections on the way are made where there are none; list items are reached by number and must exist. Where a plain
    string stands for a component, going below it keeps it as the `kind`. Raises ConfigError with all problems.
    """
    problems: list[UserError] = []
    applied: dict[KeyPath, str] = {}
    for text in overrides:
        try:
            applied[_apply(raw, text)] = text
        except ConfigError as error:
            problems += [UserError(p.what, where=f"--set {text}") for p in error.problems]
        except UserError as error:
            problems.append(error)
    if problems:
        raise ConfigError(problems)
    return applied


def _apply(raw: dict[str, Any], text: str) -> KeyPath:
    name, equals, value_text = text.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not equals or not all(keys):
        raise UserError("an override has the form path=value, such as train.epochs=3", where=f"--set {text}")
    value = parse_value(value_text, "--set")
    holder: Any = raw
    path: KeyPath = ()
    for key in keys[:-1]:
        step = _step(holder, key, path, text)
        path = (*path, step)
        holder = _section(holder, step, path, text)
    last = _step(holder, keys[-1], path, text)
    holder[last] = value
    return (*path, last)


def _step(holder: Any, key: str, path: KeyPath, text: str) -> str | int:
    """`key` as it indexes `holder`."""
    if not isinstance(holder, list):
        return key
    if not key.isdecimal() or int(key) >= len(holder):
        known = [str(i) for i in range(len(holder))]
        what = f"`{dotted(path)}` is a list of {len(holder)}; {key!r} is no item of it"
        raise UserError(what, where=f"--set {text}", allowed=known)
    return int(key)


def _section(holder: Any, step: str | int, path: KeyPath, text: str) -> Any:
    """What stands at `step` of `holder`, made if need be, for going below it."""
    inner = holder.get(step) if isinstance(holder, dict) else holder[step]
    if inner is None:
        inner = {}
    elif isinstance(inner, str) and takes_kind(path):
        inner = {"kind": inner}
    elif not isinstance(inner, dict | list):
        raise UserError(f"`{dotted(path)}` is {show(inner)}, which has no keys", where=f"--set {text}")
    holder[step] = inner
    return inner
