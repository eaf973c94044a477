"""How gradients are weighed: cases worked out by hand, the papers' defining properties, and TorchJD as an oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.builtin.gramian import cagrad, cosines, mgda, nash, pcgrad

Array = np.ndarray[Any, Any]
few = settings(deadline=None, max_examples=40)


def of(*gradients: list[float]) -> tuple[Array, Array]:
    """(gradients [k, P], Gramian [k, k])."""
    rows = np.array(gradients, dtype=float)
    return rows, rows @ rows.T


@st.composite
def gradients(draw: st.DrawFn) -> Array:
    """[k, P] gradients of different sizes, some of them repeated or opposed."""
    seed, k, width = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 5)), draw(st.integers(2, 7))
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(k, width)) * 10.0 ** rng.uniform(-2, 2, size=(k, 1))
    if k > 1 and draw(st.booleans()):
        rows[1] = rows[0] * draw(st.sampled_from([1.0, -1.0, -0.5]))
    return rows


def everyone(gramian: Array) -> list[Array]:
    return [pcgrad(gramian, np.random.default_rng(0)), mgda(gramian), cagrad(gramian, 0.5), nash(gramian)]


@few
@given(rows=gradients())
def test_weights_are_finite_and_one_task_keeps_its_gradient(rows: Array) -> None:
    for weights in everyone(rows @ rows.T):
        assert weights.shape == (len(rows),)
        assert np.isfinite(weights).all()
    *others, bargain = everyone(rows[:1] @ rows[:1].T)
    assert all(weights == pytest.approx([1.0]) for weights in others)
    assert np.linalg.norm(bargain @ rows[:1]) == pytest.approx(1)


@few
@given(rows=gradients(), scale=st.sampled_from([1e-4, 0.1, 30.0, 1e4]))
def test_the_step_grows_with_the_gradients(rows: Array, scale: float) -> None:
    """No method depends on the unit of the losses; Nash-MTL's step has one length whatever they are."""
    small, large = rows @ rows.T, scale**2 * (rows @ rows.T)
    size = np.abs(rows).max()
    for a, b in zip(everyone(small)[:3], everyone(large)[:3], strict=True):
        assert a @ rows == pytest.approx(b @ rows, abs=1e-3 * size)
    assert nash(small) @ rows == pytest.approx(nash(large) @ rows * scale, abs=1e-3)


def test_zero_gradients_give_no_step() -> None:
    rows, gramian = of([0, 0], [0, 0])
    for weights in everyone(gramian):
        assert np.isfinite(weights).all()
        assert weights @ rows == pytest.approx([0, 0])


def test_cosines() -> None:
    found = cosines(of([2, 0], [1, 1], [0, 0])[1])
    assert found[0, 1] == pytest.approx(0.5**0.5)
    assert np.isnan(found[0, 2])
    assert np.isnan(found[2, 2])


# ------------------------------------------------------------------ PCGrad


def test_pcgrad_by_hand() -> None:
    """g1 = (1, 0), g2 = (-1, 1): g1 loses (g1.g2 / |g2|^2) g2 = -g2 / 2, g2 loses -g1; the rest (.5, .5) + (0, 1)."""
    rows, gramian = of([1, 0], [-1, 1])
    assert pcgrad(gramian, np.random.default_rng(0)) @ rows == pytest.approx([0.5, 1.5])


def test_pcgrad_leaves_gradients_that_agree_alone() -> None:
    assert pcgrad(of([1, 0], [1, 2], [0, 3])[1], np.random.default_rng(0)) == pytest.approx([1, 1, 1])


@few
@given(rows=gradients(), seed=st.integers(0, 5))
def test_pcgrad_follows_the_algorithm_on_the_gradients_themselves(rows: Array, seed: int) -> None:
    """Algorithm 1 with vectors, the same random order."""
    rng, total = np.random.default_rng(seed), np.zeros(rows.shape[1])
    for i, gradient in enumerate(rows):
        mine = gradient.copy()
        for j in rng.permutation(len(rows)):
            # a projection onto the gradient that was just taken off would only be rounding
            if j != i and mine @ rows[j] < -1e-12 * (gradient @ gradient) ** 0.5 * (rows[j] @ rows[j]) ** 0.5:
                mine -= (mine @ rows[j]) / (rows[j] @ rows[j]) * rows[j]
        total += mine
    found = pcgrad(rows @ rows.T, np.random.default_rng(seed)) @ rows
    assert found == pytest.approx(total, rel=1e-6, abs=1e-6 * np.abs(rows).max())


# ------------------------------------------------------------------ MGDA


def test_mgda_by_hand() -> None:
    """(2, 0) and (0, 1): the point of the segment nearest to 0 is (0.4, 0.8), at 1/5 and 4/5."""
    rows, gramian = of([2, 0], [0, 1])
    assert mgda(gramian) == pytest.approx([0.2, 0.8])
    assert mgda(of([1, 0], [3, 1])[1]) == pytest.approx([1, 0])  # the shorter one, where they agree that much
    assert mgda(gramian) @ rows == pytest.approx([0.4, 0.8])


@few
@given(rows=gradients())
def test_mgda_is_in_the_simplex_and_harms_no_task(rows: Array) -> None:
    weights = mgda(rows @ rows.T)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    step = weights @ rows
    assert (
        rows @ step >= step @ step - 1e-6 * (rows**2).sum(1).max()
    ).all()  # the optimality condition of the least norm


# ------------------------------------------------------------------ CAGrad


def test_cagrad_by_hand() -> None:
    """(1, 0) and (0, 1): by symmetry the step is the mean (.5, .5), longer by half."""
    rows, gramian = of([1, 0], [0, 1])
    assert cagrad(gramian, 0.5) @ rows == pytest.approx([0.75, 0.75], abs=1e-6)
    assert cagrad(gramian, 0.0) == pytest.approx([0.5, 0.5])


def test_cagrad_between_opposed_gradients_gives_way_as_far_as_it_may() -> None:
    """(1, 0) and (-2, 0): g_0 = (-.5, 0). No step helps both; within the ball the least harm is (1 - c) g_0."""
    rows, gramian = of([1, 0], [-2, 0])
    assert cagrad(gramian, 0.4) @ rows == pytest.approx([-0.3, 0], abs=1e-5)


@few
@given(rows=gradients(), c=st.sampled_from([0.2, 0.5, 0.9]))
def test_no_step_in_the_ball_is_better_for_the_worst_off_task(rows: Array, c: float) -> None:
    if len(rows) == 1:
        return
    weights, mean = cagrad(rows @ rows.T, c), rows.mean(0)
    step, radius, size = weights @ rows, c * np.linalg.norm(mean), np.abs(rows).max()
    assert np.linalg.norm(step - mean) <= radius + 1e-5 * size
    rng = np.random.default_rng(0)
    aims = rng.normal(size=(200, rows.shape[1])) @ np.linalg.pinv(rows) @ rows
    others = mean + radius * aims / np.maximum(np.linalg.norm(aims, axis=1, keepdims=True), 1e-12)
    assert (rows @ step).min() >= (others @ rows.T).min(1).max() - 1e-5 * size**2


# ------------------------------------------------------------------ Nash-MTL


def test_nash_by_hand() -> None:
    """(2, 0) and (0, 1): K = diag(4, 1), so w = (1/2, 1) and both tasks move by 1."""
    rows, gramian = of([2, 0], [0, 1])
    assert nash(gramian) == pytest.approx([0.5, 1])
    assert nash(gramian) @ rows == pytest.approx([1, 1])


@few
@given(rows=gradients())
def test_nash_is_the_bargain(rows: Array) -> None:
    """K w = 1 / w, up to the ridge where gradients are opposed; the step's norm is sqrt(k)."""
    gramian = rows @ rows.T
    weights = nash(gramian)
    assert (weights > 0).all()
    units = weights * np.sqrt(np.diag(gramian))
    assert (cosines(gramian) @ units + 1e-10 * units) * units == pytest.approx(np.ones(len(rows)), abs=1e-4)
    if np.linalg.matrix_rank(rows) == len(rows):
        assert np.linalg.norm(weights @ rows) == pytest.approx(len(rows) ** 0.5, abs=1e-4)


def test_nash_leaves_out_a_task_without_a_gradient() -> None:
    assert nash(of([0, 0], [0, 4])[1]) == pytest.approx([0, 0.25])


# ------------------------------------------------------------------ TorchJD


@pytest.fixture(scope="module")
def torchjd() -> Any:
    return pytest.importorskip("torchjd.aggregation", reason="the oracle is not installed: pip install torchjd")


CASES = [np.random.default_rng(seed).normal(size=(2 + seed % 3, 6)) * (1 + seed % 4) for seed in range(12)]


def oracle(aggregator: Any, rows: Array) -> Array:
    found: Array = aggregator(torch.from_numpy(rows)).numpy()
    return found


@pytest.mark.parametrize("rows", [r for r in CASES if len(r) == 2], ids=range(4))
def test_pcgrad_is_torchjds(torchjd: Any, rows: Array) -> None:
    """With two tasks there is one order, so the results are comparable."""
    assert pcgrad(rows @ rows.T, np.random.default_rng(0)) @ rows == pytest.approx(oracle(torchjd.PCGrad(), rows))


@pytest.mark.parametrize("rows", CASES, ids=range(12))
def test_mgda_is_torchjds(torchjd: Any, rows: Array) -> None:
    """Theirs iterates and stops early, at a point of the hull near the shortest one: ours is that shortest one.

    For the shortest point o of a convex set, and no other, |t - o|^2 <= |t|^2 - |o|^2 at every point t of the set.
    """
    ours, theirs = mgda(rows @ rows.T) @ rows, oracle(torchjd.MGDA(epsilon=1e-9, max_iters=2_000), rows)
    assert ours == pytest.approx(theirs, abs=0.05)
    for point in (theirs, *rows):
        assert np.sum((point - ours) ** 2) <= point @ point - ours @ ours + 1e-9


@pytest.mark.parametrize("rows", CASES, ids=range(12))
def test_cagrad_is_torchjds(torchjd: Any, rows: Array) -> None:
    """Theirs perturbs the gradients to stay solvable: ours is near it and no worse for the worst-off task."""
    pytest.importorskip("cvxpy", reason="TorchJD's CAGrad needs it: pip install 'torchjd[cagrad]'")
    ours, theirs = cagrad(rows @ rows.T, 0.5) @ rows, oracle(torchjd.CAGrad(c=0.5, norm_eps=1e-9), rows)
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert (rows @ ours).min() >= (rows @ theirs).min() - 1e-7


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
def test_nash_is_torchjds(torchjd: Any) -> None:
    """Theirs, the authors' code, falls back on its last iterate where its solver fails: such cases say nothing."""
    pytest.importorskip("ecos", reason="TorchJD's Nash-MTL needs it: pip install 'torchjd[nash-mtl]'")
    compared = 0
    for rows in CASES:
        theirs = oracle(torchjd.NashMTL(n_tasks=len(rows), max_norm=0.0, optim_niter=100), rows)
        weights = np.linalg.pinv(rows.T) @ theirs
        if np.abs(rows @ theirs * weights - 1).max() < 1e-5:  # it is a bargain
            assert nash(rows @ rows.T) @ rows == pytest.approx(theirs, abs=1e-5)
            compared += 1
    assert compared >= 10
