"""Discovery: which plugins are installed, what they register, and why one that cannot be used cannot.

An error is a value here: `scan` never raises, whatever a plugin does, and when one fails the others work. A plugin is
an entry point of the group `jenga.plugins.v1`. Another suffix is another interface: such a plugin is reported and never
imported. Importable without torch, pandas or pydantic.

Environment: ``JENGA_DISABLE_PLUGINS=<distribution>[,...]`` leaves out those distributions' plugins,
``JENGA_STRICT_PLUGINS=1`` makes `discover` raise, ``JENGA_TRACE_HOOKS=1`` prints hook calls to stderr.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import invalidate_caches, metadata
from typing import Literal, TypeAlias

import pluggy

from . import hookspecs
from .answers import FAMILIES, check_answers
from .api import GROUP, PROJECT, AnySpec
from .errors import PluginError, nearest
from .tracing import flag, trace_hooks

Status: TypeAlias = Literal["ok", "broken", "incompatible", "conflict", "disabled"]
PREFIX = GROUP.rpartition(".v")[0] + "."  # "jenga.plugins.": all versions of the interface
NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """One plugin: entry-point name, distribution, its version, and its specs or, in one line, why there are none."""

    name: str
    dist: str
    version: str
    status: Status
    error: str | None = None
    specs: tuple[AnySpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """One entry point, not imported yet. `problem`: the distribution's metadata cannot be read."""

    name: str
    group: str
    dist: str
    version: str
    load: Callable[[], object] = field(compare=False)
    problem: str | None = None

    def record(self, status: Status, error: str) -> PluginRecord:
        return PluginRecord(self.name, self.dist, self.version, status, error)


def discover(environ: Mapping[str, str] = os.environ) -> tuple[PluginRecord, ...]:
    """`scan`, but `JENGA_STRICT_PLUGINS=1` raises `PluginError` when a plugin that is not disabled cannot be used."""
    records = scan(environ)
    if flag(environ, "JENGA_STRICT_PLUGINS"):
        require_usable(records)
    return records


def require_usable(records: Iterable[PluginRecord]) -> None:
    """Raise `PluginError` naming every record that is neither ok nor disabled."""
    bad = [r for r in records if r.status not in ("ok", "disabled")]
    if bad:
        lines = [f"plugin {r.name} ({r.dist} {r.version}) is {r.status}: {r.error}" for r in bad]
        raise PluginError("\n".join(lines), next="JENGA_DISABLE_PLUGINS=" + ",".join(sorted({r.dist for r in bad})))


def scan(environ: Mapping[str, str] = os.environ) -> tuple[PluginRecord, ...]:
    """A record for every installed plugin, by name. Looked up once per import path and disabled list."""
    disabled = frozenset(_normal(d) for d in environ.get("JENGA_DISABLE_PLUGINS", "").split(",") if d.strip())
    return _scan(tuple(sys.path), disabled)


def forget() -> None:
    """Let the next `scan` look again: something was installed or removed while this process runs."""
    invalidate_caches()
    _scan.cache_clear()


@lru_cache(maxsize=8)
def _scan(path: tuple[str, ...], disabled: frozenset[str]) -> tuple[PluginRecord, ...]:
    claims = list(_claims(path))
    current = {(c.name, c.dist) for c in claims if c.group == GROUP}
    claimants: dict[str, list[Claim]] = {}
    for claim in claims:
        if claim.group == GROUP and _normal(claim.dist) not in disabled:
            claimants.setdefault(claim.name, []).append(claim)
    records = []
    for claim in claims:
        if claim.group != GROUP and (claim.name, claim.dist) in current:
            continue  # it speaks this version as well
        if _normal(claim.dist) in disabled:
            records.append(claim.record("disabled", f"JENGA_DISABLE_PLUGINS names {claim.dist}"))
        elif claim.problem:
            records.append(claim.record("broken", claim.problem))
        elif claim.group != GROUP:
            records.append(claim.record("incompatible", f"it is for {claim.group}; this jenga-core speaks {GROUP}"))
        elif len(claimants[claim.name]) > 1:
            records.append(claim.record("conflict", _conflict(claim, claimants[claim.name])))
        else:
            records.append(collect(claim.name, claim.load, dist=claim.dist, version=claim.version))
    return tuple(sorted(records, key=lambda r: (r.name, r.dist)))


def _claims(path: tuple[str, ...]) -> Iterator[Claim]:
    """Every entry point of this project's groups. Of two copies of a distribution the first on the path counts."""
    seen: set[str] = set()
    for dist in metadata.distributions(path=list(path)):
        try:
            if PREFIX not in (dist.read_text("entry_points.txt") or ""):  # most: their metadata need no parsing
                continue
        except UnicodeDecodeError:
            continue
        try:
            name, version = str(dist.metadata["Name"] or "unknown"), str(dist.metadata["Version"] or "unknown")
            points = [e for e in dist.entry_points if e.group.startswith(PREFIX)]
        except (Exception, SystemExit) as error:
            place = getattr(dist, "_path", None)
            name = place.name.partition("-")[0] if place else "unknown"
            points, version = [], "unknown"
            yield Claim(name, GROUP, name, version, lambda: None, f"its metadata cannot be read: {reason(error)}")
        if _normal(name) not in seen:
            seen.add(_normal(name))
            for point in points:
                yield Claim(point.name, point.group, name, version, point.load)


def collect(name: str, load: Callable[[], object], *, dist: str, version: str) -> PluginRecord:
    """Import one plugin and ask each of its hooks once. What it raises, exit included, becomes the error."""
    try:
        with redirect_stdout(sys.stderr):  # stdout is for the command's result
            if not NAME.fullmatch(name):
                raise ValueError(f"the plugin's name {name!r} must be lower-case words joined by '-'")
            specs = check_answers(_answers(name, load()))
    except (Exception, SystemExit) as error:
        return PluginRecord(name, dist, version, "broken", reason(error))
    return PluginRecord(name, dist, version, "ok", None, specs)


def _answers(name: str, plugin: object) -> Iterator[tuple[str, object]]:
    """(hook name, what it returned). A manager of its own: pluggy checks the hooks and says who answered."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    marked = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    for hook in sorted(marked - FAMILIES.keys()):
        near = nearest(hook, FAMILIES)
        raise PluginError(f"unknown hook {hook}" + (f"; did you mean {near}" if near else ""))
    for hook in FAMILIES:
        if hasattr(plugin, hook) and hook not in marked:
            raise PluginError(f"{hook} is not marked with @hookimpl")
    trace_hooks(manager, name)
    for hook in FAMILIES:
        for answer in getattr(manager.hook, hook)():
            yield hook, answer


def reason(error: BaseException) -> str:
    """An exception in one line, without a traceback."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"it called sys.exit({text})"
    if isinstance(error, ImportError | pluggy.PluginValidationError | PluginError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _conflict(claim: Claim, claimants: Iterable[Claim]) -> str:
    others = sorted(c.dist for c in claimants if c is not claim)
    return f"{' and '.join(others)} claims this name too; JENGA_DISABLE_PLUGINS={','.join(others)} keeps this one"


def _normal(dist: str) -> str:
    return re.sub(r"[-_.]+", "-", dist).strip().lower()
