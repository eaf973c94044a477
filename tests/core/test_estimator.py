"""The scikit-learn estimators: scikit-learn's own checks, and what those do not ask."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from jenga_core.api import BackboneSpec, ProcessorSpec, hookimpl
from jenga_core.errors import PluginError
from jenga_core.estimator import JengaClassifier, JengaRegressor, components
from jenga_core.registry import Registry

pytest.importorskip("jenga_security", reason="the estimators need a plugin that reads tables")
# Check -> why it is expected to fail; everything else must pass.
EXPECTED = {
    "check_methods_subset_invariance": "sums of float32 depend on the batch size in the last bit; the check allows 1e-7",
}
ESTIMATORS = [
    JengaClassifier(epochs=30, batch_size=32, learning_rate=0.01),
    JengaRegressor(epochs=30, batch_size=32, learning_rate=0.01),
]
QUICK: dict[str, Any] = {"epochs": 2, "random_state": 0}


def expected_failures(estimator: Any) -> dict[str, str]:
    return EXPECTED


@pytest.mark.slow
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    """Numbers and names with gaps, an index of their own, and a column that is called as the target would be."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "bytes": rng.lognormal(size=80),
            "protocol": rng.choice(["tcp", "udp"], size=80),
            "target": rng.normal(size=80),
        },
        index=[f"flow {at}" for at in range(80)],
    )
    frame.iloc[3, 0], frame.iloc[4, 1] = np.nan, None
    return frame


@pytest.fixture(scope="module")
def labels(flows: pd.DataFrame) -> pd.Series:
    return pd.Series(np.where(flows["target"] > 0, "attack", "normal"), index=flows.index)


@pytest.fixture(scope="module")
def trained(flows: pd.DataFrame, labels: pd.Series) -> JengaClassifier:
    return JengaClassifier(epochs=30, learning_rate=0.01, random_state=0).fit(flows, labels)


def test_learns_from_a_frame_of_numbers_and_names(trained, flows, labels):
    assert trained.classes_.tolist() == ["attack", "normal"]
    assert trained.feature_names_in_.tolist() == ["bytes", "protocol", "target"]
    assert trained.n_features_in_ == 3
    assert trained.score(flows, labels) > 0.9
    probability = trained.predict_proba(flows)
    assert probability.shape == (80, 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    assert (trained.predict(flows) == trained.classes_[probability.argmax(axis=1)]).all()


def test_a_category_that_training_did_not_have_is_no_error(trained, flows):
    assert len(trained.predict(flows.assign(protocol="icmp"))) == len(flows)


def test_a_row_without_any_cell_has_no_prediction(trained, flows):
    rows = flows.copy()
    rows.iloc[2, :] = None
    assert np.isnan(trained.predict_proba(rows)[2]).all()
    with pytest.raises(ValueError, match="number 2"):
        trained.predict(rows)


def test_pickle_holds_the_model_folder_and_predicts_the_same(trained, flows):
    again = pickle.loads(pickle.dumps(trained))
    assert "manifest.json" in again.model_files_
    assert np.array_equal(again.predict_proba(flows), trained.predict_proba(flows))


def test_clone_is_unfitted_and_has_the_same_parameters(trained):
    again = clone(trained)
    assert again.get_params() == trained.get_params()
    assert not hasattr(again, "model_files_")


def test_another_order_of_columns_is_refused(trained, flows):
    with pytest.raises(ValueError, match="same order"):
        trained.predict(flows[["target", "bytes", "protocol"]])


def test_infinite_cells_are_handled_as_the_processor_does(flows, labels):
    rows = flows.copy()
    rows.iloc[5, 0] = np.inf
    assert JengaClassifier(**QUICK).fit(rows, labels).predict(rows).shape == (80,)


def test_the_callers_random_state_is_left_alone(flows, labels):
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    JengaClassifier(**QUICK).fit(flows, labels)
    assert np.random.random() == expected


def resolved(estimator: Any) -> dict[str, Any]:
    return yaml.safe_load(estimator.model_files_["config.yaml"])


def test_every_parameter_changes_the_run(flows, labels):
    options = {
        "processor": {"kind": "security/table", "scaling": "standard"},
        "backbone": {"kind": "security/tabular-resnet", "width": 8},
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 0.02,
        "validation_fraction": 0.25,
        "train": {"weight_decay": 0.5},
        "random_state": 7,
    }
    config = resolved(JengaClassifier(**options).fit(flows, labels))
    assert config["inputs"]["features"]["processor"]["scaling"] == "standard"
    assert config["backbones"]["backbone"]["width"] == 8
    assert config["data"]["rows"]["split"]["validation"] == 0.25
    assert {k: config["train"][k] for k in ("epochs", "batch_size", "learning_rate", "weight_decay")} == {
        "epochs": 3,
        "batch_size": 16,
        "learning_rate": 0.02,
        "weight_decay": 0.5,
    }
    assert config["seed"] != resolved(JengaClassifier(**{**options, "random_state": 8}).fit(flows, labels))["seed"]


def test_verbose_prints_to_stderr(flows, labels, capsys):
    JengaClassifier(**QUICK).fit(flows, labels)
    assert capsys.readouterr() == ("", "")
    JengaClassifier(**QUICK, verbose=True).fit(flows, labels)
    out, err = capsys.readouterr()
    assert not out
    assert "epoch" in err


def test_without_validation_rows_the_last_weights_are_kept(flows, labels):
    model = JengaClassifier(**QUICK, validation_fraction=0).fit(flows, labels)
    assert model.predictor_.manifest["best"] is None


def test_a_wrong_option_is_a_value_error(flows, labels):
    with pytest.raises(ValueError, match="epochs"):
        JengaClassifier(epochs=0).fit(flows, labels)


def test_regressor_predicts_in_the_targets_unit(flows):
    y = 1_000 + 50 * flows["target"].to_numpy()
    model = JengaRegressor(epochs=30, learning_rate=0.01, random_state=0).fit(flows, y)
    assert model.score(flows, y) > 0.8


# ------------------------------------------------------------------ which components


class Tables:
    """A plugin with `count` processors for tables and a backbone for another form."""

    def __init__(self, count: int, accepts: str = "table") -> None:
        self.count, self.accepts = count, accepts

    @hookimpl
    def jenga_register_processors(self):
        return [
            ProcessorSpec(name=f"p{at}", factory="a:B", config="a:C", emits="table", summary="p")
            for at in range(self.count)
        ]

    @hookimpl
    def jenga_register_backbones(self):
        return [
            BackboneSpec(name=n, factory="a:B", config="a:C", accepts=frozenset({self.accepts}), summary="b")
            for n in ("b2", "b1")
        ]


def test_components_that_are_not_named_are_found():
    assert components(Registry.of(my=Tables(1)), None, None) == ("my/p0", "my/b1")
    assert components(Registry.of(my=Tables(2)), {"kind": "my/p1", "x": 1}, None)[1] == "my/b1"
    assert components(Registry.of(my=Tables(2)), "my/p1", "my/b2") == ("my/p1", "my/b2")


def test_components_that_cannot_be_found_are_named():
    with pytest.raises(PluginError, match="pip install"):
        components(Registry.of(), None, None)
    with pytest.raises(PluginError, match="several") as error:
        components(Registry.of(my=Tables(2)), None, None)
    assert error.value.allowed == ("my/p0", "my/p1")
    with pytest.raises(PluginError, match="no installed backbone accepts"):
        components(Registry.of(my=Tables(1, accepts="pixels")), None, None)
