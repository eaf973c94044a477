"""PyOD's detectors as baselines: with the extra installed, and without it."""

from __future__ import annotations

from importlib import util

import numpy as np
import pandas as pd
import pytest

import jenga_core
from jenga_core.contracts import Classical
from jenga_core.errors import UserError
from jenga_security.outliers.pyod import Pyod, detector_class, medians, require_pyod

needs_pyod = pytest.mark.skipif(util.find_spec("pyod") is None, reason="pip install 'jenga-security[pyod]' to run this")


def config(task, **options):
    return {
        "project": "odd",
        "data": {"rows": {}},
        "inputs": {"row": {"processor": {"kind": "security/table", "scaling": "standard"}}},
        "backbones": {"net": "security/autoencoder" if task == "outlier" else "security/tabular-mlp"},
        "tasks": {"odd": {"kind": f"security/{task}", "target": "label", "threshold": 0.9, **options}},
        "train": {"epochs": 1, "bootstrap": 0},
    }


def rows(size=300):
    rng = np.random.default_rng(0)
    y = (rng.random(size) < 0.1).astype(int)
    return pd.DataFrame({"a": rng.normal(size=size) * (1 + 4 * y), "b": rng.normal(size=size), "label": y})


@pytest.mark.parametrize("task", ["outlier", "anomaly"])
def test_without_the_extra_the_message_says_how_to_get_it(task, tmp_path, monkeypatch):
    monkeypatch.setattr("jenga_security.outliers.pyod.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="not installed") as caught:
        jenga_core.train(config(task, pyod=["KNN"]), data=rows(), output=tmp_path / "run", quiet=True)
    assert "pip install 'jenga-security[pyod]'" in str(caught.value)
    require_pyod([])  # nobody asked for it


@needs_pyod
def test_an_unknown_detector_names_the_nearest():
    with pytest.raises(UserError, match="no detector 'KNM'") as caught:
        require_pyod(["KNM"])
    assert "KNN" in str(caught.value)
    assert detector_class("IForest").__name__ == "IForest"


@needs_pyod
@pytest.mark.parametrize("task", ["outlier", "anomaly"])
def test_named_detectors_stand_in_the_report(task, tmp_path):
    run = jenga_core.train(
        config(task, pyod=["KNN", "ECOD"]), data=rows(), output=tmp_path / "run", quiet=True, report=False
    )
    judged = run.judgements[0]
    assert {"isolation forest", "PyOD KNN", "PyOD ECOD"} <= set(judged.baselines)
    for name in ("PyOD KNN", "PyOD ECOD"):
        assert 0 <= judged.baselines[name]["roc_auc"].value <= 1


@needs_pyod
def test_knn_is_the_largest_of_five_distances_and_survives_missing_cells():
    from sklearn.neighbors import NearestNeighbors

    x = np.random.default_rng(0).normal(size=(100, 3))
    detector = Pyod("KNN", 0)
    detector.fit(Classical(x), np.zeros(100))
    new = np.random.default_rng(1).normal(size=(20, 3))
    expected = NearestNeighbors(n_neighbors=5).fit(x).kneighbors(new)[0][:, -1]
    np.testing.assert_allclose(detector.raw(Classical(new)), expected)
    new[0, 1] = np.nan
    assert np.isfinite(detector.raw(Classical(new))).all()


def test_medians_of_columns_without_a_value():
    np.testing.assert_array_equal(medians(np.array([[1.0, np.nan], [3.0, np.nan]])), [2.0, 0.0])
