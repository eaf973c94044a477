"""Code blocks of a Markdown page, and running them: bash, Python and YAML, in page order, in one folder per page.

bash      `jenga` runs in this process, anything else it may run (python, torchrun, pytest) in one of its own; exit status 0.
          `pip install -e FOLDER` makes the plugin in FOLDER importable as pip would; other install lines and nox are
          recognised and not run. `jenga demo` and `jenga init` get `--rows`, so that they are quick.
python    runs in this process; the blocks of a page share their names. First line `# name.py`: becomes that file instead.
yaml      a whole configuration is validated; a part is validated in place of the same part of `BASE`. First line
          `# name.yaml`: also becomes that file.
text      output, or something that is not run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from jenga_core import cli
from jenga_core.reading import read_config
from jenga_core.registry import Registry

ROWS = "2000"
LANGUAGES = ("bash", "python", "yaml", "text")
OURS = ("jenga-core", "jenga-security", "jenga-text")  # installed already
PROGRAMS = ("python", "torchrun", "pytest")
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w.-]+\.(?:py|yaml))")
BASE = {
    "data": {"flows": {"path": "flows.csv"}},
    "inputs": {"flow": {"exclude": ["started", "host"], "processor": "security/table"}},
    "backbones": {"table": "security/tabular-mlp"},
    "tasks": {"threat": {"kind": "security/anomaly", "target": "label"}},
}


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """Every fenced block of a page, with the number of its first line."""
    for found in _FENCE.finditer(page):
        yield Block(found["info"].strip(), found["text"], page[: found.start()].count("\n") + 2)


class Reader:
    """Someone who follows a page, in `folder`, block by block."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.names: dict[str, Any] = {"__name__": "documented"}
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        monkeypatch.setenv("PYTHONPATH", str(folder))

    def follow(self, block: Block) -> None:
        name = _FILE.match(block.text)
        if name:
            (self.folder / name[1]).write_text(block.text, encoding="utf-8")
        if block.language == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                for command in line.partition("#")[0].split("&&"):
                    self._command(shlex.split(command))
        elif block.language == "python" and not name:
            exec(compile(block.text, f"line {block.line}", "exec", dont_inherit=True), self.names)
        elif block.language == "yaml":
            self._configuration(yaml.safe_load(block.text))

    def _command(self, words: list[str]) -> None:
        if not words or words[0] == "nox":
            return
        if words[:2] == ["pip", "install"]:
            for word, argument in pairwise(words):
                folder = argument.partition("[")[0].removeprefix("./")
                if word == "-e" and folder not in OURS:
                    self._install(self.folder / folder)
        elif words[0] == "cd":
            self.monkeypatch.chdir(words[1])
        elif words[0] == "jenga":
            self._jenga(words[1:])
        else:
            assert words[0] in PROGRAMS, f"no test knows how to run {words[0]!r}"
            done = subprocess.run(words, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    def _jenga(self, arguments: list[str]) -> None:
        if arguments[0] in ("demo", "init") and "--list" not in arguments:
            arguments = [*arguments, "--rows", ROWS]
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert not end.value.code, f"jenga {shlex.join(arguments)} ended with {end.value.code}"

    def _configuration(self, value: dict[str, Any]) -> None:
        whole = {"data", "inputs", "backbones", "tasks"} <= set(value)
        read_config(value if whole else {**BASE, **value}, registry=Registry.discover())

    def _install(self, folder: Path) -> None:
        """What `pip install -e` does: metadata on the path, and a path to the source."""
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        facts = self.folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        facts.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (facts / "METADATA").write_text(metadata, encoding="utf-8")
        groups = [
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())])
            for group, entries in project["entry-points"].items()
        ]
        (facts / "entry_points.txt").write_text("\n".join(groups) + "\n", encoding="utf-8")
        source = str(folder / "src")
        self.monkeypatch.syspath_prepend(source)
        self.monkeypatch.setenv("PYTHONPATH", source, prepend=os.pathsep)
