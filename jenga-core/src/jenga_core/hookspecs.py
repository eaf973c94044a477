"""The whole contract between the core and a plugin: eight registration hooks.

Each is called once in a process, the first time the registry is needed. None may import torch, transformers, pandas or
pydantic. A plugin implements any of them in the module that its entry point names::

    # pyproject.toml
    [project.entry-points."jenga.plugins.v1"]
    sonar = "acme_sonar.plugin"

    # acme_sonar/plugin.py
    from jenga_core.api import BackboneSpec, hookimpl

    @hookimpl
    def jenga_register_backbones():
        return [BackboneSpec(name="echo", factory="acme_sonar.backbones:Echo", config="acme_sonar.config:EchoConfig",
                             accepts=frozenset({"table"}), summary="A small network for echoes")]

An exception in one plugin marks that plugin `broken`; every other plugin works.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from .api import (
    PROJECT,
    BackboneSpec,
    CommandSpec,
    ExampleSpec,
    FusionSpec,
    ProcessorSpec,
    SourceSpec,
    TaskSpec,
    TrainerHookSpec,
)

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def jenga_register_sources() -> Iterable[SourceSpec]:
    """Readers of file formats and streams. Factory: `contracts.Source`, called as `Source(config)`."""
    return ()


@hookspec
def jenga_register_processors() -> Iterable[ProcessorSpec]:
    """Encoders of cells. Factory: `contracts.Processor`, called as `Processor(config, backbone_config)`."""
    return ()


@hookspec
def jenga_register_backbones() -> Iterable[BackboneSpec]:
    """Networks. Factory: `contracts.Backbone`, called as `Backbone(config, facts, saved=None)`."""
    return ()


@hookspec
def jenga_register_fusions() -> Iterable[FusionSpec]:
    """Ways to join inputs. Factory: `contracts.Fusion`, called as `Fusion(config, dims)`."""
    return ()


@hookspec
def jenga_register_tasks() -> Iterable[TaskSpec]:
    """Things to learn. Factory: `contracts.Task`, called as `Task(config)`."""
    return ()


@hookspec
def jenga_register_trainer_hooks() -> Iterable[TrainerHookSpec]:
    """Listeners of the training loop. Factory called as `Hook(config)`; see `jenga_core.loop` for the events."""
    return ()


@hookspec
def jenga_register_commands() -> Iterable[CommandSpec]:
    """Sub-commands of `jenga`. A name that the core uses is refused."""
    return ()


@hookspec
def jenga_register_examples() -> Iterable[ExampleSpec]:
    """Templates for `jenga init NAME DIR` and `jenga demo NAME`."""
    return ()
