"""Numbers as vectors, before a network's first layer (Gorishniy et al. 2022, arXiv 2203.05556)."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor, nn

BINS = 32
WIDTH = 12  # units per column
FREQUENCIES = 16
SPREAD = 0.1  # standard deviation of the first frequencies; the paper searches 0.01 to 1


class Plain(nn.Module):
    """The numbers themselves: [B, F] -> [B, F]."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.width = numbers

    def forward(self, numbers: Tensor) -> Tensor:
        return numbers


class PiecewiseLinear(nn.Module):
    """A piecewise linear function of each number with learned values at fixed knots: [B, F] -> [B, F * WIDTH].

    The knots are quantiles of a standard normal distribution: with `scaling: quantile` numbers are normal scores, so that
    the bins are the paper's, equally filled by training rows. A linear term, which the bins begin by adding nothing to
    (arXiv 2410.24210, appendix A.2), carries numbers beyond the outer knots.
    """

    knots: Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.width = numbers * WIDTH
        normal = NormalDist()
        ends = [0.5 / (4 * BINS), *(at / BINS for at in range(1, BINS)), 1 - 0.5 / (4 * BINS)]
        self.register_buffer("knots", torch.tensor([normal.inv_cdf(share) for share in ends]), persistent=False)
        self.linear = nn.Parameter(torch.empty(numbers, WIDTH).uniform_(-1, 1))
        self.bias = nn.Parameter(torch.empty(numbers, WIDTH).uniform_(-1, 1))
        self.bins = nn.Parameter(torch.zeros(numbers, BINS, WIDTH))

    def forward(self, numbers: Tensor) -> Tensor:
        filled = (numbers.unsqueeze(-1) - self.knots[:-1]) / (self.knots[1:] - self.knots[:-1])  # [B, F, BINS]
        bent = torch.einsum("bfk,fkd->bfd", filled.clamp(0, 1).to(self.bins.dtype), self.bins)
        return (numbers.unsqueeze(-1) * self.linear + self.bias + bent).flatten(1)


class Periodic(nn.Module):
    """Sines and cosines of each number at learned frequencies, a linear layer and ReLU: [B, F] -> [B, F * WIDTH]."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.width = numbers * WIDTH
        self.frequencies = nn.Parameter(SPREAD * torch.randn(numbers, FREQUENCIES).clamp(-3, 3))
        bound = (2 * FREQUENCIES) ** -0.5
        self.weight = nn.Parameter(torch.empty(numbers, 2 * FREQUENCIES, WIDTH).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(numbers, WIDTH).uniform_(-bound, bound))

    def forward(self, numbers: Tensor) -> Tensor:
        turns = 2 * torch.pi * numbers.unsqueeze(-1) * self.frequencies
        waves = torch.cat([turns.cos(), turns.sin()], dim=-1).to(self.weight.dtype)
        return torch.relu(torch.einsum("bfk,fkd->bfd", waves, self.weight) + self.bias).flatten(1)


EMBEDDINGS: dict[str, Callable[[int], Plain | PiecewiseLinear | Periodic]] = {
    "plain": Plain,
    "piecewise": PiecewiseLinear,
    "periodic": Periodic,
}
