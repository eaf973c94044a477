"""All that a plugin's `plugin.py` imports: the marker `hookimpl` and the spec dataclasses. Standard library and pluggy only.

A spec is a fact about a component. Its `factory` and `config` are strings of the form ``"package.module:Name"``; the code
behind them is imported when a run uses the component, never to list it. The full name of a component, its *kind*, is
``<plugin>/<spec name>`` (``security/table``) and is computed by the core, so two plugins cannot collide.
"""

from __future__ import annotations

from dataclasses import dataclass

import pluggy

PROJECT = "jenga"
GROUP = "jenga.plugins.v1"  # the entry-point group; its suffix is the version of this interface
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A component: `name` in kebab-case, `factory` and `config` as ``"module:Name"``, `summary` in one line."""

    name: str
    factory: str
    config: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec(Spec):
    """A file format or stream that gives tables. `suffixes` are the file endings it is chosen for (".csv")."""

    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorSpec(Spec):
    """Cells of a table -> tensors. `emits` names the form: "tokens", "waveform", "pixels", "table", ..."""

    emits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec(Spec):
    """Tensors -> Features. `accepts` lists the forms it takes; `provides` what tasks may ask of it."""

    accepts: frozenset[str]
    provides: frozenset[str] = frozenset({"pooled", "tokens"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionSpec(Spec):
    """The Features of several inputs of a row -> one Features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec(Spec):
    """Target, head, loss, metrics, decoding. `needs` must be provided by the backbones it runs on."""

    needs: frozenset[str] = frozenset({"pooled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerHookSpec(Spec):
    """An object whose methods, marked with `hookimpl`, are events of `jenga_core.loop`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A sub-command of `jenga`: `factory` names a typer app (``"module:app"``), imported only when the command runs."""

    name: str
    factory: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSpec:
    """A template for `jenga init` and `jenga demo`.

    `factory` names ``write(folder: pathlib.Path, *, seed: int, rows: int | None) -> None``, which writes `config.yaml`,
    `README.md` and data made by a seeded generator (same seed, same bytes; no network). `rows=None` is its usual size.
    A data file called ``new*`` holds rows as they come in use, without labels: `jenga demo` predicts them.
    """

    name: str
    factory: str
    summary: str


AnySpec = Spec | CommandSpec | ExampleSpec
