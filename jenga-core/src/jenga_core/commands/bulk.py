"""`jenga score`: a model over files far larger than memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .model import Device, Model, Table
from .single import single


def score(
    model: Model,
    source: Annotated[str, typer.Argument(metavar="SRC", help="A file, a folder of files, or a glob.")],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="Folder of the part files; made, or gone on with.")],
    shard: Annotated[str, typer.Option(help="Which share of the work is this worker's: 0/2, 1/2, ...")] = "0/1",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that predict; default: one per core, 2 on a GPU.")
    ] = None,
    table: Table = None,
    device: Device = None,
) -> None:
    """Predictions for files larger than memory, in resumable parts.

    A worker that was killed is started again with the same command: every row is there exactly once, in order of the
    parts' names. Several workers share the work; the one that ends it writes _SUCCESS.

    Example: jenga score runs/soc/first flows/ scored/ --shard 0/2
    """
    from .. import inference
    from ..bulk import score_files
    from ..bulk.work import Shard
    from ..errors import visible

    share = Shard.read(shard)
    predictor = inference.load(model, device=device)
    done = score_files(predictor, source, folder, table=table, shard=share, workers=workers)
    typer.echo(f"{done.rows:,} rows scored by this worker", err=True)
    if done.success is None:
        typer.echo("other workers' chunks are not done yet: no _SUCCESS", err=True)
        return
    rows = done.success["rows"]
    for reason, n in done.success["unusual"].items():
        typer.echo(f"{visible(reason)}: {n:,} of {rows:,} rows", err=True)
    typer.echo(f"{rows:,} rows in {len(done.success['parts']):,} parts")


score_app = single(score)
