"""The focal loss is the paper's, and what is learned by it gives probabilities again."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.contracts import Batch
from jenga_security.config import AnomalyConfig
from jenga_security.focal import focal_loss, unfocal
from jenga_security.tasks import AnomalyTask

GAMMAS = [0.5, 1.0, 2.0, 5.0]


@pytest.mark.parametrize("gamma", [0.0, *GAMMAS])
def test_the_loss_is_the_papers(gamma):
    logit, y = torch.tensor([-3.0, 0.2, 1.5, 4.0]), torch.tensor([0, 1, 0, 1])
    right = torch.where(y > 0, torch.sigmoid(logit), 1 - torch.sigmoid(logit))
    each = (1 - right) ** gamma * -torch.log(right) * torch.where(y > 0, 3.0, 1.0)
    torch.testing.assert_close(focal_loss(logit, y, gamma=gamma, weight=3.0), each.sum())


def test_gamma_zero_is_cross_entropy_and_sums_add_up():
    logit, y = torch.randn(20), torch.randint(0, 2, (20,))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logit, y.float(), reduction="sum")
    torch.testing.assert_close(focal_loss(logit, y, gamma=0.0, weight=1.0), expected)
    parts = sum(focal_loss(logit[s], y[s], gamma=2.0, weight=2.0) for s in (slice(0, 7), slice(7, 20)))
    torch.testing.assert_close(parts, focal_loss(logit, y, gamma=2.0, weight=2.0))


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("truth", [0.001, 0.1, 0.5, 0.9])
def test_the_truth_is_found_again_from_the_best_answer(gamma, truth):
    """The logit of least expected loss, searched for; corrected, it is the probability of the rows."""
    logit = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    per_row = [
        torch.exp(-gamma * torch.nn.functional.softplus(x)) * torch.nn.functional.softplus(-x) for x in (logit, -logit)
    ]
    best = logit[(truth * per_row[0] + (1 - truth) * per_row[1]).argmin()]
    assert torch.sigmoid(unfocal(best, gamma=gamma)).item() == pytest.approx(truth, rel=2e-3)
    assert abs(torch.sigmoid(best).item() - 0.5) <= abs(truth - 0.5) + 1e-9


@settings(max_examples=100)
@given(st.lists(st.floats(-500, 500), min_size=2, max_size=20), st.sampled_from([0.0, *GAMMAS, 10.0]))
def test_the_correction_keeps_the_order_and_is_finite_and_odd(logits, gamma):
    logit = torch.tensor(sorted(logits), dtype=torch.float64)
    found = unfocal(logit, gamma=gamma)
    assert found.isfinite().all()
    assert (found.diff() >= -1e-9).all()
    torch.testing.assert_close(unfocal(-logit, gamma=gamma), -found)


@pytest.mark.parametrize("weight", ["none", 4.0])
def test_a_task_trained_by_it_gives_the_share_of_attacks(weight):
    """One logit, trained on rows of which a tenth are attacks: the score is a tenth, whatever gamma and weight."""
    task = AnomalyTask(AnomalyConfig(target="label", focal_gamma=2.0, positive_weight=weight))
    cells = pd.DataFrame({"label": [1] * 10 + [0] * 90})
    task.fit(cells)
    target, count = task.collate(task.encode(cells, {}), np.arange(100), {})
    bias = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = task.loss({"logit": bias.expand(100)}, target) / count
        loss.backward()
        return loss

    optimizer.step(closure)

    class Model:
        def __init__(self):
            self.heads = {"attack": lambda view, target: {"logit": bias.detach()}}

        def view(self, batch, fuse):
            return None

    score = task.predict(Model(), Batch("t", np.arange(1), {}, {}), "attack")["score"]
    assert score.dtype == torch.float32
    assert score.item() == pytest.approx(0.1, rel=1e-2)
