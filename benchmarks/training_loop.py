"""What the training loop costs over a hand-written PyTorch loop.

    python benchmarks/training_loop.py [--quick] [--width 256 --depth 3] [--threads 2]

Both sides train the same network from the same weights with the same optimizer, schedule, clipping and batch size on the
same rows: 25,000 x 41 numbers, two classes, batches of 1,024. The hand-written side indexes tensors that lie in memory; the
Jenga side is `jenga_core.train` with its hooks, log, finite checks and row plan. Epochs of the two sides alternate between
repetitions of one process, and the ratio is formed pair by pair. Numbers are made with a seed; no score is claimed here.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for both sides: spinning threads make small loops erratic

import argparse
import itertools
import statistics
import sys
import tempfile
import time

import numpy as np
import pandas as pd
import torch

import jenga_core
from jenga_core.api import TrainerHookSpec, hookimpl
from jenga_core.config import ComponentConfig
from jenga_core.registry import Registry

ROWS, COLUMNS, BATCH, RATE = 25_000, 41, 1_024, 1e-3
MARK = 1.10  # of our time over that of the loop written by hand


class EpochTimes:
    """Seconds from one epoch's start to the next one's: everything that the loop does in between."""

    starts: list[float] = []

    def __init__(self, config: ComponentConfig) -> None:
        EpochTimes.starts = []

    @hookimpl
    def on_epoch_start(self) -> None:
        EpochTimes.starts.append(time.perf_counter())


class Plugin:
    @staticmethod
    @hookimpl
    def jenga_register_trainer_hooks() -> list[TrainerHookSpec]:
        here = __name__
        return [
            TrainerHookSpec(
                name="times", factory=f"{here}:EpochTimes", config="jenga_core.config:ComponentConfig", summary="times"
            )
        ]


def make(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    y = (x @ rng.normal(size=COLUMNS) + rng.normal(size=ROWS) * 3 > 0).astype(int)
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(COLUMNS)]).assign(y=y)


def jenga(
    frame: pd.DataFrame, shape: dict[str, int], epochs: int, registry: Registry
) -> tuple[list[float], jenga_core.Run]:
    config = {
        "data": {"rows": {"split": {"validation": 0, "test": 0}}},
        "backbones": {"mlp": {"kind": "security/tabular-mlp", **shape}},
        "inputs": {"x": {"processor": "security/table"}},
        "tasks": {"y": {"kind": "core/classification", "target": "y"}},
        "train": {
            "epochs": epochs + 1,
            "batch_size": BATCH,
            "learning_rate": RATE,
            "checkpoint": {"epochs": 10**6},
            "evaluate": {"epochs": 10**6},
            "baselines": False,
            "device": "cpu",
        },
        "hooks": ["bench/times"],
    }
    with tempfile.TemporaryDirectory() as folder:
        run = jenga_core.train(config, data=frame, output=folder + "/run", registry=registry, quiet=True)
    return [b - a for a, b in itertools.pairwise(EpochTimes.starts)], run


def by_hand(run: jenga_core.Run, epochs: int) -> list[float]:
    """The same network, trained as one would write it without a framework."""
    table = run.data.tables["rows"]
    x = torch.from_numpy(np.ascontiguousarray(table.inputs["x"].columns["numbers"]))
    categories = torch.from_numpy(np.ascontiguousarray(table.inputs["x"].columns["categories"]))
    frame = run.tables["rows"].frame
    y = torch.from_numpy(frame["y"].to_numpy().astype(np.int64))
    backbone, head = run.model.backbones["mlp"], run.model.heads["y"]
    linear = next(m for m in head.modules() if isinstance(m, torch.nn.Linear))
    for module in (backbone, linear):
        for part in module.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
    parameters = [*backbone.parameters(), *linear.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, fused=True)
    total = (epochs + 1) * -(-len(y) // BATCH)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)
    backbone.train()
    starts = []
    for _ in range(epochs + 1):
        starts.append(time.perf_counter())
        order = torch.randperm(len(y))
        for rows in order.split(BATCH):
            logits = linear(backbone(numbers=x[rows], categories=categories[rows]).pooled)
            loss = torch.nn.functional.cross_entropy(logits, y[rows])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
    return [b - a for a, b in itertools.pairwise(starts)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not used: the rows are made here", default=None)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--width", type=int, default=256, help="units per layer of the MLP (the backbone's default)")
    parser.add_argument("--depth", type=int, default=3, help="layers of the MLP (the backbone's default)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    registry = Registry.of(security=__import__("jenga_security.plugin", fromlist=["plugin"]), bench=Plugin)
    frame = make()
    print(
        f"{ROWS:,} rows x {COLUMNS} columns, batches of {BATCH:,}, {options.threads} threads, torch {torch.__version__}"
    )
    print(f"MLP of {options.depth} x {options.width}; the medians of 10 epochs, by hand and Jenga in turn")
    print(f"{'pair':>6} {'by hand ms/epoch':>18} {'Jenga ms/epoch':>16} {'ratio':>8}")
    ratios = []
    for pair in range(3 if options.quick else 7):
        times, run = jenga(frame, {"width": options.width, "depth": options.depth}, 10, registry)
        ours, bare = statistics.median(times), statistics.median(by_hand(run, 10))
        ratios.append(ours / bare)
        print(f"{pair + 1:>6} {1e3 * bare:>18.1f} {1e3 * ours:>16.1f} {ratios[-1]:>8.3f}", flush=True)
    middle = statistics.median(ratios)
    print(f"ratio: median {middle:.3f}, lowest {min(ratios):.3f}, highest {max(ratios):.3f} (mark: at most {MARK})")
    return int(middle > MARK and not options.quick)


if __name__ == "__main__":
    sys.exit(main())
