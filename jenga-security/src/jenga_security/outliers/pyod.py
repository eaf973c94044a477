"""Detectors of PyOD (Zhao, Nasrullah and Li 2019) by class name, with the extra jenga-security[pyod]."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Sequence
from importlib import import_module, util
from typing import Any

import numpy as np

from jenga_core.builtin.baselines import Inputs
from jenga_core.contracts import Classical
from jenga_core.errors import UserError, nearest

Array = np.ndarray[Any, Any]

LISTED = ("ABOD", "CBLOF", "COF", "COPOD", "ECOD", "GMM", "HBOS", "IForest", "INNE", "KDE", "KNN", "LODA", "LOF", "MCD",
          "OCSVM", "PCA")  # fmt: skip


def require_pyod(names: Sequence[str]) -> None:
    """UserError where the extra is not installed, or PyOD has no detector of such a name."""
    if names and util.find_spec("pyod") is None:
        raise UserError(
            f"the baselines {', '.join(names)} are PyOD's, which is not installed",
            where="pyod",
            next="pip install 'jenga-security[pyod]'",
        )
    for name in names:
        detector_class(name)


def detector_class(name: str) -> Any:
    """``KNN`` -> pyod.models.knn.KNN: the class that a module of its name, underscores aside, holds."""
    import pyod.models

    modules = [module.name for module in pkgutil.iter_modules(pyod.models.__path__)]
    found = [module for module in modules if module.replace("_", "") == name.casefold()]
    made = getattr(import_module(f"pyod.models.{found[0]}"), name, None) if found else None
    if made is None:
        raise UserError(
            f"PyOD has no detector {name!r}",
            where="pyod",
            allowed=[*LISTED, "and the other classes of pyod.models"],
            nearest=nearest(name, LISTED),
        )
    return made


class Pyod:
    """One detector with PyOD's defaults, and the run's seed where it takes one. Missing cells are the column's median."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = f"PyOD {name}"
        self.kind, self.seed, self.inputs = name, seed, Inputs()
        self.model: Any = None
        self.median: Any = 0.0

    def fit(self, features: Classical, y: Array) -> None:
        made = detector_class(self.kind)
        options = {"random_state": self.seed} if "random_state" in inspect.signature(made).parameters else {}
        matrix = self._dense(self.inputs.fit(features))
        self.median = medians(matrix)
        self.model = made(**options).fit(np.where(np.isnan(matrix), self.median, matrix))

    def raw(self, features: Classical) -> Array:
        matrix = self._dense(self.inputs.take(features))
        return np.asarray(self.model.decision_function(np.where(np.isnan(matrix), self.median, matrix)))

    def _dense(self, matrix: Any) -> Array:
        return np.asarray(matrix.todense()) if self.inputs.sparse else matrix


def medians(matrix: Array) -> Array:
    """Of each column [F], NaN left out; 0 where a column holds nothing else."""
    found = np.zeros(matrix.shape[1])
    known = ~np.isnan(matrix).all(axis=0)
    found[known] = np.nanmedian(matrix[:, known], axis=0)
    return found
