"""One file of delimited text: its header, its cells as text, and every defect with file, row and column."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pyarrow as pa
from pyarrow import csv

from ..errors import DataError
from ..textfiles import ending, shown, utf8_blocks
from .lent import Lent, LentFile
from .quoting import Quotes, place
from .source_config import CsvConfig

BLOCK = 4 << 20  # bytes parsed at a time; no row may be longer
_ENCODING = "source: {{kind: core/csv, encoding: {encoding}}}"
_HEADERLESS = "source: {kind: core/csv, header: false, names: [...]}"
_UNQUOTED = "if quotes mean nothing in this file: source: {kind: core/csv, quote: null}"
SEP = re.compile(rb'"?sep=([^"\r\n])"?(?:\r\n|\r|\n)')  # Excel's first line, which is no row


@dataclass(slots=True)
class _Reading:
    """What one pass notices beside the cells."""

    quotes: Quotes | None
    ragged: Any = None


@dataclass(slots=True)
class CsvFile:
    """The file at `path`, read as `config` says. Grammar: RFC 4180.

    Blank lines are skipped, but for a file of one column, where each is a row whose cell is missing. A row must have as many
    cells as the header.
    """

    path: Any
    config: CsvConfig
    delimiter: str = field(init=False)
    quote: str | None = field(init=False)

    def __post_init__(self) -> None:
        tabs = ending(self.path) in (".tsv", ".tab")
        self.delimiter = self.config.delimiter or self._sep() or ("\t" if tabs else ",")
        self.quote = self.config.quote_of(tabs)

    def names(self) -> list[str]:
        """The column names. DataError for a header that names one twice, or that is not parted by the delimiter."""
        if self.config.names is not None:
            return list(self.config.names)
        read = self._read(None, None, BLOCK)
        names = list(next(read).names)
        read.close()
        if not self.config.header:
            return [f"column_{at + 1}" for at in range(len(names))]
        names = named(names)
        self._check(names)
        return names

    def batches(self, names: list[str], kept: list[str]) -> Iterator[pa.RecordBatch]:
        """Cells of the columns `kept` as text, in order. DataError for whatever is no row of `names`."""
        read = self._read(names, kept, BLOCK)
        next(read)
        yield from read

    def refuse_empty(self) -> NoReturn:
        what = "the file has a header and no rows" if self.config.header else "no rows"
        raise DataError(what, where=shown(self.path))

    # -------------------------------------------------------------- the text

    def _sep(self) -> str | None:
        """The delimiter that a first line as Excel writes it gives: sep=;"""
        first = next(utf8_blocks(self.path, self.config.encoding, step=_ENCODING), b"")
        found = SEP.match(first.lstrip(b"\r\n"))
        return found[1].decode("latin-1") if found else None

    def _text(self) -> Generator[bytes]:
        begun = False
        for block in utf8_blocks(self.path, self.config.encoding, step=_ENCODING):
            if not begun:  # Arrow would take a blank line for the header to skip
                block = block.lstrip(b"\r\n")
                block = block[found.end() :] if (found := SEP.match(block)) else block
            begun = begun or bool(block)
            yield block

    def _checked(self, reading: _Reading) -> Generator[bytes]:
        for block in self._text():
            if reading.quotes is not None and (at := reading.quotes.stray(block)) is not None:
                self._malformed(at, "a quote inside a cell in quotes is not doubled", "double it")
            yield block
        if reading.quotes is not None and reading.quotes.open is not None:
            what = "a quote is opened and never closed, so the rest of the file became one cell"
            self._malformed(reading.quotes.open, what, "close it")

    def _malformed(self, offset: int, what: str, cure: str) -> NoReturn:
        """The text is gone through once more, to say where that is."""
        assert self.quote is not None
        record, cell = place(self._text(), self.quote, self.delimiter, offset)
        row = record + 1 - self.config.header
        names = self.config.names or ([] if row < 1 else self._known)
        column = f", column {names[cell]!r}" if cell < len(names) else f", column {cell + 1}"
        where = f"{shown(self.path)}, {f'row {row}' if row > 0 else 'line 1'}{column}"
        raise DataError(what, where=where, next=f"{cure} (RFC 4180), or {_UNQUOTED}")

    @property
    def _known(self) -> list[str]:
        """The names of the header, which is sound, as the defect lies behind it."""
        first = b"".join(self._head())
        made = csv.read_csv(pa.BufferReader(first), parse_options=self._parse(one=False))
        return named(made.column_names) if self.config.header else []

    def _head(self) -> Iterator[bytes]:
        quotes = Quotes(self.quote or "\0", self.delimiter)
        for block in self._text():
            for line in block.splitlines(keepends=True):
                yield line
                if quotes.stray(line) is None and quotes.open is None:
                    return

    # -------------------------------------------------------------- Arrow's parser

    def _read(self, names: list[str] | None, kept: list[str] | None, block: int) -> Generator[Any]:
        """Arrow's schema, then its batches. `names` None: only the header is wanted.

        However it ends, it does so when Arrow's threads hold nothing of Python any more (see `lent`).
        """
        lent, reading = Lent(), _Reading(Quotes(self.quote, self.delimiter) if self.quote else None)
        try:
            reader = self._reader(names, kept, reading, block, lent)
            yield reader.schema
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                yield batch
        except pa.ArrowInvalid as error:
            self._fail(reading, error)
        except DataError as error:
            raise error.with_traceback(None) from None
        finally:
            reader = batch = None
            lent.wait()

    def _reader(
        self, names: list[str] | None, kept: list[str] | None, reading: _Reading, block: int, lent: Lent
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
        parse = self._parse(one=names is not None and len(names) == 1)
        parse.invalid_row_handler = lent(ragged)
        del ragged
        convert = csv.ConvertOptions(
            include_columns=kept or [], column_types=dict.fromkeys(names or [], pa.string()), strings_can_be_null=False
        )
        try:
            source = pa.PythonFile(LentFile(self._checked(reading), lent), mode="r")
            return csv.open_csv(source, options, parse, convert)
        finally:
            del parse, source  # an error's traceback would hold them

    def _parse(self, *, one: bool) -> csv.ParseOptions:
        return csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char=self.quote or False,
            newlines_in_values=True,
            ignore_empty_lines=not one,
        )

    # -------------------------------------------------------------- what is wrong

    def _check(self, names: list[str]) -> None:
        refuse_twice(names, f"{shown(self.path)}, line 1")
        other = next((d for d in ";\t|," if d in names[0] and d != self.delimiter), None)
        if len(names) == 1 and other and self.config.delimiter is None:
            raise DataError(
                f"the header is the one column {names[0][:80]!r}: the delimiter seems to be {other!r}",
                where=f"{shown(self.path)}, line 1",
                next=f"source: {{kind: core/csv, delimiter: {_yaml(other)}}}; one column indeed: delimiter: ','",
            )

    def _fail(self, reading: _Reading, error: pa.ArrowInvalid) -> NoReturn:
        """Arrow's error as one that a user can act on."""
        row, text, where = reading.ragged, str(error), shown(self.path)
        if row is not None:
            at = f", row {row.number - self.config.header}" if row.number is not None else ""
            cells = f"has {row.actual_columns} cell{'s' * (row.actual_columns != 1)}"
            what = f"{cells}, {_expected(self.config)} {row.expected_columns}: {_cut(row.text)}"
            raise DataError(what, where=where + at) from None
        if "Empty CSV" in text:
            what = "the file has a header and no rows" if "block" in text else "the file is empty"
            raise DataError(what, where=where) from None
        if "straddling" in text:
            what = f"a row is longer than {BLOCK >> 20} MiB: probably a quote is opened and never closed"
            raise DataError(what, where=where, next=f"close the quote, or {_UNQUOTED}") from None
        raise DataError(text, where=where) from None


def refuse_twice(names: list[str], where: str) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(
            f"the header names {', '.join(map(repr, twice[:5]))} twice",
            where=where,
            next=f"rename the columns; or if line 1 is data: {_HEADERLESS}",
        )


def named(names: list[str]) -> list[str]:
    """Empty cells of a header as pandas calls them, "Unnamed: 2", or what is free beside a column of that very name."""
    found = list(names)
    for at, name in enumerate(names):
        if not name:
            found[at] = free = f"Unnamed: {at}"
            more = 0
            while found[at] in [*names, *found[:at]]:
                more += 1
                found[at] = f"{free}.{more}"
    return found


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


def _expected(config: CsvConfig) -> str:
    return "the header has" if config.header else "`names` has" if config.names else "row 1 has"


def _cut(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _yaml(delimiter: str) -> str:
    return '"\\t"' if delimiter == "\t" else f'"{delimiter}"'
