"""scikit-learn estimators: `fit(X, y)` writes a config, trains, and keeps the model folder.

They follow scikit-learn's conventions, `sklearn.utils.estimator_checks` included: parameters are stored as given, wrong
input raises ValueError or TypeError, what was learned ends in "_". Torch is imported by `fit`, not by this module.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_is_fitted, column_or_1d, validate_data

from .api import BackboneSpec, ProcessorSpec
from .errors import PluginError, UserError

if TYPE_CHECKING:
    from .inference import Predictor
    from .registry import Registry

FORM = "table"  # what the default processor emits
TASK = "target"
NEVER = 10**9  # steps: a run in a temporary folder is never resumed


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share.

    Parameters
    ----------
    processor, backbone : kind, or mapping of a kind and its options
        Such as ``"security/table"`` or ``{"kind": "security/tabular-mlp", "width": 64}``. Default: the only installed
        processor for tables, and the first backbone (by name) that accepts what it gives.
    epochs, batch_size, learning_rate : as in the configuration's `train` section
    validation_fraction : share of the rows that chooses the best epoch; 0 keeps the last one
    train : further keys of the configuration's `train` section; they win over the parameters above
    random_state : int, RandomState or None
    verbose : print progress to stderr

    Attributes
    ----------
    model_files_ : the model folder, path -> bytes; it is all that a pickle holds
    n_features_in_, feature_names_in_, and for the classifier classes_ : as everywhere in scikit-learn
    """

    def __init__(
        self,
        *,
        processor: str | Mapping[str, Any] | None = None,
        backbone: str | Mapping[str, Any] | None = None,
        epochs: int = 30,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        validation_fraction: float = 0.1,
        train: Mapping[str, Any] | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.processor = processor
        self.backbone = backbone
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.train = train
        self.random_state = random_state
        self.verbose = verbose

    # ---------------------------------------------------------------- fitting

    def _fit(self, X: Any, y: np.ndarray, task: Mapping[str, Any], split: str) -> Self:
        """Train on checked rows. `task`: its section without `target`; `split`: how validation rows are chosen."""
        frame = self._frame(X, reset=True)
        check_consistent_length(frame, y)
        if len(frame) < 2:
            raise ValueError(f"Found array with {len(frame)} sample(s) while a minimum of 2 is required.")
        target = next(name for name in _names("target") if name not in frame.columns)
        config = self._config(list(frame.columns), {**task, "target": target}, split)
        self._train(config, frame.assign(**{target: y}))
        return self

    def _config(self, columns: list[str], task: dict[str, Any], split: str) -> dict[str, Any]:
        from .registry import Registry

        processor, backbone = components(Registry.discover(), self.processor, self.backbone)
        mine = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        fast = {"bootstrap": 0, "baselines": False, "checkpoint": {"steps": NEVER}}
        return {
            "project": type(self).__name__,
            "seed": int(check_random_state(self.random_state).randint(2**31)),
            "data": {"rows": {"split": {"by": split, "validation": self.validation_fraction, "test": 0}}},
            "backbones": {"backbone": backbone},
            "inputs": {"features": {"columns": columns, "processor": processor}},
            "tasks": {TASK: task},
            "train": {**mine, **fast, **(self.train or {})},
        }

    def _train(self, config: dict[str, Any], frame: pd.DataFrame) -> None:
        from .inference import load
        from .training import train

        with TemporaryDirectory() as temporary, _own_random_state():
            folder = Path(temporary) / "run"
            try:
                train(config, data=frame, output=folder, quiet=not self.verbose, report=False)
            except PluginError:
                raise
            except UserError as error:
                raise ValueError(str(error)) from error
            files = (path for path in sorted(folder.rglob("*")) if path.is_file())
            self.model_files_ = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
            self.predictor_ = load(folder)

    # ---------------------------------------------------------------- predicting

    def _predict(self, X: Any) -> pd.DataFrame:
        """The task's columns for every row of X."""
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        try:
            found = self._predictor().predict(frame)
        except UserError as error:
            raise ValueError(str(error)) from error
        return found.rename(columns=lambda name: name.removeprefix(f"{TASK}."))

    def _predictor(self) -> Predictor:
        """The trained model; after unpickling it is built again from the files."""
        if not hasattr(self, "predictor_"):
            from .inference import load

            with TemporaryDirectory() as temporary:
                for name, data in self.model_files_.items():
                    path = Path(temporary) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                self.predictor_ = load(temporary)
        return self.predictor_

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """X as a frame with text for column names: its own, or x0, x1, ... where it has none."""
        if not isinstance(X, pd.DataFrame):
            X = check_array(X, dtype=None, ensure_all_finite=False, estimator=self, input_name="X")
        elif not X.shape[0] or not X.shape[1]:
            what = "sample" if not X.shape[0] else "feature"
            raise ValueError(f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required.")
        validate_data(self, X, reset=reset, skip_check_array=True)
        frame = pd.DataFrame(X).reset_index(drop=True)
        if not hasattr(self, "feature_names_in_"):
            frame = frame.set_axis([f"x{at}" for at in range(frame.shape[1])], axis=1)
        return frame

    # ---------------------------------------------------------------- scikit-learn

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "predictor_"}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_files_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.target_tags.required = True
        return tags


class JengaClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A neural network for tables as a scikit-learn classifier. Parameters: see the base class.

    >>> JengaClassifier(epochs=5, random_state=0).fit(flows, labels).predict_proba(new)  # doctest: +SKIP
    """

    def fit(self, X: Any, y: Any) -> Self:
        """X: DataFrame or array [rows, columns]; y: one label per row, of at least two classes."""
        labels = _target(self, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes; the labels hold one class")
        task = {"kind": "core/classification", "classes": list(range(len(self.classes_)))}
        return self._fit(X, codes, task, "stratified")

    def predict_proba(self, X: Any) -> np.ndarray:
        """[rows, classes], in the order of `classes_`; NaN for a row in which every cell is missing."""
        found = self._predict(X)
        return found[[f"p({at})" for at in range(len(self.classes_))]].to_numpy(dtype=np.float64)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row. ValueError for a row in which every cell is missing."""
        probability = self.predict_proba(X)
        _all_predicted(probability[:, 0])
        labels: np.ndarray = self.classes_[probability.argmax(axis=1)]
        return labels


class JengaRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A neural network for tables as a scikit-learn regressor. Parameters: see the base class."""

    def fit(self, X: Any, y: Any) -> Self:
        """X: DataFrame or array [rows, columns]; y: one number per row."""
        return self._fit(X, _target(self, y).astype(np.float64), {"kind": "core/regression"}, "random")

    def predict(self, X: Any) -> np.ndarray:
        """One number per row. ValueError for a row in which every cell is missing."""
        values = self._predict(X)["value"].to_numpy(dtype=np.float64)
        _all_predicted(values)
        return values


def components(
    registry: Registry, processor: str | Mapping[str, Any] | None, backbone: str | Mapping[str, Any] | None
) -> tuple[str | Mapping[str, Any], str | Mapping[str, Any]]:
    """The processor and backbone to use where one or both were not named. PluginError when it is not clear which."""
    if processor is None:
        found = [kind for kind, spec in registry.specs(ProcessorSpec).items() if spec.emits == FORM]
        if len(found) != 1:
            problem = "several processors for tables are installed" if found else "no processor for tables is installed"
            raise PluginError(
                problem, where="processor", allowed=found, next="name one" if found else "pip install jenga-security"
            )
        processor = found[0]
    if backbone is None:
        kind = processor if isinstance(processor, str) else processor["kind"]
        form = registry.spec(kind, ProcessorSpec).emits
        fitting = [name for name, spec in registry.specs(BackboneSpec).items() if form in spec.accepts]
        if not fitting:
            raise PluginError(f"no installed backbone accepts {form!r}, which {kind} gives", where="backbone")
        backbone = fitting[0]
    return processor, backbone


def _target(estimator: _Estimator, y: Any) -> np.ndarray:
    """y as a vector without missing or infinite values."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None."
        )
    vector: np.ndarray = column_or_1d(y, warn=True)
    assert_all_finite(vector, input_name="y")
    return vector


def _all_predicted(values: np.ndarray) -> None:
    if (rows := np.flatnonzero(np.isnan(values))).size:
        raise ValueError(f"{rows.size} row(s), the first of them number {rows[0]}, have no cell with a value")


def _names(stem: str) -> Iterator[str]:
    """`stem`, `stem_`, `stem__`, ...: the first that is not a feature's name is the target's."""
    while True:
        yield stem
        stem += "_"


@contextmanager
def _own_random_state() -> Iterator[None]:
    """A run seeds the global generators; an estimator leaves those of its caller as they were."""
    import torch

    python, numpy, state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(state)
