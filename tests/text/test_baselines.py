"""Classical models beside each text task: what they learn, from which rows, and that the report names them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
from jenga_core.contracts import Classical, Columns, Processor, Ragged, Task, take
from jenga_core.evaluation import fit_baselines
from jenga_core.scoring import score
from jenga_text import feature_crf
from jenga_text.cells import objects
from jenga_text.config import TrainBpeConfig
from jenga_text.feature_crf import FeatureCrf, features_of
from jenga_text.ner import NerTask
from jenga_text.ner_config import NerConfig
from jenga_text.processors import TrainBpeProcessor
from jenga_text.scoring import ScoringTask
from jenga_text.scoring_config import HeadConfig, ScoringConfig
from jenga_text.sliding_window import USUAL, SlidingWindow, found_in
from jenga_text.word_config import WordsConfig
from jenga_text.words import WordsProcessor

PLACES = ["Nairobi", "Mombasa", "Kisumu", "Nakuru", "Eldoret", "Thika", "Malindi", "Kitale"]
FILLERS = ["alifika", "jana", "usiku", "Kesho", "tena", "mapema"]


def sentences(rows: int, seed: int = 0) -> pd.DataFrame:
    """A place follows "mjini"; capitals alone do not tell it."""
    rng = np.random.default_rng(seed)
    texts, entities = [], []
    for _ in range(rows):
        before = f"{rng.choice(FILLERS)} {rng.choice(FILLERS)} mjini "
        place = str(rng.choice(PLACES))
        texts.append(f"{before}{place}, {rng.choice(FILLERS)}.")
        entities.append([{"start": len(before), "end": len(before) + len(place), "label": "LOC"}])
    return pd.DataFrame({"text": texts, "entities": entities})


PROCESSORS: dict[str, Any] = {
    "words": lambda: WordsProcessor(WordsConfig(min_count=1)),
    "bytes in pairs": lambda: TrainBpeProcessor(TrainBpeConfig(vocabulary=300)),
}


def encoded(
    task: Task, processor: Processor, cells: pd.DataFrame, columns: list[str], train: np.ndarray
) -> tuple[Classical, Columns]:
    """(features, target) of the whole table, fitted on the rows `train`."""
    processor.fit(cells[columns].iloc[train])
    task.bind({"input": processor})
    task.fit(cells.iloc[train])
    inputs = {"input": processor.encode(cells[columns])}
    features = processor.classical(inputs["input"], np.arange(len(cells)))
    assert features is not None
    return replace(features, inputs=inputs, rows=np.arange(len(cells))), task.encode(cells, inputs).columns


def beside(task: Task, features: Classical, target: Columns, train: np.ndarray, test: np.ndarray) -> dict[str, Columns]:
    return fit_baselines(
        task,
        features=features.take(train),
        target=take(target, train),
        test_features=features.take(test),
        test_rows=len(test),
        seed=0,
        validation=(features.take(test), take(target, test)),
    )


# ------------------------------------------------------------------ entities


def ner(processor: str, cells: pd.DataFrame, train: np.ndarray) -> tuple[NerTask, Classical, Columns]:
    task = NerTask(NerConfig(target="entities"))
    return task, *encoded(task, PROCESSORS[processor](), cells, ["text"], train)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_crf_finds_entities_whatever_the_models_tokens_are(processor: str) -> None:
    train, test = np.arange(150), np.arange(150, 200)
    task, features, target = ner(processor, sentences(200), train)
    found = beside(task, features, target, train, test)
    assert list(found) == ["no entities", "CRF on hand-made features"]
    scores = {n: task.metrics().compute(output, take(target, test))["f1"] for n, output in found.items()}
    assert scores == {"no entities": 0.0, "CRF on hand-made features": 1.0}


def test_the_crf_learns_from_training_rows_only() -> None:
    """Other rows may hold what they like: the same entities are found."""
    cells = sentences(120)
    train, test = np.arange(90), np.arange(100, 120)
    poisoned = cells.copy()
    poisoned.loc[90:99, "entities"] = pd.Series([[{"start": 0, "end": 5, "label": "LOC"}]] * 10, index=range(90, 100))
    outputs = []
    for table in (cells, poisoned):
        task, features, target = ner("words", table, train)
        outputs.append(beside(task, features, target, train, test)["CRF on hand-made features"]["tags"])
    assert np.array_equal(outputs[0].values, outputs[1].values)
    assert outputs[0].values.any()


@pytest.mark.parametrize(
    ("limit", "value", "name"),
    [
        ("WORDS", 300, "CRF on hand-made features (300 of 945 training words)"),
        ("WORK", 1, "CRF on hand-made features (20 of 100 iterations)"),
        ("WORK", 945 * 2 * 62 * 50, "CRF on hand-made features (50 of 100 iterations)"),
    ],
)
def test_what_cuts_the_crf_short_is_in_its_name(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, name: str
) -> None:
    monkeypatch.setattr(feature_crf, limit, value)
    every = np.arange(135)
    task, features, target = ner("words", sentences(135), every)
    assert list(beside(task, features, target, every, every)) == ["no entities", name]


def test_a_long_row_is_read_in_pieces_and_a_word_of_a_megabyte_is_one_word() -> None:
    cells = sentences(60)
    long = " ".join(cells["text"].tolist() * 3) + " " + "a" * 1_000_000
    cells.loc[60] = [long, []]
    every = np.arange(61)
    task, features, target = ner("words", cells, every[:60])
    found = beside(task, features, target, every[:60], every[60:])["CRF on hand-made features"]["tags"]
    assert isinstance(found, Ragged)
    assert (found.values % 2 == 1).sum() == 180
    assert len(found.values) == 60 * 3 * 7 + 1


def test_with_very_many_kinds_of_entities_fewer_words_are_learned_from() -> None:
    crf = FeatureCrf("input", 0)
    learned, iterations = crf._bounded(150_000, 1001)
    assert learned * iterations * 1001 * (1001 + feature_crf.FEATURES) <= 1.01 * feature_crf.WORK
    assert crf.name == f"CRF on hand-made features ({learned:,} of 150,000 training words, 20 of 100 iterations)"


def test_training_rows_without_any_entity() -> None:
    """Possible where `types` are given."""
    cells = sentences(30)
    cells["entities"] = [[]] * 30
    every = np.arange(30)
    task = NerTask(NerConfig(target="entities", types=["LOC"]))
    features, target = encoded(task, PROCESSORS["words"](), cells, ["text"], every)
    tags = beside(task, features, target, every, every)["CRF on hand-made features"]["tags"]
    assert not tags.values.any()  # type: ignore[union-attr]


def test_features_of_a_word() -> None:
    first, second, third = (set(each) for each in features_of(["Mtu", "2024", "."]))
    assert {"word=Mtu", "lower=mtu", "shape=Xxx", "title", "first=m", "last=tu", "1:shape=99", "begin"} <= first
    assert {"number", "digit", "pair=mtu 2024", "-1:lower=mtu", "1:lower=."} <= second
    assert {"mark", "-2:lower=mtu", "end"} <= third
    assert "begin" not in second | third
    assert "end" not in first | second


def test_rows_without_text_have_no_entities() -> None:
    cells = sentences(40)
    cells.loc[40] = [" ", []]
    every = np.arange(41)
    task, features, target = ner("bytes in pairs", cells, every[:40])
    tags = beside(task, features, target, every[:40], every[40:])["CRF on hand-made features"]["tags"]
    assert not tags.values.any()  # type: ignore[union-attr]


# ------------------------------------------------------------------ scores


def test_each_output_of_a_score_is_learned_from_its_own_labels() -> None:
    """An output that is the same in every training row keeps its rate, and what has no label teaches nothing."""
    polite = np.arange(80) % 2
    texts = [f"{'tafadhali' if p else 'haraka'} {FILLERS[at % 6]}" for at, p in enumerate(polite)]
    labels = [{"opening": [int(p)], "closing": [1 - int(p) if at % 4 < 2 else None, 1]} for at, p in enumerate(polite)]
    heads = {"opening": HeadConfig(outputs=["polite"]), "closing": HeadConfig(outputs=["hurried", "always"])}
    task = ScoringTask(ScoringConfig(target="labels", heads=heads))
    cells = pd.DataFrame({"text": texts, "labels": labels})
    train, test = np.arange(60), np.arange(60, 80)
    features, target = encoded(task, PROCESSORS["words"](), cells, ["text"], train)
    found = beside(task, features, target, train, test)
    rates, learned = (np.asarray(output["probability"]) for output in found.values())
    assert list(found) == ["training rates", "logistic regression on TF-IDF, one per output"]
    assert rates[0].tolist() == pytest.approx([0.5, 0.5, 1.0])
    assert ((learned[:, 0] > 0.5) == polite[60:]).all()
    assert ((learned[:, 1] < 0.5) == polite[60:]).all()
    assert (learned[:, 2] == 1.0).all()


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("context", "question", "answer"),
    [
        ("Nairobi: mji. Ziwa kuu, Viktoria, ni kubwa.", "Ziwa kuu ni?", "Viktoria"),
        ("Mji mkuu: Nairobi, nchi ya Kenya.", "Mji mkuu, Kenya?", "Nairobi"),
        ("Alizaliwa mwaka 1963 mjini Thika, akafa baadaye.", "alizaliwa mwaka gani mjini?", "1963"),
        ("Hakuna jibu hapa.", "Wapi?", None),
        ("", "Wapi?", None),
        ("Wapi wapi", "wapi?", "Wapi"),  # nothing but the question's words
    ],
)
def test_the_sliding_window(context: str, question: str, answer: str | None) -> None:
    found = found_in(context, question, 1)
    assert (found and found[1]) == answer
    if found:
        assert context[found[0] : found[0] + len(found[1])] == found[1]


def test_the_sliding_window_has_as_many_words_as_the_training_answers() -> None:
    window = SlidingWindow("input", 1, 2)
    window.fit(None, {"answers": objects([("a b",), (), ("c d e f", "x"), ("one two three four",)])})
    assert window.length == 4
    window.fit(None, {"answers": objects([(), ()])})
    assert window.length == USUAL


# ------------------------------------------------------------------ every text task, in a whole run


def texts(rows: int = 60) -> list[str]:
    return [f"{'nzuri' if at % 2 else 'mbaya'} sana {FILLERS[at % 5]} {PLACES[at % 8]}" for at in range(rows)]


def answered(text: str) -> list[dict[str, Any]]:
    word = text.split()[-1]
    return [{"text": word, "answer_start": text.rindex(word)}]


def placed(text: str) -> list[dict[str, Any]]:
    return [{"start": text.rindex(" ") + 1, "end": len(text), "label": "LOC"}]


LABELS: dict[str, tuple[dict[str, Any], Any]] = {
    "classification": ({"kind": "core/classification", "target": "y"}, lambda at, text: "ab"[at % 2]),
    "several labels": ({"kind": "core/multi-label", "target": "y"}, lambda at, text: ["a", "b"][at % 2]),
    "pairs": ({"kind": "core/regression", "target": "y", "loss": "huber"}, lambda at, text: at % 2 + at / 100),
    "score": (
        {"kind": "text/scoring", "target": "y", "heads": {"opening": {"outputs": ["a", "b"]}}},
        lambda at, text: {"opening": [at % 2, int(at % 3 == 0)]},
    ),
    "entities": ({"kind": "text/ner", "target": "y"}, lambda at, text: placed(text)),
    "answers": ({"kind": "text/span-qa", "target": "y", "text": "text"}, lambda at, text: answered(text)),
}
EXPECTED = {
    "classification": ["majority", "logistic regression on TF-IDF"],
    "several labels": ["majority", "logistic regression on TF-IDF"],
    "pairs": ["mean", "ridge regression on TF-IDF"],
    "score": ["training rates", "logistic regression on TF-IDF, one per output"],
    "entities": ["no entities", "CRF on hand-made features"],
    "answers": ["no answer", "sliding window"],
}


@pytest.fixture(scope="module", params=LABELS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, pd.DataFrame]:
    """(name of the task, its finished run, its rows)"""
    section, label = LABELS[request.param]
    columns = ["question", "text"] if request.param in ("pairs", "answers") else ["text"]
    frame = pd.DataFrame({"question": "Nzuri au mbaya sana, alifika jana usiku kesho tena?", "text": texts()})
    frame["y"] = [label(at, text) for at, text in enumerate(frame["text"])]
    config = {
        "data": {"rows": {"split": {"validation": 0.2, "test": 0.2}}},
        "backbones": {"encoder": {"kind": "text/conv", "width": 8, "depth": 1}},
        "inputs": {"text": {"columns": columns, "processor": {"kind": "text/train-bpe", "vocabulary": 300}}},
        "tasks": {"task": section},
        "train": {"epochs": 1, "batch_size": 16, "bootstrap": 20, "device": "cpu"},
    }
    folder = tmp_path_factory.mktemp("trained") / "run"
    return request.param, jenga_core.train(config, data=frame, output=folder, quiet=True), frame


def test_every_text_task_has_a_trivial_and_a_strong_baseline_by_name(trained: tuple[str, Any, pd.DataFrame]) -> None:
    task, run, _ = trained
    judged = run.judgements[0]
    assert list(judged.baselines) == EXPECTED[task]
    metric = next(iter(judged.scores))
    trivial, strong = (scores[metric].value for scores in judged.baselines.values())
    assert strong < trivial if judged.directions[metric] == "min" else strong > trivial
    report = (run.folder / "report.html").read_text()
    assert all(name in report for name in EXPECTED[task])


def test_a_loaded_model_predicts_with_the_heads_that_were_trained(trained: tuple[str, Any, pd.DataFrame]) -> None:
    """Trap 2 of the original: inference built new heads, and its predictions were random."""
    _, run, frame = trained
    loaded = jenga_core.load(run.folder)
    weights = {name: value for name, value in run.model.state_dict().items() if name.startswith("heads.")}
    assert weights
    assert all(torch.equal(value, loaded.model.state_dict()[name]) for name, value in weights.items())
    every = np.arange(len(frame))
    live, again = (
        score(model, data, "rows", every, loaded.place, labels=False).outputs["task"]
        for model, data in ((run.model, run.data), (loaded.model, run.data))
    )
    for name, column in live.items():
        one, two = (c.values if isinstance(c, Ragged) else np.asarray(c) for c in (column, again[name]))
        assert np.array_equal(one, two), name
    fresh = loaded.predict(frame[["question", "text"]])
    pd.testing.assert_frame_equal(fresh, jenga_core.load(run.folder).predict(frame[["question", "text"]]))


@pytest.mark.parametrize("trained", ["pairs"], indirect=True)
def test_sentence_pairs_have_correlations_with_intervals(trained: tuple[str, Any, pd.DataFrame]) -> None:
    _, run, _ = trained
    for name in ("pearson", "spearman"):
        found = run.judgements[0].scores[name]
        assert found.low <= found.value <= found.high
        assert name in (run.folder / "report.html").read_text()
