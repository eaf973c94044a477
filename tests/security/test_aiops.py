"""The generator of synthetic metrics and its template end to end: windows that stay in their split, a folder that agrees."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import yaml

import jenga_core
from jenga_core.errors import DataError
from jenga_security.examples.aiops import write
from jenga_security.examples.hosts import HOSTS, metrics

QUICK = (
    "train.epochs=4",
    "train.learning_rate=0.005",
    "train.batch_size=64",
    "train.bootstrap=0",
    "train.baselines=false",
)


@pytest.fixture(scope="module")
def table():
    return metrics(46_080, 7)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    write(folder, seed=1, rows=8000)
    options = (*QUICK, "inputs.metric.processor.length=6", "backbones.history.width=24")
    return folder, jenga_core.train(folder / "config.yaml", output=folder / "run", overrides=options, quiet=True)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_same_seed_same_bytes_and_another_seed_other_metrics(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, seed=seed, rows=500)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a")["metrics.csv"] != digests(tmp_path / "c")["metrics.csv"]
    assert set(digests(tmp_path / "a")) == {"config.yaml", "README.md", "metrics.csv", "new_metrics.csv"}


def test_files_fit_the_configuration_and_the_readme(tmp_path):
    write(tmp_path, seed=1, rows=300)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    labelled, new = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("metrics", "new_metrics"))
    assert len(labelled) == len(new) == 300
    assert config["inputs"]["metric"]["columns"] == [*new.columns]
    assert [*new.columns, "label"] == [*labelled.columns]
    readme = (tmp_path / "README.md").read_text()
    assert "synthetic" in readme
    assert [name for name in labelled.columns if f"| {name} |" not in readme] == []


@pytest.mark.parametrize("rows", [1, 19, 21, 200])
def test_small_tables_have_the_rows_asked_for(rows):
    assert len(metrics(rows, 0)) == rows


def test_units_and_ranges(table):
    assert table["cpu_usage"].between(0, 100).all()
    assert table["memory_usage"].between(0, 100).all()
    assert table["disk_io"].ge(0).all()
    assert table["error_rate"].between(0, 1000).all()
    assert table["host"].nunique() == HOSTS
    assert not table.isna().any(axis=None)
    assert not table.duplicated(["at", "host"]).any()
    steps = pd.to_datetime(table["at"]).groupby(table["host"]).diff().dropna()
    assert set(steps) == {pd.Timedelta(minutes=5)}


def test_incidents_are_rare_and_in_every_split(table):
    incident = (table["label"] == "incident").to_numpy()
    for part in np.array_split(incident, [32_256, 39_168]):
        assert 0.02 < part.mean() < 0.07


@pytest.mark.slow
def test_incidents_overlap_with_normal_work_and_the_past_tells_more_than_the_row(table):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import average_precision_score

    row = table[["cpu_usage", "memory_usage", "disk_io", "error_rate"]]
    past = row.groupby(table["host"]).rolling(12, min_periods=1).mean().reset_index(level=0, drop=True).sort_index()
    y, cut = (table["label"] == "incident").to_numpy(), 39_168

    def precision(x):
        model = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(x[:cut], y[:cut])
        return average_precision_score(y[cut:], model.predict_proba(x[cut:])[:, 1])

    alone, together = precision(row), precision(pd.concat([row, past.add_suffix("_mean")], axis=1))
    assert 0.3 < alone < together < 0.9


def test_the_template_learns(trained):
    run = trained[1]
    scores, test = run.judgements[0].scores, run.data.tables["metrics"].labelled("incident", "test")
    share = run.data.tables["metrics"].targets["incident"].columns["y"][test].mean()
    assert 0.005 < share < 0.1
    assert scores["average_precision"].value > 3 * share  # chance would have `share`
    assert scores["roc_auc"].value > 0.7


def test_small_tables_have_incidents_to_learn_from_and_to_judge_by():
    for seed in range(5):
        incident = (metrics(2000, seed)["label"] == "incident").to_numpy()
        assert incident[:1400].any()
        assert incident[1700:].any()


def test_the_saved_folder_judges_as_the_run_did(trained):
    """Windows end at the same borders when the folder reads its table again."""
    run = trained[1]
    again = jenga_core.load(run.folder).evaluate()[0].scores
    assert {k: v.value for k, v in again.items()} == pytest.approx(
        {k: v.value for k, v in run.judgements[0].scores.items()}
    )


def test_no_window_reaches_over_a_border(trained):
    data = trained[1].data.tables["metrics"]
    columns = data.inputs["metric"].columns
    split = np.empty(data.size, dtype=int)
    for number, rows in enumerate(data.splits.values()):
        split[rows] = number
    order, place, earlier = columns["order"], columns["place"], columns["earlier"]
    assert earlier.max() == 5
    for back in range(6):
        has = earlier >= back
        seen = order[place[has] - back]
        assert (split[seen] == split[has]).all()
        assert (columns["group"][seen] == columns["group"][has]).all()


def test_what_a_row_scores_depends_on_the_rows_before_it_and_on_none_after_it(trained):
    folder, run = trained
    predictor, new = jenga_core.load(run.folder), pd.read_csv(folder / "new_metrics.csv").head(20 * HOSTS)
    whole = predictor.predict(new)["incident.score"]
    half = predictor.predict(new.head(10 * HOSTS))["incident.score"]
    np.testing.assert_allclose(whole[: 10 * HOSTS], half, rtol=1e-5)
    late = predictor.predict(new.tail(10 * HOSTS))["incident.score"]
    assert not np.allclose(whole[10 * HOSTS : 14 * HOSTS], late[: 4 * HOSTS], rtol=1e-3)
    np.testing.assert_allclose(whole[15 * HOSTS :], late[5 * HOSTS :], rtol=1e-5)


def test_a_random_split_is_refused_before_anything_is_written(trained, tmp_path):
    overrides = (*QUICK, "data.metrics.split.by=random", "data.metrics.split.column=null")
    with pytest.raises(DataError, match="take turns"):
        jenga_core.train(trained[0] / "config.yaml", output=tmp_path / "run", overrides=overrides, quiet=True)
    assert not (tmp_path / "run").exists()
