"""Cells of any type become numbers or names; nothing is lost, nothing is guessed."""

import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jenga_security.cells import ABSENT, INFINITE, NUMBER, TEXT, name, names, numbers

CELLS = [
    (1, 1.0, NUMBER),
    (True, 1.0, NUMBER),
    (" 1e5 ", 1e5, NUMBER),
    ("TRUE", 1.0, NUMBER),
    ("false", 0.0, NUMBER),
    (decimal.Decimal("2.5"), 2.5, NUMBER),
    (10**30, 1e30, NUMBER),
    (10**400, np.nan, INFINITE),
    (float("-inf"), np.nan, INFINITE),
    ("Infinity", np.nan, INFINITE),
    (None, np.nan, ABSENT),
    (float("nan"), np.nan, ABSENT),
    ("", np.nan, ABSENT),
    ("-", np.nan, ABSENT),
    ("N/A", np.nan, ABSENT),
    (pd.NA, np.nan, ABSENT),
    ("abc", np.nan, TEXT),
    ("0x1f", np.nan, TEXT),
    ("1_000", np.nan, TEXT),
    ([1, 2], np.nan, TEXT),
    (pd.Timestamp("2026-01-01"), np.nan, TEXT),
]


@pytest.mark.parametrize(("cell", "value", "mark"), CELLS, ids=lambda v: str(v)[:12])
def test_a_cell_alone(cell, value, mark):
    values, marks = numbers(pd.Series([cell], dtype=object))
    np.testing.assert_array_equal(values, [value])
    assert marks.tolist() == [mark]


def test_all_cells_in_one_column_read_as_they_do_alone():
    values, marks = numbers(pd.Series([c for c, _, _ in CELLS], dtype=object))
    np.testing.assert_array_equal(values, [v for _, v, _ in CELLS])
    assert marks.tolist() == [m for _, _, m in CELLS]


@pytest.mark.parametrize(
    "dtype", ["Int64", "Float64", "float32", "int8", "uint64", "double[pyarrow]", "int64[pyarrow]"]
)
def test_native_types(dtype):
    column = pd.Series([1, 2, 3], dtype=dtype)
    assert numbers(column)[0].tolist() == [1.0, 2.0, 3.0]
    if dtype in ("Int64", "Float64", "double[pyarrow]", "int64[pyarrow]"):
        assert numbers(pd.Series([1, None], dtype=dtype))[1].tolist() == [NUMBER, ABSENT]


@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]"])
def test_booleans_are_one_and_zero(dtype):
    assert numbers(pd.Series([True, False], dtype=dtype))[0].tolist() == [1.0, 0.0]


def test_time_differences_are_seconds_and_dates_are_no_numbers():
    assert numbers(pd.Series(pd.to_timedelta([1500], unit="ms")))[0].tolist() == [1.5]
    assert numbers(pd.Series(pd.to_datetime(["2026-01-01"])))[1].tolist() == [TEXT]


@given(st.lists(st.one_of(st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=5)), max_size=20))
def test_every_column_reads_cell_by_cell(cells):
    values, marks = numbers(pd.Series(cells, dtype=object))
    assert len(values) == len(marks) == len(cells)
    assert np.isfinite(values[marks == NUMBER]).all()
    assert np.isnan(values[marks != NUMBER]).all()
    for at, cell in enumerate(cells):
        alone, mark = numbers(pd.Series([cell], dtype=object))
        np.testing.assert_array_equal(alone, values[at : at + 1])
        assert mark[0] == marks[at]


@pytest.mark.parametrize(
    ("value", "spelt"),
    [(6, "6"), (6.0, "6"), ("6", "6"), (np.int8(6), "6"), (True, "true"), (" tcp ", "tcp"), ("  ", None)],
)
def test_one_spelling_for_a_name(value, spelt):
    assert name(value) == spelt


def test_a_category_reads_the_same_whatever_the_file_made_of_it():
    spellings = []
    for column in ([80, 443], [80.0, 443.0], ["80", "443"]):
        codes, found = names(pd.Series(column))
        spellings.append([found[c] for c in codes])
    assert spellings[0] == spellings[1] == spellings[2]
