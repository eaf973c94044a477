"""Writes docs/reference/configuration.md from the pydantic models: `python docs/generate_reference.py`.

A test compares the page with what this gives, so an option cannot change without its line of documentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from json import dumps
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jenga_core import config
from jenga_core.api import BackboneSpec, FusionSpec, ProcessorSpec, SourceSpec, Spec, TaskSpec, TrainerHookSpec
from jenga_core.registry import Registry

PAGE = Path(__file__).parent / "reference" / "configuration.md"
PLUGINS = ("core", "security", "text")

INTRODUCTION = """\
# Configuration

This page is generated from the models in `jenga_core/config.py` and the options of the components: `python
docs/generate_reference.py`. `jenga schema` prints the same facts as a JSON schema for editors, with every plugin that is
installed.

A configuration is one YAML document. An unknown key is an error, and so is a key twice. Paths are relative to the
configuration's own folder. Any key can be overridden on the command line: `--set train.epochs=1`, `--set
data.flows.path=new.csv`.
"""

SECTIONS: list[tuple[str, type[BaseModel]]] = [
    ("The whole", config.RunConfig),
    ("`data.NAME`", config.DataConfig),
    ("`data.NAME.split`", config.SplitConfig),
    ("`inputs.NAME`", config.InputConfig),
    ("`train`", config.TrainConfig),
    ("`train.schedule`", config.ScheduleConfig),
    ("`train.evaluate`", config.EveryConfig),
    ("`train.checkpoint`", config.CheckpointConfig),
    ("`train.sampling`: sequential", config.SequentialSampling),
    ("`train.sampling`: round_robin", config.RoundRobinSampling),
    ("`train.sampling`: proportional", config.ProportionalSampling),
    ("`train.sampling`: temperature", config.TemperatureSampling),
]
FAMILIES: dict[str, type[Spec]] = {
    "Sources": SourceSpec,
    "Processors": ProcessorSpec,
    "Backbones": BackboneSpec,
    "Fusions": FusionSpec,
    "Tasks": TaskSpec,
    "Loop hooks": TrainerHookSpec,
}
SHARED = {
    "ComponentConfig": "a kind, or {kind: ..., options}",
    "TaskConfig": "{kind: ..., options}",
    "SplitConfig": "see `data.NAME.split`",
    "ScheduleConfig": "{kind: ..., options}",
    "EveryConfig": "{epochs: N} or {steps: N}",
    "CheckpointConfig": "see `train.checkpoint`",
    "TrainConfig": "see `train`",
    "DataConfig": "see `data.NAME`",
    "InputConfig": "see `inputs.NAME`",
}


def page(registry: Registry) -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_grammar(), *_components(registry)])


def _grammar() -> Iterator[str]:
    for title, model in SECTIONS:
        yield f"## {title}\n\n{_summary(model)}\n"
        yield from _options(model, leave_out=())


def _components(registry: Registry) -> Iterator[str]:
    for title, family in FAMILIES.items():
        yield f"## {title}\n"
        for kind, spec in registry.specs(family).items():
            if kind.partition("/")[0] in PLUGINS:
                yield f"### {kind}\n\n{spec.summary}.{_facts(spec)}\n"
                yield from _options(registry.config_class(kind, family), leave_out=("kind",))


def _facts(spec: Any) -> str:
    """What the spec says beside its summary."""
    said = {"suffixes": "Chosen for", "emits": "Emits", "accepts": "Accepts", "needs": "Needs"}
    return "".join(
        f" {word} {', '.join(f'`{v}`' for v in ([value] if isinstance(value, str) else sorted(value)))}."
        for name, word in said.items()
        if (value := getattr(spec, name, None))
    )


def _options(model: type[BaseModel], *, leave_out: tuple[str, ...]) -> Iterator[str]:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    rows = [
        (f"`{name}`", _form(facts, definitions), _default(model, name), _cell(facts.get("description", "")))
        for name, facts in schema.get("properties", {}).items()
        if name not in leave_out and "description" in facts
    ]
    if not rows:
        yield "No options.\n"
        return
    yield "| key | value | default | meaning |\n| --- | --- | --- | --- |"
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, config.TrainConfig):
        return ""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_none=True)
    if value is None or value == "":
        return ""
    return _cell("`" + (dumps(value) if not isinstance(value, str) else value) + "`")


def _form(facts: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "$ref" in facts:
        name = facts["$ref"].rpartition("/")[2]
        return SHARED.get(name) or "{" + ", ".join(f"{key}: ..." for key in definitions[name]["properties"]) + "}"
    branches = facts.get("anyOf") or facts.get("oneOf")
    if branches:
        words = [_form(b, definitions) for b in branches if b.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if "enum" in facts or "const" in facts:
        return ", ".join(f"`{v}`" for v in facts.get("enum", [facts.get("const")]))
    return _simple(facts, definitions)


def _simple(facts: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    kind = facts.get("type", "any")
    if kind == "array":
        return f"list of {_form(facts.get('items', {}), definitions)}"
    if kind == "object":
        values = facts.get("additionalProperties")  # true: of any type
        return f"{{NAME: {_form(values if isinstance(values, dict) else {}, definitions)}}}"
    words = {"string": "text", "integer": "whole number", "boolean": "true, false"}.get(kind, kind)
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return " ".join([words, *(f"{sign} {_bound(facts[key])}" for key, sign in limits.items() if key in facts)])


def _bound(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().replace("\n    ", "\n")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(Registry.discover()), encoding="utf-8")
