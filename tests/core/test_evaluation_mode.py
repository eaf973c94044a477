"""Dropout is active in training and nowhere else: whoever asks a model for outputs gets those of the whole network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
import toys
from jenga_core.api import hookimpl
from jenga_core.contracts import Batch, Reference
from jenga_core.explaining.explained import Explained
from jenga_core.run import Run
from jenga_core.scoring import score
from jenga_core.training import Defaults

FRAME = toys.numbers_frame(60)


def trained(folder: Path, **train: Any) -> Run:
    """Half of the units dropped: no two passes in training mode are alike."""
    config = toys.numbers_config(epochs=1, **train)
    config["backbones"]["net"]["dropout"] = 0.5
    return jenga_core.train(config, data=FRAME, output=folder, registry=toys.registry(), quiet=True, report=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("mode") / "run")


def whole(run: Run) -> np.ndarray:
    """Probabilities by hand, without dropout: the layers one after the other."""
    batch: Batch = run.data.batch("rows", np.arange(len(FRAME)), "predict", np.random.default_rng(0))
    linear, squash, _ = run.model.backbones["net"].net
    head = run.model.heads["label"]
    (last,) = [m for m in head.modules() if hasattr(m, "weight")]
    return last(squash(linear(batch.inputs["x"].data["x"]))).softmax(-1).detach().numpy()


@pytest.mark.parametrize("labels", [False, True])
def test_scoring_switches_dropout_off(run: Run, labels: bool) -> None:
    run.model.train()
    found = score(run.model, run.data, "rows", np.arange(len(FRAME)), run.place, labels=labels)
    np.testing.assert_allclose(found.outputs["label"]["probability"], whole(run), atol=1e-6)
    assert not run.model.training


def test_explaining_switches_dropout_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def mean(self: Any, data: Any) -> Reference:
        return Reference({"x": torch.zeros_like(data["x"])}, {"x": ["a", "b", "c"]})

    monkeypatch.setattr(toys.Numbers, "reference", mean)
    explained = Explained(run.model, run.data, "rows", {"x": ["a", "b", "c"]})
    run.model.train()
    first = explained.contributions("label", np.arange(20))
    run.model.train()
    again = explained.contributions("label", np.arange(20))
    assert not first.inexact.any()
    for name, values in first.columns.items():
        np.testing.assert_array_equal(values, again.columns[name])


def test_a_loaded_model_is_in_evaluation_mode(run: Run) -> None:
    loaded = jenga_core.load(run.folder, registry=toys.registry())
    assert not any(module.training for module in loaded.model.modules())
    found = loaded.predict(FRAME)
    np.testing.assert_allclose(found["label.p(bad)"].to_numpy(), whole(run)[:, 0], atol=1e-6)
    pd.testing.assert_frame_equal(found, loaded.predict(FRAME))


def test_training_goes_on_in_training_mode_after_an_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def watched(self: Any, run: Run, losses: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(run.model.training)
        return sum(losses.values(), torch.zeros(()))

    monkeypatch.setattr(Defaults, "combine_losses", hookimpl(trylast=True)(watched))
    trained(tmp_path / "run", evaluate={"steps": 1})
    assert len(seen) > 1
    assert all(seen)
