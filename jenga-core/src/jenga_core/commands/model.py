"""`jenga evaluate`, `predict` and `report`: commands that take a run's folder, which is the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from ..inference import Predictor
    from ..registry import Registry

Model = Annotated[Path, typer.Argument(help="A run's folder.")]
BATCH_ROWS = 65_536


def evaluate(
    model: Model,
    data: Annotated[Path | None, typer.Argument(help="Labelled rows; default: the test split.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
) -> None:
    """Metrics with confidence intervals, beside the baselines.

    Example: jenga evaluate runs/soc/first new.csv --json
    """
    from .. import inference
    from .scores import lines, plain

    judgements = inference.evaluate(model, data)
    if json:
        from json import dumps

        typer.echo(dumps(plain(judgements)))
        return
    for line in lines(judgements):
        typer.echo(line)


def predict(
    model: Model,
    data: Annotated[Path, typer.Argument(help="Rows; a file of any format that a source reads.")],
    output: Annotated[Path | None, typer.Option(help=".csv, .jsonl or .parquet; default: CSV to stdout.")] = None,
    table: Annotated[str | None, typer.Option(help="Which of the model's tables these rows are like.")] = None,
) -> None:
    """The same rows, in the same order, with columns TASK.FIELD behind them.

    Example: jenga predict runs/soc/first new.csv --output scored.parquet
    """
    from .. import inference
    from ..registry import Registry
    from .tables import check_ending, write_frames

    check_ending(output)
    registry = Registry.discover()
    predictor = inference.load(model, registry=registry)
    rows = write_frames(predicted(predictor, data, table, registry), output)
    if output is not None:
        typer.echo(f"{rows} rows", err=True)
        typer.echo(str(output))


def predicted(predictor: Predictor, data: Path, table: str | None, registry: Registry) -> Iterator[pd.DataFrame]:
    """The rows of a file with their predictions, a part of the file at a time."""
    import pandas as pd

    from ..errors import DataError
    from ..tables import stream_frames

    for frame in stream_frames(data, base=Path(), registry=registry, batch_rows=BATCH_ROWS):
        scores = predictor.predict(frame, table=table)
        both = [c for c in scores.columns if c in frame.columns]
        if both:
            raise DataError(f"the rows already have columns {both}", where=str(data), next="rename or drop them")
        yield pd.concat([frame, scores], axis=1)


def report(model: Model) -> None:
    """Write the folder's report.html anew from its own numbers.

    Example: jenga report runs/soc/first
    """
    from .. import artifact

    typer.echo(str(artifact.write_report(model)))
