"""text/conll: sentences, schemes, comments, and what is no CoNLL."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from jenga_core.errors import DataError
from jenga_text.conll import ConllSource
from jenga_text.ner_config import ConllConfig


def read(folder: Path, text: str, **options: int) -> tuple[pd.DataFrame, list[str]]:
    path = folder / "some.conll"
    path.write_text(text, encoding="utf-8")
    source = ConllSource(ConllConfig(**options))
    frame = pd.concat(list(source.tables(path, batch_rows=2)))
    assert list(frame.columns) == source.columns(path)
    return frame, source.notes()


def test_a_sentence_is_a_row(tmp_path: Path) -> None:
    frame, notes = read(tmp_path, "John B-PER\nLewis I-PER\n. O\n\n\nNairobi B-LOC\n\nWatu O\nElfu O")
    assert frame["text"].tolist() == ["John Lewis .", "Nairobi", "Watu Elfu"]
    assert frame["entities"].tolist() == [
        [{"start": 0, "end": 10, "label": "PER"}],
        [{"start": 0, "end": 7, "label": "LOC"}],
        [],
    ]
    assert frame["tags"][0] == ["B-PER", "I-PER", "O"]
    assert frame["tokens"][2] == ["Watu", "Elfu"]
    assert frame.index.tolist() == [0, 1, 2]
    assert not notes


def test_tabs_more_columns_comments_and_document_marks(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O O\n\n# id = 1\nNew York\tNNP\tB-LOC\r\nleo\tNN\tO\r\n\n# NN O\nJumatatu NN B-DATE\n"
    frame, _ = read(tmp_path, text)
    assert frame["text"].tolist() == ["New York leo", "# Jumatatu"]
    assert frame["entities"][0] == [{"start": 0, "end": 8, "label": "LOC"}]
    assert frame["entities"][1] == [{"start": 2, "end": 10, "label": "DATE"}]


@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", "\u2009", "\u3000", "\u2028", "\x85", "\x0b", "\x1f"])
@pytest.mark.parametrize("part", [" ", "\t", "  "])
def test_blanks_other_than_those_of_ascii_part_no_columns(tmp_path: Path, blank: str, part: str) -> None:
    frame, _ = read(tmp_path, f"10{blank}000{part}B-NUM\nwatu{blank}{part}O\n")
    assert frame["tokens"][0] == [f"10{blank}000", "watu"]
    assert frame["entities"][0] == [{"start": 0, "end": 6, "label": "NUM"}]


def test_lines_that_are_no_words_may_have_any_number_of_columns(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O\n\n# one two three\na NN B-X\n \u00a0 \n-X- 1\nb NN O\n\n# x\nc NN O\n"
    assert read(tmp_path, text)[0]["text"].tolist() == ["a", "b", "c"]


def test_iob1_is_read_and_counted(tmp_path: Path) -> None:
    frame, notes = read(tmp_path, "a I-PER\nb I-PER\nc B-PER\n")
    assert [(e["start"], e["end"]) for e in frame["entities"][0]] == [(0, 3), (4, 5)]
    assert notes == ["1 entities begin with I- or E- (IOB1, or a defect): read as if with B-"]


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    frame, _ = read(tmp_path, "1 Kenya B-LOC x\n2 yetu O x\n", word=1, tag=2)
    assert frame["text"].tolist() == ["Kenya yetu"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a O\nword\n", "line 2: 'word' has 1 column"),
        ("a O\n\nb O\nc PER\n", "line 4: 'PER' is no tag"),
        ("\n\n", "no sentence"),
        ("\tO\n", "line 1"),
        (
            "a O\n\n\u00a0\nb NN O\n",
            "line 4: 'b NN O' has 3 columns, and line 1 has 2; all lines of a file have as many",
        ),
        ("a\tNN\tO\nb\tO\n", "line 2: .* has 2 columns, and line 1 has 3"),
        ("New York B-LOC\nleo O\n", "line 2: 'leo O' has 2 columns, and line 1 has 3"),
    ],
)
def test_what_is_no_conll_is_named_by_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, text)
