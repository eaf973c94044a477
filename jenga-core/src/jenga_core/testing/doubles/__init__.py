"""The plugin "double": toy components for tests, as ``Registry.of(double=jenga_core.testing.doubles)``. Torch-free.

They are small and complete: numbers and words as inputs, networks with and without a sequence, a task on tokens, a hook
that records events. None is registered in an installation.
"""

from __future__ import annotations

from jenga_core.api import BackboneSpec, ProcessorSpec, TaskSpec, TrainerHookSpec, hookimpl

_CONFIG = f"{__name__}.config"


@hookimpl
def jenga_register_processors() -> list[ProcessorSpec]:
    return [
        ProcessorSpec(
            name="numbers",
            factory=f"{__name__}.processors:Numbers",
            config=f"{_CONFIG}:NumbersConfig",
            emits="numbers",
            summary="Columns of numbers, standardised; other columns are left out",
        ),
        ProcessorSpec(
            name="words",
            factory=f"{__name__}.processors:Words",
            config=f"{_CONFIG}:WordsConfig",
            emits="words",
            summary="Words of the columns of text, with their places in the cells",
        ),
    ]


@hookimpl
def jenga_register_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="network",
            factory=f"{__name__}.backbones:Network",
            config=f"{_CONFIG}:NetworkConfig",
            accepts=frozenset({"numbers"}),
            summary="One hidden layer over numbers",
        ),
        BackboneSpec(
            name="reader",
            factory=f"{__name__}.backbones:Reader",
            config=f"{_CONFIG}:ReaderConfig",
            accepts=frozenset({"words"}),
            summary="Embedded words beside their neighbours",
        ),
    ]


@hookimpl
def jenga_register_tasks() -> list[TaskSpec]:
    return [
        TaskSpec(
            name="tagging",
            factory=f"{__name__}.tagging:TaggingTask",
            config=f"{_CONFIG}:TaggingConfig",
            needs=frozenset({"tokens"}),
            summary="A class for every word of an input",
        )
    ]


@hookimpl
def jenga_register_trainer_hooks() -> list[TrainerHookSpec]:
    return [
        TrainerHookSpec(
            name="recorder",
            factory=f"{__name__}.recorder:Recorder",
            config=f"{_CONFIG}:RecorderConfig",
            summary="Writes every event of the loop into the log",
        )
    ]
