"""text/conv learns from nothing: its tokens differ from each other when it is new, and it finds a word soon."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from jenga_text.config import ConvConfig
from jenga_text.conv import Conv

WORDS, LONGEST = 300, 60
FACTS = {"vocabulary": WORDS, "pad": 0}


def rows(count: int, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """({ids, mask}, y): words 3, 4, ... at random, and one of the words 1 and 2 among them, which is the label."""
    lengths = torch.randint(LONGEST // 2, LONGEST + 1, (count,), generator=generator)
    mask = torch.arange(LONGEST) < lengths[:, None]
    ids = torch.randint(3, WORDS, (count, LONGEST), generator=generator)
    y = torch.randint(0, 2, (count,), generator=generator)
    ids[torch.arange(count), (torch.rand(count, generator=generator) * lengths).long()] = 1 + y
    return {"ids": ids * mask, "mask": mask}, y


def after(steps: int, config: ConvConfig, seed: int) -> float:
    """Accuracy on new rows after so many steps on 32 new rows each."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net: Any = Conv(config, FACTS)
    head = nn.Linear(net.out_dim, 2)
    weights = [*net.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=2e-3)
    for _ in range(steps):
        data, y = rows(32, generator)
        functional.cross_entropy(head(net(**data).pooled), y).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    data, y = rows(256, generator)
    with torch.no_grad():
        return float((head(net.eval()(**data).pooled).argmax(dim=1) == y).float().mean())


def test_a_planted_word_is_found_soon() -> None:
    assert after(100, ConvConfig(width=64), seed=0) > 0.95


def test_tokens_of_a_new_network_are_not_all_alike() -> None:
    """What all tokens have in common says nothing about a row. A bias beside small embeddings can drown them."""
    torch.manual_seed(0)
    net = Conv(ConvConfig(depth=4), FACTS).eval()
    data, _ = rows(64, torch.Generator().manual_seed(0))
    tokens = net(**data).tokens[data["mask"]]
    assert tokens.var(dim=0, correction=0).mean() > 0.9 * tokens.square().mean()
