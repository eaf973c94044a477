"""What a second task over the same rows costs, and what each way of balancing tasks costs.

    python benchmarks/multitask.py [--quick] [--threads 2]

A step is what `jenga_core.training` does for one: rows to tensors, one forward pass, losses, backward, clipping, optimizer,
hooks. All runs of a table are open in one process and take one step each in turn, on the same rows in the same order; each
step is divided by the step of the run that it is compared with, taken in the same turn, so that other work on the machine
weighs on both. Printed: the median of these ratios, and the middle half of them.

Rows: 41 numbers made with a seed; the tasks are a class and a number, both labelled in every row. No score is claimed here.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads make small loops erratic

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from jenga_core.opening import open_run
from jenga_core.registry import Registry
from jenga_core.training import Defaults, prepare, train_step

COLUMNS, MARK = 41, 1.15
TASKS: dict[str, dict[str, Any]] = {
    "class": {"kind": "core/classification", "target": "class"},
    "number": {"kind": "core/regression", "target": "number"},
}
# options of the backbone, rows of a batch
BACKBONES: dict[str, tuple[dict[str, Any], int]] = {
    "security/tabular-mlp": ({}, 1024),
    "security/tabular-resnet": ({}, 1024),
    "security/ft-transformer": ({}, 64),
}
METHODS = ["fixed", "random", "uncertainty", "dwa", "gradnorm", "pcgrad", "cagrad", "mgda", "nash-mtl"]


def rows(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, COLUMNS)).astype(np.float32)
    score, number = (x @ rng.normal(size=COLUMNS) + rng.normal(size=count) for _ in range(2))
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(COLUMNS)])
    return frame.assign(**{"class": (score > 0).astype(int), "number": number})


class Stepper:
    """A run that is open and takes one step when it is told to."""

    def __init__(
        self, folder: Path, registry: Registry, frame: pd.DataFrame, backbone: str, tasks: list[str], hooks: list[str]
    ) -> None:
        options, self.batch = BACKBONES[backbone]
        config = {
            "data": {"rows": {"split": {"validation": 0, "test": 0}}},
            "backbones": {"net": {"kind": backbone, **options}},
            "inputs": {"x": {"columns": [f"x{i}" for i in range(COLUMNS)], "processor": "security/table"}},
            "tasks": {name: TASKS[name] for name in tasks},
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not used: the rows are made here", default=None)
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    steps = 20 if options.quick else 50
    registry = Registry.of(security=__import__("jenga_security.plugin", fromlist=["plugin"]))
    frame = rows(16_384)
    print(f"{COLUMNS} columns, {options.threads} threads, torch {torch.__version__}, {steps} steps each, in turn")
    with tempfile.TemporaryDirectory() as folder:
        place = (Path(folder) / str(n) for n in range(10**6))
        print(f"\ntwo tasks beside one {'ms/step':>23} {'ratio':>9}  middle half")
        worst = 0.0
        for backbone in BACKBONES:
            runs = {n: Stepper(next(place), registry, frame, backbone, list(TASKS)[:n], []) for n in (1, 2)}
            times = in_turn({str(n): run for n, run in runs.items()}, steps)
            size = f", batches of {runs[1].batch:,}"
            line(f"{backbone}, one task", times["1"], times["1"])
            worst = max(worst, line(f"  two tasks{size}", times["2"], times["1"]))
        print(f"highest ratio: {worst:.3f} (mark: at most {MARK})")
        for backbone in ("security/tabular-mlp", "security/ft-transformer"):
            print(f"\nbalancing two tasks on {backbone}, over fixed weights")
            steppers = {
                m: Stepper(next(place), registry, frame, backbone, list(TASKS), [f"core/{m}-balancing"])
                for m in METHODS
            }
            times = in_turn(steppers, steps)
            for method in METHODS:
                line(method, times[method], times["fixed"])


if __name__ == "__main__":
    main()
