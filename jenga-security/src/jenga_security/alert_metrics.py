"""The binary metrics, and in the report what a threshold promised beside what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jenga_core.builtin.metrics import BinaryMetrics
from jenga_core.contracts import Columns
from jenga_core.figures import Curve, Figure, Line

from .alerts import AlertRule
from .thresholds import clopper_pearson, exceedance

Array = np.ndarray[Any, Any]

POINTS = 24  # rates shown
MOST = 0.2  # the largest of them


class AlertMetrics(BinaryMetrics):
    """As `BinaryMetrics`; the figures tell the threshold, the held-out rows it rests on, and the realised rate."""

    def __init__(self, names: Sequence[str], rule: AlertRule) -> None:
        super().__init__(names, rule.threshold)
        self.rule = rule

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        """None is added where the rule rests on no held-out rows, or there is no normal row to judge by."""
        shown = super().figures(output, target)
        normal = np.asarray(target["y"]) == 0
        if not shown or not self.rule.normal.rows or not normal.any():
            return shown
        score, flag = np.asarray(output["score"])[normal], np.asarray(output["flag"])[normal].astype(bool)
        return [alarms(self.rule, score, flag), *shown]


def alarms(rule: AlertRule, scores: Array, flags: Array) -> Curve:
    """False alarms on normal rows with `scores` [N] and `flags` [N], beside what the held-out rows promise."""
    rows, held = len(scores), rule.normal.rows
    ranks = np.unique(held - np.geomspace(1, max(held * MOST, 1), POINTS).astype(int) + 1)[::-1]
    ranks = ranks[ranks >= 1]
    asked = (held + 1 - ranks) / (held + 1)
    ends = [exceedance(held, int(rank)) for rank in ranks]
    realised = np.array([(scores > np.float32(rule.normal.at(int(rank)))).mean() for rank in ranks])
    lines = [
        Line("realised here", 100 * asked, 100 * realised),
        Line("promised, low", 100 * asked, np.array([100 * end.low for end in ends])),
        Line("promised, high", 100 * asked, np.array([100 * end.high for end in ends])),
    ]
    return Curve("False alarms", "asked, % of normal rows", "% of normal rows", lines, note=_note(rule, rows, flags))


def _note(rule: AlertRule, rows: int, flags: Array) -> str:
    hits = int(flags.sum())
    realised, expected = clopper_pearson(hits, rows), rule.expected
    apart = realised.low > expected.high or realised.high < expected.low
    verdict = (
        "The intervals do not meet: these rows differ from the held-out ones; see `jenga drift`"
        if apart
        else "The intervals meet"
    )
    return (
        f"{rule.says()[0].upper()}{rule.says()[1:]}. Of the {rows:,} normal rows judged here {hits:,} were alerts: "
        f"{100 * hits / rows:.3g} %, interval {realised}. {verdict}."
    )
