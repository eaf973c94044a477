"""`jenga watch`: a model over a log that is being written."""

from __future__ import annotations

import gc
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jenga_core.commands.single import single

if TYPE_CHECKING:
    from ..watch.watcher import Watcher

POLL = 0.02  # seconds between looks at a log that has nothing new


class Format(StrEnum):
    ECS = "ecs"
    OCSF = "ocsf"
    CEF = "cef"


def watch(
    model: Annotated[Path, typer.Argument(help="A run's folder.")],
    log: Annotated[Path, typer.Argument(help="A log that is being written; read by the source of the model's table.")],
    output: Annotated[Path, typer.Option(help="File of the alerts, one a line; added to.")],
    format: Annotated[Format, typer.Option(help="How an alert is written.")] = Format.ECS,
    from_start: Annotated[
        bool, typer.Option(help="Begin with the log's first line; default: with the next one.")
    ] = False,
    recalibrate: Annotated[
        bool, typer.Option("--recalibrate", help="Thresholds follow the log, never below those of the model.")
    ] = False,
    once: Annotated[bool, typer.Option(help="Stop at the log's end.")] = False,
    table: Annotated[str | None, typer.Option(help="Which of the model's tables the log is like.")] = None,
    device: Annotated[str, typer.Option(help="cpu (one core), cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Alerts for the rows of a log, as they are written.

    Through rotation, truncation, bad lines, and stops of this program: the same command goes on where it was stopped,
    without an alert lost or written twice.

    Example: jenga watch runs/soc/first /var/log/zeek/conn.log --output alerts.jsonl --format ocsf
    """
    import torch

    from jenga_core import inference, locks
    from jenga_core.tables import open_source

    from ..watch.watcher import Watcher

    torch.set_num_threads(1)
    predictor = inference.load(model, device=device)
    source = open_source(log, predictor.registry, predictor.source(str(log), table))
    watcher = Watcher(predictor, log, output, source, table=table, form=format.value, recalibrate=recalibrate,
                      tell=lambda text: typer.echo(text, err=True))  # fmt: skip
    lock = output.with_name(f".{output.name}.lock")
    with locks.held(lock, where=output, next="stop it, or name another file for the alerts"):
        _watch(watcher, log, output, from_start, once)


def _watch(watcher: Watcher, log: Path, output: Path, from_start: bool, once: bool) -> None:
    watcher.start(from_start=from_start)
    gc.collect()
    gc.freeze()  # what is loaded by now stays: no alert waits for a collector that goes through all of it
    typer.echo(f"watching {log}, alerts go to {output}", err=True)
    try:
        while watcher.step() or not once:
            time.sleep(POLL if not once else 0)
    finally:
        watcher.close()
        done = watcher.progress
        typer.echo(
            f"{done.rows:,} rows, {done.alerts:,} alerts, {done.bad:,} lines left out, {done.lost:,} gaps", err=True
        )


watch_app = single(watch)
