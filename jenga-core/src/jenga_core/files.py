"""Writing that survives a crash. Every byte that a run must not lose goes through `publish`.

Order: write to a temporary name, flush to disk, rename over the final name, flush the folder. A reader therefore sees the
old file or the new one, never half of one. Errors of the file system (full disk, no permission) are raised, never hidden.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def publish(path: Path, data: bytes | memoryview) -> str:
    """Atomically replace `path` by `data`; returns the sha256 of `data`. A failure leaves the old file as it was."""
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = beside(path)
        try:
            _write(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, data)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush(path.parent)
    return hashlib.sha256(data).hexdigest()


def append(path: Path, data: bytes) -> None:
    """Add `data` to a file, which is made when it is not there. Not flushed to the disk: a line of a log is no state."""
    with naming(path):
        _write(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, data, flush=False)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the file system bear the name of `path`: a full disk does not say which file it was."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def is_leftover(path: Path) -> bool:
    """What was being written when a process was killed, or the lock (`locks`) of one that is or was here."""
    return path.name.startswith(".") and path.name.endswith((".tmp", ".lock"))


def beside(path: Path) -> Path:
    """A hidden name in the same folder for what is to become `path`, another one in every process."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def publish_file(temporary: Path, path: Path) -> None:
    """As `publish`, for what was written to `temporary` because memory could not hold it."""
    _flush(temporary)
    os.replace(temporary, path)
    _flush(path.parent)


def publish_first(path: Path, data: bytes) -> bool:
    """`publish` unless there is such a file; then False, and the file stays. Of several processes one succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        temporary.write_bytes(data)
        _flush(temporary)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    _flush(path.parent)
    return True


def publish_json(path: Path, value: Mapping[str, Any]) -> str:
    """`publish` as JSON, keys in their order; NaN and infinity are refused, since they are not JSON."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    return publish(path, (text + "\n").encode())


def _write(path: Path, flags: int, data: bytes | memoryview, *, flush: bool = True) -> None:
    descriptor = os.open(path, flags, 0o644)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    """A file's or a folder's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
