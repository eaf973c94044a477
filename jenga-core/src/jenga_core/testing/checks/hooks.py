"""Loop hooks: they leave the order of events alone, and a run that is resumed ends as the one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from jenga_core import checkpoint, training
from jenga_core.config import RunConfig
from jenga_core.publishing import read_log

from .. import samples
from ..doubles.recorder import EVENT
from ..rig import Input, frame_of, run_config
from .base import Samples

EPOCHS, STEPS, MICRO_BATCHES = 2, 2, 2  # of an epoch; of a step


class Crash(Exception):
    """What the kit raises in the middle of a run."""


class HookChecks(Samples):
    def hook_run(self, kind: str, *before: str) -> tuple[RunConfig, dict[str, pd.DataFrame]]:
        """A small run that has the hook: two epochs of two steps of two batches, dropout on, a checkpoint at every step."""
        registry, frame = self.registry(), samples.mixed().head(samples.COMPLETE)
        inputs = {"input": Input("double/numbers", "double/network", frame)}
        labels = samples.labels(["label"], len(frame))
        options: dict[str, Any] = {
            "epochs": EPOCHS,
            "accumulate": MICRO_BATCHES,
            "checkpoint": {"steps": 1, "after": "keep"},
        }
        size, hooks = samples.COMPLETE // (STEPS * MICRO_BATCHES), list(dict.fromkeys([*before, kind]))
        config = run_config(registry, inputs, "core/classification", hooks=hooks, batch_size=size, **options)
        noisy = {n: options.model_copy(update={"dropout": 0.2}) for n, options in config.backbones.items()}
        table = frame_of(inputs, labels)
        return config.model_copy(update={"backbones": noisy}), dict.fromkeys(("train", "validation", "test"), table)

    def train(self, config: RunConfig, data: Any, folder: Path, *, resume: bool = False) -> Any:
        return training.train(
            config, data=data, output=folder, registry=self.registry(), resume=resume, quiet=True, report=False
        )

    def test_hook_leaves_every_event_once_and_in_order(self, hook: str, tmp_path: Path) -> None:
        config, data = self.hook_run(hook, "double/recorder")
        self.train(config, data, tmp_path / "run")
        seen = [line["name"] for line in read_log(tmp_path / "run") if line["event"] == EVENT]
        assert seen == expected_events()

    def test_hook_survives_a_crash_and_a_resume(self, hook: str, tmp_path: Path, monkeypatch: Any) -> None:
        """Stopped in the second epoch and resumed, the run ends with the weights of one that was not stopped, bit for bit."""
        config, data = self.hook_run(hook)
        straight = self.train(config, data, tmp_path / "straight")
        with monkeypatch.context() as patched:
            patched.setattr(training, "train_step", _crashing(after=EPOCHS * STEPS - 1))
            with pytest.raises(Crash):
                self.train(config, data, tmp_path / "resumed")
        resumed = self.train(config, data, tmp_path / "resumed", resume=True)
        assert resumed.step == straight.step
        assert resumed.metrics == straight.metrics
        one, two = (checkpoint.newest(run.folder / "checkpoints", lambda text: None) for run in (straight, resumed))
        assert one is not None
        assert two is not None
        for weights in ("model", "best_weights"):
            for name, value in one[weights].items():
                assert torch.equal(two[weights][name], value), f"{weights}: {name} differs after a resume"

    def test_hook_works_with_the_model_folder(self, hook: str, tmp_path: Path) -> None:
        """What a hook adds to the model is there when the folder is loaded."""
        from jenga_core.inference import load

        config, data = self.hook_run(hook)
        run = self.train(config, data, tmp_path / "run")
        predictor = load(tmp_path / "run", registry=self.registry())
        assert run.model.state_dict().keys() == predictor.model.state_dict().keys()
        assert len(predictor.predict(data["test"])) == len(data["test"])


def _crashing(after: int) -> Any:
    """`train_step` that raises when it is called once more after `after` steps."""
    real = training.train_step
    done: list[bool] = []

    def train_step(*arguments: Any) -> Any:
        if len(done) == after:
            raise Crash
        done.append(True)
        return real(*arguments)

    return train_step


def expected_events() -> list[str]:
    """The loop of `jenga_core.loop`, written out for the run of `hook_run`."""
    batch = ["on_batch", "add_losses", "combine_losses", "backward"]
    step = [*batch * MICRO_BATCHES, "on_gradients", "on_step", "on_save"]
    epoch = ["on_epoch_start", *step * STEPS, "on_evaluate_start", "on_evaluate", "on_epoch_end"]
    return ["on_model_built", "on_fit_start", *epoch * EPOCHS, "on_fit_end"]
