"""Cells -> tokens: what cells mean, what is cut, where tokens lie, and that the template is the tokenizer's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from jenga_core.contracts import Encoded, Ragged
from jenga_core.errors import DataError, UserError
from jenga_text.bpe import LONGEST, train
from jenga_text.config import TokenizerConfig, TrainBpeConfig
from jenga_text.processors import TokenizerProcessor, TokensProcessor, TrainBpeProcessor
from jenga_text.rows import Template, assemble, shares


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})


def bytes_of(cells: pd.DataFrame, **options: Any) -> tuple[TokensProcessor, Encoded]:
    """One token per byte, so that lengths can be counted by hand."""
    made = TokenizerProcessor(TokenizerConfig.example().model_copy(update=options))
    made.fit(cells)
    return made, made.encode(cells)


def row(column: Any, at: int) -> list[Any]:
    return column.values[column.starts[at] : column.starts[at + 1]].tolist()


# ------------------------------------------------------------------ cells


@pytest.mark.parametrize("blank", [None, np.nan, "", "   \n", pd.NA])
def test_a_row_without_any_text_is_not_present_and_is_counted(blank: Any) -> None:
    _, found = bytes_of(frame(a=["x", blank, blank], b=["y", "z", blank]))
    assert found.present.tolist() == [True, True, False]
    assert found.excluded == {"no text": 1}


@pytest.mark.parametrize(("cell", "text"), [(3, "3"), (3.0, "3"), (0.5, "0.5"), (True, "True"), ("ñ".encode(), "ñ")])
def test_other_cells_are_what_they_are_written_as(cell: Any, text: str) -> None:
    _, found = bytes_of(frame(a=[cell, text]))
    assert row(found.columns["ids"], 0) == row(found.columns["ids"], 1)


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (b"caf\xe9", "not UTF-8"),
        ("a\ud83db", "half of a surrogate pair"),
        (["a"], "a list is not"),
        ({}, "a dict is not"),
    ],
)
def test_what_is_no_text_is_refused_with_row_and_column(cell: Any, what: str) -> None:
    with pytest.raises(DataError, match=rf"row 2, column 'a': .*{what}"):
        bytes_of(frame(a=["fine", cell]))


def test_a_cell_of_a_megabyte_is_cut_and_counted() -> None:
    cells = frame(a=["word " * 200_000, "short"])
    begun = time.process_time()
    made, found = bytes_of(cells, max_length=64)
    assert time.process_time() - begun < 20
    assert found.lengths is not None
    assert found.lengths.tolist() == [64, 2 + len(" short")]
    assert found.columns["cut"].tolist() == [1_000_001 - 62, 0]  # the tokenizer puts a blank in front
    (reason,) = made.counts(found, np.arange(2))
    assert reason == "cut to 64 tokens (100.0% of all tokens lost)"
    assert made.counts(found, np.array([1])) == {}


def test_places_are_characters_of_the_column_with_emoji_and_combining_marks() -> None:
    texts = {"a": "Mambo 🎉 sana", "b": "Ngu\u0303gi\u0301 🇰🇪 yupo"}
    made, found = bytes_of(frame(**{name: [text] for name, text in texts.items()}))
    spans = np.array(row(found.spans, 0))
    for number, text in enumerate(texts.values()):
        own = spans[spans[:, 0] == number]
        assert set().union(*(range(start, end) for _, start, end in own)) >= {
            at for at, character in enumerate(text) if not character.isspace()
        }
        assert own[:, 2].max() == len(text)
    assert (spans[spans[:, 0] == -1, 1:] == 0).all()
    assert (spans[:, 0] == -1).sum() == 3  # [CLS], [SEP], [SEP]
    assert made.facts()["types"] == 2


# ------------------------------------------------------------------ rows


TEMPLATES = {
    "bert": processors.TemplateProcessing("[C] $A [S]", "[C] $A [S] $B:1 [S]:1", [("[C]", 1), ("[S]", 2)]),
    "roberta": processors.TemplateProcessing("[C] $A [S]", "[C] $A [S] [S] $B [S]", [("[C]", 1), ("[S]", 2)]),
    "nothing": processors.TemplateProcessing("$A", "$A $B", []),
}


def tokenizer(template: str) -> Tokenizer:
    words = {w: at for at, w in enumerate(["[P]", "[C]", "[S]", "a", "b", "c", "d", "e", "f"])}
    made = Tokenizer(models.WordLevel(words, unk_token="f"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = TEMPLATES[template]
    return made


words = st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join)


@pytest.mark.parametrize("template", TEMPLATES)
@given(pairs=st.lists(st.tuples(words, words), min_size=1, max_size=5))
def test_a_row_is_what_the_tokenizer_makes_of_a_pair(template: str, pairs: list[tuple[str, str]]) -> None:
    made = tokenizer(template)
    columns = [[made.encode(text, add_special_tokens=False) for text in column] for column in zip(*pairs, strict=True)]
    ids = [Ragged.of([e.ids for e in column], np.int32) for column in columns]
    offsets = [np.array([o for e in c for o in e.offsets], np.int32).reshape(-1, 2) for c in columns]
    found = assemble(ids, offsets, Template.of(made), None)
    for at, (a, b) in enumerate(pairs):
        expected = made.encode(a, b)
        assert row(found.ids, at) == expected.ids
        assert row(found.types, at) == expected.type_ids
        places = [tuple(place) for _, *place in row(found.spans, at)]
        assert places == expected.offsets
        column = [-1 if s is None else s for s in expected.sequence_ids]
        assert [c for c, *_ in row(found.spans, at)] == column
        assert found.lead[at] == len(expected.ids) - len(b.split()) - len(Template.of(made).after)


@given(
    lengths=st.lists(st.tuples(*[st.integers(0, 60)] * 3), min_size=1, max_size=6).map(np.array),
    budget=st.integers(0, 90),
)
def test_the_longest_columns_are_cut_and_no_token_more_than_needed(lengths: np.ndarray, budget: int) -> None:
    kept = shares(lengths, budget)
    assert (kept <= lengths).all()
    assert (kept.sum(axis=1) == np.minimum(lengths.sum(axis=1), budget)).all()
    for had, left in zip(lengths, kept, strict=True):
        cut = had > left
        assert not cut.any() or left[cut].min() >= left.max() - 1  # what was cut is still as long as any other


def test_a_batch_is_padded_masked_and_as_long_as_its_longest_row() -> None:
    made, found = bytes_of(frame(a=["abc", "a", "abcdefgh"]))
    batch = made.collate(found, np.array([1, 0]), "train", np.random.default_rng(0))
    assert batch["ids"].shape == (2, 6)
    assert batch["mask"].sum(dim=1).tolist() == [4, 6]
    assert batch["ids"][0, 4:].tolist() == [made.pad] * 2
    assert "lead" not in batch
    whole, found = bytes_of(frame(a=["abc"]), max_length=None)
    assert whole.collate(found, np.arange(1), "train", np.random.default_rng(0))["lead"].tolist() == [1]


# ------------------------------------------------------------------ tokenizers


def test_settings_for_cutting_and_padding_inside_a_checkpoint_do_not_count(tmp_path: Any) -> None:
    made = tokenizer("bert")
    made.enable_truncation(4)
    made.enable_padding(length=16)
    made.save(str(tmp_path / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[P]", "unk_token": "f"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    processor = TokenizerProcessor(TokenizerConfig(checkpoint=str(tmp_path)))
    cells = frame(text=["a b c d e a b", "a zzz"])
    processor.fit(cells)
    found = processor.encode(cells)
    assert found.lengths is not None
    assert found.lengths.tolist() == [9, 4]
    assert processor.counts(found, np.arange(2)) == {"holds characters that the tokenizer does not know": 1}


def test_a_tokenizer_that_is_not_there_is_an_error_a_user_can_act_on(tmp_path: Any) -> None:
    for checkpoint, what in ((None, "which tokenizer"), (str(tmp_path), "cannot be loaded")):
        with pytest.raises(UserError, match=what):
            TokenizerProcessor(TokenizerConfig(checkpoint=checkpoint)).fit(frame(text=["a"]))


def test_the_backbones_checkpoint_is_the_default() -> None:
    class Options:
        checkpoint = TokenizerConfig.example().checkpoint

    processor = TokenizerProcessor(TokenizerConfig(), Options())
    processor.fit(frame(text=["a"]))
    assert processor.facts()["vocabulary"] == 260


BPE = """
import pandas as pd
from jenga_text.config import TrainBpeConfig
from jenga_text.processors import TrainBpeProcessor
p = TrainBpeProcessor(TrainBpeConfig(vocabulary=400))
p.fit(pd.DataFrame({"a": [f"habari ya {n} asubuhi mjini" for n in range(300)], "b": ["karibu sana"] * 300}))
import hashlib; print(hashlib.sha256(p.state()["tokenizer"].encode()).hexdigest())
"""


@pytest.mark.slow
def test_training_rows_decide_the_tokenizer_and_nothing_else_does() -> None:
    def digest(seed: str, threads: str) -> str:
        env = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads}
        return subprocess.run([sys.executable, "-c", BPE], env=env, capture_output=True, text=True, check=True).stdout

    assert digest("1", "1") == digest("2", "3")


def test_a_trained_tokenizer_knows_every_character_and_respects_lowercase() -> None:
    cells = frame(text=["Habari ya asubuhi", "habari YA jioni"] * 20)
    processor = TrainBpeProcessor(TrainBpeConfig(vocabulary=320, lowercase=True))
    processor.fit(cells)
    unseen = frame(text=["ሰላም 🎉 \x00", "HABARI", "habari"])
    found = processor.encode(unseen)
    assert processor.tokenizer.decode(row(found.columns["ids"], 0)).strip() == "ሰላም 🎉 \x00"
    assert row(found.columns["ids"], 1) == row(found.columns["ids"], 2)


@pytest.mark.parametrize("piece", ["x", "=", "ha", "é"])
def test_a_word_of_a_megabyte_is_learned_from_in_pieces(piece: str) -> None:
    """Whole, each of these took minutes. Where no word is longer than a piece, its length makes no difference."""
    word = piece * (1_000_000 // len(piece))
    begun = time.process_time()
    tokenizer = train(iter([word, "leo"]), TrainBpeConfig(vocabulary=400))
    assert time.process_time() - begun < 20
    assert tokenizer.decode(tokenizer.encode(word).ids).strip() == word


def test_the_length_of_pieces_changes_nothing_for_shorter_words(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["habari ya leo", "x" * 400, "=" * (LONGEST - 1), "huduma nzuri sana"]
    found = train(iter(texts), TrainBpeConfig(vocabulary=400)).to_str()
    monkeypatch.setattr("jenga_text.bpe.LONGEST", 10**9)
    assert train(iter(texts), TrainBpeConfig(vocabulary=400)).to_str() == found


def test_training_rows_without_text_are_refused() -> None:
    with pytest.raises(DataError, match="no text in the 2 training rows"):
        TrainBpeProcessor(TrainBpeConfig()).fit(frame(text=[None, " "]))


# ------------------------------------------------------------------ the baseline's features


def test_features_for_a_baseline_come_from_training_rows() -> None:
    train, test = frame(a=["nzuri sana", "mbaya sana"]), frame(a=["nzuri kabisa", "kabisa kabisa"])
    made, seen = bytes_of(train)
    fitted = made.classical(seen, np.arange(2))
    later = made.classical(made.encode(test), np.arange(2))
    assert fitted is not None
    assert later is not None
    assert fitted.matrix.shape[1] == later.matrix.shape[1]
    assert later.matrix[0].nnz > 0
    loaded = TokenizerProcessor(made.config)
    loaded.restore(made.state())
    assert loaded.classical(loaded.encode(test), np.arange(2)) is None


def test_two_columns_also_give_their_likeness() -> None:
    cells = frame(a=["paka mweusi", "mbwa"], b=["paka mweusi", "gari jipya"])
    made, found = bytes_of(cells)
    features = made.classical(found, np.arange(2))
    assert features is not None
    assert features.matrix[:, -1].toarray().ravel() == pytest.approx([1.0, 0.0], abs=0.05)
