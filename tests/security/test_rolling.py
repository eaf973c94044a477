"""The rolling threshold: it follows, it holds its floor, and it does what its assumptions say and no more."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.errors import UserError
from jenga_security.rolling import RollingThreshold
from jenga_security.thresholds import conformal


def draw(rows, seed, shift=0.0):
    return (np.random.default_rng(seed).beta(1, 20, rows) + shift).astype(np.float32)


def test_known_normal_rows_give_the_conformal_threshold():
    rolling = RollingThreshold(0.01, floor=0.0, window=2000)
    scores = draw(5000, 0)
    assert rolling.update(scores[:50]) == 0.0
    for part in np.array_split(scores[50:], 40):
        rolling.update(part)
    assert rolling.threshold == conformal(scores[-2000:], 0.01)


def test_it_follows_traffic_that_shifted():
    before, after = draw(4000, 0), draw(8000, 1, shift=0.1)
    rolling = RollingThreshold(0.01, floor=conformal(before, 0.01), window=3000)
    assert (after >= rolling.floor).mean() > 0.05
    rolling.update(after[:4000])
    assert (after[4000:] >= rolling.threshold).mean() == pytest.approx(0.01, abs=0.006)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 1, width=32) | st.just(math.nan), max_size=80), max_size=8),
    st.floats(0, 0.9),
    st.sampled_from([0.0, 0.1, 0.5]),
)
def test_it_never_falls_below_its_floor_nor_rises_above_its_ceiling(parts, floor, attacks):
    rolling = RollingThreshold(0.1, floor=floor, window=50, ceiling=0.95, attacks=attacks)
    for part in parts:
        assert floor <= rolling.update(np.array(part)) <= max(floor, np.float32(0.95))
        assert len(rolling.state()["scores"]) <= 50


def test_a_ceiling_keeps_loud_attacks_out():
    normal, loud = draw(3000, 0, shift=0.1), np.full(4000, 0.99, dtype=np.float32)
    mixed = np.random.default_rng(2).permutation(np.concatenate([normal, loud]))
    with_ceiling = RollingThreshold(0.01, floor=0.1, ceiling=0.9)
    without = RollingThreshold(0.01, floor=0.1)
    with_ceiling.update(mixed)
    without.update(mixed)
    assert (draw(3000, 5, shift=0.1) >= with_ceiling.threshold).mean() == pytest.approx(0.01, abs=0.006)
    assert without.threshold > 0.99  # every attack would go unseen: what the ceiling is for


def test_an_assumed_share_of_attacks_is_left_out_and_costs_that_share_where_there_are_none():
    normal = draw(9000, 0)
    mixed = np.random.default_rng(2).permutation(np.concatenate([normal, np.full(1000, 0.99, dtype=np.float32)]))
    rolling = RollingThreshold(0.01, floor=0.0, attacks=0.1)
    rolling.update(mixed)
    assert (draw(5000, 6) >= rolling.threshold).mean() == pytest.approx(0.01, abs=0.005)
    clean = RollingThreshold(0.01, floor=0.0, attacks=0.1)
    clean.update(draw(10_000, 1))
    assert (draw(5000, 6) >= clean.threshold).mean() == pytest.approx(0.1 + 0.9 * 0.01, abs=0.015)


def test_it_goes_on_where_it_was():
    one, other = (RollingThreshold(0.05, floor=0.02, window=300) for _ in range(2))
    for part in np.array_split(draw(700, 0), 90):
        one.update(part)
    other.restore(json.loads(json.dumps(one.state())))
    assert other.threshold == one.threshold
    rest = draw(600, 1)
    assert one.update(rest) == other.update(rest)


@pytest.mark.parametrize(
    "options", [{"rate": 0.001, "floor": 0, "window": 500}, {"rate": 0.1, "floor": 0, "attacks": 1.0},
                {"rate": 0.1, "floor": 0.8, "ceiling": 0.5}]
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(options):
    with pytest.raises(UserError):
        RollingThreshold(**options)
