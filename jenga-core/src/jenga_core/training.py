"""The training loop, readable from top to bottom: `train` prepares, `fit` loops, `finish` judges and saves.

`jenga_core.loop` draws the same loop with every event of a hook in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoint
from .api import hookimpl
from .config import EveryConfig, RunConfig
from .contracts import Array, Batch
from .errors import JengaError, TrainingError, UserError, nearest
from .finishing import finish
from .model import Step, not_finite, parameter_groups
from .opening import open_run
from .registry import Registry
from .run import Run as Run
from .sampling import Window, plan, windows
from .schedules import schedule
from .scoring import metrics_of, require_rows, score

_CURE = "The last checkpoint is whole. A lower learning_rate, clip_norm or fp32 usually cures it"


def train(
    config: RunConfig | Mapping[str, Any] | str | Path,
    *,
    data: Any = None,
    output: str | Path | None = None,
    resume: bool = False,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    registry: Registry | None = None,
    quiet: bool = False,
    report: bool = True,
) -> Run:
    """Train, judge and save one model; returns the Run, whose `folder` is the model folder.

    `data`: a DataFrame (when there is one table) or {table: DataFrame | {split: DataFrame}}, instead of the config's paths.
    `output`: the run folder; default ``runs/<project>/<time>``. `resume` continues the run in `output` (or the newest one)
    and ends with the weights of the uninterrupted run, bit for bit on the same machine.
    `report=False` leaves out report.html. Raises UserError for wrong input, TrainingError when the run cannot go on.
    """
    with ExitStack() as held:  # the lock of the run's folder, to the end, whatever that is
        run = open_run(
            config, data=data, output=output, resume=resume, seed=seed, overrides=overrides, registry=registry,
            quiet=quiet, defaults=Defaults(), held=held,
        )  # fmt: skip
        if not run.finished:
            _train(run, report)
    return run


def _train(run: Run, report: bool) -> None:
    with ExitStack() as training:  # left behind `on_exception`: hooks find the model as it is in training
        try:
            with run.interruptible():
                training.enter_context(run.model.trained_on(run.data.tables, run.train_rows))
                fit(run)
                training.close()
                finish(run, report=report)
        except BaseException as error:
            run.hook.on_exception(run=run, error=error)
            run.close()
            if isinstance(error, JengaError) and run.step == 0 and run.state is None:
                run.forget()
            raise
    run.close()


class Defaults:
    """What happens when no hook decides otherwise. Registered last."""

    @hookimpl(trylast=True)
    def combine_losses(self, run: Run, losses: Mapping[str, Tensor]) -> Tensor:
        return sum(run.weights.get(name, 1.0) * loss for name, loss in losses.items())  # type: ignore[return-value]

    @hookimpl(trylast=True)
    def backward(self, run: Run, loss: Tensor) -> bool:
        run.accelerator.backward(loss)
        return True


def fit(run: Run) -> None:
    """All epochs, or what is left of them after a resume; leaves the best weights in the model."""
    options = run.config.train
    require_rows(run.data)
    check_monitor(run)
    wrapped = prepare(run)
    _restore(run)
    run.hook.on_fit_start(run=run)
    run.model.train()
    run.progress.start(run.total_steps, run.step)
    run.stepping = True
    while run.epoch < options.epochs and not run.stop:
        windows = _windows(run)
        if run.window == 0:
            run.hook.on_epoch_start(run=run, epoch=run.epoch)
        while run.window < len(windows) and not run.stop:
            losses = train_step(run, wrapped, windows[run.window])
            run.window, run.step = run.window + 1, run.step + 1
            _after_step(run, losses)
        if run.window < len(windows):
            break  # stopped inside the epoch
        _after_epoch(run)
    run.stepping = False
    if run.evaluated_at != run.step:  # a run that was stopped between two evaluations
        evaluate(run)
    run.progress.stop()
    run.hook.on_fit_end(run=run)
    if run.best_weights is not None:
        run.model.load_state_dict(run.best_weights)
    else:
        run.note(f"{options.monitor} was never a number on validation rows: the last weights are kept, not the best")
    _check_weights(run)


def prepare(run: Run) -> Any:
    """Optimizer, schedule, and the Step module as Accelerate wraps it."""
    options, model = run.config.train, run.model
    step = Step(model, run.data.parts.tasks, run.hook, run, run.world)
    optimizer = torch.optim.AdamW(
        parameter_groups(model, options.learning_rate, options.weight_decay),
        lr=options.learning_rate,
        fused=run.can_fuse,
    )
    wrapped, run.optimizer = run.accelerator.prepare(step, optimizer)
    run.steps_per_epoch = math.ceil(len(_plan(run, 0)) / options.accumulate)
    run.total_steps = min(run.steps_per_epoch * options.epochs, options.max_steps or 2**62)
    # The schedule is not prepared: Accelerate would step it once per process.
    run.scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(options.schedule, run.total_steps))
    return wrapped


def train_step(run: Run, wrapped: Any, window: Window) -> dict[str, Tensor]:
    """One optimizer step. Gradients equal those of one big batch over all micro-batches and ranks: sums over one count."""
    batches = [_batch(run, at, table, rows) for at, (table, rows) in window]
    counts = _counts(run, batches)
    total: dict[str, Tensor] = {}
    for i, batch in enumerate(batches):
        last = i == len(batches) - 1
        run.hook.on_batch(run=run, batch=batch)
        with nullcontext() if last else run.accelerator.no_sync(wrapped):
            losses = wrapped(batch, counts, 1 / len(batches))
            if losses:
                loss = losses.pop("")
                run.hook.backward(run=run, loss=loss, losses=losses, last=last)
                for name, value in {"loss": loss, **losses}.items():
                    total[name] = total[name] + value.detach() if name in total else value.detach()
    largest = math.inf if run.config.train.clip_norm is None else run.config.train.clip_norm
    norm = run.accelerator.clip_grad_norm_(_trained(run), largest)
    _check_finite(run, total, norm, batches)
    run.hook.on_gradients(run=run)
    run.optimizer.step()
    run.scheduler.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.hook.on_step(run=run, losses=total)
    return total


def _batch(run: Run, at: int, table: str, rows: Array) -> Batch:
    rng = np.random.default_rng([run.config.seed, run.epoch, at, run.rank])
    own = np.repeat(rows[run.rank :: run.world], run.model.repeats(table))
    batch = run.data.batch(table, own, "train", rng)
    return batch.to(run.accelerator.device) if run.moves else batch


def _trained(run: Run) -> list[nn.Parameter]:
    """All that the optimizer steps, without another walk through the modules."""
    return [parameter for group in run.optimizer.param_groups for parameter in group["params"]]


def _counts(run: Run, batches: Sequence[Batch]) -> dict[str, float]:
    """Units per task over the window and all ranks, known before the forward pass; and whether any rank was told to stop."""
    names = list(run.config.tasks)
    here = [sum(b.targets[n].count for b in batches if n in b.targets) for n in names]
    if run.world > 1:
        tensor = torch.tensor([*here, run.interrupted], dtype=torch.float64, device=run.accelerator.device)
        *here, told = run.accelerator.reduce(tensor, "sum").tolist()
        run.stopping = told > 0
    return {n: c for n, c in zip(names, here, strict=True) if c > 0}


def _check_finite(run: Run, losses: Mapping[str, Tensor], norm: Tensor, batches: Sequence[Batch]) -> None:
    """The loss and the norm of the gradients, in the one place of a step where the program waits for an accelerator."""
    found = [losses["loss"], norm] if "loss" in losses else [norm]
    device = found[0].device  # without any gradient the norm is a zero on the CPU
    *loss, size = torch.stack([value.detach().float().reshape(()).to(device) for value in found]).tolist()
    if not all(map(math.isfinite, loss)):
        what, values = "loss", losses
    elif run.accelerator.scaler is None and not math.isfinite(size):  # fp16's scaler expects this and skips such a step
        what, values = "gradient norm", {"norm": norm}
    else:
        return
    parts = ", ".join(f"{n} = {float(v):g}" for n, v in values.items())
    rows = ", ".join(f"{b.table}: {b.rows[:5].tolist()}" for b in batches)
    raise TrainingError(
        f"the {what} of step {run.step + 1} is not finite ({parts}; first rows of the batches: {rows}). {_CURE}"
    )


def _check_weights(run: Run) -> None:
    """Before anything is saved: a finite loss can still make an infinite step."""
    bad = not_finite(run.model)
    if bad:
        raise TrainingError(f"the weights are not finite after step {run.step} ({bad}). {_CURE}")


def _plan(run: Run, epoch: int) -> list[tuple[str, Array]]:
    tables = run.data.tables
    return plan(
        run.train_rows,
        sampling=run.config.train.sampling,
        batch=run.config.train.batch_size,
        epoch=epoch,
        seed=run.config.seed,
        lengths={name: tables[name].lengths() for name in tables if run.model.pads(name)},
    )


def _windows(run: Run) -> list[Window]:
    """`batch_tokens` bounds what a backbone computes at once: a row that it reads several times counts as often."""
    options = run.config.train
    lengths = {name: _times(table.lengths(), run.model.repeats(name)) for name, table in run.data.tables.items()}
    return windows(_plan(run, run.epoch), options.accumulate, lengths, options.batch_tokens * run.world)


def _times(lengths: Array | None, repeats: int) -> Array | None:
    return None if lengths is None else lengths * repeats


def _after_step(run: Run, losses: Mapping[str, Tensor]) -> None:
    options = run.config.train
    run.record_losses(losses)
    if run.step == options.max_steps:
        run.stop = run.stop or "max_steps reached"
    if _due(options.evaluate, run.step):
        evaluate(run)
    stopping = _stopping(run)
    if stopping or _due(options.checkpoint, run.step):
        save(run)
    if stopping:
        raise _stopped(run)


def _after_epoch(run: Run) -> None:
    options, epoch = run.config.train, run.epoch
    if options.evaluate.epochs and ((epoch + 1) % options.evaluate.epochs == 0 or epoch + 1 == options.epochs):
        evaluate(run)
    run.hook.on_epoch_end(run=run, epoch=epoch, metrics=run.metrics)
    run.epoch, run.window = epoch + 1, 0
    stopping = _stopping(run)  # told to while it evaluated
    if stopping or (options.checkpoint.epochs and run.epoch % options.checkpoint.epochs == 0):
        save(run)
    if stopping:
        raise _stopped(run)


def _stopped(run: Run) -> KeyboardInterrupt:
    run.progress.say(f"saved at step {run.step}; to go on: add --output {quote(str(run.folder))} --resume")
    return KeyboardInterrupt()


def _stopping(run: Run) -> bool:
    """Several processes stop after the same step, or one would wait for ever for the others."""
    return run.stopping if run.world > 1 else run.interrupted


def _due(every: EveryConfig, step: int) -> bool:
    return every.steps is not None and step % every.steps == 0


def evaluate(run: Run) -> None:
    """Score the validation rows; keep the weights when the monitored metric is the best so far."""
    rows = {name: table.trainable("validation") for name, table in run.data.tables.items()}
    if not any(len(r) for r in rows.values()):
        return
    run.hook.on_evaluate_start(run=run)
    scored = {n: score(run.model, run.data, n, r, run.place, labels=True) for n, r in rows.items() if len(r)}
    run.metrics = metrics_of(run.data, scored, "validation", run.weights)
    run.keep_best()
    run.evaluated_at = run.step
    run.log("evaluate", metrics=run.metrics)
    run.hook.on_evaluate(run=run, metrics=run.metrics)
    run.model.train()


def check_monitor(run: Run) -> None:
    name = run.config.train.monitor
    if name not in run.directions:
        raise UserError(
            f"unknown metric {name!r}",
            where="train.monitor",
            allowed=sorted(run.directions),
            nearest=nearest(name, run.directions),
        )


def save(run: Run) -> None:
    """Write the state for `--resume`; every rank contributes its random state, the first one writes."""
    _check_weights(run)
    mine: dict[str, Any] = {}
    run.hook.on_save(run=run, state=mine)
    random_states = run.gather(checkpoint.random_state())
    if run.rank == 0:
        state = {
            **run.position(),
            "model": run.model.state_dict(),
            "optimizer": run.optimizer.state_dict(),
            "scheduler": run.scheduler.state_dict(),
            "scaler": run.accelerator.scaler.state_dict() if run.accelerator.scaler else None,
            "best_weights": run.best_weights,
            "random": random_states,
            "hooks": mine,
        }
        checkpoint.write(run.folder / "checkpoints", run.step, state, keep=run.config.train.checkpoint.keep)
    run.wait()


def _restore(run: Run) -> None:
    if run.state is None:
        return
    state, run.state = run.state, None
    run.set_position(state)
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.scheduler.load_state_dict(state["scheduler"])
    if run.accelerator.scaler and state["scaler"]:
        run.accelerator.scaler.load_state_dict(state["scaler"])
    run.best_weights = state["best_weights"]
    run.hook.on_load(run=run, state=state["hooks"])
    checkpoint.set_random_state(state["random"][run.rank])
