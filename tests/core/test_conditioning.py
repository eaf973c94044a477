"""Task conditioning: nothing at first, then each task its own; masks hold; `none` is as if it were not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import jenga_core
import toys
from jenga_core.builtin.task_gradients import shared_parameters
from jenga_core.conditioning import FORMS, FUSED, ConditionedHead
from jenga_core.contracts import Features, View
from jenga_core.inference import load

KINDS = list(FORMS)
DIM = 5


def config(conditioning: str | None, *, fused: bool = False, **train: Any) -> dict[str, Any]:
    """Words with a class and a tag per word; `fused`: and numbers beside them."""
    made = toys.numbers_config(epochs=2, **train)
    made["backbones"] = {"bag": {"kind": "toy/bag", "width": 6}}
    made["inputs"] = {"text": {"columns": ["text"], "processor": "toy/words", "backbone": "bag"}}
    if fused:
        made["backbones"]["net"] = {"kind": "toy/dense", "width": 4}
        made["inputs"]["x"] = {"columns": ["a", "b"], "processor": "toy/numbers", "backbone": "net"}
    made["tasks"] = {
        "place": {"kind": "core/classification", "target": "place"},
        "again": {"kind": "core/classification", "target": "place"},
        "tags": {"kind": "toy/tags", "target": "tags", "input": "text"},
    }
    return made if conditioning is None else {**made, "conditioning": conditioning}


def frame() -> pd.DataFrame:
    return toys.words_frame().join(toys.numbers_frame(120)[["a", "b"]])


def trained(folder: Path, conditioning: str | None, **options: Any) -> Any:
    return jenga_core.train(
        config(conditioning, **options), data=frame(), output=folder, registry=toys.registry(), quiet=True, report=False
    )


class Spy(torch.nn.Module):
    """A head that hands out what it sees."""

    def forward(self, view: View, target: Any = None) -> dict[str, View]:
        return {"view": view}


def head(kind: str, *, seed: int = 0, zero: bool = False) -> ConditionedHead:
    """Conditioning with weights as after training: the last layer is not zero any more."""
    torch.manual_seed(seed)
    shared = FORMS[kind](DIM)
    if not zero:
        torch.nn.init.normal_(shared.out.weight)
    return ConditionedHead(Spy(), {DIM: shared}, {FUSED: DIM})


def features(rows: int, length: int, lengths: list[int], seed: int = 0) -> Features:
    made = torch.Generator().manual_seed(seed)
    tokens = torch.randn(rows, length, DIM, generator=made)
    mask = torch.arange(length) < torch.tensor(lengths)[:, None]
    return Features(tokens, mask, torch.randn(rows, DIM, generator=made))


def seen(module: ConditionedHead, given: Features) -> Features:
    return module(View(given, {"x": given}), None)["view"].whole


# ------------------------------------------------------------------ the layers


@pytest.mark.parametrize("kind", KINDS)
def test_before_training_it_adds_exactly_nothing(kind: str) -> None:
    given = features(3, 4, [4, 2, 1])
    got = seen(head(kind, zero=True), given)
    assert torch.equal(got.pooled, given.pooled)
    assert torch.equal(got.tokens[got.mask], given.tokens[given.mask])
    assert torch.equal(got.mask, given.mask)


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4), extra=st.integers(0, 5), what=st.floats(-9, 9))
@settings(deadline=None, max_examples=40)
def test_padding_never_changes_an_output(kind: str, lengths: list[int], extra: int, what: float) -> None:
    """More padding, and whatever is in it, NaN too. Trap 10 of the original."""
    module, short = head(kind), features(len(lengths), 6, lengths)
    room = torch.full((len(lengths), extra, DIM), float("nan") if what > 5 else what)
    mask = torch.cat([short.mask, torch.zeros(len(lengths), extra, dtype=torch.bool)], dim=1)
    filled = short.tokens.masked_fill(~short.mask.unsqueeze(-1), what)
    one, two = seen(module, short), seen(module, Features(torch.cat([filled, room], dim=1), mask, short.pooled))
    torch.testing.assert_close(two.pooled, one.pooled, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(two.tokens[:, :6][one.mask], one.tokens[one.mask], rtol=1e-5, atol=1e-6)
    assert torch.isfinite(one.pooled).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_task_decides_what_is_added(kind: str) -> None:
    given, module = features(3, 4, [4, 2, 3]), head(kind)
    first = seen(module, given)
    with torch.no_grad():
        module.vectors[FUSED].vector.add_(3.0)
    second = seen(module, given)
    assert not torch.allclose(first.pooled, second.pooled)
    assert not torch.allclose(first.tokens[:, 0], second.tokens[:, 0])
    assert not torch.allclose(first.pooled, given.pooled)


@pytest.mark.parametrize("kind", ["attention", "gated"])
def test_the_task_reads_every_token_of_its_row_and_of_no_other(kind: str) -> None:
    given, module = features(2, 3, [3, 2]), head(kind)
    tokens = given.tokens.clone().requires_grad_()
    seen(module, Features(tokens, given.mask, given.pooled)).pooled[1].sum().backward()
    reached = tokens.grad.abs().sum(-1) > 0
    assert reached.tolist() == [[False] * 3, [True, True, False]]


# ------------------------------------------------------------------ in a model


def test_none_is_as_if_the_key_were_not_there(tmp_path: Path) -> None:
    left, right = (trained(tmp_path / str(kind), kind, fused=True) for kind in (None, "none"))
    one, two = left.model.state_dict(), right.model.state_dict()
    assert list(one) == list(two)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not any("conditioning" in name for name in one)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_learns_with_it_and_comes_back_from_its_folder(tmp_path: Path, kind: str, fused: bool) -> None:
    """Row tasks, and a token task that declines fusion. Width 6 is read by all; 4, where it is, by no head."""
    run = trained(tmp_path / "run", kind, fused=fused)
    names = [n for n in run.model.state_dict() if n.startswith("conditioning.")]
    assert {n.split(".")[1] for n in names} == ({"_6", "_4"} if fused else {"_6"})
    assert run.model.state_dict()["conditioning._6.out.weight"].abs().sum() > 0
    predictor = load(tmp_path / "run", registry=toys.registry())
    same = predictor.model.state_dict()
    assert all(torch.equal(v, same[n]) for n, v in run.model.state_dict().items())
    predicted = predictor.predict(frame())
    assert {"place.label", "again.label", "tags.tags"} <= set(predicted.columns)
    alone = predictor.predict(frame().head(3))
    assert np.allclose(alone["place.score"], predicted["place.score"].head(3), atol=1e-5)


def test_two_tasks_alike_but_for_their_vector_see_different_features(tmp_path: Path) -> None:
    model = trained(tmp_path / "run", "attention").model
    one, two = (model.heads[n].vectors[FUSED].vector for n in ("place", "again"))
    assert not torch.equal(one, two)
    assert model.heads["place"].shared[FUSED] is model.heads["again"].shared[FUSED]


def test_a_task_may_decline_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys.Tags, "conditioned", False, raising=False)
    run = trained(tmp_path / "run", "attention", fused=True)
    assert [name for name, head in run.model.heads.items() if hasattr(head, "vectors")] == ["place", "again"]
    assert list(run.model.conditioning) == ["6"]
    tables = dict.fromkeys(run.config.tasks, "rows")
    own = {p for part in run.model.body("tags", "rows") for p in part.parameters()}
    assert not own & set(run.model.conditioning.parameters())
    assert set(run.model.conditioning.parameters()) <= set(shared_parameters(run.model, tables))


def test_its_layers_are_shared_and_its_vectors_are_the_heads(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "gated")
    found = set(shared_parameters(run.model, dict.fromkeys(run.config.tasks, "rows")))
    names = {n for n, p in run.model.named_parameters() if p in found}
    assert any(n.startswith("conditioning.") for n in names)
    assert not any("vector" in n for n in names)
