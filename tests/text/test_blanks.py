"""Blanks at the ends of what users mark in texts: entities, words with tags, answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import jenga_core
from jenga_core.errors import DataError
from jenga_text.answers import answers_of
from jenga_text.spans import BLANKS, LABEL_BLANKS, from_spans, from_tags

TEXT = "Amina Juma alikwenda\u00a0Nairobi leo."


def cells(*values: Any, name: str = "entities") -> pd.Series:
    return pd.Series(list(values), dtype=object, name=name)


@pytest.mark.parametrize(("start", "end"), [(21, 28), (20, 28), (21, 29), (20, 29)])
@pytest.mark.parametrize("form", [dict, list])
def test_blanks_at_the_ends_of_an_entity_are_trimmed_and_counted(start: int, end: int, form: type) -> None:
    given = {"start": start, "end": end, "label": "LOC"}
    found = from_spans(cells([given if form is dict else list(given.values())], []), [TEXT, TEXT], "entities")
    assert found.rows == [[(21, 28, "LOC")], []]
    assert found.remarks[BLANKS] == ((start, end) != (21, 28))
    assert not found.remarks[LABEL_BLANKS]


def test_entities_that_share_a_blank_do_not_overlap() -> None:
    found = from_spans(cells([(0, 6, "A"), (5, 11, "B")]), [TEXT], "entities")
    assert found.rows == [[(0, 5, "A"), (6, 10, "B")]]


def test_the_label_of_an_entity_is_read_without_blanks_at_its_ends() -> None:
    found = from_spans(cells([(0, 10, "PER "), (21, 28, " LOC")], [(0, 10, "PER")]), [TEXT, TEXT], "entities")
    assert found.rows == [[(0, 10, "PER"), (21, 28, "LOC")], [(0, 10, "PER")]]
    assert found.remarks[LABEL_BLANKS] == 1


@pytest.mark.parametrize(("start", "end"), [(5, 6), (20, 21)])
def test_an_entity_of_blanks_alone_is_refused_with_its_row(start: int, end: int) -> None:
    with pytest.raises(DataError, match=f"row 2, column 'entities': LOC {start}:{end} holds nothing but blanks"):
        from_spans(cells([], [(start, end, "LOC")]), [TEXT, TEXT], "entities")


def test_words_with_blanks_at_their_ends_keep_their_tags_and_give_no_blank_to_entities() -> None:
    words = cells(["Amina ", "Juma ", " alikwenda", "Nairobi\t", "leo", "."], name="words")
    tags = cells(["B-PER", "I-PER", "O", "B-LOC ", "O", "O"])
    found = from_tags(tags, words, [TEXT], "entities")
    assert found.rows == [[(0, 10, "PER"), (21, 28, "LOC")]]
    assert found.remarks[BLANKS] == 1


@pytest.mark.parametrize("tags", ["B-PER I-PER O O", "B-PER I-PER O B-LOC O"])
def test_a_no_break_blank_is_within_a_word_or_parts_two_as_there_are_tags(tags: str) -> None:
    found = from_tags(cells(tags), None, [TEXT], "entities").rows[0]
    assert found is not None
    assert [TEXT[a:b] for a, b, _ in found] == ["Amina Juma", "Nairobi"][: len(tags.split()) - 3]


def test_words_of_a_text_with_a_no_break_blank_are_those_of_conll() -> None:
    found = from_tags(cells("B-NUM O"), cells("10\u00a0000 watu", name="words"), ["10\u00a0000 watu"], "entities")
    assert found.rows == [[(0, 6, "NUM")]]


@pytest.mark.parametrize(("text", "start"), [("Nairobi", 21), ("\u00a0Nairobi", 20), ("Nairobi ", 21)])
def test_blanks_at_the_ends_of_an_answer_are_trimmed_and_counted(text: str, start: int) -> None:
    found, trimmed = answers_of(cells([{"text": text, "answer_start": start}], []), [TEXT, TEXT], "answers")
    assert found == [[(21, "Nairobi")], []]
    assert trimmed == (text != "Nairobi")


def test_an_answer_of_blanks_alone_is_refused_with_its_row() -> None:
    with pytest.raises(DataError, match="row 1, column 'answers': the answer at character 5 is nothing but blanks"):
        answers_of(cells([{"text": " ", "answer_start": 5}]), [TEXT], "answers")


@pytest.mark.parametrize(("before", "behind"), [(0, 0), (1, 0), (0, 1)])
def test_entities_with_blanks_are_learned_and_judged_as_those_without(tmp_path, before: int, behind: int) -> None:
    rng, rows = np.random.default_rng(0), []
    for day in range(90):
        person, place = rng.choice(["Amina Juma", "John Otieno", "Wanjiku"]), rng.choice(["Nairobi", "Mombasa"])
        text = f"{person} alikwenda {place} siku {day}."
        at = text.index(place)
        spans = [(0, len(person) + behind, "PER"), (at - before, at + len(place) + behind, "LOC")]
        rows.append({"text": text, "entities": spans})
    config = {
        "data": {"t": {"path": "t.jsonl", "split": {"validation": 0.2, "test": 0.2}}},
        "inputs": {"x": {"columns": ["text"], "processor": "text/words"}},
        "backbones": {"net": {"kind": "text/recurrent", "embedding": 12, "hidden": 16, "dropout": 0.0}},
        "tasks": {"names": {"kind": "text/ner", "target": "entities"}},
        "train": {"epochs": 8, "batch_size": 8, "learning_rate": 0.02, "bootstrap": 0, "monitor": "names.f1"},
    }
    run = jenga_core.train(config, data={"t": pd.DataFrame(rows)}, output=tmp_path / "run", quiet=True)
    assert run.judgements[0].scores["f1"].value == 1.0
    said = " ".join(run.notes)
    assert "cuts a token" not in said
    assert (f"90 of 90 rows: {BLANKS}" in said) == bool(before or behind)
