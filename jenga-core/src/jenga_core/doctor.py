"""What is wrong with this installation, and the cure. torch is looked at in a process of its own: a torch that does not
fit its companions can end the process that imports it, and the doctor must outlive that.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from . import plugins

NEEDED_GIB = 2.0  # checkpoints of a small run; less, and a run ends with ENOSPC
PROBE_SECONDS = 180
FAMILY = ("torch", "torchvision", "torchaudio")
CURE_FAMILY = "pip install --force-reinstall torch torchvision torchaudio"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `cure`: a command or a setting, where it is not `ok`; a hint may also stand beside what is."""

    name: str
    ok: bool
    text: str
    cure: str = ""


# Prints one JSON object; a companion of torch that cannot be imported is a value, as the point is to report it.
PROBE = """
import json, sys
found = {}
for name in ("torch", "torchvision", "torchaudio"):
    try:
        __import__(name)
        found[name] = "ok"
    except ModuleNotFoundError as error:
        found[name] = "absent" if error.name == name else f"{type(error).__name__}: {error}"
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        found[name] = f"{type(error).__name__}: {error}"
if found["torch"] == "ok":
    import torch
    found["threads"] = torch.get_num_threads()
    found["built"] = torch.version.cuda or getattr(torch.version, "hip", None) or "cpu"
    found["cuda"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found["mps"] = bool(torch.backends.mps.is_available())
print(json.dumps(found))
"""


def examine(folder: Path | str = ".", environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Everything, quick things first. `folder`: where runs would be written. Never raises for what it finds."""
    findings = [_python(), *_dependencies(), *_plugins(environ)]
    findings += [*_torch(probe(environ), _version, environ), _writable(Path(folder)), _space(Path(folder))]
    return [*findings, *_environment(environ)]


def probe(environ: Mapping[str, str]) -> dict[str, Any]:
    """What importing torch and its companions gives, from another process."""
    command = [sys.executable, "-c", PROBE]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, env=dict(environ), check=False
        )
    except subprocess.TimeoutExpired:
        return {"torch": f"importing it took more than {PROBE_SECONDS} s"}
    try:
        answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = run.stderr.strip().splitlines()[-1:] or [f"the process ended with status {run.returncode}"]
        return {"torch": last[0]}
    return answer


# ------------------------------------------------------------------ this Python and its packages


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"
    return Finding("python", ok, text, "" if ok else "install Python 3.11 or newer")


_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*\(?(?P<bounds>[^;)]*)\)?\s*(?P<marker>;.*)?")


def _dependencies() -> Iterator[Finding]:
    """What jenga-core asks for, as its own metadata says, against what is installed."""
    try:
        required = metadata.requires("jenga-core") or []
    except metadata.PackageNotFoundError:
        yield Finding("jenga-core", False, "runs from a folder that is not installed", "pip install jenga-core")
        return
    fine, bad = [], []
    for text in required:
        match = _REQUIREMENT.match(text)
        if match is None or "extra ==" in (match["marker"] or ""):
            continue
        name, bounds, found = match["name"], match["bounds"].strip(), _version(match["name"])
        if found is None:
            bad.append(Finding(name, False, f"is not installed; {name}{bounds} is needed", f"pip install '{text}'"))
        elif not _within(found, bounds):
            bad.append(Finding(name, False, f"{found} is installed; {name}{bounds} is needed", f"pip install '{text}'"))
        else:
            fine.append(f"{name} {found}")
    yield Finding("dependencies", not bad, ", ".join(fine))
    yield from bad


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _within(version: str, bounds: str) -> bool:
    """Whether a version meets bounds such as ">=0.26,<0.29". Only the release number counts, and only these operators."""
    tests: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        ">": lambda a, b: a > b,
        "<": lambda a, b: a < b,
    }
    for bound in filter(None, (b.strip() for b in bounds.split(","))):
        sign = next((s for s in tests if bound.startswith(s)), None)
        if sign and not tests[sign](*_aligned(version, bound[len(sign) :])):
            return False
    return True


def _aligned(*versions: str) -> list[tuple[int, ...]]:
    """Release numbers of equal length: "2.14.1+cu130" and "2.11" -> (2, 14, 1), (2, 11, 0)."""
    found = [re.match(r"\s*v?(\d+(?:\.\d+)*)", v) for v in versions]
    numbers = [[int(n) for n in m[1].split(".")] if m else [0] for m in found]
    width = max(map(len, numbers))
    return [tuple(n + [0] * (width - len(n))) for n in numbers]


def _plugins(environ: Mapping[str, str]) -> Iterator[Finding]:
    records = plugins.scan(environ)
    fine = [f"{r.name} ({r.dist} {r.version})" for r in records if r.status == "ok"]
    yield Finding("plugins", bool(fine), ", ".join(fine) or "none", "" if fine else "pip install jenga-core")
    for record in records:
        if record.status != "ok":
            text = f"{record.dist} {record.version} is {record.status}: {record.error}"
            cure = "" if record.status == "disabled" else f"jenga plugins show {record.name}"
            yield Finding(f"plugin {record.name}", record.status == "disabled", text, cure)


# ------------------------------------------------------------------ torch


def _torch(
    found: Mapping[str, Any], version: Callable[[str], str | None], environ: Mapping[str, str]
) -> Iterator[Finding]:
    versions = {name: version(name) for name in FAMILY}
    if found.get("torch") != "ok":
        text = f"{versions['torch'] or ''} cannot be imported: {found.get('torch')}".strip()
        yield Finding("torch", False, text, CURE_FAMILY)
        return
    built = found.get("built")
    yield Finding("torch", True, f"{versions['torch']}, built for {built if built == 'cpu' else f'CUDA {built}'}")
    for name in FAMILY[1:]:
        state = found.get(name, "absent")
        if state != "absent":
            ok = state == "ok"
            text = f"{versions[name]} works with it" if ok else f"{versions[name]} does not fit this torch: {state}"
            yield Finding(name, ok, text, "" if ok else _family_cure(versions[name], str(built)))
    yield _accelerator(found)
    yield _threads(found, environ)


def _family_cure(version: str | None, built: str) -> str:
    """A wheel of torchvision or torchaudio works with the torch of its own build family, and with no other."""
    if built == "cpu":
        return (
            CURE_FAMILY + "   # torch is the CPU-only build, the other is from PyPI: all three must come from one place"
        )
    return CURE_FAMILY + f"   # all three from one place, built for CUDA {built}"


def _accelerator(found: Mapping[str, Any]) -> Finding:
    names = found.get("cuda") or []
    if names:
        return Finding("accelerator", True, f"{len(names)} x {names[0]}")
    if found.get("mps"):
        return Finding("accelerator", True, "Apple MPS")
    if shutil.which("nvidia-smi"):
        text = "there is an NVIDIA driver, but this torch sees no device"
        return Finding("accelerator", False, text, "nvidia-smi; then " + CURE_FAMILY)
    return Finding("accelerator", True, "none: training runs on the CPU")


def _threads(found: Mapping[str, Any], environ: Mapping[str, str]) -> Finding:
    threads, cores = int(found.get("threads", 1)), _cores()
    text = f"{threads} threads on {cores} cores, OMP_WAIT_POLICY={environ.get('OMP_WAIT_POLICY') or 'not set'}"
    if threads > cores:
        return Finding("threads", False, text, f"export OMP_NUM_THREADS={cores}")
    return Finding("threads", True, text)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ------------------------------------------------------------------ disk and environment


def _writable(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        text = f"{folder.resolve()} cannot be written: {error.strerror}"
        return Finding("write access", False, text, "change to a folder of yours, or: jenga train ... --output DIR")
    return Finding("write access", True, str(folder.resolve()))


def _space(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return Finding("disk space", False, f"{folder} cannot be looked at: {error.strerror}")
    text = f"{free:.1f} GiB free"
    ok = free >= NEEDED_GIB
    return Finding("disk space", ok, text, "" if ok else "free some space, or: jenga train ... --output DIR elsewhere")


def _environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    offline = environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    text = "offline: only checkpoints that are on this machine" if offline else "checkpoints may be fetched"
    yield Finding("model hub", True, text, "" if offline else "export HF_HUB_OFFLINE=1   # where there is no network")
