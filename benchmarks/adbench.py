"""ADBench, anomalies without labels: the default of security/outlier beside an isolation forest, and PyOD's own table.

    python benchmarks/adbench.py --data FOLDER [--seeds 0 1 2] [--quick] [--sets 2_annthyroid ...] [--set train.epochs=5]
    python benchmarks/adbench.py --data FOLDER --pyod            (needs pip install 'jenga-security[pyod]')

FOLDER (or JENGA_BENCH_DATA, itself or its adbench_a/) holds the .npz files of ADBench (Han et al. 2022) and published/.

First form: the paper's protocol. A stratified 70/30 split and min-max scaling on the training rows; training rows hold the
anomalies that they hold, and no label is used. The options are those of adbench.yaml, the same for every set. The
detector's members were chosen on the sets of odd position in the list (CHOSEN_ON) and the other half confirms them; their votes
were set on CHOSEN_ON too, but after a run over all sets had been seen. The isolation forest is
scikit-learn's with its defaults, on all training rows. Prints ROC-AUC and average precision: the mean over the seeds and
the half width of its 95 % t interval.

Second form: the KNN column of PyOD's table (60/40 splits of seeds 0 to 9, z-scores by training rows, k = 5, the largest
distance), published beside ours, which proves splits and metrics.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from spread import interval

import jenga_core
from jenga_core.contracts import Classical
from jenga_security.outliers.pyod import Pyod, require_pyod

HERE = Path(__file__).parent
CHOSEN_ON = ("2_annthyroid", "12_fault", "18_Ionosphere", "25_musk", "28_pendigits", "35_SpamBase", "42_WBC")
PYOD_SPLITS = 10
METRICS = {"ROC-AUC": roc_auc_score, "AP": average_precision_score}
OURS, FOREST = "jenga", "isolation forest"
Found = Mapping[tuple[str, str, str], Sequence[float]]  # (set, model, metric) -> a value per seed


def main() -> int:
    options = arguments()
    if options.pyod:
        return pyod_table(options)
    found: dict[tuple[str, str, str], list[float]] = {}
    for name in options.sets:
        for seed in options.seeds:
            for (model, metric), value in compared(options, name, seed).items():
                found.setdefault((name, model, metric), []).append(value)
        print(f"{name} done", file=sys.stderr)
    show(found, options.sets, options.seeds)
    if options.quick:
        return 0
    missed = [m for m in METRICS if overall(found, options.sets, OURS, m) <= overall(found, options.sets, FOREST, m)]
    print(
        f"\nthe mark is a mean above the isolation forest's: {'MISSED in ' + ', '.join(missed) if missed else 'reached'}"
    )
    return int(bool(missed))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help="folder of the .npz files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", help="names of files without .npz; default: all")
    parser.add_argument("--quick", action="store_true", help="two sets, one seed, one epoch: does it run at all")
    parser.add_argument("--pyod", action="store_true", help="PyOD's KNN column instead")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override the configuration")
    options = parser.parse_args()
    if not options.data:
        parser.error("give --data FOLDER, or set JENGA_BENCH_DATA")
    places = [Path(options.data), Path(options.data) / "adbench_a"]
    options.data = next((place.resolve() for place in places if list(place.glob("*.npz"))), None)
    if options.data is None:
        parser.error(f"{places[0]} holds no .npz file")
    names = sorted((file.stem for file in options.data.glob("*.npz")), key=lambda name: int(name.split("_")[0]))
    options.sets = options.sets or names
    if unknown := [name for name in options.sets if name not in names]:
        parser.error(f"no set {unknown[0]!r} among {', '.join(names)}")
    if options.pyod:
        require_pyod(["KNN"])
    if options.quick:
        options.seeds, options.sets = options.seeds[:1], options.sets[:2]
        options.set.append("train.epochs=1")
    return options


def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        return file["X"].astype(np.float64), file["y"].astype(np.int64)


def compared(options: argparse.Namespace, name: str, seed: int) -> dict[tuple[str, str], float]:
    """(model, metric) -> value on the test rows of one split."""
    x, y = read(options.data, name)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y)
    low, high = train_x.min(axis=0), train_x.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    train_x, test_x = (train_x - low) / width, (test_x - low) / width
    forest = IsolationForest(random_state=seed).fit(train_x)
    scores = {
        OURS: outlier_scores(options, seed, framed(train_x, train_y), framed(test_x, test_y)),
        FOREST: -forest.score_samples(test_x),
    }
    return {(model, metric): f(test_y, score) for model, score in scores.items() for metric, f in METRICS.items()}


def framed(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(x, columns=[f"x{at}" for at in range(x.shape[1])]).assign(label=y)


def outlier_scores(options: argparse.Namespace, seed: int, train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Train, and score the test rows from the model folder."""
    with tempfile.TemporaryDirectory() as folder:
        run = jenga_core.train(
            HERE / "adbench.yaml",
            data={"rows": {"train": train, "test": test}},
            output=Path(folder) / "run",
            seed=seed,
            overrides=options.set,
            quiet=True,
            report=False,
        )
        scores = jenga_core.load(run.folder).predict(test.drop(columns="label"))["odd.score"].to_numpy(np.float64)
        if abs(run.judgements[0].scores["roc_auc"].value - roc_auc_score(test["label"], scores)) > 1e-9:
            raise SystemExit("the model folder predicts otherwise than the run did")
        return scores


def overall(found: Found, names: Sequence[str], model: str, metric: str) -> float:
    return float(np.mean([found[name, model, metric] for name in names]))


def show(found: Found, names: Sequence[str], seeds: Sequence[int]) -> None:
    print(
        f"ADBench, {len(names)} sets, mean over seeds {', '.join(map(str, seeds))} and half width of its 95 % t interval\n"
    )
    columns = [(model, metric) for metric in METRICS for model in (OURS, FOREST)]
    print(f"{'':24}" + "".join(f"{f'{model} {metric}':>27}" for model, metric in columns))
    for name in names:
        print(f"{name:24}" + "".join(f"{interval(found[name, *column]):>27}" for column in columns))
    halves = {"mean": names, "mean, chosen on these": [n for n in names if n in CHOSEN_ON],
              "mean, confirmed on these": [n for n in names if n not in CHOSEN_ON]}  # fmt: skip
    for title, part in halves.items():
        if part:
            rows = [interval(np.mean([found[name, *column] for name in part], axis=0)) for column in columns]
            print(f"{title:24}" + "".join(f"{value:>27}" for value in rows))


def pyod_table(options: argparse.Namespace) -> int:
    """PyOD's published KNN column beside ours; 1 when a set of the same shape differs in the fourth decimal."""
    files = {"ROC-AUC": "pyod_roc.csv", "precision@n": "pyod_precision_at_n.csv"}
    published = {metric: pd.read_csv(options.data / "published" / file, index_col=0) for metric, file in files.items()}
    shapes = published["ROC-AUC"]
    print(f"KNN, mean over {PYOD_SPLITS} splits\n\n{'':12}{'rows x columns':>16}{'PyOD had':>12}", end="")
    print("".join(f"{metric + what:>23}" for metric in files for what in (" published", " ours", " difference")))
    differ = 0
    for name in options.sets:
        key = name.split("_")[1].lower()
        if key not in shapes.index:
            continue
        x, y = read(options.data, name)
        there = (int(shapes["#Samples"][key]), int(shapes["# Dimensions"][key]))
        line = f"{key:12}{f'{x.shape[0]} x {x.shape[1]}':>16}{f'{there[0]} x {there[1]}':>12}"
        for metric, value in knn(x, y).items():
            before = float(published[metric]["KNN"][key])
            line += f"{before:>23.4f}{value:>23.4f}{value - before:>23.4f}"
            differ += there == x.shape and round(abs(value - before), 4) > 0
        print(line)
    same = "each set of the same shape agrees to 4 decimals" if not differ else f"{differ} numbers DIFFER"
    print(f"\n{same}; ADBench's copies of glass and ionosphere lack columns that PyOD's had")
    return int(differ > 0)


def knn(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """PyOD's protocol, with the detector as jenga-security[pyod] runs it: values of a split are rounded before the mean."""
    found: dict[str, list[float]] = {"ROC-AUC": [], "precision@n": []}
    for split in range(PYOD_SPLITS):
        state = np.random.RandomState(split)
        train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.4, random_state=state)
        mean, deviation = train_x.mean(axis=0), train_x.std(axis=0)
        deviation[deviation == 0] = 1
        detector = Pyod("KNN", split)
        detector.fit(Classical((train_x - mean) / deviation), train_y)
        scores = detector.raw(Classical((test_x - mean) / deviation))
        top = scores > np.percentile(scores, 100 * (1 - test_y.mean()))
        found["ROC-AUC"].append(round(roc_auc_score(test_y, scores), 4))
        found["precision@n"].append(round(precision_score(test_y, top, zero_division=0), 4))
    return {metric: float(np.round(np.mean(values), 4)) for metric, values in found.items()}


if __name__ == "__main__":
    sys.exit(main())
