"""text/squad and text/span-qa: rows of questions, answers by characters, SQuAD's scores."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
from jenga_core.contracts import Ragged
from jenga_core.errors import DataError
from jenga_text.answers import LOST, NONE, exact, f1, normal
from jenga_text.config import TokenizerConfig
from jenga_text.processors import TokenizerProcessor
from jenga_text.qa_config import SpanQaConfig, SquadConfig
from jenga_text.span_qa import SpanQaTask, best
from jenga_text.squad import SquadSource

CONTEXT = "Mji mkuu wa Kenya ni Nairobi 😀."
ANSWER = {"text": "Nairobi", "answer_start": 21}


def document(**question: Any) -> dict[str, Any]:
    asked = {"id": "q1", "question": "Mji mkuu?", "answers": [ANSWER], **question}
    return {"data": [{"title": "Kenya", "paragraphs": [{"context": CONTEXT, "qas": [asked]}]}]}


def read(folder: Path, content: Any) -> pd.DataFrame:
    path = folder / "some.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return pd.concat(list(SquadSource(SquadConfig()).tables(path, batch_rows=2)))


def test_a_question_is_a_row(tmp_path: Path) -> None:
    frame = read(tmp_path, document())
    assert frame.iloc[0].to_dict() == {
        "id": "q1", "title": "Kenya", "question": "Mji mkuu?", "context": CONTEXT, "answers": [ANSWER],
    }  # fmt: skip
    assert read(tmp_path, document(is_impossible=True))["answers"][0] == []
    assert read(tmp_path, document(answers=None))["answers"][0] is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "invalid JSON"),
        ("[]", "`data`: is no list"),
        ({"data": []}, "no question in the file"),
        ({"data": [{"paragraphs": [{"context": "x"}]}]}, r"data\[0\].paragraphs\[0\].qas: is no list"),
        ({"data": [{"paragraphs": [{"context": "x", "qas": [{}]}]}]}, r"qas\[0\]: has no text 'question'"),
        ({"data": [{"paragraphs": [{"qas": [{"question": "x"}]}]}]}, "has no text 'context'"),
    ],
)
def test_what_is_no_squad_is_named(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("answer", "gold", "em", "overlap"),
    [
        ("The Nairobi!", ("nairobi",), 1.0, 1.0),
        ("Nairobi city", ("Nairobi", "the city of Nairobi"), 0.0, 0.8),
        ("", (), 1.0, 1.0),
        ("x", (), 0.0, 0.0),
        ("", ("x",), 0.0, 0.0),
        ("a", ("the",), 1.0, 1.0),  # both are nothing but an article
    ],
)
def test_scores_are_squads(answer: str, gold: tuple[str, ...], em: float, overlap: float) -> None:
    """By hand from evaluate-v2.0.py."""
    assert exact(answer, gold) == em
    assert f1(answer, gold) == pytest.approx(overlap)


def test_normalisation() -> None:
    assert normal("  The  U.S.A.'s   an-answer ") == "usas ananswer"


def encoded(answers: list[Any], max_length: int | None = 256) -> tuple[SpanQaTask, Any, Any]:
    cells = pd.DataFrame({"question": "Mji?", "context": CONTEXT, "answers": pd.Series(answers, dtype=object)})
    processor = TokenizerProcessor(
        TokenizerConfig(checkpoint=TokenizerConfig.example().checkpoint, max_length=max_length)
    )
    processor.fit(cells[["question", "context"]])
    task = SpanQaTask(SpanQaConfig())
    task.bind({"input": processor})
    task.fit(cells)
    inputs = {"input": processor.encode(cells[["question", "context"]])}
    return task, inputs, task.encode(cells, inputs)


def test_answers_become_tokens_of_the_context() -> None:
    lists = {"text": ["Nairobi"], "answer_start": [21]}
    task, inputs, found = encoded([[ANSWER], [], None, json.dumps([ANSWER]), lists])
    assert task.column == 1
    assert found.present.tolist() == [True, True, False, True, True]
    start, end = found.columns["start"], found.columns["end"]
    assert start[1] == NONE
    place = inputs["input"].spans.take(np.array([0])).values
    assert (place[start[0]][1], place[end[0]][2]) == (21, 28)
    assert start[0] == start[3] == start[4]


def test_an_answer_that_was_cut_off_is_judged_but_not_learned() -> None:
    task, _, found = encoded([[ANSWER], []], max_length=16)
    assert found.columns["start"].tolist() == [LOST, NONE]
    assert (list(found.excluded.values()), list(found.remarks.values())) == ([], [1])
    target, count = task.collate(found, np.array([0, 1]), {})
    scores = torch.randn(2, 16, 2, requires_grad=True)
    torch.autograd.backward(task.loss({"scores": scores, "none": torch.zeros(2, 2)}, target))
    assert count == 2
    assert scores.grad is not None
    assert not scores.grad[0].any()
    assert scores.grad[1].any()


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (
            [{"text": "Nairobi", "answer_start": 20}],
            "row 1, column 'answers': .* does not stand at character 20",
        ),
        ([{"text": "Mombasa", "answer_start": 0}], "the context does not have it"),
        ([{"text": "Nairobi"}], "is no answer"),
        (["Nairobi"], "is no answer"),
        (3, "is no list"),
        ([{"text": "Nairobi", "answer_start": "a"}], "is no answer"),
        ({"text": ["a", "b"], "answer_start": [1]}, "row 1, column 'answers': .* with as many starts as texts"),
        ({"text": 3, "answer_start": [1]}, "with as many starts as texts"),
        ({"text": ["a"], "answer_start": 1}, "with as many starts as texts"),
        ({"text": "Nairobi", "answer_start": 17}, "with as many starts as texts"),
        ({"text": [3], "answer_start": [1]}, "is no answer"),
        ({"text": ["a"]}, "is no list"),
    ],
)
def test_bad_answers_are_named(answers: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        encoded([answers])


@pytest.mark.parametrize("article", ["a", "an", "the", "A", "An", "THE"])
def test_all_three_articles_are_left_out_of_an_answer(article: str) -> None:
    """SQuAD's script drops a, an and the, as words of their own."""
    assert normal(f"{article} old, {article} answer") == "old answer"
    assert exact(f"{article} answer", ("answer",)) == f1(f"{article} answer", ("answer",)) == 1.0
    assert normal(f"{article}nswer on theatre") == f"{article.lower()}nswer on theatre"


@pytest.mark.parametrize("longest", [1, 2, 9])
def test_best_is_the_best_of_all_pairs(longest: int) -> None:
    rng = np.random.default_rng(longest)
    lengths = [4, 1, 6]
    spans = Ragged.of([[(-1, 0, 0), *((0, 3 * at, 3 * at + 2) for at in range(n))] for n in lengths])
    ragged = {k: Ragged.of([rng.normal(size=n + 1) for n in lengths]) for k in ("start", "end")}
    none = {f"none_{k}": rng.normal(size=3) for k in ("start", "end")}
    start, end, score = best({**ragged, **none}, spans, 0, longest)
    for row, n in enumerate(lengths):
        one, other = (ragged[k].take(np.array([row])).values[1:] for k in ("start", "end"))
        pairs = {(a, b): one[a] + other[b] for a, b in product(range(n), repeat=2) if 0 <= b - a < longest}
        a, b = max(pairs, key=lambda pair: pairs[pair])
        nothing = none["none_start"][row] + none["none_end"][row]
        wins = pairs[a, b] > nothing
        assert (start[row], end[row]) == ((3 * a, 3 * b + 2) if wins else (-1, -1))
        total = np.prod([np.exp(none[f"none_{k}"][row]) + np.exp(v).sum() for k, v in (("start", one), ("end", other))])
        assert score[row] == pytest.approx(np.exp(max(pairs[a, b], nothing)) / total)


# ------------------------------------------------------------------ contexts longer than the encoder's window


def asked(rows: int, seed: int, words: int) -> pd.DataFrame:
    """Contexts of `words` words, one of which is in capitals: the answer, wherever it stands. The question says nothing."""
    rng, made = np.random.default_rng(seed), []
    syllables = ["ba", "ke", "li", "mo", "nu", "sa", "ti", "wa"]
    for _ in range(rows):
        context = ["".join(rng.choice(syllables, 2)) for _ in range(words)]
        at = int(rng.integers(words))
        context[at] = "".join(rng.choice(syllables, 2)).upper()
        begin = len(" ".join(context[:at])) + (at > 0)
        made.append(("Jibu ni nini?", " ".join(context), [{"text": context[at], "answer_start": begin}]))
    return pd.DataFrame(made, columns=["question", "context", "answers"])


@pytest.mark.slow
def test_answers_are_found_in_every_window_of_a_long_context(tmp_path: Path) -> None:
    """Windows of 32 tokens, each beginning with the question; contexts of up to six hundred words, none seen so long before."""
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
             "max_position_embeddings": 32}  # fmt: skip
    config = {
        "data": {"rows": {}},
        "backbones": {"encoder": {"kind": "text/transformer", "architecture": {"model_type": "bert", **small}, "overlap": 8}},
        "inputs": {"text": {"columns": ["question", "context"],
                            "processor": {"kind": "text/train-bpe", "vocabulary": 300, "max_length": None}}},
        "tasks": {"answer": {"kind": "text/span-qa", "target": "answers"}},
        "train": {"epochs": 30, "batch_size": 16, "learning_rate": 5e-3, "bootstrap": 0, "baselines": False, "device": "cpu",
                  "monitor": "answer.exact"},
    }  # fmt: skip
    rows = asked(200, 0, 40)
    data = {"rows": {"train": rows, "validation": rows.head(20), "test": rows.head(20)}}
    jenga_core.train(config, data=data, output=tmp_path / "run", quiet=True, report=False)
    long = asked(40, 1, 600)
    found = jenga_core.load(tmp_path / "run").predict(long[["question", "context"]])
    wanted = [(row[0]["answer_start"], row[0]["answer_start"] + len(row[0]["text"])) for row in long["answers"]]
    places = list(zip(found["answer.start"], found["answer.end"], strict=True))
    right = [place == want for place, want in zip(places, wanted, strict=True)]
    assert sum(right) >= 36
    assert max(begin for (begin, _), ok in zip(wanted, right, strict=True) if ok) > 2000  # far behind the first window
    answers = [context[begin:end] for context, (begin, end) in zip(long["context"], places, strict=True)]
    assert found["answer.answer"].tolist() == answers
