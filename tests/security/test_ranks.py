"""Calibrated ranks: valid as conformal p-values, in the order of the raw scores, the same after a model folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_security.outliers.ranks import BULK, TOP, Ranks
from jenga_security.outliers.scores import Scores

numbers = st.floats(-1e3, 1e3, allow_nan=False, width=32)


def p_value(held, value):
    return (1 + (held >= value).sum()) / (len(held) + 1)


@settings(max_examples=150, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=60), st.lists(numbers, min_size=1, max_size=60))
def test_a_rank_claims_no_more_than_the_conformal_p_value(held, new):
    held, new = np.array(held), np.array(new)
    scores = Ranks.fit(held).apply(new)
    assert ((scores >= 0) & (scores <= 1)).all()
    step = 1 / (len(held) + 1)
    for score, value in zip(scores, new, strict=True):
        conformal = p_value(held, value)
        assert 1 - score >= conformal - 1e-12 or conformal > 1 - step  # the last half step at the bottom


@settings(max_examples=150, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=60), st.lists(numbers, min_size=2, max_size=60, unique=True))
def test_ranks_keep_the_order(held, new):
    new = np.sort(np.array(new))
    scores = Ranks.fit(np.array(held)).apply(new)
    assert (np.diff(scores) >= 0).all()


@pytest.mark.parametrize("rows", [1, 2, 99, 5000])
def test_rows_beyond_all_held_out_rows_stay_apart_in_float32(rows):
    held = np.random.default_rng(0).normal(size=rows)
    far = held.max() + np.array([0.01, 0.1, 1, 2, 10, 100, 1000, 1e6])
    scores = Ranks.fit(held).apply(far).astype(np.float32)
    assert (np.diff(scores) > 0).all()
    assert (scores < 1).all()
    low = Ranks.fit(held).apply(held.min() - np.array([1000, 10, 1, 0.1]))
    assert (np.diff(low) > 0).all()


def test_ties_among_held_out_rows():
    scores = Ranks.fit(np.array([1.0, 1.0, 1.0, 2.0])).apply(np.array([1.0, 1.5, 2.0]))
    assert 1 - scores[2] == pytest.approx(2 / 5)
    assert 1 - scores[0] == pytest.approx(1 - 1 / 10)  # all reach it: the bottom
    assert scores[0] < scores[1] < scores[2]
    constant = Ranks.fit(np.zeros(9)).apply(np.array([-1.0, 0.0, 1.0]))
    assert (np.diff(constant) > 0).all()


def test_the_realised_rate_is_the_promised_one():
    """At most the rate, and short of it by a step of 1 / (n + 1) at most."""
    rng = np.random.default_rng(0)
    for rate in (0.01, 0.1):
        realised = []
        for _ in range(200):
            raw = rng.lognormal(size=1500)
            realised.append((Ranks.fit(raw[:299]).apply(raw[299:]) >= 1 - rate).mean())
        assert rate - 1 / 300 - 0.001 < np.mean(realised) <= rate * 1.02


def test_many_held_out_rows_are_kept_as_quantiles_and_the_top_exactly():
    held = np.random.default_rng(0).normal(size=100_000)
    ranks = Ranks.fit(held)
    assert len(ranks.points) <= TOP + BULK
    new = np.linspace(-4, 4, 500)
    truth = np.array([p_value(held, value) for value in new])
    found = 1 - ranks.apply(new)
    assert np.abs(found - truth).max() < 2 / BULK
    top = truth < TOP / len(held) / 2
    assert (found[top] >= truth[top] - 1e-12).all()


def test_ranks_need_finite_scores():
    for wrong in ([], [np.nan], [np.inf, 1.0]):
        with pytest.raises(ValueError, match="held-out"):
            Ranks.fit(np.array(wrong))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(1, 3), st.integers(0, 99))
def test_state_is_json_and_gives_the_same_scores(rows, members, seed):
    rng = np.random.default_rng(seed)
    scores = Scores.fit(rng.lognormal(size=(rows, members)).astype(np.float32), [1.0] * members)
    again = Scores.read(json.loads(json.dumps(scores.state(), allow_nan=False)))
    new = rng.lognormal(size=(40, members))
    assert np.array_equal(scores.apply(new), again.apply(new))


def test_members_count_alike_whatever_their_unit():
    rng = np.random.default_rng(0)
    raw, new = rng.lognormal(size=(500, 2)), rng.lognormal(size=(50, 2))
    unit = np.array([1.0, 1e6])
    np.testing.assert_allclose(
        Scores.fit(raw, [1, 1]).apply(new), Scores.fit(raw * unit, [1, 1]).apply(new * unit), atol=1e-9
    )
    assert np.isfinite(Scores.fit(np.zeros((5, 2)), [1, 1]).apply(np.ones((3, 2)))).all()  # members that say nothing
