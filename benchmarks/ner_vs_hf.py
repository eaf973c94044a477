"""Token tasks beside the Hugging Face Trainer: same checkpoint, rows, steps, batch size and learning rate, in one run.

    python benchmarks/ner_vs_hf.py --data FOLDER [--sets masakhaner2_swa atis] [--seeds 0 1 2] [--quick]
                                   [--device cpu|cuda]

As text_vs_hf.py, whose clocks and checkpoint these are. masakhaner2_swa: strict entity F1; the peer is
AutoModelForTokenClassification with labels on first sub-words, DataCollatorForTokenClassification, seqeval in strict mode, and
transformers.pipeline("token-classification") at batch 32. atis: slots and intent in one model; the peer is one encoder with a
layer on its tokens and a layer on their mean, trained on the sum of both losses; it predicts through a pipeline of its own at
batch 32, written as transformers' guide to custom pipelines says. Needs seqeval.

--quick: one seed and few steps, the same number on both sides: it says how fast, and little about how well.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers
from spread import half_width, interval
from text_vs_hf import BATCH, MARK_PREDICT, MARK_TRAIN, RATE, Callback, Clock, Plugin, Watch, minilm

import jenga_core
import jenga_text.plugin
from jenga_core.registry import Registry
from jenga_text.conll import ConllSource
from jenga_text.ner_config import ConllConfig

LENGTH = 128
Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class TokenSet:
    """Whether rows have an intent beside their tags; epochs of a full run, steps and test rows of a quick one."""

    intent: bool
    epochs: int
    quick_steps: int
    quick_rows: int


SETS = {"masakhaner2_swa": TokenSet(False, 5, 12, 192), "atis": TokenSet(True, 4, 20, 893)}


@dataclass(frozen=True)
class Side:
    """Strict entity or slot F1, intent accuracy (NaN where there is none); rows per second of the clock and of the CPU."""

    f1: float
    intent: float
    train: tuple[float, float]
    predict: tuple[float, float]


def read(folder: Path, name: str, quick: bool) -> Frames:
    """Columns text, tokens, tags (lists), and intent where the set has one."""
    reader = _atis if SETS[name].intent else _conll
    frames = reader(folder / name)
    if quick:
        frames = {**frames, **{split: frames[split].head(SETS[name].quick_rows) for split in ("validation", "test")}}
    return frames


def _conll(folder: Path) -> dict[str, pd.DataFrame]:
    source, files = ConllSource(ConllConfig()), {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}
    return {split: pd.concat(source.tables(folder / file, batch_rows=10**6)) for split, file in files.items()}


def _atis(folder: Path) -> dict[str, pd.DataFrame]:
    frames = {}
    for split, part in {"train": "train", "validation": "valid", "test": "test"}.items():
        words, tags, intents = (
            (folder / part / file).read_text(encoding="utf-8").splitlines() for file in ("seq.in", "seq.out", "label")
        )
        cells = {"tokens": [line.split() for line in words], "tags": [line.split() for line in tags]}
        frames[split] = pd.DataFrame({**cells, "intent": [intent.strip() for intent in intents]})
        frames[split]["text"] = [" ".join(row) for row in cells["tokens"]]
    return frames


# ------------------------------------------------------------------ jenga


def ours(chosen: TokenSet, frames: Frames, checkpoint: str, seed: int, steps: int, device: str) -> Side:
    tasks: dict[str, Any] = {"tags": {"kind": "text/ner", "target": "tags", "form": "bio"}}
    if chosen.intent:
        tasks["intent"] = {"kind": "core/classification", "target": "intent", "dropout": 0.1}
    config = {
        "data": {"rows": {}},
        "backbones": {"encoder": {"kind": "text/transformer", "checkpoint": checkpoint}},
        "inputs": {"text": {"columns": ["text"], "processor": {"kind": "text/tokenizer", "max_length": LENGTH}}},
        "tasks": tasks,
        "train": {
            "epochs": -(-steps // -(-len(frames["train"]) // BATCH)), "max_steps": steps, "batch_size": BATCH,
            "learning_rate": RATE, "bootstrap": 0, "baselines": False, "evaluate": {"steps": steps},
            "checkpoint": {"steps": 10**9}, "device": "cpu" if device == "cpu" else "auto",
        },
        "hooks": ["watch/watch"],
    }  # fmt: skip
    registry = Registry.of(text=jenga_text.plugin, watch=Plugin)
    columns = ["text", "tags", *(["intent"] if chosen.intent else [])]
    data = {split: frame[columns] for split, frame in frames.items()}
    with tempfile.TemporaryDirectory() as folder:
        run = jenga_core.train(
            config, data=data, output=f"{folder}/run", seed=seed, registry=registry, quiet=True, report=False
        )
        watch = Watch.last  # loading the folder makes a hook of its own
        rates = watch.steps.rates
        predictor = jenga_core.load(run.folder, registry=registry, device=device)
        texts = frames["test"][["text"]]
        predictor.predict(texts.head(32))
        clock = Clock()
        predictor.predict(texts)
        predicted = clock.rates(len(texts))
    judged = {judgement.task: judgement for judgement in run.judgements}
    intent = float("nan")
    if (
        chosen.intent
    ):  # rows with an intent that training rows lack are not judged: here they count as wrong, as for the peer
        intent = judged["intent"].scores["accuracy"].value * judged["intent"].rows / len(frames["test"])
    return Side(judged["tags"].scores["f1"].value, intent, rates, predicted)


# ------------------------------------------------------------------ hugging face


class Tokenized(torch.utils.data.Dataset):
    """Rows tokenized once; the tag of a word on its first sub-word, -100 on all else."""

    def __init__(self, tokenizer: Any, frame: pd.DataFrame, tags: Sequence[str], intents: Sequence[str]) -> None:
        found = tokenizer(frame["tokens"].tolist(), is_split_into_words=True, truncation=True, max_length=LENGTH)
        self.rows: list[dict[str, Any]] = []
        self.first: list[list[int]] = []  # places of first sub-words
        for at, words in enumerate(frame["tags"]):
            ids = found.word_ids(at)
            first = [w is not None and w != before for w, before in zip(ids, [None, *ids], strict=False)]
            labels = [_number(tags, words[w]) if new else -100 for w, new in zip(ids, first, strict=True)]
            self.first.append([place for place, new in enumerate(first) if new])
            row = {**{key: column[at] for key, column in found.items()}, "labels": labels}
            if intents:
                row["intent"] = _number(intents, frame["intent"].iloc[at])
            self.rows.append(row)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return dict(self.rows[at])


def _number(names: Sequence[str], name: str) -> int:
    """-100, which no loss counts, for what training rows lack."""
    return names.index(name) if name in names else -100


class Joint(transformers.BertPreTrainedModel):
    """One encoder, one layer for the tags, one for the intent."""

    def __init__(self, checkpoint: str, tags: Sequence[str], intents: Sequence[str]) -> None:
        encoder = transformers.AutoModel.from_pretrained(checkpoint, dtype=torch.float32)
        encoder.config.id2label = dict(enumerate(tags))
        super().__init__(encoder.config)
        self.encoder, self.dropout = encoder, torch.nn.Dropout(0.1)
        width = encoder.config.hidden_size
        self.tags, self.intents = torch.nn.Linear(width, len(tags)), torch.nn.Linear(width, len(intents))

    def forward(self, attention_mask: torch.Tensor, labels: Any = None, intent: Any = None, **data: Any) -> Any:
        hidden = self.encoder(attention_mask=attention_mask, **data).last_hidden_state
        real = attention_mask[:, :, None].to(hidden.dtype)
        mean = (hidden * real).sum(1) / real.sum(1)
        tags, intents = self.tags(self.dropout(hidden)), self.intents(self.dropout(mean))
        if labels is None:
            return {"logits": tags, "intents": intents}
        loss = torch.nn.functional.cross_entropy(tags.flatten(0, 1), labels.flatten())
        return {"loss": loss + torch.nn.functional.cross_entropy(intents, intent), "tags": tags, "intents": intents}


def theirs(chosen: TokenSet, frames: Frames, checkpoint: str, seed: int, steps: int, device: str) -> Side:
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    tags = sorted({tag for row in frames["train"]["tags"] for tag in row})
    intents = sorted(frames["train"]["intent"].unique()) if chosen.intent else []
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    rows = {
        split: Tokenized(tokenizer, frame, tags, intents) for split, frame in frames.items() if split != "validation"
    }
    transformers.set_seed(seed)
    model: Any = Joint(checkpoint, tags, intents) if chosen.intent else _tagger(checkpoint, tags)
    watch = Callback(steps)
    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=BATCH, per_device_eval_batch_size=4 * BATCH, max_steps=steps,
            learning_rate=RATE, weight_decay=0.01, lr_scheduler_type="linear", warmup_steps=0, max_grad_norm=1.0,
            seed=seed, save_strategy="no", eval_strategy="no", logging_strategy="no", report_to="none",
            disable_tqdm=True, label_names=["labels", "intent"] if intents else ["labels"], remove_unused_columns=False,
            use_cpu=device == "cpu",
        )  # fmt: skip
        trainer = transformers.Trainer(
            model=model, args=settings, train_dataset=rows["train"], callbacks=[watch],
            data_collator=transformers.DataCollatorForTokenClassification(tokenizer),
        )  # fmt: skip
        trainer.train()
        scores = trainer.predict(rows["test"]).predictions
    scores, decided = scores if intents else (scores, None)
    truth, guess = frames["test"]["tags"].tolist(), []
    for row, first, words in zip(scores, rows["test"].first, truth, strict=True):
        said = [tags[k] for k in row.argmax(-1)[first]]
        guess.append(said + ["O"] * (len(words) - len(said)))  # words behind the cut
    f1 = f1_score(truth, guess, mode="strict", scheme=IOB2, zero_division=0)
    pipe = JointPipeline(model.eval(), tokenizer, intents) if intents else _pipeline(model.eval(), tokenizer)
    texts = frames["test"]["text"].tolist()
    pipe(texts[:32])
    clock = Clock()
    pipe(texts)
    predicted = clock.rates(len(texts))
    if decided is None:
        return Side(float(f1), float("nan"), watch.steps.rates, predicted)
    right = np.mean([intents[k] == true for k, true in zip(decided.argmax(-1), frames["test"]["intent"], strict=True)])
    return Side(float(f1), float(right), watch.steps.rates, predicted)


def _tagger(checkpoint: str, tags: Sequence[str]) -> Any:
    return transformers.AutoModelForTokenClassification.from_pretrained(
        checkpoint, num_labels=len(tags), id2label=dict(enumerate(tags)), dtype=torch.float32
    )


def _pipeline(model: Any, tokenizer: Any) -> Any:
    return transformers.pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", batch_size=32,
        device=model.device,
    )  # fmt: skip


class JointPipeline(transformers.TokenClassificationPipeline):
    """Text -> its slots as the token-classification pipeline gives them, words with offsets, and its intent."""

    def __init__(self, model: Any, tokenizer: Any, intents: Sequence[str]) -> None:
        super().__init__(
            model=model, tokenizer=tokenizer, aggregation_strategy="simple", batch_size=32, device=model.device
        )
        self.intents = intents

    def check_model_type(self, supported: Any) -> None:
        """`Joint` is in none of transformers' lists."""

    def _forward(self, model_inputs: Any) -> Any:
        kept = {
            name: model_inputs.pop(name) for name in ("special_tokens_mask", "offset_mapping", "sentence", "is_last")
        }
        return {**kept, **self.model(**model_inputs), **model_inputs}

    def postprocess(self, all_outputs: Any, **options: Any) -> Any:
        intent = int(all_outputs[0]["intents"][0].argmax())
        return {"slots": super().postprocess(all_outputs, **options), "intent": self.intents[intent]}


# ------------------------------------------------------------------ the comparison


def main() -> int:
    options = arguments()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    checkpoint = str(options.checkpoint or minilm())
    reached = True
    for name in options.sets:
        chosen, frames = SETS[name], read(Path(options.data), name, options.quick)
        steps = chosen.quick_steps if options.quick else chosen.epochs * -(-len(frames["train"]) // BATCH)
        found: dict[str, list[Side]] = {"jenga": [], "hugging face": []}
        for at, seed in enumerate(options.seeds):
            sides: list[tuple[str, Callable[..., Side]]] = [("jenga", ours), ("hugging face", theirs)]
            for side, run in sides if at % 2 else reversed(sides):
                found[side].append(run(chosen, frames, checkpoint, seed, steps, options.device))
                print(f"{name}, seed {seed}, {side}: {found[side][-1]}", file=sys.stderr, flush=True)
        reached = (
            show(f"{name} on {options.device}: {steps} steps of {BATCH}, {len(frames['test'])} test rows", found)
            and reached
        )
    return int(not reached and not options.quick)


def show(title: str, found: Mapping[str, Sequence[Side]]) -> bool:
    """Print the table of one set; whether the marks of speed and equal quality were reached."""
    print(f"\n{title}, {len(found['jenga'])} seed(s)\n")
    print(
        f"{'':14}{'F1':>16}{'intent':>16}{'train rows/s':>22}{'rows/CPU s':>22}{'predict rows/s':>22}{'rows/CPU s':>22}"
    )
    for side, runs in found.items():
        speeds = [[getattr(r, key)[i] for r in runs] for key in ("train", "predict") for i in (0, 1)]
        quality = "".join(f"{interval(values, 3):>16}" for values in ([r.f1 for r in runs], [r.intent for r in runs]))
        print(f"{side:14}{quality}" + "".join(f"{interval(values, 3):>22}" for values in speeds))
    pairs = list(zip(found["jenga"], found["hugging face"], strict=True))
    ratios = [[getattr(a, k)[i] / getattr(b, k)[i] for a, b in pairs] for k in ("train", "predict") for i in (0, 1)]
    print(f"{'ratio':14}{'':32}" + "".join(f"{interval(values, 3):>22}" for values in ratios))
    met = {"training 1.5x": np.mean(ratios[0]) >= MARK_TRAIN, "prediction 2x": np.mean(ratios[2]) >= MARK_PREDICT}
    for name, key in (("F1", "f1"), ("intent", "intent")):
        better = [getattr(a, key) - getattr(b, key) for a, b in pairs]
        if not np.isnan(better).any():
            print(f"{name} difference, seed by seed: {interval(better, 3)}")
            met[name] = np.mean(better) + (half_width(better) if len(better) > 1 else 0.0) >= 0
    print("marks: " + ", ".join(f"{mark} {'reached' if ok else 'MISSED'}" for mark, ok in met.items()), flush=True)
    return bool(all(met.values()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("JENGA_BENCH_DATA"), help="folder of the sets")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--checkpoint", help="another encoder that both sides start from: a name or a folder")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where both sides compute")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps")
    options = parser.parse_args()
    if not options.data or not Path(options.data).is_dir():
        parser.error("give --data FOLDER, or set JENGA_BENCH_DATA")
    if options.quick:
        options.seeds = options.seeds[:1]
    return options


if __name__ == "__main__":
    sys.exit(main())
