"""A hook that listens to every event of the loop and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jenga_core.api import hookimpl

from .config import RecorderConfig

EVENT = "recorded"


def _recording(name: str) -> Callable[..., None]:
    @hookimpl(tryfirst=True)
    def listen(self: Recorder, run: Any) -> None:
        self.record(run, name)

    return listen


class Recorder:
    """Writes a line ``{"event": "recorded", "name": ...}`` into log.jsonl for each event, once the run has begun."""

    def __init__(self, config: RecorderConfig) -> None:
        self.config = config
        self.early: list[str] = []
        self.begun = False

    on_model_built = _recording("on_model_built")
    on_load = _recording("on_load")
    on_epoch_start = _recording("on_epoch_start")
    on_batch = _recording("on_batch")
    add_losses = _recording("add_losses")
    combine_losses = _recording("combine_losses")
    backward = _recording("backward")
    on_gradients = _recording("on_gradients")
    on_step = _recording("on_step")
    on_evaluate_start = _recording("on_evaluate_start")
    on_evaluate = _recording("on_evaluate")
    on_epoch_end = _recording("on_epoch_end")
    on_save = _recording("on_save")
    on_exception = _recording("on_exception")
    on_fit_end = _recording("on_fit_end")

    @hookimpl(tryfirst=True)
    def on_fit_start(self, run: Any) -> None:
        self.begun = True
        for name in [*self.early, "on_fit_start"]:
            run.log(EVENT, name=name)

    def record(self, run: Any, name: str) -> None:
        if self.begun:
            run.log(EVENT, name=name)
        else:
            self.early.append(name)  # the run folder is not there yet
