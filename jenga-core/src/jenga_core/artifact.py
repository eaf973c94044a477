"""The model folder: safetensors and JSON, a manifest with a sha256 of each file. Nothing in it is code or a pickle.

config.yaml            resolved; paths relative to the folder
model.safetensors      the best weights
backbones/NAME.json    architecture, so that no checkpoint outside the folder is needed
processors/INPUT.json  tasks/TASK.json  columns.json
metrics.json  report.html  README.md  log.jsonl
manifest.json          written last: a folder without it is not a model
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_model, save_file
from torch import Tensor, nn

from .config import RunConfig
from .errors import ArtifactError
from .files import is_leftover, naming, publish, publish_json, sha256
from .model import not_finite
from .registry import Registry
from .untrusted import Room, is_plain, read_json

FORMAT = 1
WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
_UNSEALED = {MANIFEST, "log.jsonl"}  # the log may be appended to; everything else is sealed


class _Owner(BaseModel):
    plugin: str
    dist: str
    version: str


class _Data(BaseModel):
    digest: str


class _Form(BaseModel):
    """The part of a manifest that loading relies on; it says more."""

    files: dict[str, str]
    plugins: dict[str, _Owner]
    data: dict[str, _Data]
    seen_absent: dict[str, bool]
    states: dict[str, str] = {}


def save_weights(folder: Path, model: nn.Module) -> None:
    """Write model.safetensors atomically. Weights that are not finite are refused."""
    bad = not_finite(model)
    if bad:
        raise ArtifactError(f"weights are not finite ({bad}): not saved", where=str(folder / WEIGHTS))
    temporary = folder / f".{WEIGHTS}.{os.getpid()}.tmp"
    try:
        with naming(folder / WEIGHTS):
            save_file(own_tensors(model.state_dict()), str(temporary))
            data = temporary.read_bytes()
    except SafetensorError as error:
        raise ArtifactError(f"cannot be written: {error}", where=str(folder / WEIGHTS)) from error
    finally:
        temporary.unlink(missing_ok=True)
    publish(folder / WEIGHTS, data)


def own_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, each tensor with memory of its own; of tied ones, which are one tensor, the first name only.

    cuDNN keeps all weights of an LSTM or GRU in one block; safetensors refuses tensors that share memory.
    """
    kept: dict[Any, str] = {}
    for name in sorted(state):
        value = state[name]
        same = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype) if value.numel() else name
        kept.setdefault(same, name)
    moved = {name: state[name].detach().cpu().contiguous() for name in kept.values()}
    return {
        name: value if value.untyped_storage().nbytes() == value.nbytes else value.clone()
        for name, value in moved.items()
    }


def load_weights(folder: Path, model: nn.Module) -> None:
    """Read model.safetensors into `model`: every name and shape must match, every value must be finite."""
    path = folder / WEIGHTS
    header, allowed = Room.of(path).header, 4096 + 1024 * len(model.state_dict())
    if header > allowed:  # parsing it could take for ever
        raise ArtifactError(f"absurd header of {header:,} bytes, of at most {allowed:,}: refused", where=str(path))
    try:
        missing, unexpected = load_model(model, str(path), strict=False)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"does not fit the model that its config describes: {error}", where=str(path)) from error
    if missing or unexpected:
        names = f"missing {sorted(missing)[:3]}, unexpected {sorted(unexpected)[:3]}"
        raise ArtifactError(
            f"does not fit the model that its config describes: {names}",
            where=str(path),
        )
    bad = not_finite(model)
    if bad:
        raise ArtifactError(f"holds weights that are not finite ({bad}): refused", where=str(path))


def write_state(folder: Path, states: Mapping[str, Mapping[str, Any]]) -> None:
    """`states`: relative path without ending -> JSON value."""
    for name, value in states.items():
        publish_json(folder / f"{name}.json", dict(value))


def read_state(folder: Path, name: str) -> dict[str, Any]:
    """See `untrusted.read_json`."""
    return read_json(folder / f"{name}.json")


def place(manifest: Mapping[str, Any], name: str) -> str:
    """Where the state `name` ("tasks/threat") lies, without ending: under its own name until `amend` has replaced it."""
    return str(manifest.get("states", {}).get(name, name))


def amend(folder: Path, states: Mapping[str, Mapping[str, Any]], note: str) -> None:
    """Replace states of a whole model folder, all or none, and add `note` to its manifest.

    New states are written under new names; the manifest, written last, makes them the ones that count. Whatever
    interrupts this leaves the folder as it was or as it is to be. The replaced files stay until the next amendment,
    for whoever has just read the old manifest.
    """
    manifest = verify(folder)
    files, moved = dict(manifest["files"]), dict(manifest.get("states", {}))
    for name, value in states.items():
        old = f"{place(manifest, name)}.json"
        for stale in [folder / f"{name}.json", *folder.glob(f"{name}-*.json")]:
            if str(stale.relative_to(folder)) not in files:
                stale.unlink(missing_ok=True)
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        moved[name] = f"{name}-{digest[:12]}"
        files.pop(old, None)
        files[f"{moved[name]}.json"] = publish_json(folder / f"{moved[name]}.json", dict(value))
    changed = {"states": moved, "files": files, "notes": [*manifest.get("notes", []), note]}
    publish_json(folder / MANIFEST, {**manifest, **changed})


def seal(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest over everything that lies in the folder now; the last act of a run."""
    for leftover in folder.rglob(".*.tmp"):  # of a run that was killed while it wrote
        leftover.unlink()
    files = {
        str(p.relative_to(folder)): sha256(p)
        for p in sorted(folder.rglob("*"))
        if p.is_file()
        and p.name not in _UNSEALED
        and not is_leftover(p)
        and p.relative_to(folder).parts[0] not in ("checkpoints", "trackers")
    }
    manifest = {**facts, "files": files}
    publish_json(folder / MANIFEST, manifest)
    return manifest


def verify(folder: Path, *, may_lack: Collection[str] = ()) -> dict[str, Any]:
    """The manifest of a whole, unaltered model folder. Raises ArtifactError naming the first file that is not as sealed.

    Files of `may_lack` are about to be written anew and may be gone.
    """
    if not folder.is_dir():
        raise ArtifactError("no such model folder", where=str(folder))
    if not os.path.lexists(folder / MANIFEST):
        unfinished = (folder / "checkpoints").is_dir()
        raise ArtifactError(
            "is a run that has not finished" if unfinished else "is not a model folder: it has no manifest.json",
            where=str(folder),
            next=f"jenga train CONFIG --output {quote(str(folder))} --resume" if unfinished else "jenga train CONFIG",
        )
    if not is_plain(folder / MANIFEST, folder):
        raise ArtifactError(
            f"{MANIFEST} is no file of this folder but a link out of it, a pipe or a device", where=str(folder)
        )
    manifest = read_state(folder, "manifest")
    if manifest.get("format") != FORMAT:
        raise ArtifactError(
            f"has format {manifest.get('format')!r}; this version reads format {FORMAT}",
            where=str(folder),
            next="pip install --upgrade jenga-core",
        )
    try:
        files = _Form.model_validate(manifest).files
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise ArtifactError(f"its manifest is not one that Jenga wrote: {what}", where=str(folder)) from error
    for name in ("config.yaml", "columns.json", WEIGHTS):
        if name not in files:
            raise ArtifactError(f"its manifest does not list {name}", where=str(folder))
    for name, expected in files.items():
        path = folder / name
        if not is_plain(path, folder):
            if name in may_lack and not os.path.lexists(path):
                continue
            raise ArtifactError(f"{name} is missing, or is no file of this folder", where=str(folder))
        if sha256(path) != expected:
            raise ArtifactError(f"{name} is not the file that was saved (its sha256 differs)", where=str(folder))
    return manifest


def check_listed(folder: Path, manifest: Mapping[str, Any], config: RunConfig) -> None:
    """The manifest must answer for every state that the config calls for and for every table."""
    states = {"backbones": list(config.backbones), "processors": list(config.inputs), "tasks": list(config.tasks)}
    needed = [f"{place(manifest, f'{family}/{name}')}.json" for family, names in states.items() for name in names]
    lost = [n for n in needed if n not in manifest["files"]] + [t for t in config.data if t not in manifest["data"]]
    if lost:
        raise ArtifactError(f"its manifest does not list {lost[0]}", where=str(folder))


def versions() -> dict[str, str]:
    """Of what decides the numbers."""
    names = ("jenga-core", "torch", "accelerate", "transformers", "numpy", "pandas", "scikit-learn", "safetensors")
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def packages(config: RunConfig, registry: Registry) -> dict[str, str]:
    """package -> version of all that decides the numbers of this run: `versions`, and the plugins that it uses."""
    owners = plugins_of(config, registry).values()
    return {**versions(), **{owner["dist"]: owner["version"] for owner in owners}}


def plugins_of(config: RunConfig, registry: Registry) -> dict[str, dict[str, str]]:
    """kind -> {plugin, dist, version} for every component that the config names."""
    sections = [*config.backbones.values(), *config.tasks.values(), *config.hooks]
    sections += [i.processor for i in config.inputs.values()] + ([config.fusion] if config.fusion else [])
    sections += [d.source for d in config.data.values() if d.source is not None]
    records = {record.name: record for record in registry.records}
    found = {}
    for section in sections:
        record = records[section.kind.split("/")[0]]
        found[section.kind] = {"plugin": record.name, "dist": str(record.dist), "version": str(record.version)}
    return found
