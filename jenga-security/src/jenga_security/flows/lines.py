"""Lines of a text file, in pieces, and delimited lines -> `Rows`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import csv

from jenga_core.errors import DataError
from jenga_core.textfiles import shown, utf8_blocks

from .schema import Array, Rows

LONGEST = 16 << 20  # bytes of a line
_STEP = "convert the file to UTF-8: iconv -f {encoding} -t utf-8"


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines without their ends, from line `first` on. `cut`: the last one had no end."""

    first: int
    lines: Sequence[bytes]
    cut: bool = False


class Parser(Protocol):
    """Lines of one log, fed in order -> rows. It carries what it must know from one piece to the next."""

    def feed(self, lines: Lines) -> Rows | None: ...

    def close(self) -> None:
        """The log ends here. Raises `DataError` where something is left over."""
        return None

    def notes(self) -> list[str]:
        """What was left out, for the user."""
        return []

    def header(self) -> list[bytes]:
        """Lines without rows that let a new parser go on where this one is."""
        return []


def lines_of(path: Any, encoding: str = "utf-8", step: str = _STEP) -> Iterator[Lines]:
    """A file, decompressed and checked, about a megabyte at a time."""
    left, first = b"", 1
    for block in utf8_blocks(path, encoding, step=step):
        lines = (left + block).split(b"\n")
        left = lines.pop()
        if len(left) > LONGEST:
            raise DataError(
                f"a line is longer than {LONGEST >> 20} MiB: this is no log", where=f"{shown(path)}, line {first}"
            )
        if lines:
            yield Lines(first, lines)
        first += len(lines)
    if left:
        yield Lines(first, [left], cut=True)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a line is cut into cells."""

    delimiter: str = ","
    quote: str | None = '"'


def rows_of(
    name: str,
    columns: Sequence[str],
    lines: Sequence[bytes],
    numbers: Sequence[int],
    dialect: Dialect,
    cut: bool = False,
) -> Rows:
    """One row of `columns` per line. `DataError` with the line for one of another number of cells."""
    ragged: list[Any] = []

    def seen(row: Any) -> str:
        ragged.append(row)
        return "error"

    if dialect.quote and any(b"\r" in line.removesuffix(b"\r") for line in lines):
        # It makes two rows of a line, and so could hide that a quote has swallowed another.
        raise DataError("a line end within a line", where=f"{name}, lines {numbers[0]} to {numbers[-1]}")
    data = b"\n".join(lines)
    try:
        table = csv.read_csv(
            io.BytesIO(data),
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=list(columns)),
            csv.ParseOptions(delimiter=dialect.delimiter, quote_char=dialect.quote or False, invalid_row_handler=seen),
            csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if not ragged:
            raise DataError(str(error), where=f"{name}, line {numbers[0]}") from None
        at = ragged[0].number - 1
        last = cut and at == len(lines) - 1
        raise DataError(
            "the file is cut off here" if last else f"has {ragged[0].actual_columns} cells, not {len(columns)}",
            where=f"{name}, line {numbers[at]}",
        ) from None
    if table.num_rows != len(lines):
        raise DataError("a quote is opened and not closed", where=f"{name}, lines {numbers[0]} to {numbers[-1]}")
    cells = {column: table[column].combine_chunks() for column in columns}
    return Rows(cells, np.asarray(numbers, dtype=np.int64))


def joined(rows: Sequence[Rows]) -> Rows | None:
    """Rows of the same columns, one after the other."""
    if len(rows) < 2:
        return rows[0] if rows else None
    cells = {name: pa.concat_arrays([r.cells[name] for r in rows]) for name in rows[0].cells}
    lines: Array = np.concatenate([r.lines for r in rows])
    return Rows(cells, lines)
