"""The training loop's events. A hook is an object whose methods, marked with `jenga_core.api.hookimpl`, bear these names.

The loop, with every event in its place::

    model = build(...)                          on_model_built(run, model)      also replayed when a model folder is loaded
    if resuming: read the checkpoint            on_load(run, state)
                                                on_fit_start(run)               after a resume as well
    for epoch in epochs:                        on_epoch_start(run, epoch)
        for window in plan:                     # `accumulate` batches of one optimizer step
            counts = units per task, over the window and all ranks
            for batch in window:                on_batch(run, batch)
                outputs = model(batch)          add_losses(run, batch, outputs, scale)
                                                combine_losses(run, losses, share)
                                                backward(run, loss, losses, last)
                                                on_gradients(run)               after clipping, before the step
            optimizer.step()                    on_step(run, losses)
            (every so often) evaluate           on_evaluate_start(run)          averaged weights are swapped in here
                                                on_evaluate(run, metrics)       and out here, after the best were kept
            (every so often) save               on_save(run, state)
                                                on_epoch_end(run, epoch, metrics)
                                                on_fit_end(run)
    anything raised                             on_exception(run, error)
    scoring new rows                            on_predict(run, frame, predictions)

A hook is built as `Hook(config)`, lives for one run and runs in the order of the config's `hooks:` list. Configured tasks
listen too. An exception in a hook stops the run and names the hook. `run` is `jenga_core.training.Run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from .api import PROJECT

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from .contracts import Batch
    from .run import Run

hookspec = pluggy.HookspecMarker(PROJECT)


class LoopSpecs:
    """The specifications, for `PluginManager.add_hookspecs`."""

    @hookspec
    def on_model_built(self, run: Run, model: nn.Module) -> None:
        """The model has its architecture, no trained weights yet. Adapters attach here; parameters added here are trained."""

    @hookspec
    def on_load(self, run: Run, state: Mapping[str, Any]) -> None:
        """A checkpoint was read; `state` is what this run's `on_save` calls put into it."""

    @hookspec
    def on_fit_start(self, run: Run) -> None:
        """Model, optimizer and data are ready. The trainer calls `model.train()` after this."""

    @hookspec
    def on_epoch_start(self, run: Run, epoch: int) -> None:
        """Before the first window of an epoch, counted from 0; not called again for an epoch that a resume continues."""

    @hookspec
    def on_batch(self, run: Run, batch: Batch) -> None:
        """Before the forward pass of one micro-batch."""

    @hookspec
    def add_losses(
        self, run: Run, batch: Batch, outputs: Mapping[str, Mapping[str, Tensor]], scale: Mapping[str, float]
    ) -> Mapping[str, Tensor] | None:
        """More loss terms, by name; merged over all hooks. Multiply sums over units by `scale[task]` (world / count)."""

    @hookspec(firstresult=True)
    def combine_losses(self, run: Run, losses: Mapping[str, Tensor], share: float) -> Tensor | None:
        """One scalar from all terms. `share` = 1 / micro-batches in the window, for terms that must count once per step.

        The first hook that returns a tensor wins; the default sums the terms, each times its task's weight.
        """

    @hookspec(firstresult=True)
    def backward(self, run: Run, loss: Tensor, losses: Mapping[str, Tensor], last: bool) -> bool | None:
        """Compute gradients; return True when done. `losses` are attached to the graph. The default calls `loss.backward()`.

        `last`: this is the last batch of the window, so what is formed from the whole step's gradients is formed now.
        Under several processes a hook that uses `torch.autograd.grad` gets no reduction: it must all-reduce itself.
        """

    @hookspec
    def on_gradients(self, run: Run) -> None:
        """Gradients are complete, reduced and clipped; the optimizer has not stepped."""

    @hookspec
    def on_step(self, run: Run, losses: Mapping[str, Tensor]) -> None:
        """The optimizer has stepped; `losses` holds the detached terms of the window, summed."""

    @hookspec
    def on_evaluate_start(self, run: Run) -> None:
        """Before validation rows are scored. A hook may swap other weights in and swap them out in its `on_evaluate`."""

    @hookspec
    def on_evaluate(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Validation metrics, named `{task}.{metric}`, and `loss`. Early stopping sets `run.stop` here, with a reason."""

    @hookspec
    def on_epoch_end(self, run: Run, epoch: int, metrics: Mapping[str, float]) -> None:
        """After the last window of an epoch and the evaluation that falls on it; `metrics` are the newest ones."""

    @hookspec
    def on_save(self, run: Run, state: dict[str, Any]) -> None:
        """Put what this hook must remember into `state` under its own kind: JSON values and tensors only."""

    @hookspec
    def on_exception(self, run: Run, error: BaseException) -> None:
        """The run is about to fail with `error`."""

    @hookspec
    def on_fit_end(self, run: Run) -> None:
        """Training is over; the weights in the model are the last ones. A hook that averages weights swaps them in here."""

    @hookspec
    def on_predict(self, run: Any, frame: pd.DataFrame, predictions: pd.DataFrame) -> None:
        """New rows were scored (live scoring and `jenga predict`): what alerts, drift monitors and responders listen to."""
