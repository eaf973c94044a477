"""How far a watch has come: what is written beside its alerts, so that a stop at any moment loses and repeats nothing.

    alerts.jsonl                 the alerts
    alerts.jsonl.watch/contract  model, log, format: a watch that goes on must be the same
    alerts.jsonl.watch/position  after every batch: where in the log, how many bytes of alerts, how many rows
    alerts.jsonl.watch/memory    now and then: the same, and what later rows need of earlier ones (counts, windows, thresholds)
    alerts.jsonl.watch/scores-N  where thresholds follow: the scores of the rows from the N-th on, N as in `memory`

After a stop the alerts are cut to the length that `position` says, the lines between `memory` and `position` are read
once more without raising alerts, and the watch goes on behind them. `position` is replaced by a rename without waiting for the
disk, which survives a kill of the process; `memory` waits for it, and so do the alerts before it. If after a failure of
the machine the alerts or the scores are shorter than `position` says, the watch goes back to `memory` and raises the alerts
since then again.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from jenga_core.errors import DataError, UserError
from jenga_core.files import beside, naming, publish, publish_first

from .archive import Position

_MIXED = b"jenga.mixed"  # in a schema: the names of columns whose cells are JSON


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything before `position` is done: `lines` and `rows` read, `bad` lines, `alerts` written, which take `size` bytes.

    `lost`: the times that what was not yet read was gone.
    """

    position: Position | None = None
    lines: int = 0
    rows: int = 0
    bad: int = 0
    alerts: int = 0
    size: int = 0
    lost: int = 0

    def json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, text: bytes | str) -> Progress:
        state = json.loads(text)
        position = state["position"] and Position.read(state["position"])
        return replace(cls(**{**state, "position": None}), position=position)


@dataclass(frozen=True, slots=True)
class Memory:
    """What rows behind `progress` need of those before it. `live`: a source's state; `before`: rows that windows see;
    `thresholds`: those that follow, as JSON.
    """

    progress: Progress
    live: Mapping[str, Any]
    before: pd.DataFrame | None = None
    thresholds: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """An .npz without pickles: arrays of `live` by name, the rest of it as JSON, frames as Arrow."""
        arrays = {f"live.{k}": v for k, v in self.live.items() if isinstance(v, np.ndarray)}
        plain = {k: v for k, v in self.live.items() if not isinstance(v, np.ndarray)}
        told = {"progress": self.progress.json().decode(), "live": plain, "thresholds": dict(self.thresholds)}
        facts = json.dumps(told).encode()
        out = io.BytesIO()
        arrays |= {"facts": np.frombuffer(facts, np.uint8), "before": np.frombuffer(_arrow(self.before), np.uint8)}
        np.savez(out, allow_pickle=False, **arrays)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Memory:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            facts = json.loads(found["facts"].tobytes())
            arrays = {k.removeprefix("live."): found[k] for k in found.files if k.startswith("live.")}
            before = _frame(found["before"].tobytes())
        return cls(Progress.read(facts["progress"]), {**facts["live"], **arrays}, before, facts["thresholds"])


class Journal:
    """The alerts at `path` and what is kept beside them, with `scores` float32 numbers of each row."""

    def __init__(self, path: Path, contract: Mapping[str, Any], scores: int = 0) -> None:
        self.path, self.folder = path, path.with_name(path.name + ".watch")
        self.contract, self._width = contract, 4 * scores
        self._file: Any = None
        self._scores: Any = None

    def open(self) -> tuple[Memory | None, Progress]:
        """What was kept and how far alerts are good; (None, nothing) at the beginning. UserError for another watch's file."""
        text = json.dumps(self.contract, sort_keys=True, indent=1).encode()
        if self.path.exists() and not self.folder.exists():
            raise UserError("the file is there, and no watch that could go on with it", where=str(self.path),
                            next="name another file, or move this one away")  # fmt: skip
        if not publish_first(self.folder / "contract", text):
            before = json.loads((self.folder / "contract").read_text())
            other = [key for key in {**before, **self.contract} if before.get(key) != self.contract.get(key)]
            if other:
                raise UserError(f"these alerts are those of another {' and '.join(other)}", where=str(self.path),
                                next="name another file for the alerts")  # fmt: skip
        memory = self._memory()
        progress = self._progress() if memory else Progress()
        size = self.path.stat().st_size if self.path.exists() else 0
        if memory and (size < progress.size or len(self._held(memory)) < self._needed(memory, progress)):
            progress = memory.progress
        if size < progress.size:
            raise DataError(f"has {size:,} bytes, and the watch had written {progress.size:,}", where=str(self.path),
                            next="put the alerts back, or name another file")  # fmt: skip
        self._file = self.path.open("ab", buffering=0)  # what could not be written is not tried again when it is closed
        os.truncate(self.path, progress.size)
        return memory, progress

    def scores(self, memory: Memory, progress: Progress) -> np.ndarray[Any, Any]:
        """float32 [rows since the memory, scores]: what was written with them."""
        held = self._held(memory)[: self._needed(memory, progress)]
        return np.frombuffer(held, np.float32).reshape(-1, max(self._width // 4, 1))

    def write(self, lines: list[str], progress: Progress, scores: bytes = b"") -> Progress:
        """Add alerts and scores, then say how far everything has come: `progress` with the bytes of these alerts as well.

        OSError that names the file; what was written by then is cut off by the next `open`.
        """
        alerts = "".join(line + "\n" for line in lines).encode()
        progress = replace(progress, size=progress.size + len(alerts))
        with naming(self.path):
            _all(self._file, alerts)
        if scores:
            with naming(Path(self._scores.name)):
                _all(self._scores, scores)
        self._place(progress)
        return progress

    def _place(self, progress: Progress) -> None:
        path = self.folder / "position"
        temporary = beside(path)
        with naming(path):
            try:
                temporary.write_bytes(progress.json())
                os.replace(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def remember(self, memory: Memory) -> None:
        """On the disk before this returns, and the alerts before it."""
        os.fsync(self._file.fileno())
        publish(self.folder / "memory", memory.to_bytes())
        if self._width:
            self._begin_scores(memory)

    def close(self) -> None:
        for file in (self._file, self._scores):
            if file is not None:
                file.close()

    def _begin_scores(self, memory: Memory) -> None:
        """Those before are in the memory by now."""
        path = self._scores_from(memory)
        if self._scores is not None:
            self._scores.close()
        self._scores = path.open("wb", buffering=0)
        for old in self.folder.glob("scores-*"):
            if old != path:
                old.unlink()

    def _scores_from(self, memory: Memory) -> Path:
        return self.folder / f"scores-{memory.progress.rows}"

    def _held(self, memory: Memory) -> bytes:
        path = self._scores_from(memory)
        return path.read_bytes() if self._width and path.exists() else b""

    def _needed(self, memory: Memory, progress: Progress) -> int:
        return self._width * (progress.rows - memory.progress.rows)

    def _memory(self) -> Memory | None:
        path = self.folder / "memory"
        return Memory.from_bytes(path.read_bytes()) if path.exists() else None

    def _progress(self) -> Progress:
        path = self.folder / "position"
        return Progress.read(path.read_bytes()) if path.exists() else Progress()


def _all(file: Any, data: bytes) -> None:
    """Every byte: the system may take fewer at a time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _arrow(frame: pd.DataFrame | None) -> bytes:
    """Columns of Python objects, which may be of any types beside each other, as JSON."""
    if frame is None:
        return b""
    sink = pa.BufferOutputStream()
    mixed = [name for name, kind in frame.dtypes.items() if pd.api.types.is_object_dtype(kind)]
    told = frame.assign(**{str(name): frame[name].map(_dumped).astype("str") for name in mixed})
    table = pa.Table.from_pandas(told.reset_index(drop=True), preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _MIXED: json.dumps(mixed)})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _frame(data: bytes) -> pd.DataFrame | None:
    if not data:
        return None
    table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
    frame: pd.DataFrame = table.to_pandas()
    mixed = json.loads(table.schema.metadata.get(_MIXED, b"[]"))
    read = {name: pd.Series([json.loads(cell) for cell in frame[name]], dtype=object) for name in mixed}
    return frame.assign(**read)


def _dumped(cell: Any) -> str:
    return json.dumps(None if cell is pd.NA or cell is pd.NaT else cell, default=str)
