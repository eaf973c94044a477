"""The JSON schema that editors read: the grammar, with every installed kind where it may stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jenga_core.config import RunConfig, TrainConfig
from jenga_core.errors import PluginError
from jenga_core.reading import schema


def follow(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    return whole["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def kinds_at(whole: dict[str, Any], node: dict[str, Any]) -> set[str]:
    return {b["properties"]["kind"]["const"] for b in node["anyOf"] if "properties" in b}


def test_the_whole_grammar_with_every_kind(kinds: Any) -> None:
    whole = schema(kinds)
    root = follow(whole, whole)["properties"]
    table = follow(whole, root["data"]["additionalProperties"])["properties"]
    section = follow(whole, root["inputs"]["additionalProperties"])["properties"]
    assert set(root) == set(RunConfig.model_fields)
    assert set(follow(whole, root["train"])["properties"]) == set(TrainConfig.model_fields)
    assert kinds_at(whole, table["source"]) == {"core/csv"}
    assert kinds_at(whole, section["processor"]) == {"security/table", "text/tokenizer"}
    assert kinds_at(whole, root["fusion"]) == {"core/concat"}
    assert kinds_at(whole, root["tasks"]["additionalProperties"]) == {"core/classification", "llm/generation"}
    assert kinds_at(whole, root["hooks"]["items"]) == {"core/early-stopping"}
    assert len(kinds_at(whole, root["backbones"]["additionalProperties"])) == 4


def test_options_of_a_kind_are_in_its_branch(kinds: Any) -> None:
    whole = schema(kinds)
    backbones = follow(whole, whole)["properties"]["backbones"]["additionalProperties"]["anyOf"]
    branch = next(b for b in backbones if b.get("title") == "security/tabular-mlp")
    options = follow(whole, branch["allOf"][0])
    assert {"kind", "width", "dropout"} == set(options["properties"])
    assert options["additionalProperties"] is False


def test_a_kind_without_required_options_may_stand_as_text(kinds: Any) -> None:
    root = follow(schema(kinds), schema(kinds))["properties"]
    assert "security/tabular-mlp" in root["backbones"]["additionalProperties"]["anyOf"][0]["enum"]
    texts = [b["enum"] for b in root["tasks"]["additionalProperties"]["anyOf"] if b.get("type") == "string"]
    assert texts == [["llm/generation"]], "classification needs a target"
    assert {"type": "null"} in root["fusion"]["anyOf"]
    assert {"type": "null"} not in root["tasks"]["additionalProperties"]["anyOf"]


def test_every_reference_is_defined(kinds: Any) -> None:
    text = json.dumps(schema(kinds))
    names = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(schema(kinds)["$defs"])


def test_short_forms_are_allowed(kinds: Any) -> None:
    whole = schema(kinds)
    train = follow(whole, follow(whole, whole)["properties"]["train"])["properties"]
    for key, word in (("schedule", "cosine"), ("sampling", "temperature")):
        enums = [b.get("enum", []) for b in train[key]["anyOf"]]
        assert any(word in enum for enum in enums)
    table = follow(whole, follow(whole, whole)["properties"]["data"]["additionalProperties"])["properties"]
    assert '{"type": "string"}' in json.dumps(table["path"])


def test_one_kind(kinds: Any) -> None:
    one = schema(kinds, "core/classification")
    assert one["properties"]["kind"]["const"] == "core/classification"
    assert one["required"] == ["target"]


def test_an_unknown_kind(kinds: Any) -> None:
    with pytest.raises(PluginError, match="unknown kind 'core/clasification'") as caught:
        schema(kinds, "core/clasification")
    assert caught.value.nearest == "core/classification"


def test_what_cannot_be_loaded_is_named(kinds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    load = kinds.config_class

    def broken(kind: str, family: type[Any]) -> Any:
        if kind == "text/transformer":
            raise PluginError("no module named 'transformers'")
        return load(kind, family)

    monkeypatch.setattr(kinds, "config_class", broken)
    whole = schema(kinds)
    assert "text/transformer (no module named 'transformers')" in whole["$comment"]
