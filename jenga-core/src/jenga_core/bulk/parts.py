"""The folder of a bulk scoring: part files, a receipt for each, what they were made of, and at the end `_SUCCESS`.

    _score.json                     model, source and options; written first, and whoever comes later must agree with it
    part-00000-000000.parquet       rows of the first file's first chunk, with predictions
    _parts/part-00000-000000.json   its receipt: rows, bytes, sha256 and what was unusual; written after the part
    _parts/file-00000.json          how many chunks and rows the first file has; written when its end has been seen
    _SUCCESS                        the list of all parts; written by whoever finds nothing left to do
    .shard-0-2.lock                 held by the worker of --shard 0/2 while it lives

Names in order are rows in order. Whatever begins with a dot or an underscore is passed over by readers of such folders.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from .. import locks
from ..errors import UserError
from ..files import beside, publish_file, publish_first, publish_json, sha256
from .work import Chunk, Shard

CONTRACT, SUCCESS = "_score.json", "_SUCCESS"
_LOCK = re.compile(r"\.shard-(\d+)-(\d+)\.lock")


@dataclass(frozen=True, slots=True)
class Parts:
    """`contract`: what all workers of this folder must have in common, as JSON."""

    folder: Path
    contract: Mapping[str, Any]

    def open(self) -> None:
        """Begin, or go on with what was begun. UserError for a folder that holds something else."""
        visible = [path for path in self.folder.glob("*") if path.name[0] != "."]
        if visible and not (self.folder / CONTRACT).exists():
            raise UserError("the folder is not empty and holds no scoring that could go on", where=str(self.folder),
                            next="name a folder that is not there yet")  # fmt: skip
        text = json.dumps(self.contract, indent=1, sort_keys=True) + "\n"
        if publish_first(self.folder / CONTRACT, text.encode()):
            return
        before = _read(self.folder / CONTRACT)
        other = [key for key in sorted({*before, *self.contract}) if before.get(key) != self.contract.get(key)]
        if other:
            raise UserError(f"the scoring in this folder began with another {' and '.join(other)}",
                            where=str(self.folder), next="name another folder, or go on with what it began with")  # fmt: skip

    @contextmanager
    def working(self, shard: Shard) -> Iterator[None]:
        """Open the folder for the work of `shard`. UserError while a living worker has some of the same chunks."""
        cure = "wait until it ends, or stop it, or give each worker a --shard of its own: 0/2, 1/2"
        with locks.held(self._lock(shard), where=self.folder, next=cure):
            for other, path in self._others(shard).items():
                holder = locks.busy(path) if shard.shares(other) else None
                if holder is not None:
                    raise locks.refusal(holder, where=self.folder, next=cure)
            self.open()
            yield

    def done(self, chunk: Chunk) -> bool:
        """Is the chunk's part there, whole?"""
        receipt, part = self._receipt(chunk), self._part(chunk)
        return receipt.exists() and part.exists() and part.stat().st_size == _read(receipt)["bytes"]

    @contextmanager
    def writing(self, chunk: Chunk) -> Iterator[PartWriter]:
        """A writer of the chunk's rows. The part is there when the block ends well, and not before."""
        part = self._part(chunk)
        temporary = beside(part)
        writer = PartWriter(temporary)
        try:
            yield writer
            writer.close()
            receipt = {"rows": writer.rows, "bytes": temporary.stat().st_size, "sha256": sha256(temporary),
                       "unusual": dict(writer.unusual)}  # fmt: skip
            publish_file(temporary, part)
        finally:
            writer.close()
            temporary.unlink(missing_ok=True)
        publish_json(self._receipt(chunk), receipt)

    def ended(self, file: int, chunks: int, rows: int) -> None:
        """The end of a file has been seen."""
        publish_json(self._census(file), {"chunks": chunks, "rows": rows})

    def finish(self, files: int, shard: Shard) -> dict[str, Any] | None:
        """Write `_SUCCESS` and return it if every chunk of all files is done, else None."""
        listed: list[dict[str, Any]] = []
        for file in range(files):
            if not self._census(file).exists():
                return None
            for number in range(_read(self._census(file))["chunks"]):
                chunk = Chunk(file, number)
                if not self.done(chunk):
                    return None
                listed.append({"name": self._part(chunk).name, **_read(self._receipt(chunk))})
        unusual: Counter[str] = Counter()
        for part in listed:
            unusual.update(part.pop("unusual"))
        if not any(locks.busy(path) for path in self._others(shard).values()):
            for left in self.folder.glob(".part-*.tmp"):  # of workers that were killed
                left.unlink(missing_ok=True)
        success = {"rows": sum(part["rows"] for part in listed), "unusual": dict(unusual), "parts": listed}
        publish_json(self.folder / SUCCESS, success)
        return success

    def _lock(self, shard: Shard) -> Path:
        return self.folder / f".shard-{shard.index}-{shard.count}.lock"

    def _others(self, shard: Shard) -> dict[Shard, Path]:
        """The locks of other shares of the work, held or left by a worker that was killed."""
        found = {path: _LOCK.fullmatch(path.name) for path in sorted(self.folder.glob(".shard-*.lock"))}
        shards = {Shard(int(name[1]), int(name[2])): path for path, name in found.items() if name}
        return {other: path for other, path in shards.items() if other != shard}

    def _part(self, chunk: Chunk) -> Path:
        return self.folder / f"{chunk.name}.parquet"

    def _receipt(self, chunk: Chunk) -> Path:
        return self.folder / "_parts" / f"{chunk.name}.json"

    def _census(self, file: int) -> Path:
        return self.folder / "_parts" / f"file-{file:05}.json"


class PartWriter:
    """One part file as it grows: a row group per table, in the schema of the first one."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, 0
        self.unusual: Counter[str] = Counter()
        self._writer: parquet.ParquetWriter | None = None

    def write(self, table: pa.Table, unusual: Mapping[str, int]) -> None:
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self.path, table.schema, use_dictionary=_repeating(table.schema))
        schema = _in_common(self._writer.schema, table.schema)
        if not schema.equals(self._writer.schema):
            self._widen(schema)
        self._writer.write_table(table.cast(schema))
        self.rows += table.num_rows
        self.unusual.update(unusual)

    def _widen(self, schema: pa.Schema) -> None:
        """Write what the part has so far once more, in another schema."""
        self.close()
        before = parquet.read_table(self.path)
        self._writer = parquet.ParquetWriter(self.path, schema, use_dictionary=_repeating(schema))
        self._writer.write_table(before.cast(schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _in_common(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """A column that two tables of one part have in two types, as when a fraction comes among whole numbers, is text."""
    if other.equals(one):
        return one
    fields = []
    for field in one:
        kind = other.field(field.name).type
        alike = kind.equals(field.type) or pa.types.is_null(kind) or pa.types.is_dictionary(field.type)
        fields.append(field if alike else field.with_type(kind if pa.types.is_null(field.type) else pa.string()))
    return pa.schema(fields)


def _repeating(schema: pa.Schema) -> list[str]:
    """The columns of text, which a dictionary makes smaller; looking for one among measured numbers costs a tenth of all."""
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
    return [field.name for field in schema if any(is_text(field.type) for is_text in text)]


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
