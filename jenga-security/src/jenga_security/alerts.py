"""When a score is an alert: the rule behind `threshold:`, chosen on held-out rows and changeable without refitting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from jenga_core import states
from jenga_core.errors import DataError

from .alert_config import AlertBudget, TargetRate, Threshold
from .heldout import Record
from .thresholds import (
    Interval,
    above,
    best_f1,
    between,
    clopper_pearson,
    conformal,
    exceedance,
    rank_of,
    require_both,
    require_normal,
)
from .traffic import rows_per_day, share_of

Array = np.ndarray[Any, Any]
Wanted = float | TargetRate | AlertBudget | Literal["best_f1"]
_OPTION: TypeAdapter[Wanted] = TypeAdapter(Threshold)
NONE = Record.of(np.zeros(0))


@dataclass(frozen=True, slots=True)
class AlertRule:
    """What is wanted, the `threshold` that follows (a score at or above it is an alert), and the scores it rests on.

    `normal` and `attacks` record held-out scores, those of rows that the model was not fitted on; where nothing is
    labelled, all held-out rows count as normal. `rows_per_day` turns an alert budget into a rate. A rule does not change:
    `calibrated` and `changed` return another one. Until `calibrated`, a threshold yet to be chosen stands at 0.5.
    """

    wanted: Wanted
    threshold: float = 0.5
    rows_per_day: float | None = None
    normal: Record = field(default=NONE)
    attacks: Record = field(default=NONE)

    @classmethod
    def of(cls, wanted: Wanted) -> AlertRule:
        """From the option `threshold:`."""
        return cls(wanted, float(wanted) if isinstance(wanted, int | float) else 0.5).wishing(wanted)

    def wishing(self, wanted: Wanted) -> AlertRule:
        """The same with another wish, whose declared rows a day count; the threshold is yet to follow."""
        declared = wanted.alert_budget.rows_per_day if isinstance(wanted, AlertBudget) else None
        return replace(self, wanted=wanted, rows_per_day=declared or self.rows_per_day)

    @property
    def rate(self) -> float | None:
        """The accepted share of normal rows, where the rule is about that. DataError for a budget that is no share."""
        if isinstance(self.wanted, TargetRate):
            return self.wanted.target_fpr
        return self._budget(self.wanted.alert_budget.per_day) if isinstance(self.wanted, AlertBudget) else None

    def _budget(self, per_day: float) -> float:
        """Of all rows and not of the normal ones only: fewer false alerts than the budget, never more."""
        if self.rows_per_day is None:
            raise DataError("an alert budget needs to know how many rows a day brings", next="declare rows_per_day")
        if per_day >= self.rows_per_day:
            raise DataError(
                f"{per_day:g} alerts a day is no budget: a day brings {self.rows_per_day:,.0f} rows",
                next="give a smaller `per_day`, or declare the right `rows_per_day`",
            )
        return per_day / self.rows_per_day

    # ---------------------------------------------------------------- choosing

    def require(self, y: Array) -> None:
        """DataError when held-out rows with labels `y` (1 = attack) are too few for this rule: to be asked before training."""
        rate = self.rate
        if rate is not None:
            require_normal(int((np.asarray(y) == 0).sum()), rate)
        elif self.wanted == "best_f1":
            require_both(np.asarray(y))

    def choose(self, scores: Array, y: Array) -> float:
        """The threshold that follows from held-out `scores` [N] with labels `y` [N], 1 = attack."""
        scores, y = np.asarray(scores, dtype=np.float32), np.asarray(y)
        rate = self.rate
        if rate is not None:
            return conformal(scores[y == 0], rate)
        return best_f1(scores, y) if self.wanted == "best_f1" else float(self.wanted)  # type: ignore[arg-type]

    def calibrated(self, scores: Array, y: Array) -> AlertRule:
        """The rule with the threshold chosen on these held-out rows, which it records."""
        scores, y = np.asarray(scores, dtype=np.float32), np.asarray(y)
        if not np.isfinite(scores).all():
            raise DataError("a held-out score is not finite: no threshold can be chosen")
        chosen = self.choose(scores, y)
        return replace(self, threshold=chosen, normal=Record.of(scores[y == 0]), attacks=Record.of(scores[y == 1]))

    def changed(self, wanted: Wanted) -> AlertRule:
        """Another wish on the same recorded rows. DataError when they are too few for it."""
        rule = self.wishing(wanted)
        rate = rule.rate
        if rate is not None:
            require_normal(self.normal.rows, rate)
            return replace(rule, threshold=above(self.normal.at(rank_of(self.normal.rows, rate))))
        if wanted == "best_f1":
            return replace(rule, threshold=self._best_f1())
        return replace(rule, threshold=float(wanted))  # type: ignore[arg-type]

    def _best_f1(self) -> float:
        """As `thresholds.best_f1`."""
        require_both(np.repeat([0, 1], [self.normal.rows, self.attacks.rows]))
        hits = self.attacks.at_least(self.attacks.scores)
        f1 = 2 * hits / (self.attacks.rows + hits + self.normal.at_least(self.attacks.scores))
        best = float(self.attacks.scores[np.flatnonzero(f1 == f1.max())[-1]])
        return between(np.concatenate([self.normal.scores, self.attacks.scores]), best)

    # ---------------------------------------------------------------- what it promises

    @property
    def expected(self) -> Interval:
        """95 % interval of the share of new normal rows that will be alerts, if they are like the held-out ones.

        For a threshold chosen by rate: the law of the coverage of split-conformal prediction, Beta(n + 1 - k, k). For
        any other: Clopper and Pearson's interval by the held-out rows that reach it.
        """
        if not self.normal.rows:
            return Interval(0.0, 1.0)
        if self.rate is not None:
            return exceedance(self.normal.rows, rank_of(self.normal.rows, self.rate))
        return clopper_pearson(int(self.normal.at_least(self.threshold)), self.normal.rows)

    @property
    def found(self) -> float:
        """The share of held-out attacks that reach the threshold; NaN without any."""
        return float(self.attacks.at_least(self.threshold) / self.attacks.rows) if self.attacks.rows else float("nan")

    def says(self) -> str:
        """One line for people: the threshold, what it was chosen by, the interval of the rate to expect."""
        line = f"threshold {self.threshold:.6g} ({_spelt(self)}), {self.normal.rows:,} held-out normal rows"
        if not self.normal.rows:
            return line
        return f"{line}: of new normal rows like them {self.expected} will be alerts (95 % interval)"

    # ---------------------------------------------------------------- state

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "wanted": _OPTION.dump_python(self.wanted, mode="json"),
            "threshold": self.threshold,
            "rows_per_day": self.rows_per_day,
            "normal": self.normal.state(),
            "attacks": self.attacks.state(),
        }

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> AlertRule:
        """The inverse of `state`."""
        day = state["rows_per_day"]
        return cls(
            _OPTION.validate_python(state["wanted"]),
            states.number(state["threshold"]),
            None if day is None else states.number(day, above=0),
            Record.read(states.section(state["normal"])),
            Record.read(states.section(state["attacks"])),
        )


def counted(rule: AlertRule, run: Any, table: str) -> AlertRule:
    """The rule with the rows a day of `table`, where an alert budget asks to count them: by training rows only."""
    if not isinstance(rule.wanted, AlertBudget) or rule.wanted.alert_budget.time is None:
        return rule
    held = run.tables[table]
    train = held.splits["train"]
    others = [rows for split, rows in held.splits.items() if split != "train"]
    times = held.frame[rule.wanted.alert_budget.time].iloc[train]
    share = share_of(train, others, run.config.data[table].split.by)
    return replace(rule, rows_per_day=rows_per_day(times, lambda at: held.where(int(train[at])), share=share))


def _spelt(rule: AlertRule) -> str:
    if isinstance(rule.wanted, TargetRate):
        return f"target_fpr {rule.wanted.target_fpr:g}"
    if isinstance(rule.wanted, AlertBudget):
        return f"{rule.wanted.alert_budget.per_day:g} false alerts a day of {rule.rows_per_day:,.0f} rows"
    return "best_f1" if rule.wanted == "best_f1" else "a number"
