"""From a `RunConfig` to live components: the only place where kinds become objects."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pluggy
from torch import nn

from .api import PROJECT, BackboneSpec, FusionSpec, ProcessorSpec, TaskSpec, TrainerHookSpec
from .column_types import ColumnType
from .conditioning import FUSED, conditioned
from .config import RunConfig
from .contracts import HeadContext, Processor, Task
from .data import Parts
from .errors import HookError, JengaError, PluginError, UserError, nearest
from .loop import LoopSpecs
from .model import Model
from .registry import Registry
from .tables import Table, load_table
from .tracing import trace_hooks


def build_parts(config: RunConfig, registry: Registry) -> Parts:
    """Unfitted processors and tasks, bound to each other."""
    processors: dict[str, Processor] = {}
    for name, section in config.inputs.items():
        make = registry.factory(section.processor.kind, ProcessorSpec)
        processors[name] = make(section.processor, config.backbones[section.backbone])
    tasks: dict[str, Task] = {n: registry.factory(t.kind, TaskSpec)(t) for n, t in config.tasks.items()}
    parts = Parts(config, processors, tasks)
    parts.bind()
    return parts


def load_tables(
    config: RunConfig,
    registry: Registry,
    *,
    base: Path,
    given: Mapping[str, Any] | None = None,
    types: Mapping[str, Mapping[str, ColumnType]] | None = None,
) -> dict[str, Table]:
    """Every table of the run, split. `given`: table -> DataFrame (or split -> DataFrame) instead of its files.

    `types`: table -> what its columns are for a trained model, by which they are read then.
    """
    given = given or {}
    unknown = [name for name in given if name not in config.data]
    if unknown:
        raise UserError(f"data given for unknown table {unknown[0]!r}", allowed=list(config.data))
    tables = {}
    for name, section in config.data.items():
        labels = [c for t in config.tasks_of(name).values() for c in t.label_columns()]
        stratify = section.split.column or (labels[0] if labels else None)
        tables[name] = load_table(
            name,
            section,
            base=base,
            registry=registry,
            seed=config.seed,
            stratify=stratify,
            needed=needed_columns(config, name),
            given=given.get(name),
            written=partial(config.as_written, name),
            types=None if types is None else types[name],
        )
    return tables


def needed_columns(config: RunConfig, table: str) -> list[str] | None:
    """The columns a run reads of a table, or None when an input takes whatever is there."""
    inputs = config.inputs_of(table).values()
    if any(section.columns is None for section in inputs):
        return None
    split = config.data[table].split
    wanted = [c for section in inputs for c in section.columns or ()]
    wanted += [c for task in config.tasks_of(table).values() for c in task.columns()]
    wanted += [split.column] if split.column else []
    return list(dict.fromkeys(wanted))


def build_model(
    config: RunConfig, registry: Registry, parts: Parts, saved: Mapping[str, Mapping[str, Any]] | None = None
) -> Model:
    """The network, from fitted parts. `saved`: backbone -> what its `saved()` gave, when a folder is loaded."""
    facts = {name: parts.processors[name].facts() for name in config.inputs}
    backbones = {}
    for name, options in config.backbones.items():
        users = [i for i, section in config.inputs.items() if section.backbone == name]
        for other in users[1:]:
            if facts[other] != facts[users[0]]:
                raise UserError(
                    f"inputs {users[0]!r} and {other!r} share backbone {name!r} but their processors differ after fitting "
                    f"({facts[users[0]]} against {facts[other]})",
                    next="give them processors of one kind with equal options, or each its own backbone",
                )
        make = registry.factory(options.kind, BackboneSpec)
        backbones[name] = make(options, facts[users[0]], (saved or {}).get(name))
    wiring = {t: {i: s.backbone for i, s in config.inputs_of(t).items()} for t in config.data}
    dims = {i: int(backbones[s.backbone].out_dim) for i, s in config.inputs.items()}
    fusions = {}
    for table, inputs in wiring.items():
        if len(inputs) > 1:
            options = config.fusion or registry.config_class("core/concat", FusionSpec)(kind="core/concat")
            fusions[table] = registry.factory(options.kind, FusionSpec)(options, {i: dims[i] for i in inputs})
    heads: dict[str, nn.Module] = {}
    seen: dict[str, dict[str, int]] = {}  # task that is conditioned -> widths of what its head sees
    for name, section in config.tasks.items():
        inputs = wiring[section.data]
        dim = int(fusions[section.data].out_dim) if section.data in fusions else dims[next(iter(inputs))]
        context = HeadContext(
            dim,
            {i: dims[i] for i in inputs},
            {i: backbones[b] for i, b in inputs.items()},
            {i: facts[i] for i in inputs},
        )
        heads[name] = parts.tasks[name].head(context)
        if parts.tasks[name].conditioned:
            seen[name] = {FUSED: dim} if parts.tasks[name].fuse else {i: dims[i] for i in inputs}
    declines = frozenset(n for n, task in parts.tasks.items() if not task.fuse)
    layers: dict[str, dict[str, nn.Module]] = {}
    if config.conditioning != "none":
        heads, layers = conditioned(heads, config.conditioning, seen)
    return Model(wiring, backbones, fusions, heads, declines, layers)


class Events:
    """The hooks of one run, called by event name: ``events.on_step(run=run, losses=losses)``.

    Order: hooks as the config lists them, then tasks, then `defaults`. An exception names the hook and the event.
    """

    def __init__(self, hooks: Mapping[str, Any], defaults: Any = None) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(LoopSpecs)
        # pluggy calls the last registered first; the defaults are marked trylast and must be registered last of all,
        # or a hook's own trylast implementation would run after them, that is never.
        for name, hook in reversed(list(hooks.items())):
            self._register(hook, name)
        if defaults is not None:
            self._register(defaults, "core/defaults")
        self._wrap()
        trace_hooks(self._manager, "run")

    def _register(self, hook: Any, name: str) -> None:
        """PluginError for a method marked as an event that there is not, or with an argument that the event does not give."""
        events = [event for event in dir(LoopSpecs) if not event.startswith("_")]
        for method in dir(hook):
            if self._manager.parse_hookimpl_opts(hook, method) is not None and method not in events:
                raise PluginError(
                    f"{method!r} is no event of the loop", where=f"hook {name}", allowed=events,
                    nearest=nearest(method, events),
                )  # fmt: skip
        try:
            self._manager.register(hook, name)
        except pluggy.PluginValidationError as error:
            raise PluginError(" ".join(str(error).split()), where=f"hook {name}") from error

    def _wrap(self) -> None:
        for event in [e for e in dir(LoopSpecs) if not e.startswith("_")]:
            for implementation in getattr(self._manager.hook, event).get_hookimpls():
                implementation.function = _naming(implementation.function, implementation.plugin_name, event)

    def __getattr__(self, event: str) -> Any:
        return getattr(self._manager.hook, event)


def _naming(function: Any, name: str, event: str) -> Any:
    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except JengaError:
            raise  # says itself what is wrong
        except Exception as error:
            raise HookError(f"hook {name} failed in {event}: {type(error).__name__}: {error}") from error

    return call


def build_events(config: RunConfig, registry: Registry, parts: Parts, defaults: Any = None) -> Events:
    """The configured hooks, then the tasks, then the defaults."""
    hooks: dict[str, Any] = {}
    for options in config.hooks:
        name, n = options.kind, 2
        while name in hooks:
            name, n = f"{options.kind}#{n}", n + 1
        hooks[name] = registry.factory(options.kind, TrainerHookSpec)(options)
    return Events({**hooks, **{f"task {name}": task for name, task in parts.tasks.items()}}, defaults)
