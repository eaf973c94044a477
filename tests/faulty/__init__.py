"""The plugin "faulty": components that each break one rule, for the tests of the conformance kit."""

from __future__ import annotations

from jenga_core.api import BackboneSpec, FusionSpec, ProcessorSpec, SourceSpec, TaskSpec, TrainerHookSpec, hookimpl

PLAIN = "jenga_core.config:ComponentConfig"


@hookimpl
def jenga_register_sources():
    return [SourceSpec(name="lying", factory="faulty.others:Lying", config=PLAIN, suffixes=(".csv",), summary="-")]


@hookimpl
def jenga_register_processors():
    names = (
        "ArrayState",
        "ForgetsScale",
        "DropsRows",
        "LearnsOutsideFit",
        "EditsCells",
        "NestedCounts",
        "OwnRandomness",
    )
    return [
        ProcessorSpec(name=_kebab(n), factory=f"faulty.processors:{n}", config=PLAIN, emits="numbers", summary="-")
        for n in names
    ]


@hookimpl
def jenga_register_backbones():
    numbers = ("WrongWidth", "BatchMean", "UnusedLayer", "OwnShape")
    made = [
        BackboneSpec(
            name=_kebab(n),
            factory=f"faulty.networks:{n}",
            config="jenga_core.testing.doubles.config:NetworkConfig",
            accepts=frozenset({"numbers"}),
            summary="-",
        )
        for n in numbers
    ]
    reader = BackboneSpec(
        name="padding-counts",
        factory="faulty.networks:PaddingCounts",
        config="jenga_core.testing.doubles.config:ReaderConfig",
        accepts=frozenset({"words"}),
        summary="-",
    )
    return [*made, reader]


@hookimpl
def jenga_register_fusions():
    return [
        FusionSpec(name=_kebab(n), factory=f"faulty.networks:{n}", config=PLAIN, summary="-")
        for n in ("IgnoresMask", "MixesOrder", "FirstOnly", "UnusedGate")
    ]


@hookimpl
def jenga_register_tasks():
    return [
        TaskSpec(
            name=_kebab(n),
            factory=f"faulty.others:{n}",
            config="jenga_core.builtin.config:ClassificationConfig",
            summary="-",
        )
        for n in ("MeanLoss", "NullIsAClass", "NoState", "Peeks", "ReadsTargets", "RemembersLabels", "OneLineOnly")
    ]


@hookimpl
def jenga_register_trainer_hooks():
    return [
        TrainerHookSpec(name=_kebab(n), factory=f"faulty.others:{n}", config=PLAIN, summary="-")
        for n in ("Forgetful", "StopsEarly")
    ]


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
