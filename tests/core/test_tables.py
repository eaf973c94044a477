"""From files or DataFrames to split tables: paths, several files, types over files, needed columns, digests, bad input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.builtin.source_config import CsvConfig
from jenga_core.cells import spelt
from jenga_core.config import DataConfig, SplitConfig
from jenga_core.contents import Part, digest, joined, tidy
from jenga_core.errors import DataError, UserError
from jenga_core.registry import Registry
from jenga_core.tables import columns_of, load_table, read_frame, stream, written_frame

REGISTRY = Registry.of()
NO_SPLIT = SplitConfig(validation=0, test=0)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def table(path=None, folder=None, split=NO_SPLIT, source=None, **more):
    section = DataConfig(path=path, split=split, source=source)
    return load_table("flows", section, base=folder, registry=REGISTRY, seed=more.pop("seed", 0), **more)


# ------------------------------------------------------------------ paths


def test_several_files_and_where(folder):
    write(folder / "data/a.csv", "x,y\n1,a\n2,b\n")
    write(folder / "data/b.csv", "y,x\nc,3\n")
    write(folder / "c.jsonl", '{"x": 4, "y": "d"}\n')
    found = table(["data/*.csv", "c.jsonl"], folder)
    assert found.frame.to_dict("list") == {"x": [1, 2, 3, 4], "y": ["a", "b", "c", "d"]}
    assert found.frame.index.equals(pd.RangeIndex(4))
    assert str(found.frame.x.dtype) == "int64"
    assert [found.where(r) for r in range(4)] == [
        "data/a.csv, row 1",
        "data/a.csv, row 2",
        "data/b.csv, row 1",
        "c.jsonl, row 1",
    ]
    assert {k: v.tolist() for k, v in found.splits.items()} == {"train": [0, 1, 2, 3], "validation": [], "test": []}


def test_paths_are_relative_to_the_base_not_to_the_working_folder(folder):
    write(folder / "there/a.csv", "x\n1\n")
    assert len(table("a.csv", folder / "there")) == 1
    assert len(table(str(folder / "there/a.csv"), folder / "elsewhere")) == 1


def test_a_file_named_twice_is_read_once_and_noted(folder):
    write(folder / "a.csv", "x\n1\n")
    found = table(["*.csv", "a.csv"], folder)
    assert len(found) == 1
    assert found.notes == ("1 file named more than once, read once",)


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(folder):
    write(folder / "a[1].csv", "x\n1\n")
    assert len(table("a[1].csv", folder)) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("flow.csv", [r"flow\.csv: no such file", r"allowed: flows\.csv, notes\.txt", r"did you mean: flows\.csv"]),
        ("flws*.csv", [r"flws\*\.csv: no file matches", r"did you mean: flows\.csv"]),
        ("nowhere/x.csv", ["there is no folder"]),
        ("sub", ["is a folder", r"name its files: sub/\*"]),
    ],
)
def test_paths_without_a_file(folder, path, said):
    write(folder / "flows.csv", "x\n1\n")
    write(folder / "notes.txt", "x")
    (folder / "sub").mkdir()
    for words in said:
        with pytest.raises(DataError, match=words):
            table(path, folder)


def test_no_path_and_no_train(folder):
    with pytest.raises(DataError, match=r"data\.flows: neither a path nor a DataFrame"):
        table(None, folder)
    with pytest.raises(DataError, match="no training rows"):
        table({"test": "x.csv"}, folder)
    with pytest.raises(DataError, match="no path is given"):
        columns_of(DataConfig(), base=folder, registry=REGISTRY)


def test_unknown_ending_and_named_source(folder):
    write(folder / "flows.dat", "x\n1\n")
    with pytest.raises(UserError, match=r"flows\.dat"):
        table("flows.dat", folder)
    assert len(table("flows.dat", folder, source=CsvConfig(kind="core/csv"))) == 1
    section = DataConfig(path="flows.dat", source=CsvConfig(kind="core/csv", header=False, names=["z"]))
    assert columns_of(section, base=folder, registry=REGISTRY) == ["z"]


# ------------------------------------------------------------------ columns


def test_files_whose_columns_differ(folder):
    write(folder / "a.csv", "x,y\n1,2\n")
    write(folder / "b.csv", "x,z\n1,2\n")
    with pytest.raises(DataError, match=r"b\.csv: other columns than a\.csv: lacks 'y' and has 'z' more"):
        table(["a.csv", "b.csv"], folder)
    assert table(["a.csv", "b.csv"], folder, needed=["x"]).frame.x.tolist() == [1, 1]
    with pytest.raises(DataError, match=r"b\.csv: other columns"):
        list(stream(["a.csv", "b.csv"], base=folder, registry=REGISTRY))


def test_needed_columns_keep_the_file_order_and_bring_what_the_split_needs(folder):
    write(folder / "a.csv", "t,c,b,a,y\n" + "".join(f"{i},1,2,3,{i % 2}\n" for i in range(10)))
    by_time = SplitConfig(by="time", column="t", validation=0.2, test=0.2)
    assert list(table("a.csv", folder, split=by_time, needed=["a", "b"], stratify="y").frame.columns) == [
        "t",
        "b",
        "a",
        "y",
    ]


@pytest.mark.parametrize("given", [False, True])
def test_a_missing_column(folder, given):
    path = write(folder / "flows.csv", "duration,label\n1,2\n")
    with pytest.raises(DataError) as error:
        table("flows.csv", folder, needed=["duration", "lable"], given=pd.read_csv(path) if given else None)
    assert str(error.value).startswith("data 'flows'" if given else "flows.csv")
    assert "no column 'lable'\n  allowed: duration, label\n  did you mean: label" in str(error.value)


def test_bad_input_keeps_its_row_number_on_the_way_up(folder):
    write(folder / "a.csv", "x,y\n1,2\n3\n")
    for read in (lambda: table("a.csv", folder), lambda: read_frame("a.csv", registry=REGISTRY)):
        with pytest.raises(DataError, match=r"^a\.csv, row 2: has 1 cell"):
            read()
    with pytest.raises(DataError, match=r"^a\.csv, row 2"):
        list(stream("a.csv", registry=REGISTRY, batch_rows=1))


# ------------------------------------------------------------------ one type over several files


@pytest.mark.parametrize(
    ("one", "two", "dtype", "cells", "noted"),
    [
        ("1", "2.5", "float64", [1, 2.5], False),
        ("1", "x", "str", ["1", "x"], True),
        ("1.5", "x", "str", ["1.5", "x"], True),
        ("1", '""', "float64", [1, None], False),
        ("x", '""', "str", ["x", None], False),
        (str(2**53 + 1), '1\n""', "object", [2**53 + 1, 1, None], True),
        (str(2**70), "1", "object", [2**70, 1], True),
        ("0", "9.223372036854775808e18", "float64", [0, 2.0**63], False),
        (str(2**53 + 1), "9.223372036854775808e18", "object", [2**53 + 1, 2**63], True),
        ("1", "2.0", "float64", [1, 2], False),
        (str(2**70), "1.5", "float64", [float(2**70), 1.5], False),
    ],
)
def test_types_over_files(folder, one, two, dtype, cells, noted):
    write(folder / "a.csv", f"c\n{one}\n")
    write(folder / "b.csv", f"c\n{two}\n")
    found = table(["a.csv", "b.csv"], folder)
    assert str(found.frame.c.dtype) == dtype
    assert [None if pd.isna(v) else v for v in found.frame.c] == cells
    assert bool(found.notes) == noted
    frames = read_frame(["a.csv", "b.csv"], base=folder, registry=REGISTRY)
    pd.testing.assert_frame_equal(frames, found.frame)


def test_whole_numbers_with_gaps_become_text_without_a_point(folder):
    write(folder / "a.csv", 'c\n80\n""\n')
    write(folder / "b.csv", "c\nhttp\n")
    assert table(["a.csv", "b.csv"], folder).frame.c.dropna().tolist() == ["80", "http"]


column = st.one_of(
    st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=4),
    st.lists(st.floats(), min_size=1, max_size=4),
    st.lists(st.text(max_size=3), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=1, max_size=4),
    st.lists(st.none(), min_size=1, max_size=4),
    st.lists(st.none() | st.integers(0, 9), min_size=1, max_size=4),
    st.lists(st.none() | st.booleans(), min_size=1, max_size=4),
    st.lists(st.lists(st.integers(0, 2)), min_size=1, max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(column, min_size=1, max_size=3))
def test_any_columns_can_be_joined(columns):
    parts = [
        Part(f"f{at}", *tidy(pd.DataFrame({"c": pd.Series(c, dtype=object)}), f"f{at}")) for at, c in enumerate(columns)
    ]
    frame, _, _ = joined(parts)
    flat = [v for c in columns for v in c]
    assert len(frame) == len(flat)
    assert frame.index.equals(pd.RangeIndex(len(flat)))
    for cell, value in zip(frame.c, flat, strict=True):
        if value is None or value != value:
            assert not isinstance(cell, list)
            assert pd.isna(cell) or str(cell) == str(value)
        elif str(frame.c.dtype) == "float64":
            assert cell == float(value)
        elif str(frame.c.dtype) == "str" and isinstance(value, float):
            assert float(cell) == value
        else:
            assert cell == value or cell == spelt(value)


# ------------------------------------------------------------------ DataFrames


def test_a_dataframe_in_place_of_a_path(folder):
    frame = pd.DataFrame({"x": [1, 2, 3], 7: ["a", "b", "c"]}, index=[5, 5, 9])
    before = frame.copy()
    found = table("not/read.csv", folder, given=frame)
    assert found.frame.index.equals(pd.RangeIndex(3))
    assert list(found.frame.columns) == ["x", "7"]
    assert found.where(2) == "data 'flows', row 3"
    pd.testing.assert_frame_equal(frame, before)


def test_dataframes_by_split(folder):
    train, test = pd.DataFrame({"x": range(10)}), pd.DataFrame({"x": range(10, 14)})
    found = table(given={"test": test, "train": train}, split=SplitConfig(validation=0.2, test=0.3))
    assert found.splits["test"].tolist() == [10, 11, 12, 13]
    assert len(found.splits["validation"]) == 2
    assert len(found.splits["train"]) == 8
    assert found.where(11) == "data 'flows' (test), row 2"
    only = table(given={"test": test}, split=SplitConfig())
    assert {k: len(v) for k, v in only.splits.items()} == {"train": 0, "validation": 0, "test": 4}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"tests": pd.DataFrame({"x": [1]})},
            r"unknown split 'tests'.*\n.*allowed: train, validation, test\n  did you mean: test",
        ),
        ([1, 2], "no pandas DataFrame but list"),
        (pd.DataFrame({"x": []}), "no rows"),
        (pd.DataFrame(index=[1]), "no columns"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' are there more than once"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "'1' are there more than once"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "several levels"),
    ],
)
def test_dataframes_that_cannot_be_used(folder, given, said):
    with pytest.raises(DataError, match=said):
        table(given=given)


@pytest.mark.parametrize(
    ("values", "dtype", "cells"),
    [
        (pd.Categorical(["a", None, "b"]), "str", ["a", None, "b"]),
        (pd.Categorical([3, 1, 3]), "int64", [3, 1, 3]),
        (pd.array([1, None, 3], dtype="Int64"), "float64", [1, None, 3]),
        (pd.array([1.5, None], dtype="Float64"), "float64", [1.5, None]),
        (pd.array([True, None], dtype="boolean"), "object", [True, None]),
        (pd.array(["a", None], dtype="string"), "str", ["a", None]),
        (pd.array([1, 2], dtype="int64[pyarrow]"), "int64", [1, 2]),
        (np.array([1, 2.5, None], dtype=object), "float64", [1, 2.5, None]),
        (np.array([2**70, 1], dtype=object), "object", [2**70, 1]),
        (np.array([1, "x", None, 2.5], dtype=object), "str", ["1", "x", None, "2.5"]),
        (np.array([b"x", b"y"], dtype=object), "object", [b"x", b"y"]),
        (np.array([np.inf, np.nan]), "float64", [np.inf, None]),
        (np.array([None, None]), "float64", [None, None]),
    ],
)
def test_plain_types(values, dtype, cells):
    frame, notes = tidy(pd.DataFrame({"c": values}), "x")
    assert str(frame.c.dtype) == dtype
    assert [None if pd.isna(v) else v for v in frame.c] == cells
    if "x" in cells:
        assert notes == ("column 'c' mixes types (float, int, str); its cells are taken as text",)


# ------------------------------------------------------------------ splits


def test_validation_is_cut_out_of_train_when_test_is_given(folder):
    write(folder / "train.csv", "x\n" + "\n".join(map(str, range(100))))
    write(folder / "test.csv", "x\n" + "\n".join(map(str, range(100, 130))))
    paths = {"train": "train.csv", "test": "test.csv"}
    found = table(paths, folder, split=SplitConfig(validation=0.2, test=0.5))
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 80, "validation": 20, "test": 30}
    assert found.splits["test"].tolist() == list(range(100, 130))
    assert found.where(100) == "test.csv, row 1"
    whole = table({**paths, "validation": "test.csv"}, folder, split=SplitConfig(validation=0.2, test=0.5))
    assert {k: len(v) for k, v in whole.splits.items()} == {"train": 100, "validation": 30, "test": 30}
    assert whole.notes == ("validation and test both read test.csv: the score says nothing",)


def test_the_order_of_the_mapping_does_not_matter(folder):
    write(folder / "a.csv", "x\n1\n2\n")
    write(folder / "b.csv", "x\n3\n")
    one, two = (table(p, folder) for p in ({"test": "b.csv", "train": "a.csv"}, {"train": "a.csv", "test": "b.csv"}))
    assert one.digest == two.digest
    assert one.splits["test"].tolist() == two.splits["test"].tolist() == [2]


def test_groups_over_given_files_are_noted(folder):
    write(folder / "a.csv", "g\na\nb\n")
    write(folder / "b.csv", "g\nb\nc\n")
    split = SplitConfig(by="group", column="g", validation=0, test=0)
    found = table({"train": "a.csv", "test": "b.csv"}, folder, split=split)
    assert found.notes == ("1 of 3 values of 'g' are in several of the given train, test",)


def test_a_time_that_cannot_be_read_names_the_row_of_its_file(folder):
    write(folder / "a.csv", "t\n2026-01-01\n2026-01-02\n")
    write(folder / "b.csv", "t\n2026-01-03\nsoon\n")
    with pytest.raises(DataError, match=r"^b\.csv, row 2, column 't': 'soon' is no time"):
        table(["a.csv", "b.csv"], folder, split=SplitConfig(by="time", column="t"))


# ------------------------------------------------------------------ digest


def test_the_digest_is_of_the_content(folder):
    frame = pd.DataFrame({"i": [1, 2], "f": [1.5, np.nan], "s": ["a", None], "h": [2**70, 1]})
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_json(folder / "b.jsonl", orient="records", lines=True)
    digests = {table(p, folder).digest for p in ("a.csv", "b.jsonl")} | {table(given=frame).digest}
    assert len(digests) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"i": [2, 1], "s": ["a", None]},
        {"i": [1, 2], "s": ["a", "b"]},
        {"i": [1, 2], "s": ["a", ""]},
        {"i": [1, 2], "s": ["a", "nan"]},
        {"j": [1, 2], "s": ["a", None]},
        {"s": ["a", None], "i": [1, 2]},
        {"i": [1.0, 2.0], "s": ["a", None]},
        {"i": [1, 2, 2], "s": ["a", None, None]},
    ],
)
def test_any_change_changes_the_digest(other):
    assert digest(pd.DataFrame(other)) != digest(pd.DataFrame({"i": [1, 2], "s": ["a", None]}))


def test_the_digest_is_the_same_in_another_process(folder):
    frame = pd.DataFrame({"s": [f"word {i}" for i in range(50)], "l": [[i] for i in range(50)]})
    code = (
        "import pandas as pd; from jenga_core.contents import digest;"
        "print(digest(pd.DataFrame({'s': [f'word {i}' for i in range(50)], 'l': [[i] for i in range(50)]})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(frame)


# ------------------------------------------------------------------ streaming


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 7))
def test_streaming_gives_what_reading_gives(tmp_path_factory, sizes, batch):
    folder = tmp_path_factory.mktemp("stream")
    for at, size in enumerate(sizes):
        write(folder / f"{at}.csv", "x,y\n" + "".join(f"{at},{row}\n" for row in range(size)))
    stretches = list(stream("*.csv", base=folder, registry=REGISTRY, batch_rows=batch))
    assert all(s.size <= batch for s in stretches)
    assert [s.start for s in stretches] == [s.cells.index[0] for s in stretches]
    found = pd.concat([s.cells for s in stretches])
    assert found.index.equals(pd.RangeIndex(sum(sizes)))
    pd.testing.assert_frame_equal(found, written_frame("*.csv", base=folder, registry=REGISTRY), check_index_type=False)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, jenga_core.tables, jenga_core.builtin.sources;"
        "print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_source_skipped_is_a_note_of_the_table(tmp_path, monkeypatch):
    from jenga_core.builtin.sources import CsvSource

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CsvSource, "notes", lambda self: ["3 rows skipped"])
    (tmp_path / "a.csv").write_text("x\n1\n2\n3\n")
    table = load_table("t", DataConfig(path=["a.csv"]), base=tmp_path, registry=Registry.of(), seed=0)
    assert "a.csv: 3 rows skipped" in table.notes


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_a_pipe_is_refused_as_the_second_reading_would_wait_for_ever(tmp_path):
    os.mkfifo(tmp_path / "rows.csv")
    with pytest.raises(DataError, match=r"rows\.csv: is a pipe"):
        read_frame("rows.csv", base=tmp_path, registry=REGISTRY)
