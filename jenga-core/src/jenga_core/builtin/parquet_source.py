"""Parquet, read in batches, only the columns that are used.

Types are the file's own: integers without missing cells keep theirs (unsigned ones beyond int64 and those with missing
cells follow `cells`), floats theirs, decimals without fraction are integers, with fraction float64, strings and
dictionaries of strings are str, dates and timestamps datetime64, booleans bool (object with None where missing), binary
bytes, lists and structs Python objects. An unnamed index that pandas wrote is left out; a named one is a column.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import accumulate, groupby
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ..cells import Kind, Seen, frame, integer_kind, integers, objects
from ..contracts import Source, Stretch
from ..errors import DataError
from ..textfiles import missing_file, shown
from .source_config import ParquetConfig


class ParquetSource(Source):
    """Rows of a Parquet file."""

    def __init__(self, config: ParquetConfig) -> None:
        self.config = config

    def columns(self, path: Any) -> list[str]:
        with _opened(path) as file:
            return _names(path, file)

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self.tables_of(path, None, batch_rows=batch_rows)

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """As `tables`, with `columns` only; the others are not read from the disk."""
        start = 0
        with _opened(path) as file:
            kept = [n for n in _names(path, file) if columns is None or n in columns]
            if file.metadata.num_rows == 0:
                raise DataError("the file has columns and no rows", where=shown(path))
            whole = _whole(file, kept)
            for batch in file.iter_batches(batch_size=batch_rows, columns=kept):
                cells = {n: _column(batch.column(n), whole.get(n)) for n in kept}
                yield frame(cells, start, batch.num_rows)
                start += batch.num_rows

    def stretches(
        self, path: Any, columns: Collection[str] | None, *, rows: int, wanted: Callable[[int], bool]
    ) -> Iterator[Stretch]:
        """Row groups without a wanted row are not read; what is written again has the file's own types."""
        with _opened(path) as file:
            names = _names(path, file)
            kept = [n for n in names if columns is None or n in columns]
            total = file.metadata.num_rows
            whole = _whole(file, kept)
            for begin, end, read in _spans(total, rows, wanted):
                tables = _cut(file, names, begin, end, rows) if read else ()
                for start, table in zip(range(begin, end, rows), tables, strict=False):
                    cells = {n: _column(_one(table.column(n)), whole.get(n)) for n in kept}
                    yield Stretch(start, table.num_rows, frame(cells, start, table.num_rows), table)
                if not read:
                    yield Stretch(begin, end - begin)


def _spans(total: int, rows: int, wanted: Callable[[int], bool]) -> Iterator[tuple[int, int, bool]]:
    """(begin, end, wanted) of neighbouring stretches that are all wanted or all not."""
    for read, starts in groupby(range(0, total, rows), wanted):
        found = list(starts)
        yield found[0], min(found[-1] + rows, total), read


def _cut(file: parquet.ParquetFile, names: list[str], begin: int, end: int, rows: int) -> Iterator[pa.Table]:
    """Rows `begin` to `end` in tables of `rows` rows, whatever the row groups are; memory for two of them."""
    sizes = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
    ends = list(accumulate(sizes))
    groups = [g for g, last in enumerate(ends) if last > begin and last - sizes[g] < end]
    at = ends[groups[0]] - sizes[groups[0]]
    held: list[pa.Table] = []
    for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=names):
        held.append(pa.Table.from_batches([batch]).slice(max(begin - at, 0), max(end - max(at, begin), 0)))
        at += batch.num_rows
        while sum(t.num_rows for t in held) >= rows:
            table = pa.concat_tables(held)
            yield table.slice(0, rows)
            held = [table.slice(rows)]
    if sum(t.num_rows for t in held):
        yield pa.concat_tables(held)


def _one(cells: pa.ChunkedArray) -> pa.Array:
    return cells.chunk(0) if cells.num_chunks == 1 else cells.combine_chunks()


def _whole(file: parquet.ParquetFile, names: list[str]) -> dict[str, Seen]:
    """What must be known of all values of a column before the first ones are given."""
    return {n: _seen(file, n) for n in names if _counts(file.schema_arrow.field(n).type)}


@contextmanager
def _opened(path: Any) -> Iterator[parquet.ParquetFile]:
    try:
        # Buffered ahead, a file would be kept in memory as it is read.
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except FileNotFoundError:
        raise missing_file(path) from None
    except PermissionError:
        raise DataError("no permission to read the file", where=shown(path)) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(f"not a sound Parquet file: {str(error).splitlines()[0]}", where=shown(path)) from None


def _names(path: Any, file: parquet.ParquetFile) -> list[str]:
    names = [n for n in file.schema_arrow.names if not (n.startswith("__index_level_") and n.endswith("__"))]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(f"the columns {', '.join(map(repr, twice[:5]))} are there twice", where=shown(path))
    return names


def _counts(kind: pa.DataType) -> bool:
    """Is the pandas type of the column a matter of all its values?"""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_boolean(kind) or (types.is_decimal(kind) and kind.scale <= 0))


def _seen(file: parquet.ParquetFile, name: str) -> Seen:
    """Missing cells and largest integer of a column: from the file's statistics, else by one pass over this column."""
    known = _stated(file, name)
    if known is not None:
        return known
    missing, largest = False, 0
    boolean = pa.types.is_boolean(file.schema_arrow.field(name).type)
    for batch in file.iter_batches(columns=[name]):
        values = batch.column(0)
        missing = missing or values.null_count > 0
        if not boolean and values.null_count < len(values):
            ends = pc.min_max(values).as_py()
            largest = max(largest, abs(int(ends["min"])), abs(int(ends["max"])))
    return Seen(integer_kind(largest), missing, False, largest).settled()


def _stated(file: parquet.ParquetFile, name: str) -> Seen | None:
    """As `_seen`, where every row group has statistics of an integer column."""
    at = file.schema_arrow.names.index(name)
    if file.metadata.num_columns != len(file.schema_arrow.names) or not pa.types.is_integer(
        file.schema_arrow.field(at).type
    ):
        return None  # a nested column shifts the numbers of those behind it
    missing, largest = False, 0
    for group in range(file.metadata.num_row_groups):
        stated = file.metadata.row_group(group).column(at).statistics
        if stated is None or not stated.has_null_count or not (stated.has_min_max or stated.num_values == 0):
            return None
        missing = missing or stated.null_count > 0
        if stated.num_values:
            largest = max(largest, abs(int(stated.min)), abs(int(stated.max)))
    return Seen(integer_kind(largest), missing, False, largest).settled()


def _column(values: pa.Array, seen: Seen | None) -> Any:
    """A batch's column as what a DataFrame's column is made of."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _column(values.dictionary_decode(), seen)
    if pa.types.is_boolean(kind):
        return objects(values.to_pylist()) if seen and seen.missing else values.to_numpy(zero_copy_only=False)
    if seen is not None:
        return _whole_numbers(values, seen)
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    if pa.types.is_decimal(kind):
        return pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    if pa.types.is_date(kind):
        return pc.cast(values, pa.timestamp("ms")).to_pandas()
    if pa.types.is_time(kind):
        return pc.cast(values, pa.string()).to_pandas()
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return objects(values.to_pylist())
    return values.to_pandas()


def _whole_numbers(values: pa.Array, seen: Seen) -> Any:
    if seen.kind is Kind.INTEGER and not seen.missing and pa.types.is_integer(values.type):
        wide = pc.cast(values, pa.int64()) if values.type == pa.uint64() else values
        return wide.to_numpy(zero_copy_only=False)
    return integers([None if v is None else int(v) for v in values.to_pylist()], seen)
