"""What is to be scored: files, cut into chunks, and a fingerprint by which another model or source is told apart."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, UserError
from ..paths import files_of

STRETCH = 32_768  # rows that are predicted at a time: a multiple of every usual batch size
CHUNK = 8 * STRETCH  # rows of a part file, and the most that a kill costs
_ENDS = 1 << 16  # bytes at either end of a file that its fingerprint covers


@dataclass(frozen=True, slots=True)
class Shard:
    """Worker `index` of `count`: it takes every chunk whose turn is its own."""

    index: int = 0
    count: int = 1

    @classmethod
    def read(cls, text: str) -> Shard:
        """From "0/4". UserError for anything else."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            raise UserError(f"{text!r} is no shard", where="--shard", next="--shard 0/2 and --shard 1/2 share the work")
        return cls(int(index), int(count))

    def shares(self, other: Shard) -> bool:
        """Whether there are chunks that both take, as with 0/1 and 0/2; none with 0/2 and 1/2."""
        return (self.index - other.index) % math.gcd(self.count, other.count) == 0

    def takes(self, chunk: Chunk) -> bool:
        return (chunk.file + chunk.number) % self.count == self.index


@dataclass(frozen=True, slots=True)
class Chunk:
    """Chunk `number` of the file of that position: rows `number * CHUNK` and on, or the whole file."""

    file: int
    number: int

    @property
    def name(self) -> str:
        return f"part-{self.file:05}-{self.number:06}"


def source_files(source: str | Path) -> list[Path]:
    """A file, the files of a folder and of those in it, or those that a glob matches; in the order of their names.

    Of a folder, files and folders whose names begin with a dot or an underscore are left out, as other tools do.
    """
    folder = Path(source)
    if not folder.is_dir():
        return files_of(source)[0]
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise DataError("there is no file in this folder", where=str(source))
    return found


def fingerprint(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Of each file its name, size and a sha256 of its ends: the end of a Parquet file tells of all of it.

    A file of text that changed in its middle alone, to the same number of bytes, is not told apart.
    """
    found = []
    for path in files:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            ends = file.read(_ENDS)
            file.seek(max(size - _ENDS, 0))
            found.append({"name": path.name, "bytes": size, "sha256": hashlib.sha256(ends + file.read()).hexdigest()})
    return found
