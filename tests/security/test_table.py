"""security/table: what is fitted, what is encoded, and what bad input does."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jenga_core.errors import DataError
from jenga_security.columns import FIRST, MISSING, UNSEEN
from jenga_security.config import TableConfig
from jenga_security.processors import TableProcessor
from jenga_security.scaling import Quantiles

RNG = np.random.default_rng(0)
ALL = slice(None)


def table(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "bytes": np.exp(rng.normal(8, 2, rows)),
            "port": rng.choice([22, 53, 80, 443], rows),
            "protocol": rng.choice(["tcp", "udp"], rows),
            "encrypted": rng.random(rows) < 0.5,
        }
    )


def fitted(cells, **options):
    processor = TableProcessor(TableConfig(**options))
    processor.fit(cells)
    return processor


def numbers(encoded):
    return np.asarray(encoded.columns["numbers"])


def codes(encoded):
    return np.asarray(encoded.columns["categories"])


# ------------------------------------------------------------------ kinds of columns


def test_kinds_are_detected():
    facts = fitted(table()).facts()
    assert facts["names"] == {"numbers": ["bytes", "port", "encrypted"], "categories": ["protocol"]}
    assert facts["numbers"] == 3
    assert facts["categories"] == [FIRST + 2]


def test_numbers_listed_as_categorical_become_names():
    facts = fitted(table(), categorical=["port"]).facts()
    assert facts["names"]["categories"] == ["port", "protocol"]
    assert facts["categories"] == [FIRST + 4, FIRST + 2]


def test_text_that_reads_as_numbers_is_numbers():
    cells = pd.DataFrame({"x": ["1", "2", "-", "1e3"]})
    assert fitted(cells).facts()["names"]["numbers"] == ["x", "x is missing"]


def test_some_numbers_and_some_text_is_an_error_that_names_the_cell():
    cells = pd.DataFrame({"x": [1, 2, "three", 4]})
    with pytest.raises(DataError, match=r"row 3, column 'x'.*\n.*categorical"):
        fitted(cells)
    assert fitted(cells, categorical=["x"]).facts()["categories"] == [FIRST + 4]


def test_listing_text_as_numeric_is_an_error():
    with pytest.raises(DataError, match=r"row 1, column 'protocol': '(tcp|udp)' is not a number"):
        fitted(table(), numeric=["protocol"])


def test_numeric_makes_numbers_of_a_column_whose_training_rows_are_all_text_marks():
    cells = pd.DataFrame({"x": [None, None], "y": [1.0, 2.0]})
    assert fitted(cells, numeric=["x"]).facts()["names"]["numbers"][0] == "x"


def test_a_listed_column_that_is_not_there_names_the_nearest():
    with pytest.raises(DataError, match="did you mean: port"):
        fitted(table(), categorical=["prot"])


def test_a_column_cannot_be_both():
    with pytest.raises(ValidationError, match="listed as `numeric` and as `categorical`"):
        TableConfig(numeric=["a"], categorical=["a"])


def test_an_identifier_is_refused_unless_listed():
    cells = pd.DataFrame({"id": [f"u{i}" for i in range(300)], "x": range(300)})
    with pytest.raises(DataError, match=r"column 'id' holds 300 different texts.*\n.*exclude"):
        fitted(cells)
    assert fitted(cells, categorical=["id"], max_categories=10).facts()["categories"] == [FIRST + 10]


# ------------------------------------------------------------------ scaling


def test_standard_scaling_on_training_rows():
    cells = table()
    encoded = fitted(cells, scaling="standard").encode(cells)
    assert numbers(encoded).mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-5)
    assert numbers(encoded).std(axis=0) == pytest.approx(np.ones(3), abs=1e-5)


def test_quantile_scaling_gives_normal_scores_and_keeps_the_order():
    cells = table(2000)
    scaled = numbers(fitted(cells, scaling="quantile").encode(cells))[:, 0]
    assert abs(scaled.mean()) < 0.02
    assert scaled.std() == pytest.approx(1, abs=0.03)
    order = np.argsort(cells["bytes"].to_numpy())
    assert (np.diff(scaled[order]) >= 0).all()


def test_quantile_scaling_puts_a_tie_in_the_middle_of_its_ranks():
    cells = pd.DataFrame({"x": [0.0] * 500 + list(np.linspace(1, 2, 500))})
    scaled = numbers(fitted(cells).encode(cells))[:, 0]
    assert scaled[0] == pytest.approx(-0.8, abs=0.05)  # the mean of the lower half of a standard normal distribution


def test_none_leaves_numbers_as_they_are():
    cells = pd.DataFrame({"x": [1.0, 2.0, 5000.0]})
    assert numbers(fitted(cells, scaling="none").encode(cells))[:, 0].tolist() == [1.0, 2.0, 5000.0]


@pytest.mark.parametrize("scaling", ["standard", "quantile", "none"])
def test_constant_columns_and_huge_values_stay_finite(scaling):
    cells = pd.DataFrame({"constant": [7, 7, 7, 7], "huge": [10**30, 1, 2**64, 10**300], "small": [1e-300, 0, 0, 0]})
    processor = fitted(cells, scaling=scaling)
    new = pd.DataFrame({"constant": [8, -(10**300)], "huge": [1e308, -1e308], "small": [1.0, -1e308]})
    assert np.isfinite(numbers(processor.encode(cells))).all()
    assert np.isfinite(numbers(processor.encode(new))).all()


def test_a_constant_column_is_zero_when_standardised():
    cells = pd.DataFrame({"x": [7.1] * 5})
    assert np.abs(numbers(fitted(cells, scaling="standard").encode(cells))).max() < 1e-6


# ------------------------------------------------------------------ missing, infinite, unseen


def test_missing_cells_get_the_median_and_an_indicator_where_training_had_them():
    cells = pd.DataFrame({"x": [1.0, 2.0, 3.0, None], "y": [1.0, 2.0, 3.0, 4.0]})
    processor = fitted(cells, scaling="none")
    encoded = processor.encode(pd.DataFrame({"x": [None, 5.0], "y": [2.0, None]}))
    assert processor.facts()["names"]["numbers"] == ["x", "y", "x is missing"]
    assert numbers(encoded).tolist() == [[2.0, 2.0, 1.0], [5.0, 2.0, 0.0]]
    assert processor.counts(encoded, ALL) == {"column 'x': missing": 1, "column 'y': missing": 1}


def test_infinite_cells_are_missing_and_counted_apart():
    cells = pd.DataFrame({"x": [1.0, 2.0, np.inf, -np.inf, None, "inf"]})
    processor = fitted(cells, scaling="none")
    encoded = processor.encode(cells)
    assert processor.counts(encoded, ALL) == {"column 'x': infinite, taken as missing": 3, "column 'x': missing": 1}
    assert np.isfinite(numbers(encoded)).all()


def test_missing_error_names_the_row_and_the_column():
    cells = pd.DataFrame({"x": [1.0, 2.0], "p": ["a", "b"]})
    processor = fitted(cells, missing="error")
    with pytest.raises(DataError, match="row 2, column 'p'"):
        processor.encode(pd.DataFrame({"x": [1.0, 2.0], "p": ["a", None]}))


def test_ninety_nine_percent_missing():
    cells = pd.DataFrame({"x": [5.0] + [None] * 99, "y": range(100)})
    encoded = fitted(cells).encode(cells)
    assert np.isfinite(numbers(encoded)).all()
    assert numbers(encoded)[:, 2].tolist() == [0.0] + [1.0] * 99
    assert encoded.present.all()


def test_a_column_without_any_value_is_zero():
    cells = pd.DataFrame({"x": [None, None], "y": [1, 2]})
    assert numbers(fitted(cells).encode(cells))[:, 0].tolist() == [0.0, 0.0]


def test_a_row_without_any_cell_is_not_present_and_is_counted():
    cells = pd.DataFrame({"x": [1.0, None, None], "p": ["a", None, "b"]})
    encoded = fitted(cells).encode(cells)
    assert encoded.present.tolist() == [True, False, True]
    assert encoded.excluded == {"every cell is missing": 1}


def test_unseen_categories_share_the_reserved_code_and_are_counted():
    processor = fitted(table())
    new = table(4).assign(protocol=["tcp", "icmp", None, "quic"])
    encoded = processor.encode(new)
    assert codes(encoded)[1:, 0].tolist() == [UNSEEN, MISSING, UNSEEN]
    assert codes(encoded)[0, 0] >= FIRST
    assert processor.counts(encoded, ALL) == {
        "column 'protocol': missing": 1,
        "column 'protocol': unseen category": 2,
    }


def test_rare_categories_are_pooled_into_the_unseen_code():
    cells = pd.DataFrame({"p": ["a"] * 5 + ["b"] * 3 + ["c"] * 2 + ["d"]})
    encoded = fitted(cells, max_categories=2).encode(cells)
    assert codes(encoded)[:, 0].tolist() == [2] * 5 + [3] * 3 + [0] * 3


def test_text_among_numbers_at_prediction_names_row_and_column():
    processor = fitted(table())
    new = table(3).astype({"bytes": object})
    new.loc[1, "bytes"] = "many"
    with pytest.raises(DataError, match="row 2, column 'bytes': 'many' is not a number"):
        processor.encode(new)


def test_a_missing_column_at_prediction_names_the_nearest():
    with pytest.raises(DataError, match="no column 'bytes'"):
        fitted(table()).encode(table().drop(columns="bytes"))


def test_two_columns_of_one_name_are_refused():
    cells = pd.DataFrame([[1, 2], [3, 4]], columns=["x", "x"])
    with pytest.raises(DataError, match="more than one column 'x'"):
        fitted(cells)


# ------------------------------------------------------------------ state, collate, classical


def test_state_is_json_and_restores_the_same_encoding():
    cells = table()
    processor = fitted(cells, categorical=["port"])
    state = json.loads(json.dumps(processor.state(), allow_nan=False))
    other = TableProcessor(TableConfig(categorical=["port"]))
    other.restore(state)
    assert other.facts() == processor.facts()
    for key, column in processor.encode(cells).columns.items():
        np.testing.assert_array_equal(column, other.encode(cells).columns[key])


def test_poisoned_validation_and_test_rows_leave_the_state_byte_identical():
    cells, train = table(300), np.arange(200)
    poisoned = cells.copy().astype({"bytes": object, "protocol": object})
    poisoned.loc[200:, "bytes"] = 1e30
    poisoned.loc[200:, "protocol"] = "poison"
    states = [json.dumps(fitted(c.iloc[train]).state()) for c in (cells, cells.iloc[:200], poisoned.infer_objects())]
    assert states[0] == states[1] == states[2]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["standard", "quantile", "none"]))
def test_fit_is_deterministic_and_encoding_is_row_by_row(seed, scaling):
    cells = table(50, seed)
    processor = fitted(cells, scaling=scaling)
    assert json.dumps(processor.state()) == json.dumps(fitted(cells, scaling=scaling).state())
    whole, rows = processor.encode(cells), np.random.default_rng(seed).permutation(50)[:20]
    some = processor.encode(cells.iloc[rows].reset_index(drop=True))
    for key in ("numbers", "categories"):
        np.testing.assert_array_equal(np.asarray(whole.columns[key])[rows], some.columns[key])


def test_collate_gives_the_rows_asked_for():
    processor = fitted(table())
    encoded = processor.encode(table())
    batch = processor.collate(encoded, np.array([5, 1]), "evaluate", RNG)
    np.testing.assert_array_equal(batch["numbers"].numpy(), numbers(encoded)[[5, 1]])
    np.testing.assert_array_equal(batch["categories"].numpy(), codes(encoded)[[5, 1]])


def test_training_batches_show_some_categories_as_unseen_and_the_encoding_stays():
    processor = fitted(table(), unseen_rate=0.3)
    encoded = processor.encode(table())
    before = codes(encoded).copy()
    seen = processor.collate(encoded, np.arange(200), "train", np.random.default_rng(1))["categories"].numpy()
    again = processor.collate(encoded, np.arange(200), "train", np.random.default_rng(1))["categories"].numpy()
    assert 0.2 < (seen == UNSEEN).mean() < 0.4
    np.testing.assert_array_equal(seen, again)
    np.testing.assert_array_equal(codes(encoded), before)


def test_classical_features_keep_missing_cells_missing():
    cells = pd.DataFrame({"x": [1.0, None, 3.0], "p": ["a", "b", None]})
    processor = fitted(cells, scaling="none")
    classical = processor.classical(processor.encode(cells), np.array([0, 1, 2]))
    np.testing.assert_array_equal(classical.matrix, [[1.0, FIRST], [np.nan, FIRST + 1], [3.0, np.nan]])
    assert classical.categorical == (1,)


def test_what_was_detected_is_told():
    wide = pd.DataFrame({f"n{at}": [1.0, 2.0] for at in range(14)} | {"kind": ["a", "b"]})
    processor = TableProcessor(TableConfig())
    processor.fit(wide)
    numbers, categories = processor.notes()
    assert numbers == "numbers: " + ", ".join(f"n{at}" for at in range(12)) + " and 2 more"
    assert categories == "categories: kind (2)"
    processor.fit(wide[["kind"]])
    assert processor.notes() == ["categories: kind (2)"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40, unique=True),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40),
    st.randoms(use_true_random=False),
)
def test_quantiles_are_those_of_numpy_to_the_last_bit(points, values, random):
    points = sorted(points)
    scores = sorted(random.gauss(0, 1) for _ in points)
    values = np.array([*values, *points, *np.nextafter(points, np.inf)])
    with np.errstate(over="ignore", invalid="ignore"):
        found = Quantiles(tuple(points), tuple(scores)).apply(values)
        want = np.interp(values, points, scores)
    assert found.tobytes() == want.tobytes()
