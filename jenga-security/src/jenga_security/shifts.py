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
    """Of the bins of a `NumberSketch`, in their order.

    The distance between bins is at most that between the values, so `p` errs upwards. It is that of the two-sample test with the
    limiting law at the effective size (as scipy's `method="asymp"`).
    """
    from scipy.stats import kstwo

    n, m = int(reference.sum()), int(new.sum())
    ks = float(np.abs(np.cumsum(reference) / n - np.cumsum(new) / m).max())
    p = float(kstwo.sf(ks, max(round(n * m / (n + m)), 1)))
    groups = _groups(reference)
    return Shift(psi(_sum(reference, groups), _sum(new, groups)), ks, min(max(p, 0.0), 1.0))


def of_counts(reference: Array, new: Array) -> Shift:
    """Of the bins of a `NameSketch`: missing, any other name, then names. Rare ones are taken together.

    A name of which the reference has few rows counts as any other name: it has a bin because it was drawn, so it is rarer than
    it looks, and names that were not drawn are more frequent than 0. The test would take that for a shift.
    """
    from scipy.stats import chi2_contingency

    few = np.append([False, False], reference[2:] < FEW)
    both = np.stack([reference, new])
    both[:, 1] += both[:, few].sum(axis=1)
    both = both[:, ~few]
    expected = both.sum(axis=0) * both.sum(axis=1).min() / both.sum()
    rare = expected < FEW
    both = np.concatenate([both[:, ~rare], both[:, rare].sum(axis=1, keepdims=True)], axis=1)
    both = both[:, both.sum(axis=0) > 0]
    p = float(chi2_contingency(both, correction=False).pvalue) if both.shape[1] > 1 else 1.0
    return Shift(psi(both[0], both[1]), float("nan"), p)


def psi(reference: Array, new: Array) -> float:
    """Sum over bins of (q - p) ln(q / p), the shares p and q smoothed by half a row of the smaller of the two sets.

    A bin that is empty in one of them stays finite, and by no more than the smaller set can tell; one that is empty in both
    adds nothing, however much the sets differ in size.
    """
    half = 0.5 / max(min(reference.sum(), new.sum()), 1)
    p, q = ((counts / max(counts.sum(), 1) + half) / (1 + half * len(counts)) for counts in (reference, new))
    return float(((q - p) * np.log(q / p)).sum())


def _groups(reference: Array) -> Array:
    """Which group each bin of a `NumberSketch` belongs to: no number, below and above the reference each their own, the
    others in `GROUPS` of about equal size."""
    inside = reference[2:-1]
    middle = (np.cumsum(inside) - inside / 2) / max(inside.sum(), 1)
    of_inside = np.unique(np.minimum((middle * GROUPS).astype(int), GROUPS - 1), return_inverse=True)[1]
    return np.concatenate([[0, 1], 2 + of_inside, [2 + len(np.unique(of_inside))]])


def _sum(counts: Array, groups: Array) -> Array:
    return np.bincount(groups, weights=counts)
