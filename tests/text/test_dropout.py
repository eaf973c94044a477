"""Dropout of few random bits: as much is dropped as was said, what stays is scaled, and gradients see the same mask."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from jenga_text import unpadded
from jenga_text.dropout import Dropout, drop
from small_encoders import built


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9])
def test_the_share_that_was_asked_for_is_dropped_and_the_sum_is_kept(p: float) -> None:
    torch.manual_seed(1)
    n = 400_000
    found = drop(torch.ones(n), p)
    dropped = int((found == 0).sum())
    assert abs(dropped - n * p) < 5 * math.sqrt(n * p * (1 - p))
    assert torch.unique(found[found != 0]).tolist() == pytest.approx([1 / (1 - p)], rel=2e-4)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(2)
    kept = (drop(torch.ones(400_000), 0.5) != 0).double() - 0.5
    for far in range(1, 9):
        assert abs(float((kept[far:] * kept[:-far]).mean()) / 0.25) < 5 / math.sqrt(400_000)


@given(st.lists(st.integers(0, 5), max_size=3), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_any_shape_and_type_comes_back_as_it_was(shape: list[int], dtype: torch.dtype) -> None:
    x = torch.ones(shape, dtype=dtype)
    found = drop(x, 0.3)
    assert found.shape == x.shape
    assert found.dtype == dtype


def test_the_gradient_goes_where_the_values_went() -> None:
    torch.manual_seed(3)
    x = torch.randn(64, 7, requires_grad=True)
    found = drop(x, 0.25)
    found.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad * x.detach(), found.detach())
    assert 0 < int((x.grad == 0).sum()) < x.numel()


def test_gradients_have_gradients() -> None:
    """As a penalty on them needs."""
    torch.manual_seed(8)
    x = torch.randn(40, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(drop(x**3, 0.5).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second, torch.where(first == 0, 0.0, 2 * 6 * x))


def test_one_seed_gives_one_mask_and_draws_go_on() -> None:
    def two() -> list[torch.Tensor]:
        torch.manual_seed(4)
        return [drop(torch.ones(100), 0.5) for _ in range(2)]

    first, again = two(), two()
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(*first)


@pytest.mark.parametrize("p", [0.0, 1e-9, 1.0])
def test_nothing_and_everything(p: float) -> None:
    assert torch.equal(drop(torch.ones(5), p), torch.full((5,), 1.0 - round(p)))


def test_an_encoder_drops_out_in_training_only() -> None:
    model = built("bert", dropout=0.4)
    found = [module for module in model.encoder.modules() if isinstance(module, Dropout)]
    assert found
    assert {module.p for module in found if module.p} >= {0.4}
    assert not any(type(module) is nn.Dropout for module in model.encoder.modules())
    data = {"ids": torch.tensor([[5, 6, 7]]), "mask": torch.ones(1, 3, dtype=torch.bool)}
    assert torch.equal(model(**data).tokens, model(**data).tokens)
    model.train()
    assert not torch.equal(model(**data).tokens, model(**data).tokens)


# ------------------------------------------------------------------ attention with dropout


@pytest.mark.parametrize("scores", [1, 700, 10**9])
@pytest.mark.parametrize("masked", ["nothing", "ends", "far and ends"])
def test_attention_in_steps_is_attention(monkeypatch: pytest.MonkeyPatch, scores: int, masked: str) -> None:
    """Values and gradients, where nothing happens to be dropped; in pieces of one, of some and of all sequences."""
    monkeypatch.setattr(unpadded, "drop", lambda x, p: x)
    monkeypatch.setattr(unpadded, "SCORES", scores)
    torch.manual_seed(5)
    q, k, v = (torch.randn(5, 2, 9, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    mask = None
    if masked != "nothing":
        mask = (torch.arange(9) < torch.tensor([9, 7, 3, 8, 1])[:, None])[:, None, None, :]
        mask = mask & unpadded._near(9, 4, "cpu") if masked == "far and ends" else mask
    seen = torch.ones(5, 9, 9, dtype=torch.bool) if mask is None else mask.expand(5, 1, 9, 9)[:, 0]
    real = seen.any(dim=-1)[:, None, :, None]  # what sees nothing is nobody's token
    found, expected = (
        torch.where(real, out, 0)
        for out in (
            unpadded._attention(q, k, v, mask, 0.1, None),
            functional.scaled_dot_product_attention(q, k, v, attn_mask=mask),
        )
    )
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    for one, two in zip(
        torch.autograd.grad((found * weights).sum(), (q, k, v)),
        torch.autograd.grad((expected * weights).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(one, two)


def test_attention_drops_probabilities() -> None:
    """All keys alike and values one: each query gets the mean of what was not dropped, 1 on average."""
    torch.manual_seed(6)
    q, v = torch.zeros(40, 2, 50, 4), torch.ones(40, 2, 50, 4)
    found = unpadded._attention(q, q, v, None, 0.2, None)[..., 0]
    assert float(found.std()) == pytest.approx(math.sqrt(0.2 / 0.8 / 50), rel=0.1)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.01)
