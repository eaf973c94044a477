"""Parquet, read in batches, only the columns that are used.

Types are the file's own: integers without missing cells keep theirs (unsigned ones beyond int64 and those with missing
cells follow `cells`), floats theirs, decimals without fraction are integers, with fraction float64, strings and
dictionaries of strings are str, dates and timestamps datetime64, booleans bool (object with None where missing), binary
bytes, lists and structs Python objects. An unnamed index that pandas wrote is left out; a named one is a column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ..cells import Kind, Seen, frame, integer_kind, integers, objects
from ..contracts import Source
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
            whole = {n: _seen(file, n) for n in kept if _counts(file.schema_arrow.field(n).type)}
            for batch in file.iter_batches(batch_size=batch_rows, columns=kept):
                cells = {n: _column(batch.column(n), whole.get(n)) for n in kept}
                yield frame(cells, start, batch.num_rows)
                start += batch.num_rows


@contextmanager
def _opened(path: Any) -> Iterator[parquet.ParquetFile]:
    try:
        with parquet.ParquetFile(path) as file:
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
    """Missing cells and largest integer of a column. One pass over this column alone, a row group at a time."""
    missing, largest = False, 0
    boolean = pa.types.is_boolean(file.schema_arrow.field(name).type)
    for batch in file.iter_batches(columns=[name]):
        values = batch.column(0)
        missing = missing or values.null_count > 0
        if not boolean and values.null_count < len(values):
            ends = pc.min_max(values).as_py()
            largest = max(largest, abs(int(ends["min"])), abs(int(ends["max"])))
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
