"""SMD and NAB, anomalies in series without labels: security/outlier over windows beside an isolation forest.

    python benchmarks/smd_nab.py --data FOLDER [--seeds 0 1 2] [--quick] [--set train.epochs=10]

FOLDER (or JENGA_BENCH_DATA) holds smd/ (Su et al. 2019; the machines that lie in train/) and nab/ (Lavin and Ahmad 2015).

A row is judged by its window of 16 rows. SMD: the official halves. NAB: the first 15 % of a series, its probationary
period, is for learning, the rest is judged; a row within a labelled window is an anomaly; a series without an anomaly in
the part that is judged is left out and counted. Of the learning part the last fifth (NAB: third) gives the ranks, and the
threshold is the score of one in a hundred (NAB, whose parts are short: one in twenty) of its rows.

The isolation forest is scikit-learn's with its defaults on the same rows, with the row's numbers, and their mean and
deviation over the same window; its scores are ranked and its threshold set on the same rows by the same rule. F1 and
average precision count points, without point adjustment. "rolling" is F1 with the threshold following the ROLLING newest
rows, without labels, under the assumption that at most a tenth of rows are anomalies, for both alike. No setting was tried
on test rows. Prints means over the seeds and the half width of their 95 % t interval.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from spread import interval

import jenga_core
from jenga_core.scoring import classical
from jenga_security.outliers.baselines import Forest, Ranked
from jenga_security.rolling import RollingThreshold

HERE = Path(__file__).parent
PROBATION = 0.15
ROLLING, PART, ANOMALIES = 1000, 100, 0.1  # rows remembered, rows between two looks, the most that are anomalies
METRICS = ("average_precision", "f1", "f1, rolling", "roc_auc", "false_positive_rate")
OURS, FOREST = "jenga", "isolation forest"
Splits = Mapping[str, pd.DataFrame]


def main() -> int:
    options = arguments()
    for title, series, overrides in (
        ("SMD", list(smd(options.data / "smd")), []),
        ("NAB", list(nab(options.data / "nab")), ["tasks.odd.threshold=0.95"]),
    ):
        kept = [(name, splits) for name, splits in series if splits["test"]["label"].nunique() == 2]
        left = len(series) - len(kept)
        kept = kept[:2] if options.quick else kept
        found: dict[str, list[dict[str, float]]] = {OURS: [], FOREST: []}
        for seed in options.seeds:
            each = [judged(splits, seed, [*overrides, *options.set]) for _, splits in kept]
            for model in found:
                found[model].append({m: float(np.mean([values[model][m] for values in each])) for m in METRICS})
            print(f"{title}, seed {seed} done", file=sys.stderr)
        show(title, found, len(kept), left, options.seeds)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help="folder that holds smd/ and nab/")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="two series each, one seed, one epoch: does it run at all")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override the configuration")
    options = parser.parse_args()
    if not options.data:
        parser.error("give --data FOLDER, or set JENGA_BENCH_DATA")
    options.data = Path(options.data).resolve()
    for name in ("smd/train", "nab/data"):
        if not (options.data / name).is_dir():
            parser.error(f"{options.data} holds no {name}")
    if options.quick:
        options.seeds = options.seeds[:1]
        options.set.append("train.epochs=1")
    return options


def smd(folder: Path) -> Iterator[tuple[str, Splits]]:
    """(machine, splits): the columns m0, m1, ... and label."""
    for file in sorted((folder / "train").glob("*.txt*")):
        machine = file.name.split(".")[0]
        train, test = (
            pd.read_csv(folder / part / file.name, header=None).add_prefix("m") for part in ("train", "test")
        )
        labels = np.loadtxt(folder / "test_label" / f"{machine}.txt", dtype=np.int64)
        cut = round(len(train) * 0.8)
        train = train.assign(label=0)
        yield machine, {"train": train[:cut], "validation": train[cut:], "test": test.assign(label=labels)}


def nab(folder: Path) -> Iterator[tuple[str, Splits]]:
    """(series, splits): the columns value and label."""
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    for file in sorted((folder / "data").glob("*/*.csv")):
        table = pd.read_csv(file, parse_dates=["timestamp"])
        label = np.zeros(len(table), dtype=np.int64)
        for begin, end in windows[f"{file.parent.name}/{file.name}"]:
            label[table["timestamp"].between(pd.Timestamp(begin), pd.Timestamp(end))] = 1
        rows = table[["value"]].assign(label=label)
        learned = round(len(rows) * PROBATION)
        cut = round(learned * 2 / 3)
        yield file.stem, {"train": rows[:cut], "validation": rows[cut:learned], "test": rows[learned:]}


def judged(splits: Splits, seed: int, overrides: Sequence[str]) -> dict[str, dict[str, float]]:
    """model -> metric -> value on the test rows of one series."""
    with tempfile.TemporaryDirectory() as folder:
        run = jenga_core.train(
            HERE / "smd_nab.yaml", data={"series": dict(splits)}, output=Path(folder) / "run", seed=seed,
            overrides=list(overrides), quiet=True, report=False,
        )  # fmt: skip
        predictor = jenga_core.load(run.folder)
        ours = {s: predictor.predict(splits[s])["odd.score"].to_numpy(np.float32) for s in ("validation", "test")}
    task, table = run.data.parts.tasks["odd"], run.data.tables["series"]
    features = {s: classical(run.data, "series", rows) for s, rows in table.splits.items()}
    forest = Ranked(Forest(seed), task.alerts, told=np.zeros_like)
    forest.fit(features["train"], {"y": splits["train"]["label"].to_numpy()})
    held = forest.predict(features["validation"], len(splits["validation"]))
    forest.calibrate(held, {"y": splits["validation"]["label"].to_numpy()})
    theirs = {s: forest.predict(features[s], len(splits[s]))["score"] for s in ("validation", "test")}
    y = splits["test"]["label"].to_numpy()
    made = {OURS: measured(ours, y, task.alerts.threshold), FOREST: measured(theirs, y, forest.threshold)}
    if abs(made[OURS]["average_precision"] - run.judgements[0].scores["average_precision"].value) > 1e-6:
        raise SystemExit("the model folder predicts otherwise than the run did")
    return made


def measured(scores: Mapping[str, np.ndarray], y: np.ndarray, threshold: float) -> dict[str, float]:
    """F1 without any alert counts as 0."""
    test = scores["test"]
    flags = test >= np.float32(threshold)
    rolling = RollingThreshold(1 - threshold, floor=threshold, window=ROLLING, attacks=ANOMALIES)
    rolling.update(scores["validation"])
    followed = np.zeros(len(test), dtype=bool)
    for at in range(0, len(test), PART):
        part = slice(at, at + PART)
        followed[part] = test[part] >= np.float32(rolling.threshold)
        rolling.update(test[part])
    return {
        "average_precision": float(average_precision_score(y, test)),
        "f1": float(f1_score(y, flags, zero_division=0)),
        "f1, rolling": float(f1_score(y, followed, zero_division=0)),
        "roc_auc": float(roc_auc_score(y, test)),
        "false_positive_rate": float(flags[y == 0].mean()),
    }


def show(
    title: str, found: Mapping[str, Sequence[Mapping[str, float]]], kept: int, left: int, seeds: Sequence[int]
) -> None:
    without = f" ({left} left out: no anomaly in the part that is judged)" if left else ""
    print(f"\n{title}, {kept} series{without}, seeds {', '.join(map(str, seeds))}, points without adjustment\n")
    print(f"{'':20}" + "".join(f"{metric:>24}" for metric in METRICS))
    for model, runs in found.items():
        print(f"{model:20}" + "".join(f"{interval([run[metric] for run in runs]):>24}" for metric in METRICS))


if __name__ == "__main__":
    sys.exit(main())
