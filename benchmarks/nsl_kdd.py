"""NSL-KDD, attack or normal, trained on the official 20 % file and judged on the official KDDTest+.

    python benchmarks/nsl_kdd.py --data FOLDER [--seeds 0 1 2] [--quick] [--set train.epochs=20]

FOLDER (or JENGA_BENCH_DATA, itself or its nsl_kdd/) holds KDDTrain+_20Percent.txt and KDDTest+.txt. Everything is in
nsl_kdd.yaml. Gradient boosting is scikit-learn's, with its defaults, on the same features and the same validation rows. No
setting was chosen on test rows; every threshold is chosen on validation rows, or is 0.5. A seed decides the validation rows,
the weights and the order. Prints the mean over the seeds and the half width of the 95 % t interval of that mean.

The mark: accuracy above 77.41 %, which Tavallaee et al. 2009 report for a multilayer perceptron trained on the same file.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t as student

import jenga_core
from jenga_core.builtin.metrics import BinaryMetrics
from jenga_core.run import Run
from jenga_security.thresholds import conformal

HERE = Path(__file__).parent
FILES = {"train": "KDDTrain+_20Percent.txt", "test": "KDDTest+.txt"}
TABLE, INPUT, TASK = "connections", "connection", "attack"
COLUMNS = ("accuracy", "average_precision", "roc_auc", "false_positive_rate", "recall")
MARK = 0.7741
Scores = Mapping[str, float]


def main() -> int:
    options = arguments()
    found: dict[str, list[Scores]] = {}
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            run = train(options, seed, Path(folder) / "run")
            for name, scores in judged(run).items():
                found.setdefault(name, []).append(scores)
            print(f"seed {seed}: accuracy {found['jenga, 1 % target'][-1]['accuracy']:.4f}", file=sys.stderr)
    show(found, options.seeds)
    if options.quick:
        return 0
    mean = float(np.mean([scores["accuracy"] for scores in found["jenga, 1 % target"]]))
    print(f"\naccuracy {mean:.4f}, the mark is above {MARK}: {'reached' if mean > MARK else 'MISSED'}")
    return int(mean <= MARK)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help="folder of the two files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch: does it run at all")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override the configuration")
    options = parser.parse_args()
    if not options.data:
        parser.error("give --data FOLDER, or set JENGA_BENCH_DATA")
    places = [Path(options.data), Path(options.data) / "nsl_kdd"]
    options.data = next((place.resolve() for place in places if (place / FILES["train"]).exists()), None)
    if options.data is None:
        parser.error(f"{places[0]} holds no {FILES['train']}")
    if options.quick:
        options.seeds = options.seeds[:1]
        options.set.append("train.epochs=1")
    return options


def train(options: argparse.Namespace, seed: int, folder: Path) -> Run:
    paths = [f"data.{TABLE}.path.{split}={options.data / name}" for split, name in FILES.items()]
    overrides = [*paths, "train.bootstrap=0", *options.set]
    return jenga_core.train(HERE / "nsl_kdd.yaml", output=folder, seed=seed, overrides=overrides, quiet=True)


def judged(run: Run) -> dict[str, Scores]:
    """Each model's metrics on the test rows: what the run's report says, and both models under both rules of alerting."""
    table, reported = run.data.tables[TABLE], run.judgements[0]
    rows = {split: table.labelled(TASK, split) for split in ("train", "validation", "test")}
    y = {split: np.asarray(table.targets[TASK].columns["y"])[at] for split, at in rows.items()}
    predictor = jenga_core.load(run.folder)
    frame = run.tables[TABLE].frame
    ours = {
        s: predictor.predict(frame.iloc[rows[s]])[f"{TASK}.score"].to_numpy(np.float32) for s in ("validation", "test")
    }
    boosted = boosting(run, rows, y)
    made = {"jenga, 1 % target": {metric: score.value for metric, score in reported.scores.items()}}
    for name, scores in (("jenga", ours), ("gradient boosting", boosted)):
        threshold = conformal(scores["validation"][y["validation"] == 0], 0.01)
        for rule, at in (("1 % target", threshold), ("at 0.5", 0.5)):
            output = {"score": scores["test"], "flag": scores["test"] >= at}
            fresh = BinaryMetrics().compute(output, {"y": y["test"]})
            before = made.setdefault(f"{name}, {rule}", fresh)
            if abs(before["accuracy"] - fresh["accuracy"]) > 1e-12:
                raise SystemExit("the model folder predicts otherwise than the run did")
    made["majority"] = {metric: score.value for metric, score in reported.baselines["majority"].items()}
    return made


def boosting(run: Run, rows: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores of scikit-learn's HistGradientBoostingClassifier on the features that the network sees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    processor, encoded = run.data.parts.processors[INPUT], run.data.tables[TABLE].inputs[INPUT]
    features = {split: processor.classical(encoded, at) for split, at in rows.items()}
    model = HistGradientBoostingClassifier(
        categorical_features=features["train"].categorical, random_state=run.config.seed
    )
    model.fit(features["train"].matrix, y["train"])
    return {s: model.predict_proba(features[s].matrix)[:, 1].astype(np.float32) for s in ("validation", "test")}


def show(found: Mapping[str, Sequence[Scores]], seeds: Sequence[int]) -> None:
    print(f"KDDTest+, mean over seeds {', '.join(map(str, seeds))} and half width of its 95 % t interval\n")
    print(f"{'':28}" + "".join(f"{column:>22}" for column in COLUMNS))
    for name, runs in found.items():
        print(f"{name:28}" + "".join(f"{interval([r[column] for r in runs]):>22}" for column in COLUMNS))
    print(f"\npublished multilayer perceptron, same training file: accuracy {MARK:.4f} (Tavallaee et al. 2009)")


def interval(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.4f} ± {half:.4f}"


if __name__ == "__main__":
    sys.exit(main())
