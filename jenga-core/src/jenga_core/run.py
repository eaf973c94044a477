"""The state of one run: what hooks read, what a checkpoint keeps, what the log says."""

from __future__ import annotations

import json
import shutil
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
from accelerate import Accelerator

from .artifact import packages
from .assembly import Events
from .config import RunConfig
from .contracts import Array
from .data import Data
from .errors import visible
from .evaluation import Judgement
from .files import append, publish
from .model import Model
from .progress import Reporter
from .registry import Registry
from .scoring import Place
from .tables import Table
from .values import WARNING

_POSITION = ("step", "epoch", "window", "stop", "metrics", "best", "notes", "evaluated_at")


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
    interrupted: bool = False  # this process was asked to stop; `stopping`: all agree to, after this step
    stopping: bool = False
    stepping: bool = False  # a stop must wait for the end of the step
    metrics: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] | None = None
    best_weights: dict[str, torch.Tensor] | None = None
    judgements: list[Judgement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cautions: dict[str, list[str]] = field(default_factory=dict)  # by task
    started: float = field(default_factory=time.time)
    _recent: dict[str, tuple[Any, int]] = field(default_factory=dict)  # loss -> its sum since the last line, its steps
    _logged: tuple[float, int] | None = None  # when and at which step the last line was written

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
            ways = task.metrics().directions
            found.update({f"{name}.{metric}": way for metric, way in ways.items() if way != "none"})
        return found

    @property
    def train_rows(self) -> dict[str, Array]:
        return {name: table.trainable() for name, table in self.data.tables.items()}

    @property
    def place(self) -> Place:
        size = self.config.train.evaluate_batch_size or 4 * self.config.train.batch_size
        tokens = self.config.train.batch_tokens
        return Place(self.accelerator.device, size, self.accelerator.autocast, self.rank, self.world, tokens)

    @property
    def nth_epoch(self) -> int:
        """The epoch as people count, from 1; behind the last one it is the last. `epoch` is how many are done."""
        return min(self.epoch + 1, self.config.train.epochs)

    # ---------------------------------------------------------------- the record

    def log(self, event: str, **values: Any) -> None:
        """One line of log.jsonl; NaN becomes null. Numbers also go to the configured trackers."""
        if self.rank:
            return
        line = {"event": event, "step": self.step, "epoch": self.nth_epoch, **values}
        append(
            self.folder / "log.jsonl", (json.dumps(_finite(line), ensure_ascii=False) + "\n").encode(errors="replace")
        )
        if self.config.train.trackers:
            numbers = {f"{event}/{k}": v for k, v in _flat(values).items()}
            self.accelerator.log(numbers, step=self.step)

    def note(self, text: str) -> None:
        """Something the user should know: said now, kept in the log and in the model card."""
        if text not in self.notes:
            self.notes.append(text)
            shown = visible(text)
            self.progress.say(shown if shown.startswith(WARNING) else f"note: {shown}")
            self.log("note", text=text)

    def caution(self, task: str, text: str) -> None:
        """A warning about the scores of a task: a note now, and said again in front of them."""
        self.note(f"{WARNING}{self.config.tasks[task].data}: task {task}: {text}")
        self.cautions.setdefault(task, []).append(text)

    def record_losses(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Every `log_every` steps, the mean of each loss over the steps since the last line that had it."""
        for name, value in losses.items():
            total, steps = self._recent.get(name, (0.0, 0))
            self._recent[name] = (total + value, steps + 1)
        if self.step % self.config.train.log_every and self.step != self.total_steps:
            return
        means = _mean(self.gather({name: float(total) / steps for name, (total, steps) in self._recent.items()}))
        loss = means.pop("loss", None)
        now, since = time.perf_counter(), self._logged
        self._recent, self._logged = {}, (now, self.step)
        rows = self.config.train.batch_size * self.config.train.accumulate
        rate = rows * (self.step - since[1]) / (now - since[0]) if since else None
        self.log("train", loss=loss, losses=means, learning_rate=self.scheduler.get_last_lr()[0], rows_per_second=rate)
        self.progress.step(self.step, self.total_steps, loss)

    def keep_best(self) -> None:
        """Copy the weights when the monitored metric is better than ever; a metric that is undefined is never better."""
        name = self.config.train.monitor
        value, way = self.metrics.get(name, float("nan")), self.directions[name]
        better = self.best is None or (value > self.best["value"] if way == "max" else value < self.best["value"])
        shown = f"epoch {self.nth_epoch}  step {self.step}  {name} {value:.4f}"
        if np.isfinite(value) and better:
            self.best = {"value": value, "step": self.step, "epoch": self.nth_epoch, "monitor": name}
            self.best_weights = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            shown += "  best so far"
        self.progress.say(shown)

    # ---------------------------------------------------------------- resume

    def position(self) -> dict[str, Any]:
        """Plain values of a checkpoint."""
        facts = {"world": self.world, "data": digests(self.tables), "packages": packages(self.config, self.registry)}
        return {**{k: getattr(self, k) for k in _POSITION}, **facts}

    def set_position(self, state: Mapping[str, Any]) -> None:
        for key in _POSITION:
            setattr(self, key, state[key])
        _cut_log(self.folder / "log.jsonl", self.step, evaluated=self.evaluated_at == self.step)
        self.log("note", text=f"resumed at step {self.step}")
        self.progress.say(f"resumed at step {self.step} (epoch {self.nth_epoch})")
        others = differences(state.get("packages", {}), packages(self.config, self.registry))
        if others:
            self.note(f"resumed with other versions, so not bit for bit: {', '.join(others)}")

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
        """Ctrl-C or SIGTERM lets the step end and saves a checkpoint. A second one, or one after the last step, stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, _frame: Any) -> None:
            if self.interrupted or not self.stepping:
                raise KeyboardInterrupt
            self.interrupted = True
            self.progress.say("stopping after this step; the state is being saved (again: stop at once)")

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def forget(self) -> None:
        """Leave nothing of a run that was refused before its first step: the corrected one may have the same folder.

        The folder itself goes with its lock.
        """
        if self.rank == 0:
            for name in ("config.yaml", "log.jsonl"):
                (self.folder / name).unlink(missing_ok=True)
            shutil.rmtree(self.folder / "trackers", ignore_errors=True)

    def close(self) -> None:
        """Trackers write what they hold. The group of processes stays: another run of this process may use it."""
        self.progress.stop()
        for tracker in self.accelerator.trackers:
            tracker.finish()


def _mean(ranks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over all ranks. Terms are scaled by the number of ranks, so that a rank which lacks one counts as zero."""
    names = dict.fromkeys(name for losses in ranks for name in losses)
    return {name: sum(losses.get(name, 0.0) for losses in ranks) / len(ranks) for name in names}


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


def _cut_log(path: Path, step: int, *, evaluated: bool) -> None:
    """Drop lines of what will be done again, and a line that a crash tore. `evaluated`: the state is of after that."""
    again = {"end"} if evaluated else {"end", "evaluate"}
    kept = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
            if line["step"] < step or (line["step"] == step and line.get("event") not in again):
                kept.append(text)
        except (ValueError, KeyError, TypeError):
            continue
    publish(path, "".join(line + "\n" for line in kept).encode())


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Packages whose version is another than `before`, or that came or went; nothing where no version was kept."""
    names = [name for name in sorted({*before, *now}) if before and before.get(name) != now.get(name)]
    return [f"{name} {now.get(name, 'none')} instead of {before.get(name, 'none')}" for name in names]


def digests(tables: Mapping[str, Table]) -> dict[str, str]:
    return {name: table.digest for name, table in tables.items()}
