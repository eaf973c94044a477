"""Crash-safe run state. `step-00000120.pt` holds it, `step-00000120.json` its sha256 and is written last.

A checkpoint counts only when both are there and agree; `newest` passes over the others and says so. The files are the
run's own, are read with `weights_only=True` and are never part of a published model.
"""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .errors import CheckpointError
from .files import publish, publish_json, sha256

_NAME = re.compile(r"step-(\d{8})\.pt")


def write(folder: Path, step: int, state: dict[str, Any], *, keep: int) -> Path:
    """Save `state` (tensors and plain Python values) atomically; then remove all but the newest `keep` checkpoints.

    Checkpoints of later steps go first: they are those that a resume passed over, and must not push out whole ones.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = folder / f"step-{step:08d}.pt"
    try:
        data = buffer.getbuffer()
        digest = publish(path, data)
        publish_json(path.with_suffix(".json"), {"sha256": digest, "size": len(data), "step": step})
    except OSError as error:
        raise CheckpointError(
            f"cannot write checkpoint {path}: {error.strerror or error} (errno {error.errno}). "
            "The run stops; earlier checkpoints are whole: free space or permissions, then add --resume"
        ) from error
    later = [p for p in _all(folder) if p > path]
    for old in [*later, *_all(folder)[len(later) + keep :]]:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink(missing_ok=True)
    return path


def newest(folder: Path, say: Callable[[str], None]) -> dict[str, Any] | None:
    """The newest whole state, or None where there is none to be had. Tells `say` of each one it passes over.

    Raises CheckpointError when there are checkpoints but none is whole; a first one that was never finished is none.
    """
    paths = _all(folder)
    for path in paths:
        reason = _broken(path)
        if reason is None:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            return state
        say(f"checkpoint {path.name} is not usable ({reason}); trying the one before")
    if paths and not (len(paths) == 1 and not paths[0].with_suffix(".json").exists()):
        raise CheckpointError(f"{folder}: none of {len(paths)} checkpoints is whole; start again without --resume")
    return None


def remove_all(folder: Path) -> None:
    """At a clean end; only files that this module wrote, then the folder when nothing else is in it."""
    for path in _all(folder):
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    for leftover in folder.glob(".step-*.tmp"):
        leftover.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _all(folder: Path) -> list[Path]:
    """Newest first."""
    found = [p for p in folder.glob("step-*.pt") if _NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(found, reverse=True)


def _broken(path: Path) -> str | None:
    """Why a checkpoint cannot be trusted, or None."""
    seal = path.with_suffix(".json")
    if not seal.exists():
        return "its checksum was never written"
    try:
        facts = json.loads(seal.read_text())
        expected, size = facts["sha256"], facts["size"]
    except (ValueError, KeyError, TypeError):
        return "its checksum file is torn"
    if path.stat().st_size != size:
        return f"{path.stat().st_size} bytes instead of {size}"
    return None if sha256(path) == expected else "its content does not match its checksum"


def random_state() -> dict[str, Any]:
    """State of every generator a model may draw from, as tensors and plain values."""
    name, keys, pos, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [
            str(name),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(pos),
            int(has_gauss),
            float(cached),
        ],
        "python": [version, list(internal), gauss],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """The inverse of `random_state`."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, pos, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), pos, has_gauss, cached))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
