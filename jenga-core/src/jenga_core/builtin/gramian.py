"""How much each task's gradient counts, from the Gramian of the tasks' gradients alone.

With one gradient g_i of the shared parameters per task, every method here takes a step along ``sum_i w_i g_i``, and its
weights w depend on nothing but the inner products K[i, j] = <g_i, g_j>: k x k numbers, however many parameters there are.
Pure functions of float64 arrays; the symbols are those of the papers.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, nnls

from ..contracts import Array

RIDGE = 1e-10  # keeps opposed or repeated gradients from making a system singular
NEWTON_STEPS = 100


def cosines(gramian: Array) -> Array:
    """[k, k]; NaN where a gradient is zero."""
    norms = np.sqrt(np.diag(gramian))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.clip(gramian / np.outer(norms, norms), -1.0, 1.0)
    return found


def pcgrad(gramian: Array, rng: np.random.Generator) -> Array:
    """Yu et al. (2020), algorithm 1: each gradient loses what it has against each of the others, taken in random order.

    A projected gradient stays a combination of the g_j, so it is followed by its coefficients.
    """
    k = len(gramian)
    total = np.zeros(k)
    for i in range(k):
        mine = np.eye(k)[i]
        for j in rng.permutation(k):
            against = gramian[j] @ mine
            if j != i and against < 0:
                mine[j] -= against / gramian[j, j]
        total += mine
    return total


def mgda(gramian: Array) -> Array:
    """Sener and Koltun (2018): the convex combination of least norm, which improves every task or is zero.

    Exact, where the paper iterates: with K = A'A, least squares ``|A x|^2 + (sum(x) - 1)^2`` over x >= 0 has its solution on
    the ray of the constrained one.
    """
    k = len(gramian)
    found, _ = nnls(np.vstack([_factor(gramian), np.ones(k)]), np.append(np.zeros(k), 1.0))
    weights: Array = found / found.sum()
    return weights


def cagrad(gramian: Array, c: float) -> Array:
    """Liu et al. (2021), equation 2: of the steps d with ``|d - g_0| <= c |g_0|`` the one whose least ``<g_i, d>`` is largest.

    g_0 is the mean gradient. Solved as it stands, in coordinates of the gradients' span, and not through the paper's dual,
    whose slope is undefined where the tasks are at odds. A single task keeps its gradient.
    """
    k, rows = len(gramian), _factor(gramian)
    mean = rows @ np.full(k, 1 / k)
    radius = c * float(np.linalg.norm(mean))
    if radius == 0 or k == 1:
        return np.full(k, 1 / k)
    slopes = np.hstack([rows.T, -np.ones((k, 1))])  # of <g_i, d> - t over the unknowns (d, t)
    constraints = [
        {"type": "ineq", "fun": lambda x: slopes @ x, "jac": lambda x: slopes},
        {
            "type": "ineq",
            "fun": lambda x: radius**2 - ((x[:-1] - mean) ** 2).sum(),
            "jac": lambda x: np.append(-2 * (x[:-1] - mean), 0.0),
        },
    ]
    start, rise = np.append(mean, (rows.T @ mean).min()), np.append(np.zeros(k), -1.0)
    options = {"ftol": 1e-13, "maxiter": 500}
    found = minimize(
        lambda x: -x[-1], start, jac=lambda x: rise, constraints=constraints, method="SLSQP", options=options
    )
    weights: Array = np.linalg.pinv(rows, rcond=1e-7) @ found.x[:-1]
    return weights


def nash(gramian: Array) -> Array:
    """Navon et al. (2022), equation 2: the weights of Nash's bargaining solution, ``K w = 1 / w`` with w > 0.

    That is the least point of the convex ``w'Kw / 2 - sum(log w)``, which is self-concordant: Newton's method with steps of
    1 / (1 + decrement) stays at w > 0 and arrives (Nesterov and Nemirovski, 1994). The step has the norm sqrt(k) whatever
    the gradients' sizes: a factor of a task's loss changes nothing. A task whose gradient is zero has weight 0.
    """
    active = np.flatnonzero(np.diag(gramian) > 0)
    weights = np.zeros(len(gramian))
    if not len(active):
        return weights
    some = cosines(gramian)[np.ix_(active, active)]  # in units of each gradient's norm, which w takes back at the end
    system, w = some + np.eye(len(active)) * RIDGE, np.ones(len(active))
    for _ in range(NEWTON_STEPS):
        slope = system @ w - 1 / w
        step = np.linalg.solve(system + np.diag(1 / w**2), slope)
        decrement = max(float(slope @ step), 0.0) ** 0.5
        w = w - step / (1 + decrement if decrement > 0.25 else 1)
        if decrement < 1e-9:
            break
    weights[active] = w / np.sqrt(np.diag(gramian)[active])
    return weights


def _factor(gramian: Array) -> Array:
    """A [k, k] with ``A'A`` = the Gramian over its mean squared norm: columns are the gradients in an orthonormal basis.

    Weights do not depend on the gradients' common scale; solvers' tolerances do.
    """
    scale = float(np.diag(gramian).mean())
    squared, directions = np.linalg.eigh(gramian / scale if scale > 0 else gramian)
    found: Array = np.sqrt(np.clip(squared, 0, None))[:, None] * directions.T
    return found
