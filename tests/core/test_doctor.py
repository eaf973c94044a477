"""`jenga doctor`: each fault is found and has a cure; nothing it may meet ends it."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from jenga_core import doctor
from jenga_core.plugins import PluginRecord

VERSIONS = {"torch": "2.14.1", "torchvision": "0.29.2", "torchaudio": "2.11.0"}
FINE = {
    "torch": "ok",
    "torchvision": "ok",
    "torchaudio": "absent",
    "threads": 1,
    "built": "13.0",
    "cuda": [],
    "mps": False,
}


def torch_findings(found: dict[str, Any], environ: dict[str, str] | None = None) -> dict[str, doctor.Finding]:
    return {f.name: f for f in doctor._torch(found, VERSIONS.get, environ or {})}


def test_this_installation_is_examined_without_importing_torch_here() -> None:
    code = (
        "import sys; from jenga_core.doctor import examine; names = {f.name for f in examine()}\n"
        "assert {'python', 'dependencies', 'plugins', 'torch', 'accelerator', 'threads', 'write access', 'disk space',"
        " 'model hub'} <= names, names\n"
        "assert not {'torch', 'pandas', 'transformers'} & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_companion_of_another_build_is_named_with_the_cure() -> None:
    found = torch_findings(
        {**FINE, "torchvision": "RuntimeError: operator torchvision::nms does not exist", "built": "cpu"}
    )
    assert not found["torchvision"].ok
    assert "0.29.2 does not fit this torch" in found["torchvision"].text
    assert "nms" in found["torchvision"].text
    assert found["torchvision"].cure.startswith("pip install --force-reinstall torch torchvision torchaudio")
    assert "CPU-only" in found["torchvision"].cure
    assert "torchaudio" not in found, "what is not installed is no fault"


def test_a_torch_that_cannot_be_imported() -> None:
    found = torch_findings({"torch": "OSError: libcudart.so.13: cannot open shared object file"})
    assert list(found) == ["torch"]
    assert not found["torch"].ok
    assert found["torch"].cure


def test_a_process_that_dies_while_importing_torch_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import os; os._exit(134)")
    found = doctor.probe({"PYTHONPATH": str(tmp_path)})
    assert found == {"torch": "the process ended with status 134"}


def test_what_the_probe_says_of_broken_companions(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    (tmp_path / "torchaudio.py").write_text("import libtorch_cuda_is_missing")
    found = doctor.probe({"PYTHONPATH": str(tmp_path)})
    assert found["torch"] == "ok"
    assert found["torchvision"] == "RuntimeError: operator torchvision::nms does not exist"
    assert found["torchaudio"].startswith("ModuleNotFoundError")


def test_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_cores", lambda: 2)
    found = torch_findings({**FINE, "threads": 8}, {"OMP_WAIT_POLICY": "ACTIVE"})["threads"]
    assert (found.ok, found.cure) == (False, "export OMP_NUM_THREADS=2")
    assert "8 threads on 2 cores, OMP_WAIT_POLICY=ACTIVE" in found.text


@pytest.mark.parametrize(("cuda", "text"), [(["H200"], "1 x H200"), ([], "none: training runs on the CPU")])
def test_the_accelerator(cuda: list[str], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert torch_findings({**FINE, "cuda": cuda})["accelerator"].text == text


def test_a_driver_that_torch_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert not torch_findings(FINE)["accelerator"].ok


@pytest.mark.parametrize(
    ("version", "bounds", "within"),
    [
        ("2.14.1", ">=2.11", True),
        ("2.14.1+cu130", "<2.15,>=2.11", True),
        ("2.9", ">=2.11", False),
        ("0.29.0", "<0.29,>=0.26", False),
        ("3", ">=3.0", True),
        ("1.0.0rc1", "==1.0", True),
        ("1.2", "!=1.2", False),
        ("1.2", "", True),
    ],
)
def test_bounds(version: str, bounds: str, within: bool) -> None:
    assert doctor._within(version, bounds) is within


def test_a_missing_and_an_old_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    required = ["torch>=2.11", "typer<0.29,>=0.26", "wandb>=0.20; extra == 'wandb'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: required)
    monkeypatch.setattr(doctor, "_version", {"typer": "0.29.2"}.get)
    found = {f.name: f for f in doctor._dependencies()}
    assert not found["dependencies"].ok
    assert found["torch"].text == "is not installed; torch>=2.11 is needed"
    assert found["typer"].cure == "pip install 'typer<0.29,>=0.26'"
    assert "wandb" not in found


def test_a_broken_and_a_disabled_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    records = (
        PluginRecord("core", "jenga-core", "0.1", "ok"),
        PluginRecord("audio", "jenga-audio", "1.0", "broken", "No module named 'torchaudio'"),
        PluginRecord("text", "jenga-text", "1.0", "disabled", "by JENGA_DISABLE_PLUGINS"),
    )
    monkeypatch.setattr(doctor.plugins, "scan", lambda environ: records)
    found = {f.name: f for f in doctor._plugins({})}
    assert found["plugins"].ok
    assert (found["plugin audio"].ok, found["plugin audio"].cure) == (False, "jenga plugins show audio")
    assert found["plugin text"].ok


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert doctor._writable(tmp_path).ok
    assert not doctor._writable(tmp_path / "nowhere").ok
    assert not doctor._space(tmp_path / "nowhere").ok


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage(2**40, 2**40 - 2**20, 2**20))
    assert not doctor._space(tmp_path).ok


@pytest.mark.parametrize(("value", "text"), [("1", "offline"), ("", "may be fetched")])
def test_the_model_hub(value: str, text: str) -> None:
    (found,) = doctor._environment({"HF_HUB_OFFLINE": value})
    assert text in found.text
