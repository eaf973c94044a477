"""Each task alone against all of them together: is one model for several tasks worth it?

For each seed one run with all tasks, then one per task with the same seed, splits, inputs and number of optimizer steps.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import locks
from .config import BalancingConfig, ComponentConfig, InputConfig, RunConfig
from .errors import UserError
from .evaluation import Judgement, Score, mean_of
from .files import is_leftover, publish_json
from .opening import relative
from .reading import read_config
from .registry import Registry
from .training import train

Pairs = Mapping[str, tuple[Judgement, Judgement]]  # task -> (alone, together)


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of one task over the seeds, on the same test rows. `difference`: together - alone, paired by seed."""

    task: str
    metric: str
    direction: str
    alone: tuple[float, ...]
    together: tuple[float, ...]

    @property
    def difference(self) -> Score:
        """The mean with Student's 95 % interval over the seeds."""
        return mean_of(np.array(self.together) - np.array(self.alone))

    @property
    def verdict(self) -> str:
        """Which is better, or that these seeds do not settle it."""
        d = self.difference
        if math.isnan(d.low) or d.low <= 0 <= d.high:
            return "not settled"
        return "together" if (d.value > 0) == (self.direction == "max") else "alone"

    def to_json(self) -> dict[str, Any]:
        values = {k: [v if math.isfinite(v) else None for v in getattr(self, k)] for k in ("alone", "together")}
        facts = {"task": self.task, "metric": self.metric, "direction": self.direction, **values}
        return {**facts, "difference": self.difference.to_json(), "verdict": self.verdict}


def compare(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    data: Any = None,
    output: str | Path | None = None,
    seeds: int = 3,
    resume: bool = False,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    quiet: bool = False,
) -> list[Compared]:
    """Train, judge, and write ``comparison.json`` into `output`, which also holds every run's folder.

    Seeds are those from the config's on. `resume` keeps the runs that are finished in `output` and goes on with the others.
    """
    registry = registry or Registry.discover()
    whole = _whole(config, overrides, registry)
    if resume and output is None:
        raise UserError("which comparison?", where="--resume", next="give its folder with --output DIR")
    folder = Path(output or Path("runs") / whole.project / time.strftime("compare-%Y%m%d-%H%M%S")).resolve()
    with ExitStack() as held:
        if os.environ.get("RANK", "0") == "0":  # the first, or the only one, of the processes of this comparison
            _claim(folder, resume, held)
        how = _How(registry, resume, quiet)
        pairs = [
            _one_seed(whole.model_copy(update={"seed": seed}), data, folder / f"seed-{seed}", how)
            for seed in range(whole.seed, whole.seed + seeds)
        ]
        compared = _compared(pairs)
        publish_json(folder / "comparison.json", {"seeds": seeds, "compared": [c.to_json() for c in compared]})
    return compared


def _claim(folder: Path, resume: bool, held: ExitStack) -> None:
    cure = "wait until it ends, or stop it, or give another --output"
    held.enter_context(locks.held(folder / locks.NAME, where=folder, next=cure))
    if not resume and not all(is_leftover(path) for path in folder.iterdir()):
        raise UserError("is not empty", where=str(folder), next="--resume goes on with what it holds")


@dataclass(frozen=True, slots=True)
class _How:
    registry: Registry
    resume: bool
    quiet: bool


def _whole(
    config: RunConfig | Mapping[str, Any] | str | Path, overrides: Sequence[str], registry: Registry
) -> RunConfig:
    """The run of all tasks, its paths from here; what only one run's report needs is left out."""
    base = Path(config).resolve().parent if isinstance(config, str | Path) else Path.cwd()
    if not isinstance(config, RunConfig):
        config = read_config(config, overrides=overrides, registry=registry)
    if len(config.tasks) < 2:
        raise UserError("there is one task only: nothing to compare it with", where="tasks")
    options = config.train.model_copy(update={"baselines": False, "bootstrap": 0})
    return relative(config, base, Path.cwd()).model_copy(update={"train": options})


def _one_seed(config: RunConfig, data: Any, folder: Path, how: _How) -> Pairs:
    together, steps = _judged(config, data, folder / "together", how)
    found = {}
    for task in config.tasks:
        single, _ = _judged(alone(config, task, steps), _only(data, config, task), folder / f"alone-{task}", how)
        if task in single and task in together:  # a task without labelled test rows is not judged
            found[task] = single[task], together[task]
    return found


def _judged(config: RunConfig, data: Any, folder: Path, how: _How) -> tuple[dict[str, Judgement], int]:
    """(judgements by task, optimizer steps) of one run, as its folder has them."""
    resume = how.resume and (folder / "log.jsonl").exists()
    train(config, data=data, output=folder, resume=resume, report=False, registry=how.registry, quiet=how.quiet)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return {j["task"]: Judgement.from_json(j) for j in metrics["judgements"]}, int(manifest["steps"])


def _compared(seeds: Sequence[Pairs]) -> list[Compared]:
    """Every metric of every task that was judged with every seed."""
    found = []
    for task in [t for t in seeds[0] if all(t in pairs for pairs in seeds)]:
        for metric, way in seeds[0][task][0].directions.items():
            if way == "none":
                continue
            by_itself, together = (tuple(pairs[task][i].scores[metric].value for pairs in seeds) for i in (0, 1))
            found.append(Compared(task, metric, way, by_itself, together))
    return found


def alone(config: RunConfig, task: str, steps: int) -> RunConfig:
    """The run of one task: its table, that table's rows split as before, its inputs with the columns that they had."""
    table = config.tasks[task].data
    others = [c for name, t in config.tasks_of(table).items() if name != task for c in t.columns()]
    inputs = {name: _without(one, others) for name, one in config.inputs_of(table).items()}
    used = {one.backbone for one in inputs.values()}
    options: dict[str, Any] = {"epochs": steps, "max_steps": steps}  # epochs: as many as it takes
    if config.train.monitor.partition(".")[0] != task:
        options["monitor"] = "loss"
    changes = {
        "data": {table: config.data[table]},
        "inputs": inputs,
        "backbones": {name: one for name, one in config.backbones.items() if name in used},
        "tasks": {task: config.tasks[task]},
        "hooks": [_watching(h, task) for h in config.hooks if not isinstance(h, BalancingConfig)],
        "train": config.train.model_copy(update=options),
    }
    return config.model_copy(update=changes)


def _without(section: InputConfig, labels: Sequence[str]) -> InputConfig:
    """The label of a task that is left out must not become a feature of another."""
    if section.columns is not None:
        return section
    return section.model_copy(update={"exclude": list(dict.fromkeys([*section.exclude, *labels]))})


def _watching(options: ComponentConfig, task: str) -> ComponentConfig:
    """A hook that watches another task's metric watches that of the run."""
    monitor = getattr(options, "monitor", None)
    if monitor is None or monitor.partition(".")[0] in (task, "loss"):
        return options
    return options.model_copy(update={"monitor": None})


def _only(data: Any, config: RunConfig, task: str) -> Any:
    """Of data given as {table: frame}, the task's table."""
    return (
        {config.tasks[task].data: data[config.tasks[task].data]} if len(config.data) > 1 and data is not None else data
    )


def lines(compared: Sequence[Compared]) -> Iterator[str]:
    """A table for people: means over the seeds, the difference with its interval, and which is better."""
    rows = [["metric", "better", "alone", "together", "together - alone, 95 %", "better is"]]
    for c in compared:
        d = c.difference
        spread = "" if math.isnan(d.low) else f" [{d.low:+.4f}, {d.high:+.4f}]"
        means = [f"{np.mean(values):.4f}" for values in (c.alone, c.together)]
        way = "higher" if c.direction == "max" else "lower"
        rows.append([f"{c.task}.{c.metric}", way, *means, f"{d.value:+.4f}{spread}", c.verdict])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
