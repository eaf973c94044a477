"""Quotes, delimiters, decimal commas: what a file of text says is read as it says it, or refused with its place."""

from __future__ import annotations

import bz2
import gzip
import lzma
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jenga_core.builtin.quoting import Quotes, well_formed
from jenga_core.builtin.source_config import CsvConfig
from jenga_core.builtin.sources import CsvSource
from jenga_core.config import DataConfig, SplitConfig
from jenga_core.errors import DataError
from jenga_core.registry import Registry
from jenga_core.tables import load_table, written_frame

REGISTRY = Registry.of()


def read(path: Path, text: str | bytes, **options: object) -> pd.DataFrame:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    source = CsvConfig(kind="core/csv", **options) if options else None
    return written_frame(str(path), registry=REGISTRY, source=source)


def table(path: Path, text: str, **options: object):
    path.write_text(text)
    section = DataConfig(
        path=[str(path)], split=SplitConfig(validation=0, test=0), source=CsvConfig(kind="core/csv", **options)
    )
    return load_table("t", section, registry=REGISTRY, seed=0)


# ------------------------------------------------------------------ quotes


def by_the_letter(text: str) -> str:
    """RFC 4180 as a machine of four states: "well formed", "stray" or "open"."""
    state = "begin"
    for letter in text:
        end = letter in ",\r\n"
        if state == "begin":
            state = "begin" if end else "quoted" if letter == '"' else "plain"
        elif state == "plain":
            state = "begin" if end else "plain"
        elif state == "quoted":
            state = "closed" if letter == '"' else "quoted"
        elif letter == '"':
            state = "quoted"
        elif end:
            state = "begin"
        else:
            return "stray"
    return "open" if state == "quoted" else "well formed"


@settings(max_examples=1000, deadline=None)
@given(text=st.text('",\n\rab', max_size=24), cuts=st.lists(st.integers(0, 24), max_size=4))
def test_stray_and_open_quotes_are_those_of_rfc_4180_however_the_text_is_cut(text, cuts):
    quotes, found = Quotes('"', ","), "well formed"
    places = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    for begin, end in pairwise(places):
        if quotes.stray(text[begin:end].encode()) is not None:
            found = "stray"
            break
    if found != "stray" and quotes.open is not None:
        found = "open"
    assert found == by_the_letter(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('a,b\n"he said \\"hi\\" twice",1\n', "row 1, column 'a'"),
        ('a,b\n1,x\n\n"5" disk",1\n', "row 2, column 'a'"),
        ('a,b\n1,"x\ny"\n2,"z"z\n', "row 2, column 'b'"),
        ('a,"b"c\n1,2\n', "line 1, column 2"),
        ('a,b\n1,"never closed\n2,y\n', "row 1, column 'b'"),
    ],
)
def test_a_malformed_quote_is_refused_with_its_place(tmp_path, text, place):
    for name, content in (("x.csv", text.encode()), ("x.csv.gz", gzip.compress(text.encode()))):
        with pytest.raises(DataError) as error:
            read(tmp_path / name, content)
        assert f"{name}, {place}: a quote " in str(error.value)
        assert "quote: null" in str(error.value)


def test_a_cell_of_several_megabytes(tmp_path):
    long = "line\n" * 500_000
    assert read(tmp_path / "x.csv", f'a,b\n1,"{long}"\n2,y\n').b.tolist() == [long, "y"]


def test_a_quote_in_a_cell_that_does_not_begin_with_one_is_a_character(tmp_path):
    found = read(tmp_path / "x.csv", 'a,b\na 5" disk,1\n"doubled ""so""",2\n')
    assert found.a.tolist() == ['a 5" disk', 'doubled "so"']


def test_a_stray_quote_behind_many_blocks_is_found(tmp_path):
    rows = "".join(f'{at},"text ""{at}"" of a row"\n' for at in range(100_000))
    with pytest.raises(DataError, match="row 100001, column 'b'"):
        read(tmp_path / "x.csv", f'a,b\n{rows}7,"x"y\n')


def test_tabs_have_no_quotes(tmp_path):
    """IANA text/tab-separated-values."""
    text = 'n\ttext\n1\t"We are ready, he said\n2\tthe end."\n3\t"quoted"\n'
    assert read(tmp_path / "x.tsv", text).text.tolist() == ['"We are ready, he said', 'the end."', '"quoted"']
    noted = table(tmp_path / "y.tsv", text).notes
    assert any("1 cell stand in quotes" in note or "1 cell stands in quotes" in note for note in noted)
    assert read(tmp_path / "z.tsv", 'n\ttext\n1\t"a\tb"\n', quote='"').text.tolist() == ["a\tb"]


def test_line_ends_in_cells_are_told(tmp_path):
    found = table(tmp_path / "x.csv", 'a,b\n1,"one\ntwo\nthree"\n2,x\n')
    assert any("1 cell holds 2 line ends (row 1, column 'b')" in note for note in found.notes)
    assert not table(tmp_path / "y.csv", "a,b\n1,x\n2,y\n").notes


def test_lines_of_a_live_log():
    assert well_formed(b'1,"a ""b""",c', '"', ",")
    assert not well_formed(b'1,"5" disk"', '"', ",")
    assert not well_formed(b'1,"open', '"', ",")
    live = CsvSource(CsvConfig()).live("x.csv")
    live.feed([b"a,b"])
    assert live.feed([b'1,"x, y"']).b.tolist() == ["x, y"]
    with pytest.raises(DataError, match="quote"):
        live.feed([b'1,"5" disk"'])


# ------------------------------------------------------------------ compressed


@pytest.mark.parametrize(("ending", "pack"), [("bz2", bz2.compress), ("xz", lzma.compress)])
def test_what_follows_the_first_stream_is_read_or_refused(tmp_path, ending, pack):
    one, two = pack(b"a,b\n1,x\n"), pack(b"2,y\n" * 100_000)
    assert len(read(tmp_path / f"x.csv.{ending}", one + two)) == 100_001
    if ending == "xz":
        assert len(read(tmp_path / "padded.csv.xz", one + b"\0" * 8 + two + b"\0" * 4)) == 100_001
    damaged = bytearray(two)
    damaged[len(two) // 2] ^= 255
    for what in (bytes(damaged), two[:-9], b"garbage"):
        with pytest.raises(DataError, match=r"cannot be read|cut off"):
            read(tmp_path / f"y.csv.{ending}", one + what)


# ------------------------------------------------------------------ rows and headers


def test_the_header_of_a_live_log_is_read_as_that_of_a_file():
    live = CsvSource(CsvConfig()).live("x.csv")
    live.feed([b"sep=;", b";Unnamed: 0"])
    assert live.feed([b"1;2"]).to_dict("list") == {"Unnamed: 0.1": ["1"], "Unnamed: 0": ["2"]}
    with pytest.raises(DataError, match="names 'a' twice"):
        CsvSource(CsvConfig()).live("x.csv").feed([b"a,a"])


def test_a_first_row_of_a_megabyte(tmp_path):
    assert len(read(tmp_path / "x.csv", f"a,b\n1,{'x' * (1 << 20)}\n2,y\n")) == 2


def test_a_blank_line_of_a_file_of_one_column_is_a_row_without_a_value(tmp_path):
    found = read(tmp_path / "x.csv", "text\nfirst\n\nthird\n")
    assert [None if pd.isna(v) else v for v in found.text] == ["first", None, "third"]
    assert len(read(tmp_path / "y.csv", "a,b\n1,x\n\n2,y\n")) == 2


def test_a_header_without_a_name_beside_a_column_of_that_name(tmp_path):
    found = read(tmp_path / "x.csv", ",Unnamed: 0,b\n1,2,3\n")
    assert list(found.columns) == ["Unnamed: 0.1", "Unnamed: 0", "b"]
    assert found.iloc[0].tolist() == ["1", "2", "3"]


def test_the_line_of_excel_names_the_delimiter(tmp_path):
    found = read(tmp_path / "x.csv", "sep=;\r\na;b\r\n1;x\r\n2;y\r\n")
    assert found.to_dict("list") == {"a": ["1", "2"], "b": ["x", "y"]}
    with pytest.raises(DataError, match="row 2: has 3 cells"):
        read(tmp_path / "y.csv", "sep=;\na;b\n1;x\n2;y;z\n")


# ------------------------------------------------------------------ numbers as people spell them


@pytest.mark.parametrize(
    ("options", "cells", "numbers"),
    [
        ({"decimal": ","}, ["0,25", "1,5", "7", ""], [0.25, 1.5, 7, None]),
        ({"decimal": ",", "thousands": "."}, ["1.234,50", "-12.345.678", "0,1"], [1234.5, -12345678, 0.1]),
        ({"thousands": ","}, ["1,234.5", "12", "1,000,000"], [1234.5, 12, 1_000_000]),
        ({"thousands": " "}, ["1 234", "1\u00a0234", "1\u202f234.5"], [1234, 1234, 1234.5]),
        ({"thousands": "'"}, ["1'234", "12"], [1234, 12]),
    ],
)
def test_decimal_commas_and_thousands(tmp_path, options, cells, numbers):
    text = "a;b\n" + "".join(f"{cell};x\n" for cell in cells)
    found = table(tmp_path / "x.csv", text, delimiter=";", **options)
    assert [None if pd.isna(v) else v for v in found.frame.a] == numbers
    kind = found.types["a"]
    alone = [kind.read(pd.Series([cell or None], dtype="str")).iloc[0] for cell in cells]
    assert [None if pd.isna(v) else v for v in alone] == numbers, "alone as among others"
    assert kind.read(pd.Series([0.25])).tolist() == [0.25], "a number is a number"


def test_a_number_that_is_not_spelt_so_is_refused(tmp_path):
    kind = table(tmp_path / "x.csv", "a;b\n0,25;x\n1,5;y\n", delimiter=";", decimal=",").types["a"]
    with pytest.raises(DataError, match=r"'1.500' is not spelt as the numbers of this table are"):
        kind.read(pd.Series(["0,5", "1.500"], dtype="str"))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["0,25", "1,5", "7"], 'decimal: ","'),
        (["1.234,5", "12.345,0"], 'decimal: ",", thousands: "."'),
        (["1,234", "2,000", "12"], "decimal"),
        (["1,234.5", "12,000.0"], 'thousands: ","'),
        (["12%", "5 %"], "percent sign"),
    ],
)
def test_a_hint_names_the_column_and_the_option(tmp_path, cells, said):
    found = table(tmp_path / "x.csv", "price;b\n" + "".join(f"{c};x\n" for c in cells), delimiter=";")
    (note,) = found.notes
    assert "column 'price' seems to hold numbers with" in note
    assert said in note


def test_options_that_contradict_each_other():
    with pytest.raises(ValidationError, match="same character"):
        CsvConfig(decimal=",", thousands=",")
    with pytest.raises(ValidationError, match="neither one character of ASCII nor auto"):
        CsvConfig(quote="ab")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(-1e9, 1e9).map(lambda v: round(v, 2)), min_size=1, max_size=8))
def test_any_numbers_come_back_in_any_spelling(tmp_path, values):
    swap = str.maketrans(",.", ".,")
    text = "a;b\n" + "".join(f"{f'{v:,.2f}'.translate(swap)};x\n" for v in values)
    found = table(tmp_path / "x.csv", text, delimiter=";", decimal=",", thousands=".")
    assert found.frame.a.astype(float).tolist() == values
