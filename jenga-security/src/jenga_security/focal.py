"""The focal loss, and probabilities from a network that was trained by it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def focal_loss(logit: Tensor, y: Tensor, *, gamma: float, weight: float) -> Tensor:
    """Binary, summed over rows: (1 - p)^gamma * -log p, p the probability of the right class (Lin et al. 2017, arXiv
    1708.02002); an attack counts `weight` times. `gamma` 0 is cross entropy.
    """
    logit, y = logit.float(), y.float()
    right = logit * (2 * y - 1)
    loss = torch.exp(-gamma * F.softplus(right)) * F.softplus(-right)
    return (loss * torch.where(y > 0, weight, 1.0)).sum()


def unfocal(logit: Tensor, *, gamma: float) -> Tensor:
    """The logit of the class probability for which `logit` has the least expected focal loss; float64, rising with `logit`.

    The focal loss is not proper: its best answer lies nearer to 1/2 than the truth. The truth is found from it again by
    Charoenphakdee et al. 2021 (arXiv 2011.09172, theorem 11): the odds are h(p) / h(1 - p) with
    h(p) = p / ((1 - p)^gamma - gamma (1 - p)^(gamma - 1) p log p).
    """
    logit = logit.double()
    return _log_h(logit, gamma) - _log_h(-logit, gamma)


def _log_h(logit: Tensor, gamma: float) -> Tensor:
    minus_log_p, minus_log_rest = F.softplus(-logit), F.softplus(logit)
    bend = torch.exp(-minus_log_rest) + gamma * torch.exp(-minus_log_p) * minus_log_p
    return -minus_log_p + (gamma - 1) * minus_log_rest - torch.log(bend.clamp(min=1e-300))
