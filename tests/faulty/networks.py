"""Backbones and fusions with one fault each."""

from __future__ import annotations

import torch
from torch import nn

from jenga_core.builtin.fusions import MeanFusion
from jenga_core.builtin.part_config import MeanConfig
from jenga_core.contracts import Features
from jenga_core.testing.doubles.backbones import Network, Reader


class WrongWidth(Network):
    """Says another width than it gives."""

    def __init__(self, config, facts, saved=None):
        super().__init__(config, facts, saved)
        self.out_dim = config.width + 1


class BatchMean(Network):
    """A row's features depend on the rows beside it."""

    def forward(self, **data):
        pooled = super().forward(**data).pooled
        return Features.of_pooled(pooled - pooled.mean(dim=0))


class UnusedLayer(Network):
    """Has a layer that nothing depends on."""

    def __init__(self, config, facts, saved=None):
        super().__init__(config, facts, saved)
        self.unused = nn.Linear(2, 2)


class OwnShape(Network):
    """Keeps an attribute outside its weights, and does not save it."""

    def __init__(self, config, facts, saved=None):
        super().__init__(config, facts, saved)
        self.scale = float(torch.rand(()))

    def forward(self, **data):
        return Features.of_pooled(super().forward(**data).pooled * self.scale)


class PaddingCounts(Reader):
    """Divides by the width of the batch, not by the number of words."""

    def forward(self, **data):
        features = super().forward(**data)
        return Features(features.tokens, features.mask, features.pooled / features.mask.shape[1])


class IgnoresMask(MeanFusion):
    """Takes the mean over all places, masked or not."""

    def __init__(self, config, dims):
        super().__init__(MeanConfig(), dims)

    def forward(self, parts):
        fused = super().forward({n: Features(p.tokens, torch.ones_like(p.mask), p.pooled) for n, p in parts.items()})
        mask = torch.cat([parts[name].mask for name in self.names], dim=1)
        return Features(fused.tokens, mask, fused.tokens.mean(dim=1))


class MixesOrder(MeanFusion):
    """Takes the inputs in the order they come in."""

    def __init__(self, config, dims):
        super().__init__(MeanConfig(), dims)

    def forward(self, parts):
        fused = super().forward(parts)
        mask = torch.cat([part.mask for part in parts.values()], dim=1)
        return Features(fused.tokens, mask, fused.pooled)


class UnusedGate(MeanFusion):
    """Has a layer that nothing depends on."""

    def __init__(self, config, dims):
        super().__init__(MeanConfig(), dims)
        self.gate = nn.Linear(2, 2)


class FirstOnly(MeanFusion):
    """Looks at the first input only."""

    def __init__(self, config, dims):
        super().__init__(MeanConfig(), dims)

    def forward(self, parts):
        fused = super().forward(parts)
        return Features(fused.tokens, fused.mask, self.project[0](parts[self.names[0]].pooled))
