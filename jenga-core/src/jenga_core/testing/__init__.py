"""For authors of plugins: the conformance kit, and small components to test against.

    # tests/test_contract.py
    from jenga_core.testing import PluginContract

    class TestSonar(PluginContract):
        plugin = "sonar"

Needs the extra ``jenga-core[testing]``. Importing this package imports nothing else; names are loaded when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["PluginContract"]

if TYPE_CHECKING:
    from .contract import PluginContract


def __getattr__(name: str) -> Any:
    if name == "PluginContract":
        from .contract import PluginContract

        return PluginContract
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
