"""text/scoring: several named heads over one text, each with named yes-or-no outputs; the QA auditor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from jenga_core.builtin.multi_label_judging import PerLabel
from jenga_core.contracts import Array, Baseline, Batch, Classical, Columns, Encoded, HeadContext, Metrics, Task, View
from jenga_core.errors import DataError
from jenga_core.figures import Figure, Sheet

from .scoring_config import ScoringConfig
from .scoring_labels import labels_of

PASS, REVIEW, FAIL = "PASS", "REVIEW", "FAIL"


class ScoringTask(Task):
    """Target `y` float32 [N, outputs], 0 or 1, NaN where a head or an output has no label; outputs `probability` [B, outputs]
    and `score` [B], the final score, which reasons explain.

    The loss of a row is, over the heads with labels, weight x mean cross-entropy of the labelled outputs; the count is
    the sum of those weights, so that what is learned from is a weighted mean. A head without labels gets no gradient.
    """

    explains = "score"

    def __init__(self, config: ScoringConfig) -> None:
        self.config = config

    def fit(self, cells: pd.DataFrame) -> None:
        y = labels_of(cells, self.config)
        for name, part in parts(self.config):
            if np.isnan(y[:, part]).all():
                raise DataError(
                    f"head {name!r} has no label in the {len(cells):,} training rows",
                    where=f"column {self.config.heads[name].target or self.config.target!r}",
                    next="check the column, or leave the head out",
                )

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        y = labels_of(cells, self.config)
        present = np.asarray(~np.isnan(y).all(axis=1))
        lacking = {
            f"head {n!r} has no label (the other heads count)": int((np.isnan(y[:, p]).all(axis=1) & present).sum())
            for n, p in parts(self.config)
        }
        without = int((~present).sum())
        remarks = {text: n for text, n in lacking.items() if n}
        return Encoded({"y": y}, present, excluded={"no label": without} if without else {}, remarks=remarks)

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """`y` [n, outputs] with 0 where there is no label, and `weight` [n, outputs], 0 there. The count is the weights' sum."""
        y = np.asarray(encoded.columns["y"])[rows]
        labelled = ~np.isnan(y)
        weight = np.zeros(y.shape)
        for name, part in parts(self.config):
            there = labelled[:, part]
            weight[:, part] = self.config.heads[name].weight * there / np.maximum(there.sum(axis=1, keepdims=True), 1)
        data = {"y": np.nan_to_num(y), "weight": weight.astype(np.float32)}
        return {name: torch.from_numpy(array) for name, array in data.items()}, float(weight.sum())

    def head(self, context: HeadContext) -> nn.Module:
        return ScoringHead(context.dim, self.config)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        logits = output["logits"].float()
        return functional.binary_cross_entropy_with_logits(logits, target["y"], target["weight"], reduction="sum")

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        probability = torch.sigmoid(super().predict(model, batch, name)["logits"].float())
        heads = [probability[:, part].mean(dim=1) for _, part in parts(self.config)]
        return {"probability": probability, "score": torch.stack(heads).mean(dim=0)}

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """Per head ``HEAD.score`` (the mean probability of its outputs), ``HEAD.verdict``, ``HEAD.p(OUTPUT)``; then final.score,
        the mean of the heads' scores, and final.verdict."""
        probability = np.asarray(output["probability"])
        columns: dict[str, Any] = {}
        scores = []
        for name, part in parts(self.config):
            scores.append(probability[:, part].mean(axis=1))
            columns[f"{name}.score"], columns[f"{name}.verdict"] = scores[-1], self._verdicts(scores[-1])
            for at, question in enumerate(self.config.heads[name].outputs, start=part.start):
                columns[f"{name}.p({question})"] = probability[:, at]
        final = np.mean(scores, axis=0)
        return pd.DataFrame({**columns, "final.score": final, "final.verdict": self._verdicts(final)})

    def _verdicts(self, scores: Array) -> Array:
        return np.where(
            scores > self.config.pass_above, PASS, np.where(scores > self.config.review_above, REVIEW, FAIL)
        )

    def metrics(self) -> Metrics:
        return ScoringMetrics(self.config)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        return [Rates(), PerOutput(sum(len(head.outputs) for head in self.config.heads.values()), seed)]


class ScoringHead(nn.Module):
    """One linear layer per head on the pooled vector of the row: `logits` [B, outputs of all heads]."""

    def __init__(self, dim: int, config: ScoringConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.heads = nn.ModuleList(nn.Linear(dim, len(head.outputs)) for head in config.heads.values())

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        pooled = self.dropout(view.whole.pooled)
        return {"logits": torch.cat([head(pooled) for head in self.heads], dim=1)}


@dataclass(frozen=True, slots=True)
class ScoringMetrics(Metrics):
    """Yes is a probability above a half. `f1` is of the yes answers, `accuracy` of single answers; each over all outputs (micro)
    and per head, as HEAD.f1 and HEAD.accuracy. Outputs without a label are not judged."""

    config: ScoringConfig

    @property
    def directions(self) -> Mapping[str, Literal["max", "min"]]:
        names = ["", *(f"{name}." for name in self.config.heads)]
        return {f"{name}{metric}": "max" for name in names for metric in ("f1", "accuracy")}

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        probability, y = np.asarray(output["probability"]), np.asarray(target["y"])
        found = {}
        for name, part in [("", slice(None)), *((f"{n}.", p) for n, p in parts(self.config))]:
            found[f"{name}f1"], found[f"{name}accuracy"] = judged(probability[:, part], y[:, part])
        return found

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        """The highest and the lowest final score, and the row whose answers are furthest from its labels."""
        probability, y = np.asarray(output["probability"]), np.asarray(target["y"])
        score, known = np.asarray(output["score"]), ~np.isnan(y)
        apart = (np.abs(probability - np.nan_to_num(y)) * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        orders = {"highest score": -score, "lowest score": score, "furthest from its labels": -apart}
        return {what: np.argsort(order, kind="stable")[:1] for what, order in orders.items()}

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        """Every output in a row of its own."""
        probability, y = np.asarray(output["probability"]), np.asarray(target["y"])
        cells: list[list[Any]] = []
        for name, part in parts(self.config):
            for at, question in enumerate(self.config.heads[name].outputs, start=part.start):
                known = ~np.isnan(y[:, at])
                f1, accuracy = judged(probability[:, at], y[:, at])
                rates = (y[known, at].mean() if known.any() else math.nan, probability[:, at].mean(), f1, accuracy)
                cells.append([name, question, int(known.sum()), *("" if math.isnan(r) else f"{r:.4f}" for r in rates)])
        header = ["head", "output", "labels", "true rate", "mean probability", "f1", "accuracy"]
        return [Sheet("Heads and their outputs", header, cells, "yes is a probability above one half")]


class Rates(Baseline):
    """Every row gets the rates of the training rows."""

    name, trivial = "training rates", True

    def fit(self, features: Any, target: Columns) -> None:
        y = np.asarray(target["y"], dtype=np.float64)
        known = ~np.isnan(y)
        self.rates = np.nan_to_num(y).sum(axis=0) / np.maximum(known.sum(axis=0), 1)

    def predict(self, features: Any, rows: int) -> Columns:
        return {"probability": np.tile(self.rates, (rows, 1))}


class PerOutput(Baseline):
    """A logistic regression for each output; one that is the same in every training row gets its rate."""

    trivial = False

    def __init__(self, outputs: int, seed: int) -> None:
        self.inner = PerLabel(outputs, seed, 1, 0.5, None)
        self.name = self.inner.name

    def fit(self, features: Classical | None, target: Columns) -> None:
        y = np.asarray(target["y"])
        self.inner.fit(features, {"y": np.nan_to_num(y), "known": ~np.isnan(y)})
        self.name = f"{self.inner.name}, one per output"

    def predict(self, features: Classical | None, rows: int) -> Columns:
        return {"probability": self.inner.predict(features, rows)["probability"]}


def parts(config: ScoringConfig) -> Iterator[tuple[str, slice]]:
    """Each head with its columns of the outputs."""
    at = 0
    for name, head in config.heads.items():
        yield name, slice(at, at + len(head.outputs))
        at += len(head.outputs)


def judged(probability: Array, y: Array) -> tuple[float, float]:
    """(F1 of yes, accuracy) over the outputs that have a label; NaN where there is nothing to judge."""
    known = ~np.isnan(y)
    guess, true = probability[known] > 0.5, y[known] > 0.5
    found = int(guess.sum() + true.sum())
    f1 = 2 * int((guess & true).sum()) / found if found else math.nan
    return f1, float((guess == true).mean()) if known.any() else math.nan
