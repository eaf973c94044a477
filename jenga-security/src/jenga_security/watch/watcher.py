"""The watch: lines in, alerts out, batch after batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from jenga_core.contracts import Source
from jenga_core.files import sha256
from jenga_core.following import Following
from jenga_core.inference import Predictor

from .alarms import Alarms
from .formats import FORMATS
from .journal import Journal, Memory, Progress
from .rows import Reader, Scorer
from .tail import Tail

BATCH = 2_048  # lines that are read and predicted together at most: what an alert may have to wait for
SHOWN = 5  # bad lines that are told in full
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
        self.predictor, self.path, self.source, self.tell, self.clock = predictor, path, source, tell, clock
        self.table, self.form = predictor.table_of(table), form
        model = sha256(predictor.folder / "manifest.json")
        contract = {"model": model, "log": str(path.resolve()), "format": form, "table": self.table}
        name = "\n".join(contract.values())
        self._alarms = Alarms(predictor, self.table, str(path), name, tell, recalibrate)
        self._rolling = self._alarms.rolling
        contract |= {"recalibration": "on"} if recalibrate else {}
        self.journal = Journal(output, contract, scores=len(self._rolling.tasks))
        self.live = source.live(str(path))
        self.scorer = Scorer(Following(predictor, self.table), self._refused)
        self.progress, self._lost, self._remembered = Progress(), 0, 0.0

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
            seen = self.clock()
            texts, scores = self._judged(lines, seen)
            self.progress = replace(
                self.progress,
                position=self._tail.position,
                lines=self.progress.lines + len(lines),
                alerts=self.progress.alerts + len(texts),
                size=self.progress.size + sum(len(text.encode()) + 1 for text in texts),
            )
            self.journal.write(texts, self.progress, scores)
        self._told()
        if time.monotonic() - self._remembered > EVERY:
            self._remember()
        return len(lines)

    def close(self) -> None:
        """After this a start reads nothing twice."""
        self._remember()
        self._tail.close()
        self.journal.close()

    # ------------------------------------------------------------------ going on

    def _resume(self, memory: Memory) -> None:
        """Lines from the memory to the progress are read again, for what later rows need of them; they raise no alert."""
        self.live.restore(memory.live)
        if self._rolling.tasks:
            self._rolling.restore(memory.thresholds)
            self._rolling.replay(self.journal.scores(memory, self.progress))
        if memory.before is not None:
            self.scorer.following.before = memory.before
        self._tail = Tail(self.path, memory.progress.position)
        missing = self.progress.lines - memory.progress.lines
        reader = Reader(self.live, lambda line, why: None)
        while missing and not self._tail.lost and (lines := self._tail.read(min(missing, BATCH))):
            missing -= len(lines)
            for frame in reader.rows(lines):
                self.scorer.skip(frame)
        if missing:
            self.tell(
                f"{missing:,} lines that were read before the stop are gone: counts and windows begin without them"
            )
            self._tail = Tail(self.path, self.progress.position)

    def _remember(self) -> None:
        before, thresholds = self.scorer.following.before, self._rolling.state()
        self.journal.remember(Memory(self.progress, self.live.state(), before, thresholds))
        self.journal.write([], self.progress)
        self._remembered = time.monotonic()

    def _header(self) -> dict[str, Any]:
        """Of the log as it is, for a watch that does not begin at its beginning."""
        probe, head = self.source.live(str(self.path)), Tail(self.path)
        Reader(probe, lambda line, why: None).rows(head.read(_HEAD))
        head.close()
        return {"header": probe.state()["header"]}

    # ------------------------------------------------------------------ one batch

    def _judged(self, lines: list[bytes], seen: float) -> tuple[list[str], bytes]:
        """(the alerts, the scores that thresholds follow, row by row)."""
        texts: list[str] = []
        kept = b""
        for frame in self._frames(lines):
            alerts, scores = self._alarms.raised(frame.index, list(self.scorer.scored(frame)), seen)
            texts += [FORMATS[self.form](alert) for alert in alerts]
            kept += scores
        return texts, kept

    def _frames(self, lines: list[bytes]) -> Iterator[pd.DataFrame]:
        """Frames whose index counts all rows of the watch."""
        for frame in Reader(self.live, self._refused).rows(lines):
            begin = self.progress.rows
            self.progress = replace(self.progress, rows=begin + len(frame))
            yield frame.set_axis(pd.RangeIndex(begin, begin + len(frame)))

    def _refused(self, what: str, why: str) -> None:
        self.progress = replace(self.progress, bad=self.progress.bad + 1)
        if self.progress.bad <= SHOWN:
            self.tell(f"left out: {why}: {what}" + (" (more are only counted)" if self.progress.bad == SHOWN else ""))

    def _told(self) -> None:
        """What was lost since this was asked last, counted over all starts."""
        new, self._lost = self._tail.lost - self._lost, self._tail.lost
        if new:
            self.progress = replace(self.progress, lost=self.progress.lost + new)
            self.tell(
                "the log was emptied, taken away or compressed to a broken file before its end was read: what was there is "
                f"lost ({self.progress.lost:,} times so far)"
            )
