"""Run by the tests in processes of its own: trains the toy run of a JSON file, can be killed or made to fail anywhere.

    python train_script.py OPTIONS.json

Options: config, data ("numbers" | "multimodal" | path of a parquet file), output, resume, kill_at (optimizer step at which
the process kills itself with SIGKILL), signal_at (step at which the first rank gets SIGTERM), pause ("data" or "step": the
process says "here" on its standard output before it loads the data or takes its first step, and goes on at the end of its
standard input).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import pandas as pd

import jenga_core
import toys
from jenga_core import opening, training


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        options: dict[str, Any] = json.load(file)
    kill_at = options.get("kill_at")
    if kill_at is not None:
        _arm(kill_at)
    if "signal_at" in options:
        _signal(options["signal_at"])
    if "pause" in options:
        _pause(*{"data": (opening, "load_tables"), "step": (training, "train_step")}[options["pause"]])
    data = pd.read_parquet(options["data"])
    run = jenga_core.train(
        options["config"],
        data=data,
        output=options["output"],
        resume=options.get("resume", False),
        registry=toys.registry(),
        quiet=options.get("quiet", False),
    )
    print(json.dumps({"step": run.step, "stop": run.stop}))


def _pause(module: Any, name: str) -> None:
    """Wait in the first call of that function."""
    real = getattr(module, name)

    def paused(*arguments: Any, **named: Any) -> Any:
        setattr(module, name, real)
        print("here", flush=True)
        sys.stdin.read()
        return real(*arguments, **named)

    setattr(module, name, paused)


def _signal(step: int) -> None:
    """SIGTERM to the first rank alone, in the middle of optimizer step `step`; every process goes on for a moment."""
    real = training.train_step

    def signalled(run: Any, wrapped: Any, window: Any) -> Any:
        if run.step + 1 == step and run.rank == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(run, wrapped, window)

    training.train_step = signalled


def _arm(kill_at: int) -> None:
    """SIGKILL right after optimizer step `kill_at`, before anything of that step is logged or saved."""
    step = training.train_step

    def deadly(run: Any, wrapped: Any, window: Any) -> Any:
        losses = step(run, wrapped, window)
        if run.step + 1 == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return losses

    training.train_step = deadly


if __name__ == "__main__":
    main()
