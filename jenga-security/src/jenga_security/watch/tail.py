"""Whole lines of a file that grows, is renamed and made anew (rotation), or is copied and emptied (copytruncate)."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from .archive import ENDING, HEAD, PROOF, NotWhole, Position, Rotated, behind, digest, fits, opened, rotated

BLOCK = 1 << 18  # bytes read at a time: what waits longer than that is caught up with in pieces
STEP = 10_000_000  # ns by which the clock of a file system may lag behind
LONGEST = 16 << 20  # bytes of a line; more without an end is given as one


class Tail:
    """Lines of the log at `path`, from `position` on, or from its beginning, or (`end`) from where it ends now.

    `read` gives whole lines only; a line that is still being written is given when its end is there, or when the file has
    been rotated away and nothing can follow. A log that was renamed is read to its end before the new one is begun, and
    that is when the new one has its first byte: a writer that has moved on does not come back. After copytruncate the rest
    is read from the copy. Files that were compressed meanwhile are read as the plain ones; a file is known by its inode, one that
    was copied or compressed by what is in it. Where a file is gone, reading goes on in the oldest one that was rotated away after
    it. `lost` counts the times when neither the file nor a copy was found again, or was compressed and is not whole.
    """

    def __init__(self, path: Path, position: Position | None = None, *, end: bool = False) -> None:
        self.path, self.lost = Path(path), 0
        self._file: int | None = None
        self._inode, self._packed, self._written = 0, False, time.time_ns() - STEP
        self._offset, self._left, self._before, self._head = 0, b"", b"", b""
        self._broken: set[int] = set()  # inodes of files that could not be unpacked
        self._looked: dict[Rotated, bool] = {}  # is it the file that is open?
        if position is not None:
            self._resume(position)
        elif self._open(self.path, 0) and end:
            self._to_end()

    @property
    def position(self) -> Position:
        """After the last line that `read` gave; before there is a file, that of an empty one that was made now."""
        before, head = digest(self._before), digest(self._head)
        return Position(self._inode, self._offset, before, head, len(self._head), self._written)

    def read(self, most: int) -> list[bytes]:
        """The next lines without their ends, at most `most`; an empty list when there are none now."""
        if self._file is None and not self._open(self.path, 0):
            return []
        if self._torn():
            self._recover()
        later = self._later()  # asked before the last read: what is written in between is not missed
        if (lines := self._lines(most)) or not later:
            return lines
        if rest := self._rest():
            return rest  # nothing can follow it
        return self.read(most) if self._advance(later) else []

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ------------------------------------------------------------------ one file

    def _open(self, path: Path, offset: int) -> bool:
        try:
            file, inode = opened(path)
        except FileNotFoundError:
            return False
        self.close()
        self._file, self._inode, self._packed, self._looked = file, inode, path.suffix == ENDING, {}
        self._offset, self._left = offset, b""
        self._written = os.fstat(file).st_mtime_ns
        begin = max(offset - PROOF, 0)
        self._before, self._head = os.pread(self._file, offset - begin, begin), os.pread(self._file, HEAD, 0)
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
        written = os.fstat(self._file).st_mtime_ns  # before it is read: that of a copy that is made now is not older
        newline = b""
        while not newline:  # a line may be longer than a block
            data = os.pread(self._file, BLOCK, self._offset + len(self._left))
            whole, newline, left = data.rpartition(b"\n")
            if not newline:
                self._left += data
                if not data or len(self._left) > LONGEST:
                    return self._rest() if len(self._left) > LONGEST else []
        lines = (self._left + whole).split(b"\n", most)
        self._left = left if len(lines) <= most else b""  # what was read and not given is read again
        given, self._written = lines[:most], written
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
        if len(self._head) < HEAD:
            assert self._file is not None
            head = os.pread(self._file, HEAD, 0)
            self._head = head if head.startswith(self._head) else self._head  # else it was emptied just now

    def _torn(self) -> bool:
        """Was the file emptied, or emptied and filled again, since the last read?"""
        assert self._file is not None
        begin = self._offset - len(self._before)
        seen = self._before + self._left
        return os.pread(self._file, len(seen), begin) != seen

    # ------------------------------------------------------------------ what came after it

    def _later(self) -> list[Path]:
        """The logs after the one that is open that have begun, oldest first; none while this one is the log."""
        with suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._inode and not self._packed:
                return []
        later = [one.path for one in self._after(rotated(self.path)) if one.size and one.inode not in self._broken]
        with suppress(FileNotFoundError):
            later += [self.path] if os.stat(self.path).st_size else []
        return later

    def _after(self, found: list[Rotated]) -> list[Rotated]:
        """Of `found`, those after the open file: by its inode, else by what is in it (it was compressed), else by its time
        (it was deleted)."""
        own = [n for n, one in enumerate(found) if one.inode == self._inode]
        own = own[-1:] or [n for n, one in enumerate(found) if self._is_open(one)]
        if own:
            return found[own[0] + 1 :]
        assert self._file is not None
        return [one for one in found if one.written > os.fstat(self._file).st_mtime_ns]

    def _is_open(self, one: Rotated) -> bool:
        position = self.position
        if not position.known or one.written < position.written:
            return False  # an empty file looks like any other, and one of a header alone like those before it
        if one not in self._looked:
            self._looked[one] = fits(one.path, position)
        return self._looked[one]

    def _advance(self, later: list[Path]) -> bool:
        """Open the next of them; a file that cannot be unpacked is passed over and counted."""
        for path in later:
            try:
                return self._open(path, 0)
            except NotWhole:
                self.lost += 1
                self._broken |= {one.inode for one in rotated(self.path) if one.path == path}
        return False

    # ------------------------------------------------------------------ rotated files

    def _recover(self) -> None:
        """The file was emptied: its rest is in the copy that was made before."""
        self._begin(self.position, self._newer(self.position))

    def _resume(self, position: Position) -> None:
        """Where an earlier process stopped: the log itself, or the file that it has become meanwhile."""
        newer = self._newer(position)
        own = self._open(self.path, 0) and self._inode == position.inode and fits(self.path, position)
        # Inodes are used again, and headers are alike: it may be a later log that looks the same so far.
        if own and not any(self._is_before(one, position) for one in newer):
            self._open(self.path, position.offset)
        else:
            self._begin(position, newer)

    def _is_before(self, one: Rotated, position: Position) -> bool:
        """Does a file hold `position` as the log does, and is no copy of it: does it go on otherwise?"""
        rest = behind(self.path, position.offset)
        return fits(one.path, position) and not rest.startswith(behind(one.path, position.offset))

    def _newer(self, position: Position) -> list[Rotated]:
        """What may hold `position` or have come after it, oldest first."""
        tied = bool(position.known)  # with the file before it, an empty one may share the time
        found = rotated(self.path)
        return [
            one
            for one in found
            if one.written > position.written
            or (one.written == position.written and (tied or one.inode == position.inode))
        ]

    def _begin(self, position: Position, newer: list[Rotated]) -> None:
        """Read on in the oldest of `newer` that holds `position`; else what was there is lost, and the next one is begun."""
        for one in newer:
            if fits(one.path, position) and self._open(one.path, position.offset):
                return
        before, later = self.lost, [one.path for one in newer if one.size]
        if not self._advance([*later, self.path]):
            self.close()
        if self.lost == before and position.inode:  # it is not among the broken ones, and there was one
            self.lost += 1
