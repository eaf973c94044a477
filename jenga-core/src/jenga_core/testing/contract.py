"""The conformance kit: one class, every check, over every component that a plugin registers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from jenga_core.answers import FAMILIES
from jenga_core.api import Spec

from .checks.files import FileChecks
from .checks.hooks import HookChecks
from .checks.networks import NetworkChecks
from .checks.processors import ProcessorChecks
from .checks.runs import RunChecks
from .checks.specs import SpecChecks
from .checks.tasks import TaskChecks

# The argument of a check -> the family it runs over: "source", "processor", ..., "hook", "command", "example".
ARGUMENTS = {hook.removeprefix("jenga_register_").removesuffix("s").split("_")[-1]: f for hook, f in FAMILIES.items()}


class PluginContract(SpecChecks, ProcessorChecks, NetworkChecks, TaskChecks, HookChecks, FileChecks, RunChecks):
    """Subclass it as ``class TestSonar(PluginContract): plugin = "sonar"``; pytest does the rest.

    A check whose argument is called `processor`, `backbone`, ... runs once for each kind of that family. Components are
    built from `Config.example()`, offline and on the CPU. What the kit cannot make up, the subclass gives by overriding
    `cells`, `labels`, `file`, `partner` or `best`. A check that a component cannot meet is overridden with
    ``@pytest.mark.xfail(reason="why")``; overriding one without a reason is a failure.
    """

    is_plugin_contract: ClassVar[bool] = True

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test per kind of the family that the check's argument names; `kind, family`: per configurable component."""
        specs = {family: [k for k in self.registry().specs(family) if self.owns(k)] for family in ARGUMENTS.values()}
        for word, family in ARGUMENTS.items():
            if word in metafunc.fixturenames:
                metafunc.parametrize(word, specs[family])
        if "kind" in metafunc.fixturenames:
            every = [(kind, family) for family in specs if issubclass(family, Spec) for kind in specs[family]]
            metafunc.parametrize(("kind", "family"), [pytest.param(k, f, id=k) for k, f in every])

    def test_overriding_a_check_has_a_reason(self) -> None:
        wrong = [name for name in _overridden(type(self)) if not _has_reason(getattr(type(self), name))]
        assert not wrong, f"{wrong} are overridden without @pytest.mark.xfail(reason=...)"


def _overridden(cls: type[PluginContract]) -> Iterator[str]:
    """Names of the kit's checks that a subclass replaces."""
    for base in cls.__mro__[: cls.__mro__.index(PluginContract)]:
        yield from (name for name in vars(base) if name.startswith("test_") and hasattr(PluginContract, name))


def _has_reason(function: Any) -> bool:
    marks = getattr(inspect.unwrap(function), "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason", "").strip() for mark in marks)
