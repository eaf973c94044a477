"""A task on tokens: a class for every word of the first input that has words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from jenga_core.contracts import Array, Batch, Columns, Encoded, HeadContext, Metrics, Processor, Ragged, Task, View

from .config import TaggingConfig


class TaggingMetrics(Metrics):
    """The share of words with the right tag."""

    @property
    def directions(self) -> Mapping[str, Literal["max", "min"]]:
        return {"accuracy": "max"}

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        tags, scores = target["tags"], output["scores"]
        assert isinstance(tags, Ragged)
        assert isinstance(scores, Ragged)
        every = np.arange(len(tags))
        (row, pos, y), chosen = tags.flat(every), scores.padded(every).argmax(axis=-1)
        return {"accuracy": float((chosen[row, pos] == y).mean()) if len(y) else float("nan")}


class TaggingTask(Task):
    """Target columns `tags` (Ragged, one class per word); outputs `scores` [B, T, classes] and `lengths` [B].

    A row whose number of tags is not its number of words is left out and counted.
    """

    def __init__(self, config: TaggingConfig) -> None:
        self.config = config
        self.names: list[str] = []
        self.input = ""

    def bind(self, processors: Mapping[str, Processor]) -> None:
        self.input = next(iter(processors))

    def fit(self, cells: pd.DataFrame) -> None:
        self.names = sorted({tag for row in self._tags(cells) for tag in row})

    def _tags(self, cells: pd.DataFrame) -> list[list[str]]:
        return [cell.split() if isinstance(cell, str) else [] for cell in cells[self.config.target]]

    def state(self) -> dict[str, Any]:
        return {"names": self.names}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.names = list(state["names"])

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        lengths = inputs[self.input].lengths
        assert lengths is not None
        number = {name: at for at, name in enumerate(self.names)}
        rows = [[number.get(tag, -1) for tag in row] for row in self._tags(cells)]
        known = np.array(
            [len(row) == n > 0 and -1 not in row for row, n in zip(rows, lengths, strict=True)], dtype=bool
        )
        tags = Ragged.of([row if ok else [] for row, ok in zip(rows, known, strict=True)], dtype=np.int64)
        return Encoded({"tags": tags}, known, excluded={"no tag for each word": int((~known).sum())})

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        tags = encoded.columns["tags"]
        assert isinstance(tags, Ragged)
        row, pos, y = (torch.from_numpy(a) for a in tags.flat(rows))
        return {"row": row, "pos": pos, "y": y}, float(len(y))

    def head(self, context: HeadContext) -> nn.Module:
        return _TokenHead(self.input, context.dim, len(self.names))

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        return functional.cross_entropy(output["scores"], target["y"], reduction="sum")

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        view = model.view(batch, fuse=self.fuse)
        output: dict[str, Tensor] = dict(model.heads[name](view, None))
        output["lengths"] = view.parts[self.input].mask.sum(dim=1)
        return output

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        scores = output["scores"]
        assert isinstance(scores, Ragged)
        chosen = Ragged(scores.values.argmax(axis=-1), scores.starts)
        texts = [" ".join(self.names[i] for i in chosen.take(np.array([row])).values) for row in range(len(chosen))]
        return pd.DataFrame({"tags": texts})

    def metrics(self) -> Metrics:
        return TaggingMetrics()


class _TokenHead(nn.Module):
    """Scores at the labelled words [labels, classes]; without a target those of all words [B, T, classes]."""

    def __init__(self, name: str, dim: int, classes: int) -> None:
        super().__init__()
        self.name, self.linear = name, nn.Linear(dim, classes)

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        tokens = view.of(self.name).tokens
        return {"scores": self.linear(tokens if target is None else tokens[target["row"], target["pos"]])}
