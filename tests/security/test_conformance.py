"""jenga-security passes the conformance kit."""

from __future__ import annotations

from pathlib import Path

import flow_formats
from jenga_core.testing import PluginContract


class TestSecurity(PluginContract):
    plugin = "security"

    def file(self, kind: str, folder: Path) -> Path:
        name, path = kind.partition("/")[2], folder / "some.log"
        write = flow_formats.WRITERS.get(name)
        path.write_text(write(flow_formats.sample()) if write else flow_formats.nsl_kdd())
        return path
