"""How far two sets of counts lie apart, and whether chance explains it: PSI, Kolmogorov-Smirnov, chi-square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

GROUPS = 10  # of equal size, over which PSI of numbers is summed, as is usual
FEW = 5.0  # expected counts below this are taken together, or chi-square would not hold


@dataclass(frozen=True, slots=True)
class Shift:
    """`psi`: size of the change (population stability index). `ks`: largest distance of the two distribution functions,
    NaN for names, which have no order. `p`: how probable rows of one distribution are to lie as far apart.
    """

    psi: float
    ks: float
    p: float


def of_ordered(reference: Array, new: Array) -> Shift:
    """Of bins in their order. The distance between bins is at most that between the values, so `p` errs upwards.

    `p` is that of the two-sample test with the limiting law at the effective size (as scipy's `method="asymp"`).
    """
    from scipy.stats import kstwo

    n, m = int(reference.sum()), int(new.sum())
    ks = float(np.abs(np.cumsum(reference) / n - np.cumsum(new) / m).max())
    p = float(kstwo.sf(ks, max(round(n * m / (n + m)), 1)))
    groups = _groups(reference)
    return Shift(psi(_sum(reference, groups), _sum(new, groups)), ks, min(max(p, 0.0), 1.0))


def of_counts(reference: Array, new: Array) -> Shift:
    """Of bins without an order; rare ones are taken together."""
    from scipy.stats import chi2_contingency

    both = np.stack([reference, new])
    expected = both.sum(axis=0) * both.sum(axis=1).min() / both.sum()
    rare = expected < FEW
    both = np.concatenate([both[:, ~rare], both[:, rare].sum(axis=1, keepdims=True)], axis=1)
    both = both[:, both.sum(axis=0) > 0]
    p = float(chi2_contingency(both, correction=False).pvalue) if both.shape[1] > 1 else 1.0
    return Shift(psi(both[0], both[1]), float("nan"), p)


def psi(reference: Array, new: Array) -> float:
    """Sum over bins of (q - p) ln(q / p), with half a row added to each bin so that empty ones stay finite."""
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (reference, new))
    return float(((q - p) * np.log(q / p)).sum())


def _groups(reference: Array) -> Array:
    """Which group each bin belongs to: the first bin (no number) its own, the others in groups of about equal size."""
    rest = reference[1:]
    middle = (np.cumsum(rest) - rest / 2) / max(rest.sum(), 1)
    of_rest = np.unique(np.minimum((middle * GROUPS).astype(int), GROUPS - 1), return_inverse=True)[1]
    return np.concatenate([[0], 1 + of_rest])


def _sum(counts: Array, groups: Array) -> Array:
    return np.bincount(groups, weights=counts)
