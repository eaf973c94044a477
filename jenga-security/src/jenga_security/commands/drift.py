"""`jenga drift`: are new rows still like those that a model was trained and judged on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jenga_core.commands.single import single

from .alerting import Model, Task, alerting

if TYPE_CHECKING:
    from jenga_core.inference import Predictor

    from ..drift import Counts, Reference

DRIFTED = 3
BATCH_ROWS = 65_536


def drift(
    model: Model,
    data: Annotated[Path, typer.Argument(help="New rows; no label is read.")],
    normal: Annotated[bool, typer.Option("--normal", help="Compare with the normal training rows only.")] = False,
    task: Task = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare new rows with those the model was trained and judged on, feature by feature.

    Exit status: 0 no drift, 3 drift.

    Example: jenga drift runs/soc/first monday.csv
    """
    from json import dumps

    from jenga_core import inference
    from jenga_core.errors import UserError, visible

    predictor = inference.load(model)
    name, live = alerting(predictor, task)
    reference = live.drift.normal if normal else live.drift.every
    if reference is None:
        raise UserError("nothing is labelled normal in the training rows of this model", where="--normal")
    found = reference.compare(_counted(predictor, name, reference, data))
    for line in [dumps(found.to_json(), allow_nan=False)] if json else [*found.lines(), found.says()]:
        typer.echo(visible(line))
    if found.fires:
        raise typer.Exit(DRIFTED)


def _counted(predictor: Predictor, name: str, reference: Reference, data: Path) -> Counts:
    """The rows of a file in the reference's bins, a part of the file at a time."""
    import numpy as np

    from jenga_core.tables import stream

    from ..drift import added

    table = predictor.config.tasks[name].data
    source = predictor.source(str(data), table)
    stretches = stream(str(data), base=Path.cwd(), registry=predictor.registry, source=source, batch_rows=BATCH_ROWS)
    counts: Counts = {}
    for stretch in stretches:
        _, cells = predictor.as_trained(stretch.cells, table)
        found = predictor.predict(cells, table=table)
        scores = found[f"{name}.score"].to_numpy(dtype=np.float64, na_value=np.nan)
        counts = added(counts, reference.count(cells, scores))
    return counts


drift_app = single(drift)
