"""An isolation forest as tensors (Liu, Ting and Zhou 2008), so that it lies in model.safetensors and scores on any device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Array = np.ndarray[Any, Any]

TREES, SAMPLE = 100, 256  # the paper's
DEPTH = int(math.log2(SAMPLE))
EULER = 0.5772156649015329


class IsolationForest(nn.Module):
    """Complete trees in heap order: the children of node i are 2i + 1 and 2i + 2. A node that was not split sends every
    row to the left, so that each row ends in one of the 2^DEPTH leaves, which holds the length of its path."""

    column: Tensor
    cut: Tensor
    length: Tensor
    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        inner, leaves = 2**DEPTH - 1, 2**DEPTH
        self.register_buffer("column", torch.zeros(TREES, inner, dtype=torch.int64))
        self.register_buffer("cut", torch.full((TREES, inner), torch.finfo(torch.float32).max))
        self.register_buffer("length", torch.ones(TREES, leaves))
        self.register_buffer("usual", torch.ones(()))

    def fit(self, rows: Array, rng: np.random.Generator) -> None:
        """`rows` float32 [N, E]; each tree grows on a sample of at most SAMPLE of them."""
        size = min(SAMPLE, len(rows))
        grown = [_grow(rows[rng.choice(len(rows), size, replace=False)], rng) for _ in range(TREES)]
        for buffer, parts in zip((self.column, self.cut, self.length), zip(*grown, strict=True), strict=True):
            buffer.copy_(torch.from_numpy(np.stack(parts)))
        self.usual.fill_(max(_usual(size), 1e-6))

    def fits(self, columns: int) -> bool:
        """Whether the trees split rows of so many columns."""
        return int(self.column.min()) >= 0 and int(self.column.max()) < columns and float(self.usual) > 0

    def forward(self, x: Tensor) -> Tensor:
        """x [B, E] -> the paper's score 2^(-mean path length / usual), in 0..1: [B]."""
        trees = torch.arange(TREES, device=x.device)
        node = x.new_zeros((x.shape[0], TREES), dtype=torch.int64)
        for _ in range(DEPTH):
            value = x.gather(1, self.column[trees, node])
            node = 2 * node + 1 + (value > self.cut[trees, node]).long()
        lengths = self.length[trees, node - (2**DEPTH - 1)]
        return torch.exp2(-lengths.mean(dim=1) / self.usual)


def _grow(rows: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    column = np.zeros(2**DEPTH - 1, dtype=np.int64)
    cut = np.full(2**DEPTH - 1, np.finfo(np.float32).max, dtype=np.float32)
    length = np.zeros(2**DEPTH, dtype=np.float32)
    waiting: list[tuple[int, int, Array]] = [(0, 0, rows)]
    while waiting:
        node, depth, here = waiting.pop()
        low, high = here.min(axis=0), here.max(axis=0)
        varying = np.flatnonzero(low < high) if len(here) > 1 else np.zeros(0, dtype=np.int64)
        if depth == DEPTH or not len(varying):
            first = (node + 1) * 2 ** (DEPTH - depth) - 2**DEPTH
            length[first : first + 2 ** (DEPTH - depth)] = depth + _usual(len(here))
            continue
        at = int(rng.choice(varying))
        place = np.float32(rng.uniform(low[at], high[at]))
        column[node], cut[node] = at, min(place, np.nextafter(high[at], low[at]))
        right = here[:, at] > cut[node]
        waiting += [(2 * node + 1, depth + 1, here[~right]), (2 * node + 2, depth + 1, here[right])]
    return column, cut, length


def _usual(rows: int) -> float:
    """The mean path length of a row in a random tree over `rows` rows: an unsuccessful search in a binary search tree."""
    if rows <= 2:
        return float(max(rows - 1, 0))
    return 2 * (math.log(rows - 1) + EULER) - 2 * (rows - 1) / rows
