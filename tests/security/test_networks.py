"""The two networks over tables: shapes, gradients, and independence of the rows beside a row."""

import numpy as np
import pytest
import torch

from jenga_security.backbones import TabularMlp, TabularResnet
from jenga_security.config import MlpConfig, ResnetConfig

FACTS = {"numbers": 3, "categories": [5, 4]}
NETWORKS = [(TabularMlp, MlpConfig.example()), (TabularResnet, ResnetConfig.example())]


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
    assert features.tokens.shape == (6, 1, model.out_dim)
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
        return [tuple(p.shape) for p in model.parameters()], drops

    usual = described()
    for name, value in {"width": 24, "depth": 3, "dropout": 0.5, "expansion": 3.0, "residual_dropout": 0.4}.items():
        if name in type(config).model_fields:
            assert described(**{name: value}) != usual, name


def test_huge_scaled_values_give_finite_features():
    model = TabularResnet(ResnetConfig.example(), FACTS).eval()
    batch = inputs()
    batch["numbers"] = torch.full_like(batch["numbers"], 1e4)
    assert np.isfinite(model(**batch).pooled.detach().numpy()).all()
