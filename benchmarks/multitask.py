"""What a second task over the same rows costs, and what each way of balancing tasks costs.

    python benchmarks/multitask.py [--quick] [--threads 2]

A step is what `jenga_core.training` does for one: rows to tensors, one forward pass, losses, backward, clipping, optimizer,
hooks. All runs of a table are open in one process and take one step each in turn, on the same rows in the same order; each
step is divided by the step of the run that it is compared with, taken in the same turn, so that other work on the machine
weighs on both. Printed: the median of these ratios, and the middle half of them.

Tables: 41 numbers made with a seed, with a class and a number. Texts: the reports of the template `multitask`, with a class
and entities. Both labels are in every row. The one task is the class, the cheaper of the two. No score is claimed here. Exits
with 1 where a second task costs more than the mark.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads make small loops erratic

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from jenga_core.opening import open_run
from jenga_core.registry import Registry
from jenga_core.training import Defaults, prepare, train_step
from jenga_text.examples.multitask import reports

COLUMNS, MARK = 41, 1.15


@dataclass(frozen=True)
class Case:
    """A backbone with its options, the processor that feeds it, the rows of a batch; the tasks by name, the cheaper first."""

    backbone: dict[str, Any]
    processor: dict[str, Any]
    batch: int
    tasks: dict[str, dict[str, Any]]
    columns: list[str]

    @property
    def name(self) -> str:
        return str(self.backbone["kind"])


def table(kind: str, batch: int) -> Case:
    tasks = {
        "class": {"kind": "core/classification", "target": "class"},
        "number": {"kind": "core/regression", "target": "number"},
    }
    return Case({"kind": kind}, {"kind": "security/table"}, batch, tasks, [f"x{i}" for i in range(COLUMNS)])


def text(kind: str, **options: Any) -> Case:
    tasks = {
        "class": {"kind": "core/classification", "target": "label"},
        "entities": {"kind": "text/ner", "target": "entities"},
    }
    return Case({"kind": kind, **options}, {"kind": "text/train-bpe", "vocabulary": 4000}, 32, tasks, ["text"])


BERT = {
    "model_type": "bert",
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
}
TABLES = [
    table("security/tabular-mlp", 1024),
    table("security/tabular-resnet", 1024),
    table("security/ft-transformer", 64),
]
TEXTS = [text("text/conv"), text("text/transformer", architecture=BERT)]
METHODS = ["fixed", "random", "uncertainty", "dwa", "gradnorm", "pcgrad", "cagrad", "mgda", "nash-mtl"]


def rows(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, COLUMNS)).astype(np.float32)
    score, number = (x @ rng.normal(size=COLUMNS) + rng.normal(size=count) for _ in range(2))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(COLUMNS)])
    return frame.assign(**{"class": (score > 0).astype(int), "number": number})


def labelled_reports(count: int) -> pd.DataFrame:
    """Those of the template that have both labels."""
    frame = pd.DataFrame(reports(2 * count, 0))
    return frame[frame["label"].notna() & frame["entities"].notna()].head(count).reset_index(drop=True)


class Stepper:
    """A run that is open and takes one step when it is told to."""

    def __init__(
        self, folder: Path, registry: Registry, frame: pd.DataFrame, case: Case, tasks: int, hooks: list[str]
    ) -> None:
        self.batch = case.batch
        config = {
            "data": {"rows": {"split": {"validation": 0, "test": 0}}},
            "backbones": {"net": case.backbone},
            "inputs": {"x": {"columns": case.columns, "processor": case.processor}},
            "tasks": {name: case.tasks[name] for name in list(case.tasks)[:tasks]},
            "hooks": hooks,
            "train": {"batch_size": self.batch, "device": "cpu"},
        }
        self.run = open_run(
            config, data=frame, output=folder, resume=False, seed=None, overrides=(), registry=registry, quiet=True,
            defaults=Defaults(),
        )  # fmt: skip
        self.wrapped, self.frame = prepare(self.run), frame
        self.run.hook.on_fit_start(run=self.run)
        self.run.model.train()

    def step(self, at: int) -> float:
        """Seconds of step number `at`."""
        begin = at * self.batch % (len(self.frame) - self.batch)
        window = [(at, ("rows", np.arange(begin, begin + self.batch)))]
        start = time.perf_counter()
        train_step(self.run, self.wrapped, window)
        self.run.step += 1
        return time.perf_counter() - start


def in_turn(steppers: dict[str, Stepper], steps: int, warm: int = 5) -> dict[str, list[float]]:
    """Seconds of each step by run; every other turn goes backwards, so that no run always follows the same one."""
    times: dict[str, list[float]] = {name: [] for name in steppers}
    for at in range(warm + steps):
        for name in list(steppers) if at % 2 else reversed(list(steppers)):
            taken = steppers[name].step(at)
            if at >= warm:
                times[name].append(taken)
    return times


def line(name: str, times: list[float], beside: list[float]) -> float:
    ratios = sorted(a / b for a, b in zip(times, beside, strict=True))
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"  {name:<34} {1e3 * statistics.median(times):>9.2f} {middle:>9.3f}  [{low:.3f}, {high:.3f}]", flush=True)
    return middle


def second(case: Case, frame: pd.DataFrame, registry: Registry, place: Iterator[Path], steps: int) -> float:
    """Print what a second task costs; the median ratio."""
    times = in_turn({str(n): Stepper(next(place), registry, frame, case, n, []) for n in (1, 2)}, steps)
    line(f"{case.name}, one task", times["1"], times["1"])
    return line(f"  two tasks, batches of {case.batch:,}", times["2"], times["1"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not used: the rows are made here", default=None)
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    steps = 20 if options.quick else 50
    registry = Registry.discover()
    numbers, texts = rows(16_384), labelled_reports(2048)
    print(f"{options.threads} threads, torch {torch.__version__}, {steps} steps each, in turn")
    with tempfile.TemporaryDirectory() as folder:
        place = (Path(folder) / str(n) for n in range(10**6))
        print(f"\ntwo tasks beside one {'ms/step':>23} {'ratio':>9}  middle half")
        cases = [*((case, numbers) for case in TABLES), *((case, texts) for case in TEXTS)]
        worst = max(second(case, frame, registry, place, steps) for case, frame in cases)
        print(f"highest ratio: {worst:.3f} (mark: at most {MARK}): {'reached' if worst <= MARK else 'MISSED'}")
        for case in (TABLES[0], TABLES[2]):
            print(f"\nbalancing two tasks on {case.name}, over fixed weights")
            hooks = {method: [f"core/{method}-balancing"] for method in METHODS}
            steppers = {m: Stepper(next(place), registry, numbers, case, 2, hook) for m, hook in hooks.items()}
            times = in_turn(steppers, steps)
            for method in METHODS:
                line(method, times[method], times["fixed"])
    return int(worst > MARK)


if __name__ == "__main__":
    sys.exit(main())
