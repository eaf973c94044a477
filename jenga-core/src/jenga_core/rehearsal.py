"""`jenga check --dry-run`: everything a run does up to its first steps, in a folder that is thrown away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from .config import RunConfig
from .contracts import Array, Batch
from .opening import open_run, relative
from .registry import Registry
from .run import Run
from .scoring import require_rows, score
from .training import Defaults, check_monitor, prepare, train_step

TIMED_STEPS = 3  # after one that warms up


def rehearse(config: RunConfig, base: Path, registry: Registry) -> list[str]:
    """Lines for a person: the shapes of a batch of each table, the parameters, the time of a step and of the run.

    Reads the tables whole, fits the processors and takes a few optimizer steps, so what fails at the start of training
    fails here, with the same error.
    """
    train = config.train.model_copy(update={"trackers": []})
    config = relative(config.model_copy(update={"train": train}), base.resolve(), Path.cwd())
    with TemporaryDirectory(prefix="jenga-dry-run-") as folder:
        run = open_run(
            config, data=None, output=Path(folder) / "run", resume=False, seed=None, overrides=(), registry=registry,
            quiet=True, defaults=Defaults(),
        )  # fmt: skip
        try:
            return list(_lines(run))
        finally:
            run.close()


def _lines(run: Run) -> Iterator[str]:
    require_rows(run.data)
    check_monitor(run)
    wrapped = prepare(run)
    run.hook.on_fit_start(run=run)
    run.model.train()
    firsts = {name: rows[: run.config.train.batch_size] for name, rows in run.train_rows.items() if len(rows)}
    for table, rows in firsts.items():
        columns = list(run.tables[table].frame.columns)
        yield from (f"{table}: {note}" for note in run.data.parts.notes(table, columns))
        yield from _shapes(run, run.data.batch(table, rows, "train", np.random.default_rng(run.config.seed)))
    yield from _parameters(run)
    yield from _times(run, wrapped, firsts)


def _shapes(run: Run, batch: Batch) -> Iterator[str]:
    yield f"a batch of table {batch.table}: {len(batch)} rows of {len(run.train_rows[batch.table]):,} to learn from"
    for name, part in batch.inputs.items():
        yield f"  input {name}: {_tensors(part.data)}"
    for name, part in batch.targets.items():
        yield f"  task {name}: {_tensors(part.data)}; the loss sums over {part.count:g}"


def _tensors(data: Any) -> str:
    return ", ".join(f"{k} {str(v.dtype).removeprefix('torch.')} {list(v.shape)}" for k, v in data.items())


def _parameters(run: Run) -> Iterator[str]:
    """Counts per part; frozen ones (an adapter's base) are counted apart."""
    model, config = run.model, run.config
    yield f"parameters: {_count(model)}"
    for name, module in model.backbones.items():
        yield f"  backbone {name} ({config.backbones[name].kind}): {_count(module)}"
    for name, module in model.fusions.items():
        yield f"  fusion of table {name}: {_count(module)}"
    for width, module in model.conditioning.items():
        yield f"  conditioning ({config.conditioning}) of width {width}: {_count(module)}"
    for name, module in model.heads.items():
        yield f"  head of task {name}: {_count(module)}"


def _count(module: nn.Module) -> str:
    every = sum(p.numel() for p in module.parameters())
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return f"{every:,}" if trained == every else f"{trained:,} trained of {every:,}"


def _times(run: Run, wrapped: Any, firsts: dict[str, Array]) -> Iterator[str]:
    """A step's time is the mean over the tables, each by its share of the batches."""
    options = run.config.train
    batches = {table: -(-len(rows) // options.batch_size) for table, rows in run.train_rows.items()}
    seconds = {table: _step_seconds(run, wrapped, table, rows) for table, rows in firsts.items()}
    step = sum(seconds[t] * batches[t] for t in seconds) / sum(batches[t] for t in seconds)
    place = f"{run.accelerator.device}, {options.precision}, {torch.get_num_threads()} threads"
    yield f"a step takes about {_span(step)} ({place}); {run.total_steps:,} steps: {_span(step * run.total_steps)}"
    rows, once = _evaluation_seconds(run)
    times = _evaluations(run)
    if rows and times:
        yield f"scoring {rows:,} validation rows takes about {_span(once)}; {times:,} times: {_span(once * times)}"


def _step_seconds(run: Run, wrapped: Any, table: str, rows: Array) -> float:
    window = [(at, (table, rows)) for at in range(run.config.train.accumulate)]
    train_step(run, wrapped, window)
    _finish(run)
    started = time.perf_counter()
    for _ in range(TIMED_STEPS):
        train_step(run, wrapped, window)
    _finish(run)
    return (time.perf_counter() - started) / TIMED_STEPS


def _evaluation_seconds(run: Run) -> tuple[int, float]:
    """(validation rows, seconds to score them), reckoned from one batch of each table."""
    rows, seconds = 0, 0.0
    for name, table in run.data.tables.items():
        every = table.trainable("validation")
        some = every[: run.place.batch_size]
        if len(some):
            started = time.perf_counter()
            score(run.model, run.data, name, some, run.place, labels=True)
            _finish(run)
            seconds += (time.perf_counter() - started) * len(every) / len(some)
            rows += len(every)
    return rows, seconds


def _evaluations(run: Run) -> int:
    every = run.config.train.evaluate
    return (
        run.total_steps // every.steps
        if every.steps
        else -(-run.total_steps // (run.steps_per_epoch * (every.epochs or 1)))
    )


def _finish(run: Run) -> None:
    """Wait for an accelerator's queue: the time of a step is not the time of asking for it."""
    if run.moves:
        torch.accelerator.synchronize()


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return (
        f"{seconds:.3g} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
