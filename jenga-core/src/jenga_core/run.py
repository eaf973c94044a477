"""The state of one run, and how it is opened: config -> tables -> components -> `Run`."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState, GradientState

from . import checkpoint
from .assembly import Events, build_events, build_model, build_parts, load_tables
from .config import RunConfig
from .contracts import Array
from .data import Data, EncodedTable
from .errors import UserError
from .evaluation import Judgement
from .files import publish
from .model import Model
from .progress import Reporter
from .reading import dump_config, read_config
from .registry import Registry
from .scoring import Place
from .tables import Table

_POSITION = ("step", "epoch", "window", "stop", "metrics", "best", "notes", "evaluated_at")
MODES = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


@dataclass(eq=False)
class Run:
    """All that a hook may read. `step` counts optimizer steps, `epoch` and `window` say where in the plan the run is.

    A hook stops the run by setting `stop` to the reason. `directions`: metric -> "max" | "min". `weights`: task -> factor.
    """

    config: RunConfig
    folder: Path
    base: Path
    registry: Registry
    accelerator: Accelerator
    progress: Reporter
    tables: Mapping[str, Table]
    data: Data
    model: Model
    hook: Events
    state: dict[str, Any] | None = None  # a checkpoint that is about to be restored
    optimizer: Any = None
    scheduler: Any = None
    step: int = 0
    epoch: int = 0
    window: int = 0
    steps_per_epoch: int = 0
    total_steps: int = 0
    evaluated_at: int | None = None
    stop: str | None = None
    finished: bool = False
    interrupted: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] | None = None
    best_weights: dict[str, torch.Tensor] | None = None
    judgements: list[Judgement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.time)
    _recent: dict[str, Any] = field(default_factory=dict)

    # ---------------------------------------------------------------- facts

    @property
    def rank(self) -> int:
        return int(self.accelerator.process_index)

    @property
    def world(self) -> int:
        return int(self.accelerator.num_processes)

    @property
    def moves(self) -> bool:
        """Batches must be copied to an accelerator."""
        return bool(self.accelerator.device.type != "cpu")

    @property
    def can_fuse(self) -> bool:
        """AdamW's fused kernel serves these devices."""
        return self.accelerator.device.type in ("cpu", "cuda", "mps")

    @property
    def weights(self) -> dict[str, float]:
        return {name: task.weight for name, task in self.config.tasks.items()}

    @property
    def directions(self) -> dict[str, str]:
        found = {"loss": "min"}
        for name, task in self.data.parts.tasks.items():
            found[f"{name}.loss"] = "min"
            found.update({f"{name}.{metric}": way for metric, way in task.metrics().directions.items()})
        return found

    @property
    def train_rows(self) -> dict[str, Array]:
        return {name: table.trainable() for name, table in self.data.tables.items()}

    @property
    def place(self) -> Place:
        size = self.config.train.evaluate_batch_size or 4 * self.config.train.batch_size
        return Place(self.accelerator.device, size, self.accelerator.autocast, self.rank, self.world)

    # ---------------------------------------------------------------- the record

    def log(self, event: str, **values: Any) -> None:
        """One line of log.jsonl; NaN becomes null. Numbers also go to the configured trackers."""
        if self.rank:
            return
        line = {"event": event, "step": self.step, "epoch": self.epoch, **values}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(_finite(line), ensure_ascii=False) + "\n")
        if self.config.train.trackers:
            numbers = {f"{event}/{k}": v for k, v in _flat(values).items()}
            self.accelerator.log(numbers, step=self.step)

    def note(self, text: str) -> None:
        """Something the user should know: said now, kept in the log and in the model card."""
        if text not in self.notes:
            self.notes.append(text)
            self.progress.say(f"note: {text}")
            self.log("note", text=text)

    def record_losses(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Every `log_every` steps, the mean losses of the steps since the last line."""
        for name, value in losses.items():
            self._recent[name] = self._recent[name] + value if name in self._recent else value
        due = self.step % self.config.train.log_every == 0 or self.step == self.total_steps
        if not due:
            return
        now, since = time.perf_counter(), self._recent.pop("_since", None)
        steps = self.step - self._recent.pop("_step", self.step - 1)
        means = {k: float(v) / max(steps, 1) for k, v in self._recent.items()}
        self._recent = {"_since": now, "_step": self.step}
        loss = means.pop("loss", None)
        rate = steps * self.config.train.batch_size * self.config.train.accumulate / (now - since) if since else None
        self.log("train", loss=loss, losses=means, learning_rate=self.scheduler.get_last_lr()[0], rows_per_second=rate)
        self.progress.step(self.step, self.total_steps, loss)

    def keep_best(self) -> None:
        """Copy the weights when the monitored metric is better than ever; a metric that is undefined is never better."""
        name = self.config.train.monitor
        value, way = self.metrics.get(name, float("nan")), self.directions[name]
        better = self.best is None or (value > self.best["value"] if way == "max" else value < self.best["value"])
        shown = f"epoch {self.epoch + 1}  step {self.step}  {name} {value:.4f}"
        if np.isfinite(value) and better:
            self.best = {"value": value, "step": self.step, "epoch": self.epoch, "monitor": name}
            self.best_weights = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            shown += "  best so far"
        self.progress.say(shown)

    # ---------------------------------------------------------------- resume

    def position(self) -> dict[str, Any]:
        """Plain values of a checkpoint."""
        return {**{k: getattr(self, k) for k in _POSITION}, "world": self.world, "data": digests(self.tables)}

    def set_position(self, state: Mapping[str, Any]) -> None:
        for key in _POSITION:
            setattr(self, key, state[key])
        _cut_log(self.folder / "log.jsonl", self.step)
        self.log("note", text=f"resumed at step {self.step}")
        self.progress.say(f"resumed at step {self.step} (epoch {self.epoch + 1})")

    def gather(self, value: Any) -> list[Any]:
        """`value` of every rank, in rank order."""
        if self.world == 1:
            return [value]
        everyone: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(everyone, value)
        return everyone

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM lets the step end and saves a checkpoint; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, _frame: Any) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            self.progress.say("stopping after this step; the state is being saved (again: stop at once)")

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        self.progress.stop()
        if self.config.train.trackers:
            self.accelerator.end_training()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{prefix}{key}/"))
        elif isinstance(value, int | float):
            found[prefix + key] = float(value)
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _cut_log(path: Path, step: int) -> None:
    """Drop lines of steps that will be done again, and a line that a crash tore."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    publish(path, "".join(line + "\n" for line in kept).encode())


def digests(tables: Mapping[str, Table]) -> dict[str, str]:
    return {name: table.digest for name, table in tables.items()}


# -------------------------------------------------------------------- opening


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
) -> Run:
    """Everything before the first step: nothing is written before config and data have been found sound."""
    registry = registry or Registry.discover()
    base = Path(config).resolve().parent if isinstance(config, str | Path) else Path.cwd()
    overrides = [*overrides, *([f"seed={seed}"] if seed is not None else [])]
    if not isinstance(config, RunConfig):
        config = read_config(config, overrides=overrides, registry=registry)
    elif seed is not None:
        config = config.model_copy(update={"seed": seed})
    accelerator = start_accelerator(config)
    folder = _folder(config, output, resume, accelerator)
    progress = Reporter(silent=quiet or accelerator.process_index > 0)
    state = checkpoint.newest(folder / "checkpoints", progress.say) if resume else None
    given = _given(config, data)
    tables = load_tables(config, registry, base=base, given=given)
    _check_same(folder, config, tables, state, base, accelerator.num_processes)
    seed_everything(config)
    parts = build_parts(config, registry)
    encoded = {}
    for name, table in tables.items():
        parts.fit(name, table.frame, table.splits["train"])
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


def start_accelerator(config: RunConfig) -> Accelerator:
    """Accelerate keeps its settings in process-wide state: a second run of one process may want others."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
    if config.train.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(config.train.deterministic)
    return Accelerator(
        mixed_precision=MODES[config.train.precision],
        cpu=config.train.device == "cpu",
        log_with=list(config.train.trackers) or None,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def seed_everything(config: RunConfig) -> None:
    _seed(config.seed)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _folder(config: RunConfig, output: str | Path | None, resume: bool, accelerator: Accelerator) -> Path:
    runs = Path("runs") / config.project
    if output is None and resume:
        found = sorted(p.parent for p in runs.glob("*/log.jsonl"))
        if not found:
            raise UserError(f"no run to resume under {runs}", next="give its folder with --output DIR")
        output = found[-1]
    if output is None:
        output = runs / time.strftime("%Y%m%d-%H%M%S")
        if accelerator.num_processes > 1:
            names = [str(output)]
            torch.distributed.broadcast_object_list(names)
            output = names[0]
    folder = Path(output).resolve()
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not resume and accelerator.process_index == 0:
        is_run = (folder / "log.jsonl").exists()
        raise UserError(
            "already holds a run" if is_run else "is not empty",
            where=str(folder),
            next="--resume continues it; another --output starts afresh"
            if is_run
            else "give an --output that does not exist",
        )
    if resume and not (folder / "log.jsonl").exists():
        raise UserError("holds no run to resume", where=str(folder), next="leave --resume out to start one")
    accelerator.wait_for_everyone()
    return folder


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
                        next=f"jenga train {path} --output {folder} --resume")  # fmt: skip
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
        publish(run.folder / "config.yaml", dump_config(relative(run.config, run.base, run.folder)).encode())
    run.wait()
    if run.config.train.trackers:
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
        for text in table.notes:
            run.note(f"{name}: {text}")
        encoded = run.data.tables[name]
        lost = [(f"task {t}", e) for t, e in encoded.targets.items()] + [
            (f"input {i}", e) for i, e in encoded.inputs.items()
        ]
        for what, part in lost:
            for reason, count in part.excluded.items():
                if count:
                    run.note(f"{name}: {what}: {count:,} of {encoded.size:,} rows excluded: {reason}")
