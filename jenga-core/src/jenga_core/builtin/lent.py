"""What Arrow's threads hold of Python while they read a file, and how to wait until they have given it back.

A thread of Arrow's that drops a Python object, a block that it has parsed say, while the interpreter ends aborts the process.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Generator
from typing import Any, TypeVar

from ..textfiles import BlockFile

PATIENCE = 5.0  # seconds waited at most: one block may still come from a slow disk

T = TypeVar("T")


class Lent:
    """Counts the objects that were lent and are still held by anyone."""

    def __init__(self) -> None:
        self._held, self._lock = 0, threading.RLock()

    def __call__(self, thing: T) -> T:
        self._add(1)
        weakref.finalize(thing, self._add, -1).atexit = False
        return thing

    def _add(self, count: int) -> None:
        with self._lock:
            self._held += count

    def wait(self) -> None:
        """Until all are given back, which takes well under a millisecond unless a block is being read."""
        end = time.monotonic() + PATIENCE
        while self._held and time.monotonic() < end:
            time.sleep(0.0001)


class LentFile(BlockFile):
    """A `BlockFile` that is lent, as is each block that is read from it."""

    def __init__(self, blocks: Generator[bytes], lent: Lent) -> None:
        super().__init__(blocks)
        self._lent = lent
        lent(self)

    def read(self, size: int = -1, /) -> Any:
        """`size` bytes unless the file ends: Arrow takes what it is given for a block, and no row may lie over more than two."""
        block = _Block(super().read(size) or b"")
        while len(block) < size and (more := super().read(size - len(block))):
            block += more
        return self._lent(block)


class _Block(bytearray):
    """Bytes that a weak reference can point to."""
