"""What a configuration says of files -> the files: a path, a glob, a list of them, or one of those per split."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .errors import DataError, nearest

Where: TypeAlias = "str | os.PathLike[str]"


def files_of(paths: Where | Sequence[Where], base: Where | None = None) -> tuple[list[Path], list[str]]:
    """The files, in order, each once, and notes. Relative paths start at `base` (default: the working folder).

    A glob gives its files sorted by name. Raises `DataError` with the nearest name when nothing matches.
    """
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not listed:
        raise DataError("no path is given", where="data.path")
    found = [file for path in listed for file in _matches(Path(base or ".") / path, str(path))]
    files = list(dict.fromkeys(found))
    twice = len(found) - len(files)
    return files, [f"{twice} file{'s' * (twice > 1)} named more than once, read once"] if twice else []


def _matches(path: Path, written: str) -> list[Path]:
    if path.is_dir():
        raise DataError("is a folder, not a file", where=written, next=f"name its files: {written.rstrip('/')}/*.csv")
    if path.is_fifo():
        raise DataError("is a pipe, and a file is read twice", where=written, next=f"cat {written} > FILE.csv")
    if path.exists():  # also when the name has brackets in it
        return [path]
    if not glob.has_magic(str(path)):
        raise _no_file(path, written)
    matches = [Path(m) for m in sorted(glob.glob(str(path), recursive=True)) if not Path(m).is_dir()]
    if not matches:
        raise _no_file(path, written)
    return matches


def _no_file(path: Path, written: str) -> DataError:
    what = "no file matches" if glob.has_magic(written) else "no such file"
    folder = path.parent
    if not folder.is_dir():
        return DataError(f"{what}: there is no folder {folder}", where=written)
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    near = nearest(path.name, names) or (names[0] if len(names) == 1 else None)
    return DataError(what, where=written, allowed=names[:8], nearest=near and str(Path(written).parent / near))


def by_split(path: Any) -> Mapping[str, Any]:
    """`{split: paths}` as written; paths without a split are all `train`, out of which the others are cut."""
    return path if isinstance(path, Mapping) else {"train": path}


def shared(files: Mapping[str, Iterable[Path]]) -> list[str]:
    """A note for each pair of splits that read the same file."""
    real = {split: {f.resolve() for f in each} for split, each in files.items()}
    pairs = [(a, b) for at, a in enumerate(real) for b in list(real)[at + 1 :]]
    return [
        f"{a} and {b} both read {', '.join(sorted(f.name for f in real[a] & real[b]))}: the score says nothing"
        for a, b in pairs
        if real[a] & real[b]
    ]
