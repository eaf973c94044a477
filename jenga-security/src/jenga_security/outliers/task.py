"""security/outlier and security/one-class: rows unlike the others, learned without labels or with few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from jenga_core import states
from jenga_core.api import hookimpl
from jenga_core.contracts import Baseline, Batch, Columns, Encoded, HeadContext, Metrics, Task
from jenga_core.errors import DataError

from ..alerts import AlertRule, counted
from ..drift import References, trained_on
from ..labels import Labels
from .baselines import unlabelled_baselines
from .config import OneClassConfig, OutlierConfig, UnlabelledConfig
from .heads import VOTES, OneClassHead, OutlierHead
from .metrics import KnownMetrics, RateMetrics
from .pyod import require_pyod
from .scores import Scores

Array = np.ndarray[Any, Any]

UNKNOWN = -1
FITTED_ON = 20_000  # rows at most that a detector's buffers are fitted on


class UnlabelledTask(Task):
    """Target {"y": int64 [n], 1 = anomaly, 0 = normal, -1 = unknown}; every row is present.

    Outputs {"raw": [B, members], "unlikeness": the members together, "score": its calibrated rank in 0..1, "flag": bool}. The
    rank is among validation rows (`ranks.py`); with `labels: few`, among those not known to be anomalies. Unlikeness is what
    reasons explain: near its ends a rank hardly moves, whatever a column does.
    """

    explains = "unlikeness"
    explained_by = "occlusion"
    fuse = False  # a detector reads the inputs that fit it, each on its own
    conditioned = False  # and as they are: it is fitted once, before training could move them

    def __init__(self, config: UnlabelledConfig) -> None:
        self.config = config
        self.labels: Labels | None = None
        self.known = (0, 0)  # training rows known to be normal, known to be anomalies
        self.scores: Scores | None = None
        self.alerts = AlertRule.of(config.threshold)
        self.drift = References()

    @property
    def votes(self) -> list[float]:
        """The weight of each column of raw scores."""
        return [1.0]

    def fit(self, cells: pd.DataFrame) -> None:
        if self.config.target is None:
            return
        self.labels = Labels.fit_open(cells[self.config.target], self.config.normal)
        y, known = self.labels.encode(cells[self.config.target])
        self.known = (int((y[known] == 0).sum()), int((y[known] == 1).sum()))
        if self.config.labels == "few" and not sum(self.known):
            raise DataError(
                f"column {self.config.target!r} holds no label in any training row, and `labels: few` trains on those",
                next="label some rows, or set `labels: judge`",
            )

    def state(self) -> dict[str, Any]:
        return {
            "labels": None if self.labels is None else self.labels.state(),
            "known": list(self.known),
            "alerts": self.alerts.state(),
            "drift": self.drift.state(),
            "scores": None if self.scores is None else self.scores.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.labels = None if state["labels"] is None else Labels.read(states.section(state["labels"]))
        normal, anomalies = (states.whole(rows) for rows in state["known"])
        self.known, self.alerts = (normal, anomalies), AlertRule.read(states.section(state["alerts"]))
        self.drift = References.read(state["drift"])
        self.scores = None if state["scores"] is None else Scores.read(states.section(state["scores"]))
        if self.scores is not None and len(self.scores.votes) != len(self.votes):
            raise ValueError(f"the scores are of {len(self.scores.votes)} detectors, the model has {len(self.votes)}")

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        y = np.full(len(cells), UNKNOWN, dtype=np.int64)
        if self.labels is None:
            return Encoded({"y": y}, np.ones(len(cells), dtype=bool))
        found, known = self.labels.encode(cells[self.labels.column])
        y[known] = found[known]
        without = int((~known).sum())
        remarks = {"no label: trained on, not judged": without} if without else {}
        return Encoded({"y": y}, np.ones(len(cells), dtype=bool), remarks=remarks)

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """`y` int64 [n], all unknown where labels only judge; the count is the sum of the rows' weights."""
        y = np.asarray(encoded.columns["y"])[rows]
        if self.config.labels == "judge":
            y = np.full_like(y, UNKNOWN)
        return {"y": torch.from_numpy(y)}, float(np.where(y == UNKNOWN, 1.0, self.config.known_weight).sum())

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """The detector's loss, summed over rows; of a known anomaly its inverse (Deep SAD, Ruff et al. 2020)."""
        y, loss = target["y"], output["loss"].float()
        signed = torch.where(y == 1, 1 / (loss + 1e-2), loss)
        return (torch.where(y == UNKNOWN, 1.0, self.config.known_weight) * signed).sum()

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        raw = super().predict(model, batch, name)["raw"]
        found = raw.detach().cpu().numpy()
        score, unlikeness = torch.from_numpy(self._scored(found)), torch.from_numpy(self._unlikeness(found))
        return {"raw": raw, "unlikeness": unlikeness, "score": score, "flag": score >= self.alerts.threshold}

    def _unlikeness(self, raw: Array) -> Array:
        """float64 [B], in spreads of held-out rows; before `calibrate` in those of nothing."""
        return np.log(np.maximum(raw, 1e-30)).mean(axis=1) if self.scores is None else self.scores.together(raw)

    def _scored(self, raw: Array) -> Array:
        """float32 [B]; before `calibrate` a stand-in that has no meaning but its order."""
        if self.scores is None:
            return np.asarray(1 / (1 + np.exp(-self._unlikeness(raw))), dtype=np.float32)
        return self.scores.apply(raw).astype(np.float32)

    @hookimpl
    def on_fit_start(self, run: Any) -> None:
        """Fit the detector's buffers on training rows; after a resume they came with the checkpoint."""
        require_pyod(self.config.pyod)
        name = next(name for name, task in run.data.parts.tasks.items() if task is self)
        table = run.data.tables[self.config.data]
        told = self._told(np.asarray(table.targets[name].columns["y"]))
        held = told[table.labelled(name, "validation")]
        self.alerts = counted(self.alerts, run, self.config.data)
        self.alerts.require(held)
        require_held_out(int((held == 0).sum()))
        self.drift = trained_on(run, name, self.config.data, labelled=False)
        head = run.model.heads[name]
        for unread in [i for i in run.config.inputs_of(self.config.data) if i not in head.inputs]:
            run.note(f"task {name} does not read input {unread!r}: its backbone is of another kind")
        if run.step:
            return
        rng = np.random.default_rng(run.config.seed)
        rows = table.labelled(name, "train")
        rows = rows[told[rows] == 0]
        if len(rows) > FITTED_ON:
            rows = np.sort(rng.choice(rows, FITTED_ON, replace=False))
        head.fit(_rows(run, head, self.config.data, rows), rng)

    def _told(self, y: Array) -> Array:
        """What may be known of rows: 1 = anomaly, 0 = taken as normal, which is every row unless labels are `few`."""
        return (y == 1).astype(np.int64) if self.config.labels == "few" else np.zeros(len(y), dtype=np.int64)

    def truth(self, frame: pd.DataFrame) -> tuple[Array, Array]:
        """(int64 [N] with 1 = anomaly, bool [N] = is of use) of new rows, for a threshold that is set on them.

        Without a column of labels every row counts as normal.
        """
        if self.labels is None:
            return np.zeros(len(frame), dtype=np.int64), np.ones(len(frame), dtype=bool)
        return self.labels.encode(frame[self.labels.column])

    def calibrate(self, output: Columns, target: Columns) -> None:
        """Fit the ranks, and the threshold where it is a rate. Labels are not looked at unless they are `few`."""
        told, raw = self._told(np.asarray(target["y"])), np.asarray(output["raw"])
        held = raw[told == 0]
        if not len(held):
            return
        if len(held) > 1 and (held == held[0]).all():
            raise DataError(
                "the detector gives every validation row the same score: it has collapsed, or the columns hold one value",
                next="look at the columns; another seed or a smaller learning_rate may help",
            )
        self.scores = Scores.fit(held, self.votes)
        scores = self._scored(raw)
        self.alerts, self.drift = self.alerts.calibrated(scores, told), self.drift.scored(scores, told)

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """Columns label (as the data spell it, where they do), score, threshold."""
        normal, anomaly = self._words
        label = pd.Series([anomaly if flag else normal for flag in np.asarray(output["flag"]).astype(bool).tolist()])
        return pd.DataFrame({"label": label, "score": np.asarray(output["score"]), "threshold": self.alerts.threshold})

    @property
    def _words(self) -> tuple[Any, Any]:
        return ("normal", "anomaly") if self.labels is None else self.labels.words

    def metrics(self) -> Metrics:
        if self.labels is None:
            return RateMetrics()
        return KnownMetrics((str(self._words[0]), str(self._words[1])), self.alerts)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        """Detectors without labels, ranked and alerting as the model does; with labels in training also the two with."""
        return unlabelled_baselines(seed, self.alerts, self.config.pyod, told=self._told, known=self.known)


class OutlierTask(UnlabelledTask):
    """security/outlier: the mean of three views of a row (`heads.OutlierHead`)."""

    config: OutlierConfig

    @property
    def votes(self) -> list[float]:
        return [VOTES[member] for member in self.config.members]

    def head(self, context: HeadContext) -> nn.Module:
        return OutlierHead(context, self.config.members)


class OneClassTask(UnlabelledTask):
    """security/one-class: distance to the centre of one class."""

    config: OneClassConfig

    def head(self, context: HeadContext) -> nn.Module:
        return OneClassHead(context)


def require_held_out(rows: int) -> None:
    """DataError where ranks have no validation row to rest on."""
    if rows == 0:
        raise DataError(
            "scores are ranks among validation rows, and there are none",
            next="give validation rows (`split: {validation: 0.1}`)",
        )


def _rows(run: Any, head: Any, table: str, rows: Array) -> Array:
    """What the head fits on, for table rows `rows`, float32 [N, E]; the model as in use."""
    rng, size, found = np.random.default_rng(0), run.place.batch_size, []
    run.model.eval()
    with torch.no_grad():
        for at in range(0, len(rows), size):
            batch = run.data.batch(table, rows[at : at + size], "predict", rng).to(run.accelerator.device)
            found.append(head.rows(run.model.view(batch, fuse=False)).float().cpu().numpy())
    return np.concatenate(found)
