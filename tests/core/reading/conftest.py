"""A registry of a few kinds, without plugins: reading needs `specs`, `spec` and `config_class` of it and no more."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field

from jenga_core.api import BackboneSpec, FusionSpec, ProcessorSpec, SourceSpec, TaskSpec, TrainerHookSpec
from jenga_core.config import ComponentConfig, Section, TargetConfig, TaskConfig
from jenga_core.errors import PluginError, nearest


class CsvConfig(ComponentConfig):
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="between cells")


class TableConfig(ComponentConfig):
    bins: int | Literal["auto"] = Field(default="auto", description="how many bins")


class NetworkConfig(ComponentConfig):
    width: int = Field(default=8, ge=1, description="units")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share dropped")


class ConcatConfig(ComponentConfig):
    dim: int | None = Field(default=None, ge=1, description="width")


class RateConfig(Section):
    target_fpr: float = Field(gt=0, lt=1, description="accepted share of false alarms")


class ClassificationConfig(TargetConfig):
    classes: list[bool | int | float | str] | None = Field(default=None, description="the labels in order")
    threshold: float | RateConfig | Literal["best_f1"] = Field(default=0.5, description="from which score on")


class GenerationConfig(TaskConfig):
    answer: str = Field(default="answer", description="the column to learn to write")


class StoppingConfig(ComponentConfig):
    monitor: str | None = Field(default=None, description="metric to watch")
    patience: int = Field(default=3, ge=1, description="evaluations without gain")


def _facts(name: str, summary: str = "a part for tests") -> dict[str, Any]:
    return {"name": name, "factory": "nowhere:Nothing", "config": "nowhere:Nothing", "summary": summary}


TABLE, TOKENS = frozenset({"table"}), frozenset({"tokens"})
KINDS: dict[type[Any], dict[str, tuple[Any, type[ComponentConfig]]]] = {
    SourceSpec: {"core/csv": (SourceSpec(**_facts("csv"), suffixes=(".csv",)), CsvConfig)},
    ProcessorSpec: {
        "security/table": (ProcessorSpec(**_facts("table"), emits="table"), TableConfig),
        "text/tokenizer": (ProcessorSpec(**_facts("tokenizer"), emits="tokens"), TableConfig),
    },
    BackboneSpec: {
        "security/tabular-mlp": (BackboneSpec(**_facts("tabular-mlp"), accepts=TABLE), NetworkConfig),
        "security/tabular-resnet": (BackboneSpec(**_facts("tabular-resnet"), accepts=TABLE), NetworkConfig),
        "text/transformer": (BackboneSpec(**_facts("transformer"), accepts=TOKENS), NetworkConfig),
        "llm/causal": (
            BackboneSpec(**_facts("causal"), accepts=TOKENS, provides=frozenset({"pooled", "tokens", "generate"})),
            NetworkConfig,
        ),
    },
    FusionSpec: {"core/concat": (FusionSpec(**_facts("concat")), ConcatConfig)},
    TaskSpec: {
        "core/classification": (TaskSpec(**_facts("classification")), ClassificationConfig),
        "llm/generation": (TaskSpec(**_facts("generation"), needs=frozenset({"generate"})), GenerationConfig),
    },
    TrainerHookSpec: {"core/early-stopping": (TrainerHookSpec(**_facts("early-stopping")), StoppingConfig)},
}


class Kinds:
    """In place of `jenga_core.registry.Registry`; keeps which config classes were asked for."""

    def __init__(self) -> None:
        self.imported: list[str] = []

    def specs(self, family: type[Any]) -> dict[str, Any]:
        return {kind: spec for kind, (spec, _) in KINDS[family].items()}

    def spec(self, kind: str, family: type[Any]) -> Any:
        if kind == "broken/part":
            raise PluginError('broken/part is provided by plugin "broken", which failed to load: no module x')
        if kind not in KINDS[family]:
            near = nearest(kind, KINDS[family])
            raise PluginError(f"unknown kind {kind!r}", allowed=KINDS[family], nearest=near, next="jenga plugins list")
        return KINDS[family][kind][0]

    def config_class(self, kind: str, family: type[Any]) -> type[ComponentConfig]:
        self.imported.append(kind)
        self.spec(kind, family)
        return KINDS[family][kind][1]


@pytest.fixture
def kinds() -> Kinds:
    return Kinds()


@pytest.fixture
def smallest() -> dict[str, Any]:
    """A mapping that leaves out whatever may be left out."""
    return {
        "data": {"flows": {"path": "flows.csv"}},
        "backbones": {"table": "security/tabular-mlp"},
        "inputs": {"flow": {"columns": ["bytes", "port"], "processor": "security/table"}},
        "tasks": {"threat": {"kind": "core/classification", "target": "label"}},
    }
