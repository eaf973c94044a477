"""The core's tasks: one label per row (classification) and one number per row (regression)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import states
from ..api import hookimpl
from ..contracts import Array, Baseline, Batch, Columns, Encoded, HeadContext, Metrics, Task, View
from ..errors import DataError, nearest
from .absent import note_absent
from .alone import caution_alone
from .baselines import classification_baselines, regression_baselines
from .labels import NO_LABEL, UNKNOWN, LabelMap, more
from .metrics import ClassificationMetrics, RegressionMetrics
from .task_config import ClassificationConfig, RegressionConfig

if TYPE_CHECKING:
    import pandas as pd


class LinearHead(nn.Module):
    """One linear layer on the pooled vector of the row: {name: [B, width]}."""

    def __init__(self, name: str, dim: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.name = name
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(dim, width)

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        return {self.name: self.linear(self.dropout(view.whole.pooled))}


class ClassificationTask(Task):
    """One of C classes. Target `y` int64; output `probability` [B, C].

    The label map comes from training rows. A null or blank label is "no label", one outside the map "unknown label": such
    rows are left out of the loss and of every metric, and counted in `Encoded.excluded`.
    """

    explains = "probability"

    def __init__(self, config: ClassificationConfig) -> None:
        self.config = config
        self.map = LabelMap(())
        self.class_weight: list[float] = []
        self.positive = 1

    def fit(self, cells: pd.DataFrame) -> None:
        column = cells[self.config.target]
        self.map = LabelMap.fit(column, self.config.target, self.config.classes)
        codes = self.map.codes(column, self.config.target)
        self.class_weight = self._weights(np.bincount(codes[codes >= 0], minlength=len(self.map)))
        self.positive = self._positive()

    def _weights(self, rows: Array) -> list[float]:
        """scikit-learn's "balanced": rows / (classes * rows of the class), over the classes that have rows."""
        if self.config.class_weight == "none":
            return []
        return [float(rows.sum() / (np.count_nonzero(rows) * n)) if n else 1.0 for n in rows]

    def _positive(self) -> int:
        if self.config.positive is None:
            return 1
        name = str(self.config.positive)
        if name not in self.map.names or len(self.map) != 2:
            raise DataError(
                f"`positive` is {name!r}, which is not one of two classes",
                where=f"column {self.config.target!r}",
                allowed=self.map.names,
                nearest=nearest(name, self.map.names),
            )
        return self.map.names.index(name)

    def state(self) -> dict[str, Any]:
        return {"labels": self.map.state(), "class_weight": self.class_weight, "positive": self.positive}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.map = LabelMap.of_state(state["labels"])
        weights = state["class_weight"]
        self.class_weight = list(states.numbers(weights, size=len(self.map) if weights else 0, least=0))
        self.positive = states.whole(state["positive"], below=len(self.map))

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        y = self.map.codes(cells[self.config.target], self.config.target)
        excluded = {"no label": int((y == NO_LABEL).sum()), "unknown label": int((y == UNKNOWN).sum())}
        return Encoded({"y": y}, present=y >= 0, excluded={reason: n for reason, n in excluded.items() if n})

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """`y` int64 [n]; the count is n, or the sum of the rows' class weights, so that the quotient is their weighted mean."""
        y = np.asarray(encoded.columns["y"])[rows]
        count = float(np.asarray(self.class_weight)[y].sum()) if self.class_weight else float(len(y))
        return {"y": torch.from_numpy(y)}, count

    def head(self, context: HeadContext) -> nn.Module:
        return LinearHead("logits", context.dim, len(self.map), self.config.dropout)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        logits = output["logits"].float()
        weight = logits.new_tensor(self.class_weight) if self.class_weight else None
        return functional.cross_entropy(
            logits, target["y"], weight=weight, label_smoothing=self.config.label_smoothing, reduction="sum"
        )

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        output = super().predict(model, batch, name)
        return {"probability": torch.softmax(output["logits"].float(), dim=-1)}

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """`label`, `score` (the probability of that label) and one column ``p(<class>)`` per class."""
        import pandas as pd

        probability = np.asarray(output["probability"])
        best = probability.argmax(axis=1)
        every = {f"p({name})": probability[:, i] for i, name in enumerate(self.map.names)}
        return pd.DataFrame({"label": self.map.labels(best), "score": probability.max(axis=1), **every})

    @hookimpl
    def on_fit_start(self, run: Any) -> None:
        name = next(name for name, task in run.data.parts.tasks.items() if task is self)
        note_absent(run, name, self.map.names)
        caution_alone(run, name)

    def metrics(self) -> Metrics:
        return ClassificationMetrics(self.map.names, self.positive)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        return classification_baselines(len(self.map), seed)


class RegressionTask(Task):
    """One number. Target `y` and output `value` [B] float64, in the target's own unit; the network sees standard deviations.

    A null is "no label": left out and counted. Text that is not a number, and infinity, are `DataError`s that name the rows.
    """

    explains = "value"

    def __init__(self, config: RegressionConfig) -> None:
        self.config = config
        self.mean, self.scale = 0.0, 1.0

    def fit(self, cells: pd.DataFrame) -> None:
        y = numbers_of(cells[self.config.target], self.config.target)
        y = y[~np.isnan(y)]
        if not len(y) or y.min() == y.max():
            raise DataError(
                f"the target is {f'{y[0]:g} in every one' if len(y) else 'empty in all'} of the {len(cells):,} training rows",
                where=f"column {self.config.target!r}",
                next="check the column, or choose another target",
            )
        self.mean, self.scale = float(y.mean()), float(y.std())
        if not (math.isfinite(self.mean) and math.isfinite(self.scale) and self.scale > 0):
            raise DataError("the target's numbers are too large to standardise", where=f"column {self.config.target!r}")

    def state(self) -> dict[str, Any]:
        return {"mean": self.mean, "scale": self.scale}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.mean, self.scale = states.number(state["mean"]), states.number(state["scale"], above=0)

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        y = numbers_of(cells[self.config.target], self.config.target)
        missing = np.isnan(y)
        return Encoded({"y": y}, present=~missing, excluded={"no label": int(missing.sum())} if missing.any() else {})

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """`y` float32 [n], standardised; the count is n."""
        y = (np.asarray(encoded.columns["y"])[rows] - self.mean) / self.scale
        return {"y": torch.from_numpy(y.astype(np.float32))}, float(len(y))

    def head(self, context: HeadContext) -> nn.Module:
        return LinearHead("value", context.dim, 1, self.config.dropout)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        value, y = output["value"].float().squeeze(-1), target["y"]
        if self.config.loss == "huber":
            return functional.huber_loss(value, y, delta=self.config.delta, reduction="sum")
        return (functional.mse_loss if self.config.loss == "mse" else functional.l1_loss)(value, y, reduction="sum")

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        """float64: float32 has 24 bits, in which a target of 1e9 and a bit more is 1e9."""
        standardised = super().predict(model, batch, name)["value"].float().squeeze(-1)
        if standardised.device.type == "mps":  # which has no float64
            standardised = standardised.cpu()
        return {"value": standardised.double() * self.scale + self.mean}

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """One column, `value`, in the target's unit."""
        import pandas as pd

        return pd.DataFrame({"value": np.asarray(output["value"])})

    def metrics(self) -> Metrics:
        return RegressionMetrics(self.config.target)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        return regression_baselines(seed)


def numbers_of(cells: pd.Series, column: str) -> Array:
    """float64 [N], NaN for null and blank cells. `DataError` naming rows for other text, for truth values, for infinity."""
    import pandas as pd

    blank = cells.isna() | cells.map(lambda cell: isinstance(cell, str) and not cell.strip())
    numbers = pd.to_numeric(cells.where(~blank, np.nan), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    is_truth = cells.map(lambda cell: isinstance(cell, bool | np.bool_)).to_numpy(dtype=bool)
    wrong = np.flatnonzero((np.isnan(numbers) & ~blank.to_numpy(dtype=bool)) | is_truth)
    if len(wrong):
        raise DataError(
            f"{cells.iloc[wrong[0]]!r} is not a number{more(wrong)}",
            row=cells.index[wrong[0]],
            column=column,
            next="correct or empty those cells, or use the task core/classification",
        )
    if (infinite := np.flatnonzero(np.isinf(numbers))).size:
        raise DataError(f"the target is infinite{more(infinite)}", row=cells.index[infinite[0]], column=column)
    return numbers
