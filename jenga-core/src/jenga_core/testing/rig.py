"""Components put together for a check: example options, a RunConfig around them, and the fitted parts without a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from jenga_core.api import BackboneSpec, FusionSpec, ProcessorSpec, TaskSpec, TrainerHookSpec
from jenga_core.assembly import build_model, build_parts
from jenga_core.config import DataConfig, InputConfig, RunConfig, TrainConfig
from jenga_core.contracts import Array, Batch, Encoded, Features, Processor, Purpose
from jenga_core.data import Data, Parts
from jenga_core.model import Model
from jenga_core.registry import Registry

TABLE = "sample"
TASK = "task"


def example(registry: Registry, kind: str, family: type[Any], **changes: Any) -> Any:
    """The options of a component as its `Config.example()` gives them."""
    return registry.config_class(kind, family).example().model_copy(update={"kind": kind, **changes})


def through_json(value: Any) -> Any:
    """What becomes of a value that is written to a model folder and read again. TypeError: it is not JSON."""
    return json.loads(json.dumps(value, allow_nan=False))


@dataclass(frozen=True)
class Fitted:
    """One processor, fitted on all of `cells`."""

    kind: str
    config: Any
    processor: Processor
    cells: pd.DataFrame
    encoded: Encoded

    @property
    def rows(self) -> Array:
        """Rows that have the input."""
        return np.flatnonzero(self.encoded.present)

    def batch(self, rows: Array, purpose: Purpose = "evaluate") -> dict[str, torch.Tensor]:
        return dict(self.processor.collate(self.encoded, rows, purpose, np.random.default_rng(0)))


def fit(registry: Registry, kind: str, cells: pd.DataFrame, backbone_config: Any = None) -> Fitted:
    config = example(registry, kind, ProcessorSpec)
    processor = registry.factory(kind, ProcessorSpec)(config, backbone_config)
    processor.fit(cells)
    return Fitted(kind, config, processor, cells, processor.encode(cells))


@dataclass(frozen=True)
class Input:
    """One input of a sample run: kinds of its processor and backbone, and its cells."""

    processor: str
    backbone: str
    cells: pd.DataFrame


def run_config(
    registry: Registry,
    inputs: Mapping[str, Input],
    task: str,
    *,
    fusion: str | None = None,
    hooks: Sequence[str] = (),
    **train: Any,
) -> RunConfig:
    """A config for one table with these inputs and one task, every component with its example options."""
    options = {"bootstrap": 0, "baselines": False, "device": "cpu", **train}
    return RunConfig(
        project="conformance",
        data={TABLE: DataConfig()},
        backbones={n: example(registry, i.backbone, BackboneSpec) for n, i in inputs.items()},
        inputs={
            name: InputConfig(
                data=TABLE,
                columns=[f"{name}.{column}" for column in one.cells.columns],
                processor=example(registry, one.processor, ProcessorSpec),
                backbone=name,
            )
            for name, one in inputs.items()
        },
        tasks={TASK: example(registry, task, TaskSpec, data=TABLE)},
        fusion=example(registry, fusion, FusionSpec) if fusion else None,
        hooks=[example(registry, hook, TrainerHookSpec) for hook in hooks],
        train=TrainConfig.model_validate(options),
    )


def frame_of(inputs: Mapping[str, Input], labels: pd.DataFrame) -> pd.DataFrame:
    """All inputs' cells side by side, columns named ``input.column``, and the labels."""
    cells = [one.cells.reset_index(drop=True).add_prefix(f"{name}.") for name, one in inputs.items()]
    return pd.concat([*cells, labels.reset_index(drop=True)], axis=1)


@dataclass(frozen=True)
class Rig:
    """Fitted parts and an untrained model over one table, without a trainer."""

    config: RunConfig
    parts: Parts
    data: Data
    model: Model

    @classmethod
    def build(cls, registry: Registry, config: RunConfig, frame: pd.DataFrame) -> Rig:
        torch.manual_seed(0)
        every = np.arange(len(frame))
        parts = build_parts(config, registry)
        parts.fit(TABLE, lambda _: frame)
        columns = {name: config.feature_columns(name, list(frame.columns)) for name in config.inputs}
        encoded = parts.encode(TABLE, frame, {"train": every}, columns, labels=True)
        return cls(config, parts, Data(parts, {TABLE: encoded}), build_model(config, registry, parts).eval())

    def batch(self, rows: Array, purpose: Purpose = "evaluate") -> Batch:
        return self.data.batch(TABLE, rows, purpose, np.random.default_rng(0))

    def loss(self, rows: Array) -> tuple[torch.Tensor, float]:
        """(sum of the task's loss, count) over `rows`."""
        batch = self.batch(rows)
        part = batch.targets[TASK]
        return self.parts.tasks[TASK].loss(self.model(batch)[TASK], part.data), part.count


def save(folder: Path, module: torch.nn.Module) -> Path:
    """The weights as safetensors."""
    from safetensors.torch import save_model

    folder.mkdir(exist_ok=True)
    save_model(module, str(folder / "weights.safetensors"))
    return folder / "weights.safetensors"


def assert_same_rows(one: Features, other: Features, at: int, row: int, what: str) -> None:
    """Row `at` of `one` is row `row` of `other`: pooled, and the tokens that are not masked."""
    torch.testing.assert_close(
        one.pooled[at], other.pooled[row], atol=1e-5, rtol=1e-4, msg=lambda m: f"{what}: pooled: {m}"
    )
    torch.testing.assert_close(
        one.tokens[at][one.mask[at]],
        other.tokens[row][other.mask[row]],
        atol=1e-5,
        rtol=1e-4,
        msg=lambda m: f"{what}: tokens: {m}",
    )
