"""Options of the core's sources. Torch-free, pandas-free: `jenga check` and `jenga schema` need no more."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ..config import ComponentConfig


class CsvConfig(ComponentConfig):
    """Text with one row a line: .csv, .tsv, also compressed (.gz, .bz2, .xz)."""

    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="between cells; default: a tab for .tsv, else a comma"
    )
    encoding: str = Field(
        default="utf-8", description="of the text, as Python names it; a byte order mark is taken off"
    )
    header: bool = Field(default=True, description="the first line holds the column names")
    names: list[str] | None = Field(
        default=None,
        min_length=1,
        description="column names of a file without header; default: column_1, column_2, ...",
    )
    na_values: list[str] | None = Field(
        default=None,
        description="cells that mean missing, in every column; default: NA, N/A, n/a, NaN, nan, null, NULL, None, "
        "<NA>, #N/A, in columns of numbers only. An empty cell is always missing",
    )
    quote: str | None = Field(
        default="auto",
        min_length=1,
        description='a character around cells that hold a delimiter or a line end; null: no quoting; auto: ", but none for .tsv '
        "and .tab, whose format has no quotes",
    )
    decimal: Literal[".", ","] = Field(default=".", description="before the fraction of a number")
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        default=None, description="between each three digits of a number; ' ' is also a no-break space"
    )

    def quote_of(self, tabs: bool) -> str | None:
        """The character; `tabs`: of a file whose name says that it is parted by tabs."""
        if self.quote == "auto":
            return None if tabs else '"'
        return self.quote

    @field_validator("quote")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and value != "auto" and (len(value) != 1 or not value.isascii()):
            raise ValueError(f"{value!r} is neither one character of ASCII nor auto")
        return value

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError(f"unknown encoding {value!r}; examples: utf-8, utf-16, latin-1, cp1252") from None
        return value

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.names is not None and self.header:
            raise ValueError("`names` is for files without header: also set `header: false`")
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError(f"`names` holds {sorted({n for n in self.names if self.names.count(n) > 1})} twice")
        if self.quote is not None and self.quote == self.delimiter:
            raise ValueError("`quote` and `delimiter` are the same character")
        if self.delimiter is not None and not self.delimiter.isascii():
            raise ValueError(f"`delimiter` {self.delimiter!r} is no character of ASCII")
        if self.thousands == self.decimal:
            raise ValueError("`decimal` and `thousands` are the same character")
        return self


class JsonConfig(ComponentConfig):
    """One JSON document that holds a list of objects: .json, also compressed."""

    records: str | None = Field(
        default=None,
        description="the key that holds the list; default: the document is the list, or it is under `data`",
    )


class JsonlConfig(ComponentConfig):
    """One JSON object a line: .jsonl, .ndjson, also compressed."""


class ParquetConfig(ComponentConfig):
    """Apache Parquet: .parquet, .pq. Reads only the columns that are used."""
