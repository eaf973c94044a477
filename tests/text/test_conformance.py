"""jenga-text passes the conformance kit."""

from __future__ import annotations

from jenga_core.testing import PluginContract


class TestText(PluginContract):
    plugin = "text"
