"""Delimited text as it grows: whole lines -> rows, their cells as they are written."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ..cells import frame
from ..contracts import Live
from ..errors import DataError
from ..textfiles import ending
from .csv_file import SEP, named, refuse_twice
from .quoting import well_formed
from .source_config import CsvConfig


class LiveCsv(Live):
    """The first line holds the names unless the config gives them; where it comes again, a new log has begun."""

    def __init__(self, config: CsvConfig, blank: Sequence[str], name: str) -> None:
        tabs = ending(name) in (".tsv", ".tab")
        self.config, self._blank = config, blank
        self._delimiter, self._quote = config.delimiter or ("\t" if tabs else ","), config.quote_of(tabs)
        self._header: bytes | None = None
        self._names = list(config.names or [])

    def feed(self, lines: Sequence[bytes]) -> pd.DataFrame:
        lines = [line.removesuffix(b"\r") for line in lines]
        lines = [line for line in lines if line]
        if self._header is None and lines and (found := SEP.match(lines[0] + b"\n")):  # Excel's, which is no row
            self._delimiter, lines = self.config.delimiter or found[1].decode("latin-1"), lines[1:]
        if self._header is None and lines and self.config.header:
            names = named(list(self._cells(lines[:1], None).column_names))
            refuse_twice(names, "line 1")
            self._names, self._header = self._names or names, lines[0]
        rows = [line for line in lines if line != self._header]
        if not rows:
            return pd.DataFrame()
        if not self._names:
            self._names = [f"column_{at + 1}" for at in range(self._cells(rows[:1], None).num_columns)]
        table = self._cells(rows, self._names)
        if any(b"\r" in line for line in rows):  # it would make two rows, which a quote that swallows one could hide
            raise DataError("a line end within a line")
        if self._quote and any(not well_formed(line, self._quote, self._delimiter) for line in rows):
            raise DataError("a quote is opened and not closed, or not doubled inside quotes")
        if table.num_rows != len(rows):
            raise DataError("a line without a cell")
        absent = pa.array(self._blank, pa.string())
        cells = {name: table[name].combine_chunks() for name in self._names}
        made = {n: pc.if_else(pc.is_in(c, absent), None, c).to_pandas() for n, c in cells.items()}
        return frame(made, 0, len(rows))

    def state(self) -> dict[str, Any]:
        return {"header": [] if self._header is None else [self._header.decode(self.config.encoding)]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.feed([line.encode(self.config.encoding) for line in state["header"]])

    def _cells(self, lines: Sequence[bytes], names: list[str] | None) -> pa.Table:
        """All cells as text. `names` None: the first line names them."""
        data = b"\n".join(lines).decode(self.config.encoding, "replace").encode() + b"\n"
        try:
            return csv.read_csv(
                io.BytesIO(data),
                csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
                csv.ParseOptions(delimiter=self._delimiter, quote_char=self._quote or False),
                csv.ConvertOptions(column_types=dict.fromkeys(names or [], pa.string()), strings_can_be_null=False),
            )
        except pa.ArrowInvalid as error:
            raise DataError(str(error).splitlines()[0]) from None
