"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere. Everything goes to stderr."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .errors import LINES, visible

QUIET_SECONDS = 15.0  # between plain progress lines


class Reporter:
    """`say` prints a line; `step` moves the bar. `silent=True` (other ranks, the Python API on request) prints nothing."""

    def __init__(self, *, silent: bool = False, stream: TextIO | None = None) -> None:
        self._stream, self._silent = stream or sys.stderr, silent
        self._bar: Any = None
        self._task: Any = None
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        if self._silent:
            return
        text = visible(text, LINES)
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    def start(self, total: int, done: int) -> None:
        """`total` optimizer steps, `done` of them before a resume."""
        if not self._silent and self._stream.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(file=self._stream), transient=True)
            self._task = self._bar.add_task("training", total=total, completed=done)
            self._bar.start()

    def step(self, done: int, total: int, loss: float | None) -> None:
        if self._bar is not None:
            label = "training" if loss is None else f"training  loss {loss:.4f}"
            self._bar.update(self._task, completed=done, description=label)
        elif loss is not None and time.monotonic() - self._last > QUIET_SECONDS:
            self._last = time.monotonic()
            self.say(f"step {done}/{total}  loss {loss:.4f}")

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
