"""What the commands about alerts share: the model, and which of its tasks is meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from jenga_core.inference import Predictor

Model = Annotated[Path, typer.Argument(help="A run's folder.")]
Task = Annotated[str | None, typer.Option(help="Which of the model's tasks, where several raise alerts.")]


def alerting(predictor: Predictor, task: str | None) -> tuple[str, Any]:
    """(name, task) of the one that raises alerts: that has `alerts`, an `AlertRule`."""
    from jenga_core.errors import UserError, nearest

    found = {name: live for name, live in predictor.parts.tasks.items() if hasattr(live, "alerts")}
    if not found:
        raise UserError("no task of this model raises alerts", where=str(predictor.folder))
    if task is None and len(found) > 1:
        raise UserError("several tasks of this model raise alerts", allowed=list(found), next="add --task NAME")
    if task is not None and task not in found:
        raise UserError(f"no task {task!r} that raises alerts", allowed=list(found), nearest=nearest(task, found))
    return next((name, live) for name, live in found.items() if task in (None, name))
