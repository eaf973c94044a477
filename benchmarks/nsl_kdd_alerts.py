"""What becomes of alert thresholds on KDDTest+: detection by attack type, realised rates, recalibration, the drift gate.

Part of nsl_kdd.py, which trains. Every rule here was fixed beforehand; none was chosen on test rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jenga_security.drift import Drift, References
from jenga_security.rolling import RollingThreshold
from jenga_security.thresholds import conformal

RATES = {"1 %": 0.01, "0.1 %": 0.001}
MARKS = {"1 %": 0.02, "0.1 %": 0.003}
LABELLED = 1000  # normal rows that an analyst confirms: the fewest that carry a target of 0.1 %, rounded up
PART = 500  # rows between two looks of the rolling threshold
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Judged:
    """Scores and labels (1 = attack) of held-out rows and of test rows; `known`: the type of attack was in training."""

    held: np.ndarray
    held_y: np.ndarray
    scores: np.ndarray
    y: np.ndarray
    known: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """The first normal test rows, in the order of the file: never judged, under no rule."""
        return np.flatnonzero(self.y == 0)[:LABELLED]


def detection(rows: Judged) -> Scores:
    """At the 1 % target: the share found of attacks whose type training rows showed, and of the others."""
    flags = rows.scores >= conformal(rows.held[rows.held_y == 0], 0.01)
    return {
        "seen types": float(flags[(rows.y == 1) & rows.known].mean()),
        "unseen types": float(flags[(rows.y == 1) & ~rows.known].mean()),
    }


def realised(rows: Judged) -> dict[str, Scores]:
    """Rule -> the false-positive rate at each target and the share of attacks found, over the rows that are judged."""
    judged = np.setdiff1d(np.arange(len(rows.y)), rows.labelled)
    found: dict[str, dict[str, float]] = {}
    for target, rate in RATES.items():
        trained = conformal(rows.held[rows.held_y == 0], rate)
        thresholds = {
            "as trained": trained,
            "rolling, unlabelled": followed(rows, rate, trained),
            f"{LABELLED:,} labelled normal": max(trained, conformal(rows.scores[rows.labelled], rate)),
        }
        for rule, threshold in thresholds.items():
            flags = (rows.scores >= threshold)[judged]
            found.setdefault(rule, {})[f"FPR at {target}"] = float(flags[rows.y[judged] == 0].mean())
            found[rule][f"recall at {target}"] = float(flags[rows.y[judged] == 1].mean())
    return found


def followed(rows: Judged, rate: float, floor: float) -> np.ndarray:
    """The threshold that each test row met: rolling over the rows before it, unlabelled.

    Its ceiling, from which a row passes for an attack, is the median score of held-out attacks.
    """
    ceiling = max(float(np.median(rows.held[rows.held_y == 1])), floor)
    rolling = RollingThreshold(rate, floor=floor, ceiling=ceiling, window=5000)
    met = np.empty(len(rows.scores))
    for at in range(0, len(met), PART):
        met[at : at + PART] = rolling.threshold
        rolling.update(rows.scores[at : at + PART])
    return met


def gate(
    references: References,
    validation: tuple[pd.DataFrame, np.ndarray],
    test: tuple[pd.DataFrame, np.ndarray],
    y: np.ndarray,
) -> dict[str, Drift]:
    """The drift gate over validation rows, over all test rows, and over normal test rows against normal training rows."""
    frame, scores = test
    normal = references.normal or references.every
    return {
        "validation rows": references.every.compare(references.every.count(*validation)),
        "test rows": references.every.compare(references.every.count(frame, scores)),
        "normal test rows": normal.compare(normal.count(frame[y == 0], scores[y == 0])),
    }
