"""What `jenga plugins check` does: import all that a plugin registers, then run the conformance kit on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from ..api import Spec
from ..errors import PluginError, UserError
from ..registry import Registry

CONTRACT = """\
from jenga_core.testing import PluginContract


class TestPlugin(PluginContract):
    plugin = {name!r}
"""


def import_all(name: str) -> Iterator[str]:
    """Import every component of a plugin and its options: a line for each, then `PluginError` if any failed."""
    registry = Registry.discover()
    problems = []
    for record in registry.records:
        for spec in record.specs if record.name == name else ():
            kind = f"{name}/{spec.name}"
            try:
                registry.factory(kind, type(spec))
                if isinstance(spec, Spec):
                    registry.config_class(kind, type(spec))
            except PluginError as error:
                problems.append(str(error))
                yield f"BAD   {kind}"
            else:
                yield f"ok    {kind}"
    if problems:
        raise PluginError("\n".join(problems))


def run_contract(name: str) -> int:
    """Pytest's exit status over `PluginContract` for this plugin, in a process of its own; prints to stdout."""
    if find_spec("pytest") is None:
        raise UserError("the conformance kit needs pytest", next='pip install "jenga-core[testing]"')
    with TemporaryDirectory() as folder:
        file = Path(folder) / "test_contract.py"
        file.write_text(CONTRACT.format(name=name), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--rootdir", folder, "-p", "no:cacheprovider", file.name]
        return min(subprocess.run(command, cwd=folder, check=False).returncode, 1)
