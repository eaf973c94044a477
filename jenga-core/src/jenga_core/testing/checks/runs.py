"""Whole runs: two inputs, one of them of this plugin, trained for an epoch, saved, loaded, and used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import samples
from ..rig import Input, frame_of, run_config
from .base import Samples

NUMBERS, WORDS = ("double/numbers", "double/network"), ("double/words", "double/reader")


class RunChecks(Samples):
    def test_run_with_a_backbone(self, backbone: str, tmp_path: Path) -> None:
        processor, _ = self.partner(backbone)
        cells = self.cells(processor, tmp_path)
        inputs = {"own": Input(processor, backbone, cells), "text": _words(len(cells))}
        self.run_and_use(inputs, "core/classification", tmp_path)

    def test_run_with_a_processor(self, processor: str, tmp_path: Path) -> None:
        """With the backbone that goes with it, where this plugin or the doubles have one."""
        cells = self.cells(processor, tmp_path)
        backbones = [b for b in self.backbones() if self.partner(b)[0] == processor]
        if backbones:
            inputs = {"text": _words(len(cells)), "own": Input(processor, backbones[0], cells)}
            self.run_and_use(inputs, "core/classification", tmp_path)

    def test_run_with_a_fusion(self, fusion: str, tmp_path: Path) -> None:
        inputs = {"numbers": Input(*NUMBERS, samples.mixed()), "text": _words(samples.ROWS)}
        self.run_and_use(inputs, "core/classification", tmp_path, fusion=fusion)

    def test_run_with_a_task(self, task: str, tmp_path: Path) -> None:
        processor, backbone = self.partner(task)
        cells = self.cells(processor, tmp_path)
        inputs = {"own": Input(processor, backbone, cells), "text": _words(len(cells))}
        self.run_and_use(inputs, task, tmp_path)

    def backbones(self) -> list[str]:
        from jenga_core.api import BackboneSpec

        return [kind for kind in self.registry().specs(BackboneSpec) if self.owns(kind) or kind.startswith("double/")]

    def run_and_use(self, inputs: Mapping[str, Input], task: str, folder: Path, **options: Any) -> None:
        """One epoch; then the saved model gives the same numbers, a row at a time and in any order."""
        from jenga_core.inference import load
        from jenga_core.training import train

        size = len(next(iter(inputs.values())).cells)
        labels = self.labels(task, next(iter(inputs.values())).cells)
        frame = frame_of(inputs, labels)
        config = run_config(self.registry(), inputs, task, epochs=1, batch_size=8, **options)
        data = dict.fromkeys(("train", "validation", "test"), frame)
        run = train(config, data=data, output=folder / "run", registry=self.registry(), quiet=True)
        assert run.judgements, "the run was not judged"
        rows = frame.drop(columns=labels.columns).set_index(pd.Index([f"row {at}" for at in range(size)]))
        predictor = load(folder / "run", registry=self.registry())
        whole = predictor.predict(rows)
        assert whole.index.tolist() == rows.index.tolist()
        mixed = rows.iloc[np.random.default_rng(0).permutation(size)]
        assert_close(predictor.predict(mixed), whole.loc[mixed.index])
        for at in range(samples.COMPLETE):
            assert_close(predictor.predict(rows.iloc[at : at + 1]), whole.iloc[at : at + 1])


def assert_close(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-4, atol=1e-5)


def _words(rows: int) -> Input:
    """The second input of every run: texts, missing from other rows than those in which `samples.mixed` lacks all."""
    texts = samples.mixed()[["text"]]
    return Input(*WORDS, texts.iloc[(np.arange(rows) + 6) % len(texts)].reset_index(drop=True))
