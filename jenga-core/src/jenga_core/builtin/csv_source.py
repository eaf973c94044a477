"""CSV and TSV. Cells stay text, as `CsvFile` reads it; the types of columns are found elsewhere (see `column_types`).

`tables` types one file by itself, in two passes: the first finds every defect and the type of every column, so that no two chunks
differ and nothing is given of a file that turns out to be broken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..cells import Seen, column, frame, look
from ..contracts import Live, Source, Stretch
from ..values import MARKS, Numerals
from .csv_file import CsvFile, regrouped
from .live import LiveCsv
from .source_config import CsvConfig


class CsvSource(Source):
    """Rows of a CSV file. See `CsvFile` for the grammar and `CsvConfig` for the options."""

    def __init__(self, config: CsvConfig) -> None:
        given = config.na_values
        self.config = config
        self.numerals = Numerals(MARKS if given is None else (), config.decimal, config.thousands)
        self.absent = ("", *MARKS) if given is None else ("", *given)  # among numbers
        self.blank = ("",) if given is None else ("", *given)  # in text, where "NA" may be Namibia
        self._said: list[str] = []

    def columns(self, path: Any) -> list[str]:
        return CsvFile(path, self.config).names()

    def notes(self) -> list[str]:
        return self._said

    def live(self, name: str) -> Live:
        """A row is one line here: no cell holds a line end."""
        return LiveCsv(self.config, self.blank, name)

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self.tables_of(path, None, batch_rows=batch_rows)

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """As `tables`, with `columns` only. Every row is checked, but no cell of another column is converted."""
        file = CsvFile(path, self.config)
        names = file.names()
        kept = [n for n in names if columns is None or n in columns]
        types = self._scan(file, names, kept)
        start = 0
        for batch in regrouped(file.batches(names, kept or names[-1:]), batch_rows):
            cells = {n: column(_whole(batch[n]), types[n], self.absent, self.blank) for n in kept}
            yield frame(cells, start, batch.num_rows)
            start += batch.num_rows

    def _scan(self, file: CsvFile, names: list[str], kept: list[str]) -> dict[str, Seen]:
        seen, rows, probe = dict.fromkeys(kept, Seen()), 0, kept or names[-1:]
        for batch in file.batches(names, probe):
            if batch.num_rows:
                for name in kept:
                    seen[name] = look(batch.column(name), seen[name], self.absent)
            rows += batch.num_rows
        if rows == 0:
            file.refuse_empty()
        return {name: found.settled() for name, found in seen.items()}

    def written(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """Text, exactly as the file has it, in one pass; missing where a cell is empty or one of `na_values`."""
        file = CsvFile(path, self.config)
        names = file.names()
        kept = [n for n in names if columns is None or n in columns]
        for start, table in self._tables(file, names, kept or names[-1:], batch_rows):
            yield self._cells(table, kept, start)

    def untyped(self, columns: Collection[str]) -> Collection[str]:
        return columns

    def stretches(
        self, path: Any, columns: Collection[str] | None, *, rows: int, wanted: Callable[[int], bool]
    ) -> Iterator[Stretch]:
        file = CsvFile(path, self.config)
        names = file.names()
        kept = [n for n in names if columns is None or n in columns]
        for start, table in self._tables(file, names, names, rows):
            if wanted(start):
                cells = self._cells(table, kept, start)
                yield Stretch(start, table.num_rows, cells, _blank_as_null(table), text=True)
            else:
                yield Stretch(start, table.num_rows)

    def _tables(self, file: CsvFile, names: list[str], kept: list[str], rows: int) -> Iterator[tuple[int, pa.Table]]:
        """(first row, cells as text) of tables of exactly `rows` rows, the last one shorter."""
        start, odd = 0, _Odd(file.quote is None and self.config.quote == "auto")
        for table in regrouped(file.batches(names, kept), rows):
            odd.look(table, start)
            yield start, table
            start += table.num_rows
        if start == 0:
            file.refuse_empty()
        self._said = odd.notes()

    def _cells(self, table: pa.Table, kept: list[str], start: int) -> pd.DataFrame:
        cells = {n: _without(_whole(table[n]), self.blank).to_pandas() for n in kept}
        return frame(cells, start, table.num_rows)


class _Odd:
    """Cells that are sound and yet most often not meant: line ends in them, and quotes around them that mean nothing."""

    def __init__(self, quotes_mean_nothing: bool) -> None:
        self.unquoted = quotes_mean_nothing
        self.quoted, self.broken, self.most, self.place = 0, 0, 0, ""

    def look(self, table: pa.Table, start: int) -> None:
        for name, cells in zip(table.column_names, table.columns, strict=True):
            if self.unquoted:
                self.quoted += pc.sum(pc.match_substring_regex(cells, '^".*"$')).as_py() or 0
                continue
            ends = pc.count_substring(cells, "\n")
            most = pc.max(ends).as_py() or 0
            if most:
                self.broken += pc.sum(pc.greater(ends, 0)).as_py()
            if most > self.most:
                self.most, self.place = most, f"row {start + pc.index(ends, most).as_py() + 1}, column {name!r}"

    def notes(self) -> list[str]:
        """Notes of a table."""
        found = []
        if self.quoted:
            found.append(f"{self.quoted:,} cell{'s' * (self.quoted > 1)} stand in quotes, which mean nothing in this format and "
                         "are part of the text; to take them off: source: {kind: core/csv, quote: '\"'}")  # fmt: skip
        if self.broken == 1:
            found.append(f"1 cell holds {self.most} line end{'s' * (self.most > 1)} ({self.place})")
        if self.broken > 1:
            found.append(f"{self.broken:,} cells hold line ends, up to {self.most} ({self.place})")
        return found


def _blank_as_null(table: pa.Table) -> pa.Table:
    """Every cell as the file has it; an empty one, which no other format can tell from a missing one, is missing."""
    arrays = [pa.chunked_array([_without(_whole(cells), ("",))]) for cells in table.columns]
    return pa.table(arrays, names=table.column_names)


def _without(cells: pa.Array, words: Sequence[str]) -> pa.Array:
    return pc.if_else(pc.is_in(cells, pa.array(words, cells.type)), pa.scalar(None, cells.type), cells)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
