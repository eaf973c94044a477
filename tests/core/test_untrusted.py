"""A model folder that is torn, altered or unsafe is an ArtifactError: never a traceback, a wait, or memory that is gone."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

import jenga_core
import toys
from jenga_core import states
from jenga_core.errors import ArtifactError, DataError
from jenga_core.files import sha256
from jenga_core.untrusted import Room, is_plain, read_json, refusing

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrusted") / "run"
    jenga_core.train(
        toys.numbers_config(epochs=1), data=toys.numbers_frame(), output=folder, registry=toys.registry(), quiet=True
    )
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def load(folder: Path) -> Any:
    return jenga_core.load(folder, registry=toys.registry())


def resealed(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {
        n: sha256(folder / n) if is_plain(folder / n, folder) else d for n, d in manifest["files"].items()
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def in_time(act: Callable[[], Any], seconds: float = 20) -> Any:
    """What `act` gives or raises; a failure where it takes too long."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(act())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, f"no answer in {seconds} s"
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


# ------------------------------------------------------------------ files that are none

KINDS: dict[str, Callable[[Path], Any]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link out": lambda path: path.symlink_to("/etc/hostname"),
    "circle": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["manifest.json", "config.yaml", "columns.json", WEIGHTS])
def test_what_is_no_file_is_not_opened(folder: Path, kind: str, name: str) -> None:
    (folder / name).unlink()
    KINDS[kind](folder / name)
    with pytest.raises(ArtifactError, match=name):
        in_time(lambda: load(folder))


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "x/../../y"])
def test_names_that_no_file_has(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = "0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="is no file of this folder"):
        load(folder)


# ------------------------------------------------------------------ JSON


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000 + "]" * 200_000, '{"a":' * 200_000 + "1" + "}" * 200_000, '{"a":' + "[" * 90 + "]" * 90 + "}",
     '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"\\udfff": 1}', '{"a": ' + "9" * 9000 + "}",
     "[]", "", "\x00", '{"a": 1'],
    ids=["brackets", "objects", "90 deep", "NaN", "infinity", "1e999", "half", "half a key", "9,000 digits", "list", "empty",
         "NUL", "torn"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["manifest.json", "columns.json"])
def test_json_that_is_none_or_beyond_its_limits(folder: Path, text: str, name: str) -> None:
    (folder / name).write_text(text)
    resealed(folder) if name != "manifest.json" else None
    with pytest.raises(ArtifactError, match=name):
        load(folder)


def test_json_as_jenga_writes_it_is_read(tmp_path: Path) -> None:
    value = {"é": "\U0001f600", "deep": [[[{"a": [1, 2.5, None, True]}]]], "big": 2**70}
    (tmp_path / "a.json").write_text(json.dumps(value))  # the emoji as two escapes
    assert read_json(tmp_path / "a.json") == value


def test_a_file_too_large_to_be_a_state_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    with pytest.raises(ArtifactError, match="more than a state can have"):
        read_json(tmp_path / "a.json")


# ------------------------------------------------------------------ states


ERRORS = [KeyError("x"), TypeError("x"), IndexError("x"), AttributeError("x"), RecursionError("x"), OverflowError("x"),
          ZeroDivisionError("x"), RuntimeError("x"), MemoryError(), ValueError("")]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_whatever_a_component_raises_names_the_file_of_its_state(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from jenga_core.builtin.tasks import ClassificationTask

    def restore(self: Any, state: Any) -> None:
        raise error

    monkeypatch.setattr(ClassificationTask, "restore", restore)
    with pytest.raises(
        ArtifactError, match=rf"tasks/label\.json: is no state of this component: {type(error).__name__}"
    ):
        load(folder)


def test_errors_of_jenga_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="as it is"), refusing(tmp_path, "?"):
        raise DataError("as it is")


@pytest.mark.parametrize(
    "change",
    [{"class_weight": [-1.0, 1.0]}, {"class_weight": [1.0]}, {"class_weight": "ab"}, {"positive": 2}, {"positive": True},
     {"labels": {"names": [], "form": "text"}}, {"labels": {"names": ["a", "a"], "form": "text"}},
     {"labels": {"names": ["a", "b"], "form": "integer"}}, {"labels": {"names": ["a", "b"], "form": "x"}}, {"labels": None}],
    ids=str,
)  # fmt: skip
def test_states_of_a_classification_are_checked(folder: Path, change: dict[str, Any]) -> None:
    path = folder / "tasks" / "label.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    resealed(folder)
    with pytest.raises(ArtifactError, match=r"tasks/label\.json"):
        load(folder)


@pytest.mark.parametrize("value", [None, True, "1", float("nan"), float("inf"), [], 10**400])
def test_numbers_are_finite_numbers(value: Any) -> None:
    with pytest.raises((ValueError, OverflowError)):
        states.number(value)
    for check in (states.numbers, states.texts, states.text, states.whole, states.section):
        if not (check in (states.texts, states.numbers) and value == []) and not (
            check is states.text and value == "1"
        ):
            with pytest.raises((ValueError, OverflowError)):
                check(10.5 if value == 10**400 else value)


def test_lists_of_numbers_rise_and_have_their_size() -> None:
    assert states.numbers([1, 2.5], size=2, rising=True, least=1) == (1.0, 2.5)
    for values in ([1, 1], [2, 1], [1], [0, 1], [1, 2, 3]):
        with pytest.raises(ValueError, match=r"\S"):
            states.numbers(values, size=2, rising=True, least=1)


# ------------------------------------------------------------------ networks that their weights cannot fill


def room(tmp_path: Path, tensors: int = 2, numbers: int = 100) -> Room:
    save_file({f"t{at}": np.zeros(numbers, np.float32) for at in range(tensors)}, tmp_path / WEIGHTS)
    return Room.of(tmp_path / WEIGHTS)


def test_room_is_read_off_the_header(tmp_path: Path) -> None:
    found = room(tmp_path)
    assert (found.tensors, found.numbers) == (2, 800)


@pytest.mark.parametrize(
    "make",
    [lambda: nn.Sequential(*(nn.Linear(2, 2) for _ in range(10**7))), lambda: nn.Linear(20_000, 20_000),
     lambda: nn.ModuleList(nn.ReLU() for _ in range(10**7)), lambda: nn.LSTM(8, 8, num_layers=10**7),
     lambda: nn.Embedding(10**7, 32)],
    ids=["layers", "width", "without weights", "lstm", "embedding"],
)  # fmt: skip
def test_a_network_larger_than_its_weights_is_not_built(tmp_path: Path, make: Callable[[], Any]) -> None:
    import resource

    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtifactError, match="larger network than its weights fill"), room(tmp_path).holding(tmp_path):
        make()
    assert time.monotonic() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 19  # KiB
    nn.Linear(4100, 4100)  # afterwards nothing is counted


def test_other_threads_are_not_counted(tmp_path: Path) -> None:
    with room(tmp_path).holding(tmp_path):
        assert in_time(lambda: nn.Linear(5000, 5000)) is not None


@pytest.mark.parametrize("options", [{"width": 10**10}, {"a": [{"b": -(2**40)}]}])
def test_options_that_no_network_of_this_size_has(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match="larger than its weights can fill"):
        room(tmp_path).allow(options, tmp_path)
    room(tmp_path).allow({"width": 2**20, "list": [1, True, "x", None]}, tmp_path)


# ------------------------------------------------------------------ outputs


def test_outputs_that_are_not_finite_are_counted_and_said(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({n: np.full_like(a, 3e38) for n, a in weights.items()}, folder / WEIGHTS)
    resealed(folder)
    predictor, rows = load(folder), toys.numbers_frame().head(7)
    found, unusual = predictor.explain(rows)
    wrong = int((~np.isfinite(found.select_dtypes("number"))).any(axis=1).sum())
    assert wrong == 7
    assert unusual["the output is not finite"] == wrong


def test_a_whole_model_says_no_such_thing(finished: Path) -> None:
    assert "the output is not finite" not in load(finished).explain(toys.numbers_frame())[1]
    assert torch.get_default_dtype() == torch.float32
