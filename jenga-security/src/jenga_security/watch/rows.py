"""Lines of a log -> rows with predictions. What cannot be read or predicted is counted and left out, line by line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from jenga_core.errors import DataError, JengaError
from jenga_core.following import Following

Done = TypeVar("Done")
Bad = Callable[[int, str], None]  # the number of a line or row among those given, and why it cannot be used
LONGEST = 300  # characters of a reason
SHOWN = 5  # things of one kind that are told in full


def sift(
    begin: int, end: int, work: Callable[[int, int], Done], bad: Callable[[int, Exception], None]
) -> Iterator[tuple[int, int, Done]]:
    """(begin, end, `work(begin, end)`) of things that come in order: of all at once, or, where that raises, of their halves.

    A single one that it raises for is `bad`, and those beside it stay. The one place where an error that a line or row
    brings about is caught: whoever writes into a log chooses what is in it, so no kind of error is too odd. What is no error
    of a row must not be raised by `work`: it writes nothing.
    """
    try:
        done = work(begin, end)
    except Exception as error:
        if end - begin < 2:
            bad(begin, error)
            return
    else:
        yield begin, end, done
        return
    middle = (begin + end) // 2
    yield from sift(begin, middle, work, bad)
    yield from sift(middle, end, work, bad)


def reason(error: Exception) -> str:
    """What is wrong with a single row. An error that was not foreseen bears its type."""
    if isinstance(error, DataError):
        said = error.what if error.column is None else f"column {error.column!r}: {error.what}"
    else:
        said = str(error) if isinstance(error, JengaError) else f"{type(error).__name__}: {error}"
    return said if len(said) <= LONGEST else said[: LONGEST - 3] + "..."


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows, and which of a batch's lines they were read from: those from `begin` to before `end`."""

    frame: pd.DataFrame
    begin: int
    end: int


@dataclass(slots=True)
class Reader:
    """`live` of a source. A line is a record: an object that is not whole at a line's end is a bad line."""

    live: Any
    bad: Bad

    def rows(self, lines: Sequence[bytes]) -> list[Piece]:
        """What could be read, in order."""
        found = []

        def refuse(at: int, error: Exception) -> None:
            self.bad(at, reason(error))

        for begin, end, frame in sift(0, len(lines), lambda a, b: self.live.feed(lines[a:b]), refuse):
            found += [Piece(frame, begin, end)] if len(frame) else []
            for _ in sift(end - 1, end, lambda a, b: self.live.end(), refuse):
                pass
        return found


def line_of(at: int, piece: Piece, lines: Sequence[bytes], live: Any) -> int | None:
    """Which of a batch's lines row `at` of `piece` was read from; None where the lines one by one do not tell.

    `live`: a fresh one that knows the log's header.
    """
    if len(piece.frame) == piece.end - piece.begin:
        return piece.begin + at
    reader = Reader(live, lambda line, why: None)
    rows = [sum(len(p.frame) for p in reader.rows(lines[n : n + 1])) for n in range(piece.begin, piece.end)]
    if sum(rows) != len(piece.frame):
        return None
    return piece.begin + int(np.searchsorted(np.cumsum(rows), at, side="right"))


@dataclass(slots=True)
class Scorer:
    """Rows -> predictions with the rows before them in view; the hooks hear of them."""

    following: Following
    tell: Callable[[str], None]
    _good: pd.DataFrame | None = field(default=None, init=False)  # a row that was predicted
    _failed: int = field(default=0, init=False)

    def scored(
        self, frame: pd.DataFrame, bad: Bad, *, hooks: bool = True
    ) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """(rows, their predictions). Columns that these lines do not have are missing cells: logs leave out what is unset."""
        cells = self._read(frame)

        def refuse(at: int, error: Exception) -> None:
            if not isinstance(error, DataError):
                self._test(error)
            bad(at, reason(error))

        for begin, end, found in sift(0, len(cells), lambda a, b: self.following.scores(cells.iloc[a:b])[0], refuse):
            part, self._good = self._typed(frame.iloc[begin:end], cells.iloc[begin:end]), cells.iloc[begin : begin + 1]
            if hooks:
                self._heard(part, found)
            yield part, found

    def skip(self, frame: pd.DataFrame) -> None:
        """Rows that were predicted before: those to come may see them."""
        if not self.following.alone:
            cells = self._read(frame)
            for _ in sift(0, len(cells), lambda a, b: self.following.skip(cells.iloc[a:b]), lambda at, error: None):
                pass

    def expect(self, columns: Collection[str]) -> None:
        """DataError for a log of these columns, of which the model reads none."""
        if not self._features() & {*columns}:
            raise DataError(
                "the log has none of the columns that the model reads",
                allowed=[str(c) for c in list(columns)[:40]],
                next=f"the model reads {', '.join(sorted(self._features()))}",
            )

    def _features(self) -> frozenset[str]:
        return self.following.predictor.features_of(self.following.table)

    def _read(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The cells that the model reads: nothing in another column can make a row bad."""
        return frame.reindex(columns=sorted(self._features()))

    def _typed(self, rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
        """`rows` with what the model reads as it reads it: numbers are numbers in alerts, all else is as the log has it."""
        _, known = self.following.predictor.as_trained(cells, self.following.table)
        return rows.assign(**{name: known[name] for name in known.columns if name in rows.columns})

    def _heard(self, rows: pd.DataFrame, found: pd.DataFrame) -> None:
        """A hook that cannot bear a row must not keep its alert from being written."""
        predictor = self.following.predictor
        try:
            predictor.hook.on_predict(run=predictor, frame=rows, predictions=found)
        except JengaError as error:
            self._failed += 1
            if self._failed <= SHOWN:
                self.tell(f"the watch goes on: {error}")

    def _test(self, error: Exception) -> None:
        """Raises `error` where a row that was predicted before fails as well: then it is not the row's, but the machine's."""
        if self._good is not None:
            try:
                self.following.predictor.scores(self._good, table=self.following.table)
            except Exception:
                raise error from None
