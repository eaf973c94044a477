"""How means over seeds are printed: with the half width of their 95 % t interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student


def half_width(values: Sequence[float] | np.ndarray) -> float:
    """Of the 95 % interval of the mean of two values or more, by Student's t."""
    return float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def interval(values: Sequence[float] | np.ndarray, digits: int = 4) -> str:
    """The mean, with its half width where there are several values."""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {half_width(values):.{digits}f}"
