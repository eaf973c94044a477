"""Frames of any size -> stretches of a file that begin at multiples of a number of rows; their rows as Arrow or as a frame."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pandas as pd
import pyarrow as pa

from .cells import spelt
from .contents import stacked
from .values import Stretch


def of_frames(
    frames: Iterable[pd.DataFrame],
    columns: Collection[str] | None,
    *,
    rows: int,
    wanted: Callable[[int], bool],
    types: Mapping[str, Any] | None = None,
) -> Iterator[Stretch]:
    """What `Source.stretches` gives, for a source that reads everything in order. `frames` have their file's order."""
    start = 0
    for frame in recut(frames, rows):
        if wanted(start):
            kept = frame if columns is None else frame[[c for c in frame.columns if c in columns]]
            yield Stretch(start, len(frame), kept, frame, types or {})
        else:
            yield Stretch(start, len(frame))
        start += len(frame)


def recut(frames: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """The same rows in frames of exactly `rows` rows, the last one shorter."""
    held: list[pd.DataFrame] = []
    for frame in frames:
        held.append(frame)
        while sum(map(len, held)) >= rows:
            whole = stacked(held)
            yield whole.iloc[:rows]
            held = [whole.iloc[rows:]] if len(whole) > rows else []
    if held:
        yield stacked(held)


def as_arrow(stretch: Stretch) -> pa.Table:
    """The rows of a stretch. Cells that Arrow has no type for are written as text."""
    rows = stretch.table
    if isinstance(rows, pa.Table):
        return rows
    return table_of(rows, stretch.types)


def with_numbers(rows: pa.Table, cells: pd.DataFrame, names: Mapping[str, pa.DataType]) -> pa.Table:
    """Text `rows` for a format that has numbers: the columns of `names` in their type, where `cells` holds only numbers.

    A column in which that type would change a number stays text.
    """
    for name, kind in names.items():
        if name in rows.column_names and getattr(cells[name].dtype, "kind", "O") in "iuf":
            with suppress(pa.ArrowInvalid):
                numbers = pa.array(cells[name], from_pandas=True).cast(kind)
                rows = rows.set_column(rows.column_names.index(name), name, numbers)
    return rows


def table_of(rows: pd.DataFrame, types: Mapping[str, Any]) -> pa.Table:
    """A frame without its index."""
    arrays = [_array(rows.iloc[:, at], types.get(name)) for at, name in enumerate(rows.columns)]
    return pa.table(arrays, names=[str(name) for name in rows.columns])


def as_frame(stretch: Stretch) -> pd.DataFrame:
    """The rows of a stretch, whole numbers and truth values beside gaps as they are."""
    rows = stretch.table
    found: pd.DataFrame = rows.to_pandas(types_mapper=_EXACT.get) if isinstance(rows, pa.Table) else rows
    return found


_EXACT = {
    **{kind: pd.ArrowDtype(kind) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{kind: pd.ArrowDtype(kind) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.bool_())},
}


def _array(cells: pd.Series, kind: Any) -> Any:
    try:
        if kind is not None and not pa.types.is_string(kind) and cells.dtype == object:
            return pa.array([None if v is None or v != v else v for v in cells], kind)
        if kind is None or not pa.types.is_string(kind):
            return pa.array(cells, type=kind, from_pandas=True)
    except (pa.ArrowException, OverflowError):
        pass
    absent = cells.isna()
    return pa.array([None if gone else spelt(v) for v, gone in zip(cells, absent, strict=True)], pa.string())
