"""The three fusions: shapes, masks, order, width, and that every option does something."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jenga_core.builtin.fusions import AttentionFusion, ConcatFusion, MeanFusion
from jenga_core.builtin.part_config import AttentionConfig, ConcatConfig, MeanConfig
from jenga_core.contracts import Features

FUSIONS = [(ConcatFusion, ConcatConfig), (AttentionFusion, AttentionConfig), (MeanFusion, MeanConfig)]
DIMS = {"keys": 6, "a.b": 8}  # names that torch.nn.ModuleDict refuses
every = pytest.mark.parametrize(("fusion", "config"), FUSIONS, ids=["concat", "attention", "mean"])


def parts(lengths: dict[str, list[int]], *, longest: int = 0, seed: int = 0) -> dict[str, Features]:
    """Features with `lengths` tokens per row; the same seed gives a row the same tokens whatever the padding."""
    made = {}
    for at, (name, rows) in enumerate(lengths.items()):
        width = max(*rows, longest, 1)
        tokens, mask = torch.full((len(rows), width, DIMS[name]), 7.0), torch.zeros(len(rows), width, dtype=torch.bool)
        pooled = torch.zeros(len(rows), DIMS[name])
        for row, length in enumerate(rows):
            generator = torch.Generator().manual_seed(seed + 100 * at + row)
            pooled[row] = torch.randn(DIMS[name], generator=generator)
            tokens[row, :length] = torch.randn(length, DIMS[name], generator=generator)
            mask[row, :length] = True
        made[name] = Features(tokens, mask, pooled)
    return made


@every
def test_tokens_keep_the_order_of_dims_and_their_lengths(fusion, config):
    model = fusion(config(), DIMS).eval()
    inputs = parts({"a.b": [2, 3], "keys": [4, 1]})  # not the order of dims
    out = model(inputs)
    assert out.tokens.shape == (2, 4 + 3, model.out_dim)
    assert out.pooled.shape == (2, model.out_dim)
    assert torch.equal(out.mask, torch.cat([inputs["keys"].mask, inputs["a.b"].mask], dim=1))


@every
def test_width_is_that_of_the_widest_input_or_dim(fusion, config):
    assert fusion(config(), DIMS).out_dim == 8
    model = fusion(config(dim=12), DIMS)
    assert model.out_dim == model(parts({"keys": [1], "a.b": [1]})).pooled.shape[1] == 12


@every
@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4),
    padding=st.integers(0, 3),
)
def test_a_row_is_the_same_alone_and_in_a_padded_batch(fusion, config, rows, padding):
    torch.manual_seed(1)
    model = fusion(config(), DIMS).eval()
    lengths = {"keys": [a for a, _ in rows], "a.b": [b for _, b in rows]}
    together = model(parts(lengths, longest=max(max(v) for v in lengths.values()) + padding))
    for row in range(len(rows)):
        alone = model(
            {k: Features(p.tokens[row:][:1], p.mask[row:][:1], p.pooled[row:][:1]) for k, p in parts(lengths).items()}
        )
        torch.testing.assert_close(together.pooled[row], alone.pooled[0])
        torch.testing.assert_close(together.tokens[row][together.mask[row]], alone.tokens[0][alone.mask[0]])


@every
@pytest.mark.parametrize("junk", [1e9, float("nan"), float("inf")])
def test_what_lies_behind_the_mask_reaches_nothing(fusion, config, junk):
    model = fusion(config(), DIMS).eval()
    clean = parts({"keys": [3, 1], "a.b": [0, 2]})
    dirty = {
        name: Features(p.tokens.masked_fill(~p.mask.unsqueeze(-1), junk), p.mask, p.pooled) for name, p in clean.items()
    }
    before, after = model(clean), model(dirty)
    assert torch.equal(before.pooled, after.pooled)
    assert torch.equal(before.tokens[before.mask], after.tokens[after.mask])


@every
def test_every_parameter_gets_a_gradient(fusion, config):
    model = fusion(config(dim=4), DIMS)
    out = model(parts({"keys": [3, 1], "a.b": [1, 2]}))
    (out.pooled.square().sum() + out.tokens[out.mask].square().sum()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@every
def test_pooled_depends_on_every_input(fusion, config):
    model = fusion(config(), DIMS)
    inputs = parts({"keys": [2], "a.b": [2]})
    for part in inputs.values():
        part.pooled.requires_grad_()
    model(inputs).pooled.square().sum().backward()
    assert all(p.pooled.grad is not None and p.pooled.grad.abs().sum() > 0 for p in inputs.values())


def test_mean_of_inputs_of_the_fused_width_is_their_plain_mean():
    model = MeanFusion(MeanConfig(), {"a": 3, "b": 3})
    a, b = torch.randn(2, 3), torch.randn(2, 3)
    out = model({"a": Features.of_pooled(a), "b": Features.of_pooled(b)})
    torch.testing.assert_close(out.pooled, (a + b) / 2)
    assert list(model.parameters()) == []


def test_attention_pooled_looks_at_tokens():
    model = AttentionFusion(AttentionConfig(), DIMS).eval()
    inputs = parts({"keys": [2], "a.b": [2]})
    before = model(inputs).pooled
    inputs["keys"].tokens[:, 0] += 1
    assert not torch.allclose(before, model(inputs).pooled)


def test_attention_width_is_rounded_up_to_a_multiple_of_heads():
    assert AttentionFusion(AttentionConfig(heads=4), {"a": 6}).out_dim == 8
    with pytest.raises(ValidationError, match="not a multiple of heads"):
        AttentionConfig(dim=6, heads=4)


def test_attention_layers_and_heads_change_the_network():
    inputs = parts({"keys": [2], "a.b": [2]})
    outs = []
    for options in ({}, {"layers": 2}, {"heads": 2}):
        torch.manual_seed(0)
        outs.append(AttentionFusion(AttentionConfig(**options), DIMS).eval()(inputs).pooled)
    assert not torch.allclose(outs[0], outs[1])
    assert not torch.allclose(outs[0], outs[2])


@pytest.mark.parametrize(("fusion", "config"), FUSIONS[:2], ids=["concat", "attention"])
def test_dropout_acts_in_training_only(fusion, config):
    model, inputs = fusion(config(dropout=0.5), DIMS), parts({"keys": [2], "a.b": [2]})
    assert not torch.equal(model(inputs).pooled, model(inputs).pooled)
    model.eval()
    assert torch.equal(model(inputs).pooled, model(inputs).pooled)
