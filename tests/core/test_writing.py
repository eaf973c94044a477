"""Rows that `jenga predict` writes: nothing is rounded, cut or lost, whatever a column holds."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from jenga_core.commands.tables import write_frames

FRAME = pd.DataFrame(
    {
        "float": [0.1 + 0.2, 1e-20, np.inf],
        "huge": pd.Series([2**70, None, 5], dtype=object),
        "mixed": [[1, 2], None, "x"],
        "array": pd.Series([np.array([1, 2]), None, [3]], dtype=object),
        "time": pd.to_datetime(["2020-01-01", None, "2021-01-01T00:00:00.123456789"], format="ISO8601"),
        "bytes": [b"a\xff", None, b"z"],
        "flag": [True, False, True],
    }
)


@pytest.mark.parametrize("parts", [1, 3])
def test_json_lines_are_valid_json_and_exact(tmp_path, parts):
    path = tmp_path / "rows.jsonl"
    assert write_frames([FRAME.iloc[at] for at in np.array_split(np.arange(3), parts)], path) == 3
    rows = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert [row["float"] for row in rows] == [0.1 + 0.2, 1e-20, "inf"]
    assert [row["huge"] for row in rows] == [2**70, None, 5]
    assert [row["array"] for row in rows] == [[1, 2], None, [3]]
    assert [row["time"] for row in rows] == ["2020-01-01T00:00:00", None, "2021-01-01T00:00:00.123456789"]
    assert [row["flag"] for row in rows] == [True, False, True]
    assert rows[0]["mixed"] == [1, 2]
    assert rows[0]["bytes"] == "b'a\\xff'"


def test_parquet_writes_as_text_what_it_has_no_type_for(tmp_path):
    path = tmp_path / "rows.parquet"
    assert write_frames([FRAME], path) == 3
    back = pd.read_parquet(path)
    assert back["huge"].tolist()[0] == str(2**70)
    assert back["huge"].isna().tolist() == [False, True, False]
    assert back["mixed"].tolist()[0] == "[1, 2]"
    assert back["float"].tolist() == FRAME["float"].tolist()
    assert back["time"].tolist()[2] == FRAME["time"][2]
    assert back["bytes"].tolist()[0] == b"a\xff"


def test_lists_and_objects_are_json_in_csv(tmp_path):
    frame = pd.DataFrame(
        {"at": [1, 2, 3], 4: [[{"start": 0, "text": 'a "b"'}], None, {"ä": [1.5]}], "s": ["x", None, "[1]"]}
    )
    path = tmp_path / "out.csv"
    assert write_frames([frame, frame.iloc[:0]], path) == 3
    read = pd.read_csv(path)
    assert [None if pd.isna(c) else json.loads(c) for c in read["4"]] == [
        [{"start": 0, "text": 'a "b"'}],
        None,
        {"ä": [1.5]},
    ]
    assert read["at"].tolist() == [1, 2, 3]
    assert read["s"].tolist()[::2] == ["x", "[1]"]
