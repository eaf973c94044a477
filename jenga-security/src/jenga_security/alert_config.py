"""Options of alert thresholds. Torch-free."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from jenga_core.config import Section


class TargetRate(Section):
    """A threshold that at most this share of normal rows passes (split-conformal, on validation rows)."""

    target_fpr: float = Field(gt=0, lt=1, description="accepted share of normal rows that raise an alert")


class Budget(Section):
    """How many false alerts a day, and how many rows a day brings: declared, or counted by a column of times."""

    per_day: float = Field(gt=0, description="false alerts a day that are accepted; real attacks come on top")
    rows_per_day: float | None = Field(
        default=None, gt=0, description="rows a day that will be scored; needed where no `time` says it"
    )
    time: str | None = Field(
        default=None,
        description="column of times, from which the rows a day are counted; no feature then. Only sound where the "
        "training data are all the traffic of their time and not a selection",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.rows_per_day is None) == (self.time is None):
            raise ValueError("give `rows_per_day`, or `time`: the column of times to count them by")
        if self.rows_per_day is not None and self.per_day >= self.rows_per_day:
            raise ValueError(f"per_day: {self.per_day:g} is no budget for rows_per_day: {self.rows_per_day:g} rows")
        return self


class AlertBudget(Section):
    """A threshold that lets about so many normal rows a day pass (as `target_fpr`, by the rows of a day)."""

    alert_budget: Budget = Field(description="false alerts a day that are accepted")


# what `threshold:` may say
Threshold: TypeAlias = Annotated[float, Field(ge=0, le=1)] | TargetRate | AlertBudget | Literal["best_f1"]
THRESHOLD_HELP = (
    "score from which a row is an alert: a number; {target_fpr: 0.01}: chosen on normal validation rows; "
    "{alert_budget: {per_day: 20, rows_per_day: 100000}}: the same by false alerts a day; best_f1: chosen on "
    "validation rows"
)
