"""security/table: what is fitted, what is encoded, and what bad input does."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jenga_core.errors import DataError
from jenga_security.columns import FIRST, MISSING, UNSEEN, bucket
from jenga_security.processors import TableProcessor
from jenga_security.scaling import Quantiles
from jenga_security.table_config import TableConfig

RNG = np.random.default_rng(0)
ALL = slice(None)


def table(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "bytes": np.exp(rng.normal(8, 2, rows)),
            "ttl": rng.choice([22, 53, 80, 443], rows),
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
    """Trap 19 of the original: columns of text stopped it."""
    facts = fitted(table()).facts()
    assert facts["names"] == {"numbers": ["bytes", "ttl", "encrypted"], "categories": ["protocol"]}
    assert facts["numbers"] == 3
    assert facts["categories"] == [FIRST + 2]


def test_numbers_listed_as_categorical_become_names():
    facts = fitted(table(), categorical=["ttl"]).facts()
    assert facts["names"]["categories"] == ["ttl", "protocol"]
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
    with pytest.raises(DataError, match="did you mean: ttl"):
        fitted(table(), categorical=["ttll"])


def test_a_column_cannot_be_both():
    with pytest.raises(ValidationError, match="listed as `numeric` and as `categorical`"):
        TableConfig(numeric=["a"], categorical=["a"])


def test_identifiers_are_left_out_with_a_note_unless_listed():
    cells = pd.DataFrame({"id": [f"u{i}" for i in range(300)], "x": RNG.normal(size=300)})
    processor = fitted(cells)
    assert processor.facts()["names"] == {"numbers": ["x"], "categories": []}
    assert processor.notes()[1] == "identifiers or free text, left out (`hashed:` or `categorical:` reads them): id"
    assert fitted(cells, categorical=["id"], max_categories=10).facts()["categories"] == [FIRST + 10]
    assert fitted(cells, hashed=["id"]).facts()["names"]["categories"] == ["id"]
    assert "id" not in processor.state()["columns"]


def test_times_are_left_out_with_a_note_unless_listed():
    days = pd.date_range("2026-01-31", periods=40)
    cells = pd.DataFrame({"seen": days, "said": days.astype(str), "kind": ["a", "b"] * 20})
    assert fitted(cells).facts()["names"] == {"numbers": [], "categories": ["kind"]}
    assert fitted(cells).notes()[1].endswith("elapsed time): seen, said")
    assert len(fitted(cells, dates=["seen"]).facts()["names"]["numbers"]) == 5
    assert fitted(cells, categorical=["said"]).facts()["names"]["categories"] == ["said", "kind"]


def test_a_table_of_which_nothing_is_left_is_an_error_that_says_why():
    cells = pd.DataFrame({"id": [f"u{i}" for i in range(300)], "at": pd.date_range("2026-01-31", periods=300)})
    with pytest.raises(
        DataError, match=r"no column is left.*free text, left out.*: id; times, left out.*: at\n.*hashed"
    ):
        fitted(cells)


@pytest.mark.parametrize("scaling", ["quantile", "standard", "log"])
@pytest.mark.parametrize("cell", [7, 7.5, None])
def test_a_constant_column_is_told_and_has_no_effect_whatever_it_holds_later(scaling, cell):
    cells = pd.DataFrame({"x": RNG.normal(size=60), "c": pd.Series([cell] * 60, dtype="float64")})
    processor = fitted(cells, scaling=scaling)
    assert processor.notes()[-1].endswith("in every training row, so without effect: c") or cell is None
    assert processor.notes()[-1].endswith("so without effect: c")
    new = processor.encode(cells.assign(c=np.linspace(-1e9, 1e9, 60)))
    assert numbers(new)[:, 1].tolist() == [0.0] * 60


def test_a_constant_category_is_told():
    cells = pd.DataFrame({"x": RNG.normal(size=60), "c": ["tcp"] * 60})
    assert fitted(cells).notes()[-1] == "the same in every training row, so without effect: c"


def test_a_column_of_decimals_that_rises_from_row_to_row_is_doubted_and_kept():
    cells = pd.DataFrame(
        {"at": 1.7e9 + np.sort(RNG.random(60)), "steps": np.arange(60) // 1.5, "x": RNG.normal(size=60)}
    )
    processor = fitted(cells)
    assert processor.facts()["names"]["numbers"] == ["at", "steps", "x"]
    assert processor.notes()[-1].endswith("(`exclude:` leaves it out): at, steps")
    assert len(fitted(cells[:49]).notes()) == 1
    assert len(fitted(cells.sample(frac=1, random_state=0)).notes()) == 1


@pytest.mark.parametrize("name", ["Unnamed: 0", "id", "anything"])
@pytest.mark.parametrize(
    "numbers", [np.arange(60), np.arange(60)[::-1] - 7, np.arange(60) * 3, np.arange(60) ** 2 + 10**12]
)
def test_row_numbers_are_left_out_loudly_unless_they_are_listed(name, numbers):
    cells = pd.DataFrame({name: numbers, "x": RNG.normal(size=60)})
    left = fitted(cells)
    assert left.facts()["names"]["numbers"] == ["x"]
    assert left.notes()[-1].startswith(
        "WARNING: whole numbers that rise from row to row, taken for row numbers and left out"
    )
    assert left.notes()[-1].endswith(f": {name}")
    np.testing.assert_array_equal(
        left.encode(cells).columns["numbers"], fitted(cells[["x"]]).encode(cells).columns["numbers"]
    )
    for options in ({"numeric": [name]}, {"categorical": [name]}, {"overrides": {name: {"scaling": "log"}}}):
        assert name in fitted(cells, **options).read_as()
    listed = TableProcessor(TableConfig())
    listed.confirmed([name, "x"])
    listed.fit(cells)
    assert set(listed.read_as()) == {name, "x"}


@pytest.mark.parametrize("change", ["few rows", "ties", "a gap", "another order", "decimals", "booleans"])
def test_what_is_no_row_number_is_kept(change):
    changed = {
        "few rows": pd.Series(range(40)),
        "ties": pd.Series(range(120)) // 2,
        "a gap": pd.Series(range(60)).where(pd.Series(range(60)) != 7),
        "another order": pd.Series(range(60)).sample(frac=1, random_state=0).reset_index(drop=True),
        "decimals": pd.Series(range(60)) / 2,
        "booleans": pd.Series([False, True]),
    }[change]
    cells = pd.DataFrame({"n": changed, "x": RNG.normal(size=len(changed))})
    assert "n" in fitted(cells).read_as()


def test_notes_survive_the_model_folder():
    cells = pd.DataFrame({"x": RNG.normal(size=60), "c": ["tcp"] * 60})
    other = TableProcessor(TableConfig())
    other.restore(json.loads(json.dumps(fitted(cells).state())))
    assert other.notes() == fitted(cells).notes()


# ------------------------------------------------------------------ options of single columns


def test_overrides_are_of_one_column():
    cells = table(2000).assign(packets=lambda t: t["bytes"] / 100)
    processor = fitted(cells, overrides={"bytes": {"scaling": "log"}, "protocol": {"max_categories": 1}})
    scaled = numbers(processor.encode(cells))
    assert [column.state()["scale"]["form"] for column in processor.numbers[:2]] == ["log", "quantiles"]
    assert scaled[:, 0].std() == pytest.approx(1, abs=1e-3)
    assert processor.facts()["categories"] == [FIRST + 1]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"byts": {"scaling": "log"}}, "did you mean: bytes"),
        ({"bytes": {"max_categories": 3}}, r"has no effect: the column is read as numbers"),
        ({"protocol": {"scaling": "log"}}, r"has no effect: the column is read as categories"),
        ({"protocol": {"buckets": 8}}, r"has no effect: the column is read as categories"),
    ],
)
def test_overrides_without_effect_are_refused(overrides, message):
    with pytest.raises(DataError, match=message):
        fitted(table(), overrides=overrides)


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


def test_log_scaling_is_standardised_signed_free_of_units_and_goes_on_beyond_training():
    cells = table(2000)
    cells["signed"] = cells["bytes"] * RNG.choice([-1, 1], 2000)
    scaled = numbers(fitted(cells[["bytes", "signed"]], scaling="log").encode(cells))
    assert scaled.mean(axis=0) == pytest.approx([0, 0], abs=1e-4)
    assert scaled.std(axis=0) == pytest.approx([1, 1], abs=1e-4)
    assert (np.diff(scaled[np.argsort(cells["signed"]), 1]) >= 0).all()
    milli = cells * {"bytes": 1000, "ttl": 1, "protocol": 1, "encrypted": 1, "signed": 1000}
    again = numbers(fitted(milli[["bytes", "signed"]], scaling="log").encode(milli))
    np.testing.assert_allclose(scaled, again, rtol=1e-4, atol=1e-5)
    most = cells["bytes"].max()
    beyond = pd.DataFrame({"bytes": [most, 10 * most, 1e308], "signed": [1.0, 1.0, 1.0]})
    far = numbers(fitted(cells[["bytes", "signed"]], scaling="log").encode(beyond))[:, 0]
    assert far[0] < far[1] < far[2] < 1e4


@pytest.mark.parametrize("scaling", ["standard", "quantile", "log", "none"])
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
    cells = pd.DataFrame({"x": [5.0] + [None] * 99, "y": [at % 7 for at in range(100)]})
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
    cells["at"] = pd.date_range("2026-01-31", periods=len(cells), freq="h")
    cells["account"] = [f"a{at}" for at in range(len(cells))]
    options = {
        "categorical": ["ttl"],
        "dates": ["at"],
        "hashed": ["account"],
        "overrides": {"bytes": {"scaling": "log"}},
    }
    processor = fitted(cells, **options)
    state = json.loads(json.dumps(processor.state(), allow_nan=False))
    other = TableProcessor(TableConfig(**options))
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
@given(st.integers(0, 1000), st.sampled_from(["standard", "quantile", "log", "none"]))
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


# ------------------------------------------------------------------ hashed columns


def accounts(rows=500, names=2000, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"account": [f"a{n}" for n in rng.integers(0, names, rows)], "x": rng.normal(size=rows)})


def test_hashed_names_share_buckets_and_the_same_name_always_has_the_same_code():
    cells = accounts()
    processor = fitted(cells, hashed=["account"], buckets=64)
    found = codes(processor.encode(cells))[:, 0]
    assert processor.facts()["categories"] == [FIRST + 64]
    assert set(found) == set(range(FIRST, FIRST + 64))
    assert pd.Series(found).groupby(cells["account"]).nunique().max() == 1
    distinct = cells["account"].nunique()
    assert processor.notes()[1] == f"hashed categories: account ({distinct} names in 64 of 64 buckets)"


def test_a_bucket_is_the_same_on_every_machine():
    """Written down: a model folder that is used elsewhere must not see other codes (Python's hash would give them).

    As coreutils has it: printf %s alice | b2sum -l 64, first digit highest, modulo 1000.
    """
    assert [bucket(name, 1000) for name in ("alice", "bob", "", "\u00e9")] == [729, 842, 876, 743]


def test_a_bucket_that_training_did_not_fill_is_unseen_and_counted():
    processor = fitted(accounts(20), hashed=["account"], buckets=5000)
    encoded = processor.encode(pd.DataFrame({"account": ["new", None, ""], "x": [0.0, 0.0, 0.0]}))
    assert codes(encoded)[:, 0].tolist() == [UNSEEN, MISSING, MISSING]
    assert processor.counts(encoded, ALL) == {"column 'account': missing": 2, "column 'account': unseen category": 1}


def test_one_column_may_have_buckets_of_its_own():
    processor = fitted(accounts(), hashed=["account"], overrides={"account": {"buckets": 3}})
    assert processor.facts()["categories"] == [FIRST + 3]


@given(st.text(), st.integers(1, 10_000))
def test_any_text_has_a_bucket(text, buckets):
    assert 0 <= bucket(text, buckets) < buckets


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


def test_the_reference_of_explanations_is_one_feature_per_name():
    cells = table(60)
    cells["at"] = pd.date_range("2026-01-31", periods=60, freq="h")
    cells.loc[3, ["bytes", "at"]] = None
    processor = fitted(cells, dates=["at"])
    data = processor.collate(processor.encode(cells), np.arange(4), "evaluate", RNG)
    reference = processor.reference(data)
    names = reference.columns["numbers"]
    assert names == ["bytes", "ttl", "encrypted", "bytes", *["at"] * 6]
    assert reference.data["numbers"].shape == data["numbers"].shape == (4, len(names))
    middle = pd.DataFrame({column.name: [column.median] for column in processor.numbers})
    encoded = numbers(processor.encode(middle.assign(protocol="tcp", at="2026-02-01")))
    np.testing.assert_allclose(reference.data["numbers"][0, :4], encoded[0, :4], rtol=1e-5)
    assert reference.data["numbers"][0, 4:8].tolist() == [0.0] * 4


# ------------------------------------------------------------------ tables that share a backbone


def test_tables_of_one_backbone_have_the_codes_and_scales_of_the_rows_of_both():
    one, two = (
        table(seed=0),
        table(seed=1).assign(protocol="icmp", bytes=5.0)[["ttl", "bytes", "encrypted", "protocol"]],
    )
    made = [TableProcessor(TableConfig()) for _ in range(2)]
    for own, processor in enumerate(made):
        processor.fit_together([one, two], own)
    assert made[0].state() == made[1].state()
    assert {"tcp", "udp", "icmp"} <= set(json.dumps(made[0].state()).replace('"', " ").split())
    assert numbers(made[0].encode(two)).tolist() == numbers(made[1].encode(two)).tolist()


def test_tables_of_other_columns_are_fitted_alone_for_the_backbone_to_refuse():
    one, two = table(), table().drop(columns="ttl")
    made = TableProcessor(TableConfig())
    made.fit_together([one, two], 1)
    assert made.state() == fitted(two).state()


def test_what_is_said_of_codes_tells_vocabularies_of_one_size_apart():
    one, two = (pd.DataFrame({"protocol": names * 9}) for names in (["tcp", "udp", "tcp"], ["udp", "icmp", "udp"]))
    made = [fitted(cells, categorical=["protocol"]).facts() for cells in (one, two, one)]
    assert made[0]["categories"] == made[1]["categories"]
    assert made[0] == made[2] != made[1]
