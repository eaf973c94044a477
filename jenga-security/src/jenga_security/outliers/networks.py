"""Backbones for anomalies without labels: one that reconstructs a row, and one that cannot collapse by its biases."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from jenga_core.contracts import Backbone, Features
from jenga_core.errors import UserError

from .config import AutoencoderConfig, BiasFreeConfig

MOST = 256  # numbers that a category is coded by
LARGEST = 65_536  # places of a category


class Encoding(nn.Module):
    """What a row holds as numbers [B, width], without parameters: scaled numbers beside each category as one-hot less
    1 / size. (One-hot codes sum to one, which would give a network without biases a bias after all; these sum to zero.)

    Categories beyond MOST share the places of the first, so that a hashed column does not swell the encoding.
    Of a window: that of its newest row, then mean and deviation of each over the window.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__()
        sizes = [int(size) for size in facts["categories"]]
        if max(sizes, default=0) > LARGEST:
            raise UserError(
                f"a category of {max(sizes):,} places is too wide for a detector without labels",
                next=f"give the processor fewer `buckets`, at most {LARGEST:,}, or leave the column out",
            )
        for at, size in enumerate(sizes):
            self.register_buffer(f"codes_{at}", _codes(size), persistent=False)
        self.categories = len(sizes)
        self.width = (int(facts["numbers"]) + sum(min(size, MOST) for size in sizes)) * (3 if "length" in facts else 1)

    def forward(self, data: Mapping[str, Tensor]) -> Tensor:
        """numbers [B, F] and categories [B, C]; of windows [B, T, F], [B, T, C] and mask bool [B, T], newest row last."""
        numbers, categories = data["numbers"], data["categories"]
        coded = [
            nn.functional.embedding(categories[..., at], self.get_buffer(f"codes_{at}"))
            for at in range(self.categories)
        ]
        rows = torch.cat([numbers, *coded], dim=-1)
        return _summary(rows, data["mask"]) if "mask" in data else rows


def _codes(size: int) -> Tensor:
    """[size, at most MOST]: one-hot less the mean, so that each row sums to zero."""
    places = min(size, MOST)
    return torch.eye(places)[torch.arange(size) % places] - 1 / places


def _summary(rows: Tensor, mask: Tensor) -> Tensor:
    """rows [B, T, E], mask [B, T] -> [B, 3 E]: the newest row, mean and deviation."""
    size = mask.sum(dim=1)
    newest = rows[torch.arange(rows.shape[0], device=rows.device), size - 1]
    kept, count = rows * mask.unsqueeze(-1), size.unsqueeze(-1)
    mean = kept.sum(dim=1) / count
    apart = (rows - mean.unsqueeze(1)) * mask.unsqueeze(-1)
    return torch.cat([newest, mean, (apart.square().sum(dim=1) / count).sqrt()], dim=1)


def reconstructed(read: Tensor, made: Tensor) -> Features:
    """The Features of a backbone that provides "reconstruction": tokens [B, 2, E] are the row's encoding and what the
    network made of it, pooled [B, E] is their difference."""
    tokens = torch.stack([read, made], dim=1)
    return Features(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device), read - made)


class Autoencoder(nn.Module, Backbone):
    """Encoder, narrow code, decoder; in training the input is noisy (Vincent et al. 2008). `facts`: of security/table or
    security/window."""

    reconstructs = True

    def __init__(
        self, config: AutoencoderConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.encoding = Encoding(facts)
        self.noise = config.noise
        self.out_dim = self.encoding.width
        code = config.code or max(1, self.out_dim // 2)
        self.layers = nn.Sequential(
            nn.Linear(self.out_dim, config.width),
            nn.ReLU(),
            nn.Linear(config.width, code),
            nn.Linear(code, config.width),
            nn.ReLU(),
            nn.Linear(config.width, self.out_dim),
        )

    def forward(self, **data: Tensor) -> Features:
        """What `Encoding` takes -> `reconstructed` Features of its width."""
        row = self.encoding(data)
        noisy = row + self.noise * torch.randn_like(row) if self.training and self.noise else row
        return reconstructed(row, self.layers(noisy))


class BiasFreeMlp(nn.Module, Backbone):
    """Linear layers without biases and leaky ReLU, for security/one-class: no weights but zeros map all rows to one point
    (Ruff et al. 2018, propositions 1 to 3). `facts`: of security/table or security/window."""

    def __init__(
        self, config: BiasFreeConfig, facts: Mapping[str, Any], saved: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.encoding = Encoding(facts)
        self.out_dim = config.out
        self.layers = nn.Sequential()
        for before, after in pairwise([self.encoding.width] + [config.width] * config.depth):
            self.layers.extend([nn.Linear(before, after, bias=False), nn.LeakyReLU(0.1)])
        self.layers.append(nn.Linear(config.width, config.out, bias=False))

    def forward(self, **data: Tensor) -> Features:
        """What `Encoding` takes -> pooled [B, out]."""
        return Features.of_pooled(self.layers(self.encoding(data)))
