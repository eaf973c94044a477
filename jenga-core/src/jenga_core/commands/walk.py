"""The whole way over one example folder: train, evaluate, predict, and where the results are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .. import inference, training
from .model import predicted
from .scores import lines, with_baselines
from .tables import WRITERS, write_frames

if TYPE_CHECKING:
    from ..registry import Registry


def walk(folder: Path, registry: Registry) -> Iterator[str]:
    """Train `folder`/config.yaml into `folder`/model, judge it, score the files called new*; yields the lines to show."""
    config, model = folder / "config.yaml", folder / "model"
    training.train(config, output=model, registry=registry)
    predictor = inference.load(model, registry=registry)
    yield from lines(with_baselines(predictor.evaluate(), model))
    for path in sorted(folder.glob("new*.*")):
        ending = path.suffix if path.suffix in WRITERS else ".csv"
        scored = folder / f"scored-{path.name.partition('.')[0]}{ending}"
        rows = write_frames(predicted(predictor, path, None), scored)
        yield f"predictions: {scored} ({rows:,} rows)"
    yield f"report:      {model / 'report.html'}"
    yield f"model:       {model}"
