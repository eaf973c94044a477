"""The networks over tables: shapes, gradients, and independence of the rows beside a row."""

import numpy as np
import pytest
import torch

from jenga_security.backbones import TabularMlp, TabularResnet
from jenga_security.config import FtTransformerConfig, MlpConfig, ResnetConfig
from jenga_security.transformer import FtTransformer

FACTS = {"numbers": 3, "categories": [5, 4]}
NETWORKS = [
    (TabularMlp, MlpConfig.example()),
    (TabularResnet, ResnetConfig.example()),
    (FtTransformer, FtTransformerConfig.example()),
]


def inputs(rows=6, facts=FACTS):
    rng = torch.Generator().manual_seed(0)
    categories = [torch.randint(0, size, (rows,), generator=rng) for size in facts["categories"]]
    return {
        "numbers": torch.randn(rows, facts["numbers"], generator=rng),
        "categories": torch.stack(categories, 1) if categories else torch.zeros(rows, 0, dtype=torch.int64),
    }


@pytest.mark.parametrize(("network", "config"), NETWORKS)
@pytest.mark.parametrize(
    "facts",
    [FACTS, {"numbers": 4, "categories": []}, {"numbers": 0, "categories": [300]}],
    ids=["both", "numbers", "names"],
)
def test_shapes_and_gradients(network, config, facts):
    torch.manual_seed(0)
    model = network(config, facts)
    features = model(**inputs(facts=facts))
    assert features.pooled.shape == (6, model.out_dim)
    tokens = 1 + facts["numbers"] + len(facts["categories"]) if network is FtTransformer else 1
    assert features.tokens.shape == (6, tokens, model.out_dim)
    assert features.mask.all()
    features.pooled.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(("network", "config"), NETWORKS)
def test_a_row_alone_gives_what_it_gives_in_a_batch(network, config):
    model = network(config, FACTS).eval()
    batch = inputs()
    together = model(**batch).pooled
    alone = torch.cat([model(**{k: v[i : i + 1] for k, v in batch.items()}).pooled for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("network", "config"), NETWORKS)
def test_every_option_changes_the_network(network, config):
    def described(**options):
        torch.manual_seed(0)
        model = network(config.model_copy(update=options), FACTS)
        drops = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
        drops += [m.attention_dropout for m in model.modules() if hasattr(m, "attention_dropout")]
        heads = [m.heads for m in model.modules() if hasattr(m, "heads")]
        return [tuple(p.shape) for p in model.parameters()], drops, heads

    usual = described()
    values = {"width": 24, "depth": 3, "dropout": 0.5, "expansion": 3.0, "residual_dropout": 0.4}
    values |= {"heads": 4, "attention_dropout": 0.6}
    assert set(type(config).model_fields) - {"kind"} <= set(values)
    for name, value in values.items():
        if name in type(config).model_fields:
            assert described(**{name: value}) != usual, name


def test_huge_scaled_values_give_finite_features():
    model = TabularResnet(ResnetConfig.example(), FACTS).eval()
    batch = inputs()
    batch["numbers"] = torch.full_like(batch["numbers"], 1e4)
    assert np.isfinite(model(**batch).pooled.detach().numpy()).all()


def test_columns_of_the_transformer_have_codes_of_their_own():
    """Code 3 of one column is not code 3 of another, and a column's place matters."""
    torch.manual_seed(0)
    model = FtTransformer(FtTransformerConfig.example(), {"numbers": 0, "categories": [5, 5]}).eval()
    one, other = (torch.tensor([[a, b]]) for a, b in ((3, 4), (4, 3)))
    none = torch.zeros(1, 0)
    tokens = model.tokenizer(none, one), model.tokenizer(none, other)
    assert not torch.allclose(tokens[0][0, 1], tokens[1][0, 2])
    assert not torch.allclose(model(numbers=none, categories=one).pooled, model(numbers=none, categories=other).pooled)
    torch.testing.assert_close(model.tokenizer.offsets, torch.tensor([0, 5]))


def test_the_transformer_is_the_papers():
    """Written out again for one row: ReGLU, norms before, none before the first attention, the summary token last."""
    torch.manual_seed(0)
    model = FtTransformer(FtTransformerConfig(width=8, depth=2, heads=2), FACTS).eval()
    batch = inputs(rows=1)
    x = model.tokenizer(**batch)[0]
    for at, block in enumerate(model.blocks):
        q, k, v = block.projections(x if at == 0 else block.before_attention(x)).split(8, dim=-1)
        heads = [slice(0, 4), slice(4, 8)]
        mixed = [torch.softmax(q[:, h] @ k[:, h].T / 2, dim=-1) @ v[:, h] for h in heads]
        x = x + block.merge(torch.cat(mixed, dim=-1))
        value, gate = block.gated(block.before_layer(x)).chunk(2, dim=-1)
        x = x + block.back(value * gate.clamp(min=0))
    assert isinstance(model.blocks[0].before_attention, torch.nn.Identity)
    torch.testing.assert_close(model(**batch).pooled[0], model.norm(x[0]).clamp(min=0), rtol=1e-4, atol=1e-5)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="not a multiple of heads"):
        FtTransformerConfig(width=10, heads=4)
