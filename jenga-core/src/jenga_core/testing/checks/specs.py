"""What holds for every component: it can be listed cheaply, imported, and configured without surprises."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from jenga_core.api import TaskSpec
from jenga_core.config import ComponentConfig, TaskConfig

from ..rig import example
from .base import Samples

HEAVY = ("torch", "transformers", "pandas", "pydantic")


def heavy_imports(modules: list[str]) -> list[str]:
    """Which of HEAVY a new interpreter has imported after importing `modules`."""
    code = f"import json, sys, {', '.join(modules)}; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    *said, last = run.stdout.splitlines()
    assert not said, f"importing {', '.join(modules)} prints {said[0]!r}"
    found: list[str] = json.loads(last)
    return found


class SpecChecks(Samples):
    def test_plugin_registers_something(self) -> None:
        record = next(r for r in self.registry().records if r.name == self.plugin)
        assert record.status == "ok", record.error
        assert record.specs, f"{self.module_name()} registers nothing: are its functions marked with @hookimpl?"

    def test_listing_imports_nothing_heavy(self) -> None:
        assert heavy_imports([self.module_name()]) == []

    def test_configs_import_no_torch(self) -> None:
        record = next(r for r in self.registry().records if r.name == self.plugin)
        modules = sorted({s.config.partition(":")[0] for s in record.specs if hasattr(s, "config")})
        assert "torch" not in (heavy_imports(modules) if modules else [])

    def test_factory_and_config_can_be_imported(self, kind: str, family: type[Any]) -> None:
        assert callable(self.registry().factory(kind, family))
        base = TaskConfig if family is TaskSpec else ComponentConfig
        assert issubclass(self.registry().config_class(kind, family), base), f"{kind}: config must be a {base.__name__}"

    def test_command_can_be_imported(self, command: str) -> None:
        from typer import Typer

        from jenga_core.api import CommandSpec

        assert isinstance(self.registry().factory(command, CommandSpec), Typer)

    def test_config_survives_json(self, kind: str, family: type[Any]) -> None:
        config = example(self.registry(), kind, family)
        assert type(config).model_validate_json(config.model_dump_json()) == config

    def test_config_refuses_unknown_keys_and_changes(self, kind: str, family: type[Any]) -> None:
        config = example(self.registry(), kind, family)
        with pytest.raises(ValidationError):
            type(config).model_validate({**config.model_dump(), "no_such_option": 1})
        with pytest.raises(ValidationError):
            config.kind = "another"

    def test_every_option_is_described(self, kind: str, family: type[Any]) -> None:
        fields = self.registry().config_class(kind, family).model_fields
        bare = [name for name, field in fields.items() if not (field.description or "").strip()]
        assert not bare, f"{kind}: options without a description: {bare}"
