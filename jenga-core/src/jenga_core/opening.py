"""How a run is opened: config -> accelerator -> tables -> components -> `Run`. Nothing is written before all is sound."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
import yaml
from accelerate import Accelerator

from . import checkpoint, locks
from .assembly import build_events, build_model, build_parts, load_tables
from .config import RunConfig
from .data import Data, EncodedTable
from .errors import UserError
from .files import is_leftover, publish
from .processes import check_place, check_precision, start_accelerator
from .progress import Reporter
from .reading import dump_config, read_config
from .registry import Registry
from .run import Run, digests
from .tables import Table
from .values import located

_WAIT = "wait until it ends, or stop it, or give another --output"


def open_run(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    data: Any,
    output: str | Path | None,
    resume: bool,
    seed: int | None,
    overrides: Sequence[str],
    registry: Registry | None,
    quiet: bool,
    defaults: Any,
    held: ExitStack | None = None,
) -> Run:
    """Everything before the first step: nothing stays of what is written before config and data have been found sound.

    `held` takes the lock of the run's folder, for as long as the caller keeps it; without it the folder is not locked.
    """
    registry = registry or Registry.discover()
    base = Path(config).resolve().parent if isinstance(config, str | Path) else Path.cwd()
    overrides = [*overrides, *([f"seed={seed}"] if seed is not None else [])]
    if isinstance(config, RunConfig) and overrides:
        config = yaml.safe_load(dump_config(config))
    if not isinstance(config, RunConfig):
        config = read_config(config, overrides=overrides, registry=registry)
    check_place(config)
    accelerator = start_accelerator(config)
    check_precision(config, accelerator)
    folder = _folder(config, output, resume, accelerator, held)
    progress = Reporter(silent=quiet or accelerator.process_index > 0)
    state = checkpoint.newest(folder / "checkpoints", progress.say) if resume else None
    given = _given(config, data)
    tables = load_tables(config, registry, base=base, given=given)
    _check_same(folder, config, tables, state, base, accelerator.num_processes)
    seed_everything(config)
    parts = build_parts(config, registry)
    encoded = {}
    for name, table in tables.items():
        with table.naming():
            parts.fit(name, lambda n: tables[n].frame.iloc[tables[n].splits["train"]])
            encoded[name] = encode(config, parts, table)
    model = build_model(config, registry, parts)
    hook = build_events(config, registry, parts, defaults)
    run = Run(config, folder, base, registry, accelerator, progress, tables, Data(parts, encoded), model, hook, state)
    hook.on_model_built(run=run, model=model)
    _seed(config.seed + run.rank)  # equal weights on every rank, different dropout
    if (folder / "manifest.json").exists():
        run.finished = True
        progress.say(f"{folder} has finished; nothing to resume")
        return run
    _begin(run)
    return run


def encode(config: RunConfig, parts: Any, table: Table) -> EncodedTable:
    columns = {i: config.feature_columns(i, list(table.frame.columns)) for i in config.inputs_of(table.name)}
    encoded: EncodedTable = parts.encode(table.name, table.frame, table.splits, columns, labels=True)
    return encoded


def _given(config: RunConfig, data: Any) -> dict[str, Any]:
    """`data=` of the Python API as {table: ...}. One table: the frame itself, or {split: frame}, will do."""
    if data is None:
        return {}
    if not isinstance(data, Mapping) or (len(config.data) == 1 and set(data) <= {"train", "validation", "test"}):
        if len(config.data) > 1:
            raise UserError("several tables: give data as {table: frame}", allowed=list(config.data))
        return {next(iter(config.data)): data}
    return dict(data)


def seed_everything(config: RunConfig) -> None:
    _seed(config.seed)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _folder(
    config: RunConfig, output: str | Path | None, resume: bool, accelerator: Accelerator, held: ExitStack | None
) -> Path:
    runs = Path("runs") / config.project
    if output is None and resume:
        found = sorted(p.parent for p in runs.glob("*/log.jsonl"))
        if not found:
            raise UserError(f"no run to resume under {runs}", next="give its folder with --output DIR")
        output = found[-1]
    if output is None:
        output = _unused(runs / time.strftime("%Y%m%d-%H%M%S"))
        if accelerator.num_processes > 1:
            names = [str(output)]
            torch.distributed.broadcast_object_list(names)
            output = names[0]
    folder = Path(output).resolve()
    if accelerator.process_index == 0:
        _claim(folder, resume, held)
    if resume and not (folder / "log.jsonl").exists():
        raise UserError("holds no run to resume", where=str(folder), next="leave --resume out to start one")
    accelerator.wait_for_everyone()
    return folder


def _claim(folder: Path, resume: bool, held: ExitStack | None) -> None:
    """Lock the folder, by the first process of a run, then see whether a run may begin there."""
    is_file = folder.exists() and not folder.is_dir()
    if held is not None and not is_file:
        held.enter_context(locks.held(folder / locks.NAME, where=folder, next=_WAIT))
    taken = is_file or (folder.exists() and not all(is_leftover(path) for path in folder.iterdir()))
    if taken and not resume:
        is_run = (folder / "log.jsonl").exists()
        raise UserError(
            "already holds a run" if is_run else "is not empty",
            where=str(folder),
            next="--resume continues it; another --output starts afresh"
            if is_run
            else "give an --output that does not exist",
        )


def _unused(path: Path) -> Path:
    """`path`, or with -2, -3, ... behind it where another run of the same second has it."""
    tries = (path.with_name(f"{path.name}-{n}") for n in itertools.count(2))
    return next(p for p in itertools.chain([path], tries) if not p.exists())


def _check_same(
    folder: Path,
    config: RunConfig,
    tables: Mapping[str, Table],
    state: Mapping[str, Any] | None,
    base: Path,
    world: int,
) -> None:
    """A resumed run must be the run that was started: same config, same data, same number of processes."""
    path = folder / "config.yaml"
    if path.exists() and path.read_text(encoding="utf-8") != dump_config(relative(config, base, folder)):
        raise UserError("the configuration differs from the one this run was started with", where=str(path),
                        next=f"jenga train {quote(str(path))} --output {quote(str(folder))} --resume")  # fmt: skip
    if state is None:
        return
    for name, digest in digests(tables).items():
        if state["data"].get(name) != digest:
            raise UserError(f"table {name!r} has changed since the run was started", where=str(folder),
                            next="start a new run without --resume")  # fmt: skip
    if state["world"] != world:
        raise UserError(f"the run was started with {state['world']} processes and cannot go on exactly with {world}",
                        where=str(folder))  # fmt: skip


def relative(config: RunConfig, base: Path, folder: Path) -> RunConfig:
    """The config as it is saved in `folder`: data paths relative to it, so that it can be used from there."""

    def move(path: str) -> str:
        return os.path.relpath(base / path, folder)

    tables = {}
    for name, section in config.data.items():
        path: Any = section.path
        if isinstance(path, dict):
            path = {split: [move(p) for p in paths] for split, paths in path.items()}
        elif path is not None:
            path = [move(p) for p in path]
        tables[name] = section.model_copy(update={"path": path})
    return config.model_copy(update={"data": tables})


def _begin(run: Run) -> None:
    """Create the folder and say what goes in."""
    if run.rank == 0:
        run.folder.mkdir(parents=True, exist_ok=True)
        if run.state is None:  # a run that died before its first checkpoint begins again, and so does its log
            publish(run.folder / "log.jsonl", b"")  # first: a folder with a log is a run, which can be resumed
        publish(run.folder / "config.yaml", dump_config(relative(run.config, run.base, run.folder)).encode())
    run.wait()
    if run.config.train.trackers:
        run.accelerator.project_configuration.logging_dir = str(run.folder / "trackers")
        run.accelerator.init_trackers(run.config.project, config={"seed": run.config.seed})
    if run.state is None:
        run.log(
            "start",
            seed=run.config.seed,
            world=run.world,
            device=str(run.accelerator.device),
            threads=torch.get_num_threads(),
        )
    for name, table in run.tables.items():
        sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in table.splits.items())
        run.progress.say(f"{name}: {sizes}")
        for text in (*table.notes, *run.data.parts.notes(name, list(table.frame.columns))):
            run.note(located(name, text))
        encoded = run.data.tables[name]
        lost = [(f"task {t}", e) for t, e in encoded.targets.items()] + [
            (f"input {i}", e) for i, e in encoded.inputs.items()
        ]
        for what, part in lost:
            for reason, count in part.excluded.items():
                if count:
                    run.note(f"{name}: {what}: {count:,} of {encoded.size:,} rows excluded: {reason}")
            for remark, count in part.remarks.items():
                if count:
                    run.note(f"{name}: {what}: {count:,} of {encoded.size:,} rows: {remark}")
        for split, rows in encoded.splits.items():
            for reason, count in run.data.parts.counts(encoded, rows).items():
                run.note(f"{name}: {reason}: {count:,} of {len(rows):,} {split} rows")
