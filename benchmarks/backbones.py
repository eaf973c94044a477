"""The backbones of jenga-security beside each other: the same rows, features, epochs, batches and learning rates.

    python benchmarks/backbones.py [--data FOLDER] [--seeds 0 1 2] [--sets claims ...] [--quick]

FOLDER (or JENGA_BENCH_DATA, itself or its vehicle_claim_fraud/) holds fraud_oracle.csv; without it `claims` is left out.
Each backbone has its default options, AdamW with a cosine from RATE and the same epochs, of which the best by average
precision on validation rows counts, never a test row. Gradient boosting is scikit-learn's, as the report has it,
on the same features (over windows: the row, and mean and deviation over the window). A seed decides the weights and the
order, of `claims` also the validation rows; a template's rows are the same for every seed. Prints the mean over the seeds and
the half width of the 95 % t interval of that mean.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from spread import interval

import jenga_core
from jenga_security.examples.flows import flows
from jenga_security.examples.hosts import metrics
from jenga_security.examples.transactions import transactions

FILE = "fraud_oracle.csv"
TABLES: Mapping[str, Mapping[str, Any]] = {
    "tabular-mlp": {"kind": "security/tabular-mlp", "numbers": "plain"},
    "tabular-mlp, piecewise": {"kind": "security/tabular-mlp", "numbers": "piecewise"},
    "tabular-mlp, periodic": {"kind": "security/tabular-mlp", "numbers": "periodic"},
    "tabular-resnet": {"kind": "security/tabular-resnet"},
    "ft-transformer": {"kind": "security/ft-transformer"},
    "tabm, plain": {"kind": "security/tabm", "numbers": "plain"},
    "tabm, piecewise": {"kind": "security/tabm", "numbers": "piecewise"},
}
WINDOWS: Mapping[str, Mapping[str, Any]] = {
    name: {"kind": f"security/{name}"} for name in ("gru", "lstm", "causal-transformer")
}
RATE = 2e-3
BATCH = 256
METRICS = ("average_precision", "roc_auc")
COLUMNS = ("validation", *METRICS, "parameters", "seconds")


@dataclass(frozen=True, slots=True)
class Setting:
    """Rows by split, and how they are read: columns (none: all but the label), the processor, the backbones to try."""

    frames: Mapping[str, pd.DataFrame]
    columns: Sequence[str] | None
    processor: Mapping[str, Any]
    target: str
    normal: str | int
    backbones: Mapping[str, Mapping[str, Any]]
    epochs: int


def main() -> int:
    options = arguments()
    for name in options.sets:
        found: dict[str, list[Mapping[str, float]]] = {}
        for seed in options.seeds:
            setting = SETTINGS[name](options, seed)
            setting = replace(setting, epochs=1) if options.quick else setting
            chosen = {n: b for n, b in setting.backbones.items() if not options.backbones or n in options.backbones}
            for kind, backbone in chosen.items():
                last = kind == list(chosen)[-1]
                scores, beside = judged(setting, backbone, seed, baselines=last)
                found.setdefault(kind, []).append(scores)
                for baseline, values in beside.items():
                    found.setdefault(baseline, []).append(values)
                print(f"{name}, seed {seed}, {kind}: {scores['average_precision']:.4f}", file=sys.stderr)
        show(name, setting, found, options.seeds)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help=f"folder of {FILE}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--backbones", nargs="+", metavar="NAME", help="only these, named as in the table")
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch, few rows: does it run at all")
    options = parser.parse_args()
    places = [Path(options.data), Path(options.data) / "vehicle_claim_fraud"] if options.data else []
    options.claims = next((place / FILE for place in places if (place / FILE).exists()), None)
    if options.data and options.claims is None:
        parser.error(f"{places[0]} holds no {FILE}")
    if options.claims is None and "claims" in options.sets:
        print("without --data FOLDER: `claims` is left out", file=sys.stderr)
        options.sets.remove("claims")
    if options.quick:
        options.seeds = options.seeds[:1]
    return options


# ------------------------------------------------------------------ the rows


def by_time(frame: pd.DataFrame, border: str) -> dict[str, pd.DataFrame]:
    """The oldest 70 %, the next 15 and the newest 15; rows of one time of `border` stay together."""
    first, second = (frame[border].iloc[int(len(frame) * share)] for share in (0.7, 0.85))
    return {
        "train": frame[frame[border] < first],
        "validation": frame[(frame[border] >= first) & (frame[border] < second)],
        "test": frame[frame[border] >= second],
    }


def _threats(options: argparse.Namespace, seed: int) -> Setting:
    columns = ["packet_size", "port", "protocol", "duration", "request_count", "bytes_sent", "bytes_received"]
    frames = by_time(flows(4000 if options.quick else 20_000, 7), "started")
    processor = {"kind": "security/table", "categorical": ["port"]}
    return Setting(frames, columns, processor, "label", "benign", TABLES, 10)


def _fraud(options: argparse.Namespace, seed: int) -> Setting:
    frames = by_time(transactions(4000 if options.quick else 40_000, 7), "made_at")
    frames = {name: frame.drop(columns=["made_at", "account"]) for name, frame in frames.items()}
    processor = {"kind": "security/table", "max_categories": 256}
    return Setting(frames, None, processor, "label", "legitimate", TABLES, 10)


def _claims(options: argparse.Namespace, seed: int) -> Setting:
    """Claims of 1994 and 1995 train, those of 1996 test; 15 % of the earlier ones, drawn evenly by class, validate."""
    claims = pd.read_csv(options.claims).drop(columns="PolicyNumber")
    early, test = (
        claims[claims["Year"] < 1996].drop(columns="Year"),
        claims[claims["Year"] == 1996].drop(columns="Year"),
    )
    held = early.groupby("FraudFound_P").sample(frac=0.15, random_state=seed).index
    frames = {"train": early.drop(index=held), "validation": early.loc[held], "test": test}
    words = [*claims.select_dtypes(exclude="number").columns]  # some hold ranges: 1, "2 to 4", "more than 4"
    processor = {"kind": "security/table", "categorical": words}
    return Setting(frames, None, processor, "FraudFound_P", 0, TABLES, 10)


def _rows(options: argparse.Namespace, seed: int) -> Setting:
    """Metrics of hosts, each row on its own."""
    frames = by_time(metrics(4000 if options.quick else 46_080, 7), "at")
    columns = ["cpu_usage", "memory_usage", "disk_io", "error_rate"]
    return Setting(
        frames, columns, {"kind": "security/table"}, "label", "normal", {"tabular-mlp": TABLES["tabular-mlp"]}, 6
    )


def _windows(options: argparse.Namespace, seed: int) -> Setting:
    """The same rows, each with the 15 of its host before it."""
    rows = _rows(options, seed)
    processor = {"kind": "security/window", "group": "host", "time": "at", "length": 16}
    columns = ["at", "host", *(rows.columns or ())]
    return Setting(rows.frames, columns, processor, "label", "normal", WINDOWS, 6)


SETTINGS = {
    "network-threats": _threats,
    "transaction-fraud": _fraud,
    "claims": _claims,
    "aiops-rows": _rows,
    "aiops-windows": _windows,
}


# ------------------------------------------------------------------ one run and the table


def judged(
    setting: Setting, backbone: Mapping[str, Any], seed: int, *, baselines: bool
) -> tuple[Mapping[str, float], dict[str, Mapping[str, float]]]:
    """Test scores of one training, its size and its time, and the scores of the baselines."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run = jenga_core.train(
            _config(setting, backbone, baselines),
            data=dict(setting.frames), output=Path(folder) / "run", seed=seed, quiet=True, report=False,
        )  # fmt: skip
        seconds = time.perf_counter() - began - _judging(run.folder)
    judgement = run.judgements[0]
    scores = {name: judgement.scores[name].value for name in METRICS}
    scores |= {
        "validation": float((run.best or {})["value"]),
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "seconds": seconds,
    }
    beside = judgement.baselines
    return scores, {n: {m: beside[n][m].value for m in METRICS} for n in beside if n != "majority"}


def _judging(folder: Path) -> float:
    """Seconds that a run spent behind its training, most of them on baselines."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return float(next(e for e in map(json.loads, reversed(lines)) if e["event"] == "end")["seconds_judging"])


def _config(setting: Setting, backbone: Mapping[str, Any], baselines: bool) -> dict[str, Any]:
    features = {"columns": list(setting.columns)} if setting.columns else {}
    return {
        "data": {"rows": {}},
        "inputs": {"row": {**features, "processor": dict(setting.processor)}},
        "backbones": {"row": dict(backbone)},
        "tasks": {"attack": {"kind": "security/anomaly", "target": setting.target, "normal": setting.normal}},
        "train": {
            "epochs": setting.epochs,
            "batch_size": BATCH,
            "learning_rate": RATE,
            "schedule": "cosine",
            "monitor": "attack.average_precision",
            "bootstrap": 0,
            "baselines": baselines,
        },
    }


def show(name: str, setting: Setting, found: Mapping[str, Sequence[Mapping[str, float]]], seeds: Sequence[int]) -> None:
    test = setting.frames["test"]
    share = float((test[setting.target] != setting.normal).mean())
    print(f"\n{name}: {len(setting.frames['train']):,} rows to train on, {len(test):,} to test, {share:.1%} of them attacks; "
          f"{setting.epochs} epochs; seeds {', '.join(map(str, seeds))}")  # fmt: skip
    print(f"{'':26}" + "".join(f"{column:>20}" for column in COLUMNS))
    for model, runs in found.items():
        cells = [interval([r[column] for r in runs]) if column in runs[0] else "" for column in COLUMNS[:3]]
        cells += (
            [f"{runs[0]['parameters']:,}", f"{np.mean([r['seconds'] for r in runs]):.0f}"]
            if "seconds" in runs[0]
            else []
        )
        print(f"{model:26}" + "".join(f"{cell:>20}" for cell in cells))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
