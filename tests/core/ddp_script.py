"""Run by torchrun: one global batch over the ranks, then the gradients and a whole training run as files.

torchrun --nproc-per-node 2 ddp_script.py FOLDER
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import jenga_core
import toys
from jenga_core.api import TaskSpec
from jenga_core.builtin.tasks import RegressionTask
from jenga_core.opening import open_run
from jenga_core.registry import Registry
from jenga_core.training import Defaults, prepare, train_step


def config(**train: Any) -> dict[str, Any]:
    return {
        "seed": 1,
        "data": {"rows": {"split": {"validation": 0.2, "test": 0.2}}},
        "backbones": {"net": "toy/dense", "bag": "toy/bag"},
        "inputs": {
            "x": {"columns": ["a", "b"], "processor": "toy/numbers", "backbone": "net"},
            "text": {"columns": ["text"], "processor": "toy/words", "backbone": "bag"},
        },
        "tasks": {
            "place": {"kind": "core/classification", "target": "place"},
            "amount": {"kind": "core/regression", "target": "amount"},
        },
        "train": {
            "epochs": 2,
            "batch_size": 12,
            "accumulate": 2,
            "bootstrap": 0,
            "baselines": False,
            **train,
        },
    }


def frame() -> pd.DataFrame:
    made = toys.words_frame().join(toys.numbers_frame(120)[["a", "b", "amount"]])
    made.loc[made.index % 3 == 1, "text"] = None
    made.loc[made.index % 5 == 0, ["a", "b"]] = np.nan
    made.loc[made.index % 4 == 0, "amount"] = np.nan
    return made


def skewed(run: Any) -> np.ndarray:
    """Rows dealt so that one rank of two never sees a text and the other never sees an amount."""
    rows = run.data.tables["rows"].splits["train"]
    encoded = run.data.tables["rows"]
    text, amount = encoded.inputs["text"].present[rows], encoded.targets["amount"].present[rows]
    first, second = rows[~text][:6], rows[text & ~amount][:6]
    return np.stack([first, second], axis=1).reshape(-1)


class Catch:
    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    @toys.hookimpl
    def on_gradients(self, run: Any) -> None:
        self.seen = {n: None if p.grad is None else p.grad.clone() for n, p in run.model.named_parameters()}


def balance(folder: Path) -> dict[str, Any]:
    """The gradients of a step in which each rank of two has labels of one task only, combined from both, after another step."""
    run = open_run(
        {**config(clip_norm=None), "hooks": ["core/cagrad-balancing"]}, data=frame(), output=folder / "balanced",
        resume=False, seed=None, overrides=(), registry=toys.registry(), quiet=True, defaults=Defaults(),
    )  # fmt: skip
    wrapped, catch = prepare(run), Catch()
    run.hook._manager.register(catch)
    rows = skewed(run)
    train_step(run, wrapped, [(0, ("rows", rows[:1])), (1, ("rows", rows))])
    train_step(run, wrapped, [(2, ("rows", rows))])
    return catch.seen


class Mean(torch.nn.Module):
    """A head without parameters."""

    def forward(self, view: Any, target: Any) -> dict[str, torch.Tensor]:
        return {"value": view.fused.pooled.mean(1, keepdim=True)}


class Level(RegressionTask):
    """A number read off the features: all that learns is in the backbones."""

    def head(self, context: Any) -> torch.nn.Module:
        return Mean()


class LevelPlugin:
    @staticmethod
    @toys.hookimpl
    def jenga_register_tasks() -> list[TaskSpec]:
        config = "jenga_core.builtin.config:RegressionConfig"
        return [TaskSpec(name="level", factory="ddp_script:Level", config=config, summary="l")]


def headless() -> Registry:
    return Registry.of(toy=toys.ToyPlugin, other=LevelPlugin)


def without_heads(folder: Path) -> dict[str, Any]:
    """The gradients of a step of one row, of which the second rank of two has none, in a model whose head has no parameters."""
    tasks = {"level": {"kind": "other/level", "target": "amount"}}
    run = open_run(
        {**config(clip_norm=None), "tasks": tasks}, data=frame(), output=folder / "headless", resume=False, seed=None,
        overrides=(), registry=headless(), quiet=True, defaults=Defaults(),
    )  # fmt: skip
    wrapped, catch = prepare(run), Catch()
    run.hook._manager.register(catch)
    rows = run.train_rows["rows"]
    train_step(run, wrapped, [(0, ("rows", rows[:1]))])
    alone = dict(catch.seen)
    train_step(run, wrapped, [(1, ("rows", rows[:7])), (2, ("rows", rows[:1]))])
    return {**alone, **{f"again.{name}": gradient for name, gradient in catch.seen.items()}}


def note_the_end(folder: Path) -> None:
    """Called behind what Jenga does at the end of the process."""
    left = not torch.distributed.is_initialized()
    (folder / f"ended-{os.environ.get('RANK', '0')}").write_text("left the group" if left else "still in the group")


def main() -> None:
    folder = Path(sys.argv[1])
    atexit.register(note_the_end, folder)
    run = open_run(
        config(clip_norm=None), data=frame(), output=folder / "open", resume=False, seed=None, overrides=(),
        registry=toys.registry(), quiet=True, defaults=Defaults(),
    )  # fmt: skip
    wrapped, catch = prepare(run), Catch()
    run.hook._manager.register(catch)
    rows = skewed(run)
    train_step(run, wrapped, [(0, ("rows", rows))])
    one = dict(catch.seen)
    train_step(
        run, wrapped, [(1, ("rows", rows[:1])), (2, ("rows", rows))]
    )  # the last rank has no row in the first batch
    found = {"first": one, "second": catch.seen, "balanced": balance(folder), "headless": without_heads(folder)}
    if run.rank == 0:
        torch.save(found, folder / "gradients.pt")
    done = jenga_core.train(config(), data=frame(), output=folder / "run", registry=toys.registry(), quiet=True)
    if done.rank == 0:
        torch.save(done.model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    main()
