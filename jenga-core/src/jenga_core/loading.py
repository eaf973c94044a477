"""From a model folder to a `Predictor`: `load` verifies and rebuilds, `evaluate` also judges."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from pydantic import BaseModel

from . import artifact
from .assembly import build_events, build_model, build_parts
from .config import RunConfig
from .data import Parts
from .devices import device_of
from .errors import ArtifactError
from .evaluation import Judgement
from .inference import Predictor
from .model import Model
from .reading import read_config
from .registry import Registry
from .scoring import Place, keep_precision
from .untrusted import Room, refusing


def load(
    folder: str | Path, *, registry: Registry | None = None, device: str | torch.device | None = None
) -> Predictor:
    """Verify a model folder and rebuild its model. Runs no code from the folder.

    `device`: where it computes, see `device_of`; predictions of the CPU and of an accelerator differ in the last digits.

    Raises ArtifactError for a folder that is torn, altered or unsafe, PluginError naming the package to install for a
    component that is not here.
    """
    folder = Path(folder).resolve()
    manifest = artifact.verify(folder)
    registry = registry or Registry.discover()
    _require_plugins(manifest, registry)
    with refusing(folder / "config.yaml", "is no configuration of a run"):
        config = read_config(folder / "config.yaml", registry=registry)
    artifact.check_listed(folder, manifest, config)
    parts = _parts(folder, manifest, config, registry)
    columns = _columns(folder, config)
    model = _model(folder, manifest, config, registry, parts)
    hook = build_events(config, registry, parts)
    target, train = device_of(config, device), config.train
    keep_precision(train.precision)
    size = train.evaluate_batch_size or 4 * train.batch_size
    place = Place(target, size, autocast(config, target), tokens=train.batch_tokens)
    predictor = Predictor(folder, config, manifest, registry, parts, model, hook, columns, place)
    hook.on_model_built(run=predictor, model=model)
    artifact.load_weights(folder, model)
    model.to(target).eval()
    return predictor


def _parts(folder: Path, manifest: Mapping[str, Any], config: RunConfig, registry: Registry) -> Parts:
    """Processors and tasks as they were fitted."""
    with refusing(folder / "config.yaml", "its components cannot be built"):
        parts = build_parts(config, registry)
    for family, components in (("processors", parts.processors), ("tasks", parts.tasks)):
        for name, component in components.items():
            state, path = _state(folder, manifest, f"{family}/{name}")
            with refusing(path, "is no state of this component"):
                component.restore(state)
    return parts


def _model(folder: Path, manifest: Mapping[str, Any], config: RunConfig, registry: Registry, parts: Parts) -> Model:
    """The network with new weights. ArtifactError for one that is larger than the weights that are to fill it."""
    room = Room.of(folder / artifact.WEIGHTS)
    states = {name: _state(folder, manifest, f"backbones/{name}") for name in config.backbones}
    for name, (state, path) in states.items():
        room.allow(config.backbones[name].model_dump(), folder / "config.yaml")
        room.allow(state, path)
    with refusing(folder, "the network of its config.yaml and states cannot be built"), room.holding(folder):
        return build_model(config, registry, parts, {name: state for name, (state, _) in states.items()})


def _state(folder: Path, manifest: Mapping[str, Any], name: str) -> tuple[dict[str, Any], Path]:
    """(the state, its file)"""
    place = artifact.place(manifest, name)
    return artifact.read_state(folder, place), folder / f"{place}.json"


class _Numerals(BaseModel):
    missing: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None


class _Type(BaseModel):
    form: Literal["integer", "float", "boolean", "time", "text", "other"]
    written: bool = False
    words: tuple[str, str] | None = None
    times: str | None = None
    numerals: _Numerals | None = None


class _Table(BaseModel):
    inputs: dict[str, list[str]]
    types: dict[str, _Type | str]
    outputs: list[tuple[str, str]]


def _columns(folder: Path, config: RunConfig) -> dict[str, Any]:
    """columns.json, in which every table and input of the config has its columns."""
    found, path = artifact.read_state(folder, "columns"), folder / "columns.json"
    with refusing(path, "does not say what the columns are"):
        for name in config.data:
            table = _Table.model_validate(found[name])
            for key in config.inputs_of(name):
                if len({*table.inputs[key]}) < len(table.inputs[key]) or not table.inputs[key]:
                    raise ValueError(f"input {key!r} of table {name!r} has no columns, or one twice")
            pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in table.outputs})
    return found


def evaluate(
    folder: str | Path,
    data: Any = None,
    *,
    registry: Registry | None = None,
    table: str | None = None,
    device: str | torch.device | None = None,
) -> list[Judgement]:
    """`load(folder).evaluate(data)`."""
    return load(folder, registry=registry, device=device).evaluate(data, table=table)


def autocast(config: RunConfig, device: torch.device) -> Any:
    """The precision the run was scored in: predictions after a reload are the same numbers."""
    if config.train.precision == "fp32":
        return nullcontext
    return partial(
        torch.autocast, device.type, dtype={"bf16": torch.bfloat16, "fp16": torch.float16}[config.train.precision]
    )


def _require_plugins(manifest: Mapping[str, Any], registry: Registry) -> None:
    known = {record.name: record for record in registry.records}
    for kind, owner in manifest["plugins"].items():
        record = known.get(owner["plugin"])
        if record is None:
            raise ArtifactError(
                f"needs {kind} of plugin {owner['plugin']!r} ({owner['dist']} {owner['version']}), which is not installed",
                next=f"pip install {owner['dist']}=={owner['version']}",
            )
