"""jenga-security passes the conformance kit."""

from __future__ import annotations

from pathlib import Path

import pytest

import flow_formats
from jenga_core.testing import PluginContract


class TestSecurity(PluginContract):
    plugin = "security"

    def file(self, kind: str, folder: Path) -> Path:
        name, path = kind.partition("/")[2], folder / "some.log"
        if name == "pcap":
            pytest.importorskip(
                "nfstream", reason="pip install 'jenga-security[pcap]': captures of packets are not tested"
            )
            path.write_bytes(flow_formats.pcap([f | {"packets_received": 1} for f in flow_formats.sample()]))
            return path
        write = flow_formats.WRITERS.get(name)
        path.write_text(write(flow_formats.sample()) if write else flow_formats.nsl_kdd())
        return path
