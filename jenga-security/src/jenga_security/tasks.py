"""security/anomaly: attack or normal, learned from labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from jenga_core.api import hookimpl
from jenga_core.builtin.baselines import binary_baselines
from jenga_core.builtin.metrics import BinaryMetrics
from jenga_core.contracts import Baseline, Batch, Columns, Encoded, HeadContext, Metrics, Task, View
from jenga_core.errors import DataError

from .config import AnomalyConfig, TargetRate
from .labels import Labels
from .thresholds import best_f1, conformal, require_both, require_normal

Array = np.ndarray[Any, Any]


class AnomalyTask(Task):
    """Target {"y": int64 [n], 1 = attack}; outputs {"score": probability, float32 [B], "flag": bool [B]}.

    A row without a label is left out and counted. `positive_weight` shifts the loss; scores are corrected for it, so
    that they stay probabilities of the training mix. Until `calibrate`, a threshold yet to be chosen stands at 0.5.
    """

    def __init__(self, config: AnomalyConfig) -> None:
        self.config = config
        self.labels: Labels | None = None
        self.weight = 1.0
        self.threshold = config.threshold if isinstance(config.threshold, float) else 0.5

    def fit(self, cells: pd.DataFrame) -> None:
        self.labels = Labels.fit(cells[self.config.target], self.config.normal)
        y, known = self.labels.encode(cells[self.config.target])
        self.weight = self._weight(attacks=float(y[known].sum()), rows=float(known.sum()))

    def _weight(self, attacks: float, rows: float) -> float:
        wanted = self.config.positive_weight
        if wanted == "balanced":
            return (rows - attacks) / attacks
        return 1.0 if wanted == "none" else wanted

    def state(self) -> dict[str, Any]:
        labels = None if self.labels is None else self.labels.state()
        return {"labels": labels, "weight": self.weight, "threshold": self.threshold}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.labels = None if state["labels"] is None else Labels.read(state["labels"])
        self.weight, self.threshold = float(state["weight"]), float(state["threshold"])

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        y, known = self._fitted.encode(cells[self.config.target])
        without = int(len(known) - known.sum())
        return Encoded({"y": y}, known, excluded={"no label": without} if without else {})

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """`y` int64 [n]; the count is the sum of the rows' weights, so that the quotient is their weighted mean."""
        y = np.asarray(encoded.columns["y"])[rows]
        return {"y": torch.from_numpy(y)}, float(len(y) + (self.weight - 1.0) * y.sum())

    def head(self, context: HeadContext) -> nn.Module:
        return LogitHead(context.dim)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Binary cross entropy, summed over rows; an attack counts `positive_weight` times."""
        weight = output["logit"].new_tensor(self.weight)
        return nn.functional.binary_cross_entropy_with_logits(
            output["logit"].float(), target["y"].float(), pos_weight=weight.float(), reduction="sum"
        )

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        logit = super().predict(model, batch, name)["logit"].float()
        score = torch.sigmoid(logit - float(np.log(self.weight)))
        return {"score": score, "flag": score >= self.threshold}

    @hookimpl
    def on_fit_start(self, run: Any) -> None:
        """Refuse before training, not after it, what `calibrate` could not do with these validation rows."""
        name = next(name for name, task in run.data.parts.tasks.items() if task is self)
        table = run.data.tables[self.config.data]
        y = np.asarray(table.targets[name].columns["y"])[table.labelled(name, "validation")]
        if isinstance(self.config.threshold, TargetRate):
            require_normal(int((y == 0).sum()), self.config.threshold.target_fpr)
        elif self.config.threshold == "best_f1":
            require_both(y)

    def calibrate(self, output: Columns, target: Columns) -> None:
        """Choose the threshold on validation rows, when the config asks for that."""
        self.threshold = self._choose(np.asarray(output["score"], dtype=np.float32), np.asarray(target["y"]))

    def _choose(self, scores: Array, y: Array) -> float:
        if isinstance(self.config.threshold, TargetRate):
            return conformal(scores[y == 0], self.config.threshold.target_fpr)
        return best_f1(scores, y) if self.config.threshold == "best_f1" else self.config.threshold

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """Columns label (as the training data spell it), score, threshold."""
        normal, attack = self._fitted.words
        flags = np.asarray(output["flag"]).astype(np.intp)
        label = pd.Series([normal, attack]).take(flags).reset_index(drop=True)
        return pd.DataFrame({"label": label, "score": np.asarray(output["score"]), "threshold": self.threshold})

    def metrics(self) -> Metrics:
        normal, attack = self._fitted.words
        return BinaryMetrics((str(normal), str(attack)), self.threshold)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        """With thresholds chosen as the model's is: the comparison is between scores, not between threshold rules."""
        return binary_baselines(seed, choose=self._choose)

    @property
    def _fitted(self) -> Labels:
        if self.labels is None:
            raise DataError(f"the labels of column {self.config.target!r} were not fitted: call fit or restore first")
        return self.labels


class LogitHead(nn.Module):
    """{"logit": [B]} from the row's pooled features."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 1)

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> Mapping[str, Tensor]:
        return {"logit": self.linear(view.whole.pooled).squeeze(-1)}
