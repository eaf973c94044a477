"""Frames of any size -> stretches of a file that begin at multiples of a number of rows, with the rows as Arrow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from .values import Stretch


def of_frames(
    frames: Iterable[pd.DataFrame], columns: Collection[str], *, rows: int, wanted: Callable[[int], bool]
) -> Iterator[Stretch]:
    """What `Source.stretches` gives, for a source that reads everything in order. `frames` have their file's order."""
    start = 0
    for frame in recut(frames, rows):
        if wanted(start):
            kept = frame[[c for c in frame.columns if c in columns]]
            yield Stretch(start, len(frame), kept, as_arrow(frame))
        else:
            yield Stretch(start, len(frame))
        start += len(frame)


def recut(frames: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of exactly `rows` rows, the last one shorter."""
    held: list[pd.DataFrame] = []
    for frame in frames:
        held.append(frame)
        while sum(map(len, held)) >= rows:
            whole = held[0] if len(held) == 1 else pd.concat(held)
            yield whole.iloc[:rows]
            held = [whole.iloc[rows:]] if len(whole) > rows else []
    if held:
        yield held[0] if len(held) == 1 else pd.concat(held)


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    """A frame without its index. Cells that Arrow has no type for are written as text."""
    arrays = [_array(frame.iloc[:, at]) for at in range(frame.shape[1])]
    return pa.table(arrays, names=[str(name) for name in frame.columns])


def _array(cells: pd.Series) -> Any:
    try:
        return pa.array(cells, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        absent = cells.isna()
        return pa.array([None if gone else str(v) for v, gone in zip(cells, absent, strict=True)], pa.string())
