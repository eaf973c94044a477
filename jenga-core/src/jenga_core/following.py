"""Rows that come in parts: a long file, a live log. Each row sees those before it, as if all had come together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from .contents import stacked
from .inference import Predictor


@dataclass(slots=True, eq=False)
class Following:
    """`predictor` over the parts of one series of rows like those of `table`.

    What is kept between parts is what processors ask for (`Processor.context`): nothing for most, for windows the newest
    `length - 1` rows of each group. A row is predicted once, with the rows that came up to the end of its own part; one
    that comes late, with a time before that of rows already predicted, changes nothing for those.
    """

    predictor: Predictor
    table: str
    before: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.before is None:
            nothing = pd.DataFrame(columns=sorted(self.predictor.features_of(self.table)), dtype=float)
            self.before = self.predictor.context(nothing, self.table)

    @property
    def alone(self) -> bool:
        """Is every row predicted by itself, so that the parts may come in any order?"""
        return self.before is None

    @property
    def held(self) -> int:
        """How many rows are kept for the next part."""
        return 0 if self.before is None else len(self.before)

    def scores(self, frame: pd.DataFrame, *, reasons: int | None = None) -> tuple[pd.DataFrame, Counter[str]]:
        """As `Predictor.scores`, for the next part."""
        held = self.before if self.held else None
        _, cells = self.predictor.as_trained(frame, self.table)
        found = self.predictor.scores(cells, table=self.table, before=held, reasons=reasons)
        self._pass(cells)
        return found

    def skip(self, frame: pd.DataFrame) -> None:
        """The next part, whose rows need no prediction but may be seen by those behind them."""
        if not self.alone:
            self._pass(self.predictor.as_trained(frame, self.table)[1])

    def _pass(self, cells: pd.DataFrame) -> None:
        if not self.alone:
            both = self.before is not None and self.held
            seen = stacked([self.before, cells[self.before.columns]]) if both else cells  # type: ignore[union-attr, list-item]
            self.before = self.predictor.context(seen, self.table)
