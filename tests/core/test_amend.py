"""Replacing a fitted state of a finished model: all or nothing, whatever interrupts it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import jenga_core
import toys
from jenga_core import artifact
from jenga_core.errors import ArtifactError


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amend") / "run"
    jenga_core.train(
        toys.numbers_config(epochs=1), data=toys.numbers_frame(), output=folder, registry=toys.registry(), quiet=True
    )
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def name_of(folder: Path) -> str:
    return f"tasks/{next((folder / 'tasks').glob('*.json')).stem.partition('-')[0]}"


def state(folder: Path) -> dict[str, Any]:
    """As a load finds it, in a folder that is whole."""
    manifest = artifact.verify(folder)
    jenga_core.load(folder, registry=toys.registry())
    return artifact.read_state(folder, artifact.place(manifest, name_of(folder)))


def test_a_state_is_replaced_and_the_note_told(folder: Path) -> None:
    name, old = name_of(folder), state(folder)
    artifact.amend(folder, {name: {**old, "mark": 1}}, "marked")
    assert state(folder) == {**old, "mark": 1}
    assert artifact.verify(folder)["notes"][-1] == "marked"
    artifact.amend(folder, {name: old}, "as before")
    artifact.amend(folder, {name: old}, "again")
    assert state(folder) == old


def test_replaced_files_do_not_pile_up(folder: Path) -> None:
    name, old = name_of(folder), state(folder)
    for mark in range(6):
        artifact.amend(folder, {name: {**old, "mark": mark}}, "marked")
    assert len(list((folder / "tasks").glob("*.json"))) <= 3
    assert state(folder)["mark"] == 5


def test_an_altered_folder_is_not_amended(folder: Path) -> None:
    (folder / "README.md").write_text("other")
    with pytest.raises(ArtifactError, match="README"):
        artifact.amend(folder, {name_of(folder): {}}, "no")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_whatever_interrupts_it_the_folder_is_the_old_model_or_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    name, old = name_of(folder), state(folder)
    seen = []
    for stop in itertools.count():
        new = {**old, "mark": stop}
        before = state(folder)
        left = itertools.count(-stop)
        real = getattr(os, call)

        def failing(*args: Any, left: Any = left, real: Any = real, **more: Any) -> Any:
            if next(left) == 0:
                raise Killed
            return real(*args, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            try:
                artifact.amend(folder, {name: new}, "marked")
                done = True
            except Killed:
                done = False
        assert state(folder) in (before, new)
        seen.append(state(folder) == new)
        if done:
            assert seen[-1]
            break
    assert len(seen) > 2
    assert not seen[0]


def test_a_state_placed_outside_the_folder_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["states"] = {name_of(folder): "../elsewhere"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="does not list"):
        jenga_core.load(folder, registry=toys.registry())
