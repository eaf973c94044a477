"""What `jenga plugins new` writes: complete, small, and a plugin like any other."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jenga_core
from jenga_core import scaffold
from jenga_core.api import BackboneSpec, ExampleSpec, ProcessorSpec
from jenga_core.errors import UserError
from jenga_core.registry import Registry


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    scaffold.write("acme-sonar", tmp_path / "new")
    monkeypatch.syspath_prepend(str(tmp_path / "new" / "src"))
    yield tmp_path / "new"
    for name in [m for m in sys.modules if m.partition(".")[0] == "acme_sonar"]:
        del sys.modules[name]


@pytest.fixture
def registry(plugin):
    import acme_sonar.plugin

    return Registry.of(**{"acme-sonar": acme_sonar.plugin})


def test_every_file_is_written_filled_in_and_fits_on_a_screen(plugin):
    files = {str(p.relative_to(plugin)): p.read_text() for p in plugin.rglob("*") if p.is_file()}
    package = ("__init__", "plugin", "config", "processors", "backbones", "example")
    assert set(files) == {"pyproject.toml", "README.md", "tests/test_contract.py"} | {
        f"src/acme_sonar/{name}.py" for name in package
    }
    for name, text in files.items():
        assert "${" not in text, name
        assert len(text.splitlines()) <= 60, name
        if name.endswith(".py"):
            compile(text, name, "exec")


def test_pyproject_names_the_entry_point_and_a_core_that_fits(plugin):
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["jenga.plugins.v1"] == {"acme-sonar": "acme_sonar.plugin"}
    assert project["dependencies"][0].startswith(f"jenga-core>={jenga_core.__version__},<")


@pytest.mark.parametrize(
    ("version", "range_"), [("0.1.0", ">=0.1.0,<0.2"), ("0.10.3", ">=0.10.3,<0.11"), ("2.4.1", ">=2.4.1,<3")]
)
def test_range_of_the_core(version, range_):
    assert scaffold._core_range(version) == range_


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Acme_Sonar", "acme-sonar"),
        ("json", "my-json"),
        ("class", "my-class"),
        ("torch", "my-torch"),
        ("jenga-core", "my-jenga-core"),
        ("a b", "a-b"),
        ("2d", None),
        ("", None),
        ("../up", "up"),
    ],
)
def test_names_that_cannot_be(name, near, tmp_path):
    with pytest.raises(UserError) as caught:
        scaffold.write(name, tmp_path / "new")
    assert near is None or caught.value.nearest == near
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_taken_and_a_folder_in_use(tmp_path):
    with pytest.raises(UserError, match="taken by jenga-core"):
        scaffold.write("core", tmp_path / "new")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        scaffold.write("acme-sonar", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_listing_it_imports_nothing_heavy(plugin):
    program = "import sys, acme_sonar.plugin as p; p.jenga_register_backbones(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(plugin / "src")}, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


def test_processor_and_backbone_fit_together(registry):
    import torch

    processor_kind, backbone_kind = "acme-sonar/numbers", "acme-sonar/network"
    make, options = (
        registry.factory(processor_kind, ProcessorSpec),
        registry.config_class(processor_kind, ProcessorSpec),
    )
    processor = make(options.example())
    cells = pd.DataFrame({"a": [1.0, 3.0, np.nan, np.inf], "b": ["5", "7", None, "9"]})
    processor.fit(cells[:2])
    encoded = processor.encode(cells)
    assert encoded.present.tolist() == [True, True, False, True]
    assert encoded.columns["values"].tolist() == [[-1, -1], [1, 1], [0, 0], [0, 3]]
    again = make(options.example())
    again.restore(processor.state())
    assert (again.encode(cells).columns["values"] == encoded.columns["values"]).all()
    data = processor.collate(encoded, np.array([3, 0]), "train", np.random.default_rng(0))
    backbone_options = registry.config_class(backbone_kind, BackboneSpec).example()
    backbone = registry.factory(backbone_kind, BackboneSpec)(backbone_options, processor.facts())
    features = backbone.eval()(**data)
    assert features.pooled.shape == (2, backbone.out_dim)
    assert torch.isfinite(features.pooled).all()


def test_example_is_seeded(registry, tmp_path):
    write = registry.factory("acme-sonar/acme-sonar", ExampleSpec)

    def files(name: str, seed: int) -> dict[str, bytes]:
        folder: Path = tmp_path / name
        folder.mkdir()
        write(folder, seed=seed, rows=50)
        return {p.name: p.read_bytes() for p in folder.iterdir()}

    first, second, other = files("a", 1), files("b", 1), files("c", 2)
    assert set(first) == {"config.yaml", "README.md", "echoes.csv", "new_echoes.csv"}
    assert first == second
    assert first["echoes.csv"] != other["echoes.csv"]
    assert len(first["echoes.csv"].splitlines()) == 51


def test_example_trains_one_epoch(registry, tmp_path):
    from jenga_core import training

    registry.factory("acme-sonar/acme-sonar", ExampleSpec)(tmp_path, seed=0, rows=200)
    run = training.train(
        tmp_path / "config.yaml", output=tmp_path / "run", registry=registry, overrides=["train.epochs=1"]
    )
    assert (run.folder / "manifest.json").exists()
