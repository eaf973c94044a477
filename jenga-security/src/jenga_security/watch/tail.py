"""Whole lines of a file that grows, is renamed and made anew (rotation), or is copied and emptied (copytruncate)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BLOCK = 1 << 18  # bytes read at a time: what waits longer than that is caught up with in pieces
PROOF = 256  # bytes before a position that tell whether a file is still the one that was read
LONGEST = 16 << 20  # bytes of a line; more without an end is given as one
_ROTATED = re.compile(r"[.-]\d[\dT.:_-]*")


@dataclass(frozen=True, slots=True)
class Position:
    """The beginning of a line: everything before `offset` has been read. `proof`: sha256 of the bytes just before it."""

    inode: int
    offset: int
    proof: str

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Position:
        return cls(int(state["inode"]), int(state["offset"]), str(state["proof"]))

    def fits(self, file: int) -> bool:
        """Does this file have, before the offset, what was read there?"""
        if os.fstat(file).st_size < self.offset:
            return False
        begin = max(self.offset - PROOF, 0)
        return digest(os.pread(file, self.offset - begin, begin)) == self.proof


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Tail:
    """Lines of the log at `path`, from `position` on, or from its beginning, or (`end`) from where it ends now.

    `read` gives whole lines only; a line that is still being written is given when its end is there, or when the file has
    been rotated away and nothing can follow. A log that was renamed is read to its end before the new one is begun, and
    that is when the new one has its first byte: a writer that has moved on does not come back. After copytruncate the rest
    is read from the copy. `lost` counts the times when neither the file nor a copy was found again.
    """

    def __init__(self, path: Path, position: Position | None = None, *, end: bool = False) -> None:
        self.path, self.lost = Path(path), 0
        self._file: int | None = None
        self._offset, self._left, self._before = 0, b"", b""
        if position is not None:
            self._resume(position)
        elif self._open(self.path, 0) and end:
            self._to_end()

    @property
    def position(self) -> Position | None:
        """After the last line that `read` gave; None before there is a file."""
        if self._file is None:
            return None
        return Position(os.fstat(self._file).st_ino, self._offset, digest(self._before))

    def read(self, most: int) -> list[bytes]:
        """The next lines without their ends, at most `most`; an empty list when there are none now."""
        if self._file is None and not self._open(self.path, 0):
            return []
        if self._torn():
            self._recover()
        successor = self._successor()  # asked before the last read: what is written in between is not missed
        lines = self._lines(most)
        if lines or successor is None:
            return lines
        if rest := self._rest():
            return rest  # nothing can follow it
        self._open(successor, 0)
        return self.read(most)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ------------------------------------------------------------------ one file

    def _open(self, path: Path, offset: int) -> bool:
        self.close()
        try:
            self._file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        self._offset, self._left = offset, b""
        begin = max(offset - PROOF, 0)
        self._before = os.pread(self._file, offset - begin, begin)
        return True

    def _to_end(self) -> None:
        """Behind the last whole line."""
        assert self._file is not None
        size = os.fstat(self._file).st_size
        while size > 0:
            begin = max(size - BLOCK, 0)
            found = os.pread(self._file, size - begin, begin).rfind(b"\n")
            if found >= 0:
                size = begin + found + 1
                break
            size = begin
        self._open(self.path, size)

    def _lines(self, most: int) -> list[bytes]:
        assert self._file is not None
        data = os.pread(self._file, BLOCK, self._offset + len(self._left))
        whole, newline, left = data.rpartition(b"\n")
        if not newline:
            self._left += data
            return self._rest() if len(self._left) > LONGEST else []
        lines = (self._left + whole).split(b"\n", most)
        self._left = left if len(lines) <= most else b""  # what was read and not given is read again
        given = lines[:most]
        self._passed(b"\n".join(given) + newline)
        return given

    def _rest(self) -> list[bytes]:
        """What is left behind the last line's end, as a line."""
        rest, self._left = self._left, b""
        self._passed(rest)
        return [rest] if rest else []

    def _passed(self, data: bytes) -> None:
        self._offset += len(data)
        self._before = (self._before + data)[-PROOF:]

    def _torn(self) -> bool:
        """Was the file emptied, or emptied and filled again, since the last read?"""
        assert self._file is not None
        begin = self._offset - len(self._before)
        seen = self._before + self._left
        return os.pread(self._file, len(seen), begin) != seen

    def _successor(self) -> Path | None:
        """The log that came after the one that is open, once it has begun; None while this one is the log."""
        assert self._file is not None
        own = os.fstat(self._file).st_ino
        with suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == own:
                return None
        rotated = self._rotated()
        at = next((n for n, path in enumerate(rotated) if path.stat().st_ino == own), len(rotated))
        later = [path for path in [*rotated[at + 1 :], self.path] if path.exists() and path.stat().st_size]
        return later[0] if later else None

    # ------------------------------------------------------------------ rotated files

    def _recover(self) -> None:
        """The file was emptied: its rest is in the copy that was made before."""
        position = self.position
        assert position is not None
        self._begin(position, copies=True)

    def _resume(self, position: Position) -> None:
        """Where an earlier process stopped: the log itself, or the file that it has become meanwhile."""
        if self._open(self.path, 0):
            assert self._file is not None
            if os.fstat(self._file).st_ino == position.inode and position.fits(self._file):
                self._open(self.path, position.offset)
                return
        self._begin(position, copies=False)

    def _begin(self, position: Position, copies: bool) -> None:
        """Read on in the rotated file that holds `position`; the log and those in between are its successors."""
        fitting = [path for path in self._rotated() if _fits(path, position)]
        renamed = [path for path in fitting if path.stat().st_ino == position.inode and not copies]
        found = (renamed or (fitting if position.offset else []))[-1:]  # at the beginning every file fits
        self.lost += not found
        self._open(*((found[0], position.offset) if found else (self.path, 0)))

    def _rotated(self) -> list[Path]:
        """Files that were the log, oldest first: LOG.1, LOG-20260101; not the compressed ones."""
        size = len(self.path.name)
        named = (p for p in self.path.parent.iterdir() if p.name.startswith(self.path.name))
        found = [p for p in named if _ROTATED.fullmatch(p.name[size:]) and p.is_file()]
        return sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.name))


def _fits(path: Path, position: Position) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return position.fits(file)
    finally:
        os.close(file)
