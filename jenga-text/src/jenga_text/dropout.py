"""Dropout that a CPU does not wait for: PyTorch's draws a double per element, this one 16 bits.

With dropout on the probabilities of attention, as BERT has it, the draws alone take a sixth of a training step on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

STEPS = 2**16  # probabilities are rounded to multiples of 1 / STEPS


class Dropout(nn.Module):
    """`drop` in training, nothing else."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        return f"p={self.p}"


def drop(x: Tensor, p: float) -> Tensor:
    """Each element of `x` zero with probability `p`, else times 1 / (1 - p). Draws from torch's generator."""
    dropped = round(p * STEPS)
    if x.device.type != "cpu" or dropped == STEPS:
        return functional.dropout(x, p)
    return x if dropped == 0 else _Drop.apply(x, dropped)


def install(module: nn.Module) -> None:
    """Put `Dropout` in the place of every `nn.Dropout` within `module`."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, Dropout(child.p))


class _Drop(torch.autograd.Function):
    """`dropped` of STEPS elements become zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)  # 64 random bits each
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        factor = torch.ge(bits, dropped - STEPS // 2, out=torch.empty(x.shape, dtype=x.dtype))
        factor *= STEPS / (STEPS - dropped)
        ctx.save_for_backward(factor)
        return x * factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (factor,) = ctx.saved_tensors
        return gradient * factor, None
