"""The whole way over one example folder: train, evaluate, predict, and where the results are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .. import inference, training
from ..config import RunConfig
from ..reading import read_config
from .model import predicted
from .scores import lines
from .tables import write_frames

if TYPE_CHECKING:
    from ..registry import Registry


def walk(folder: Path, registry: Registry) -> Iterator[str]:
    """Train `folder`/config.yaml into `folder`/model; yields the lines to show."""
    config = folder / "config.yaml"
    run = training.train(config, output=folder / "model", registry=registry)
    yield from lines(inference.evaluate(run.folder, registry=registry))
    predictor = inference.load(run.folder, registry=registry)
    for table, path in _new_rows(read_config(config, registry=registry), folder).items():
        scored = folder / f"{table}-scored.csv"
        rows = write_frames(predicted(predictor, path, table, registry), scored)
        yield f"predictions: {scored} ({rows} rows)"
    yield f"report:      {Path(run.folder) / 'report.html'}"
    yield f"model:       {run.folder}"


def _new_rows(config: RunConfig, folder: Path) -> dict[str, Path]:
    """The test file of each table that has one of its own."""
    found = {}
    for name, section in config.data.items():
        files = section.path.get("test", []) if isinstance(section.path, dict) else []
        found |= {name: folder / files[0] for _ in files[:1]}
    return found
