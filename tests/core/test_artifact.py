"""The model folder refuses what was altered, torn, unsafe or made by something that is not here."""

from __future__ import annotations

import json
import pickletools
import shutil
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import jenga_core
import toys
from jenga_core import artifact
from jenga_core.errors import ArtifactError, UserError
from jenga_core.files import sha256
from jenga_core.registry import Registry

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact") / "run"
    jenga_core.train(
        toys.numbers_config(epochs=1), data=toys.numbers_frame(), output=folder, registry=toys.registry(), quiet=True
    )
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def load(folder: Path) -> Any:
    return jenga_core.load(folder, registry=toys.registry())


def resealed(folder: Path, **changes: Any) -> None:
    """As somebody who means harm would leave it: the manifest agrees with what lies there."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {n: sha256(folder / n) if (folder / n).is_file() else d for n, d in manifest["files"].items()}
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def test_a_whole_folder_loads_wherever_it_lies(folder: Path) -> None:
    assert len(load(folder).predict(toys.numbers_frame())) == 240


def test_every_single_file_is_sealed(finished: Path, tmp_path: Path) -> None:
    names = [str(p.relative_to(finished)) for p in finished.rglob("*") if p.is_file()]
    assert len(names) > 8
    for name in set(names) - {"log.jsonl", "manifest.json"}:
        copy = Path(shutil.copytree(finished, tmp_path / name.replace("/", "_")))
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(ArtifactError, match=f"{name} is not the file that was saved"):
            load(copy)
        (copy / name).unlink()
        with pytest.raises(ArtifactError, match=f"{name} is missing"):
            load(copy)


def test_nothing_in_the_folder_is_a_pickle(finished: Path) -> None:
    for path in finished.rglob("*"):
        if path.is_file():
            assert not zipfile.is_zipfile(path), path
            with pytest.raises(ValueError, match=r"\S"):
                list(pickletools.genops(path.read_bytes()))


# ------------------------------------------------------------------ weights that somebody sealed again


def rewritten(folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    resealed(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    rewritten(folder, lambda w: {n: np.full_like(a, value) if "weight" in n else a for n, a in w.items()})
    with pytest.raises(ArtifactError, match="not finite"):
        load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: {n: a for n, a in w.items() if "heads" not in n},
        lambda w: {**w, "extra": np.zeros(1, dtype=np.float32)},
        lambda w: {n: np.zeros((*a.shape, 2), dtype=np.float32) for n, a in w.items()},
        lambda w: {},
    ],
    ids=["missing", "extra", "shape", "none"],
)
def test_weights_of_another_model_are_refused(folder: Path, change: Any) -> None:
    rewritten(folder, change)
    with pytest.raises(ArtifactError, match="does not fit"):
        load(folder)


def header(length: int, text: bytes = b"{}") -> bytes:
    return struct.pack("<Q", length) + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        header(0),
        header(2**63),
        header(100, b"{}"),
        header(2, b"{}"),
        header(2, b"[]"),
        header(2, b"\xff\xfe"),
        header(40_000_000, b"{" + b" " * 40_000_000),
    ],
    ids=["empty", "short", "zero", "2**63", "beyond the file", "no tensors", "a list", "no text", "40 MB"],
)
def test_an_absurd_header_is_refused(folder: Path, data: bytes) -> None:
    (folder / WEIGHTS).write_bytes(data)
    resealed(folder)
    with pytest.raises(ArtifactError, match=WEIGHTS):
        load(folder)


@pytest.mark.parametrize("cut", [1, 9, 200, -1])
def test_truncated_weights_are_refused(folder: Path, cut: int) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:cut])
    with pytest.raises(ArtifactError, match="sha256 differs"):
        load(folder)
    resealed(folder)
    with pytest.raises(ArtifactError, match=WEIGHTS):
        load(folder)


def test_a_header_whose_offsets_lie_is_refused(folder: Path) -> None:
    text = json.dumps({"heads._label.linear.bias": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}).encode()
    (folder / WEIGHTS).write_bytes(header(len(text), text) + b"\0" * 8)
    resealed(folder)
    with pytest.raises(ArtifactError, match=WEIGHTS):
        load(folder)


# ------------------------------------------------------------------ manifests


def test_a_folder_that_is_not_there_or_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such model folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        load(tmp_path)


def test_an_unfinished_run_says_how_to_finish_it(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    (folder / "checkpoints").mkdir()
    with pytest.raises(ArtifactError, match="--resume"):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', '{"files": []}', "\xff", '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(ArtifactError, match=r"manifest|format"):
        load(folder)


@pytest.mark.parametrize("format_", [2, 0, None, "1", 1.5])
def test_a_format_from_the_future_is_refused(folder: Path, format_: Any) -> None:
    resealed(folder, format=format_)
    with pytest.raises(ArtifactError, match="this version reads format 1"):
        load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"config.yaml": 7, WEIGHTS: None}},
        {"files": ["config.yaml", WEIGHTS]},
        {"plugins": []},
        {"plugins": {"toy/dense": {}}},
        {"plugins": {"toy/dense": "toy"}},
        {"data": {}},
        {"data": []},
        {"seen_absent": []},
    ],
    ids=str,
)
def test_a_manifest_of_another_form_is_refused_and_not_stumbled_over(folder: Path, changes: Any) -> None:
    resealed(folder, **changes)
    with pytest.raises(ArtifactError):
        load(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "processors/../../outside", "..", "processors"])
def test_a_manifest_cannot_point_outside_the_folder(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    outside.write_text("secret")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    resealed(folder, files={**files, name: sha256(outside)})
    with pytest.raises(ArtifactError, match="is missing"):
        load(folder)


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    outside = folder.parent / "outside.safetensors"
    (folder / WEIGHTS).rename(outside)
    (folder / WEIGHTS).symlink_to(outside)
    with pytest.raises(ArtifactError, match=f"{WEIGHTS} is missing"):
        load(folder)


@pytest.mark.parametrize("name", ["config.yaml", WEIGHTS, "columns.json", "processors/x.json", "tasks/label.json"])
def test_a_file_that_the_manifest_does_not_list_is_not_read(folder: Path, name: str) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    resealed(folder, files={n: d for n, d in files.items() if n != name})
    with pytest.raises(ArtifactError, match=name):
        load(folder)


# ------------------------------------------------------------------ plugins


def test_a_missing_plugin_names_the_package_to_install(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for owner in manifest["plugins"].values():
        if owner["plugin"] == "toy":
            owner.update(dist="jenga-toy", version="1.2.0")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"pip install jenga-toy==1\.2\.0"):
        jenga_core.load(folder, registry=Registry.of())


def test_a_component_that_its_plugin_no_longer_has_is_named(folder: Path) -> None:
    class Emptied:
        pass

    with pytest.raises(UserError, match="plugin 'toy' has no"):
        jenga_core.load(folder, registry=Registry.of(toy=Emptied))


def test_loading_runs_no_code_of_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("toys.py", "jenga_core.py", "sitecustomize.py"):
        (folder / name).write_text("raise SystemExit('ran')")
    monkeypatch.chdir(folder)
    before = set(sys.modules)
    load(folder)
    assert not [m for m in set(sys.modules) - before if str(folder) in str(getattr(sys.modules[m], "__file__", ""))]


# ------------------------------------------------------------------ saving


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(module.bias, float("nan"))
    with pytest.raises(ArtifactError, match="bias"):
        artifact.save_weights(tmp_path, module)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_save_left_behind_is_not_part_of_the_model(tmp_path: Path) -> None:
    (tmp_path / f".{WEIGHTS}.123.tmp").write_bytes(b"half")
    (tmp_path / "config.yaml").write_text("x: 1")
    assert set(artifact.seal(tmp_path, {})["files"]) == {"config.yaml"}
    assert not (tmp_path / f".{WEIGHTS}.123.tmp").exists()


class Shared(torch.nn.Module):
    """Weights in one block, as cuDNN keeps those of an LSTM, and a pair that is tied."""

    def __init__(self) -> None:
        super().__init__()
        block = torch.arange(10.0)
        self.first = torch.nn.Parameter(torch.empty(0))
        self.second = torch.nn.Parameter(torch.empty(0))
        self.first.data, self.second.data = block[:6].view(2, 3), block[6:]
        self.tied = torch.nn.Linear(3, 2)
        self.again = self.tied


def test_weights_that_share_memory_are_saved_each_for_itself(tmp_path: Path) -> None:
    module = Shared()
    module.tied.weight.data = torch.arange(6.0).view(3, 2).t()  # not contiguous
    artifact.save_weights(tmp_path, module)
    names = set(load_file(tmp_path / "model.safetensors"))
    assert names == {"first", "second", "again.bias", "again.weight"}
    other = Shared()
    for parameter in other.parameters():  # on the CPU each has memory of its own
        parameter.data = torch.zeros(parameter.shape)
    artifact.load_weights(tmp_path, other)
    for (name, one), two in zip(module.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
