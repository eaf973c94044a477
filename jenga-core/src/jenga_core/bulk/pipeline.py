"""How rows flow: one thread reads and writes, the others predict; at most a few stretches are in memory at any time."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import torch

from ..contracts import Stretch
from ..errors import DataError, UserError
from ..files import sha256
from ..following import Following
from ..inference import Predictor
from ..stretches import as_arrow, table_of, with_numbers
from ..tables import naming, open_source
from ..textfiles import shown
from .parts import Parts
from .work import CHUNK, STRETCH, Chunk, Shard, fingerprint, source_files


@dataclass(frozen=True, slots=True)
class Done:
    """`rows` that this worker scored; `success`: what `_SUCCESS` holds, once nothing is left for anyone to do."""

    rows: int
    success: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A stretch of a chunk with its predictions."""

    chunk: Chunk
    cells: pd.DataFrame
    stretch: Stretch
    predictions: pd.DataFrame
    unusual: Counter[str]


def score_files(
    predictor: Predictor,
    source: str | Path,
    folder: str | Path,
    *,
    table: str | None = None,
    shard: Shard | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Done:
    """Score all rows of `source` into part files of `folder`, but for chunks that are done or another shard's.

    Predictions are those of `Predictor.predict` with one thread. `workers` threads predict; default: as many as there
    are cores, two on an accelerator, whose memory holds what each computes. `progress` is told the rows of every stretch.
    """
    files = source_files(source)
    name = predictor.table_of(table)
    if not Following(predictor, name).alone:
        raise UserError("rows of this model see rows before them, so that files cannot be cut into chunks",
                        where=str(predictor.folder), next="jenga predict keeps what they see, file by file")  # fmt: skip
    model = sha256(predictor.folder / "manifest.json")
    parts = Parts(
        Path(folder), {"model": model, "source": fingerprint(files), "table": name, "options": {"chunk": CHUNK}}
    )
    shard = shard or Shard()
    read = partial(_stretches, predictor, files, name, shard, parts)
    numbers = {c: pa.int64() if form == "integer" else pa.float64() for c, form in predictor.numbers_of(name).items()}
    rows, usual = 0, _cores() if predictor.place.device.type == "cpu" else 2
    with parts.working(shard), _single_threaded():
        for chunk, group in groupby(_predicted(predictor, read(), name, workers or usual), lambda s: s.chunk):
            with parts.writing(chunk) as writer:
                for scored in group:
                    predictor.hook.on_predict(run=predictor, frame=scored.cells, predictions=scored.predictions)
                    writer.write(_beside(scored, files[chunk.file], numbers), scored.unusual)
                    progress(len(scored.cells))
            rows += writer.rows
        return Done(rows, parts.finish(len(files), shard))


def _stretches(
    predictor: Predictor, files: list[Path], table: str, shard: Shard, parts: Parts
) -> Iterator[tuple[Chunk, Path, Stretch]]:
    """What this worker must read, in order."""
    needed = predictor.features_of(table)
    for at, path in enumerate(files):
        source = open_source(path, predictor.registry, predictor.source(str(path), table))

        def wanted(start: int, at: int = at) -> bool:
            chunk = Chunk(at, start // CHUNK)
            return shard.takes(chunk) and not parts.done(chunk)

        rows = 0
        for stretch in source.stretches(path, needed, rows=STRETCH, wanted=wanted):
            rows = stretch.start + stretch.size
            if stretch.cells is not None:
                yield Chunk(at, stretch.start // CHUNK), path, stretch
        parts.ended(at, -(-rows // CHUNK), rows)


def _predicted(
    predictor: Predictor, stretches: Iterable[tuple[Chunk, Path, Stretch]], table: str, workers: int
) -> Iterator[Scored]:
    """The stretches in order, `workers` of them predicted at a time."""

    def one(chunk: Chunk, path: Path, stretch: Stretch) -> Scored:
        with naming(lambda row: f"{shown(path)}, row {stretch.start + row + 1}"):
            _, cells = predictor.as_trained(stretch.cells, table)
            predictions, unusual = predictor.scores(cells, table=table)
        return Scored(chunk, cells, stretch, predictions, unusual)

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Scored]] = deque()
        try:
            for item in stretches:
                waiting.append(pool.submit(one, *item))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _beside(scored: Scored, path: Path, numbers: Mapping[str, pa.DataType]) -> pa.Table:
    """The rows as they came, and the predictions behind them. Of text, only what the model reads as `numbers` is made such."""
    table = as_arrow(scored.stretch)
    if scored.stretch.text:
        table = with_numbers(table, scored.cells, numbers)
    both = [name for name in scored.predictions.columns if name in table.column_names]
    if both:
        raise DataError(f"the rows already have columns {both}", where=shown(path), next="rename or drop them")
    added = table_of(scored.predictions, {})
    for name in added.column_names:
        table = table.append_column(name, added.column(name))
    return table


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Threads that each score rows of their own disturb each other less than threads that share every operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
