"""`jenga evaluate`, `predict` and `report`: commands that take a run's folder, which is the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .single import single

if TYPE_CHECKING:
    import pandas as pd

    from ..inference import Predictor

Model = Annotated[Path, typer.Argument(help="A run's folder.")]
Table = Annotated[str | None, typer.Option(help="Which of the model's tables DATA is like, where it has several.")]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, ...; default: an accelerator, if train.device allows.")
]
BATCH_ROWS = 65_536


def evaluate(
    model: Model,
    data: Annotated[Path | None, typer.Argument(help="Labelled rows; default: test split.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on the last line.")] = False,
    table: Table = None,
    importance: Annotated[
        bool, typer.Option("--importance", help="Also what each column is worth: how much worse without it.")
    ] = False,
    device: Device = None,
) -> None:
    """Metrics with confidence intervals.

    On the run's own test split, beside its baselines, or on the rows of a file.

    Example: jenga evaluate runs/soc/first new.csv --json
    """
    from .. import inference
    from ..errors import visible
    from .scores import as_json, lines, with_baselines, worth_lines

    predictor = inference.load(model, device=device)
    judgements = predictor.evaluate(data, table=table)
    if data is None:
        judgements = with_baselines(judgements, model)
    worth = predictor.importance(data, table=table) if importance else {}
    for line in [as_json(judgements, worth)] if json else [*lines(judgements), *worth_lines(worth)]:
        typer.echo(visible(line))


def predict(
    model: Model,
    data: Annotated[Path, typer.Argument(help="Rows; a file of any format that a source reads.")],
    output: Annotated[Path | None, typer.Option(help=".csv, .jsonl or .parquet; default: CSV to stdout.")] = None,
    table: Table = None,
    explain: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Also the N largest reasons of each row, as JSON in TASK.reasons."),
    ] = None,
    device: Device = None,
) -> None:
    """The same rows with predictions, as columns TASK.FIELD.

    Example: jenga predict runs/soc/first new.csv --output scored.parquet
    """
    from .tables import check_ending, write_frames

    check_ending(output)
    from .. import inference

    typed = output is not None and output.suffix.lower() != ".csv"
    rows = write_frames(predicted(inference.load(model, device=device), data, table, explain, numbers=typed), output)
    typer.echo(f"{rows:,} rows", err=True)
    if output is not None:
        typer.echo(str(output))


def predicted(
    predictor: Predictor, data: Path, table: str | None, reasons: int | None = None, *, numbers: bool = False
) -> Iterator[pd.DataFrame]:
    """The rows of a file as they came, with their predictions, a part of the file at a time; warnings go to stderr.

    `numbers`: of a file of text, what the model reads as numbers is given as such, for a format that has them.
    """
    import pandas as pd

    from ..errors import DataError, visible
    from ..following import Following
    from ..stretches import as_frame
    from ..tables import naming, stream

    name = predictor.table_of(table) if table or len(predictor.config.data) == 1 else None
    source = predictor.source(str(data), name)
    stretches = stream(str(data), base=Path.cwd(), registry=predictor.registry, source=source, batch_rows=BATCH_ROWS)
    rows, unusual, series = 0, Counter[str](), None
    for stretch in stretches:
        series = series or Following(predictor, name or predictor.table_like(stretch.cells))
        with naming(partial(_row_of, str(data), rows - series.held)):
            _, cells = predictor.as_trained(stretch.cells, series.table)
            scores, counts = series.scores(cells, reasons=reasons)
        predictor.hook.on_predict(run=predictor, frame=cells, predictions=scores)
        rows, unusual = rows + stretch.size, unusual + counts
        both = [c for c in scores.columns if c in cells.columns]
        if both:
            raise DataError(f"the rows already have columns {both}", where=str(data), next="rename or drop them")
        came = as_frame(stretch).set_axis(scores.index, axis=0)
        if numbers and stretch.text:
            read = [c for c in predictor.numbers_of(series.table) if pd.api.types.is_numeric_dtype(cells[c])]
            came = came.assign(**{c: cells[c] for c in read})
        yield pd.concat([came, scores], axis=1)
    for reason, n in unusual.items():
        typer.echo(f"{visible(reason)}: {n:,} of {rows:,} rows", err=True)


def _row_of(data: str, before: int, row: int) -> str:
    return f"{data}, row {before + row + 1}"


def report(model: Model) -> None:
    """Write report.html anew from the folder's own numbers.

    Example: jenga report runs/soc/first
    """
    from .. import artifact, locks
    from ..files import publish_json, sha256
    from ..publishing import read_log
    from ..report import write_report
    from .scores import recorded

    if not model.is_dir():  # a lock would make it
        artifact.verify(model)
    with locks.held(model / locks.NAME, where=model, next="wait until it ends, and give this command again"):
        manifest = artifact.verify(model, may_lack=("report.html",))
        config = (model / "config.yaml").read_text(encoding="utf-8")
        facts = {key: value for key, value in manifest.items() if key != "files"}
        path = write_report(model, judgements=recorded(model), history=read_log(model), manifest=facts, config=config)
        manifest["files"][path.name] = sha256(path)  # the folder was whole a moment ago, and nothing else was touched
        publish_json(model / artifact.MANIFEST, manifest)
    typer.echo(str(path))


evaluate_app = single(evaluate)
predict_app = single(predict)
report_app = single(report)
