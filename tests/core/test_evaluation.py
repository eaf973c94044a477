"""Judging: bootstrap intervals, baselines, JSON."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jenga_core.builtin.baselines import classification_baselines
from jenga_core.builtin.metrics import BinaryMetrics, ClassificationMetrics, RegressionMetrics
from jenga_core.contracts import Baseline, Classical, Columns, Encoded, Metrics, Ragged
from jenga_core.evaluation import (
    FEWEST,
    FOR_BASELINES,
    Judgement,
    Score,
    draws,
    fit_baselines,
    interval,
    judge,
    resamples_for,
)
from jenga_core.figures import Bars, Curve, Line, Matrix, Scatter, Sheet, figure_from_json
from jenga_core.scoring import classical


class Judged:
    """The part of a task that judging uses."""

    def __init__(self, metrics: Metrics, baselines: Sequence[Any] = ()) -> None:
        self._metrics, self._baselines = metrics, baselines

    def metrics(self) -> Metrics:
        return self._metrics

    def baselines(self, seed: int) -> Sequence[Any]:
        return self._baselines


class MeanMetric(Metrics):
    directions = {"mean": "max"}

    def compute(self, output: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, float]:
        return {"mean": float(np.mean(output["v"]))}


def judged(task: Any, output: Any, target: Any, **options: Any) -> Judgement:
    return judge("t", task, output, target, **{"split": "test", "excluded": {}, **options})


def binary(rows: int, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    score = np.clip(0.3 * y + 0.7 * rng.random(rows), 0, 1)
    return {"score": score, "flag": (score > 0.5).astype(int)}, {"y": y}


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(3).normal(size=2000)
    score = judged(Judged(MeanMetric()), {"v": values}, {"y": values}, bootstrap=1000).scores["mean"]
    error = values.std() / np.sqrt(len(values))
    assert score.low == pytest.approx(values.mean() - 1.96 * error, abs=0.25 * error)
    assert score.high == pytest.approx(values.mean() + 1.96 * error, abs=0.25 * error)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = rng.normal(size=80)
        score = judged(Judged(MeanMetric()), {"v": values}, {"y": values}, bootstrap=200).scores["mean"]
        covered += score.low <= 0 <= score.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_seed_gives_the_same_intervals_and_another_gives_others() -> None:
    output, target = binary(200)
    first, again, other = (judged(Judged(BinaryMetrics()), output, target, bootstrap=50, seed=s) for s in (1, 1, 2))
    assert json.dumps(first.to_json()) == json.dumps(again.to_json())
    assert first.scores["f1"].value == other.scores["f1"].value
    assert first.scores["f1"].low != other.scores["f1"].low


def test_every_value_lies_within_its_interval() -> None:
    output, target = binary(400)
    found = judged(Judged(BinaryMetrics()), output, target, bootstrap=200).scores
    for name in set(found) - {"calibration_error"}:  # biased upwards in resamples, as every binned error is
        assert found[name].low <= found[name].value <= found[name].high, name


def test_resamples_are_draws_with_replacement() -> None:
    for rows in draws(10, 20, seed=0):
        assert len(rows) == 10
        assert (np.diff(rows) >= 0).all()
        assert 0 <= rows.min() <= rows.max() < 10
    counts = np.bincount(np.concatenate(list(draws(10, 2000, seed=0))), minlength=10)
    assert counts.min() > 1700


def test_undefined_in_too_many_resamples_has_no_interval() -> None:
    nan = math.nan
    assert all(math.isnan(n) for n in interval(np.array([1.0] * 90 + [nan] * 10), 1.0))
    assert interval(np.array([1.0] * 96 + [nan] * 4), 1.0) == (1.0, 1.0)
    assert all(math.isnan(n) for n in interval(np.ones(100), nan))
    assert all(math.isnan(n) for n in interval(np.ones(0), 1.0))
    output, target = {"score": np.array([0.1, 0.2, 0.9]), "flag": np.array([0, 0, 1])}, {"y": np.array([0, 0, 1])}
    auc = judged(Judged(BinaryMetrics()), output, target, bootstrap=100).scores["roc_auc"]
    assert auc.value == 1
    assert math.isnan(auc.low)


def test_many_rows_get_fewer_resamples_but_never_too_few() -> None:
    assert resamples_for({"score": np.zeros(100)}, 500) == 500
    assert FEWEST <= resamples_for({"probability": np.zeros((22_000, 2), dtype=np.float32)}, 500) < 500
    assert resamples_for({"probability": np.zeros((10_000_000, 2), dtype=np.int8)}, 500) == FEWEST
    assert resamples_for({"score": np.zeros(100)}, 0) == 0
    ragged = Ragged.of([np.zeros(1000)] * 100)
    assert resamples_for({"tags": ragged}, 500) == FEWEST


def test_no_rows_and_no_bootstrap() -> None:
    nothing = judged(Judged(BinaryMetrics()), {"score": np.zeros(0), "flag": np.zeros(0)}, {"y": np.zeros(0)})
    assert nothing.rows == 0
    assert all(math.isnan(s.value) for s in nothing.scores.values())
    output, target = binary(50)
    plain = judged(Judged(BinaryMetrics()), output, target, bootstrap=0)
    assert plain.resamples == 0
    assert all(math.isnan(s.low) for s in plain.scores.values())


def test_outputs_and_targets_must_match() -> None:
    output, target = binary(50)
    with pytest.raises(ValueError, match="40 outputs for 50"):
        judged(Judged(BinaryMetrics()), {k: v[:40] for k, v in output.items()}, target)
    with pytest.raises(ValueError, match="majority has 40"):
        judged(Judged(BinaryMetrics()), output, target, baselines={"majority": {k: v[:40] for k, v in output.items()}})


def test_judging_ragged_outputs() -> None:
    class Total(Metrics):
        directions = {"total": "max"}

        def compute(self, output: Any, target: Any) -> dict[str, float]:
            return {"total": float(output["v"].values.mean())}

    score = judged(Judged(Total()), {"v": Ragged.of([[1.0], [1, 1], [1]])}, {"y": np.zeros(3)}).scores["total"]
    assert score == Score(1.0, 1.0, 1.0)


@pytest.mark.parametrize("classes", [2, 3])
def test_json_round_trip_with_figures(classes: int) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, 60)
    p = rng.dirichlet(np.ones(classes), 60)
    task = Judged(ClassificationMetrics(list("abc")[:classes]))
    beside = {"majority": {"probability": np.full_like(p, 1 / classes)}}
    made = judged(task, {"probability": p}, {"y": y}, bootstrap=20, baselines=beside, excluded={"no label": 3})
    text = json.dumps(made.to_json(), allow_nan=False)
    again = Judgement.from_json(json.loads(text))
    assert json.dumps(again.to_json(), allow_nan=False) == text
    assert list(again.scores) == list(made.scores)
    assert again.excluded == {"no label": 3}
    assert [f.title for f in again.figures] == [f.title for f in made.figures]
    assert again.figures[0].table() == made.figures[0].table()


@pytest.mark.parametrize(
    "figure",
    [
        Curve("a", "x", "y", [Line("l", np.array([0.0, 1.0]), np.array([1.0, np.nan]))], "note", diagonal=True),
        Matrix("a", "true", "predicted", ["n", "y"], ["n", "y"], np.array([[3, 1], [0, 5]])),
        Bars(
            "a", "x", "y", np.array([0.0, 0.5, 1.0]), [Line("l", np.array([0.0, 0.5]), np.array([0.2, 0.8]))], mark=0.4
        ),
        Scatter("a", "x", "y", np.arange(30.0), np.arange(30.0), level=0.0),
        Sheet("a", ["name", "n"], [["x", 1]]),
    ],
)
def test_figures_survive_json(figure: Any) -> None:
    data = json.loads(json.dumps(figure.to_json(), allow_nan=False))
    again = figure_from_json(data)
    assert type(again) is type(figure)
    np.testing.assert_equal(again.table(), figure.table())
    assert again.to_json() == figure.to_json()
    header, rows = again.table()
    assert all(len(row) == len(header) for row in rows)


def test_regression_is_judged() -> None:
    y = np.linspace(0, 1, 200)
    found = judged(Judged(RegressionMetrics("price")), {"value": y + 0.1}, {"y": y}, bootstrap=50)
    assert found.scores["mae"].value == pytest.approx(0.1)
    assert [f.title for f in found.figures] == ["Predicted and true", "Residuals"]


# ------------------------------------------------------------------ baselines


def test_baselines_are_fitted_and_judged_on_the_same_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    y = (x[:, 0] + 0.3 * rng.normal(size=600) > 0).astype(np.int64)
    task = Judged(ClassificationMetrics(["a", "b"]), classification_baselines(2, 0))
    beside = fit_baselines(
        task,
        features=Classical(x[:400]),
        target={"y": y[:400]},
        test_features=Classical(x[400:]),
        test_rows=200,
        seed=0,
    )
    assert list(beside) == ["majority", "gradient boosting"]
    made = judged(
        task, {"probability": np.full((200, 2), 0.5)}, {"y": y[400:]}, baselines=beside, bootstrap=FOR_BASELINES
    )
    assert made.baselines["gradient boosting"]["roc_auc"].value > 0.9
    assert made.baselines["majority"]["roc_auc"].value == 0.5
    assert made.baselines["gradient boosting"]["roc_auc"].low > 0.8


@pytest.mark.parametrize(("mistakes", "cautious"), [(0, True), (1, False)])
def test_a_baseline_without_a_mistake_is_a_caution(mistakes: int, cautious: bool) -> None:
    y = np.arange(200) % 2
    sure = np.where(y == 1, 0.9, 0.1)
    sure[:mistakes] = 1 - sure[:mistakes]
    probability = np.stack([1 - sure, sure], axis=1)
    task = Judged(ClassificationMetrics(["a", "b"]))
    beside = {"majority": {"probability": np.full((200, 2), 0.5)}, "gradient boosting": {"probability": probability}}
    found = judged(task, {"probability": probability}, {"y": y}, baselines=beside, bootstrap=0, cautions=["First."])
    assert found.caution.startswith("First.")
    assert ("The baseline gradient boosting makes no mistake on these rows" in found.caution) == cautious
    assert Judgement.from_json(found.to_json()).caution == found.caution


def test_a_perfect_regression_is_a_caution_and_the_mean_is_none() -> None:
    y = np.arange(50.0)
    beside = {"mean": {"value": np.full(50, 24.5)}, "gradient boosting": {"value": y}}
    found = judged(Judged(RegressionMetrics("price")), {"value": y + 1}, {"y": y}, baselines=beside, bootstrap=0)
    assert "The baseline gradient boosting makes no mistake" in found.caution


@pytest.mark.parametrize("features", [None, Classical(np.zeros((4, 0)))])
def test_without_features_only_trivial_baselines_remain(features: Classical | None) -> None:
    task = Judged(ClassificationMetrics(["a", "b"]), classification_baselines(2, 0))
    target = {"y": np.array([0, 1, 1, 1])}
    assert list(fit_baselines(task, features=features, target=target, test_features=features, test_rows=2, seed=0)) == [
        "majority"
    ]


class Reader(Baseline):
    """Reads the rows' own encoding and no matrix."""

    name = "reader"
    trivial = False
    reads = "inputs"

    def fit(self, features: Classical | None, target: Columns) -> None:
        assert features is not None
        self.rows = features.rows

    def predict(self, features: Classical | None, rows: int) -> Columns:
        assert features is not None
        return {"value": np.asarray(features.inputs["text"].columns["x"])[features.rows]}


def test_a_baseline_may_read_the_inputs_instead_of_a_matrix() -> None:
    class Reading:
        def baselines(self, seed: int) -> object:
            return (Reader(),)

    def beside(features: Classical) -> Mapping[str, Columns]:
        return fit_baselines(
            Reading(),
            features=features.take(np.array([0, 1])),
            target={"y": np.zeros(2)},
            test_features=features.take(np.array([2])),
            test_rows=1,
            seed=0,
        )

    encoded = Encoded({"x": np.array([5.0, 6.0, 7.0, 8.0])}, np.ones(4, dtype=bool))
    given = Classical(np.zeros((3, 0)), inputs={"text": encoded}, rows=np.array([1, 2, 3]))
    assert beside(given)["reader"]["value"].tolist() == [8.0]
    assert beside(Classical(np.zeros((3, 2)))) == {}  # a matrix is not what it needs


@pytest.mark.parametrize(
    ("kinds", "named"), [(["TF-IDF"], "TF-IDF"), (["TF-IDF", ""], "TF-IDF and other columns"), (["", ""], "")]
)
def test_features_of_several_inputs_lie_side_by_side_and_say_what_they_are(kinds: list[str], named: str) -> None:
    from scipy import sparse

    class Offering:
        def __init__(self, kind: str) -> None:
            self.kind = kind

        def classical(self, encoded: Encoded, rows: np.ndarray) -> Classical:
            matrix = np.asarray(encoded.columns["x"])[rows][:, None]
            return Classical(sparse.csr_matrix(matrix) if self.kind else matrix, kind=self.kind)

    inputs = {str(at): Encoded({"x": np.arange(4.0) + 1}, np.ones(4, dtype=bool)) for at in range(len(kinds))}
    parts = SimpleNamespace(processors={str(at): Offering(kind) for at, kind in enumerate(kinds)})
    data = SimpleNamespace(tables={"t": SimpleNamespace(inputs=inputs)}, parts=parts)
    found = classical(data, "t", np.array([3, 1]))  # type: ignore[arg-type]
    assert found.kind == named
    assert found.matrix.shape == (2, len(kinds))
    assert found.inputs is inputs
    assert found.take(np.array([1])).rows.tolist() == [1]
    assert classical(data, "t", np.array([3, 1]), matrix=False).matrix.shape == (2, 0)  # type: ignore[arg-type]


def test_judging_and_reporting_need_no_torch() -> None:
    builtin = [f"builtin.{name}" for name in ("metrics", "plots", "baselines", "labels", "task_config")]
    modules = ["evaluation", "figures", "report", "card", "markup", *builtin]
    code = "import sys\n" + "\n".join(f"import jenga_core.{m}" for m in modules)
    code += "\nprint([m for m in ('torch', 'matplotlib', 'transformers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_baseline_sets_its_threshold_on_validation_rows_as_the_model_does() -> None:
    from jenga_core.builtin.baselines import binary_baselines

    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.3).astype(np.int64)
    matrix = (y + rng.normal(size=400))[:, None]
    seen: dict[str, np.ndarray] = {}

    def choose(scores: np.ndarray, truth: np.ndarray) -> float:
        seen.update(scores=scores, truth=truth)
        return float(np.quantile(scores[truth == 0], 0.9))

    class Two:
        def baselines(self, seed: int) -> object:
            return binary_baselines(seed, choose=choose)

    found = fit_baselines(
        Two(),
        features=Classical(matrix[:200]),
        target={"y": y[:200]},
        test_features=Classical(matrix[300:]),
        test_rows=100,
        seed=0,
        validation=(Classical(matrix[200:300]), {"y": y[200:300]}),
    )
    np.testing.assert_array_equal(seen["truth"], y[200:300])
    flags = np.asarray(found["gradient boosting"]["flag"])
    threshold = np.quantile(seen["scores"][seen["truth"] == 0], 0.9)
    np.testing.assert_array_equal(flags, np.asarray(found["gradient boosting"]["score"]) >= threshold)
