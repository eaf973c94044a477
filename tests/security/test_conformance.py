"""jenga-security passes the conformance kit."""

from __future__ import annotations

from jenga_core.testing import PluginContract


class TestSecurity(PluginContract):
    plugin = "security"
