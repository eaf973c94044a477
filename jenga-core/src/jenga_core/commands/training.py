"""`jenga train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .single import single

Config = Annotated[Path, typer.Argument(help="A configuration file; paths in it are relative to its folder.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as train.epochs=1; repeatable."),
]


def train(
    config: Config,
    output: Annotated[Path | None, typer.Option(help="The run's folder; default: runs/PROJECT/ID.")] = None,
    set_: Set = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest whole checkpoint of the run.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Instead of the configuration's seed.", min=0, max=2**32 - 1)] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Refuse operations that are not.")] = False,
) -> None:
    """Train; the run's folder, printed at the end, is the model.

    Example: jenga train soc.yaml --output runs/soc/first --set train.epochs=1 --seed 7
    """
    from ..training import train as run

    overrides = [*(set_ or []), *(["train.deterministic=true"] if deterministic else [])]
    done = run(config, output=output, resume=resume, seed=seed, overrides=overrides)
    if done.rank == 0:  # under torchrun every process comes here
        typer.echo(str(done.folder))


train_app = single(train)
