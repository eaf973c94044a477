"""security/anomaly: attack or normal, learned from labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from jenga_core import states
from jenga_core.api import hookimpl
from jenga_core.builtin.absent import note_absent
from jenga_core.builtin.alone import caution_alone
from jenga_core.builtin.baselines import binary_baselines
from jenga_core.contracts import Baseline, Batch, Columns, Encoded, HeadContext, Metrics, Task, View
from jenga_core.errors import DataError

from .alert_metrics import AlertMetrics
from .alerts import AlertRule, counted
from .config import AnomalyConfig
from .drift import References, trained_on
from .focal import focal_loss, unfocal
from .labels import Labels
from .outliers.baselines import labelled_baselines
from .outliers.pyod import require_pyod

Array = np.ndarray[Any, Any]


class AnomalyTask(Task):
    """Target {"y": int64 [n], 1 = attack}; outputs {"score": probability, float32 [B], "flag": bool [B]}.

    A row without a label is left out and counted. `positive_weight` and `focal_gamma` shift the loss; scores are corrected
    for them, so that they stay probabilities of the training mix. `alerts` says from which score on a row is flagged,
    `drift` what new rows are compared with.
    """

    explains = "score"

    def __init__(self, config: AnomalyConfig) -> None:
        self.config = config
        self.labels: Labels | None = None
        self.weight = 1.0
        self.alerts = AlertRule.of(config.threshold)
        self.drift = References()

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
        return {"labels": labels, "weight": self.weight, "alerts": self.alerts.state(), "drift": self.drift.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.labels = Labels.read(states.section(state["labels"]))
        self.weight, self.alerts = (
            states.number(state["weight"], above=0),
            AlertRule.read(states.section(state["alerts"])),
        )
        self.drift = References.read(state["drift"])

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        y, known = self._fitted.encode(cells[self.config.target])
        without = int(len(known) - known.sum())
        return Encoded({"y": y}, known, excluded={"no label": without} if without else {})

    def truth(self, frame: pd.DataFrame) -> tuple[Array, Array]:
        """(int64 [N] with 1 = attack, bool [N] = has a label) of new rows, for a threshold that is set on them."""
        return self._fitted.encode(frame[self.config.target])

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """`y` int64 [n]; the count is the sum of the rows' weights, so that the quotient is their weighted mean."""
        y = np.asarray(encoded.columns["y"])[rows]
        return {"y": torch.from_numpy(y)}, float(len(y) + (self.weight - 1.0) * y.sum())

    def head(self, context: HeadContext) -> nn.Module:
        return LogitHead(context.dim)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Binary cross entropy or focal loss, summed over rows; an attack counts `positive_weight` times."""
        if self.config.focal_gamma:
            return focal_loss(output["logit"], target["y"], gamma=self.config.focal_gamma, weight=self.weight)
        weight = output["logit"].new_tensor(self.weight)
        return nn.functional.binary_cross_entropy_with_logits(
            output["logit"].float(), target["y"].float(), pos_weight=weight.float(), reduction="sum"
        )

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        logit = super().predict(model, batch, name)["logit"].float()
        if self.config.focal_gamma:
            logit = unfocal(logit, gamma=self.config.focal_gamma)
        score = torch.sigmoid(logit - float(np.log(self.weight))).float()
        return {"score": score, "flag": score >= self.alerts.threshold}

    @hookimpl
    def on_fit_start(self, run: Any) -> None:
        """Refuse before training, not after it, what `calibrate` could not do with these validation rows."""
        require_pyod(self.config.pyod)
        name = next(name for name, task in run.data.parts.tasks.items() if task is self)
        table = run.data.tables[self.config.data]
        y = np.asarray(table.targets[name].columns["y"])[table.labelled(name, "validation")]
        note_absent(run, name, self._fitted.words)
        caution_alone(run, name)
        self.alerts = counted(self.alerts, run, self.config.data)
        self.alerts.require(y)
        self.drift = trained_on(run, name, self.config.data)

    def calibrate(self, output: Columns, target: Columns) -> None:
        """Choose the threshold on validation rows where the config asks for that, and record their scores."""
        scores, y = np.asarray(output["score"]), np.asarray(target["y"])
        self.alerts, self.drift = self.alerts.calibrated(scores, y), self.drift.scored(scores, y)

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """Columns label (as the training data spell it), score, threshold."""
        normal, attack = self._fitted.words
        flags = np.asarray(output["flag"]).astype(np.intp)
        label = pd.Series([normal, attack]).take(flags).reset_index(drop=True)
        return pd.DataFrame({"label": label, "score": np.asarray(output["score"]), "threshold": self.alerts.threshold})

    def metrics(self) -> Metrics:
        normal, attack = self._fitted.words
        return AlertMetrics((str(normal), str(attack)), self.alerts)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        """With thresholds chosen as the model's is: the comparison is between scores, not between threshold rules.

        The isolation forest is fitted without the labels: what they are worth is the distance to it.
        """
        without = labelled_baselines(seed, self.alerts, self.config.pyod)
        return (*binary_baselines(seed, choose=self.alerts.choose), *without)

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
