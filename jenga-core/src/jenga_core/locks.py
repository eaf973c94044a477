"""One process at a time: a lock that ends with its holder.

The lock is the kernel's (flock) on a hidden file that the holder keeps open. It is gone with the process, however that ends, so
a file that a killed one left blocks nobody, torn or not. What the file says decides nothing: it tells whoever is refused who
holds the lock. The holder removes the file when it lets go.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from .errors import UserError
from .files import naming

NAME = (
    ".jenga.lock"  # of a folder; hidden, in no manifest and not counted among what a folder holds (files.is_leftover)
)
_PATIENCE = (
    0.0,
    0.05,
    0.1,
    0.2,
    0.4,
)  # seconds before each try: whoever asks whether a lock is free has it for a moment
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # some network file systems
_COMMAND = 300  # characters of a command that are told


@contextmanager
def held(path: Path, *, where: Path, next: str) -> Iterator[None]:
    """Hold the lock `path` within the block; folders on the way are made, and go again if nothing else is in them.

    Raises UserError that names `where`, the holder and what to do `next` while another process holds it, or another block
    of this one. On a file system without locks the block runs all the same, with a warning.
    """
    made = _made(path.parent)
    try:
        file = _take(path, _PATIENCE)
        if file is None:
            raise refusal(_holder(path), where=where, next=next)
        with file:
            _sign(file)
            try:
                yield
            finally:
                _remove(file, path)
    finally:
        for folder in made:
            with suppress(OSError):  # something is in it by now
                folder.rmdir()


def busy(path: Path) -> str | None:
    """Who holds the lock `path`, or None when nobody does; then what a killed process left of it is removed."""
    file = _take(path, _PATIENCE[:1])
    if file is None:
        return _holder(path)
    with file:
        _remove(file, path)
    return None


def refusal(holder: str, *, where: Path, next: str) -> UserError:
    """What whoever is not let in is told."""
    return UserError(f"another process is at work here: {holder}", where=str(where), next=next)


def _made(folder: Path) -> list[Path]:
    """Make `folder`; returns what was not there before, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _take(path: Path, patience: Sequence[float]) -> BinaryIO | None:
    """The file, open and locked; None when every try found it locked. A link is not followed, since the file is written."""
    for seconds in patience:
        time.sleep(seconds)
        with naming(path):
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                file.close()
                raise
            warnings.warn(
                f"{path.parent}: this file system has no locks ({error.strerror}): nothing keeps a second process out",
                stacklevel=2,
            )
            return file
        if _is(file, path):
            return file
        file.close()  # its holder removed it between the two calls
    return None


def _is(file: BinaryIO, path: Path) -> bool:
    """Whether `path` still names the open `file`: a lock on a file that is gone keeps nobody out."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sign(file: BinaryIO) -> None:
    """Say who holds it. A full disk takes nothing from the lock."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:_COMMAND]
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    facts = {"host": socket.gethostname(), "pid": os.getpid(), "command": command, "since": since}
    with suppress(OSError):
        file.truncate(0)
        file.write(json.dumps(facts).encode())
        file.flush()


def _holder(path: Path) -> str:
    """As the file says it, without what a terminal could obey; the file may be empty, torn or gone by now."""
    try:
        facts = json.loads(path.read_bytes())
        text = f"pid {facts['pid']} on {facts['host']} since {facts['since']} ({facts['command']})"
    except (OSError, ValueError, TypeError, KeyError):
        return f"{path.name} does not say which"
    return "".join(c if c.isprintable() else "?" for c in text)


def _remove(file: BinaryIO, path: Path) -> None:
    """While it is still locked, so that nobody else's is removed."""
    if _is(file, path):
        path.unlink(missing_ok=True)
