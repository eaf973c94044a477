"""Kill a run with SIGKILL at random moments, resume it, and compare its weights with those of a run left alone.

    python benchmarks/resume.py [--kills 10] [--seed 0] [--quick]

The run is the template network-threats through the command line, with dropout, gradient accumulation (the last window of an
epoch is smaller), a cosine schedule with warm-up, early stopping and averaged weights. One run is killed again and again, each
time at a random moment after it has begun to step, until it has been killed often enough; then it may finish.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETTINGS = [
    "train.epochs=12",
    "train.accumulate=3",
    "train.batch_size=64",
    "train.schedule={kind: cosine, warmup_steps: 5}",
    "train.checkpoint={steps: 5}",
    "train.evaluate={steps: 20}",
    "train.log_every=1",
    "train.baselines=false",
    "train.bootstrap=0",
    "train.device=cpu",
    "hooks=[{kind: core/early-stopping, patience: 100}, {kind: core/ema, decay: 0.99}]",
]


def command(config: Path, output: Path, *extra: str) -> list[str]:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    return [sys.executable, "-m", "jenga_core.cli", "train", str(config), "--output", str(output), *settings, *extra]


def start(words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    return subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def weights(output: Path) -> str:
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest()


def steps(output: Path) -> int:
    """Lines of the log, which grows by one with every step."""
    log = output / "log.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def kill_while_it_steps(process: subprocess.Popen[str], output: Path, draw: random.Random) -> bool:
    """True when it was killed, False when it finished first."""
    before, more = steps(output), draw.randrange(1, 25)
    while process.poll() is None and not before < steps(output):
        time.sleep(0.001)  # until this process has begun to write, a resume that cuts the log included
        before = min(before, steps(output))
    aim = steps(output) + more
    while process.poll() is None and steps(output) < aim:
        time.sleep(0.0005)
    time.sleep(draw.random() * 0.01)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def resumed_at(err: str) -> str:
    return next((line.split(" (")[0] for line in err.splitlines() if line.startswith("resumed at")), "from the start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="not used: the rows are made here", default=None)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--quick", action="store_true", help="three kills")
    options = parser.parse_args()
    wanted, draw = 3 if options.quick else options.kills, random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [
            sys.executable,
            "-m",
            "jenga_core.cli",
            "init",
            "network-threats",
            str(folder / "made"),
            "--rows",
            "4000",
        ]
        subprocess.run(made, check=True, capture_output=True)
        config = folder / "made" / "config.yaml"
        process = start(command(config, folder / "straight"))
        _, err = process.communicate()
        assert process.returncode == 0, err
        print(f"left alone: {steps(folder / 'straight')} lines of log, weights {weights(folder / 'straight')[:16]}")
        print(f"{'kill':>5} {'lines of log then':>18}")
        killed = 0
        while killed < wanted:
            output = folder / "killed"
            extra = ["--resume"] if (output / "log.jsonl").exists() else []
            if not kill_while_it_steps(start(command(config, output, *extra)), output, draw):
                raise SystemExit(f"the run finished after {killed} kills: give it more epochs")
            killed += 1
            print(f"{killed:>5} {steps(output):>18}", flush=True)
        process = start(command(config, output, "--resume"))
        _, err = process.communicate()
        assert process.returncode == 0, err
        same = weights(output) == weights(folder / "straight")
        print(
            f"after {killed} kills, {resumed_at(err)}: weights {weights(output)[:16]}, {'EQUAL' if same else 'DIFFERENT'}"
        )
        raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
