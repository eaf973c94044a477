"""core/multi-label: any number of classes per row, each with a probability and a threshold of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import states
from ..contracts import Array, Baseline, Batch, Columns, Encoded, HeadContext, Metrics, Task
from ..errors import DataError
from .label_sets import Labels, labels_of, read_labels
from .multi_label_judging import MultiLabelMetrics, PerLabel, best_threshold
from .task_config import MultiLabelConfig
from .tasks import LinearHead

if TYPE_CHECKING:
    import pandas as pd


class MultiLabelTask(Task):
    """Targets `y` float32 and `known` bool [N, C]; outputs `probability` and `flag` [N, C].

    Units are (row, label) pairs that are known: an unknown one has no part in loss and metrics. A row without any known
    label is "no label", one with a name outside the training rows' names "unknown label"; both are left out and counted.
    Thresholds are set on validation rows, label by label, unless the options give a number.
    """

    explains = "probability"

    def __init__(self, config: MultiLabelConfig) -> None:
        self.config = config
        self.names: list[str] = list(config.targets or config.classes or ())
        self.thresholds: list[float] = []

    def fit(self, cells: pd.DataFrame) -> None:
        if not self.names:
            self.names = labels_of(cells[str(self.config.target)], str(self.config.target), self.config.separator)
        found = self._read(cells)
        if not found.known.any():
            raise DataError(f"there is no label in the {len(cells):,} training rows", where=self._where())
        fixed = self.config.threshold if isinstance(self.config.threshold, float) else 0.5
        self.thresholds = [fixed] * len(self.names)

    def _read(self, cells: pd.DataFrame) -> Labels:
        return read_labels(cells, self.config, self.names)

    def _where(self) -> str:
        return f"columns {', '.join(map(repr, self.config.columns()))}"

    def state(self) -> dict[str, Any]:
        return {"names": self.names, "thresholds": self.thresholds}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.names = list(states.texts(state["names"], fewest=1))
        self.thresholds = list(states.numbers(state["thresholds"], size=len(self.names)))

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        found = self._read(cells)
        excluded = {"no label": int(found.missing.sum()), "unknown label": int(found.unknown.sum())}
        return Encoded(
            {"y": found.y, "known": found.known},
            ~(found.missing | found.unknown),
            excluded={reason: n for reason, n in excluded.items() if n},
        )

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """`y` float32 and `known` bool [n, C]; the count is that of known labels."""
        y, known = np.asarray(encoded.columns["y"])[rows], np.asarray(encoded.columns["known"])[rows]
        return {"y": torch.from_numpy(y), "known": torch.from_numpy(known)}, float(known.sum())

    def head(self, context: HeadContext) -> nn.Module:
        return LinearHead("logits", context.dim, len(self.names), self.config.dropout)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        each = functional.binary_cross_entropy_with_logits(output["logits"].float(), target["y"], reduction="none")
        return (each * target["known"]).sum()

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        probability = torch.sigmoid(super().predict(model, batch, name)["logits"].float())
        return {"probability": probability, "flag": (probability >= probability.new_tensor(self.thresholds)).long()}

    def calibrate(self, output: Columns, target: Columns) -> None:
        if isinstance(self.config.threshold, float):
            return
        probability, y, known = (np.asarray(c) for c in (output["probability"], target["y"], target["known"]))
        self.thresholds = [
            best_threshold(probability[known[:, at], at], y[known[:, at], at]) for at in range(len(self.names))
        ]

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """`labels`, the names of those that apply (text, joined by the separator), and ``p(<name>)`` for each."""
        import pandas as pd

        probability, flag = np.asarray(output["probability"]), np.asarray(output["flag"])
        names = np.array(self.names, dtype=object)
        labels = [self.config.separator.join(names[row == 1]) for row in flag]
        return pd.DataFrame({"labels": labels, **{f"p({n})": probability[:, at] for at, n in enumerate(self.names)}})

    def metrics(self) -> Metrics:
        return MultiLabelMetrics(self.names)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        choose = None if isinstance(self.config.threshold, float) else best_threshold
        fixed = self.config.threshold if isinstance(self.config.threshold, float) else 0.5
        return tuple(PerLabel(len(self.names), seed, which, fixed, choose) for which in (0, 1))
