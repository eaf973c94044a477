"""The file that a task of the old configuration learns from, where it can be found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from jenga_core.errors import UserError, nearest
from jenga_core.tables import read_frame

from .draft import Draft

if TYPE_CHECKING:
    import pandas as pd

    from jenga_core.registry import Registry


@dataclass(frozen=True)
class Place:
    """Where files are looked for, and where the new file will lie: paths in it are relative to that folder."""

    old: Path
    new: Path
    registry: Registry


@dataclass(frozen=True)
class Rows:
    """`path`: for the new file. `frame`: all rows, or None where there is no such file. `source`: a kind, if it must be named."""

    path: str
    frame: pd.DataFrame | None
    source: str | None = None

    def has(self, column: str) -> bool:
        return self.frame is not None and column in self.frame.columns

    def pick(self, given: str | None, usual: tuple[str, ...], where: str, what: str) -> str:
        """The column `given`, else the first of the usual ones that the file has. UserError where it has none of them."""
        if self.frame is None:
            return given or usual[0]
        found = next((name for name in ((given,) if given else usual) if self.has(name)), None)
        if found is not None:
            return found
        names = [str(name) for name in self.frame.columns]
        wanted = given or " or ".join(usual)
        raise UserError(
            f"{self.path} has no column {wanted!r} for {what}",
            where=where,
            allowed=names,
            nearest=nearest(given or usual[0], names),
        )

    def cells(self, column: str) -> list[tuple[int, Any]]:
        """(row from 1, cell) of each that is not missing; lists and objects in it as JSON would give them."""
        import pandas as pd

        if self.frame is None:
            return []
        values = [_plain(value) for value in self.frame[column].tolist()]
        return [(at, v) for at, v in enumerate(values, 1) if isinstance(v, list | dict) or not pd.isna(v)]


def look(data_path: str, place: Place, where: str, draft: Draft) -> Rows:
    """Find and read the file: from the old file's folder, from here, and by its name beside the old file."""
    if PurePosixPath(data_path).is_absolute() or PureWindowsPath(data_path).is_absolute():
        draft.warn(f"{where}: an absolute path, which holds on one computer only")
    found = next((path for path in _candidates(data_path, place.old) if path.is_file()), None)
    if found is None:
        draft.looked.append(f"{data_path}: not found, so nothing in it was checked")
        return Rows(data_path, None)
    frame = read_frame(str(found.resolve()), base=place.old, registry=place.registry)
    squad = "paragraphs" in frame.columns
    columns = ", ".join(map(str, frame.columns[:12])) + (", ..." if len(frame.columns) > 12 else "")
    shown = Path(os.path.relpath(found.resolve(), place.new.resolve())).as_posix()
    draft.looked.append(f"{shown}: {len(frame):,} {'articles' if squad else 'rows'} with {columns}")
    return Rows(shown, frame, "text/squad" if squad else None)


def _plain(value: Any) -> Any:
    """Parquet gives arrays for lists."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple) or (hasattr(value, "tolist") and hasattr(value, "__len__")):
        return [_plain(each) for each in value]
    return value


def _candidates(data_path: str, old: Path) -> list[Path]:
    name = PureWindowsPath(data_path).name or "."
    return [old / data_path, Path(data_path), old / name]
