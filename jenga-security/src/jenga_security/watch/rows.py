"""Lines of a log -> rows with predictions. What cannot be read or predicted is counted and left out, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jenga_core.errors import DataError
from jenga_core.following import Following

Bad = Callable[[str, str], None]  # what the line or row is, why it cannot be used


@dataclass(slots=True)
class Reader:
    """`live` of a source. A line is a record: an object that is not whole at a line's end is a bad line."""

    live: Any
    bad: Bad

    def rows(self, lines: Sequence[bytes]) -> list[pd.DataFrame]:
        """Frames of the lines that could be read, in order."""
        return list(self._rows(lines)) if lines else []

    def _rows(self, lines: Sequence[bytes]) -> Iterator[pd.DataFrame]:
        try:
            frame = self.live.feed(lines)
        except DataError as error:
            if len(lines) == 1:
                self.bad(lines[0][:200].decode("utf-8", "replace"), error.what)
                return
            half = len(lines) // 2
            yield from self._rows(lines[:half])
            yield from self._rows(lines[half:])
            return
        if len(frame):
            yield frame
        try:
            self.live.end()
        except DataError as error:
            self.bad(lines[-1][:200].decode("utf-8", "replace"), error.what)


@dataclass(slots=True)
class Scorer:
    """Rows -> predictions with the rows before them in view; the hooks hear of them."""

    following: Following
    bad: Bad
    lacking: set[str] = field(default_factory=set)  # columns that the log has not had so far

    def __post_init__(self) -> None:
        self.lacking |= self.following.predictor.features_of(self.following.table)

    def scored(self, frame: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """(rows, their predictions). Columns that these lines do not have are missing cells: logs leave out what is unset."""
        yield from self._scored(self.complete(frame))

    def complete(self, frame: pd.DataFrame) -> pd.DataFrame:
        features = self.following.predictor.features_of(self.following.table)
        if not features & {*frame.columns}:
            raise DataError(
                "the log has none of the columns that the model reads",
                allowed=[str(c) for c in list(frame.columns)[:40]],
                next=f"the model reads {', '.join(sorted(features))}",
            )
        self.lacking -= {*frame.columns}
        absent = sorted(features - {*frame.columns})
        return frame.assign(**dict.fromkeys(absent, np.nan)) if absent else frame

    def _scored(self, frame: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        predictor = self.following.predictor
        try:
            found, _ = self.following.scores(frame)
        except DataError as error:
            if len(frame) == 1:
                self.bad(repr(frame.iloc[0].dropna().to_dict())[:200], str(error))
                return
            half = len(frame) // 2
            yield from self._scored(frame.iloc[:half])
            yield from self._scored(frame.iloc[half:])
            return
        predictor.hook.on_predict(run=predictor, frame=frame, predictions=found)
        yield frame, found

    def skip(self, frame: pd.DataFrame) -> None:
        """Rows that were predicted before: those to come may see them."""
        if self.following.alone:
            return
        try:
            self.following.skip(self.complete(frame))
        except DataError:
            half = len(frame) // 2
            for part in (frame.iloc[:half], frame.iloc[half:]) if half else ():
                self.skip(part)
