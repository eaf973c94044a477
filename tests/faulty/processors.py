"""Processors with one fault each."""

from __future__ import annotations

import numpy as np
import torch

from jenga_core.contracts import Encoded
from jenga_core.testing.doubles.processors import Numbers


class ArrayState(Numbers):
    """Its state is not JSON."""

    def state(self):
        return {**super().state(), "mean": np.array(self.mean)}


class ForgetsScale(Numbers):
    """Half of what it learned is lost in a model folder."""

    def restore(self, state):
        super().restore({**state, "scale": [1.0] * len(state["scale"])})


class DropsRows(Numbers):
    """Leaves absent rows out instead of saying that they are absent."""

    def encode(self, cells):
        whole = super().encode(cells)
        return Encoded({"values": whole.columns["values"][whole.present]}, whole.present[whole.present])


class LearnsOutsideFit(Numbers):
    """Scales by whatever rows it is given."""

    def encode(self, cells):
        self.fit(cells)
        return super().encode(cells)


class EditsCells(Numbers):
    """Fills gaps in the caller's own table."""

    def fit(self, cells):
        cells.iloc[:, 0] = 0.0
        super().fit(cells)


class NestedCounts(Numbers):
    """Counts by column and reason, which nobody can print."""

    def counts(self, encoded, rows):
        return {"missing": {"a": 1}}


class OwnRandomness(Numbers):
    """Augments with a generator of its own."""

    def collate(self, encoded, rows, purpose, rng):
        data = super().collate(encoded, rows, purpose, rng)
        return {"values": data["values"] + (torch.rand(1) if purpose == "train" else 0)}
