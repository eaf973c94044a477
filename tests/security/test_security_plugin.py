"""What the plugin registers, and what registering it imports."""

import subprocess
import sys
from importlib import import_module

import pytest

from jenga_security import plugin

SPECS = [
    *plugin.jenga_register_sources(),
    *plugin.jenga_register_processors(),
    *plugin.jenga_register_backbones(),
    *plugin.jenga_register_tasks(),
    *plugin.jenga_register_examples(),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_strings_resolve(spec):
    for text in (spec.factory, getattr(spec, "config", None)):
        if text:
            module, name = text.split(":")
            assert callable(getattr(import_module(module), name))


def imported_by(code):
    heavy = "torch transformers pandas pydantic sklearn scipy"
    program = f"import sys; {code}; print(*(m for m in '{heavy}'.split() if m in sys.modules))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_the_plugin_module_imports_nothing_heavy():
    assert imported_by("import jenga_security.plugin") == []


def test_options_import_no_torch():
    assert imported_by("import jenga_security.config") == ["pydantic"]


@pytest.mark.parametrize("spec", plugin.jenga_register_examples(), ids=lambda s: s.name)
def test_templates_import_no_torch(spec):
    assert "torch" not in imported_by(f"import {spec.factory.partition(':')[0]}")


@pytest.mark.parametrize("spec", [s for s in SPECS if hasattr(s, "config")], ids=lambda s: s.name)
def test_every_option_is_described_and_the_example_reads_back(spec):
    module, name = spec.config.split(":")
    config = getattr(import_module(module), name)
    example = config.example()
    assert config.model_validate(example.model_dump()) == example
    assert [key for key, field in config.model_fields.items() if not field.description] == []
