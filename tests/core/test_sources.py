"""Readers of files: what is written comes back, and every defect names file, row and column."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jenga_core.builtin.source_config import CsvConfig, JsonConfig, JsonlConfig, ParquetConfig
from jenga_core.builtin.sources import CsvSource, JsonlSource, JsonSource, ParquetSource
from jenga_core.errors import DataError

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def csv(path: Path, content: bytes | str, columns=None, batch_rows=1000, **options) -> pd.DataFrame:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return pd.concat(list(CsvSource(CsvConfig(**options)).tables_of(path, columns, batch_rows=batch_rows)))


def jsonl(path: Path, content: bytes | str, columns=None, batch_rows=1000) -> pd.DataFrame:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return pd.concat(list(JsonlSource(JsonlConfig()).tables_of(path, columns, batch_rows=batch_rows)))


def js(path: Path, content: str, **options) -> pd.DataFrame:
    path.write_text(content)
    return pd.concat(list(JsonSource(JsonConfig(**options)).tables(path, batch_rows=1000)))


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "flows.csv"


# ------------------------------------------------------------------ CSV: types


def test_types_are_those_of_the_whole_file_in_every_chunk(file):
    rows = ["1,1,1,a"] * 7 + ["2,2.5,x,b"]
    file.write_text("i,f,t,s\n" + "\n".join(rows))
    chunks = list(CsvSource(CsvConfig(kind="core/csv")).tables(file, batch_rows=3))
    assert [len(c) for c in chunks] == [3, 3, 2]
    assert {tuple(map(str, c.dtypes)) for c in chunks} == {("int64", "float64", "str", "str")}
    assert [i for c in chunks for i in c.index] == list(range(8))
    assert chunks[0].t.tolist() == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("cells", "dtype", "expected"),
    [
        (["1", "+2", " 3 "], "int64", [1, 2, 3]),
        (["1", "", "3"], "float64", [1, math.nan, 3]),
        (["1", "NA", "null"], "float64", [1, math.nan, math.nan]),
        (["1.5", "inf", "-inf"], "float64", [1.5, math.inf, -math.inf]),
        (["", "", '""'], "float64", [math.nan] * 3),
        (["1", "2", str(2**70)], "object", [1, 2, 2**70]),
        ([str(2**53 + 1), "", "1"], "object", [2**53 + 1, None, 1]),
        ([str(2**63 - 1), str(-(2**63))], "int64", [2**63 - 1, -(2**63)]),
        (["9" * 400, "1"], "str", ["9" * 400, "1"]),
        (["1e999", "1"], "str", ["1e999", "1"]),
        (["0x1F", "2"], "str", ["0x1F", "2"]),
        (["None", "None"], "str", ["None", "None"]),
        (["NA", "x", ""], "str", ["NA", "x", math.nan]),
        (["1", "2", "three"], "str", ["1", "2", "three"]),
        (["True", "False"], "str", ["True", "False"]),
        (["2020-01-01", "2020-01-02"], "str", ["2020-01-01", "2020-01-02"]),
        (["007", "1"], "int64", [7, 1]),
    ],
)
def test_type_of_a_column(file, cells, dtype, expected):
    column = csv(file, "c,d\n" + "\n".join(f"{c},0" for c in cells)).c
    assert str(column.dtype) == dtype
    assert [None if pd.isna(v) else v for v in column] == [None if pd.isna(v) else v for v in expected]


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)


@quick
@given(data=st.data(), rows=st.integers(1, 20))
def test_what_pandas_writes_comes_back(tmp_path, data, rows):
    def of(cells):
        return data.draw(st.lists(cells, min_size=rows, max_size=rows))

    frame = pd.DataFrame(
        {
            "whole": np.array(of(st.integers(-(2**63), 2**63 - 1)), dtype=np.int64),
            "part": np.array(of(st.floats()), dtype=np.float64),
            "text, quoted": pd.Series(["t" + w for w in of(words)], dtype="str"),
        }
    )
    path = tmp_path / "x.csv"
    frame.to_csv(path, index=False)
    back = pd.concat(list(CsvSource(CsvConfig(kind="core/csv")).tables(path, batch_rows=7)))
    expected = frame.copy()
    numbers = frame.part.dropna()
    if len(numbers) and all(v.is_integer() for v in numbers if math.isfinite(v)) and np.isfinite(numbers).all():
        back["part"] = back.part.astype(float)
    pd.testing.assert_frame_equal(back, expected, check_index_type=False)
    assert CsvSource(CsvConfig()).columns(path) == list(frame.columns)


@quick
@given(
    rows=st.lists(st.lists(words.map(lambda w: "w" + w), min_size=3, max_size=3), min_size=1, max_size=12),
    batch=st.integers(1, 5),
)
def test_tabs_and_line_ends_inside_quotes(tmp_path, rows, batch):
    path = tmp_path / "x.tsv"
    frame = pd.DataFrame(rows, columns=["a", "b", "c"], dtype="str")
    frame.to_csv(path, index=False, sep="\t")
    back = pd.concat(list(CsvSource(CsvConfig(kind="core/csv", quote='"')).tables(path, batch_rows=batch)))
    pd.testing.assert_frame_equal(back, frame, check_index_type=False)


def test_only_the_needed_of_200_columns(file):
    wide = pd.DataFrame(np.arange(600).reshape(3, 200), columns=[f"c{i}" for i in range(200)])
    found = csv(file, wide.to_csv(index=False), columns=["c199", "c3", "c50"])
    pd.testing.assert_frame_equal(found, wide[["c3", "c50", "c199"]])
    pq_file = file.with_suffix(".parquet")
    wide.to_parquet(pq_file)
    found = pd.concat(ParquetSource(ParquetConfig()).tables_of(pq_file, ["c199", "c3"], batch_rows=2))
    pd.testing.assert_frame_equal(found, wide[["c3", "c199"]])


def test_no_column_at_all_still_counts_rows(file):
    assert csv(file, "a,b\n1,2\n3,4\n", columns=[]).shape == (2, 0)


@pytest.mark.parametrize(("suffix", "write"), [(".gz", gzip.open), (".bz2", bz2.open), (".xz", lzma.open)])
def test_compressed(tmp_path, suffix, write):
    path = tmp_path / f"x.tsv{suffix}"
    with write(path, "wb") as stream:
        stream.write(b"a\tb\n1\t2\n")
    assert next(CsvSource(CsvConfig(kind="core/csv")).tables(path, batch_rows=9)).to_dict("list") == {
        "a": [1],
        "b": [2],
    }


def test_zip_and_zst(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.csv.zip", "w") as archive:
        archive.writestr("inside.csv", "a,b\n1,2\n")
    with pa.CompressedOutputStream(pa.OSFile(str(tmp_path / "x.csv.zst"), "wb"), "zstd") as stream:
        stream.write(b"a,b\n1,2\n")
    for name in ("x.csv.zip", "x.csv.zst"):
        assert next(CsvSource(CsvConfig(kind="core/csv")).tables(tmp_path / name, batch_rows=9)).to_dict("list") == {
            "a": [1],
            "b": [2],
        }


# ------------------------------------------------------------------ CSV: options


def test_options(file):
    assert csv(file, "1,2\n3,4\n", header=False).columns.tolist() == ["column_1", "column_2"]
    assert csv(file, "1,2\n3,4\n", header=False, names=["x", "y"]).to_dict("list") == {"x": [1, 3], "y": [2, 4]}
    assert csv(file, "a;b\n1;2\n", delimiter=";").to_dict("list") == {"a": [1], "b": [2]}
    assert csv(file, "a,b\n'1,5',2\n", quote="'").a.tolist() == ["1,5"]
    assert csv(file, 'a,b\n"x,2\n', quote=None).a.tolist() == ['"x']
    found = csv(file, "a,b\n?,x\n3,?\n5,NA\n", na_values=["?"])
    assert found.a.isna().tolist() == [True, False, False]
    assert found.b.isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    "options",
    [
        {"names": ["a"]},
        {"encoding": "utf-9"},
        {"delimiter": "ab"},
        {"quote": ",", "delimiter": ","},
        {"header": False, "names": ["a", "a"]},
    ],
)
def test_options_that_cannot_be(options):
    with pytest.raises(ValidationError):
        CsvConfig(**options)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_encodings(file, encoding):
    option = {} if encoding == "utf-8-sig" else {"encoding": encoding}
    found = csv(file, "näme,b\ncafé,1\n".encode(encoding), **option)
    assert found.to_dict("list") == {"näme": ["café"], "b": [1]}


def test_blank_lines_are_skipped_also_before_the_header(file):
    assert csv(file, "\r\n\na,b\n\n1,2\n\n\n3,4").to_dict("list") == {"a": [1, 3], "b": [2, 4]}


def test_blank_header_cell_is_named_as_pandas_does(file):
    assert csv(file, ",a\n0,5\n").columns.tolist() == ["Unnamed: 0", "a"]


# ------------------------------------------------------------------ CSV: defects


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,2\n3\n", ["flows.csv, row 2", "1 cell, the header has 2", "'3'"]),
        (b'a,b\n1,2\n\n"x\ny",4\n5,6,7\n', ["row 3", "3 cells"]),
        (b"", ["flows.csv: the file is empty"]),
        (b"\xef\xbb\xbf", ["the file is empty"]),
        (b"\n\n", ["the file is empty"]),
        (b"a,b\n", ["a header and no rows"]),
        (b"a,b", ["a header and no rows"]),
        (b"a,b,a\n1,2,3\n", ["flows.csv, line 1", "'a' twice", "header: false"]),
        (b"a;b\n1;2\n", ["delimiter seems to be ';'", 'delimiter: ";"']),
        (b'a,b\n1,2\n3,"open\n4,5\n6,7\n', ["row 2, column 'b'", "never closed", "quote: null"]),
        (b"a,b\ncaf\xe9,1\n", ["line 2, byte 7", "0xe9", "encoding: latin-1"]),
        (b"a,b\n1,\x93x\x94\n", ["line 2, byte 6", "encoding: cp1252"]),
        ("a,b\n1,é".encode()[:-1], ["cut off", "line 2, byte 6"]),
        ("a,b\n1,2\n".encode("utf-16"), ["utf-16", "encoding: utf-16"]),
        (b"a,b\n1,2\n3,\0\n", ["line 3", "NUL"]),
    ],
)
def test_broken_csv(file, content, said):
    with pytest.raises(DataError) as error:
        csv(file, content)
    for words_ in said:
        assert words_ in str(error.value)


def test_headerless_defects(file):
    with pytest.raises(DataError, match=r"row 1: has 2 cells, `names` has 3"):
        csv(file, "1,2\n3,4\n", header=False, names=["a", "b", "c"])
    with pytest.raises(DataError, match=r"row 2: has 3 cells, row 1 has 2"):
        csv(file, "1,2\n3,4,5\n", header=False)


def test_a_defect_late_in_the_file_is_found_before_any_row_is_given(file):
    file.write_text("a,b\n" + "1,2\n" * 50_000 + "3\n")
    with pytest.raises(DataError, match="row 50001"):
        next(CsvSource(CsvConfig(kind="core/csv")).tables(file, batch_rows=10))


def test_bytes_that_are_wrong_beyond_the_first_block(file):
    file.write_bytes(b"a,b\n" + b"1,x\n" * 600_000 + b"2,\xff\n")
    with pytest.raises(DataError, match=r"line 600002, byte 2400006"):
        next(CsvSource(CsvConfig(kind="core/csv")).tables(file, batch_rows=10))


def test_files_that_cannot_be_opened(file):
    file.write_text("a\n1\n")
    with pytest.raises(DataError, match=r"flow\.csv: no such file\n  did you mean: flows\.csv"):
        CsvSource(CsvConfig()).columns(file.parent / "flow.csv")
    with pytest.raises(DataError, match="is a folder"):
        CsvSource(CsvConfig()).columns(file.parent)
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)
    for content, said in ((whole[: len(whole) // 2], "cut off"), (b"a,b\n1,2\n", "cannot be read")):
        (file.parent / "x.csv.gz").write_bytes(content)
        with pytest.raises(DataError, match=said):
            list(CsvSource(CsvConfig(kind="core/csv")).tables(file.parent / "x.csv.gz", batch_rows=10))


SOURCES = {
    ".csv": CsvSource(CsvConfig()),
    ".jsonl": JsonlSource(JsonlConfig()),
    ".json": JsonSource(JsonConfig()),
    ".parquet": ParquetSource(ParquetConfig()),
}


@pytest.mark.parametrize("suffix", SOURCES)
@quick
@given(content=st.binary(max_size=200) | st.text(st.sampled_from('ab1,\n"{}[]:. '), max_size=60).map(str.encode))
def test_any_bytes_give_a_table_or_a_data_error(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with suppress(DataError):
        frames = list(SOURCES[suffix].tables(path, batch_rows=3))
        assert sum(map(len, frames)) > 0


# ------------------------------------------------------------------ JSON


scalars = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | words


@quick
@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), scalars, min_size=1), min_size=1, max_size=10), st.integers(1, 4)
)
def test_json_and_json_lines_agree_and_lose_nothing(tmp_path, rows, batch):
    lines, document = tmp_path / "x.jsonl", tmp_path / "x.json"
    lines.write_text("\n".join(map(json.dumps, rows)))
    document.write_text(json.dumps({"data": rows}))
    frames = list(JsonlSource(JsonlConfig()).tables(lines, batch_rows=batch))
    assert len({tuple(map(str, f.dtypes)) for f in frames}) == 1
    found = pd.concat(frames)
    pd.testing.assert_frame_equal(found, pd.concat(list(JsonSource(JsonConfig()).tables(document, batch_rows=batch))))
    for at, row in enumerate(rows):
        for name in found.columns:
            value, cell = row.get(name), found[name].iloc[at]
            if value is None:
                assert pd.isna(cell)
            elif str(found[name].dtype) == "str":
                assert cell == (value if isinstance(value, str) else json.dumps(value).replace("Infinity", "inf"))
            elif str(found[name].dtype) == "float64":
                assert cell == float(value)
            else:
                assert cell == value


def test_json_types(file):
    found = jsonl(file, '{"a": true, "b": true, "l": [1, 2], "n": null, "i": 1}\n{"b": false, "l": [3], "i": 2}\n')
    assert {n: str(t) for n, t in found.dtypes.items()} == {
        "a": "object",
        "b": "bool",
        "l": "object",
        "n": "float64",
        "i": "int64",
    }
    assert found.l.tolist() == [[1, 2], [3]]
    assert jsonl(file, '{"a": 5}\n{"a": "x"}\n{"a": true}\n').a.tolist() == ["5", "x", "true"]
    assert jsonl(file, '{"a": NaN, "b": Infinity}\n').b.tolist() == [math.inf]


def test_shapes_of_a_document(file):
    assert len(js(file, '[{"a": 1}, {"a": 2}]')) == 2
    assert len(js(file, '{"rows": [{"a": 1}]}', records="rows")) == 1
    with pytest.raises(DataError, match=r"neither a list.*\n  allowed: rows\n  next: .*records: rows"):
        js(file, '{"rows": [{"a": 1}]}')
    with pytest.raises(DataError, match="did you mean: rows"):
        js(file, '{"rows": [{"a": 1}]}', records="row")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n{"a": 2, "b', ["flows.csv, row 2 (line 2)", "cut off"]),
        ('{"a": 1}\n\n{"a": 2, "b": tru\n{"a": 3}\n', ["row 2 (line 3)", "invalid JSON at character 15"]),
        ('{"a": 1}\n[1]\n', ["row 2", "must be an object"]),
        ('{"a": 1, "a": 2}\n', ["row 1", "'a' is there twice"]),
        ('{"a": 1}\n{"a": "\\ud83d"}\n', ["row 2, column 'a'", "surrogate"]),
        ('{"a": ' + "[" * 100_000, ["row 1", "nested"]),
        ('{"a": ' + "9" * 5000 + "}", ["row 1", "thousands of digits"]),
        ("", ["empty"]),
        ("\n\n", ["empty"]),
    ],
)
def test_broken_json_lines(file, content, said):
    with pytest.raises(DataError) as error:
        jsonl(file, content)
    for words_ in said:
        assert words_ in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("[]", "list of rows is empty"),
        ('[{"a": 1},\n{"a"}]', "line 2, column 5"),
        ("[1]", "row 1"),
        ('[{"a": 1}, {', "cut off"),
    ],
)
def test_broken_json(file, content, said):
    with pytest.raises(DataError, match=said):
        js(file, content)


def test_latin_1_json_lines(file):
    with pytest.raises(DataError, match=r"line 2, byte 14.*\n  next: convert.*iconv -f latin-1"):
        jsonl(file, b'{"a":1}\n{"a":"\xe9"}\n')


# ------------------------------------------------------------------ Parquet


def test_parquet_types_are_those_of_the_whole_file(tmp_path):
    path = tmp_path / "x.parquet"
    frame = pd.DataFrame(
        {
            "i": [1, 2, 3, 4],
            "gap": pd.array([1, 2, 3, None], dtype="Int64"),
            "huge": np.array([1, 2, 3, 2**64 - 1], dtype=np.uint64),
            "small": np.array([1, 2, 3, 4], dtype=np.int8),
            "f": np.array([1, np.inf, np.nan, 2], dtype=np.float32),
            "s": ["a", "", None, "d"],
            "c": pd.Categorical(["a", "b", "a", None]),
            "b": [True, False, True, None],
            "t": pd.date_range("2020", periods=4),
            "l": [[1], [2, 3], None, []],
            "id.orig": [1.5, 2, 3, 4],
        },
        index=[9, 8, 7, 6],
    )
    frame.to_parquet(path, row_group_size=2)
    chunks = list(ParquetSource(ParquetConfig()).tables(path, batch_rows=3))
    assert len({tuple(map(str, c.dtypes)) for c in chunks}) == 1
    found = pd.concat(chunks)
    kinds = {n: str(t).split("[")[0] for n, t in found.dtypes.items()}
    assert kinds == {"i": "int64", "gap": "float64", "huge": "object", "small": "int8", "f": "float32", "s": "str", "c": "str",
                     "b": "object", "t": "datetime64", "l": "object", "id.orig": "float64"}  # fmt: skip
    assert found.huge.tolist() == [1, 2, 3, 2**64 - 1]
    assert found.l.tolist() == [[1], [2, 3], None, []]
    assert found.index.equals(pd.RangeIndex(4))


def test_broken_parquet(file):
    file.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match=r"flows\.csv: not a sound Parquet file"):
        ParquetSource(ParquetConfig()).columns(file)
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), file)
    with pytest.raises(DataError, match="'a' are there twice"):
        ParquetSource(ParquetConfig()).columns(file)
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), file)
    with pytest.raises(DataError, match="columns and no rows"):
        list(ParquetSource(ParquetConfig()).tables(file, batch_rows=3))


# ------------------------------------------------------------------ memory


PEAK = """
import sys
from jenga_core.builtin.source_config import CsvConfig, JsonlConfig, ParquetConfig
from jenga_core.cells import spelt
from jenga_core.builtin.sources import CsvSource, JsonlSource, ParquetSource
path = sys.argv[1]
source = {"csv": lambda: CsvSource(CsvConfig()), "jsonl": lambda: JsonlSource(JsonlConfig()),
          "parquet": lambda: ParquetSource(ParquetConfig())}[path.rsplit(".", 1)[1]]()
rows = sum(len(frame) for frame in source.tables(path, batch_rows=4096))
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss counts the parent's too
print(rows, int(peak.split()[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux's /proc")
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, ending):
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.{ending}"
        frame = pd.DataFrame(
            {"number": np.arange(rows) / 7, "text": [f"{i} " + "some text " * 100 for i in range(rows)]}
        )
        write = {
            "csv": lambda: frame.to_csv(path, index=False),
            "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
            "parquet": lambda: frame.to_parquet(path, row_group_size=4096),
        }
        write[ending]()
        done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
        found, megabytes = map(int, done.stdout.split())
        assert found == rows
        return megabytes

    small, large = peak(20_000), peak(180_000)  # 20 MB and 180 MB of text
    assert large < small + 80


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a,b\n", "a,b\n1,2\n3\n", "a,a\n1,2\n"])
def test_a_process_that_ends_at_a_broken_csv_ends_as_it_means_to(text: str, tmp_path: Path) -> None:
    """A thread of Arrow's that still held something of Python aborted about half of such processes."""
    (tmp_path / "broken.csv").write_text(text)
    lines = (
        "import sys",
        "from jenga_core.builtin.csv_source import CsvSource",
        "from jenga_core.builtin.source_config import CsvConfig",
        "from jenga_core.errors import DataError",
        "import torch",  # the interpreter takes its time to end
        "try:",
        "    list(CsvSource(CsvConfig(kind='core/csv')).tables(sys.argv[1], batch_rows=10))",
        "except DataError:",
        "    sys.exit(2)",
    )
    command = [sys.executable, "-c", "\n".join(lines), str(tmp_path / "broken.csv")]
    runs = [subprocess.run(command, capture_output=True, check=False) for _ in range(3)]
    assert [(run.returncode, run.stderr) for run in runs] == [(2, b"")] * 3


def test_zips_that_cannot_be_unpacked(tmp_path):
    """With a password, and by Deflate64, which Windows uses above two gigabytes: a sound archive is changed to say so."""
    path = tmp_path / "plain.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flows.csv", "a,b\n1,x\n")
        archive.writestr("__MACOSX/._flows.csv", "what a Mac adds")
    assert len(pd.concat(list(CsvSource(CsvConfig()).tables(path, batch_rows=9)))) == 1
    sound = path.read_bytes()
    local, central = sound.find(b"PK\x03\x04"), sound.find(b"PK\x01\x02")
    for name, places, value, said in (
        ("secret", (local + 6, central + 8), 1, "locked with a password"),
        ("deflate64", (local + 8, central + 10), 9, "packed in a way unknown here"),
    ):
        changed = bytearray(sound)
        for place in places:
            changed[place] = value
        bad = tmp_path / f"{name}.csv.zip"
        bad.write_bytes(changed)
        with pytest.raises(DataError, match=f"{said}(.|\n)*unpack it first"):
            list(CsvSource(CsvConfig()).tables(bad, batch_rows=9))
