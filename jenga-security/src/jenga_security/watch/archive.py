"""Files that were the log: renamed, copied, and compressed by gzip, as logrotate leaves them."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROOF = 256  # bytes before a position that tell whether a file is still the one that was read
HEAD = 1024  # bytes at a file's beginning that tell it from other logs
ENDING = ".gz"
_ROTATED = re.compile(r"[.-]\d[\dT.:_-]*?(\.gz)?")


@dataclass(frozen=True, slots=True)
class Position:
    """The beginning of a line: everything before `offset` has been read. `proof`: sha256 of the bytes just before it.

    `head`: sha256 of the file's first `known` bytes, by which a copy of it is recognised before anything was read.
    `written`: when the file had last been written to, ns: what was rotated away after it is not older. It tells files apart that
    begin alike, with the same header or with nothing, and is all that is left of a file that is gone.
    """

    inode: int
    offset: int
    proof: str
    head: str = hashlib.sha256().hexdigest()
    known: int = 0
    written: int = 0

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Position:
        return cls(**state)

    def fits(self, file: int) -> bool:
        """Does this file have, at its beginning and before the offset, what was read there?"""
        if os.fstat(file).st_size < self.offset:
            return False
        begin = max(self.offset - PROOF, 0)
        same = digest(os.pread(file, self.offset - begin, begin)) == self.proof
        return same and digest(os.pread(file, self.known, 0)) == self.head


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class NotWhole(Exception):
    """A compressed file that cannot be unpacked to its end."""


def opened(path: Path) -> tuple[int, int]:
    """(a descriptor to read the log's own bytes from, the inode of `path`). A compressed file is unpacked into a temporary
    file without a name, of the same time. FileNotFoundError or NotWhole.
    """
    file = os.open(path, os.O_RDONLY)
    inode = os.fstat(file).st_ino
    if path.suffix != ENDING:
        return file, inode
    with os.fdopen(file, "rb") as packed, tempfile.TemporaryFile() as whole:
        try:
            with gzip.open(packed) as unpacked:
                shutil.copyfileobj(unpacked, whole, 1 << 20)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise NotWhole(f"{path}: {error}") from error
        whole.flush()
        os.utime(whole.fileno(), ns=(0, os.fstat(packed.fileno()).st_mtime_ns))
        return os.dup(whole.fileno()), inode


def fits(path: Path, position: Position) -> bool:
    """Was `path` the file in which `position` lies?"""
    try:
        file, _ = opened(path)
    except (OSError, NotWhole):
        return False
    try:
        return position.fits(file)
    finally:
        os.close(file)


def behind(path: Path, offset: int) -> bytes:
    """The first bytes of a file from `offset` on; none of one that is not there or cannot be unpacked."""
    try:
        file, _ = opened(path)
    except (OSError, NotWhole):
        return b""
    try:
        return os.pread(file, HEAD, offset)
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class Rotated:
    """A file that was the log, as it lay there when it was looked at."""

    path: Path
    inode: int
    written: int  # ns
    size: int

    @property
    def packed(self) -> bool:
        return self.path.suffix == ENDING


def rotated(log: Path) -> list[Rotated]:
    """LOG.1, LOG-20260101, LOG.2.gz, LOG-20260101.gz, oldest first by when they were written to last, which gzip keeps.

    A file that is there both ways is still being compressed: only the plain one counts.
    """
    found = {}
    for path in log.parent.iterdir():
        if path.name.startswith(log.name) and _ROTATED.fullmatch(path.name[len(log.name) :]):
            try:
                facts = path.stat()
            except FileNotFoundError:  # renamed or compressed meanwhile: it is there under its other name
                continue
            found[path.name] = Rotated(path, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    kept = [one for name, one in found.items() if not one.packed or name.removesuffix(ENDING) not in found]
    return sorted(kept, key=lambda one: (one.written, one.path.name))
