"""`jenga compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .single import single
from .training import Config, Set


def compare(
    config: Config,
    seeds: Annotated[int, typer.Option(help="Runs of each kind; intervals are over them.", min=1)] = 3,
    output: Annotated[
        Path | None, typer.Option(help="Folder for all the runs; default: runs/PROJECT/compare-TIME.")
    ] = None,
    set_: Set = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what is finished in --output and go on.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON array on the last line.")] = False,
) -> None:
    """Each task alone against all of them together.

    Example: jenga compare soc.yaml --seeds 5
    """
    from json import dumps

    from ..comparison import compare as run
    from ..comparison import lines
    from ..errors import visible

    compared = run(config, output=output, seeds=seeds, resume=resume, overrides=set_ or [])
    for line in [dumps([c.to_json() for c in compared], allow_nan=False)] if json else lines(compared):
        typer.echo(visible(line))


compare_app = single(compare)
