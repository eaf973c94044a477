"""How soon networks with new weights learn to classify texts: `text/conv` and `text/recurrent` after 1, 2 and 4 epochs.

    python benchmarks/text_scratch.py --data FOLDER [--sets sms_spam afrisenti_swa phishing-email] [--seeds 0 1 2] [--quick]

FOLDER (or JENGA_BENCH_DATA) holds a folder per set: sms_spam/SMSSpamCollection (texts that occur twice count once; 20 % test)
and afrisenti_swa/{train,test}.tsv as they come; phishing-email is the template's, synthetic, 20 % test. Each network is as
small, reads pieces of words or words, and learns at the rate (here constant) that the how-to page and the templates have;
batches of 32. The tenth of the training rows that Jenga sets aside for validation is not learned from and chooses nothing
here: the test rows are looked at after each epoch. Beside them the baselines of every report, learned from the same rows: the
majority, and a logistic regression on TF-IDF. A seed decides weights, order and the rows set aside, and the test rows of the
sets that come in one piece.

Prints the mean of macro F1 over the seeds with the half width of its 95 % t interval, and the CPU seconds of an epoch.
--quick: one seed, one epoch, 600 rows.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from spread import interval

import jenga_core
import jenga_text.plugin
from jenga_core.api import TrainerHookSpec, hookimpl
from jenga_core.config import ComponentConfig
from jenga_core.registry import Registry
from jenga_core.scoring import metrics_of, score
from jenga_text.examples.phishing_email import ROWS, emails

BATCH, EPOCHS = 32, (1, 2, 4)
METRIC = "f1_macro"
SMALL = {"embedding": 24, "hidden": 48, "dropout": 0.3, "pooling": "max"}
# processor, options and learning rate as the how-to page and the templates have them
NETWORKS: Mapping[str, tuple[str, Mapping[str, Any], float]] = {
    "text/conv": ("text/train-bpe", {"width": 64, "depth": 2}, 2e-3),
    "text/recurrent": ("text/words", SMALL, 4e-3),
}
Frames = Mapping[str, pd.DataFrame]  # by split: a column "label", and columns of text


class Curve:
    """A loop hook: test scores and CPU seconds of each epoch. `last` is that of the newest run."""

    last: Curve

    def __init__(self, config: ComponentConfig) -> None:
        Curve.last, self.scores, self.seconds = self, list[float](), list[float]()

    @hookimpl
    def on_epoch_start(self) -> None:
        self.began = time.process_time()

    @hookimpl
    def on_epoch_end(self, run: Any) -> None:
        self.seconds.append(time.process_time() - self.began)
        rows = run.data.tables["rows"].labelled("label", "test")
        scored = score(run.model, run.data, "rows", rows, run.place, labels=True)
        run.model.train()
        self.scores.append(metrics_of(run.data, {"rows": scored}, "test", run.weights)[f"label.{METRIC}"])


class Plugin:
    @staticmethod
    @hookimpl
    def jenga_register_trainer_hooks() -> list[TrainerHookSpec]:
        config = "jenga_core.config:ComponentConfig"
        return [TrainerHookSpec(name="curve", factory=f"{__name__}:Curve", config=config, summary="scores epochs")]


# ------------------------------------------------------------------ the rows


def sms(folder: Path, seed: int) -> Frames:
    lines = (folder / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").split("\n")
    rows = pd.DataFrame([line.split("\t", 1) for line in lines if line], columns=["label", "text"])
    return _parted(rows.drop_duplicates("text"), seed)


def tweets(folder: Path, seed: int) -> Frames:
    return {
        split: pd.read_csv(folder / "afrisenti_swa" / f"{split}.tsv", sep="\t", quoting=3)
        for split in ("train", "test")
    }


def mails(folder: Path, seed: int) -> Frames:
    return _parted(pd.DataFrame(emails(ROWS, 7)), seed)


def _parted(rows: pd.DataFrame, seed: int) -> Frames:
    test = rows.groupby("label").sample(frac=0.2, random_state=seed).index
    return {"train": rows.drop(index=test), "test": rows.loc[test]}


SETS: Mapping[str, Callable[[Path, int], Frames]] = {
    "sms_spam": sms,
    "afrisenti_swa": tweets,
    "phishing-email": mails,
}


# ------------------------------------------------------------------ one run and the table


def trained(frames: Frames, network: str, seed: int, epochs: int, *, baselines: bool) -> Any:
    processor, more, rate = NETWORKS[network]
    config = {
        "data": {"rows": {}},
        "backbones": {"encoder": {"kind": network, **more}},
        "inputs": {"text": {"columns": [*frames["train"].columns.drop("label")], "processor": processor}},
        "tasks": {"label": {"kind": "core/classification", "target": "label"}},
        "train": {
            "epochs": epochs, "batch_size": BATCH, "learning_rate": rate, "schedule": "constant", "device": "cpu",
            "bootstrap": 0, "baselines": baselines, "checkpoint": {"steps": 10**9},
        },
        "hooks": ["curve/curve"],
    }  # fmt: skip
    registry = Registry.of(text=jenga_text.plugin, curve=Plugin)
    with tempfile.TemporaryDirectory() as folder:
        return jenga_core.train(
            config, data=dict(frames), output=f"{folder}/run", seed=seed, registry=registry, quiet=True, report=False
        )


def main() -> None:
    options = arguments()
    for name in options.sets:
        found: dict[str, list[list[float]]] = {}
        seconds: dict[str, list[float]] = {}
        for seed in options.seeds:
            frames = SETS[name](Path(options.data), seed)
            if options.quick:
                frames = {
                    split: rows.sample(n=min(600, len(rows)), random_state=seed) for split, rows in frames.items()
                }
            for network in NETWORKS:
                first = network == next(iter(NETWORKS))
                run = trained(frames, network, seed, options.epochs[-1], baselines=first)
                found.setdefault(network, []).append([Curve.last.scores[at - 1] for at in options.epochs])
                seconds.setdefault(network, []).extend(Curve.last.seconds)
                print(f"{name}, seed {seed}, {network}: {found[network][-1]}", file=sys.stderr, flush=True)
                for baseline, scores in run.judgements[0].baselines.items():
                    found.setdefault(baseline, []).append([scores[METRIC].value])
        show(name, frames, found, seconds, options)


def show(
    name: str, frames: Frames, found: Mapping[str, list[list[float]]], seconds: Mapping[str, list[float]],
    options: argparse.Namespace,
) -> None:  # fmt: skip
    train, test = (len(frames[split]) for split in ("train", "test"))
    seeds = ", ".join(map(str, options.seeds))
    print(f"\n{name}: {train:,} training rows, a tenth set aside, {test:,} to test; macro F1; seeds {seeds}")
    heads = [f"{at} epoch{'s' if at > 1 else ''}" for at in options.epochs]
    print(f"{'':44}" + "".join(f"{head:>18}" for head in [*heads, "seconds an epoch"]))
    for model, runs in found.items():
        cells = [interval(values, 3) for values in zip(*runs, strict=True)]
        if model in seconds:
            cells.append(f"{np.mean(seconds[model]):.0f}")
        print(f"{model:44}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help="folder of the sets")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch, 600 rows: does it run at all")
    options = parser.parse_args()
    files = {"sms_spam": "sms_spam/SMSSpamCollection", "afrisenti_swa": "afrisenti_swa/train.tsv"}
    for name in options.sets:
        if name in files and not (options.data and (Path(options.data) / files[name]).exists()):
            parser.error(f"give --data FOLDER with {files[name]}, or set JENGA_BENCH_DATA")
    options.data, options.epochs = options.data or "", EPOCHS
    if options.quick:
        options.seeds, options.epochs = options.seeds[:1], EPOCHS[:1]
    return options


if __name__ == "__main__":
    main()
