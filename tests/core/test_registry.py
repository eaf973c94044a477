"""Kinds, endings and templates; and what is said about a kind that cannot be had."""

from __future__ import annotations

import sys
import types
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jenga_core.api import (
    BackboneSpec,
    ExampleSpec,
    ProcessorSpec,
    SourceSpec,
    TaskSpec,
    TrainerHookSpec,
    hookimpl,
)
from jenga_core.errors import PluginError
from jenga_core.plugins import PluginRecord
from jenga_core.registry import Registry


def source(name: str, *suffixes: str, factory: str = "json:loads") -> SourceSpec:
    return SourceSpec(name=name, factory=factory, config="json:JSONDecoder", suffixes=suffixes, summary="s")


def record(name: str, *specs, status="ok", error=None, dist=None) -> PluginRecord:
    return PluginRecord(name, dist or f"jenga-{name}", "1.0.0", status, error, specs)


LOST = record("audio", status="broken", error="No module named 'torchaudio'")
CORE = record("core", source("csv", ".csv"), source("jsonl", ".jsonl"))


@pytest.fixture
def registry() -> Registry:
    table = ProcessorSpec(name="table", factory="json:loads", config="json:nothing", summary="s", emits="table")
    example = ExampleSpec(name="network-threats", factory="json:dumps", summary="s")
    return Registry([CORE, record("security", table, source("zeek", ".log", ".conn.log"), example), LOST])


def said(call, *arguments) -> str:
    with pytest.raises(PluginError) as caught:
        call(*arguments)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_kind_leads_to_its_spec_class_and_owner(registry):
    assert list(registry.specs(SourceSpec)) == ["core/csv", "core/jsonl", "security/zeek"]
    assert registry.spec("core/csv", SourceSpec).suffixes == (".csv",)
    assert registry.factory("core/csv", SourceSpec)("[1]") == [1]
    assert registry.config_class("core/csv", SourceSpec) is sys.modules["json"].JSONDecoder
    assert registry.owner("security/zeek").dist == "jenga-security"
    assert registry.specs(TrainerHookSpec) == {}


def test_a_misspelt_name_gets_the_nearest(registry):
    """Trap 18 of the original: types that were documented and unknown."""
    text = said(registry.spec, "core/cvs", SourceSpec)
    assert "plugin 'core' has no source 'cvs'" in text
    assert "did you mean: core/csv" in text
    assert "security/zeek" in text
    assert "pip install" not in text


def test_a_misspelt_plugin_gets_the_nearest_and_nothing_to_install(registry):
    text = said(registry.spec, "securty/zeek", SourceSpec)
    assert "did you mean: security/zeek" in text
    assert "pip install" not in text


def test_a_bare_name_gets_its_kind(registry):
    assert "did you mean: core/csv" in said(registry.spec, "csv", SourceSpec)


def test_the_wrong_family_is_named(registry):
    assert said(registry.spec, "core/csv", TaskSpec) == "core/csv is a source, not a task"


def test_a_lost_kind_names_its_plugin_and_why(registry):
    expected = (
        'audio/wav2vec2 is provided by plugin "audio" (jenga-audio 1.0.0), which failed to load: '
        "No module named 'torchaudio'. See: jenga plugins show audio"
    )
    assert said(registry.spec, "audio/wav2vec2", BackboneSpec) == expected
    assert said(registry.owner, "audio/wav2vec2") == expected


@pytest.mark.parametrize("status", ["incompatible", "conflict", "disabled"])
def test_each_status_is_told_apart(status):
    text = said(Registry([record("audio", status=status, error="because")]).spec, "audio/x", BackboneSpec)
    assert "failed to load" not in text
    assert "because" in text


def test_both_claimants_of_a_conflict_are_named():
    records = [record("a", status="conflict", error="b", dist=d) for d in ("first", "second")]
    assert "first 1.0.0 and second 1.0.0" in said(Registry(records).spec, "a/x", TaskSpec)


def test_what_is_not_installed_gets_the_pip_line(registry):
    assert "next: pip install jenga-vision" in said(registry.spec, "vision/resnet", BackboneSpec)
    assert "next: pip install jenga-vision" in said(registry.owner, "vision/resnet")


def test_code_that_cannot_be_imported_names_the_distribution(registry):
    assert "json has no 'nothing'" in said(registry.config_class, "security/table", ProcessorSpec)
    lost = Registry([record("x", source("y", factory="a_module_that_is_not_there:f"))])
    text = said(lost.factory, "x/y", SourceSpec)
    assert "jenga-x 1.0.0" in text
    assert "jenga plugins check x" in text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.csv", "core/csv"),
        ("logs/A.CSV.GZ", "core/csv"),
        ("a.jsonl.zst", "core/jsonl"),
        ("logs/conn.*.log.gz", "security/zeek"),
        ("x.conn.log", "security/zeek"),
    ],
)
def test_a_source_is_found_by_the_ending(registry, path, kind):
    assert registry.source_for(path) == kind


@pytest.mark.parametrize("path", ["a.xyz", "a", "", "csv", "a.csv.gz.gz", "a.gz"])
def test_an_unknown_ending_lists_the_known_ones(registry, path):
    text = said(registry.source_for, path)
    assert ".csv" in text
    assert "source: plugin/name" in text


def test_installing_a_plugin_does_not_change_who_reads_csv():
    rival = record("rival", source("csv", ".csv", ".tab"))
    assert Registry([rival, CORE]).source_for("a.csv") == "core/csv"
    both = Registry([rival, record("other", source("t", ".tab"))])
    assert "allowed: other/t, rival/csv" in said(both.source_for, "a.tab")


@given(st.text())
def test_any_text_is_a_kind_or_an_error(text):
    registry = Registry([CORE, LOST])
    asks = (partial(registry.spec, text, SourceSpec), partial(registry.source_for, text), partial(registry.owner, text))
    for ask in asks:
        with suppress(PluginError):  # and nothing else
            ask()


def test_templates_go_by_their_name_or_kind(registry):
    assert registry.example("network-threats") == registry.example("security/network-threats")
    text = said(registry.example, "network-threat")
    assert "did you mean: network-threats" in text
    assert "not loaded: audio" in text
    assert "failed to load" in said(registry.example, "audio/speech")


def test_of_takes_modules_and_objects_beside_the_core():
    toy = types.SimpleNamespace(jenga_register_sources=hookimpl(_sources))
    registry = Registry.of(toy=toy)
    assert "toy/lines" in registry.specs(SourceSpec)
    assert "core/csv" in registry.specs(SourceSpec)
    assert "core" in said(registry.spec, "toy/line", SourceSpec)
    assert registry.owner("toy/lines").status == "ok"


def _sources():
    return [source("lines")]


def test_of_refuses_a_module_that_is_wrong():
    with pytest.raises(PluginError, match="not marked with @hookimpl"):
        Registry.of(toy=types.SimpleNamespace(jenga_register_sources=list))


def test_the_builtin_plugin_registers_what_configurations_name():
    registry = Registry.of()
    assert set(registry.specs(SourceSpec)) == {"core/csv", "core/json", "core/jsonl", "core/parquet"}
    assert set(registry.specs(TaskSpec)) == {"core/classification", "core/multi-label", "core/regression"}
    assert registry.source_for("a.ndjson") == "core/jsonl"
    assert registry.source_for("a.tsv.gz") == "core/csv"
    for record in registry.records:
        for spec in record.specs:
            registry.factory(f"core/{spec.name}", type(spec))
            registry.config_class(f"core/{spec.name}", type(spec)).example()


@pytest.mark.parametrize(
    ("body", "words"),
    [("import nowhere", "No module named 'nowhere'"), ("x = y", "NameError"), ("import sys; sys.exit(0)", "sys.exit"),
     ("def f(:", "SyntaxError")],
)  # fmt: skip
def test_a_component_that_cannot_be_imported_is_an_error_of_its_plugin(body, words, tmp_path, monkeypatch, capsys):
    """Whatever its module does; above all `sys.exit(0)`, after which a run that did nothing would look well."""
    (tmp_path / "late_module.py").write_text(f"print('hello')\n{body}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "late_module", raising=False)
    registry = Registry([record("acme", source("lines", ".txt", factory="late_module:Lines"))])
    text = said(registry.factory, "acme/lines", SourceSpec)
    assert "acme/lines of jenga-acme 1.0.0 cannot be imported" in text
    assert words in text
    assert capsys.readouterr().out == ""
