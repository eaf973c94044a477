"""The whole way over one example folder: train, evaluate, predict, and where the results are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .. import inference, training
from ..reading import read_config
from .model import predicted
from .scores import lines, with_baselines
from .tables import write_frames

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..registry import Registry


def walk(folder: Path, registry: Registry) -> Iterator[str]:
    """Train `folder`/config.yaml into `folder`/model; yields the lines to show."""
    config, model = folder / "config.yaml", folder / "model"
    training.train(config, output=model, registry=registry)
    predictor = inference.load(model, registry=registry)
    yield from lines(with_baselines(predictor.evaluate(), model))
    for table, path in _new_rows(read_config(config, registry=registry), folder).items():
        scored = folder / f"{table}-scored.csv"
        rows = write_frames(predicted(predictor, path, table), scored)
        yield f"predictions: {scored} ({rows:,} rows)"
    yield f"report:      {model / 'report.html'}"
    yield f"model:       {model}"


def _new_rows(config: RunConfig, folder: Path) -> dict[str, Path]:
    """The test file of each table that has one of its own."""
    tests = {name: s.path.get("test") for name, s in config.data.items() if isinstance(s.path, dict)}
    return {name: folder / files[0] for name, files in tests.items() if files}
