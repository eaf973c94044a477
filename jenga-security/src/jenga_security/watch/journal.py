"""How far a watch has come: what is written beside its alerts, so that a stop at any moment loses and repeats nothing.

    alerts.jsonl                 the alerts
    alerts.jsonl.watch/contract  model, log, format: a watch that goes on must be the same
    alerts.jsonl.watch/position  after every batch: where in the log, how many bytes of alerts, how many rows
    alerts.jsonl.watch/memory    now and then: the same, and what later rows need of earlier ones (counts, windows)

After a stop the alerts are cut to the length that `position` says, the lines between `memory` and `position` are read
once more without raising alerts, and the watch goes on behind them. `position` is replaced by a rename without waiting for the
disk, which survives a kill of the process; `memory` waits for it, and so do the alerts before it. If after a failure of
the machine the alerts are shorter than `position` says, the watch goes back to `memory` and raises the alerts since then again.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from jenga_core.errors import DataError, UserError
from jenga_core.files import beside, publish, publish_first

from .tail import Position


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything before `position` is done: `lines` and `rows` read, `bad` lines, `alerts` written, which take `size` bytes."""

    position: Position | None = None
    lines: int = 0
    rows: int = 0
    bad: int = 0
    alerts: int = 0
    size: int = 0

    def json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, text: bytes | str) -> Progress:
        state = json.loads(text)
        position = state["position"] and Position.read(state["position"])
        return replace(cls(**{**state, "position": None}), position=position)


@dataclass(frozen=True, slots=True)
class Memory:
    """What rows behind `progress` need of those before it. `live`: a source's state; `before`: rows that windows see."""

    progress: Progress
    live: Mapping[str, Any]
    before: pd.DataFrame | None = None

    def to_bytes(self) -> bytes:
        """An .npz without pickles: arrays of `live` by name, the rest of it as JSON, frames as Arrow."""
        arrays = {f"live.{k}": v for k, v in self.live.items() if isinstance(v, np.ndarray)}
        plain = {k: v for k, v in self.live.items() if not isinstance(v, np.ndarray)}
        facts = json.dumps({"progress": self.progress.json().decode(), "live": plain}).encode()
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
        return cls(Progress.read(facts["progress"]), {**facts["live"], **arrays}, before)


class Journal:
    """The alerts at `path` and what is kept beside them."""

    def __init__(self, path: Path, contract: Mapping[str, Any]) -> None:
        self.path, self.folder = path, path.with_name(path.name + ".watch")
        self.contract = contract
        self._file: Any = None

    def open(self) -> tuple[Memory | None, Progress]:
        """What was kept and how far alerts are good; (None, nothing) at the beginning. UserError for another watch's file."""
        text = json.dumps(self.contract, sort_keys=True, indent=1).encode()
        if self.path.exists() and not self.folder.exists():
            raise UserError("the file is there, and no watch that could go on with it", where=str(self.path),
                            next="name another file, or move this one away")  # fmt: skip
        if not publish_first(self.folder / "contract", text):
            before = json.loads((self.folder / "contract").read_text())
            other = [key for key in self.contract if before.get(key) != self.contract[key]]
            if other:
                raise UserError(f"these alerts are those of another {' and '.join(other)}", where=str(self.path),
                                next="name another file for the alerts")  # fmt: skip
        memory = self._memory()
        progress = self._progress() if memory else Progress()
        size = self.path.stat().st_size if self.path.exists() else 0
        if memory and size < progress.size:
            progress = memory.progress
        if size < progress.size:
            raise DataError(f"has {size:,} bytes, and the watch had written {progress.size:,}", where=str(self.path),
                            next="put the alerts back, or name another file")  # fmt: skip
        self._file = self.path.open("ab")
        os.truncate(self.path, progress.size)
        return memory, progress

    def write(self, lines: list[str], progress: Progress) -> None:
        """Add alerts and say how far everything has come."""
        if lines:
            self._file.write("".join(line + "\n" for line in lines).encode())
            self._file.flush()
        temporary = beside(self.folder / "position")
        temporary.write_bytes(progress.json())
        os.replace(temporary, self.folder / "position")

    def remember(self, memory: Memory) -> None:
        """On the disk before this returns, and the alerts before it."""
        os.fsync(self._file.fileno())
        publish(self.folder / "memory", memory.to_bytes())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _memory(self) -> Memory | None:
        path = self.folder / "memory"
        return Memory.from_bytes(path.read_bytes()) if path.exists() else None

    def _progress(self) -> Progress:
        path = self.folder / "position"
        return Progress.read(path.read_bytes()) if path.exists() else Progress()


def _arrow(frame: pd.DataFrame | None) -> bytes:
    if frame is None:
        return b""
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _frame(data: bytes) -> pd.DataFrame | None:
    if not data:
        return None
    frame: pd.DataFrame = pa.ipc.open_file(pa.BufferReader(data)).read_all().to_pandas()
    return frame
