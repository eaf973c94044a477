"""The generator of synthetic flows: the same seed gives the same bytes, units hold, and the classes overlap."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import yaml

from jenga_security.examples.flows import ATTACKS, flows
from jenga_security.examples.network_threats import write


@pytest.fixture(scope="module")
def table():
    return flows(20_000, 7)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_same_seed_same_bytes_and_another_seed_other_flows(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, seed=seed, rows=500)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a")["flows.csv"] != digests(tmp_path / "c")["flows.csv"]
    assert set(digests(tmp_path / "a")) == {"config.yaml", "README.md", "flows.csv", "new_flows.csv"}


def test_files_fit_the_configuration(tmp_path):
    write(tmp_path, seed=1, rows=300)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    labelled, new = pd.read_csv(tmp_path / "flows.csv"), pd.read_csv(tmp_path / "new_flows.csv")
    assert len(labelled) == len(new) == 300
    assert set(config["inputs"]["flow"]["columns"]) <= set(new.columns)
    assert [*new.columns, "label"] == [*labelled.columns]
    assert "synthetic" in (tmp_path / "README.md").read_text()


def test_units_and_ranges(table):
    assert table["port"].between(0, 65535).all()
    assert table["packet_size"].between(40, 1500).all()
    assert (table["duration"] >= 0).all()
    assert (table["bytes_sent"] >= 40).all()
    assert (table["bytes_received"] >= 0).all()
    assert set(table["protocol"]) == {"tcp", "udp", "icmp"}
    assert not table.isna().any(axis=None)
    assert table["started"].is_monotonic_increasing


def test_request_count_is_what_the_flows_say(table):
    """Counted again, row by row, from the times that the file holds (milliseconds)."""
    started = pd.to_datetime(table["started"])
    seconds, hosts = (started - started.min()).dt.total_seconds().to_numpy(), table["host"].to_numpy()
    for at in np.random.default_rng(0).integers(0, len(table), 200):
        before = seconds[: at + 1][hosts[: at + 1] == hosts[at]]
        assert (
            abs((before >= seconds[at] - 60).sum() - table["request_count"][at]) <= 1
        )  # rounding at the window's edge


def test_attacks_are_the_minority_and_reach_every_split(table):
    share = (table["label"] != "benign").mean()
    assert 0.08 < share < 0.16
    for part in np.array_split(table["label"].to_numpy(), [14_000, 17_000]):
        assert 0.03 < (part != "benign").mean() < 0.3
    assert set(table["label"]) == {"benign"} | {profile.label for profile in ATTACKS}


@pytest.mark.slow
def test_classes_overlap(table):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import average_precision_score

    x = table.drop(columns=["started", "host", "label"]).assign(protocol=table["protocol"].astype("category").cat.codes)
    y, cut = (table["label"] != "benign").to_numpy(), 17_000
    model = HistGradientBoostingClassifier(random_state=0).fit(x[:cut], y[:cut])
    assert 0.8 < average_precision_score(y[cut:], model.predict_proba(x[cut:])[:, 1]) < 0.98
