"""The drift gate: it tells shifted rows, and holds its false-alarm rate on rows that are not."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp
from typer.testing import CliRunner

import jenga_core
from jenga_core.cli import app
from jenga_core.errors import DataError
from jenga_security.config import DriftMonitorConfig
from jenga_security.drift import ALPHA, FEWEST, Reference, References, added
from jenga_security.examples.flows import flows
from jenga_security.monitor import DriftMonitor, DriftMonitorHook, DriftWarning
from jenga_security.processors import TableProcessor
from jenga_security.shifts import of_counts, of_ordered, psi
from jenga_security.sketches import NAMES, NameSketch, NumberSketch, read_sketch, sketch_of


def table(rows, seed, *, shift=0.0, names=("tcp", "udp", "icmp"), missing=0.05):
    """Eight columns of numbers, one heavy-tailed, one of few values; two of names."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(shift, 1, (rows, 6)), columns=list("abcdef"))
    frame["bytes"] = np.exp(rng.normal(8 + shift, 2, rows))
    frame["flags"] = rng.poisson(0.4, rows)
    frame["protocol"] = rng.choice(list(names), rows)
    frame["service"] = [f"s{n}" for n in rng.zipf(1.6, rows)]
    return frame.mask(rng.random(frame.shape) < missing)


def scores(rows, seed, shift=0.0):
    return np.clip(np.random.default_rng(seed).beta(1, 8, rows) + shift, 0, 1)


# ------------------------------------------------------------------ sketches


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(), st.integers(-5, 5)), max_size=60),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-9, 9)), max_size=60),
    st.integers(0, 60),
)
def test_counts_of_parts_add_up_whatever_the_numbers(reference, new, cut):
    sketch = NumberSketch.of(pd.Series(reference, dtype=object))
    again = read_sketch(json.loads(json.dumps(sketch.state(), allow_nan=False)))
    cells = pd.Series(new, dtype=object)
    whole = sketch.count(cells)
    assert whole.sum() == len(new)
    np.testing.assert_array_equal(whole, again.count(cells[:cut]) + again.count(cells[cut:]))
    assert sketch.counts.sum() == len(reference)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", " b ", None, "7", ""]), max_size=40), st.integers(0, 40))
def test_counts_of_parts_add_up_whatever_the_names(names, cut):
    sketch = NameSketch.of(pd.Series(names, dtype=object))
    again = read_sketch(json.loads(json.dumps(sketch.state())))
    cells = pd.Series([*names, "new"], dtype=object)
    np.testing.assert_array_equal(sketch.count(cells), again.count(cells[:cut]) + again.count(cells[cut:]))
    assert sketch.count(cells)[1] == 1
    assert sketch.counts[0] == sum(n in (None, "") for n in names)


def test_names_beyond_the_most_frequent_share_a_bin():
    sketch = NameSketch.of(pd.Series([f"n{i}" for i in range(NAMES + 20)] * 2))
    assert len(sketch.names) == NAMES
    assert sketch.counts[1] == 40


def test_cells_that_are_neither_numbers_nor_names_are_left_out():
    assert sketch_of(pd.Series([[1, 2], [3]])) is None
    assert set(Reference.of(pd.DataFrame({"a": [1, 2], "list": [[1], [2]]})).columns) == {"a"}


def test_texts_that_never_come_again_are_left_out():
    """New ones would all be new names: a shift in every comparison."""
    assert sketch_of(pd.Series([f"call {n}" for n in range(2 * NAMES)])) is None
    assert sketch_of(pd.Series([f"call {n % (NAMES + 1)}" for n in range(4 * NAMES)])) is not None
    assert sketch_of(pd.Series([f"call {n}" for n in range(NAMES)])) is not None


def test_values_outside_those_of_training_have_bins_of_their_own():
    sketch = NumberSketch.of(pd.Series([2.0, 2.0, 3.0, None]))
    assert sketch.edges.tolist() == [2, 3]
    assert sketch.counts.tolist() == [1, 0, 2, 1, 0]
    assert sketch.count(pd.Series([1.9, -9, 2, 2.5, 3, 3.1, None])).tolist() == [1, 2, 1, 2, 1]


def test_a_state_without_the_bin_below_still_reads():
    """As model folders have it that were written before: one bin for the smallest value and all below it."""
    sketch = read_sketch({"edges": [2.0, 3.0], "counts": [1, 2, 1, 0]})
    assert sketch.counts.tolist() == [1, 0, 2, 1, 0]
    assert read_sketch(sketch.state()).counts.tolist() == [1, 0, 2, 1, 0]


def test_a_column_is_sketched_as_it_is_read():
    cells = pd.Series(["A12", "007", "B3"] * 40)
    assert isinstance(sketch_of(cells), NameSketch)  # a name that reads as a number makes no column of numbers
    assert isinstance(sketch_of(pd.Series([6, 17, 6] * 40)), NumberSketch)
    assert isinstance(sketch_of(pd.Series([6, 17, 6] * 40), "names"), NameSketch)
    assert isinstance(sketch_of(pd.Series(["1", "2", "-"] * 40), "numbers"), NumberSketch)
    assert sketch_of(pd.Series([6, 17, 6] * 40), "times") is None


# ------------------------------------------------------------------ shifts


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 300), st.integers(30, 300), st.floats(0, 2), st.integers(0, 999))
def test_ks_is_scipys_where_the_bins_hold_one_value_each(rows, others, shift, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(0, 2, rows).round(), rng.normal(shift, 2, others).round()
    sketch = NumberSketch.of(pd.Series(one))
    found = sketch.shift(sketch.count(pd.Series(other)))
    if len(np.unique(one)) == len(sketch.edges) and np.isin(other, sketch.edges).all():
        wanted = ks_2samp(one, other, method="asymp")
        assert found.ks == pytest.approx(wanted.statistic)
        assert found.p == pytest.approx(wanted.pvalue, abs=1e-6)
    assert found.ks <= ks_2samp(one, other).statistic + 1e-12


def test_chi_square_is_scipys_and_psi_its_formula():
    one, other = np.array([0, 40, 300, 200]), np.array([0, 80, 310, 150])
    found = of_counts(one, other)
    assert found.p == pytest.approx(chi2_contingency(np.stack([one, other])[:, 1:], correction=False).pvalue)
    p, q = (one + 0.5) / (one.sum() + 2), (other + 0.5) / (other.sum() + 2)
    assert psi(one, other) == pytest.approx(np.sum((p - q) * np.log(p / q)))
    assert np.isnan(found.ks)
    assert of_counts(one, one).psi == of_ordered(one, one).psi == 0
    assert of_ordered(one, one).p == 1


def test_psi_is_summed_over_groups_of_equal_size_and_the_ends_apart():
    """Against the formula over deciles, written out: 20 bins inside of which each two are a group."""
    reference = np.array([10, 0, *[50] * 20, 0])
    new = np.array([10, 60, *[50, 0] * 5, *[70, 50] * 5, 90])
    deciles = [
        (r, n) for r, n in zip(reference[2:-1].reshape(10, 2).sum(1), new[2:-1].reshape(10, 2).sum(1), strict=True)
    ]
    rows = np.array([(10, 10), (0, 60), *deciles, (0, 90)])
    half = 0.5 / rows.sum(0).min()
    p, q = ((share + half) / (1 + 13 * half) for share in (rows / rows.sum(0)).T)
    assert of_ordered(reference, new).psi == pytest.approx(np.sum((q - p) * np.log(q / p)), rel=1e-12)


def test_bins_empty_in_both_add_nothing_however_the_sizes_differ():
    few, many = np.array([0, 0, 10, 10, 0]), np.array([0, 0, 5000, 5000, 0])
    assert psi(many, few) == psi(few, many) == pytest.approx(0, abs=1e-12)
    assert of_ordered(many, few).psi == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("value", [-1.0, 7.0])
def test_what_lies_outside_the_training_range_is_seen(value):
    """The smallest and the largest value are atoms of half the rows: bins shared with them would hide what lies beyond."""
    rng = np.random.default_rng(0)
    trained = pd.DataFrame({"x": rng.choice([0.0, 1.0, 6.0], 4000, p=[0.45, 0.1, 0.45])})
    reference = Reference.of(trained).scored(scores(2000, 0))
    new = trained[:400].replace({"x": {0.0 if value < 0 else 6.0: value}})  # nothing else differs
    assert reference.compare(reference.count(new, scores(400, 1))).drifted == ["feature x"]
    below = reference.compare(reference.count(trained[:400], np.full(400, -0.5)))
    assert below.drifted == ["score"]


def test_names_of_few_reference_rows_count_as_any_other():
    found = of_counts(np.array([0, 10, 500, 4, 1]), np.array([0, 12, 500, 0, 3]))
    assert (found.psi, found.p) == (0, 1)


def test_missing_cells_are_a_shift_too():
    cells = pd.Series(np.random.default_rng(0).normal(size=4000))
    sketch = NumberSketch.of(cells)
    found = sketch.shift(sketch.count(cells.mask(np.arange(4000) % 2 == 0)))
    assert found.ks == pytest.approx(0.5, abs=0.01)
    assert found.psi > 0.2


# ------------------------------------------------------------------ the gate


@pytest.mark.parametrize("rows", [120, 1000, 6000])
def test_the_gate_holds_its_false_alarm_rate(rows):
    """Of 100 comparisons with rows of the same distribution, 1 may fire on average; more than 6 has a chance of 1e-4."""
    reference = Reference.of(table(6000, 0)).scored(scores(3000, 0))
    fired = sum(
        reference.compare(reference.count(table(rows, 10 + seed), scores(rows, 10 + seed))).fires for seed in range(100)
    )
    assert fired <= 6


@pytest.mark.parametrize(("reference_rows", "rows"), [(150, 3000), (3000, 120)])
def test_rows_beyond_the_range_of_a_small_reference_raise_no_false_alarm(reference_rows, rows):
    """A few of any new rows lie outside of what a sample showed: by chance alone, and with references of their own each time."""
    fired = 0
    for seed in range(60):
        reference = Reference.of(table(reference_rows, 1000 + seed)).scored(scores(reference_rows, 1000 + seed))
        fired += reference.compare(reference.count(table(rows, 5000 + seed), scores(rows, 5000 + seed))).fires
    assert fired <= 4  # of 60 at 1 %: more has a chance of 1e-4


def test_significance_alone_would_hold_it_too():
    """Without the condition on size: p-values are right by themselves, so that a small PSI does not hide wrong ones."""
    reference = Reference.of(table(6000, 0)).scored(scores(3000, 0))
    wrong = 0
    for seed in range(100):
        found = reference.compare(reference.count(table(2000, 10 + seed), scores(2000, 10 + seed)))
        wrong += min(shift.p for shift in found.shifts.values()) < ALPHA / len(found.shifts)
    assert wrong <= 6


@pytest.mark.parametrize(
    ("changed", "column"),
    [({"shift": 0.7}, "feature a"), ({"names": ("tcp", "sctp")}, "feature protocol"), ({"missing": 0.5}, "feature bytes")],
)  # fmt: skip
def test_the_gate_tells_a_shift_and_its_column(changed, column):
    reference = Reference.of(table(6000, 0)).scored(scores(3000, 0))
    found = reference.compare(reference.count(table(500, 1, **changed), scores(500, 1)))
    assert found.fires
    assert column in found.drifted
    assert column in found.says() or len(found.drifted) > 3


def test_the_gate_tells_scores_that_moved_though_no_feature_did():
    reference = Reference.of(table(6000, 0)).scored(scores(3000, 0))
    found = reference.compare(reference.count(table(500, 1), scores(500, 1, shift=0.2)))
    assert found.drifted == ["score"]
    assert any(line.startswith("score") and line.endswith("drifted") for line in found.lines())
    json.dumps(found.to_json(), allow_nan=False)


def test_a_large_sample_with_a_trifle_of_a_shift_does_not_fire():
    reference = Reference.of(table(20_000, 0))
    found = reference.compare(reference.count(table(20_000, 1, shift=0.1), np.zeros(20_000)))
    assert min(shift.p for shift in found.shifts.values()) < 1e-6
    assert not found.fires


def test_too_few_rows_and_missing_columns_are_refused():
    reference = Reference.of(table(1000, 0))
    with pytest.raises(DataError, match=f"at least {FEWEST}"):
        reference.compare(reference.count(table(FEWEST - 1, 1), np.zeros(FEWEST - 1)))
    with pytest.raises(DataError, match="lack column 'a'"):
        reference.count(table(200, 1).drop(columns="a"), np.zeros(200))
    with pytest.raises(DataError, match="0 rows"):
        reference.compare({})


def test_references_are_kept_as_json():
    y = np.repeat([0, 1, -1], [300, 200, 100])
    both = References.of(table(600, 0), y).scored(scores(100, 0), np.repeat([0, 1], 50))
    again = References.read(json.loads(json.dumps(both.state(), allow_nan=False)))
    assert again.state() == both.state()
    assert again.every.columns["a"].counts.sum() == 600
    assert again.normal.columns["a"].counts.sum() == 300
    assert again.normal.score.counts.sum() == 50
    assert References.read(References.of(table(600, 0)).state()).normal is None


# ------------------------------------------------------------------ live


def test_a_monitor_adds_up_tables_into_windows():
    reference = Reference.of(table(3000, 0)).scored(scores(2000, 0))
    monitor = DriftMonitor(reference, window=500)
    new, new_scores = table(500, 1, shift=1.0), scores(500, 1)
    for at in range(0, 400, 100):
        assert monitor.update(new[at : at + 100], new_scores[at : at + 100]) is None
    found = monitor.update(new[400:], new_scores[400:])
    whole = reference.compare(reference.count(new, new_scores))
    assert found.to_json() == whole.to_json()
    assert monitor.last is found
    assert monitor.windows == 1
    assert monitor.update(table(0, 1), np.zeros(0)) is None
    assert not monitor.update(table(600, 2), scores(600, 2)).fires


def test_counts_of_nothing_are_the_other():
    counts = {"a": np.ones(3)}
    assert added({}, counts) is counts


OPTIONS = {
    "data": {"flows": {"split": {"by": "stratified", "column": "label", "validation": 0.3, "test": 0.1}}},
    "inputs": {"flow": {"exclude": ["started", "host"], "processor": "security/table"}},
    "backbones": {"table": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
    "tasks": {"threat": {"kind": "security/anomaly", "target": "label", "normal": "benign"}},
    "hooks": [{"kind": "security/drift-monitor", "window": 300}],
    "train": {"epochs": 1, "batch_size": 128, "bootstrap": 0, "baselines": False, "learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    run = jenga_core.train(OPTIONS, data=flows(2500, 1), output=folder / "run", quiet=True, report=False)
    flows(1000, 2).drop(columns="label").to_csv(folder / "same.csv", index=False)
    other = flows(1000, 3).assign(protocol="sctp")
    other["bytes_sent"] *= 100
    other.to_csv(folder / "other.csv", index=False)
    return run.folder


def test_cells_that_must_not_be_shown_are_in_no_reference(tmp_path, monkeypatch):
    """An input whose texts are redacted is confidential; a sketch of names is a list of cells."""
    monkeypatch.setattr(TableProcessor, "confidential", True)
    options = {**OPTIONS, "hooks": [], "data": {"flows": {**OPTIONS["data"]["flows"]}}}
    run = jenga_core.train(options, data=flows(400, 1), output=tmp_path / "run", quiet=True, report=False)
    drift = jenga_core.load(run.folder).parts.tasks["threat"].drift
    assert not drift.every.columns
    assert not drift.normal.columns
    assert drift.every.score is not None


def jenga(*arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DriftWarning)
        return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_command_tells_by_its_status(finished):
    same = jenga("drift", finished, finished.parent / "same.csv")
    assert same.exit_code == 0, same.output
    assert "no drift: 1,000 rows" in same.output
    other = jenga("drift", finished, finished.parent / "other.csv")
    assert other.exit_code == 3, other.output
    assert "feature protocol" in other.output
    told = json.loads(jenga("drift", finished, finished.parent / "other.csv", "--json").output)
    assert told["fires"]
    assert "feature bytes_sent" in told["drifted"]
    assert told["shifts"]["feature protocol"]["ks"] is None


def test_declared_categories_are_names_in_the_reference(tmp_path):
    """Also where they are numbers, or one of them reads as one; columns that the input does not read are not looked at."""
    rows = flows(600, 5).assign(code=np.arange(600) % 3, box=np.resize(["A1", "007", "B2"], 600))
    inputs = {
        "flow": {
            "exclude": ["host"],
            "processor": {"kind": "security/table", "categorical": ["code", "box"], "dates": ["started"]},
        }
    }
    options = {**OPTIONS, "hooks": [], "inputs": inputs}
    run = jenga_core.train(options, data=rows, output=tmp_path / "run", quiet=True, report=False)
    columns = jenga_core.load(run.folder).parts.tasks["threat"].drift.every.columns
    assert isinstance(columns["code"], NameSketch)
    assert isinstance(columns["box"], NameSketch)
    assert isinstance(columns["port"], NameSketch)
    assert isinstance(columns["bytes_sent"], NumberSketch)
    assert "started" not in columns


def test_normal_rows_are_compared_with_normal_rows(finished, tmp_path):
    new = flows(1500, 4)
    new[new["label"] == "benign"].to_csv(tmp_path / "normal.csv", index=False)
    assert jenga("drift", finished, tmp_path / "normal.csv", "--normal").exit_code == 0


def test_the_hook_sees_successive_calls(finished):
    predictor = jenga_core.load(finished)
    same, other = (pd.read_csv(finished.parent / name) for name in ("same.csv", "other.csv"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DriftWarning)
        predictor.predict(same[:600])
        predictor.predict(other[:200])
    with pytest.warns(DriftWarning, match="task threat: drift: .* over 400 rows"):
        predictor.predict(other[200:400])


def test_a_task_without_a_reference_is_none_of_the_hooks_business():
    class Run:
        class parts:
            tasks = {"other": object()}

    DriftMonitorHook(DriftMonitorConfig(kind="security/drift-monitor")).on_predict(Run(), table(200, 0), pd.DataFrame())
