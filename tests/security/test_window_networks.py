"""The networks over windows: causal, the same for a row alone and among others, deaf to padding."""

import numpy as np
import pandas as pd
import pytest
import torch

from jenga_security.causal import CausalTransformer
from jenga_security.config import GruConfig
from jenga_security.network_config import CausalTransformerConfig, LstmConfig
from jenga_security.recurrent import Gru, Lstm
from jenga_security.table_config import WindowConfig
from jenga_security.windows import WindowProcessor

RNG = np.random.default_rng(0)
LENGTH = 6
NETWORKS = [
    (Gru, GruConfig(width=8, depth=2)),
    (Lstm, LstmConfig(width=8, depth=2)),
    (CausalTransformer, CausalTransformerConfig(width=8, depth=2, heads=2)),
]


@pytest.fixture(params=NETWORKS, ids=lambda pair: pair[0].__name__)
def built(request):
    """A network with scrambled weights, and nine rows of one host beside two of another."""
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"host": ["a"] * 9 + ["b"] * 2, "at": [*range(9), 0, 1], "kind": rng.choice(["a", "b"], 11)})
    table["x"] = rng.normal(size=11)
    processor = WindowProcessor(WindowConfig(group="host", time="at", length=LENGTH, scaling="none", unseen_rate=0.0))
    processor.fit(table)
    kind, config = request.param
    model = kind(config, processor.facts()).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model, processor, processor.encode(table)


def batch(built, rows):
    return built[1].collate(built[2], np.asarray(rows), "evaluate", RNG)


def test_a_row_alone_gives_what_it_gives_among_longer_windows(built):
    model, rows = built[0], [8, 9, 0, 5]
    together = model(**batch(built, rows))
    assert together.tokens.shape == (4, LENGTH, 8)
    for at, row in enumerate(rows):
        alone = model(**batch(built, [row]))
        assert alone.mask.shape[1] == (min(row, LENGTH - 1) + 1 if row < 9 else row - 8)
        torch.testing.assert_close(together.pooled[at], alone.pooled[0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(together.tokens[at][together.mask[at]], alone.tokens[0], rtol=1e-4, atol=1e-6)


def test_pooled_is_the_token_of_the_row_and_padding_does_not_count(built):
    model, data = built[0], batch(built, [8, 10])
    before = model(**data)
    data["numbers"] = data["numbers"].masked_fill(~data["mask"].unsqueeze(-1), 7.0)
    assert torch.equal(model(**data).pooled, before.pooled)
    assert torch.equal(before.pooled[0], before.tokens[0, 5])
    assert torch.equal(before.pooled[1], before.tokens[1, 1])


def test_no_token_sees_a_later_row_and_the_last_sees_all(built):
    model, data = built[0], batch(built, [8])
    before = model(**data).tokens[0]
    for at in range(LENGTH):
        changed = dict(data, numbers=data["numbers"].clone())
        changed["numbers"][0, at] += 3.0
        moved = (model(**changed).tokens[0] - before).abs().amax(dim=-1)
        assert moved[:at].max().item() < 1e-6 if at else True
        assert moved[at] > 1e-4
        assert moved[-1] > 1e-7


def test_the_order_of_earlier_rows_matters(built):
    model, data = built[0], batch(built, [8])
    turned = {name: tensor.clone() for name, tensor in data.items()}
    for name in ("numbers", "categories"):
        turned[name][0, :5] = data[name][0, :5].flip(0)
    assert (model(**turned).pooled - model(**data).pooled).abs().max() > 1e-4


def test_every_option_changes_the_network(built):
    model, processor, _ = built
    kind, config = next(pair for pair in NETWORKS if pair[0] is type(model))

    def described(**options):
        made = kind(config.model_copy(update=options), processor.facts())
        drops = [m.p for m in made.modules() if hasattr(m, "p")]
        drops += [m.dropout for m in made.modules() if isinstance(m, torch.nn.RNNBase)]
        drops += [m.attention_dropout for m in made.modules() if hasattr(m, "attention_dropout")]
        return [tuple(p.shape) for p in made.parameters()], drops

    values = {"width": 16, "depth": 3, "dropout": 0.5, "heads": 4, "expansion": 3.0, "attention_dropout": 0.6}
    options = set(type(config).model_fields) - {"kind"}
    assert options <= set(values)
    for name in options:
        assert described(**{name: values[name]}) != described(), name


def test_the_transformer_begins_without_a_preference_and_weighs_by_distance():
    facts = {"numbers": 1, "categories": [], "length": 4}
    model = CausalTransformer(CausalTransformerConfig(width=8, depth=1, heads=2), facts)
    never = float("-inf")
    assert model._bias(2).tolist() == [[[0.0, never], [0.0, 0.0]]] * 2
    with torch.no_grad():
        model.distances[1] = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert model._bias(3)[1].tolist() == [[0.0, never, never], [1.0, 0.0, never], [2.0, 1.0, 0.0]]
