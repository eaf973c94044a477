"""Columns of times: clocks and zones, circles, elapsed time, and what is no time."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jenga_core.errors import DataError
from jenga_core.registry import Registry
from jenga_core.tables import read_frame
from jenga_security import cells as read
from jenga_security.dates import Dates, are_times, wall_clock
from jenga_security.processors import TableProcessor
from jenga_security.table_config import TableConfig

FEATURES = [f"at ({part})" for part in ("hour, sine", "hour, cosine", "weekday, sine", "weekday, cosine", "elapsed")]
ZONES = ["UTC", "Africa/Nairobi", "Asia/Kathmandu", "America/St_Johns"]


def column(*cells):
    return pd.Series(list(cells), name="at")


def shown(seconds):
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T15:00:00"),
        ("2026-01-31 12:00+03:00", "2026-01-31T12:00:00"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00"),
        (" 2026-01-31 ", "2026-01-31T00:00:00"),
        (0, "1970-01-01T03:00:00"),
        ("1769860800", "2026-01-31T15:00:00"),
        (pd.Timestamp("2026-01-31 12:00", tz="UTC"), "2026-01-31T15:00:00"),
        (pd.Timestamp("2026-01-31 12:00"), "2026-01-31T12:00:00"),
    ],
)
def test_every_spelling_is_a_time_on_the_clock_of_the_zone(cell, expected):
    assert shown(wall_clock(column(cell), "Africa/Nairobi")[0]) == expected


@settings(max_examples=60, deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.sampled_from(ZONES))
def test_the_circles_are_those_of_the_clock(moment, zone):
    """Against datetime and zoneinfo, to the second."""
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    local = moment.astimezone(ZoneInfo(zone))
    found, _ = Dates("at", zone, 0.0, Dates.fit(column(0, 10**9), "none", zone).scale, False).encode(
        column(moment.isoformat())
    )
    day = 2 * np.pi * (local.hour * 3600 + local.minute * 60 + local.second) / 86_400
    week = (2 * np.pi * local.weekday() + day) / 7
    expected = [np.sin(day), np.cos(day), np.sin(week), np.cos(week)]
    np.testing.assert_allclose(found[0, :4], expected, atol=1e-6)


def test_elapsed_time_is_scaled_and_missing_times_are_in_the_middle():
    cells = column("2026-01-31", "2026-02-02", None, "-", "2026-02-01")
    dates = Dates.fit(cells, "standard", "UTC")
    found, marks = dates.encode(cells)
    assert found[[0, 4, 1], 4] == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    assert found[2].tolist() == [0, 0, 0, 0, pytest.approx(0), 1]
    assert marks.tolist() == [read.NUMBER, read.NUMBER, read.ABSENT, read.ABSENT, read.NUMBER]
    assert dates.names == [*FEATURES, "at is missing"]


def test_what_is_no_time_names_the_row():
    with pytest.raises(DataError, match=r"row 2, column 'at': 'yesterday' is not an ISO 8601 time \(1 of 2 cells"):
        wall_clock(column("2026-01-31", "yesterday"), "UTC")
    with pytest.raises(DataError, match="milliseconds"):
        wall_clock(column(1_769_860_800_000), "UTC")
    with pytest.raises(
        DataError, match=r"row 1, column 'at': 5 is neither YYYYMMDD nor seconds since 1970.*\n.*next: give ISO"
    ):
        wall_clock(column(5, "2026-01-31"), "UTC")


@pytest.mark.parametrize(
    "cell",
    [
        2024,
        "2024",
        45_000,
        "738000",
        20261301,
        20260230,
        12345678,
        20260131.5,
        1,
        -5,
        99_999_999,
        True,
        "1e5",
        731.25,
        "inf",
    ],
)
def test_numbers_that_are_no_time_are_refused(cell):
    """Years, days' numbers, months of thirteen, the 30th of February: no number of seconds that anybody meant."""
    with pytest.raises(DataError, match=r"row 2, column 'at': .*is (neither YYYYMMDD|no time)"):
        wall_clock(column("2026-01-31", cell), "UTC")


@settings(max_examples=60, deadline=None)
@given(st.dates(datetime(1000, 1, 1).date(), datetime(9999, 12, 31).date()), st.sampled_from(ZONES))
def test_yyyymmdd_is_midnight_on_the_clock(day, zone):
    number = int(day.strftime("%Y%m%d").rjust(8, "0"))
    for cell in (number, float(number), str(number), f" {number} ", day.isoformat()):
        seconds = wall_clock(column(cell), zone)[0]
        assert seconds == (day - datetime(1970, 1, 1).date()).days * 86_400


def test_a_cell_means_the_same_whoever_its_neighbours_are():
    spelt = ["2026-01-31T12:00:00Z", 1_769_860_800, "1769860800", 20260131, "20260131", "2026-01-31", 0, None]
    alone = [wall_clock(column(cell), "Africa/Nairobi")[0] for cell in spelt]
    assert alone[0] == alone[1] == alone[2]
    assert alone[3] == alone[4] == alone[5]
    np.testing.assert_array_equal(wall_clock(column(*spelt), "Africa/Nairobi"), alone)
    np.testing.assert_array_equal(wall_clock(column(*spelt[::-1]), "Africa/Nairobi"), alone[::-1])


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "frame"])
@pytest.mark.parametrize("spelling", ["iso", "native", "seconds", "spelt seconds"])
def test_one_instant_has_the_same_features_through_every_door(tmp_path, ending, spelling):
    moments = pd.date_range("2026-01-31 12:00:00.25", periods=30, freq="7h", tz="UTC")
    seconds = moments.as_unit("ms").astype("int64") / 1000
    spelt = {
        "iso": pd.Series([moment.isoformat() for moment in moments]),
        "native": pd.Series(moments),
        "seconds": pd.Series(seconds),
        "spelt seconds": pd.Series([f"{one}" for one in seconds], dtype="str"),
    }
    processor = TableProcessor(TableConfig(dates=["at"], timezone="Africa/Nairobi"))
    processor.fit(pd.DataFrame({"at": spelt["iso"]}))
    expected = np.asarray(processor.encode(pd.DataFrame({"at": spelt["iso"]})).columns["numbers"])
    frame, path = pd.DataFrame({"at": spelt[spelling]}), tmp_path / f"rows.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "jsonl":
        frame.to_json(path, orient="records", lines=True, date_format="iso")
    elif ending == "parquet":
        frame.to_parquet(path)
    read_back = frame if ending == "frame" else read_frame(str(path), base=tmp_path, registry=Registry.discover())
    np.testing.assert_array_equal(processor.encode(read_back).columns["numbers"], expected)
    for row in (0, 29):
        one = processor.encode(read_back.iloc[[row]])
        np.testing.assert_array_equal(one.columns["numbers"], expected[[row]])


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValidationError, match="no IANA time zone"):
        TableConfig(timezone="Nairobi")


@pytest.mark.parametrize(
    ("cells", "times"),
    [
        (["2026-01-31", "2026-02-01 10:00"], True),
        (["2026-01-31", None, "-"], True),
        ([None, None], False),
        (["2026-01-31", "tcp"], False),
        (["2026-13-31"], False),
        (["20260131"], False),
        ([1, 2], False),
        ([True, False], False),
        (["2026-01-31"] * 100 + ["x"], False),
    ],
)
def test_which_columns_are_times(cells, times):
    assert are_times(column(*cells)) is times


def test_dates_in_a_table():
    hours = pd.date_range("2026-01-31", periods=48, freq="h", tz="UTC")
    cells = pd.DataFrame({"x": np.arange(48) % 7, "at": hours, "kind": ["a", None] * 24})
    cells.loc[3, "x"] = np.nan
    processor = TableProcessor(TableConfig(dates=["at"], timezone="Africa/Nairobi"))
    processor.fit(cells)
    names = processor.facts()["names"]["numbers"]
    assert names[:2] == ["x", "x is missing"]
    assert names[2:] == FEATURES
    assert "dates: at (Africa/Nairobi)" in processor.notes()
    encoded = processor.encode(cells)
    values = np.asarray(encoded.columns["numbers"])
    assert values.shape == (48, 7)
    np.testing.assert_allclose(values[:, 2], np.sin(2 * np.pi * ((np.arange(48) + 3) % 24) / 24), atol=1e-6)
    new = processor.encode(cells.assign(at=None))
    assert processor.counts(new, slice(None))["column 'at': missing"] == 48
    classical = processor.classical(encoded, np.arange(48))
    np.testing.assert_array_equal(classical.matrix[:, 1:6], values[:, 2:])
    assert np.isnan(classical.matrix[3, 0])
    assert classical.categorical == (6,)
    other = TableProcessor(processor.config)
    other.restore(json.loads(json.dumps(processor.state())))
    np.testing.assert_array_equal(other.encode(cells).columns["numbers"], values)
