"""Registry: kind -> spec -> class. A *kind* is ``<plugin>/<spec name>``, such as ``core/csv``.

Passed around, never global. Imports no torch, pandas or pydantic; code behind a spec is imported when asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any, TypeVar

from . import __version__, plugins
from .answers import WORD
from .api import ExampleSpec, SourceSpec
from .errors import PluginError, nearest
from .plugins import PluginRecord

S = TypeVar("S")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_WHY = {
    "broken": "failed to load",
    "incompatible": "is for another version of jenga-core",
    "conflict": "was not loaded",
    "disabled": "is disabled",
}


class Registry:
    """The components of the plugins that could be loaded, and why the others could not."""

    def __init__(self, records: Iterable[PluginRecord]) -> None:
        self.records = tuple(records)
        self._specs: dict[tuple[type[Any], str], Any] = {
            (type(s), f"{r.name}/{s.name}"): s for r in self.records for s in r.specs
        }

    @classmethod
    def discover(cls) -> Registry:
        """The installed plugins. `JENGA_STRICT_PLUGINS=1`: raises `PluginError` when one of them cannot be used."""
        return cls(plugins.discover())

    @classmethod
    def of(cls, **modules: object) -> Registry:
        """For tests: the builtin "core" and these modules or objects by plugin name, without entry points.

        Raises `PluginError` when one of them cannot be used.
        """
        records = [_core()] if "core" not in modules else []
        records += [
            plugins.collect(name, lambda module=module: module, dist=name, version="0")  # type: ignore[misc]
            for name, module in modules.items()
        ]
        plugins.require_usable(records)
        return cls(records)

    def specs(self, family: type[S]) -> dict[str, S]:
        """Every spec of a family by kind, sorted."""
        return {kind: spec for (kin, kind), spec in sorted(self._specs.items(), key=_by_kind) if kin is family}

    def spec(self, kind: str, family: type[S]) -> S:
        """The spec of a kind. `PluginError`: the nearest name, the plugin that failed to load, or how to install it."""
        found: S | None = self._specs.get((family, kind))
        if found is None:
            raise self._unknown(str(kind), family)
        return found

    def owner(self, kind: str) -> PluginRecord:
        """The plugin that provides a kind of this registry. `PluginError` when none is of that name."""
        name = kind.partition("/")[0]
        for record in self.records:
            if record.name == name and record.status == "ok":
                return record
        raise self._lost(kind) or self._absent(kind, [r.name + "/" for r in self.records if r.status == "ok"])

    def config_class(self, kind: str, family: type[Any]) -> Any:
        """The `ComponentConfig` subclass behind a kind."""
        return self._load(kind, self.spec(kind, family).config)

    def factory(self, kind: str, family: type[Any]) -> Callable[..., Any]:
        """The class or function behind a kind; of a command its typer app."""
        factory: Callable[..., Any] = self._load(kind, self.spec(kind, family).factory)
        return factory

    def source_for(self, path: str | os.PathLike[str]) -> str:
        """The kind of source for a file, path or glob, by its longest known ending; compression is taken off first.

        An ending of the core's stays the core's whatever is installed. `PluginError`: no source, or several.
        """
        bare = uncompressed(str(path))
        claims: dict[str, list[str]] = {}
        for kind, spec in self.specs(SourceSpec).items():
            for suffix in spec.suffixes:
                claims.setdefault(suffix.lower(), []).append(kind)
        suffix = max((s for s in claims if bare.endswith(s)), key=len, default="")
        if not suffix:
            raise PluginError(
                "no source reads files of this ending",
                where=str(path),
                allowed=sorted(claims),
                next="name the reader with `source: plugin/name`; see: jenga plugins list",
            )
        kinds = [k for k in claims[suffix] if k.startswith("core/")] or claims[suffix]
        if len(kinds) > 1:
            raise PluginError(
                f"several sources read {suffix}", where=str(path), allowed=kinds, next=f"source: {kinds[0]}"
            )
        return kinds[0]

    def example(self, name: str) -> str:
        """The kind of a template given by its name alone or by its kind."""
        kinds = list(self.specs(ExampleSpec))
        found = [k for k in kinds if name == k or name == k.partition("/")[2]]
        if len(found) == 1:
            return found[0]
        if found:
            raise PluginError(f"several templates are called {name!r}", allowed=found)
        if "/" in name:
            self.spec(name, ExampleSpec)  # raises with the owner's state
        short = [k.partition("/")[2] for k in kinds]
        broken = [r.name for r in self.records if r.status != "ok"]
        raise PluginError(
            f"unknown template {name!r}" + (f" (not loaded: {', '.join(broken)})" if broken else ""),
            allowed=short,
            nearest=nearest(name, short),
            next="jenga plugins list" if broken else "jenga init --list",
        )

    def _load(self, kind: str, reference: str) -> Any:
        module, _, name = reference.partition(":")
        try:
            with redirect_stdout(sys.stderr):  # stdout is for the command's result
                found = import_module(module)
        except (Exception, SystemExit) as error:  # as in discovery: foreign code, of which anything can come
            owner = self.owner(kind)
            raise PluginError(
                f"{kind} of {owner.dist} {owner.version} cannot be imported: {plugins.reason(error)}",
                next=f"jenga plugins check {owner.name}",
            ) from error
        if not hasattr(found, name):
            raise PluginError(f"{kind}: {module} has no {name!r}", next=f"jenga plugins check {kind.partition('/')[0]}")
        return getattr(found, name)

    def _unknown(self, kind: str, family: type[Any]) -> PluginError:
        word, allowed = WORD[family], list(self.specs(family))
        other = next((kin for kin, k in self._specs if k == kind), None)
        if other is not None:
            return PluginError(f"{kind} is a {WORD[other]}, not a {word}", allowed=allowed)
        lost = self._lost(kind)
        if lost is not None:
            return lost
        name, slash, short = kind.partition("/")
        if not slash:
            same = [k for k in allowed if k.partition("/")[2] == name]
            near = same[0] if same else nearest(name, allowed)
            return PluginError(f"{kind!r} is not a {word}; a kind reads plugin/name", allowed=allowed, nearest=near)
        if name in {r.name for r in self.records}:
            near = nearest(kind, allowed)
            return PluginError(f"plugin {name!r} has no {word} {short!r}", allowed=allowed, nearest=near)
        return self._absent(kind, allowed)

    def _absent(self, kind: str, allowed: list[str]) -> PluginError:
        """No plugin of that name: misspelt when another is nearly called so, else not installed."""
        name = kind.partition("/")[0]
        if nearest(name, {r.name for r in self.records}):
            return PluginError(f"there is no plugin {name!r}", allowed=allowed, nearest=nearest(kind, allowed))
        return PluginError(
            f"{kind} needs the plugin {name!r}, which is not installed",
            allowed=allowed,
            next=f"pip install jenga-{name.removeprefix('jenga-')}",
        )

    def _lost(self, kind: str) -> PluginError | None:
        """A plugin of that name is installed and could not be used."""
        name = kind.partition("/")[0]
        owners = [r for r in self.records if r.name == name]
        if not owners or any(r.status == "ok" for r in owners):
            return None
        of = " and ".join(f"{r.dist} {r.version}" for r in owners)
        return PluginError(
            f'{kind} is provided by plugin "{name}" ({of}), which {_WHY[owners[0].status]}: {owners[0].error}. '
            f"See: jenga plugins show {name}"
        )


def uncompressed(path: str) -> str:
    """A path in lower case, without the ending of a compression."""
    text = path.lower()
    return next((text.removesuffix(ending) for ending in COMPRESSED if text.endswith(ending)), text)


def _core() -> PluginRecord:
    def load() -> object:
        return import_module("jenga_core.builtin.plugin")

    return plugins.collect("core", load, dist="jenga-core", version=__version__)


def _by_kind(item: tuple[tuple[type[Any], str], Any]) -> str:
    return item[0][1]
