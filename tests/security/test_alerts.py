"""Alert rules: the promised rate and its interval, records of held-out scores, budgets by the day."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import beta, binomtest

from jenga_core.errors import DataError
from jenga_security.alert_config import AlertBudget, TargetRate
from jenga_security.alert_metrics import AlertMetrics
from jenga_security.alerts import AlertRule
from jenga_security.heldout import EXACT, GRID, Record
from jenga_security.thresholds import Interval, above, clopper_pearson, conformal, exceedance, rank_of
from jenga_security.traffic import rows_per_day, share_of

RATE = TargetRate(target_fpr=0.05)


def budget(**options):
    return AlertBudget(alert_budget=options)


def labelled(normal, attacks=()):
    scores = np.concatenate([normal, np.asarray(attacks, dtype=float)]).astype(np.float32)
    return scores, np.repeat([0, 1], [len(normal), len(attacks)])


# ------------------------------------------------------------------ the promise


@settings(max_examples=25, deadline=None)
@given(st.integers(60, 400), st.sampled_from([0.02, 0.05, 0.2]), st.integers(0, 2**31))
def test_the_realised_rate_follows_its_law(rows, rate, seed):
    """Over draws of held-out rows the share of new rows above the threshold is Beta(n + 1 - k, k): of uniform scores it
    is 1 - threshold. A sum over 300 draws tells a rank that is off by one."""
    rng = np.random.default_rng(seed)
    shares = np.array([1 - conformal(rng.random(rows).astype(np.float32), rate) for _ in range(300)])
    k = rank_of(rows, rate)
    law = beta(rows + 1 - k, k)
    assert shares.mean() == pytest.approx(law.mean(), abs=4.5 * law.std() / np.sqrt(300))
    assert law.mean() <= rate
    promised = exceedance(rows, k)
    inside = sum(share in promised for share in shares)
    assert binomtest(inside, 300, 0.95).pvalue > 1e-6


@given(st.integers(1, 5000), st.sampled_from(["0.001", "0.01", "0.05", "0.1", "1/3", "0.5"]))
def test_the_rank_is_the_lowest_whose_expected_rate_is_within_the_one_asked_for(rows, rate):
    """A new row lies above the k-th of n exchangeable scores with a probability of (n + 1 - k) / (n + 1)."""
    rate = Fraction(rate)
    k = rank_of(rows, float(rate))
    assert Fraction(rows + 1 - k, rows + 1) <= rate < Fraction(rows + 2 - k, rows + 1)


def test_clopper_pearson_is_scipys():
    for hits, rows in ((0, 10), (3, 50), (50, 50), (1, 1000)):
        wanted = binomtest(hits, rows).proportion_ci(method="exact")
        found = clopper_pearson(hits, rows)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_a_rule_says_what_to_expect():
    rule = AlertRule.of(RATE).calibrated(*labelled(np.linspace(0, 1, 999), [0.99, 0.2]))
    assert (rule.normal.rows, rule.attacks.rows) == (999, 2)
    assert rule.found == 0.5
    assert 0.05 in rule.expected
    assert rule.expected == exceedance(999, 950)
    assert "999 held-out normal rows" in rule.says()
    fixed = AlertRule.of(0.9).calibrated(*labelled(np.linspace(0, 1, 999)))
    assert fixed.threshold == 0.9
    assert fixed.expected == clopper_pearson(100, 999)
    assert AlertRule.of(0.9).expected == Interval(0, 1)


def test_too_few_rows_are_refused_before_training():
    AlertRule.of(RATE).require(np.zeros(19))
    with pytest.raises(DataError, match="at least 19 normal validation rows, there are 18"):
        AlertRule.of(RATE).require(np.repeat([0, 1], [18, 500]))
    with pytest.raises(DataError, match="at least 49,999 normal"):
        AlertRule.of(budget(per_day=20, rows_per_day=1_000_000)).require(np.zeros(9_000))
    with pytest.raises(DataError, match="one class only"):
        AlertRule.of("best_f1").require(np.zeros(9))
    AlertRule.of(0.5).require(np.zeros(0))


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="not finite"):
        AlertRule.of(RATE).calibrated(*labelled([*np.linspace(0, 1, 30), np.nan]))


# ------------------------------------------------------------------ changed later


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 9000), st.sampled_from([0.4, 0.1, 0.05]), st.integers(0, 99), st.sampled_from([2, 7]))
def test_a_changed_rule_is_the_one_that_a_fit_would_have_chosen(rows, rate, seed, digits):
    rng = np.random.default_rng(seed)
    scores, y = labelled(rng.random(rows).round(digits), rng.random(40).round(digits))
    kept = AlertRule.read(json.loads(json.dumps(AlertRule.of(0.5).calibrated(scores, y).state())))
    changed = kept.changed(TargetRate(target_fpr=rate))
    chosen = conformal(scores[y == 0], rate)
    if rows <= EXACT + GRID or rank_of(rows, rate) > rows - EXACT:
        assert changed.threshold == chosen
    else:
        assert changed.threshold >= chosen
        assert (scores[y == 0] >= changed.threshold).mean() > rate - 2 / GRID
    assert kept.changed(0.7).threshold == 0.7
    assert kept.changed("best_f1").threshold == AlertRule.of("best_f1").calibrated(scores, y).threshold or rows > EXACT


def test_a_change_that_the_kept_rows_cannot_carry_is_refused():
    kept = AlertRule.of(0.5).calibrated(*labelled(np.linspace(0, 1, 200)))
    with pytest.raises(DataError, match="at least 999 normal"):
        kept.changed(TargetRate(target_fpr=0.001))
    with pytest.raises(DataError, match="the 200 validation rows; there is one class only"):
        kept.changed("best_f1")
    with pytest.raises(DataError, match="declare rows_per_day"):
        kept.changed(budget(per_day=2, time="at"))
    with pytest.raises(DataError, match="no budget"):
        replace(kept, rows_per_day=2).changed(budget(per_day=2, time="at"))
    assert (
        kept.changed(budget(per_day=2, rows_per_day=20)).threshold == kept.changed(TargetRate(target_fpr=0.1)).threshold
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 7000), st.integers(0, 99))
def test_a_record_counts_exactly_in_the_tail(rows, seed):
    scores = np.random.default_rng(seed).random(rows).astype(np.float32)
    record = Record.read(json.loads(json.dumps(Record.of(scores).state())))
    assert record.rows == rows
    np.testing.assert_array_equal(record.scores, Record.of(scores).scores)
    for threshold in (0.0, 0.5, *np.sort(scores)[-3:], 1.0):
        true = int((scores >= np.float32(threshold)).sum())
        found = int(record.at_least(threshold))
        assert found == true if true <= EXACT or rows <= EXACT + GRID else true <= found <= true + rows / GRID + 1


def test_a_record_stays_small():
    assert len(json.dumps(Record.of(np.random.default_rng(0).random(10**6)).state())) < 100_000


# ------------------------------------------------------------------ budgets


def test_a_budget_is_a_rate():
    rule = AlertRule.of(budget(per_day=20, rows_per_day=1000))
    assert rule.rate == 0.02
    scores, y = labelled(np.random.default_rng(0).random(500))
    assert rule.calibrated(scores, y).threshold == conformal(scores, 0.02)
    with pytest.raises(DataError, match="declare rows_per_day"):
        AlertRule.of(budget(per_day=20, time="started")).require(y)


@pytest.mark.parametrize(
    "options",
    [{}, {"per_day": 20}, {"per_day": 0, "rows_per_day": 9}, {"per_day": 9, "rows_per_day": 9},
     {"per_day": 2, "rows_per_day": 9, "time": "at"}],
)  # fmt: skip
def test_budgets_that_say_too_little_or_too_much(options):
    with pytest.raises(ValidationError):
        budget(**options)


HOURS = pd.Series(pd.date_range("2026-01-01", periods=49, freq="h", tz="UTC"), name="at")


EPOCHS = [HOURS.dt.as_unit(unit).astype("int64") for unit in ("s", "ms", "us", "ns")]


@pytest.mark.parametrize("times", [HOURS, HOURS.astype(str), HOURS[::-1], *EPOCHS])
def test_rows_a_day_are_counted_whatever_the_unit(times):
    assert rows_per_day(times.rename("at"), str) == pytest.approx(24.5, abs=0.01)
    assert rows_per_day(times.rename("at"), str, share=0.5) == pytest.approx(49, abs=0.01)


def test_rows_a_day_that_would_be_a_guess_are_refused():
    with pytest.raises(DataError, match=r"cover 5 hours.*\n.*rows_per_day"):
        rows_per_day(HOURS[:6], str)
    with pytest.raises(DataError, match="unknown unit"):
        rows_per_day(pd.Series(np.arange(100), name="at"), str)
    with pytest.raises(DataError, match=r"row 2.*'at'"):
        rows_per_day(pd.Series(["2026-01-01", None], name="at"), lambda at: f"row {at + 1}")


def test_training_rows_are_a_share_of_their_time():
    train, validation = np.arange(0, 100, 2), np.arange(1, 100, 2)
    assert share_of(train, [validation, np.arange(100, 300)], "random") == 0.5 + 0.5 / 99
    assert share_of(train, [validation], "time") == 1.0


# ------------------------------------------------------------------ the report


def test_the_report_tells_a_realised_rate_that_breaks_the_promise():
    rng = np.random.default_rng(0)
    rule = AlertRule.of(RATE).calibrated(*labelled(rng.random(2000) * 0.8))
    for shift, verdict in ((0.0, "The intervals meet"), (0.2, "The intervals do not meet")):
        scores, y = labelled(rng.random(3000) * 0.8 + shift, [0.9] * 10)
        output = {"score": scores, "flag": scores >= rule.threshold}
        first = AlertMetrics(("normal", "attack"), rule).figures(output, {"y": y})[0]
        assert first.title == "False alarms"
        assert verdict in first.note
        assert "2,000 held-out normal rows" in first.note
        json.dumps(first.to_json(), allow_nan=False)


def test_nothing_is_added_where_nothing_is_held_out():
    scores, y = labelled([0.1, 0.2], [0.9])
    output = {"score": scores, "flag": scores > 0.5}
    shown = AlertMetrics(("normal", "attack"), AlertRule.of(0.5)).figures(output, {"y": y})
    assert shown[0].title != "False alarms"


def test_above_is_the_next_score():
    assert above(0.5) > 0.5
    assert np.float32(above(0.5)) == np.nextafter(np.float32(0.5), np.float32(1))
