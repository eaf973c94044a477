"""Predicted rows -> a file: written beside its place and renamed when whole, so that a failure leaves no part of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Frames = Iterable["pd.DataFrame"]


def write_frames(frames: Frames, path: Path | None) -> int:
    """Write all frames, format by ending; CSV to stdout when `path` is None. Returns the number of rows."""
    if path is None:
        return _csv(frames, sys.stdout.buffer)
    write = _writer(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            rows = write(frames, file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


def check_ending(path: Path | None) -> None:
    """Raise `UserError` before the work begins when rows cannot be written to a file of this ending."""
    if path is not None:
        _writer(path)


def _writer(path: Path) -> Callable[[Frames, IO[bytes]], int]:
    if path.suffix.lower() not in WRITERS:
        raise UserError("rows cannot be written to this ending", where=str(path), allowed=sorted(WRITERS))
    return WRITERS[path.suffix.lower()]


def _csv(frames: Frames, file: IO[bytes]) -> int:
    rows = 0
    for frame in frames:
        file.write(frame.to_csv(index=False, header=rows == 0, lineterminator="\n").encode())
        rows += len(frame)
    return rows


def _jsonl(frames: Frames, file: IO[bytes]) -> int:
    rows = 0
    for frame in frames:
        text = frame.to_json(orient="records", lines=True, force_ascii=False, date_format="iso", double_precision=15)
        file.write(text.encode())
        rows += len(frame)
    return rows


def _parquet(frames: Frames, file: IO[bytes]) -> int:
    """All at once: a column's type is known only when the last rows are."""
    import pandas as pd

    whole = pd.concat(list(frames), ignore_index=True)
    whole.to_parquet(file, index=False)
    return len(whole)


WRITERS: dict[str, Callable[[Frames, IO[bytes]], int]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
    ".pq": _parquet,
}
