"""The generator of synthetic transactions: the same seed gives the same bytes, histories hold, and the classes overlap."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import yaml

import jenga_core
from jenga_security.examples.transaction_fraud import write
from jenga_security.examples.transactions import LIMIT, transactions


@pytest.fixture(scope="module")
def table():
    return transactions(40_000, 7)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_same_seed_same_bytes_and_another_seed_other_transactions(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, seed=seed, rows=500)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a")["transactions.csv"] != digests(tmp_path / "c")["transactions.csv"]
    assert set(digests(tmp_path / "a")) == {"config.yaml", "README.md", "transactions.csv", "new_transactions.csv"}


def test_files_fit_the_configuration_and_the_readme(tmp_path):
    write(tmp_path, seed=1, rows=300)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    labelled, new = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("transactions", "new_transactions"))
    assert len(labelled) == len(new) == 300
    assert [*new.columns, "label"] == [*labelled.columns]
    assert set(config["inputs"]["transaction"]["exclude"]) <= set(new.columns)
    readme = (tmp_path / "README.md").read_text()
    assert "synthetic" in readme
    assert [name for name in labelled.columns if f"| {name} |" not in readme] == []


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_small_tables_have_the_rows_asked_for(rows):
    assert len(transactions(rows, 0)) == rows


def test_units_and_ranges(table):
    assert table["transaction_amount"].between(5, LIMIT).all()
    assert table["time_of_day"].between(0, 24, inclusive="left").all()
    assert table["sim_swap_age_days"].dropna().ge(0).all()
    assert set(table["device_change"]) == {0, 1}
    assert table["velocity"].ge(1).all()
    assert ((table["agent"] != "none") == (table["channel"] == "agent")).all()
    assert table["made_at"].is_monotonic_increasing
    assert [name for name in table if table[name].isna().any()] == ["sim_swap_age_days"]


def test_time_of_day_is_the_local_hour_of_the_time(table):
    local = pd.to_datetime(table["made_at"]) + pd.Timedelta(hours=3)
    hours = local.dt.hour + local.dt.minute / 60 + local.dt.second / 3600
    assert (table["time_of_day"] - hours).abs().max() <= 0.0101  # two decimals, cut off


def test_velocity_is_what_the_transactions_say(table):
    made = pd.to_datetime(table["made_at"])
    seconds, accounts = (made - made.min()).dt.total_seconds().to_numpy(), table["account"].to_numpy()
    for at in np.random.default_rng(0).integers(0, len(table), 200):
        before = seconds[: at + 1][accounts[: at + 1] == accounts[at]]
        assert (before >= seconds[at] - 3600).sum() == table["velocity"][at]


def test_a_sim_grows_older_by_the_clock_or_is_new(table):
    """Between two transactions of an account the age rises by the time between them, unless the SIM was swapped there."""
    rows = table.dropna(subset="sim_swap_age_days").assign(made=lambda t: pd.to_datetime(t["made_at"]))
    passed = rows.groupby("account")["made"].diff().dt.total_seconds() / 86400
    older = rows.groupby("account")["sim_swap_age_days"].diff()
    ages = (older - passed).abs() < 0.11
    swapped = rows["sim_swap_age_days"] <= passed + 0.11
    assert (ages | swapped)[passed.notna()].all()


def test_frauds_are_rare_and_in_every_split(table):
    frauds = (table["label"] == "fraud").to_numpy()
    assert 0.01 < frauds.mean() < 0.03
    for part in np.array_split(frauds, [28_000, 34_000]):
        assert 0.01 < part.mean() < 0.04
    small = (transactions(2000, 3)["label"] == "fraud").to_numpy()
    assert all(part.any() for part in np.array_split(small, [1400, 1700]))


@pytest.mark.slow
def test_classes_overlap(table):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import average_precision_score

    x = table.drop(columns=["made_at", "account", "label"])
    x = x.assign(**{name: x[name].astype("category").cat.codes for name in x.select_dtypes(exclude="number")})
    y, cut = (table["label"] == "fraud").to_numpy(), 34_000

    def precision(columns):
        model = HistGradientBoostingClassifier(random_state=0).fit(x[columns][:cut], y[:cut])
        return average_precision_score(y[cut:], model.predict_proba(x[columns][cut:])[:, 1])

    assert 0.3 < precision(list(x)) < 0.9
    assert max(precision([name]) for name in x) < 0.5  # no column gives the label away


def test_the_template_learns_and_scores_new_transactions(tmp_path):
    write(tmp_path, seed=3, rows=8000)
    quick = ("train.epochs=8", "train.learning_rate=0.004", "train.bootstrap=0", "train.baselines=false")
    run = jenga_core.train(tmp_path / "config.yaml", output=tmp_path / "run", overrides=quick, quiet=True)
    scores = run.judgements[0].scores
    assert scores["average_precision"].value > 0.1  # frauds are 2 % of the rows, so that chance is 0.02
    assert scores["roc_auc"].value > 0.6
    new = pd.read_csv(tmp_path / "new_transactions.csv")
    found = jenga_core.load(run.folder).predict(new)
    assert found["fraud.score"].between(0, 1).all()
    assert set(found["fraud.label"]) <= {"legitimate", "fraud"}
