"""text/ner: what becomes of spans, of BIO columns, and of bad ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jenga_core
from jenga_core.contracts import Encoded, Ragged
from jenga_core.errors import DataError, UserError
from jenga_text.config import TokenizerConfig, TrainBpeConfig
from jenga_text.entity_metrics import predicted
from jenga_text.ner import NerTask
from jenga_text.ner_config import NerConfig
from jenga_text.places import continues, cuts_a_word
from jenga_text.processors import TokenizerProcessor, TrainBpeProcessor

TEXT = "Rais John Doe na 😀 wa Nairobi."
ENTITIES = [{"start": 5, "end": 13, "label": "PER"}, {"start": 22, "end": 29, "label": "LOC"}]


def task_over(texts: Sequence[Any], targets: Sequence[Any], **options: Any) -> tuple[NerTask, pd.DataFrame, Encoded]:
    """A task fitted on these rows, with the 256 bytes as tokens."""
    task = NerTask(NerConfig(**{"target": "entities", **options}))
    cells = pd.DataFrame({"text": pd.Series(texts, dtype=object), "entities": pd.Series(targets, dtype=object)})
    processor = TokenizerProcessor(TokenizerConfig.example())
    processor.fit(cells[["text"]])
    task.bind({"input": processor})
    task.fit(cells)
    return task, cells, processor.encode(cells[["text"]])


def words_of(encoded: Encoded, task: NerTask, text: str, row: int = 0) -> list[tuple[str, str]]:
    """(text, label) of the entities that the encoded tags of a row say."""
    y, spans = encoded.columns["y"], encoded.columns["spans"]
    assert isinstance(y, Ragged)
    found = predicted({"tags": y.take(np.array([row]))}, spans.take(np.array([row])), 0)  # type: ignore[union-attr]
    return [(text[a:b], task.types[k]) for a, b, k in zip(found.start, found.end, found.label, strict=True)]


def test_labels_are_aligned_by_characters() -> None:
    """Trap 3 of the original: words and sub-words were counted differently, so labels slid."""
    task, cells, encoded = task_over([TEXT], [ENTITIES])
    assert words_of(task.encode(cells, {"input": encoded}), task, TEXT) == [("John Doe", "PER"), ("Nairobi", "LOC")]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(["John", "é", "😀", "e\u0301", "👨‍👩‍👧", "ng'ombe", "U.S.", "  ", "\t", "日本"]),
        min_size=1,
        max_size=8,
    ),
    st.data(),
)
def test_what_is_encoded_is_decoded(pieces: list[str], data: st.DataObject) -> None:
    """Spans over whole pieces come back with the same offsets, whatever the tokens."""
    text = " ".join(pieces)
    starts = np.cumsum([0, *(len(p) + 1 for p in pieces)])
    chosen = [at for at, p in enumerate(pieces) if p.strip() and data.draw(st.booleans())]
    entities = [{"start": int(starts[at]), "end": int(starts[at] + len(pieces[at])), "label": "X"} for at in chosen]
    other = "hapa ni John", [{"start": 8, "end": 12, "label": "X"}]
    cells = pd.DataFrame({"text": [text, other[0]], "entities": [entities, other[1]]})
    for processor in (TokenizerProcessor(TokenizerConfig.example()), TrainBpeProcessor(TrainBpeConfig(vocabulary=300))):
        processor.fit(cells[["text"]])
        task = NerTask(NerConfig(target="entities"))
        task.bind({"input": processor})
        task.fit(cells)
        found = task.encode(cells, {"input": processor.encode(cells[["text"]])})
        if found.present[0]:
            assert words_of(found, task, text) == [(pieces[at], "X") for at in chosen]


def test_json_text_and_triples_are_entities_too() -> None:
    import json

    task, cells, encoded = task_over([TEXT, TEXT], [json.dumps(ENTITIES), [[5, 13, "PER"], (22, 29, "LOC")]])
    found = task.encode(cells, {"input": encoded})
    assert words_of(found, task, TEXT, 0) == words_of(found, task, TEXT, 1) == [("John Doe", "PER"), ("Nairobi", "LOC")]


def test_bio_columns() -> None:
    tags = "O B-PER I-PER O O O B-LOC"
    task, cells, encoded = task_over([TEXT, TEXT], [tags, tags.split()], form="bio")
    found = task.encode(cells, {"input": encoded})
    assert words_of(found, task, TEXT) == [("John Doe", "PER"), ("Nairobi.", "LOC")]


def test_bio_with_words_of_its_own() -> None:
    cells = pd.DataFrame(
        {"text": [TEXT], "entities": ["O B-PER I-PER O O O B-LOC O"], "words": [[*TEXT[:-1].split(), "."]]}
    )
    task, _, encoded = task_over([TEXT], ["O B-PER I-PER O O O B-LOC"], form="bio")
    task.config = NerConfig(target="entities", form="bio", tokens="words")
    assert words_of(task.encode(cells, {"input": encoded}), task, TEXT)[1] == ("Nairobi", "LOC")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            [{"start": 5, "end": 99, "label": "PER"}],
            "row 2, column 'entities': PER 5:99 does not lie within the text of 30",
        ),
        ([{"start": -1, "end": 3, "label": "PER"}], "does not lie within"),
        ([{"start": 5, "end": 5, "label": "PER"}], "does not lie within"),
        ([{"start": 5, "end": 13, "label": "PER"}, {"start": 10, "end": 15, "label": "LOC"}], "overlap"),
        ([{"start": 5, "label": "PER"}], "row 2, column 'entities': start 5 and end None"),
        ([{"start": 1.5, "end": 3, "label": "PER"}], "whole numbers"),
        *(
            ([{"start": start, "end": 3, "label": "PER"}], "row 2, column 'entities': .* are not whole numbers")
            for start in ("a", "1", [0], {}, True, math.nan, math.inf)
        ),
        ('[{"start": NaN, "end": 3, "label": "PER"}]', "start nan and end 3 are not whole numbers"),
        ('[{"start": 0, "end": 1e400, "label": "PER"}]', "start 0 and end inf are not whole numbers"),
        ('[[0, [1], "PER"]]', r"start 0 and end \[1\] are not whole numbers"),
        ([{"start": 0, "end": 10**400, "label": "PER"}], "does not lie within"),
        ([{"start": 5, "end": 13, "label": ""}], "no name"),
        (["PER"], "is no entity"),
        ("{}", "is no list"),
        ("[{", "no JSON list"),
        (7, "is no list"),
    ],
)
def test_bad_spans_are_named(target: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        task_over([TEXT, TEXT], [ENTITIES, target])


@pytest.mark.parametrize(
    ("tags", "says"),
    [("O O", "row 2, column 'entities': 2 tags for 7 words"), ("O PER O O O O O", "'PER' is no tag")],
)
def test_bad_tags_are_named(tags: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        task_over([TEXT, TEXT], ["O B-PER I-PER O O O B-LOC", tags], form="bio")


def test_words_must_be_those_of_the_text() -> None:
    task, _, encoded = task_over([TEXT], [ENTITIES])
    task.config = NerConfig(target="entities", form="bio", tokens="words")
    cells = pd.DataFrame({"text": [TEXT], "entities": [["O"]], "words": [["Mtu"]]})
    with pytest.raises(DataError, match="row 1, column 'words': the word 'Mtu' is not in the text"):
        task.encode(cells, {"input": encoded})


def test_what_is_odd_is_counted() -> None:
    texts = [TEXT, TEXT, None, "  ", TEXT, "Rene\u0301 John"]
    targets = [
        ENTITIES,
        None,
        [],
        [],
        [{"start": 5, "end": 9, "label": "ORG"}],
        [{"start": 0, "end": 4, "label": "PER"}],  # without the accent of its last letter
    ]
    task, cells, _ = task_over(texts[:1], targets[:1])
    cells = pd.DataFrame({"text": texts, "entities": targets})
    processor = task._processors["input"]
    found = task.encode(cells, {"input": processor.encode(cells[["text"]])})
    assert found.present.tolist() == [True, False, False, False, True, True]
    assert found.excluded == {
        "no label": 1,
        "labelled, but without text": 2,
    }
    assert found.remarks == {
        "an entity of a type that training rows lack (judged as missed)": 1,
        "an entity cuts a token (learned as the whole token, judged as it is)": 1,
    }


def test_an_entity_in_the_part_that_was_cut_off_is_missed() -> None:
    task, cells, _ = task_over([TEXT], [ENTITIES])
    short = TokenizerProcessor(TokenizerConfig(checkpoint=TokenizerConfig.example().checkpoint, max_length=18))
    short.fit(cells[["text"]])
    found = task.encode(cells, {"input": short.encode(cells[["text"]])})
    assert not found.excluded
    assert found.remarks == {
        "an entity lies behind what was kept of the text, or was removed from it (not learned, judged as missed)": 1
    }
    perfect = {"tags": Ragged(np.maximum(found.columns["y"].values, 0), found.columns["y"].starts)}  # type: ignore[union-attr]
    assert task.metrics().compute(perfect, found.columns)["recall"] == 0.5


def test_special_tokens_and_outside_words_are_no_part_of_the_score() -> None:
    """Traps 3 and 24 of the original: token scores counted O, padding and special tokens, and were .96 with an F1 of 0."""
    task, cells, encoded = task_over([TEXT], [ENTITIES])
    columns = task.encode(cells, {"input": encoded}).columns
    y = columns["y"]
    assert isinstance(y, Ragged)
    nothing = task.metrics().compute({"tags": Ragged(np.zeros_like(y.values), y.starts)}, columns)
    assert nothing["f1"] == nothing["recall"] == 0.0
    perfect = np.maximum(y.values, 0)
    special = columns["spans"].values[:, 0] < 0  # type: ignore[union-attr]
    assert special.any()
    perfect[special] = 1  # whatever a model says there
    assert task.metrics().compute({"tags": Ragged(perfect, y.starts)}, columns)["f1"] == 1.0


def test_the_score_of_an_entity_is_over_all_its_tokens() -> None:
    """The geometric mean from its first token to its last: of one token the score itself."""
    task, *_ = task_over([TEXT], [ENTITIES])
    task.whole_words = False
    spans = Ragged.of(
        [[(-1, 0, 0), (0, 0, 2), (0, 2, 4), (0, 5, 9), (0, 10, 12), (0, 12, 14)], [(-1, 0, 0), (0, 0, 4)]]
    )
    loc, per = 1 + 2 * task.types.index("LOC"), 1 + 2 * task.types.index("PER")
    tags = Ragged.of([np.array([0, per, per + 1, per + 1, loc, loc]), np.array([0, loc])])
    score = Ragged.of([np.array([1.0, 0.9, 0.4, 0.2, 0.7, 0.3]), np.array([1.0, 0.6])])
    encoded = Encoded({}, np.array([True, True]), spans=spans)
    found = task.decode({"tags": tags, "score": score}, np.arange(2), {"input": encoded})["entities"]
    assert [e["score"] for e in found[0]] == pytest.approx([(0.9 * 0.4 * 0.2) ** (1 / 3), 0.7, 0.3], abs=1e-6)
    assert [e["score"] for e in found[1]] == pytest.approx([0.6], abs=1e-6)


def test_bio_that_begins_with_i_is_read_and_counted() -> None:
    task, cells, encoded = task_over([TEXT], ["O I-PER I-PER O O O I-LOC"], form="bio")
    found = task.encode(cells, {"input": encoded})
    assert words_of(found, task, TEXT)[0] == ("John Doe", "PER")
    assert found.remarks == {"an entity begins with I (read as B)": 1}


def test_types_can_be_fixed() -> None:
    with pytest.raises(DataError, match="the type 'LOC' is not in `types`"):
        task_over([TEXT], [ENTITIES], types=["PER"])
    assert task_over([TEXT], [ENTITIES], types=["X", "PER", "LOC"])[0].types == ["X", "PER", "LOC"]


def test_no_entity_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no entity in the 1 training rows"):
        task_over([TEXT], [[]])


def test_the_text_must_be_the_inputs() -> None:
    task, cells, encoded = task_over([TEXT], [ENTITIES])
    with pytest.raises(UserError, match="does not read column 'text'"):
        task.encode(cells.assign(text="Jo", entities=[[]]), {"input": encoded})


@pytest.mark.parametrize("conditioning", ["none", "attention", "gated", "concat"])
@pytest.mark.parametrize("crf", [False, True])
def test_entities_behind_conditioning_are_predicted_as_without(conditioning: str, crf: bool, tmp_path: Path) -> None:
    """Prediction asks the head for tags; a head behind its conditioning answers as one without."""
    spans = [{"start": 0, "end": 5, "label": "PER"}]
    rows = pd.DataFrame({"text": ["Amina alifika leo"] * 24, "entities": [spans] * 24, "label": ["a", "b"] * 12})
    config = {
        "project": "conditioned",
        "seed": 0,
        "data": {"t": {"path": "t.jsonl", "split": {"validation": 0.25, "test": 0.25}}},
        "inputs": {"x": {"columns": ["text"], "processor": "text/words"}},
        "backbones": {"net": {"kind": "text/recurrent", "embedding": 4, "hidden": 8, "dropout": 0.0}},
        "conditioning": conditioning,
        "tasks": {
            "names": {"kind": "text/ner", "target": "entities", "crf": crf},
            "what": {"kind": "core/classification", "target": "label"},
        },
        "train": {"epochs": 12, "batch_size": 4, "learning_rate": 0.05, "bootstrap": 0, "baselines": False},
    }
    run = jenga_core.train(config, data={"t": rows}, output=tmp_path / "run", quiet=True, report=False)
    found = jenga_core.load(run.folder).predict(rows.head(1))["names.entities"][0]
    assert [(e["start"], e["end"], e["label"], e["text"]) for e in found] == [(0, 5, "PER", "Amina")]
    assert 0.5 < found[0]["score"] <= 1


# ------------------------------------------------------------------ words of several tokens


def said(task: NerTask, encoded: Encoded, tags: list[int]) -> list[tuple[int, int]]:
    """(start, end) of what these tags of the tokens between the special ones say."""
    every = Ragged.of([[0, *tags, 0]], np.int64)
    output = {"tags": every, "score": Ragged(np.full(len(every.values), 0.5), every.starts)}
    found = task.decode(output, np.array([0]), {"input": encoded})["entities"][0]
    return [(entity["start"], entity["end"]) for entity in found]


def byte_tags(encoded: Encoded, **at: int) -> list[int]:
    """A tag for each token without the special ones: those at characters `c0`, `c6`, ...; else 0."""
    assert encoded.spans is not None
    place = encoded.spans.values
    return [at.get(f"c{start}", 0) for column, start, _ in place.tolist() if column >= 0]


def test_the_first_token_of_a_word_says_what_the_word_is() -> None:
    """By bytes: a first one that begins an entity takes the word with it, a later one alone begins none."""
    task, _, encoded = task_over(["Nairobi Kenya"], [[{"start": 0, "end": 7, "label": "LOC"}]])
    assert task.whole_words
    assert said(task, encoded, byte_tags(encoded, c0=1)) == [(0, 7)]
    assert said(task, encoded, byte_tags(encoded, c0=1, c1=2, c2=2)) == [(0, 7)]
    assert said(task, encoded, byte_tags(encoded, c3=1)) == []
    assert said(task, encoded, byte_tags(encoded, c0=1, c8=2)) == [(0, 13)]
    assert said(task, encoded, byte_tags(encoded, c0=1, c8=1)) == [(0, 7), (8, 13)]


def test_entities_within_words_are_kept_where_training_rows_have_them() -> None:
    task, _, encoded = task_over(["Nairobi Kenya"], [[{"start": 0, "end": 3, "label": "LOC"}]])
    assert not task.whole_words
    assert said(task, encoded, byte_tags(encoded, c2=1, c3=2)) == [(2, 4)]
    assert said(task, encoded, byte_tags(encoded, c3=1)) == [(3, 4)]


def test_a_character_of_several_tokens_is_not_torn() -> None:
    task, _, encoded = task_over(["Ni 😀 leo"], [[{"start": 3, "end": 4, "label": "X"}]])
    at = [place for place, (_, start, end) in enumerate(encoded.spans.values.tolist()) if (start, end) == (3, 4)]
    assert len(at) > 1
    tags = [0] * (len(encoded.spans.values) - 2)
    tags[at[0] - 1] = 1
    assert said(task, encoded, tags) == [(3, 4)]


def test_one_slip_in_a_hundred_changes_nothing() -> None:
    whole = [[{"start": 0, "end": 7, "label": "LOC"}]]
    cut = [[{"start": 0, "end": 3, "label": "LOC"}]]
    assert task_over(["Nairobi"] * 100, whole * 99 + cut)[0].whole_words
    assert not task_over(["Nairobi"] * 50, whole * 49 + cut)[0].whole_words


def test_words_of_redacted_texts_stand_where_they_came() -> None:
    text = "Pigia 0712345678 Nairobi sasa"
    cells = pd.DataFrame({"text": [text], "entities": [[{"start": 17, "end": 24, "label": "LOC"}]]})
    processor = TokenizerProcessor(TokenizerConfig(checkpoint=TokenizerConfig.example().checkpoint, redact={}))
    processor.fit(cells[["text"]])
    task = NerTask(NerConfig(target="entities"))
    task.bind({"input": processor})
    task.fit(cells)
    encoded = processor.encode(cells[["text"]])
    assert task.whole_words
    assert said(task, encoded, byte_tags(encoded, c17=1)) == [(17, 24)]


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.lists(st.text(alphabet="aé_9 .'\u0301日😀", max_size=12), min_size=3, max_size=3), min_size=1, max_size=2
    ),
    st.data(),
)
def test_tokens_that_go_on_with_a_word(columns: list[list[str]], data: st.DataObject) -> None:
    """Cut anywhere: a token continues when it begins where the one before it ends, between two characters of a word."""
    rows, expected = [], []
    for row in range(3):
        tokens = [(-1, 0, 0)]
        expected.append(False)
        for number, column in enumerate(columns):
            size = len(column[row])
            cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=5))})
            for start, end in itertools.pairwise(cuts):
                tokens.append((number, start, end))
                expected.append(cuts_a_word(column[row], start))
        rows.append(tokens)
    spans = Ragged.of([np.array(tokens) for tokens in rows], np.int64)
    assert continues(spans, columns).tolist() == expected
