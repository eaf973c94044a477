"""Predicted rows -> a file: written beside its place and renamed when whole, so that a failure leaves no part of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from math import isinf
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..cells import Written
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
    """Cells that are lists or objects, such as entities, are written as JSON."""
    rows = 0
    for frame in frames:
        flat = frame.apply(lambda column: column.map(_flat) if column.map(_is_nested).any() else column)
        file.write(flat.to_csv(index=False, header=rows == 0, lineterminator="\n").encode())
        rows += len(frame)
    return rows


def _is_nested(cell: Any) -> bool:
    return isinstance(cell, list | dict) or getattr(cell, "ndim", 0) > 0


def _flat(cell: Any) -> Any:
    return json.dumps(cell, ensure_ascii=False, default=_as_json) if _is_nested(cell) else cell


def _jsonl(frames: Frames, file: IO[bytes]) -> int:
    """By the json module: pandas' own writer rounds floats, cuts nanoseconds and fails on bytes and long integers."""
    rows = 0
    for frame in frames:
        names = [str(name) for name in frame.columns]
        for row in zip(*(_json_cells(frame[name]) for name in frame.columns), strict=True):
            file.write(_object(dict(zip(names, row, strict=True))).encode() + b"\n")
        rows += len(frame)
    return rows


def _object(row: dict[str, Any]) -> str:
    """Numbers that their file spells in its own way are spelt so again."""
    own = {name: value.text for name, value in row.items() if isinstance(value, Written)}
    if not own:
        return json.dumps(row, ensure_ascii=False, default=_as_json)
    cells = (f"{_object_cell(n)}: {own.get(n) or _object_cell(v)}" for n, v in row.items())
    return "{" + ", ".join(cells) + "}"


def _object_cell(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_as_json)


def _json_cells(column: pd.Series) -> list[Any]:
    """Cells as JSON can say them: missing ones are null; infinite ones, for which it has no number, text."""
    cells = column.astype(object).where(column.notna(), None).tolist()
    if any(isinstance(cell, float) and isinf(cell) for cell in cells):
        return [str(cell) if isinstance(cell, float) and isinf(cell) else cell for cell in cells]
    return cells


def _as_json(value: Any) -> Any:
    """What the json module does not know: arrays in cells, times, bytes."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _parquet(frames: Frames, file: IO[bytes]) -> int:
    """All at once: a column's type is known only when the last rows are. What has no type there is written as text."""
    import pandas as pd

    whole = pd.concat(list(frames), ignore_index=True)
    for name in whole.columns:
        if whole[name].dtype == object and not _fits_arrow(whole[name]):
            whole[name] = pd.Series([None if c is None else str(c) for c in _json_cells(whole[name])], dtype="str")
    whole.to_parquet(file, index=False)
    return len(whole)


def _fits_arrow(column: pd.Series) -> bool:
    import pyarrow as pa

    try:
        pa.array(column, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return False
    return True


WRITERS: dict[str, Callable[[Frames, IO[bytes]], int]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
    ".pq": _parquet,
}
