"""Reasons of texts: words with their places, whole, as captum says, for every network; and their marks in the report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
from jenga_core.contracts import Batch, Part
from jenga_core.errors import UserError
from jenga_core.explaining.gradients import attribute
from jenga_core.inference import Predictor
from jenga_text.config import ConvConfig, TokenizerConfig, TransformerConfig
from jenga_text.conv import Conv
from jenga_text.processors import TokenizerProcessor
from jenga_text.transformer import Transformer

BERT = {
    "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 64, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
MPNET = {**BERT, "model_type": "mpnet"}  # reads padded rows
BPE = {"kind": "text/train-bpe", "vocabulary": 300, "max_length": None}  # hardly more than bytes: words are many tokens
NETWORKS = {
    "conv": (BPE, {"kind": "text/conv", "width": 32, "depth": 1, "dropout": 0.0}),
    "unpadded": ({**BPE, "max_length": 60}, {"kind": "text/transformer", "architecture": BERT}),
    "windows": (BPE, {"kind": "text/transformer", "architecture": BERT, "window": 24, "overlap": 8}),
    "padded": ({**BPE, "max_length": 60}, {"kind": "text/transformer", "architecture": MPNET}),
    "recurrent": ("text/words", {"kind": "text/recurrent", "embedding": 8, "hidden": 12, "dropout": 0.0}),
}
SIGNS = {"hatari": 1, "salama": 0}


def texts(rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """One word decides; it stands anywhere among emoji, accents in two code points and words that say nothing."""
    rng = np.random.default_rng(seed)
    filler = ["leo", "👨‍👩‍👧", "Wanjiku\u0303", "e\u0301tait", "kwa", "Ng'ombe", "😀,", "sana."]
    signs = rng.choice(list(SIGNS), size=rows)
    lines = []
    for sign in signs:
        words = [*rng.choice(filler, size=rng.integers(2, 6))]
        words.insert(int(rng.integers(0, len(words) + 1)), sign)
        lines.append(" ".join(words))
    y = np.array([SIGNS[sign] for sign in signs])
    return pd.DataFrame({"line": lines, "sign": signs, "label": np.where(y, "bad", "good"), "amount": 10.0 * y})


def trained(folder: Path, network: str = "conv", task: dict[str, Any] | None = None, **options: Any) -> Any:
    processor, backbone = NETWORKS[network]
    config = {
        "seed": 1,
        "data": {"rows": {}},
        "backbones": {"reader": backbone},
        "inputs": {"text": {"columns": options.pop("columns", ["line"]), "processor": processor}},
        "tasks": {"t": task or {"kind": "core/classification", "target": "label"}},
        "train": {"epochs": 12, "batch_size": 16, "learning_rate": 5e-3, "bootstrap": 0, "baselines": False,
                  "explanations": options.pop("report", False)},
    }  # fmt: skip
    data = options.pop("data", texts())
    return jenga_core.train(config, data=data, output=folder, quiet=True, report=config["train"]["explanations"])  # type: ignore[index]


@pytest.fixture(scope="module", params=NETWORKS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    run = trained(tmp_path_factory.mktemp(request.param) / "run", request.param)
    return jenga_core.load(run.folder)


def lines_of(found: pd.DataFrame, task: str = "t") -> list[list[dict[str, Any]]]:
    return [json.loads(line) for line in found[f"{task}.reasons"]]


def clear(model: Predictor, rows: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Rows whose output is far from that of a text that says nothing: where the two agree there is nothing to explain."""
    each = model.contributions(rows, "t")
    return np.flatnonzero(np.abs(each.output - each.reference) > 0.3 * max(np.ptp(each.output), 1))


def test_the_word_that_decides_is_the_first_reason_as_a_word_with_its_place(model: Predictor) -> None:
    rows = texts(30, seed=5)
    found = lines_of(model.predict(rows, reasons=99))
    told = clear(model, rows)
    assert len(told) > 8
    for at in told:
        assert found[at][0]["value"] == rows["sign"][at]
        assert found[at][0]["contribution"] > 0  # towards the class that is predicted
    for line, reasons in zip(rows["line"], found, strict=True):
        assert all(r["feature"] == "line" and line[r["start"] : r["end"]] == r["value"] for r in reasons)
        assert len({(r["start"], r["end"]) for r in reasons}) == len(reasons)


def test_reasons_are_words_and_not_pieces_of_them(tmp_path: Path) -> None:
    model = jenga_core.load(trained(tmp_path / "run").folder)
    rows = texts(30, seed=5)
    encoded = model.parts.processors["text"].encode(rows[["line"]])
    assert encoded.lengths is not None
    assert encoded.lengths.sum() > 1.5 * rows["line"].str.split().str.len().sum()  # tokens are pieces
    known = {"leo", "👨‍👩‍👧", "Wanjiku\u0303", "e\u0301tait", "kwa", "Ng'ombe", "😀", "sana", ",", ".", *SIGNS}
    joined = {"😀,", "sana."}  # where a token reaches over both
    assert {r["value"] for line in lines_of(model.predict(rows, reasons=99)) for r in line} <= known | joined


def test_all_contributions_add_up(model: Predictor) -> None:
    rows = texts(12, seed=6)
    each = model.contributions(rows, "t")
    total = np.array([sum(spans.values()) for spans in each.spans])
    np.testing.assert_allclose(each.output, each.reference + total + each.error, atol=1e-6)
    assert not each.inexact.any()
    assert (np.abs(each.error) <= 0.01 * each.size + 1e-5).all()
    np.testing.assert_allclose(each.output, model.predict(rows)["t.score"], atol=1e-5)


def test_a_row_has_the_same_reasons_alone_and_in_a_batch(model: Predictor) -> None:
    rows = texts(8, seed=7)
    together = model.contributions(rows, "t")
    for at in (0, 5):
        alone = model.contributions(rows.iloc[[at]], "t")
        assert alone.spans[0].keys() == together.spans[at].keys()
        np.testing.assert_allclose(list(alone.spans[0].values()), list(together.spans[at].values()), atol=2e-3)


@pytest.mark.parametrize("kind", ["conv", "bert"])
def test_tokens_are_as_captum_says(kind: str) -> None:
    captum = pytest.importorskip(
        "captum.attr", reason="captum, the oracle of this test, is not installed; nox -s tests has it"
    )
    processor = TokenizerProcessor(TokenizerConfig.example())
    cells = pd.DataFrame({"text": ["Habari ya leo", "Jina 😀", "x"]})
    processor.fit(cells)
    torch.manual_seed(0)
    conv = kind == "conv"
    net: Any = (
        Conv(ConvConfig.example(), processor.facts())
        if conv
        else Transformer(TransformerConfig(architecture=BERT), processor.facts())
    ).eval()
    layer = net.embedding if conv else net.encoder.embeddings.word_embeddings
    data = processor.collate(processor.encode(cells), np.arange(3), "predict", np.random.default_rng(0))
    direction = torch.randn(net.out_dim)

    def score(ids: torch.Tensor) -> torch.Tensor:
        if not conv and len(ids) > 3:  # captum lays the points of the line under each other
            return torch.cat([score(part) for part in ids.split(3)])
        return net(**{**data, "ids": ids, "mask": data["mask"].repeat(len(ids) // 3, 1)}).pooled @ direction

    batch = Batch("t", np.arange(3), {"x": Part(torch.arange(3), data)}, {})
    reference = processor.reference(data)
    ours = attribute(lambda b: score(b.inputs["x"].data["ids"]), batch, {"x": reference}, nodes=12).parts[("x", "ids")]
    if conv:
        oracle = captum.LayerIntegratedGradients(score, layer)
        theirs = oracle.attribute(data["ids"], reference.data["ids"], n_steps=12, method="gausslegendre").sum(dim=-1)
    else:  # without padding the embedding sees one flat sequence, so captum gets the embeddings of padded rows
        start, end = (layer(ids).detach() for ids in (reference.data["ids"], data["ids"]))

        def of_embeddings(vectors: torch.Tensor) -> torch.Tensor:
            count = len(vectors) // 3
            hidden = net.encoder(
                inputs_embeds=vectors, attention_mask=data["mask"].repeat(count, 1), sequences=None
            ).last_hidden_state
            mask = data["mask"].repeat(count, 1)
            return net.pool(hidden * mask[..., None], mask, hidden[:, 0]) @ direction

        net.encoder.set_attn_implementation("eager")
        oracle = captum.IntegratedGradients(of_embeddings)
        theirs = oracle.attribute(end, start, n_steps=12, method="gausslegendre").sum(dim=-1)
    torch.testing.assert_close(ours.float(), theirs.float(), atol=2e-4, rtol=1e-3)


TASKS: dict[str, dict[str, Any]] = {
    "regression": {"kind": "core/regression", "target": "amount"},
    "multi-label": {"kind": "core/multi-label", "target": "label"},
    "scoring": {"kind": "text/scoring", "target": "heads", "heads": {"one": {"outputs": ["is bad"]},
                                                                     "two": {"outputs": ["is bad", "is good"]}}},
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_tasks_that_are_explained(task: str, tmp_path: Path) -> None:
    data = texts().assign(
        heads=lambda t: [{"one": [int(s == "hatari")], "two": [int(s == "hatari")] * 2} for s in t["sign"]]
    )
    run = trained(tmp_path / "run", task=TASKS[task], data=data, report=True)
    rows, model = data.iloc[:20], jenga_core.load(run.folder)
    found, told = lines_of(model.predict(rows, reasons=3)), clear(model, rows)
    assert len(told) > 4
    assert [found[at][0]["value"] for at in told] == rows["sign"].iloc[told].tolist()
    if task != "multi-label":  # there it is the surest label's probability that is explained
        assert [found[at][0]["contribution"] > 0 for at in told] == (rows["sign"].iloc[told] == "hatari").tolist()
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert '<mark class="up level-4"' in page or '<mark class="down level-4"' in page


def test_two_columns_are_named_by_their_own_characters(tmp_path: Path) -> None:
    data = texts().assign(other="habari yako", number=7)
    run = trained(tmp_path / "run", data=data, columns=["other", "line"])
    rows = data.iloc[:8].assign(other=["habari 😀 yako", None, *["x"] * 6])
    found = lines_of(jenga_core.load(run.folder).predict(rows, reasons=99))
    for row, line in zip(rows.to_dict("records"), found, strict=True):
        assert all(row[r["feature"]][r["start"] : r["end"]] == r["value"] for r in line)
        assert row["sign"] in [r["value"] for r in line if r["feature"] == "line"]
    assert {r["value"] for r in found[0] if r["feature"] == "other"} == {"habari", "😀", "yako"}
    assert not [r for r in found[1] if r["feature"] == "other"]


def test_entities_have_no_reasons_and_say_so(tmp_path: Path) -> None:
    data = texts(40).assign(entities=lambda t: [json.dumps([{"start": 0, "end": 1, "label": "X"}])] * len(t))
    run = trained(tmp_path / "run", task={"kind": "text/ner", "target": "entities", "text": "line"}, data=data)
    with pytest.raises(UserError, match="no task of table 'rows' can be explained: t"):
        jenga_core.load(run.folder).predict(data.iloc[:2], reasons=1)


def test_long_texts_are_explained_in_parts_no_larger_than_a_step_of_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = trained(tmp_path / "run", "windows", data=texts(40))
    predictor = jenga_core.load(run.folder)
    rows = texts(12, seed=3)
    rows.loc[3, "line"] = "leo kwa " * 100 + "hatari " + "sana leo " * 50
    usual = predictor.contributions(rows, "t")
    sizes: list[int] = []
    seen = Transformer.forward

    def forward(self: Any, **data: Any) -> Any:
        sizes.append(data["ids"].numel())
        return seen(self, **data)

    monkeypatch.setattr(Transformer, "forward", forward)
    small = replace(predictor, place=replace(predictor.place, tokens=120))
    cut = small.contributions(rows, "t")
    longest = predictor._encode(rows, None)[1].lengths().max()  # type: ignore[union-attr]
    assert max(sizes) == longest
    assert sorted(set(sizes))[-2] <= 120
    for one, other in zip(usual.spans, cut.spans, strict=True):
        assert one.keys() == other.keys()


# ------------------------------------------------------------------ the report


def test_the_report_marks_words_and_escapes_them(tmp_path: Path) -> None:
    data = texts()
    data["line"] = ["<script>alert(1)</script> & " + line + " <b>x</b>" for line in data["line"]]
    data.loc[data.index % 7 == 0, "line"] += " leo kwa sana" * 400
    run = trained(tmp_path / "run", data=data, report=True)
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;" in page
    words = re.findall(r'<mark class="(up|down) level-(\d)" title="([+-][\d.e-]+)">([^<]+)</mark>', page)
    levels = {level for _, level, _, _ in words}
    assert levels >= {"1", "4"}  # the tags around every row count against a text of padding too
    assert all((way == "up") == value.startswith("+") for way, _, value, _ in words)
    assert "raises it (solid line)" in page
    assert "integrated gradients" in page
    texts_shown = re.findall(r'<p dir="auto" class="passage">(.*?)</p>', page, flags=re.DOTALL)
    assert 1 <= len(texts_shown) <= 8
    assert max(len(re.sub(r"<[^>]+>", "", text)) for text in texts_shown) < 4000
    figures = [f for j in run.judgements for f in j.figures if f.to_json()["form"] == "passage"]
    for figure in figures:
        header, cells = figure.table()
        assert header[1] == "contribution to probability"
        assert any(name == "rest" for name, _ in cells)
        assert any(name == f"line: {sign}" for sign in SIGNS for name, _ in cells)
