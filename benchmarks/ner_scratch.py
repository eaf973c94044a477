"""Named entities without a checkpoint: masakhaner2_swa (Kiswahili), strict entity F1 on the test sentences.

    python benchmarks/ner_scratch.py --data FOLDER [--seeds 0 1 2] [--quick]

FOLDER (or JENGA_BENCH_DATA) holds masakhaner2_swa/{train,dev,test}.txt. Words by their spelling, an LSTM in both directions and
a CRF, all learned from the 6,593 training sentences; the dev sentences choose the epoch. MARK is the score of a CRF with
features made by hand on the same files. Prints each seed's F1 with its bootstrap interval and the time of training, and the
mean with the half width of the 95 % t interval over the seeds. --quick: one seed, two epochs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

import jenga_core
import jenga_text.plugin
from jenga_core.registry import Registry

MARK = 0.8835
SPLITS = {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}


def config(folder: Path, epochs: int) -> dict[str, Any]:
    return {
        "data": {"news": {"path": {k: str(folder / v) for k, v in SPLITS.items()}, "source": "text/conll"}},
        "backbones": {"encoder": {"kind": "text/recurrent"}},
        "inputs": {"text": {"columns": ["text"], "processor": "text/words"}},
        "tasks": {"ner": {"kind": "text/ner", "target": "entities", "crf": True, "dropout": 0.3}},
        "train": {
            "epochs": epochs, "batch_size": 16, "learning_rate": 0.002, "monitor": "ner.f1", "baselines": False,
            "schedule": {"kind": "cosine", "warmup_ratio": 0.05}, "bootstrap": 100,
        },
    }  # fmt: skip


def main() -> int:
    options = arguments()
    registry, found = Registry.of(text=jenga_text.plugin), []
    print(f"{'seed':6}{'F1':>10}{'95 % interval':>20}{'precision':>12}{'recall':>10}{'minutes':>10}{'CPU minutes':>14}")
    for seed in options.seeds:
        wall, cpu = time.perf_counter(), time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            chosen = config(Path(options.data) / "masakhaner2_swa", 2 if options.quick else 12)
            run = jenga_core.train(
                chosen, output=f"{folder}/run", seed=seed, registry=registry, quiet=True, report=False
            )
        minutes = (time.perf_counter() - wall) / 60, (time.process_time() - cpu) / 60
        scores = run.judgements[0].scores
        f1, precision, recall = (scores[name] for name in ("f1", "precision", "recall"))
        bounds = f"{f1.low:.4f} to {f1.high:.4f}"
        print(f"{seed:<6}{f1.value:>10.4f}{bounds:>20}{precision.value:>12.4f}{recall.value:>10.4f}", end="")
        print(f"{minutes[0]:>10.1f}{minutes[1]:>14.1f}", flush=True)
        found.append(f1.value)
    reached = float(np.mean(found)) > MARK
    half = (
        float(student.ppf(0.975, len(found) - 1) * np.std(found, ddof=1) / np.sqrt(len(found))) if found[1:] else None
    )
    mean = f"mean F1 {np.mean(found):.4f}" + ("" if half is None else f" ± {half:.4f}")
    print(f"{mean}; the CRF with hand-made features: {MARK:.4f}, {'reached' if reached else 'MISSED'}")
    return int(not reached and not options.quick)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help="folder of the sets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="one seed, two epochs")
    options = parser.parse_args()
    if not options.data or not (Path(options.data) / "masakhaner2_swa" / "train.txt").exists():
        parser.error("give --data FOLDER with masakhaner2_swa/train.txt, or set JENGA_BENCH_DATA")
    if options.quick:
        options.seeds = options.seeds[:1]
    return options


if __name__ == "__main__":
    sys.exit(main())
