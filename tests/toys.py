"""A toy plugin for the tests of the core: numbers and words, two small backbones, a task with a target per token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import nn

from jenga_core.api import BackboneSpec, ProcessorSpec, TaskSpec, TrainerHookSpec, hookimpl
from jenga_core.config import ComponentConfig, TargetConfig
from jenga_core.contracts import Backbone, Encoded, Features, Processor, Ragged, Task
from jenga_core.registry import Registry


class NumbersConfig(ComponentConfig):
    """No options."""


class Numbers(Processor):
    """Standardised numbers; a row that lacks any of them lacks the input."""

    def __init__(self, config: Any, backbone_config: Any = None) -> None:
        self.mean: list[float] = []
        self.scale: list[float] = []

    def fit(self, cells: pd.DataFrame) -> None:
        values = cells.to_numpy(dtype=np.float64)
        self.mean = np.nanmean(values, axis=0).tolist()
        self.scale = (np.nanstd(values, axis=0) + 1e-8).tolist()

    def encode(self, cells: pd.DataFrame) -> Encoded:
        values = (cells.to_numpy(dtype=np.float64) - self.mean) / self.scale
        present = np.isfinite(values).all(axis=1)
        return Encoded({"x": np.where(present[:, None], values, 0).astype(np.float32)}, present)

    def collate(self, encoded: Encoded, rows: Any, purpose: str, rng: Any) -> dict[str, torch.Tensor]:
        return {"x": torch.from_numpy(encoded.columns["x"][rows])}

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "scale": self.scale}

    def restore(self, state: Any) -> None:
        self.mean, self.scale = state["mean"], state["scale"]

    def facts(self) -> dict[str, Any]:
        return {"width": len(self.mean)}


class Words(Processor):
    """Words by white space, numbered in order of first sight; 0 is padding, 1 unknown. A null text lacks the input."""

    def __init__(self, config: Any, backbone_config: Any = None) -> None:
        self.vocabulary: list[str] = []

    def fit(self, cells: pd.DataFrame) -> None:
        words = (w for text in cells.iloc[:, 0].dropna() for w in str(text).split())
        self.vocabulary = list(dict.fromkeys(words))

    def encode(self, cells: pd.DataFrame) -> Encoded:
        numbers = {w: i + 2 for i, w in enumerate(self.vocabulary)}
        texts = cells.iloc[:, 0]
        present = texts.notna().to_numpy()
        ids = Ragged.of(
            [
                [numbers.get(w, 1) for w in str(t).split()] if here else []
                for t, here in zip(texts, present, strict=True)
            ],
            dtype=np.int64,
        )
        return Encoded({"ids": ids}, present & (ids.lengths() > 0), lengths=ids.lengths())

    def collate(self, encoded: Encoded, rows: Any, purpose: str, rng: Any) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(encoded.columns["ids"].padded(rows))
        return {"ids": ids, "mask": ids != 0}

    def state(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary}

    def restore(self, state: Any) -> None:
        self.vocabulary = state["vocabulary"]

    def facts(self) -> dict[str, Any]:
        return {"vocabulary": len(self.vocabulary) + 2}


class WidthConfig(ComponentConfig):
    width: int = Field(default=8, ge=1, description="units")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share dropped")


class Dense(nn.Module, Backbone):
    calls = 0

    def __init__(self, config: WidthConfig, facts: Any, saved: Any = None) -> None:
        super().__init__()
        self.out_dim = config.width
        self.net = nn.Sequential(nn.Linear(facts["width"], config.width), nn.Tanh(), nn.Dropout(config.dropout))

    def forward(self, x: torch.Tensor) -> Features:
        Dense.calls += 1
        return Features.of_pooled(self.net(x))


class Bag(nn.Module, Backbone):
    calls = 0

    def __init__(self, config: WidthConfig, facts: Any, saved: Any = None) -> None:
        super().__init__()
        self.out_dim = config.width
        self.embed = nn.Embedding(facts["vocabulary"], config.width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> Features:
        Bag.calls += 1
        tokens = self.drop(torch.tanh(self.embed(ids))) * mask[..., None]
        pooled = tokens.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return Features(tokens, mask, pooled)


class TagsConfig(TargetConfig):
    input: str = Field(description="the input whose tokens are tagged")


class _TagHead(nn.Module):
    def __init__(self, name: str, dim: int, tags: int) -> None:
        super().__init__()
        self.name, self.out = name, nn.Linear(dim, tags)

    def forward(self, view: Any, target: Any) -> dict[str, torch.Tensor]:
        features = view.of(self.name)
        if target is None:
            logits = self.out(features.tokens)
            return {"probability": logits.float().softmax(-1), "lengths": features.mask.sum(1)}
        return {"logits": self.out(features.tokens[target["row"], target["pos"]])}


class TagMetrics:
    directions = {"accuracy": "max"}

    def compute(self, output: Any, target: Any) -> dict[str, float]:
        found = np.concatenate(
            [output["probability"].take(np.array([i])).values.argmax(-1) for i in range(len(target["y"]))]
        )
        return {"accuracy": float((found == target["y"].values).mean())}

    def figures(self, output: Any, target: Any) -> list[Any]:
        return []


class Tags(Task):
    """One tag per word, given as words in a column; targets travel as (row, pos, y) triples."""

    fuse = False

    def __init__(self, config: TagsConfig) -> None:
        self.config, self.tags = config, []

    def fit(self, cells: pd.DataFrame) -> None:
        self.tags = sorted({t for text in cells[self.config.target].dropna() for t in text.split()})

    def state(self) -> dict[str, Any]:
        return {"tags": self.tags}

    def restore(self, state: Any) -> None:
        self.tags = state["tags"]

    def encode(self, cells: pd.DataFrame, inputs: Any) -> Encoded:
        texts = cells[self.config.target]
        present = texts.notna().to_numpy() & inputs[self.config.input].present
        rows = [[self.tags.index(t) for t in text.split()] if p else [] for text, p in zip(texts, present, strict=True)]
        return Encoded({"y": Ragged.of(rows, dtype=np.int64)}, present)

    def collate(self, encoded: Encoded, rows: Any, inputs: Any) -> tuple[dict[str, torch.Tensor], float]:
        row, pos, y = (torch.from_numpy(a) for a in encoded.columns["y"].flat(rows))
        return {"row": row, "pos": pos, "y": y}, float(len(y))

    def head(self, context: Any) -> nn.Module:
        return _TagHead(self.config.input, context.dims[self.config.input], len(self.tags))

    def loss(self, output: Any, target: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(output["logits"], target["y"], reduction="sum")

    def decode(self, output: Any, rows: Any, inputs: Any) -> pd.DataFrame:
        ragged = output["probability"]
        best = Ragged(ragged.values.argmax(-1), ragged.starts)
        lines = [" ".join(self.tags[i] for i in best.take(np.array([n])).values) for n in range(len(best))]
        return pd.DataFrame({"tags": lines})

    def metrics(self) -> TagMetrics:
        return TagMetrics()


class Probe:
    """Remembers every event of the last run; with `fail_at`, raises there."""

    events: list[str] = []

    def __init__(self, config: ProbeConfig) -> None:
        self.config = config
        Probe.events = []

    def _see(self, event: str) -> None:
        Probe.events.append(event)
        if event == self.config.fail_at:
            raise ValueError("the probe was told to fail")

    @hookimpl
    def on_model_built(self) -> None:
        self._see("on_model_built")

    @hookimpl
    def on_fit_start(self) -> None:
        self._see("on_fit_start")

    @hookimpl
    def on_epoch_start(self) -> None:
        self._see("on_epoch_start")

    @hookimpl
    def on_batch(self) -> None:
        self._see("on_batch")

    @hookimpl
    def on_gradients(self) -> None:
        self._see("on_gradients")

    @hookimpl
    def on_step(self) -> None:
        self._see("on_step")

    @hookimpl
    def on_evaluate(self) -> None:
        self._see("on_evaluate")

    @hookimpl
    def on_epoch_end(self) -> None:
        self._see("on_epoch_end")

    @hookimpl
    def on_fit_end(self) -> None:
        self._see("on_fit_end")

    @hookimpl
    def on_exception(self) -> None:
        Probe.events.append("on_exception")


class ProbeConfig(ComponentConfig):
    fail_at: str = Field(default="", description="the event to raise in")


class ToyPlugin:
    """The registration side."""

    @staticmethod
    @hookimpl
    def jenga_register_processors() -> list[ProcessorSpec]:
        return [
            ProcessorSpec(
                name="numbers", factory="toys:Numbers", config="toys:NumbersConfig", emits="numbers", summary="n"
            ),
            ProcessorSpec(name="words", factory="toys:Words", config="toys:NumbersConfig", emits="tokens", summary="w"),
        ]

    @staticmethod
    @hookimpl
    def jenga_register_backbones() -> list[BackboneSpec]:
        dense, bag = frozenset({"numbers"}), frozenset({"tokens"})
        return [
            BackboneSpec(name="dense", factory="toys:Dense", config="toys:WidthConfig", accepts=dense, summary="d"),
            BackboneSpec(name="bag", factory="toys:Bag", config="toys:WidthConfig", accepts=bag, summary="b"),
        ]

    @staticmethod
    @hookimpl
    def jenga_register_tasks() -> list[TaskSpec]:
        tokens = frozenset({"tokens"})
        return [TaskSpec(name="tags", factory="toys:Tags", config="toys:TagsConfig", needs=tokens, summary="t")]

    @staticmethod
    @hookimpl
    def jenga_register_trainer_hooks() -> list[TrainerHookSpec]:
        return [TrainerHookSpec(name="probe", factory="toys:Probe", config="toys:ProbeConfig", summary="p")]


def registry() -> Registry:
    return Registry.of(toy=ToyPlugin)


def numbers_frame(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Two classes that a small network learns most of, and a number."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    score = x @ [1.0, -2.0, 0.5] + 0.5 * rng.normal(size=rows)
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    return frame.assign(label=np.where(score > 0, "bad", "good"), amount=score * 10 + 3)


def words_frame(rows: int = 120, seed: int = 1) -> pd.DataFrame:
    """Sentences of different lengths; a tag per word that the word decides; a class that a word decides."""
    rng = np.random.default_rng(seed)
    words = ["nairobi", "mombasa", "anna", "juma", "na", "kwa", "ya", "wa"]
    tag = {"nairobi": "LOC", "mombasa": "LOC", "anna": "PER", "juma": "PER"}
    lines = [rng.choice(words, size=rng.integers(2, 9)).tolist() for _ in range(rows)]
    return pd.DataFrame(
        {
            "text": [" ".join(line) for line in lines],
            "tags": [" ".join(tag.get(w, "O") for w in line) for line in lines],
            "place": ["yes" if {"nairobi", "mombasa"} & set(line) else "no" for line in lines],
        }
    )


def numbers_config(**train: Any) -> dict[str, Any]:
    """One table of numbers, one class, a tiny network with dropout."""
    return {
        "project": "toy",
        "seed": 3,
        "data": {"rows": {"split": {"validation": 0.2, "test": 0.2}}},
        "backbones": {"net": {"kind": "toy/dense", "dropout": 0.2}},
        "inputs": {"x": {"columns": ["a", "b", "c"], "processor": "toy/numbers"}},
        "tasks": {"label": {"kind": "core/classification", "target": "label"}},
        "train": {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "bootstrap": 0, "baselines": False, **train},
    }
