"""The CRF against every sequence written out."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from jenga_text.crf import Crf

TAGS = 5  # O, B and I of two labels


@pytest.fixture
def crf() -> Crf:
    made = Crf(TAGS)
    generator = torch.Generator().manual_seed(0)
    made.first.data, made.after.data = (torch.randn(p.shape, generator=generator) for p in (made.first, made.after))
    return made


def legal(tags: tuple[int, ...]) -> bool:
    return all(t == 0 or t % 2 or (at > 0 and tags[at - 1] in (t, t - 1)) for at, t in enumerate(tags))


def enumerated(crf: Crf, emissions: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Score of every legal sequence."""
    found = {}
    for tags in product(range(TAGS), repeat=len(emissions)):
        if legal(tags):
            score = crf.first.data[tags[0]] + sum(emissions[at, tag] for at, tag in enumerate(tags))
            found[tags] = float(score + sum(crf.after.data[a, b] for a, b in pairwise(tags)))
    return found


@pytest.mark.parametrize("length", [1, 2, 4])
def test_loss_best_and_marginals(crf: Crf, length: int) -> None:
    emissions = torch.randn(length, TAGS, generator=torch.Generator().manual_seed(length))
    every = enumerated(crf, emissions)
    mask = torch.ones(1, length, dtype=torch.bool)
    total = torch.logsumexp(torch.tensor(list(every.values())), dim=0)
    for tags, score in list(every.items())[::7]:
        loss = crf.loss(emissions[None], torch.tensor([tags]), mask)
        torch.testing.assert_close(loss[0], total - score, atol=1e-4, rtol=1e-4)
    assert tuple(crf.best(emissions[None], mask)[0].tolist()) == max(every, key=lambda tags: every[tags])
    marginals = torch.zeros(length, TAGS)
    for tags, score in every.items():
        for at, tag in enumerate(tags):
            marginals[at, tag] += float(torch.exp(torch.tensor(score) - total))
    torch.testing.assert_close(crf.marginals(emissions[None], mask)[0].exp(), marginals, atol=1e-4, rtol=1e-4)


def test_padding_changes_nothing(crf: Crf) -> None:
    emissions = torch.randn(2, 5, TAGS, generator=torch.Generator().manual_seed(3))
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    tags = torch.tensor([[0, 1, 2, 2, 0], [3, 4, 0, 0, 0]])
    short = emissions[1:, :2], tags[1:, :2], mask[1:, :2]
    torch.testing.assert_close(crf.loss(emissions, tags, mask)[1:], crf.loss(*short))
    assert crf.best(emissions, mask)[1].tolist() == [*crf.best(short[0], short[2])[0].tolist(), 0, 0, 0]
    torch.testing.assert_close(crf.marginals(emissions, mask)[1, :2], crf.marginals(short[0], short[2])[0])


def test_gradients_are_those_of_the_loss() -> None:
    crf = Crf(3).double()
    emissions = torch.randn(2, 3, 3, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    tags = torch.tensor([[0, 1, 2], [1, 0, 0]])
    assert torch.autograd.gradcheck(lambda e: crf.loss(e, tags, mask), (emissions,))
