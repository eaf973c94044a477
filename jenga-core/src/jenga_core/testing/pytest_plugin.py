"""The pytest plugin `jenga`, loaded by every pytest of an installation: imports nothing but pytest until it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jenga_core.registry import Registry

# The checks are plain asserts in an installed package; this gives them pytest's detailed messages.
pytest.register_assert_rewrite("jenga_core.testing.checks")


@pytest.fixture
def jenga_registry() -> Registry:
    """The builtin components and the doubles of `jenga_core.testing`, whatever else is installed."""
    from jenga_core.registry import Registry
    from jenga_core.testing import doubles

    return Registry.of(double=doubles)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out checks of component families that a plugin does not have, rather than show each as skipped."""
    empty = [item for item in items if _is_empty(item)]
    if empty:
        config.hook.pytest_deselected(items=empty)
        gone = set(map(id, empty))
        items[:] = [item for item in items if id(item) not in gone]


def _is_empty(item: pytest.Item) -> bool:
    contract = getattr(getattr(item, "cls", None), "is_plugin_contract", False)
    return bool(contract) and any("empty parameter set" in str(reason) for reason in _skip_reasons(item))


def _skip_reasons(item: pytest.Item) -> Iterator[Any]:
    return (mark.kwargs.get("reason", "") for mark in item.iter_markers("skip"))
