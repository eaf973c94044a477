"""Jenga: train, judge and run models over text, tables, audio, images and language models, through plugins.

    import jenga_core
    run = jenga_core.train("soc.yaml")
    predictor = jenga_core.load(run.folder)
    predictor.predict(frame)

Importing this package imports nothing heavy; names are loaded when used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_LAZY = {
    "train": "training",
    "Run": "run",
    "load": "loading",
    "Predictor": "inference",
    "evaluate": "loading",
    "JengaClassifier": "estimator",
    "JengaRegressor": "estimator",
    "read_config": "reading",
    "JengaError": "errors",
    "UserError": "errors",
}
__all__ = ["__version__", *sorted(_LAZY)]

if TYPE_CHECKING:
    from .errors import JengaError as JengaError
    from .errors import UserError as UserError
    from .estimator import JengaClassifier as JengaClassifier
    from .estimator import JengaRegressor as JengaRegressor
    from .inference import Predictor as Predictor
    from .loading import evaluate as evaluate
    from .loading import load as load
    from .reading import read_config as read_config
    from .run import Run as Run
    from .training import train as train


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
