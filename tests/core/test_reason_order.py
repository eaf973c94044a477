"""Reasons do not depend on the last digit: the same names in the same order, whatever the batch and the processor round to."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from jenga_core.contracts import Batch, Part, Reference
from jenga_core.explaining.contributions import GRADIENTS, NOISE, OCCLUSION, Contributions, ranked
from jenga_core.explaining.occlusion import MOST, occlude
from jenga_core.explaining.reasons import listed

EPS = float(np.finfo(np.float32).eps)


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -0.25, -0.5, -1.0]), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_rounding_changes_no_rank(values, seed):
    noise = NOISE * sum(map(abs, values))
    rounding = np.random.default_rng(seed).uniform(-1, 1, len(values)) * noise / 4
    assert_array_equal(ranked(np.array(values) + rounding, noise), ranked(np.array(values), noise))


def test_the_largest_comes_first_and_equals_stay_in_their_places():
    assert ranked(np.array([0.1, -3.0, 0.1 + 1e-9, 2.0, 1e-9, 0.0]), 1e-6).tolist() == [1, 3, 0, 2]
    assert ranked(np.array([0.1 + 1e-9, -3.0, 0.1, 2.0]), 1e-6).tolist() == [1, 3, 0, 2]
    assert ranked(np.zeros(3), 0.0).tolist() == ranked(np.zeros(0), 0.0).tolist() == []


def of(method, columns, output=1.0):
    each = Contributions.of(method, 1)
    each.columns.update({name: np.array([value]) for name, value in columns.items()})
    each.output[:], each.size[:] = output, sum(map(abs, columns.values()))
    return [
        reason["feature"] for reason in listed(each, np.array([0]), pd.DataFrame({name: [1] for name in columns}), 9)[0]
    ]


def test_what_is_noise_is_no_reason():
    assert of(OCCLUSION, {"port": 0.5, "bytes": 4 * EPS, "host": -4 * EPS}) == ["port"]
    # of a difference the rounding is that of the outputs; an integral adds up small numbers, however large the output is
    assert of(OCCLUSION, {"port": 4 * EPS}) == []
    assert of(GRADIENTS, {"port": 4 * EPS}) == ["port"]
    assert of(GRADIENTS, {"port": 4 * EPS, "bytes": 0.0}, output=1e9) == ["port"]


def test_equals_are_listed_by_their_names():
    """A difference that is written, but no larger than what another batch may round to."""
    for columns in ({"port": 0.5, "bytes": 0.5 + 32 * EPS}, {"bytes": 0.5, "port": 0.5 + 32 * EPS}):
        assert of(OCCLUSION, columns) == ["bytes", "port"]


@pytest.mark.parametrize("columns", [3, MOST + 6])
def test_a_usual_cell_contributes_exactly_nothing_whatever_a_pass_rounds_to(columns):
    """The rounding of a pass depends on how many rows are in it, and on their places."""
    values = torch.randn(4, columns, generator=torch.Generator().manual_seed(0))
    values[:, ::2] = 0.0
    names = [f"c{at}" for at in range(columns)]
    batch = Batch("t", np.arange(4), {"x": Part(torch.arange(4), {"v": values})}, {})
    passes = iter(range(1, 10))

    def output(b):
        rounding = EPS * next(passes) * torch.linspace(-1, 1, len(b))
        return b.inputs["x"].data["v"].sum(dim=1) + rounding

    found = occlude(output, batch, {"x": Reference({"v": torch.zeros_like(values)}, {"v": names})}, {"x": "x"})
    assert all((found.falls[name] == 0).all() for name in names[::2])
    assert any((found.falls[name] != 0).all() for name in names[1::2])


def test_an_input_without_columns_that_is_usual_contributes_nothing():
    """Of the rows that have it; rows without it lose nothing by it."""
    values = torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]])
    batch = Batch("t", np.arange(3), {"x": Part(torch.tensor([0, 2]), {"v": values})}, {})
    passes = iter(range(1, 10))

    def output(b):
        part = b.inputs["x"]
        whole = torch.zeros(len(b)).index_add(0, part.rows, part.data["v"].sum(dim=(1, 2)))
        return whole + EPS * next(passes) * torch.linspace(1, 2, len(b))

    found = occlude(output, batch, {"x": Reference({"v": torch.zeros_like(values)})}, {"x": "sound"})
    assert found.falls["sound"][0] == pytest.approx(3)
    assert found.falls["sound"][1:].tolist() == [0, 0]
