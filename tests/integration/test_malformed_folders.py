"""Sixty malformed model folders of every family of components: an error of Jenga's or a prediction, never anything else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "fuzz_folders.py"


def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_folders", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_folders"] = made
    spec.loader.exec_module(made)
    return made


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark forks and reads /proc")
def test_a_slice_of_the_fuzz_corpus(tmp_path: Path) -> None:
    module = fuzz()
    bases = module.trained(tmp_path, list(module.MODELS))
    found = list(module.trials(bases, 60, 0, tmp_path))
    assert [each for each in found if each[2] not in module.RIGHT] == []
    assert sum(outcome == "refused" for *_, outcome in found) > 20
