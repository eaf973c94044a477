"""`jenga plugins new`: a new plugin from templates, complete and working, each file small enough for one screen."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from string import Template

from .. import __version__
from ..errors import UserError
from ..plugins import NAME, scan

ENDING = ".in"  # so that no tool takes a template for the file that it becomes


def write(name: str, folder: Path) -> list[Path]:
    """Write the plugin `name` into `folder`, new or empty. `UserError`: a bad name, or a folder with something in it."""
    _check_name(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; nothing was written", next=f"jenga plugins new {name} ANOTHER_FOLDER")
    package = name.replace("-", "_")
    words = {"plugin": name, "package": package, "core": _core_range(__version__)}
    written = []
    for path, template in _templates(files(__name__) / "template"):
        target = folder / path.replace("/package/", f"/{package}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(template.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
        written.append(target)
    return written


def _check_name(name: str) -> None:
    tidy = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not NAME.fullmatch(name) or not name[0].isalpha():
        raise UserError(f"{name!r} cannot be a plugin's name: lower-case words joined by '-'", nearest=tidy or None)
    package = name.replace("-", "_")
    if keyword.iskeyword(package):
        raise UserError(f"{name!r} is a word of Python and cannot name a package", nearest=f"my-{name}")
    if package in sys.stdlib_module_names or name == "test":
        raise UserError(f"{name!r} would hide a module of Python's standard library", nearest=f"my-{name}")
    taken = [r for r in scan() if r.name == name]
    if taken:
        raise UserError(f"the name {name!r} is taken by {taken[0].dist} {taken[0].version}", next="jenga plugins list")
    if find_spec(package) is not None:
        raise UserError(f"{name!r} would hide the installed package {package!r}", nearest=f"my-{name}")


def _templates(folder: Traversable, at: str = "") -> Iterator[tuple[str, Traversable]]:
    """(path of the file to write, its template), in order."""
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            yield from _templates(entry, f"{at}{entry.name}/")
        elif entry.name.endswith(ENDING):
            yield at + entry.name.removesuffix(ENDING), entry


def _core_range(version: str) -> str:
    """The versions of the core that a plugin written for `version` works with: below 1.0 a minor version may break."""
    major, minor = version.split(".")[:2]
    return f">={version},<{f'0.{int(minor) + 1}' if major == '0' else int(major) + 1}"
