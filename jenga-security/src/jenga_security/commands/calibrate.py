"""`jenga calibrate`: another alert threshold for a finished model, without training."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jenga_core.commands.single import single

from .alerting import Model, Task, alerting

if TYPE_CHECKING:
    from jenga_core.inference import Predictor

    from ..alerts import AlertRule, Wanted

CHANGED = "The threshold was changed"  # how the caution of a judgement by an earlier threshold begins


def calibrate(
    model: Model,
    data: Annotated[
        Path | None,
        typer.Argument(help="Rows to calibrate on, none of which the model was trained on; default: the kept scores."),
    ] = None,
    target_fpr: Annotated[float | None, typer.Option(help="Accepted share of normal rows that raise an alert.")] = None,
    per_day: Annotated[float | None, typer.Option(help="Accepted false alerts a day.")] = None,
    rows_per_day: Annotated[
        float | None, typer.Option(help="With --per-day: rows a day; default: as the model knows.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="The score itself.", min=0, max=1)] = None,
    best_f1: Annotated[bool, typer.Option("--best-f1", help="The score with the highest F1.")] = False,
    normal: Annotated[bool, typer.Option("--normal", help="All rows of DATA are normal; no label is read.")] = False,
    task: Task = None,
) -> None:
    """Change the alert threshold of a model without training it again.

    By the scores that the model folder keeps of its held-out rows, or by the rows of DATA. The run's own rows, where they are
    within reach and as they were, are judged anew.

    Example: jenga calibrate runs/soc/first --target-fpr 0.001
    """
    from jenga_core import artifact, inference, locks
    from jenga_core.errors import UserError, visible

    predictor = inference.load(model)
    name, live = alerting(predictor, task)
    old: AlertRule = live.alerts
    if rows_per_day is not None and per_day is None:
        raise UserError("says something only with --per-day", where="--rows-per-day")
    wanted = _wanted(target_fpr, per_day, rows_per_day or old.rows_per_day, threshold, best_f1)
    if wanted is None and data is None:
        raise UserError(
            "says nothing to change", where="jenga calibrate", allowed=["--target-fpr", "--per-day", "--threshold"]
        )
    wanted = old.wanted if wanted is None else wanted
    if data is None:
        new = old.changed(wanted)
    else:
        new = old.wishing(wanted).calibrated(*_scored(predictor, name, live, data, normal))
    live.alerts = new
    with locks.held(model / locks.NAME, where=model, next="wait until it ends, and give this command again"):
        artifact.amend(model.resolve(), {f"tasks/{name}": live.state()}, f"task {name}: {old.says()} -> {new.says()}")
        for line in _told(name, old, new):
            typer.echo(visible(line))
        for line in _judged_anew(model, name, new):
            typer.echo(visible(line), err=True)


def _judged_anew(folder: Path, name: str, rule: AlertRule) -> list[str]:
    """The folder's report, card and metrics with the new threshold; where the run's rows are out of reach, with a caution."""
    from jenga_core import inference
    from jenga_core.commands.scores import recorded, with_baselines
    from jenga_core.errors import UserError
    from jenga_core.publishing import judged_anew

    before = recorded(folder)
    own = next((j for j in before if j.task == name), None)
    if own is None:
        return []
    lasting = own.caution.partition(CHANGED)[0].strip()  # without what an earlier change said
    try:
        predictor = inference.load(folder)
        found = predictor.evaluate(split=own.split, table=predictor.config.tasks[name].data)
        (new,) = with_baselines([j for j in found if j.task == name], folder)
        drawn = {figure.title for figure in new.figures}
        figures = (*new.figures, *(f for f in own.figures if f.title not in drawn))
        new = replace(new, figures=figures, caution=lasting)
        lines = [f"  judged anew on {new.rows:,} rows of the {new.split} split: metrics.json, README.md, report.html"]
    except UserError as error:
        changed = f"{CHANGED} after these rows were judged and is now {rule.threshold:.6g}."
        earlier = f"{changed} Metrics and figures here that depend on one belong to an earlier threshold."
        new = replace(own, caution=f"{lasting} {earlier}".strip())
        lines = [
            f"  not judged anew: {error.what}",
            f"  the report says so at the task; on rows of your own: jenga evaluate {folder} DATA",
        ]
    judged_anew(folder, [new if j.task == name else j for j in before])
    return lines


def _wanted(
    target_fpr: float | None, per_day: float | None, rows: float | None, threshold: float | None, best_f1: bool
) -> Wanted | None:
    """The one wish that the options express, or None."""
    from pydantic import ValidationError

    from jenga_core.errors import UserError

    from ..alert_config import AlertBudget, TargetRate

    given = {"--target-fpr": target_fpr, "--per-day": per_day, "--threshold": threshold, "--best-f1": best_f1 or None}
    said = [option for option, value in given.items() if value is not None]
    if len(said) > 1:
        raise UserError(f"{' and '.join(said)} exclude each other", where="jenga calibrate")
    if threshold is not None and math.isnan(threshold):  # no range of an option keeps it out
        raise UserError("is not a number", where="--threshold", allowed=["0 to 1"])
    if per_day is not None and rows is None:
        raise UserError(
            "the model does not know how many rows a day brings", where="--per-day", next="--rows-per-day N"
        )
    try:
        if target_fpr is not None:
            return TargetRate(target_fpr=target_fpr)
        if per_day is not None:
            return AlertBudget.model_validate({"alert_budget": {"per_day": per_day, "rows_per_day": rows}})
    except ValidationError as error:
        raise UserError(error.errors()[0]["msg"], where=said[0]) from error
    return "best_f1" if best_f1 else threshold


def _scored(predictor: Predictor, name: str, live: Any, data: Path, normal: bool) -> tuple[Any, Any]:
    """(scores, y) of the rows of a file that have a score and a label."""
    import numpy as np

    from jenga_core.errors import DataError, UserError

    table = predictor.config.tasks[name].data
    frame = predictor.read(data, table=table)
    scores = predictor.predict(frame, table=table)[f"{name}.score"].to_numpy(dtype=np.float32, na_value=np.nan)
    if normal:
        y, known = np.zeros(len(frame), dtype=np.int64), np.ones(len(frame), dtype=bool)
    else:
        label = getattr(predictor.config.tasks[name], "target", None)
        if label is not None and label not in frame.columns:
            raise UserError(
                f"has no label column {label!r}", where=str(data), next="if all its rows are normal: --normal"
            )
        y, known = live.truth(frame)
    used = known & np.isfinite(scores)
    if not used.any():
        raise DataError("no row has a score and a label", where=str(data))
    return scores[used], y[used]


def _told(name: str, old: AlertRule, new: AlertRule) -> list[str]:
    lines = [f"{name}: {old.says()}", f"  now {new.says()}"]
    if new.attacks.rows:
        before = replace(old, normal=new.normal, attacks=new.attacks).found
        lines.append(
            f"  of {new.attacks.rows:,} held-out attacks {100 * new.found:.1f} % reach it; "
            f"the old threshold: {100 * before:.1f} %"
        )
    return lines


calibrate_app = single(calibrate)
