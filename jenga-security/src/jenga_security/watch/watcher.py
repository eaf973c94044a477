"""The watch: lines in, alerts out, batch after batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from jenga_core.contracts import Source
from jenga_core.errors import visible
from jenga_core.files import sha256
from jenga_core.following import Following
from jenga_core.inference import Predictor

from .alarms import Alarms
from .archive import Position
from .journal import Journal, Memory, Progress
from .rows import SHOWN, Piece, Reader, Scorer, line_of
from .tail import Tail

BATCH = 2_048  # lines that are read and predicted together at most: what an alert may have to wait for
EVERY = 60.0  # seconds from one memory to the next: what a start after a stop reads once more
_HEAD = 1_000  # lines of a log among which its header is looked for


class Watcher:
    """`predictor` over the log at `path`, read by `source`; alerts go to `output`. `start`, then `step` for ever, then `close`.

    Every row of the log that raises an alert has one line in `output`, after any number of kills and restarts: see `journal`.
    """

    def __init__(
        self,
        predictor: Predictor,
        path: Path,
        output: Path,
        source: Source,
        *,
        table: str | None = None,
        form: str = "ecs",
        recalibrate: bool = False,
        tell: Callable[[str], None] = print,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.predictor, self.path, self.source, self.clock = predictor, path, source, clock
        self._tell = tell
        self.table = predictor.table_of(table)
        model = sha256(predictor.folder / "manifest.json")
        contract = {"model": model, "log": str(path.resolve()), "format": form, "table": self.table}
        name = "\n".join(contract.values())
        self._alarms = Alarms(predictor, self.table, str(path), name, form, self.tell, recalibrate)
        self._rolling = self._alarms.rolling
        contract |= {"recalibration": "on"} if recalibrate else {}
        self.journal = Journal(output, contract, scores=len(self._rolling.tasks))
        self.live = source.live(str(path))
        self.scorer = Scorer(Following(predictor, self.table), self.tell)
        self.progress, self._lost, self._remembered = Progress(), 0, 0.0
        self._next = self.progress  # with the rows and bad lines of the batch that is being judged
        self._whole = True  # are the counts, windows and thresholds those of `progress`, and not of half a batch more?

    def tell(self, text: str) -> None:
        """What a log holds must not command a terminal."""
        self._tell(visible(text))

    def start(self, *, from_start: bool = False) -> None:
        """Go on where an earlier watch stopped; else begin at the log's end, or (`from_start`) at its beginning."""
        memory, self.progress = self.journal.open()
        if memory is None:
            self._tail = Tail(self.path, end=not from_start)
            self.live.restore(self._header())
            self.progress = Progress(self._tail.position)
        else:
            self._resume(memory)
        for each in self._rolling.tasks.values():
            self.tell(each.says())
        self._told()
        self._remember()

    def step(self) -> int:
        """Read what has come, at most `BATCH` lines, and write its alerts. Returns the number of lines."""
        lines = self._tail.read(BATCH)
        if lines:
            self._whole, self._next = False, self.progress
            texts, scores = self._judged(lines, self.clock())
            done = replace(
                self._next,
                position=self._tail.position,
                lines=self.progress.lines + len(lines),
                alerts=self.progress.alerts + len(texts),
            )
            self.progress = self.journal.write(texts, done, scores)
            self._whole = True
        self._told()
        if time.monotonic() - self._remembered > EVERY:
            self._remember()
        return len(lines)

    def close(self) -> None:
        """After this a start reads nothing twice; where a batch was broken off, it goes on as after a kill."""
        if self._whole:
            self._remember()
        self._tail.close()
        self.journal.close()

    # ------------------------------------------------------------------ going on

    def _resume(self, memory: Memory) -> None:
        """Lines from the memory to the progress are read again, for what later rows need of them; they raise no alert."""
        if self._rolling.tasks:
            self._rolling.restore(memory.thresholds)
            self._rolling.replay(self.journal.scores(memory, self.progress))
        self._recall(memory)
        self._tail = Tail(self.path, memory.progress.position)
        missing = self.progress.lines - memory.progress.lines
        reader = Reader(self.live, _unheard)
        while missing and not self._tail.lost and (lines := self._tail.read(min(missing, BATCH))):
            missing -= len(lines)
            for piece in reader.rows(lines):
                self._again(piece.frame, judged=self.progress.bad > memory.progress.bad)
        if missing or not _same(self._tail.position, self.progress.position):
            self.tell("lines that were read before the stop are gone: counts and windows begin without them")
            self._recall(memory)
            self._tail = Tail(self.path, self.progress.position)

    def _recall(self, memory: Memory) -> None:
        self.live = self.source.live(str(self.path))
        self.live.restore(memory.live)
        if memory.before is not None:
            self.scorer.following.before = memory.before

    def _again(self, frame: pd.DataFrame, *, judged: bool) -> None:
        """Rows that were predicted before the stop. `judged`: some were bad, and only predicting tells which."""
        if judged and not self.scorer.following.alone:
            for _ in self.scorer.scored(frame, _unheard, hooks=False):
                pass
        else:
            self.scorer.skip(frame)

    def _remember(self) -> None:
        before, thresholds = self.scorer.following.before, self._rolling.state()
        self.journal.remember(Memory(self.progress, self.live.state(), before, thresholds))
        self.journal.write([], self.progress)
        self._remembered = time.monotonic()

    def _header(self) -> dict[str, Any]:
        """Of the log as it is, for a watch that does not begin at its beginning. DataError for a log of other columns."""
        probe, head = self.source.live(str(self.path)), Tail(self.path)
        pieces = Reader(probe, _unheard).rows(head.read(_HEAD))
        head.close()
        if pieces:
            self.scorer.expect(dict.fromkeys(str(name) for piece in pieces for name in piece.frame))
        return {"header": probe.state()["header"]}

    # ------------------------------------------------------------------ one batch

    def _judged(self, lines: list[bytes], seen: float) -> tuple[list[str], bytes]:
        """(the alerts, the scores that thresholds follow, row by row)."""
        texts: list[str] = []
        kept = b""
        for piece in Reader(self.live, lambda at, why: self._refused(lines, at, why)).rows(lines):
            begin = self._next.rows
            self._next = replace(self._next, rows=begin + len(piece.frame))
            frame = piece.frame.set_axis(pd.RangeIndex(begin, self._next.rows))  # counts all rows of the watch
            bad: dict[int, str] = {}  # a row may be told of by each of its tasks

            def refuse(at: int, why: str, bad: dict[int, str] = bad) -> None:
                bad.setdefault(at, why)

            parts = list(self.scorer.scored(frame, refuse))
            alerts, scores = self._alarms.raised(frame.index, parts, seen, refuse)
            for at, why in sorted(bad.items()):
                self._refused(lines, self._line(at, piece, lines), why)
            texts += alerts
            kept += scores
        return texts, kept

    def _line(self, at: int, piece: Piece, lines: list[bytes]) -> int | None:
        """Which of the lines a row came from, as long as that is told."""
        if self._next.bad >= SHOWN:
            return None
        probe = self.source.live(str(self.path))
        probe.restore({"header": self.live.state()["header"]})
        return line_of(at, piece, lines, probe)

    def _refused(self, lines: list[bytes], at: int | None, why: str) -> None:
        """Count a line of the batch that cannot be used, and tell the first ones: lines are counted from the watch's first."""
        self._next = replace(self._next, bad=self._next.bad + 1)
        if self._next.bad <= SHOWN:
            first = self.progress.lines + 1
            where = f"one of lines {first} to {first + len(lines) - 1}" if at is None else f"line {first + at}"
            what = "" if at is None else ": " + lines[at][:200].decode("utf-8", "replace")
            more = " (more are only counted)" if self._next.bad == SHOWN else ""
            self.tell(f"left out: {where}: {why}{what}{more}")

    def _told(self) -> None:
        """What was lost since this was asked last, counted over all starts."""
        new, self._lost = self._tail.lost - self._lost, self._tail.lost
        if new:
            self.progress = replace(self.progress, lost=self.progress.lost + new)
            self.tell(
                "the log was emptied, taken away or compressed to a broken file before its end was read: what was there is "
                f"lost ({self.progress.lost:,} times so far)"
            )


def _unheard(at: int, why: str) -> None:
    """A line or row that cannot be used and is told of elsewhere."""


def _same(one: Position | None, other: Position | None) -> bool:
    """The same place in the same text, whatever has become of the file."""
    return (one and (one.offset, one.proof)) == (other and (other.offset, other.proof))
