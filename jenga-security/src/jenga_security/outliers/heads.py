"""Detectors: a view of a row -> how unlike the training rows it is. What they fit are buffers: they lie in the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from jenga_core.contracts import HeadContext, View
from jenga_core.errors import UserError

from .forest import IsolationForest

Array = np.ndarray[Any, Any]

SAMPLES, SAMPLE, NEAREST = 16, 256, 10
VOTES = {
    "isolation": 1.0,
    "neighbours": 1.0,
    "reconstruction": 0.5,
}  # measured: docs/explanation/anomaly-without-labels.md
CLIP = 10.0  # robustly scaled cells are clipped here: one wild cell shall not hide the rest of a row
AWAY = 0.1  # no coordinate of a one-class centre lies nearer to zero: zero weights would reach it


class OutlierHead(nn.Module):
    """{"loss": [B], "raw": [B, members]} from the inputs whose backbones reconstruct; each raw column rises with unlikeness.

    `loss` is the mean squared error of a row's reconstruction. Training needs no other member, and gets none.
    """

    def __init__(self, context: HeadContext, members: Sequence[str]) -> None:
        super().__init__()
        self.inputs = [name for name, b in context.backbones.items() if getattr(b, "reconstructs", False)]
        if not self.inputs:
            raise UserError(
                "security/outlier reads how well a row is reconstructed, and no backbone here reconstructs",
                next="use security/autoencoder, or the task security/one-class",
            )
        width = sum(context.dims[name] for name in self.inputs)
        self.members = list(members)
        made: dict[str, nn.Module] = {"isolation": IsolationForest(), "neighbours": Neighbours(width)}
        self.detectors = nn.ModuleDict({name: detector for name, detector in made.items() if name in members})
        self.width = width
        self.register_load_state_dict_post_hook(_refuse_misfits)  # type: ignore[no-untyped-call]

    def rows(self, view: View) -> Tensor:
        """What `fit` takes: the encodings of the rows [B, E]."""
        return torch.cat([view.parts[name].tokens[:, 0] for name in self.inputs], dim=1)

    def fit(self, rows: Array, rng: np.random.Generator) -> None:
        """`rows` float32 [N, E] of training rows."""
        for detector in self.detectors.values():
            cast("Any", detector).fit(rows, rng)

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> Mapping[str, Tensor]:
        error = torch.cat([view.parts[name].pooled for name in self.inputs], dim=1).square().mean(dim=1)
        if target is not None:
            return {"loss": error}
        rows = self.rows(view)
        raw = [self.detectors[name](rows) if name in self.detectors else error for name in self.members]
        return {"loss": error, "raw": torch.stack(raw, dim=1).float()}


class Neighbours(nn.Module):
    """The mean distance to the NEAREST rows of a sample, averaged over SAMPLES samples of SAMPLE training rows.

    Samples, and not all rows: memory does not grow with the table, and a crowd of like anomalies is thinned out
    (Aggarwal and Sathe 2015). Columns are scaled by median and interquartile range, which anomalies hardly move.
    """

    bank: Tensor
    full: Tensor
    centre: Tensor
    width: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("bank", torch.zeros(SAMPLES, SAMPLE, columns))
        self.register_buffer("full", torch.tensor(SAMPLE))  # rows of each sample that are in use
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("width", torch.ones(columns))

    def fit(self, rows: Array, rng: np.random.Generator) -> None:
        """`rows` float32 [N, E]."""
        low, middle, high = np.percentile(rows, [25, 50, 75], axis=0)
        spread, deviation = (high - low) / 1.349, rows.std(axis=0)
        width = np.where(spread > 0, spread, np.where(deviation > 0, deviation, 1.0))
        self.centre.copy_(torch.from_numpy(middle))
        self.width.copy_(torch.from_numpy(width))
        full = min(SAMPLE, len(rows))
        self.full.fill_(full)
        for at in range(SAMPLES):
            chosen = torch.from_numpy(rows[rng.choice(len(rows), full, replace=False)])
            self.bank[at, :full] = self._scaled(chosen.to(self.bank.device))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, E] -> [B]."""
        full = int(self.full)
        # By products of matrices it is five times as fast, and in float64, where there is one, as exact as by differences.
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        scaled, bank = self._scaled(x).to(wide), self.bank[:, :full].to(wide)
        total = scaled.new_zeros(x.shape[0])
        for sample in bank:
            distance = torch.cdist(scaled, sample, compute_mode="use_mm_for_euclid_dist")
            total = total + distance.topk(min(NEAREST, full), dim=1, largest=False).values.mean(dim=1)
        return (total / SAMPLES).to(x.dtype)

    def fits(self, columns: int) -> bool:
        return 1 <= int(self.full) <= SAMPLE and bool((self.width > 0).all())

    def _scaled(self, x: Tensor) -> Tensor:
        return ((x - self.centre) / self.width).clamp(-CLIP, CLIP)


def _refuse_misfits(head: OutlierHead, _: Any) -> None:
    """ValueError for buffers that came with the weights and that no fit gives: places outside the rows or the sample."""
    for name, detector in head.detectors.items():
        if not cast("Any", detector).fits(head.width):
            raise ValueError(f"the detector {name!r} was not fitted on rows of {head.width} numbers")


class OneClassHead(nn.Module):
    """{"loss": [B], "raw": [B, 1]}: squared distance to a fixed centre (Deep SVDD; Ruff et al. 2018).

    It reads the inputs whose networks have no biases: with biases the network could learn to send every row to the
    centre, which is the mean of the untrained network's outputs over training rows.
    """

    centre: Tensor

    def __init__(self, context: HeadContext) -> None:
        super().__init__()
        biases = {name: _bias(backbone) for name, backbone in context.backbones.items()}
        self.inputs = [name for name, bias in biases.items() if bias is None]
        if not self.inputs:
            name, bias = next(iter(biases.items()))
            raise UserError(
                f"security/one-class needs a network without biases, and the one of input {name!r} has some ({bias}): "
                "they would learn to send every row to one point",
                next="use security/bias-free-mlp",
            )
        self.register_buffer("centre", torch.full((sum(context.dims[name] for name in self.inputs),), AWAY))

    def rows(self, view: View) -> Tensor:
        """What `fit` takes: the outputs of the networks [B, D]."""
        return torch.cat([view.parts[name].pooled for name in self.inputs], dim=1)

    def fit(self, rows: Array, rng: np.random.Generator) -> None:
        """`rows` float32 [N, D] of the untrained network over training rows."""
        centre = rows.mean(axis=0)
        self.centre.copy_(torch.from_numpy(np.where(centre < 0, np.minimum(centre, -AWAY), np.maximum(centre, AWAY))))

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> Mapping[str, Tensor]:
        distance = (self.rows(view) - self.centre).square().sum(dim=1)
        return {"loss": distance, "raw": distance.unsqueeze(1).float()}


def _bias(backbone: Any) -> str | None:
    """The name of one of its biases, or None."""
    names = [name for name, _ in backbone.named_parameters()]
    return next((name for name in names if name.rpartition(".")[2].startswith("bias")), None)
