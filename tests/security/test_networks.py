"""The networks over tables: shapes, gradients, and independence of the rows beside a row."""

import numpy as np
import pytest
import torch

from jenga_security.backbones import TabularMlp, TabularResnet
from jenga_security.config import FtTransformerConfig, MlpConfig, ResnetConfig
from jenga_security.embeddings import BINS, WIDTH, Periodic, PiecewiseLinear
from jenga_security.network_config import TabmConfig
from jenga_security.scaling import fit_quantiles
from jenga_security.tabm import Tabm
from jenga_security.transformer import FtTransformer

FACTS = {"numbers": 3, "categories": [5, 4]}
NETWORKS = [
    (TabularMlp, MlpConfig.example()),
    (TabularResnet, ResnetConfig.example()),
    (FtTransformer, FtTransformerConfig.example()),
    (TabularMlp, MlpConfig.example().model_copy(update={"numbers": "piecewise"})),
    (TabularMlp, MlpConfig.example().model_copy(update={"numbers": "periodic"})),
    (Tabm, TabmConfig.example()),
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

    def other_than(numbers):
        return "periodic" if numbers == "piecewise" else "piecewise"

    usual = described()
    values = {"width": 24, "depth": 3, "dropout": 0.5, "expansion": 3.0, "residual_dropout": 0.4}
    values |= {"heads": 4, "attention_dropout": 0.6, "members": 3}
    if "numbers" in type(config).model_fields:
        values["numbers"] = other_than(config.numbers)
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


# ------------------------------------------------------------------ numbers as vectors


def test_a_piecewise_number_is_linear_between_knots_and_beyond_them():
    torch.manual_seed(0)
    embed = PiecewiseLinear(1)
    torch.nn.init.normal_(embed.bins)
    inside = [(float(a) + float(b)) / 2 for a, b in zip(embed.knots[:-1], embed.knots[1:], strict=True)]
    assert inside == sorted(inside)
    for low, high in [
        *zip(embed.knots[:-1].tolist(), embed.knots[1:].tolist(), strict=True),
        (-50.0, -10.0),
        (10.0, 50.0),
    ]:
        x = torch.linspace(low + 1e-3, high - 1e-3, 5).unsqueeze(1)
        torch.testing.assert_close(embed(x).diff(n=2, dim=0), torch.zeros(3, WIDTH), atol=1e-4, rtol=0)
    bend = torch.tensor([[embed.knots[7] - 0.01], [embed.knots[7]], [embed.knots[7] + 0.01]])
    assert embed(bend).diff(n=2, dim=0).abs().max() > 1e-4


def test_the_knots_are_the_quantiles_of_normal_scores():
    """As many rows of a quantile-scaled column lie in each bin."""
    rng = np.random.default_rng(0)
    skewed = np.exp(rng.normal(8, 3, 32_000))
    scaled = fit_quantiles(skewed).apply(skewed)
    counts = np.histogram(scaled, PiecewiseLinear(1).knots.numpy())[0]
    assert counts.min() > 0.8 * 32_000 / BINS
    assert counts.max() < 1.2 * 32_000 / BINS


def test_bins_begin_by_adding_nothing():
    embed = PiecewiseLinear(2)
    x = torch.randn(5, 2)
    torch.testing.assert_close(embed(x), (x.unsqueeze(-1) * embed.linear + embed.bias).flatten(1))


def test_a_periodic_number_is_the_papers():
    torch.manual_seed(0)
    embed = Periodic(2)
    x = torch.randn(3, 2)
    turns = 2 * np.pi * x[1, 1] * embed.frequencies[1]
    expected = torch.relu(torch.cat([turns.cos(), turns.sin()]) @ embed.weight[1] + embed.bias[1])
    torch.testing.assert_close(embed(x)[1, WIDTH:], expected)


# ------------------------------------------------------------------ the ensemble


def members_of(model, batch):
    """What each member alone gives, written out with its own weight matrices: [B, K, D]."""
    x = model.input(**batch)
    found = []
    for k in range(model.members):
        h = x
        for layer, norm in zip(model.layers, model.norms, strict=True):
            weight = layer.outputs[k][:, None] * layer.shared.weight * layer.inputs[k]
            h = torch.relu(norm(h @ weight.T + layer.bias[k]))
        found.append(h * model.last[k])
    return torch.stack(found, dim=1)


def scrambled_tabm(members):
    torch.manual_seed(0)
    model = Tabm(TabmConfig(members=members, width=8, depth=2, dropout=0.0), FACTS)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def test_the_ensemble_is_its_members_mean_and_they_differ():
    model = scrambled_tabm(3).eval()
    batch = inputs()
    each = members_of(model, batch)
    torch.testing.assert_close(model(**batch).pooled, each.mean(dim=1), rtol=1e-4, atol=1e-5)
    new = members_of(Tabm(TabmConfig.example(), FACTS), batch)
    assert not torch.allclose(new[:, 0], new[:, 1])


def repeated(batch, times):
    """As a training batch holds its rows for a backbone that asks for them so often."""
    return {name: tensor.repeat_interleave(times, dim=0) for name, tensor in batch.items()}


def test_a_row_of_a_training_batch_trains_every_member():
    model = scrambled_tabm(3).train()
    assert model.repeats == 3
    batch = inputs(rows=7)
    each = members_of(model, batch)
    torch.testing.assert_close(model(**repeated(batch, 3)).pooled.view(7, 3, -1), each, rtol=1e-4, atol=1e-5)


def test_training_follows_the_mean_of_the_members_losses():
    """The gradient of a shared matrix is that of the mean of losses, and not that of the loss of the mean."""
    model = scrambled_tabm(3).train()
    batch = inputs(rows=6)
    shared = model.layers[0].shared.weight

    def gradient(loss):
        return torch.autograd.grad(loss, shared)[0]

    found = gradient(model(**repeated(batch, 3)).pooled.square().sum() / 3)
    each = members_of(model, batch)
    of_losses = gradient(each.square().sum(dim=(0, 2)).mean())
    of_mean = gradient(members_of(model, batch).mean(dim=1).square().sum())
    torch.testing.assert_close(found, of_losses, rtol=1e-4, atol=1e-4)
    assert (found - of_mean).norm() > 0.3 * of_mean.norm()
