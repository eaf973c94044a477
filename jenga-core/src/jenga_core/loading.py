"""From a model folder to a `Predictor`: `load` verifies and rebuilds, `evaluate` also judges."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from . import artifact
from .assembly import build_events, build_model, build_parts
from .config import RunConfig
from .devices import device_of
from .errors import ArtifactError
from .evaluation import Judgement
from .inference import Predictor
from .reading import read_config
from .registry import Registry
from .scoring import Place, keep_precision


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
    config = read_config(folder / "config.yaml", registry=registry)
    artifact.check_listed(folder, manifest, config)
    parts = build_parts(config, registry)
    for name, processor in parts.processors.items():
        processor.restore(artifact.read_state(folder, artifact.place(manifest, f"processors/{name}")))
    for name, task in parts.tasks.items():
        task.restore(artifact.read_state(folder, artifact.place(manifest, f"tasks/{name}")))
    saved = {
        name: artifact.read_state(folder, artifact.place(manifest, f"backbones/{name}")) for name in config.backbones
    }
    model = build_model(config, registry, parts, saved)
    hook = build_events(config, registry, parts)
    columns = artifact.read_state(folder, "columns")
    target, train = device_of(config, device), config.train
    keep_precision(train.precision)
    size = train.evaluate_batch_size or 4 * train.batch_size
    place = Place(target, size, autocast(config, target), tokens=train.batch_tokens)
    predictor = Predictor(folder, config, manifest, registry, parts, model, hook, columns, place)
    hook.on_model_built(run=predictor, model=model)
    artifact.load_weights(folder, model)
    model.to(target).eval()
    return predictor


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
