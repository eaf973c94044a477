"""text/transformer: no padding and no difference, windows over long rows, what is frozen, what a folder holds."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import jenga_core
from jenga_core.errors import UserError
from jenga_text import layers, transformer
from jenga_text.config import TransformerConfig
from jenga_text.dropout import Dropout
from jenga_text.layout import by_length, groups, rows_alone, windows
from jenga_text.transformer import Transformer
from jenga_text.unpadded import KNOWN
from small_encoders import FACTS, SMALL, architecture, built


def rows(lengths: list[int], seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(4, 50, mask.shape, generator=generator)
    return {"ids": torch.where(mask, ids, 1), "mask": mask}


# ------------------------------------------------------------------ no padding, no difference


@pytest.mark.parametrize("kind", sorted(KNOWN))
def test_an_encoder_without_padding_gives_what_it_gives_with_it(kind: str) -> None:
    model, batch = built(kind), rows([3, 17, 1, 12])
    plain = built(kind)
    plain.flat = False
    plain.encoder.set_attn_implementation("sdpa")
    one, two = model(**batch), plain(**batch)
    torch.testing.assert_close(one.tokens, two.tokens, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(one.pooled, two.pooled, atol=1e-5, rtol=1e-4)
    for features, net in ((one, model), (two, plain)):
        features.pooled.square().sum().backward()
        assert any(p.grad is not None for p in net.parameters())
    for (name, a), b in zip(model.named_parameters(), plain.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("kind", sorted(KNOWN))
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_small_batch_on_an_accelerator_keeps_its_padding_and_nothing_changes(
    kind: str, pooling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, one, two = rows([3, 17, 1, 12]), built(kind, pooling=pooling), built(kind, pooling=pooling)
    monkeypatch.setattr(two, "_is_small", lambda ids: True)
    monkeypatch.setattr(two, "_layout", None)  # nothing that waits for the lengths of the rows
    without, with_padding = one(**batch), two(**batch)
    torch.testing.assert_close(with_padding.tokens, without.tokens, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(with_padding.pooled, without.pooled, atol=1e-5, rtol=1e-4)
    for features in (without, with_padding):
        (features.pooled.square().sum() + features.tokens.pow(3).sum()).backward()
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("padded", [True, False])
def test_padding_beyond_a_sliding_window_is_no_query_that_sees_nothing(
    padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kernels answer such a query with NaN, which the next layer multiplies by zero."""

    def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_mask: Any, **more: Any) -> torch.Tensor:
        scores = q @ k.transpose(-1, -2) * more["scale"]
        return (scores if attn_mask is None else scores.masked_fill(~attn_mask, -torch.inf)).softmax(-1) @ v

    batch, model = rows([3, 35]), built("modernbert")
    expected = model(**batch)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", plain)
    monkeypatch.setattr(transformer, "groups", lambda lengths, overhead: [slice(0, len(lengths))])
    monkeypatch.setattr(model, "_is_small", lambda ids: padded)
    found = model(**batch)
    torch.testing.assert_close(found.tokens, expected.tokens, atol=1e-5, rtol=1e-4)
    found.pooled.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("kind", sorted(KNOWN))
def test_a_small_batch_is_read_without_a_look_at_its_values(kind: str) -> None:
    """On "meta" nothing can be fetched from a device or mixed with the CPU."""
    model, batch = built(kind).to("meta").train(), {k: v.to("meta") for k, v in rows([3, 17, 1]).items()}
    found = model(**batch)
    assert (found.tokens.device.type, found.tokens.shape) == ("meta", (3, 17, model.out_dim))
    found.pooled.sum().backward()


@pytest.mark.parametrize(
    ("device", "shape", "small"),
    [("cpu", (2, 9), False), ("meta", (2, 9), True), ("meta", (2**20, 30), False), ("meta", (1, 600), False)],
)
def test_which_batches_keep_their_padding(device: str, shape: tuple[int, int], small: bool) -> None:
    assert built()._is_small(torch.empty(shape, dtype=torch.long, device=device)) is small


def test_a_type_that_is_not_known_reads_padded_rows() -> None:
    model = built("albert", facts=FACTS)
    assert not model.flat
    assert model.pads
    one, alone = model(**rows([9, 4])), model(**{k: v[1:, :4] for k, v in rows([9, 4]).items()})
    torch.testing.assert_close(one.pooled[1], alone.pooled[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "attention"])
def test_pooling_reads_the_tokens_of_the_row_only(pooling: str) -> None:
    model = built(pooling=pooling)
    found = model(**rows([5, 2]))
    tokens = found.tokens[1, :2]
    expected = {"mean": tokens.mean(0), "cls": tokens[0], "max": tokens.amax(0)}
    if pooling in expected:
        torch.testing.assert_close(found.pooled[1], expected[pooling])
    else:
        assert model.pool.score is not None
        weight = torch.softmax(model.pool.score(tokens).squeeze(-1), dim=0)
        torch.testing.assert_close(found.pooled[1], weight @ tokens)


# ------------------------------------------------------------------ windows


lengths_and_leads = st.lists(st.tuples(st.integers(1, 120), st.integers(1, 12)), min_size=1, max_size=5)


@given(pairs=lengths_and_leads, window=st.integers(8, 40), overlap=st.integers(0, 20), tail=st.integers(0, 1))
def test_every_token_of_a_row_comes_from_one_of_its_windows(
    pairs: list[tuple[int, int]], window: int, overlap: int, tail: int
) -> None:
    lengths = np.array([n for n, _ in pairs])
    lead = np.array([min(a, n) for n, a in pairs])
    width = int(lengths.max())
    layout = windows(lengths, width, lead, tail=tail, window=window, overlap=min(overlap, window // 2))
    every = np.concatenate([at * width + np.arange(n) for at, n in enumerate(lengths)])
    assert layout.source[layout.back].tolist() == every.tolist()
    assert layout.lengths.max() <= window
    assert layout.lengths.sum() == len(layout.source)
    for start, size, row in zip(layout.starts, layout.lengths, layout.row, strict=True):
        found = layout.source[start : start + size]
        assert (found // width == row).all()
        assert (np.diff(found) > 0).all()
        assert found[0] == row * width
        assert tail == 0 or found[-1] == row * width + lengths[row] - 1


@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=9).map(np.array),
    overhead=st.sampled_from([0.0, 1.0, 500.0, 8192.0, np.inf]),
)
def test_runs_of_sequences_hold_every_token_once_and_cost_least(lengths: np.ndarray, overhead: float) -> None:
    plain = rows_alone(lengths, int(lengths.max()))
    layout = by_length(plain)
    assert layout.source[layout.back].tolist() == plain.source[plain.back].tolist()
    assert sorted(layout.source.tolist()) == sorted(plain.source.tolist())
    assert (np.diff(layout.lengths) >= 0).all()
    runs = groups(layout.lengths, overhead)
    assert np.concatenate([layout.lengths[run] for run in runs]).tolist() == layout.lengths.tolist()
    if overhead == np.inf:
        assert len(runs) == 1
        return

    def cost(bounds: list[int]) -> float:
        return sum(overhead + (b - a) * layout.lengths[b - 1] ** 2 for a, b in itertools.pairwise(bounds))

    inner = range(1, len(lengths))
    every = [cost([0, *cuts, len(lengths)]) for n in range(len(lengths)) for cuts in itertools.combinations(inner, n)]
    assert cost([0, *(run.stop for run in runs)]) == min(every)


def test_tokens_come_from_the_window_that_shows_most_around_them() -> None:
    layout = windows(np.array([32]), 32, np.array([1]), tail=1, window=12, overlap=4)
    number = np.repeat(np.arange(len(layout.lengths)), layout.lengths)[layout.back]
    pieces = [layout.source[s : s + n][1:-1] for s, n in zip(layout.starts, layout.lengths, strict=True)]
    assert [(p[0], p[-1]) for p in pieces] == [(1, 10), (7, 16), (13, 22), (19, 28), (21, 30)]
    for token in range(1, 31):
        middles = {at: abs((p[0] + p[-1]) / 2 - token) for at, p in enumerate(pieces) if p[0] <= token <= p[-1]}
        assert middles[number[token]] == min(middles.values())


def test_rows_that_fit_are_one_window_each() -> None:
    one = rows_alone(np.array([3, 5]), 5)
    two = windows(np.array([3, 5]), 5, np.array([1, 1]), tail=1, window=8, overlap=2)
    for name in ("source", "lengths", "row", "back"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()


def test_a_row_longer_than_the_encoder_is_read_in_windows() -> None:
    model, batch = built(window=16, overlap=6), rows([100, 9])
    found = model(**batch, lead=torch.tensor([1, 1]))
    assert found.tokens.shape == (2, 100, 16)
    assert found.tokens[found.mask].isfinite().all()
    short = model(**{k: v[1:, :9] for k, v in batch.items()}, lead=torch.tensor([1]))
    torch.testing.assert_close(found.pooled[1], short.pooled[0], atol=1e-5, rtol=1e-4)
    first = torch.cat([batch["ids"][0, :15], batch["ids"][0, 99:]])[None]
    window = model(ids=first, mask=torch.ones_like(first).bool())
    torch.testing.assert_close(found.tokens[0, :9], window.tokens[0, :9], atol=1e-5, rtol=1e-4)


def test_very_long_rows_are_read_piece_by_piece_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = built(window=16, overlap=6), rows([300, 40])
    whole = model(**batch)
    monkeypatch.setattr("jenga_text.transformer.AT_ONCE", 64)
    torch.testing.assert_close(model(**batch).tokens, whole.tokens, atol=1e-5, rtol=1e-4)


# ------------------------------------------------------------------ what is trained, and how fast


@pytest.mark.parametrize("kind", ["bert", "distilbert", "modernbert"])
@pytest.mark.parametrize("count", [None, 0, 1, 3])
def test_exactly_the_layers_asked_for_are_frozen(kind: str, count: int | None) -> None:
    """Trap 15 of the original: N meant the embeddings and N - 1 layers."""
    model = built(kind, freeze=count)
    _, stack = layers.stack(model.encoder)
    frozen = [not any(p.requires_grad for p in layer.parameters()) for layer in stack]
    assert frozen == [at < (count or 0) for at in range(3)]
    assert model.encoder.get_input_embeddings().weight.requires_grad == (count is None)
    inside = {id(p) for layer in stack for p in layer.parameters()}
    others = [p.requires_grad for n, p in model.encoder.named_parameters() if id(p) not in inside and "embed" in n]
    assert others
    assert set(others) == {count is None}


def test_more_layers_to_freeze_than_there_are_is_an_error() -> None:
    with pytest.raises(UserError, match="freeze: 4, but the encoder has 3 layers"):
        built(freeze=4)


def test_layers_learn_slower_the_lower_they_lie() -> None:
    model = built(layer_decay=0.5, learning_rate=0.08, pooling="attention")
    rates = model.learning_rates(1.0)
    assert {rates[n] for n, _ in model.named_parameters() if ".layer.2." in n} == {0.08}
    assert {rates[n] for n, _ in model.named_parameters() if ".layer.0." in n} == {0.02}
    assert {rates[n] for n, _ in model.named_parameters() if "embeddings" in n} == {0.01}
    assert not [n for n in rates if n.startswith("pool")]  # new weights: the rate of the heads
    assert set(built().learning_rates(0.3).values()) == {0.3}


def test_gradient_checkpointing_changes_no_gradient() -> None:
    found = []
    for on in (False, True):
        model = built(gradient_checkpointing=on, dropout=0.0).train()
        model(**rows([7, 3])).pooled.square().sum().backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-6, rtol=1e-4)


def test_dropout_is_that_of_the_options() -> None:
    model = built(dropout=0.0).train()
    model.encoder.config.attention_probs_dropout_prob = 0.0
    drops = {m.p for n, m in model.encoder.named_modules() if isinstance(m, Dropout) and "attention.self" not in n}
    assert drops == {0.0}


# ------------------------------------------------------------------ options that cannot be


@pytest.mark.parametrize(
    "options", [{}, {"checkpoint": "a", "architecture": {"model_type": "bert"}}, {"architecture": {"hidden_size": 8}}]
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TransformerConfig(**options)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"model_type": "brt"}, "did you mean: bert"), ({"hiden_size": 8}, "did you mean: hidden_size"),
     ({"hidden_size": 15}, "15")],
)  # fmt: skip
def test_an_architecture_that_cannot_be_built_names_what_is_wrong(change: dict[str, Any], what: str) -> None:
    with pytest.raises((UserError, ValueError), match=what):
        Transformer(TransformerConfig(architecture={**architecture("bert"), **change}), FACTS)


def test_a_tokenizer_of_another_model_is_refused() -> None:
    with pytest.raises(UserError, match="the tokenizer has 60 tokens, the encoder knows 50"):
        built(facts={**FACTS, "vocabulary": 60})


def test_a_window_wider_than_the_encoder_is_refused() -> None:
    with pytest.raises(UserError, match="takes at most 40 tokens"):
        built(window=41)


# ------------------------------------------------------------------ a checkpoint, trained, saved, loaded


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small BERT with the tokenizer of the 256 bytes, as a folder that AutoModel loads."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from jenga_text.config import TokenizerConfig

    torch.manual_seed(1)
    folder = tmp_path / "checkpoint"
    BertModel(BertConfig(**{**SMALL, "vocab_size": 260, "pad_token_id": 0})).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TokenizerConfig.example().checkpoint).save_pretrained(folder)
    return folder


def test_a_folder_predicts_to_the_last_bit_without_the_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    """Trap 2 of the original: inference never loaded what the heads had learned."""
    texts = [f"{'nzuri' if at % 2 else 'mbaya'} {'sana ' * (at % 7)}🎉" for at in range(60)]
    frame = pd.DataFrame({"text": texts, "label": [at % 2 for at in range(60)]})
    config = {
        "data": {"rows": {"split": {"validation": 0.2, "test": 0.2}}},
        "backbones": {"encoder": {"kind": "text/transformer", "checkpoint": str(checkpoint), "learning_rate": 1e-3}},
        "inputs": {"text": {"columns": ["text"], "processor": {"kind": "text/tokenizer", "max_length": 24}}},
        "tasks": {"mood": {"kind": "core/classification", "target": "label"}},
        "train": {"epochs": 1, "batch_size": 8, "bootstrap": 0, "device": "cpu"},
    }
    run = jenga_core.train(config, data=frame, output=tmp_path / "run", quiet=True)
    assert {p.dtype for p in run.model.parameters()} == {torch.float32}  # the checkpoint's file is in bfloat16
    assert "logistic regression on TF-IDF" in run.judgements[0].baselines
    assert any("cut to 24 tokens" in note for note in run.notes)
    rates = {g["initial_lr"] for g in run.optimizer.param_groups}
    assert rates == {1e-3}
    before = jenga_core.load(run.folder)
    checkpoint.rename(tmp_path / "gone")
    after = jenga_core.load(run.folder)
    same = {n: torch.equal(v, after.model.state_dict()[n]) for n, v in run.model.state_dict().items()}
    assert all(same.values())
    fresh = frame[["text"]]
    pd.testing.assert_frame_equal(before.predict(fresh), after.predict(fresh), check_exact=True)
    from jenga_core.scoring import score

    every = np.arange(len(frame))
    scored = score(run.model, run.data, "rows", every, after.place, labels=False).outputs["mood"]["probability"]
    assert np.array_equal(after.predict(fresh)["mood.p(1)"].to_numpy(), np.asarray(scored)[:, 1])
