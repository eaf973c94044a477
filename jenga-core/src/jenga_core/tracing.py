"""``JENGA_TRACE_HOOKS=1``: every hook call on stderr, for the author of a plugin who wonders who is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import pluggy


def trace_hooks(manager: pluggy.PluginManager, who: str, environ: Mapping[str, str] = os.environ) -> None:
    """With JENGA_TRACE_HOOKS=1, print every hook call of `manager` to stderr: who is called, and the answer."""
    if not flag(environ, "JENGA_TRACE_HOOKS"):
        return

    def before(hook: str, impls: Iterable[Any], arguments: Mapping[str, Any]) -> None:
        called = ", ".join(i.plugin_name for i in reversed(list(impls))) or "nobody"
        print(f"{who}: {hook}({', '.join(arguments)}) -> {called}", file=sys.stderr)

    def after(result: pluggy.Result[Any], hook: str, impls: Iterable[Any], arguments: Mapping[str, Any]) -> None:
        said = f"raised {result.exception!r}" if result.exception else repr(result.get_result())
        print(f"{who}: {hook} = {said if len(said) <= 200 else said[:197] + '...'}", file=sys.stderr)

    manager.add_hookcall_monitoring(before, after)


def flag(environ: Mapping[str, str], name: str) -> bool:
    """A switch in the environment: anything but empty and 0 is on."""
    return environ.get(name, "") not in ("", "0")
