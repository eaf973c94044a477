"""JSON schema (2020-12) of the configuration, for editors: the grammar and the options of all that is installed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..api import Spec
from ..config import ComponentConfig, RunConfig
from ..errors import PluginError, nearest
from .components import POSITIONS, WORDS, Kinds

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{model}"


def schema(registry: Kinds, kind: str | None = None) -> dict[str, Any]:
    """The schema of a whole configuration, or of one kind's options. Raises PluginError for an unknown kind.

    Components whose config class cannot be imported are left out and named in `$comment`.
    """
    if kind is not None:
        return _one(registry, kind)
    classes, broken = _classes(registry)
    models: list[type[BaseModel]] = [
        RunConfig,
        *dict.fromkeys(c for of_family in classes.values() for c in of_family.values()),
    ]
    refs, generated = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    definitions = generated["$defs"]
    for position, family in POSITIONS.items():
        variants = {k: refs[c, "validation"] for k, c in classes[family].items()}
        alone = [k for k, c in classes[family].items() if not any(f.is_required() for f in c.model_fields.values())]
        _put(definitions, position, _union(registry.specs(family), variants, alone))
    comment = {"$comment": "left out, because they cannot be loaded: " + "; ".join(broken)} if broken else {}
    root = refs[RunConfig, "validation"]
    return {"$schema": DIALECT, "title": "Jenga configuration", **comment, **root, "$defs": definitions}


def _classes(registry: Kinds) -> tuple[dict[type[Spec], dict[str, type[ComponentConfig]]], list[str]]:
    classes: dict[type[Spec], dict[str, type[ComponentConfig]]] = {}
    broken: list[str] = []
    for family in POSITIONS.values():
        classes[family] = {}
        for kind in registry.specs(family):
            try:
                classes[family][kind] = registry.config_class(kind, family)
            except PluginError as error:
                broken.append(f"{kind} ({error.what})")
    return classes, broken


def _union(specs: dict[str, Any], variants: dict[str, Any], alone: list[str]) -> dict[str, Any]:
    """One of `variants`, told apart by `kind`; the kinds in `alone` need no options and may stand as plain text."""
    branches: list[dict[str, Any]] = [
        {
            "title": kind,
            "description": specs[kind].summary,
            "allOf": [ref],
            "type": "object",
            "properties": {"kind": {"const": kind}},
            "required": ["kind"],
        }
        for kind, ref in variants.items()
    ]
    return {"anyOf": [*([{"type": "string", "enum": alone}] if alone else []), *branches]}


def _put(definitions: dict[str, Any], position: tuple[str, ...], union: dict[str, Any]) -> None:
    """Replace what pydantic wrote for the component base class at `position`."""
    node: dict[str, Any] = definitions["RunConfig"]
    holder, last = node, ""
    for part in position:
        node = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        if part in ("*", "#"):
            holder, last = node, "additionalProperties" if part == "*" else "items"
        else:
            holder, last = node["properties"], part
        node = holder[last]
    nullable = any(branch.get("type") == "null" for branch in node.get("anyOf", ()))
    kept = {key: node[key] for key in ("description", "default") if key in node}
    holder[last] = {**kept, "anyOf": [*union["anyOf"], *([{"type": "null"}] if nullable else [])]}


def _one(registry: Kinds, kind: str) -> dict[str, Any]:
    for family in POSITIONS.values():
        if kind in registry.specs(family):
            found = registry.config_class(kind, family).model_json_schema()
            found["properties"]["kind"] = {**found["properties"]["kind"], "const": kind, "default": kind}
            return {"$schema": DIALECT, **found}
    known = [k for family in POSITIONS.values() for k in registry.specs(family)]
    words = ", ".join(WORDS.values())
    raise PluginError(
        f"unknown kind {kind!r}: no {words} has that name", nearest=nearest(kind, known), next="jenga plugins list"
    )
