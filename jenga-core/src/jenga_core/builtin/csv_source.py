"""CSV and TSV. Two passes: the first finds every defect and the type of every column, the second gives the rows.

So the type of a column is the same in every chunk, nothing is given of a file that turns out to be broken, and memory
stays flat. Grammar: RFC 4180; blank lines are skipped; a row must have as many cells as the header.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ..cells import MARKS, Seen, column, frame, look
from ..contracts import Live, Source, Stretch
from ..errors import DataError
from ..textfiles import ending, shown, utf8_blocks
from .lent import Lent, LentFile
from .live import LiveCsv
from .source_config import CsvConfig

BLOCK = 8 << 20  # bytes parsed at a time; no row may be longer
HEAD = 1 << 18
_ENCODING = "source: {{kind: core/csv, encoding: {encoding}}}"
_HEADERLESS = "source: {kind: core/csv, header: false, names: [...]}"


@dataclass(slots=True)
class _Reading:
    """What one pass notices beside the cells."""

    quotes: int = 0
    ragged: Any = None
    blocks: Iterator[bytes] = field(default_factory=lambda: iter(()))


class CsvSource(Source):
    """Rows of a CSV file. See `cells` for the types of columns and `CsvConfig` for the options."""

    untyped = True

    def __init__(self, config: CsvConfig) -> None:
        self.config = config
        self.marks = config.na_values is None
        given = config.na_values
        self.absent = ("", *MARKS) if given is None else ("", *given)  # among numbers
        self.blank = ("",) if given is None else ("", *given)  # in text, where "NA" may be Namibia

    def columns(self, path: Any) -> list[str]:
        return self._names(path)

    def live(self, name: str) -> Live:
        """A row is one line here: no cell holds a line end."""
        return LiveCsv(self.config, self.blank, self._delimiter(name))

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        return self.tables_of(path, None, batch_rows=batch_rows)

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """As `tables`, with `columns` only. Every row is checked, but no cell of another column is converted."""
        names = self._names(path)
        kept = [n for n in names if columns is None or n in columns]
        types = self._scan(path, names, kept)
        start = 0
        for batch in regrouped(self._batches(path, names, kept or names[-1:]), batch_rows):
            cells = {n: column(_whole(batch[n]), types[n], self.absent, self.blank) for n in kept}
            yield frame(cells, start, batch.num_rows)
            start += batch.num_rows

    def written(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """Text, exactly as the file has it, in one pass; missing where a cell is empty or one of `na_values`."""
        names = self._names(path)
        kept = [n for n in names if columns is None or n in columns]
        for start, table in self._tables(path, names, kept, batch_rows):
            yield self._cells(table, kept, start)

    def stretches(
        self, path: Any, columns: Collection[str] | None, *, rows: int, wanted: Callable[[int], bool]
    ) -> Iterator[Stretch]:
        names = self._names(path)
        kept = [n for n in names if columns is None or n in columns]
        for start, table in self._tables(path, names, names, rows):
            if wanted(start):
                cells = self._cells(table, kept, start)
                yield Stretch(start, table.num_rows, cells, _blank_as_null(table), text=True)
            else:
                yield Stretch(start, table.num_rows)

    def _tables(self, path: Any, names: list[str], kept: list[str], rows: int) -> Iterator[tuple[int, pa.Table]]:
        """(first row, cells as text) of tables of exactly `rows` rows, the last one shorter.

        A defect is found when it is reached; what a quote that is never closed has swallowed is not given.
        """
        probe = (
            kept if names[-1] in kept else [*kept, names[-1]]
        )  # an open quote swallows the rest into the last column
        reading, start, held = _Reading(), 0, None
        for table in regrouped(self._batches(path, names, probe, reading), rows):
            if held is not None:
                yield start - held.num_rows, held
            start, held = start + table.num_rows, table
        if held is None:
            self._refuse_empty(path)
        self._refuse_open_quote(path, names, reading, start, held[names[-1]][-1].as_py())
        yield start - held.num_rows, held

    def _cells(self, table: pa.Table, kept: list[str], start: int) -> pd.DataFrame:
        cells = {n: _without(_whole(table[n]), self.blank).to_pandas() for n in kept}
        return frame(cells, start, table.num_rows)

    # -------------------------------------------------------------- the first pass

    def _scan(self, path: Any, names: list[str], kept: list[str]) -> dict[str, Seen]:
        seen, rows, last, reading = dict.fromkeys(kept, Seen()), 0, None, _Reading()
        probe = kept if names[-1] in kept else [*kept, names[-1]]
        for batch in self._batches(path, names, probe, reading):
            if batch.num_rows == 0:
                continue
            for name, cells in zip(probe, batch.columns, strict=True):
                if name in seen:
                    seen[name] = look(cells, seen[name], self.absent)
            rows, last = rows + batch.num_rows, batch.columns[-1][-1].as_py()
        if rows == 0:
            self._refuse_empty(path)
        self._refuse_open_quote(path, names, reading, rows, last)
        return {name: found.settled() for name, found in seen.items()}

    def _refuse_empty(self, path: Any) -> NoReturn:
        raise DataError("the file has a header and no rows" if self.config.header else "no rows", where=shown(path))

    def _refuse_open_quote(self, path: Any, names: list[str], reading: _Reading, rows: int, last: Any) -> None:
        if reading.quotes % 2 and last and "\n" in last:
            raise DataError(
                "a quote is opened and never closed, so the rest of the file became one cell",
                where=f"{shown(path)}, row {rows}, column {names[-1]!r}",
                next="close the quote, or if quotes mean nothing in this file: source: {kind: core/csv, quote: null}",
            )

    # -------------------------------------------------------------- the header

    def _names(self, path: Any) -> list[str]:
        if self.config.names is not None:
            return list(self.config.names)
        read = self._read(path, None, None, _Reading(), HEAD)
        names = list(next(read).names)
        read.close()
        if not self.config.header:
            return [f"column_{at + 1}" for at in range(len(names))]
        names = [name or f"Unnamed: {at}" for at, name in enumerate(names)]  # as pandas calls a header's empty cell
        self._check_names(path, names)
        return names

    def _check_names(self, path: Any, names: list[str]) -> None:
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise DataError(
                f"the header names {', '.join(map(repr, twice[:5]))} twice",
                where=f"{shown(path)}, line 1",
                next=f"rename the columns; or if line 1 is data: {_HEADERLESS}",
            )
        other = next((d for d in ";\t|," if d in names[0] and d != self._delimiter(path)), None)
        if len(names) == 1 and other and self.config.delimiter is None:
            raise DataError(
                f"the header is the one column {names[0][:80]!r}: the delimiter seems to be {other!r}",
                where=f"{shown(path)}, line 1",
                next=f"source: {{kind: core/csv, delimiter: {_yaml(other)}}}; one column indeed: delimiter: ','",
            )

    # -------------------------------------------------------------- Arrow's parser

    def _delimiter(self, path: Any) -> str:
        return self.config.delimiter or ("\t" if ending(path) in (".tsv", ".tab") else ",")

    def _batches(
        self, path: Any, names: list[str], kept: list[str], reading: _Reading | None = None
    ) -> Iterator[pa.RecordBatch]:
        read = self._read(path, names, kept, reading or _Reading(), BLOCK)
        next(read)
        yield from read

    def _read(
        self, path: Any, names: list[str] | None, kept: list[str] | None, reading: _Reading, block: int
    ) -> Generator[Any]:
        """Arrow's schema, then its batches. `names` None: only the header is wanted.

        However it ends, it does so when Arrow's threads hold nothing of Python any more (see `lent`).
        """
        lent = Lent()
        try:
            reader = self._reader(path, names, kept, reading, block, lent)
            yield reader.schema
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                yield batch
        except pa.ArrowInvalid as error:
            self._fail(path, reading, error)
        except DataError as error:
            raise error.with_traceback(None) from None
        finally:
            reader = batch = None
            lent.wait()

    def _reader(
        self,
        path: Any,
        names: list[str] | None,
        kept: list[str] | None,
        reading: _Reading,
        block: int,
        lent: Lent,
    ) -> Any:
        """Arrow's reader over checked UTF-8, all cells as strings."""

        def ragged(row: Any) -> str:
            reading.ragged = reading.ragged or row
            return "error" if names else "skip"

        header = self.config.header
        options = csv.ReadOptions(
            use_threads=False,  # Arrow counts rows only then
            block_size=block,
            column_names=names,
            skip_rows_after_names=int(header) if names else 0,  # `names` are known by now: the header is a row to skip
            autogenerate_column_names=names is None and not header,
        )
        parse = csv.ParseOptions(
            delimiter=self._delimiter(path),
            quote_char=self.config.quote or False,
            newlines_in_values=True,
            invalid_row_handler=lent(ragged),
        )
        del ragged
        convert = csv.ConvertOptions(
            include_columns=kept or [], column_types=dict.fromkeys(names or [], pa.string()), strings_can_be_null=False
        )
        try:
            source = pa.PythonFile(LentFile(self._counted(path, reading), lent), mode="r")
            return csv.open_csv(source, options, parse, convert)
        finally:
            del parse, source  # an error's traceback would hold them

    def _counted(self, path: Any, reading: _Reading) -> Generator[bytes]:
        quote = (self.config.quote or "\0").encode()  # no NUL gets this far
        begun = False
        for block in utf8_blocks(path, self.config.encoding, step=_ENCODING):
            block = block if begun else block.lstrip(b"\r\n")  # Arrow would take a blank line for the header to skip
            begun = begun or bool(block)
            reading.quotes += block.count(quote)
            yield block

    def _fail(self, path: Any, reading: _Reading, error: pa.ArrowInvalid) -> NoReturn:
        """Arrow's error as one that a user can act on."""
        row, text = reading.ragged, str(error)
        if row is not None:
            at = f", row {row.number - self.config.header}" if row.number is not None else ""
            cells = f"has {row.actual_columns} cell{'s' * (row.actual_columns != 1)}"
            what = f"{cells}, {_expected(self.config)} {row.expected_columns}: {_cut(row.text)}"
            raise DataError(what, where=shown(path) + at) from None
        if "Empty CSV" in text:
            what = "the file has a header and no rows" if "block" in text else "the file is empty"
            raise DataError(what, where=shown(path)) from None
        if "straddling" in text:
            raise DataError(
                f"a row is longer than {BLOCK >> 20} MiB: probably a quote is opened and never closed",
                where=shown(path),
                next="close the quote, or if quotes mean nothing in this file: source: {kind: core/csv, quote: null}",
            ) from None
        raise DataError(text, where=shown(path)) from None


def regrouped(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `rows`, the last one shorter. No cell is copied."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        while batch.num_rows:
            piece = batch.slice(0, rows - held)
            batch = batch.slice(piece.num_rows)
            waiting.append(piece)
            held += piece.num_rows
            if held == rows:
                yield pa.Table.from_batches(waiting)
                waiting, held = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _blank_as_null(table: pa.Table) -> pa.Table:
    """Every cell as the file has it; an empty one, which no other format can tell from a missing one, is missing."""
    arrays = [pa.chunked_array([_without(_whole(cells), ("",))]) for cells in table.columns]
    return pa.table(arrays, names=table.column_names)


def _without(cells: pa.Array, words: Sequence[str]) -> pa.Array:
    return pc.if_else(pc.is_in(cells, pa.array(words, cells.type)), pa.scalar(None, cells.type), cells)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _expected(config: CsvConfig) -> str:
    return "the header has" if config.header else "`names` has" if config.names else "row 1 has"


def _cut(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _yaml(delimiter: str) -> str:
    return '"\\t"' if delimiter == "\t" else f'"{delimiter}"'
