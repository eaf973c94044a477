"""Windows: causal, within their group and their split, padded behind the row."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.errors import DataError
from jenga_security.table_config import WindowConfig
from jenga_security.windows import WindowProcessor

RNG = np.random.default_rng(0)


def cells(groups, times):
    size = len(groups)
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"host": groups, "at": times, "x": np.arange(size, dtype=float), "kind": rng.choice(["a", "b", "c"], size)}
    )


def fitted(table, length=4, **options):
    options = {"group": "host", "time": "at", "scaling": "none", "unseen_rate": 0.0, **options}
    processor = WindowProcessor(WindowConfig(length=length, **options))
    processor.fit(table)
    return processor


def windows(processor, encoded, rows, purpose="evaluate"):
    """The column x of each row's window, as lists: x is the row's number."""
    data = processor.collate(encoded, np.asarray(rows), purpose, RNG)
    return [line[mask].tolist() for line, mask in zip(data["numbers"][:, :, 0], data["mask"], strict=True)]


def expected(table, row, length, part=None):
    """Written out again: earlier rows of the same group, by time and then by place; up to the border of the split."""
    same = table.index[table["host"] == table["host"][row]] if "host" in table else table.index
    ordered = sorted(same, key=lambda at: (table["at"][at], at))
    before = ordered[: ordered.index(row) + 1][-length:]
    while part is not None and any(part[at] != part[row] for at in before):
        before = before[1:]
    return [float(at) for at in before]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=30),
    st.integers(1, 6),
    st.integers(0, 9),
)
def test_a_window_is_the_rows_before_within_group_and_split(rows, length, cut):
    table = cells([g for g, _ in rows], [t for _, t in rows])
    late = np.array([t >= cut for _, t in rows])
    processor = fitted(table, length)
    encoded = processor.encode(table)
    every = np.arange(len(table))
    assert windows(processor, encoded, every) == [expected(table, row, length) for row in every]
    divided = processor.divide(encoded, {"train": every[~late], "test": every[late]})
    assert windows(processor, divided, every) == [expected(table, row, length, late) for row in every]


def test_later_rows_and_other_groups_change_nothing():
    table = cells(["a", "b"] * 10, np.repeat(np.arange(10), 2))
    processor = fitted(table)
    before = processor.collate(processor.encode(table), np.array([8]), "evaluate", RNG)
    other = table.copy()
    other.loc[(other["at"] > 4) | (other["host"] == "b"), "x"] = 1e6
    after = processor.collate(processor.encode(other), np.array([8]), "evaluate", RNG)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_order_of_the_table_does_not_matter():
    table = cells(["a", "b", "c"] * 8, np.repeat(np.arange(8), 3))
    processor = fitted(table)
    mixed = table.sample(frac=1, random_state=0)
    one = windows(processor, processor.encode(table), mixed.index)
    two = windows(processor, processor.encode(mixed.reset_index(drop=True)), np.arange(len(mixed)))
    assert one == two


def test_without_group_and_time_the_table_is_one_series():
    table = cells(["a"] * 5, range(5)).drop(columns=["host", "at"])
    processor = fitted(table, 3, group=None, time=None)
    assert windows(processor, processor.encode(table), [0, 1, 4]) == [[0.0], [0.0, 1.0], [2.0, 3.0, 4.0]]


def test_times_are_read_as_times_and_groups_by_their_spelling():
    table = cells(
        [6, "6", 6.0, None, None], ["2026-01-10T00:00:00Z", "2026-01-02T00:00:00Z"] + ["2026-01-11T00:00:00Z"] * 3
    )
    processor = fitted(table)
    assert windows(processor, processor.encode(table), range(5)) == [[1.0, 0.0], [1.0], [1.0, 0.0, 2.0], [3.0], [4.0]]


def test_padding_is_behind_the_row_and_zero():
    table = cells(["a", "a", "a", "b"], [0, 1, 2, 0])
    processor = fitted(table)
    data = processor.collate(processor.encode(table), np.array([2, 3]), "evaluate", RNG)
    assert data["mask"].tolist() == [[True, True, True], [True, False, False]]
    assert data["numbers"].shape == (2, 3, 1)
    assert data["categories"].shape == (2, 3, 1)
    assert not data["numbers"][1, 1:].any()
    assert not data["categories"][1, 1:].any()


def test_training_shows_some_categories_as_unseen():
    table = cells(["a"] * 200, range(200))
    processor = fitted(table, 8, unseen_rate=0.3)
    encoded = processor.encode(table)
    codes = processor.collate(encoded, np.arange(100, 200), "train", np.random.default_rng(0))["categories"]
    assert 0.2 < float((codes == 0).float().mean()) < 0.4
    assert not (processor.collate(encoded, np.arange(100, 200), "evaluate", RNG)["categories"] == 0).any()


def test_splits_that_take_turns_in_a_group_are_refused():
    table = cells(["a", "b"] * 20, np.repeat(np.arange(20), 2))
    processor = fitted(table)
    encoded = processor.encode(table)
    mixed = np.random.default_rng(0).permutation(40)
    with pytest.raises(DataError, match=r"(?s)take turns within 2 of 2 groups of 'host'.*split: \{by: time"):
        processor.divide(encoded, {"train": mixed[:20], "test": mixed[20:]})
    by_group = {"train": np.arange(0, 40, 2), "test": np.arange(1, 40, 2)}
    assert windows(processor, processor.divide(encoded, by_group), [39]) == [[33.0, 35.0, 37.0, 39.0]]


def test_a_window_of_one_row_goes_with_any_split():
    table = cells(["a"] * 10, range(10))
    processor = fitted(table, 1)
    encoded = processor.divide(processor.encode(table), {"train": np.arange(0, 10, 2), "test": np.arange(1, 10, 2)})
    assert windows(processor, encoded, [3, 4]) == [[3.0], [4.0]]


def test_an_empty_table():
    table = cells(["a", "b"], [0, 1])
    processor = fitted(table)
    encoded = processor.divide(processor.encode(table.head(0)), {"all": np.arange(0)})
    assert len(encoded.present) == 0


@pytest.mark.parametrize(
    ("change", "what"), [({"host": None}, "'host', the window's `group`"), ({"at": None}, "`time`")]
)
def test_columns_that_are_not_there_are_named(change, what):
    table = cells(["a", "b"], [0, 1])
    with pytest.raises(DataError, match=what):
        fitted(table.drop(columns=list(change)))


def test_a_missing_time_names_the_row():
    table = cells(["a", "b", "a"], ["2026-01-01", None, "2026-01-03"])
    processor = fitted(table)
    with pytest.raises(DataError, match="no time that a window") as caught:
        processor.encode(table)
    assert (caught.value.row, caught.value.column) == (1, "at")


@pytest.mark.parametrize("wrong", [{"group": "x", "time": "x"}, {"group": "x", "categorical": ["x"]}])
def test_one_column_cannot_be_two_things(wrong):
    with pytest.raises(ValueError, match="group"):
        WindowConfig(**wrong)


def test_state_is_json_and_restores_it():
    table = cells(["a", "b"] * 5, range(10))
    processor = fitted(table)
    again = WindowProcessor(processor.config)
    again.restore(json.loads(json.dumps(processor.state())))
    assert windows(again, again.encode(table), range(10)) == windows(processor, processor.encode(table), range(10))
    assert again.facts() == processor.facts()


def test_baselines_get_the_row_and_its_window():
    table = cells(["a"] * 5 + ["b"] * 3, [0, 1, 2, 3, 4, 0, 1, 2])
    processor = fitted(table, 3)
    features = processor.classical(processor.encode(table), np.array([4, 0, 6]))
    assert features.categorical == (1,)
    x, mean, deviation = (features.matrix[:, at] for at in (0, 2, 3))
    np.testing.assert_allclose(x, [4, 0, 6])
    np.testing.assert_allclose(mean, [np.mean([2, 3, 4]), 0, 5.5])
    np.testing.assert_allclose(deviation, [np.std([2, 3, 4]), 0, 0.5])


# ------------------------------------------------------------------ rows that come in parts


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2)), min_size=1, max_size=30),
    st.integers(1, 6),
    st.lists(st.integers(1, 29), max_size=4),
)
def test_windows_go_on_over_parts(rows, length, cuts):
    """Times in order: what `context` keeps in front of each part gives the windows of the whole table."""
    table = cells([g for g, _ in rows], np.cumsum([step for _, step in rows]))
    processor = fitted(table, length)
    whole = windows(processor, processor.encode(table), table.index)
    found, before = [], table.iloc[:0]
    for part in np.split(np.arange(len(table)), sorted({cut for cut in cuts if cut < len(table)})):
        seen = pd.concat([before, table.iloc[part]])
        encoded = processor.encode(seen)
        found += windows(processor, encoded, np.arange(len(before), len(seen)))
        kept = processor.context(seen)
        before = table.iloc[:0] if kept is None else seen.iloc[kept]
    assert found == whole
    groups = table["host"].nunique()
    assert len(before) <= groups * (length - 1)


def test_nothing_is_kept_where_rows_stand_alone():
    table = cells(["a", "b"], [1, 2])
    assert fitted(table, 1).context(table) is None
    assert fitted(table, 3).context(table.iloc[:0]).tolist() == []
