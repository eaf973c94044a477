"""What a column is: found out once, kept as JSON, and the same for a cell whatever stands beside it."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.cells import Numerals, Written, spelt
from jenga_core.column_types import ColumnType, infer


def text(*cells: str | None) -> pd.Series:
    return pd.Series([c or None for c in cells], dtype="str", name="c")


def found(*cells: str | None, written: bool = False) -> ColumnType:
    """Of a file of text with these cells."""
    return infer([(text(*cells), True)], written=written)[0]


def values(cells: Any) -> list[Any]:
    return [None if pd.isna(v) else v for v in cells]


@pytest.mark.parametrize(
    ("cells", "form", "as_written"),
    [
        (["7", "12", "-3"], "integer", "integer"),
        (["6.0", "17.0", None], "float", "float"),
        (["0.25", "1.5"], "float", "float"),
        (["007", "12"], "integer", "text"),
        (["1.10", "1.1"], "float", "text"),
        (["1e5", "2"], "float", "text"),
        (["12e45", "34e12"], "float", "text"),
        (["+5", "6"], "integer", "text"),
        (["-0", "6"], "integer", "text"),
        ([str(2**70), "1"], "integer", "text"),
        (["0712345678", "0733123456"], "integer", "text"),
        (["0.12345678901234567", "0.5"], "float", "text"),
        (["0.00001", "0.5"], "float", "text"),
        (["true", "false", None], "boolean", "boolean"),
        (["True", "true"], "boolean", "text"),
        (["A12", "007"], "text", "text"),
        (["NA", "7"], "integer", "integer"),
        ([None, None], "float", "float"),
    ],
)
def test_what_a_column_of_text_is(cells, form, as_written):
    assert found(*cells).form == form
    assert found(*cells, written=True).form == as_written


def test_what_plain_numbers_are_called_is_what_the_number_is_called():
    """6 and 6.0 are one name, in text and as a number, beside anything."""
    codes = found("6.0", "17.0", written=True)
    for cells in (text("6.0"), text("6"), pd.Series([6]), pd.Series([6.0, np.nan]), text("6.0", "A")):
        assert spelt(values(codes.read(cells))[0]) == "6"
    assert values(codes.read(text("06", "6.0"))) == ["06", "6"]


@pytest.mark.parametrize("beside", [[], ["12"], ["A12"], [None], ["1.5"], ["NA"]])
def test_a_cell_is_the_same_whatever_stands_beside_it(beside):
    names, numbers = found("007", "A12", written=True), found("7", "1.5")
    assert values(names.read(text("007", *beside)))[0] == "007"
    assert float(values(numbers.read(text("007", *beside)))[0]) == 7.0


def test_truth_is_spelt_as_training_spelt_it():
    flags = found("True", "False", written=True)
    for cells in (pd.Series([True, False]), text("true", "FALSE"), text("1", "0"), pd.Series([1, 0])):
        assert values(flags.read(cells)) == ["True", "False"]
    native = infer([(pd.Series([True, False]), False)], written=True)[0]
    assert native.read(text("true", "False")).dtype == bool
    assert values(native.read(text("true", None))) == [True, None]


def test_times_are_spelt_as_training_spelt_them():
    days = found("2026-01-31", "2026-02-01", written=True)
    assert values(days.read(pd.Series(pd.to_datetime(["2026-01-31"])))) == ["2026-01-31"]
    hours = found("2026-01-31 10:00:00", written=True)
    assert values(hours.read(pd.Series([pd.Timestamp("2026-01-31 10:00")]))) == ["2026-01-31 10:00:00"]
    native = infer([(pd.Series(pd.to_datetime(["2026-01-31"])), False)], written=False)[0]
    assert native.read(text("2026-01-31")).iloc[0] == pd.Timestamp("2026-01-31")
    assert values(native.read(text("soon"))) == ["soon"], "who needs a time says that it is none"


def test_pieces_of_several_files():
    both = [(text("7", "12"), True), (text("A12"), True)]
    assert infer(both, written=False) == (ColumnType("text"), ["integer", "text"])
    assert infer([(text("7"), True), (pd.Series([1.5]), False)], written=False)[0].form == "float"
    assert infer([(pd.Series([[1]], dtype=object), False), (text("7"), True)], written=True)[0].form == "other"


def test_marks_are_missing_among_numbers_unless_the_source_says_which_are():
    assert values(found("7", "1").read(text("NA", "7"))) == [None, 7]
    own = infer([(text("7", "8"), True)], written=False, numerals=Numerals(missing=()))[0]
    assert values(own.read(text("NA", "7"))) == ["NA", "7"]


def test_numbers_of_json_keep_their_spelling():
    cells = [Written.read(t) for t in ("1.10", "2.0", "0.5", "1e5")]
    assert [type(c) is Written for c in cells] == [True, True, False, True]
    assert [spelt(c) for c in cells] == ["1.10", "2.0", "0.5", "1e5"]
    assert cells[0] == 1.1


def test_lists_stay_what_they_are():
    names = ColumnType("text", written=True)
    assert names.read(pd.Series([["a"], 6.0, date(2026, 1, 2)], dtype=object)).tolist() == [["a"], "6", "2026-01-02"]


cell = st.one_of(
    st.none(),
    st.sampled_from(["007", "7", "7.0", "1.10", "1e5", "NA", "true", "True", "A12", "2026-01-31", " 7 ", "-", "0x1F"]),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False).map(repr),
)


@settings(max_examples=300, deadline=None)
@given(
    trained=st.lists(cell, min_size=1, max_size=6), read=st.lists(cell, min_size=1, max_size=6), written=st.booleans()
)
def test_reading_is_cell_by_cell_and_reading_again_changes_nothing(trained, read, written):
    """Of any column and any cells: what a cell is does not hang on its neighbours, and the state as JSON says it all."""
    kind = found(*trained, written=written)
    assert ColumnType.of_state(json.loads(json.dumps(kind.state()))) == kind
    together = pd.Series(kind.read(text(*read)))
    assert [_meaning(v, written) for v in kind.read(together)] == [_meaning(v, written) for v in together]
    for at, one in enumerate(read):
        alone = kind.read(text(one)).iloc[0]
        assert _meaning(alone, written) == _meaning(together.iloc[at], written), (kind, one)


def _meaning(value: Any, written: bool) -> Any:
    """A name, or the number that whoever needs numbers makes of it: text beside text says the same one."""
    text = "" if pd.isna(value) else spelt(value).strip()
    if text in ("NA", ""):
        return None
    try:
        return text if written else float(text)
    except ValueError:
        return text


def test_folders_of_before_named_pandas_types():
    assert ColumnType.of_state("int64").form == "integer"
    assert ColumnType.of_state("float64").form == "float"
    assert ColumnType.of_state("str").form == "text"
    assert ColumnType.of_state("datetime64[us]").form == "time"
