"""Integrated gradients: exact where there is a closed form, equal to Captum's, whole, and under the right names."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import jenga_core
import toys
from jenga_core.contracts import Batch, Part, Reference
from jenga_core.errors import PluginError, UserError
from jenga_core.explaining.gradients import attribute
from jenga_core.inference import Predictor
from jenga_core.registry import Registry
from jenga_core.testing import doubles

REGISTRY = Registry.of(double=doubles)


def batch(**data: Tensor) -> Batch:
    rows = len(next(iter(data.values())))
    return Batch("t", np.arange(rows), {"x": Part(torch.arange(rows), data)}, {})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Mixed(nn.Module):
    """Two looked up columns, one of them through a shared table with offsets, and three numbers, through a smooth network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.shared = nn.Embedding(5, 4), nn.Parameter(torch.randn(9, 3))
        self.net = nn.Sequential(nn.Linear(3 + 4 + 6, 16), nn.Tanh(), nn.Linear(16, 3), nn.Softmax(dim=-1))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        shared = functional.embedding(codes + torch.tensor([0, 5]), self.shared).flatten(1)
        return self.net(torch.cat([numbers, self.one(codes[:, 0]), shared], dim=1))


@pytest.fixture
def mixed() -> tuple[Mixed, Batch, Reference]:
    numbers, codes = torch.randn(7, 3, generator=generator()), torch.randint(0, 4, (7, 2), generator=generator(1))
    reference = Reference({"numbers": torch.full((7, 3), 0.3), "codes": torch.zeros_like(codes)})
    return Mixed(), batch(numbers=numbers, codes=codes), reference


def of_mixed(model: Mixed) -> Any:
    return lambda b: model(**b.inputs["x"].data)


# ------------------------------------------------------------------ against a closed form


@pytest.mark.parametrize("nodes", [1, 5])
def test_a_linear_model_is_explained_exactly(nodes: int) -> None:
    weight = torch.tensor([1.0, -2.0, 0.5])
    x, start = torch.randn(6, 3, generator=generator()), torch.tensor([0.1, 0.2, -0.3]).expand(6, 3)
    found = attribute(
        lambda b: b.inputs["x"].data["v"] @ weight, batch(v=x), {"x": Reference({"v": start})}, nodes=nodes
    )
    torch.testing.assert_close(found.parts[("x", "v")], (weight * (x - start)).double(), atol=1e-6, rtol=1e-5)
    assert float(found.error.abs().max()) < 1e-6


def test_a_product_is_shared_as_the_integral_says() -> None:
    """f = a * b from (0, 0): each gets half of the product."""
    x = torch.tensor([[2.0, 3.0], [-1.0, 4.0]])
    found = attribute(
        lambda b: b.inputs["x"].data["v"].prod(dim=1), batch(v=x), {"x": Reference({"v": x * 0})}, nodes=4
    )
    torch.testing.assert_close(found.parts[("x", "v")], (x.prod(dim=1, keepdim=True) / 2).expand(2, 2).double())


def test_embeddings_of_a_linear_model_are_explained_exactly() -> None:
    """Bags of words: each token contributes its embedding's score minus that of the reference token."""
    table, weight = nn.Embedding(6, 4), torch.randn(4, generator=generator())
    ids = torch.tensor([[1, 2, 3], [5, 5, 0]])
    found = attribute(
        lambda b: table(b.inputs["x"].data["ids"]).sum(dim=1) @ weight,
        batch(ids=ids), {"x": Reference({"ids": torch.full_like(ids, 4)})}, nodes=1,
    )  # fmt: skip
    score = (table.weight @ weight).detach().double()
    torch.testing.assert_close(found.parts[("x", "ids")], score[ids] - score[4], atol=1e-6, rtol=1e-5)


def test_one_hot_is_a_lookup_in_the_identity() -> None:
    ids, weight = torch.tensor([[1, 2], [3, 0]]), torch.randn(8, generator=generator())
    found = attribute(
        lambda b: functional.one_hot(b.inputs["x"].data["ids"], 4).float().flatten(1) @ weight,
        batch(ids=ids), {"x": Reference({"ids": ids * 0})}, nodes=1,
    )  # fmt: skip
    of = weight.view(2, 4).double()
    torch.testing.assert_close(found.parts[("x", "ids")], of[torch.arange(2), ids] - of[:, 0], atol=1e-6, rtol=1e-5)


def test_everything_adds_up_and_parameters_get_no_gradient(mixed: tuple[Mixed, Batch, Reference]) -> None:
    model, rows, reference = mixed
    with torch.inference_mode():  # whatever the caller switched off
        found = attribute(of_mixed(model), rows, {"x": reference}, nodes=32)
    assert float((found.error.abs() / found.size).max()) < 1e-5
    assert all(p.grad is None for p in model.parameters())
    probability = model(**rows.inputs["x"].data)
    torch.testing.assert_close(found.output, probability.max(dim=1).values.double())
    chosen = probability.argmax(dim=1)
    at_reference = model(**{k: v.clone() for k, v in reference.data.items()})[torch.arange(7), chosen]
    torch.testing.assert_close(found.reference, at_reference.double())


def test_a_code_contributes_to_its_own_row_and_column_only(mixed: tuple[Mixed, Batch, Reference]) -> None:
    model, rows, reference = mixed
    found = attribute(of_mixed(model), rows, {"x": reference}, nodes=8).parts[("x", "codes")]
    same = rows.inputs["x"].data["codes"] == 0  # as the reference
    assert bool(same.any())
    assert not bool(same.all())
    assert bool((found[same] == 0).all())
    assert bool((found[~same] != 0).all())


@pytest.mark.parametrize("network", [
    lambda b: b.inputs["x"].data["ids"].float() @ torch.ones(3),
    lambda b: nn.Embedding(4, 2)(b.inputs["x"].data["ids"] % 2).sum(dim=(1, 2)),
], ids=["not looked up", "changed before"])  # fmt: skip
def test_integers_that_no_embedding_can_be_traced_to_are_refused(network: Any) -> None:
    ids = torch.tensor([[1, 2, 3], [3, 2, 1]])
    with pytest.raises(PluginError, match="cannot be explained"):
        attribute(network, batch(ids=ids), {"x": Reference({"ids": ids * 0})}, nodes=2)


def test_an_output_without_a_gradient_is_refused() -> None:
    x = torch.ones(2, 2)
    with pytest.raises(PluginError, match="no gradient"):
        attribute(
            lambda b: b.inputs["x"].data["v"].detach().sum(dim=1), batch(v=x), {"x": Reference({"v": x * 0})}, nodes=2
        )


# ------------------------------------------------------------------ against Captum


def test_numbers_and_codes_are_as_captum_says(mixed: tuple[Mixed, Batch, Reference]) -> None:
    captum = pytest.importorskip(
        "captum.attr", reason="captum, the oracle of this test, is not installed; nox -s tests has it"
    )
    model, rows, reference = mixed
    given, start = rows.inputs["x"].data, reference.data
    chosen = model(**given).argmax(dim=1)
    ours = attribute(of_mixed(model), rows, {"x": Reference({"numbers": start["numbers"]})}, nodes=20)
    oracle = captum.IntegratedGradients(lambda numbers, codes: model(numbers, codes))
    theirs = oracle.attribute(given["numbers"], start["numbers"], target=chosen, n_steps=20,
                              additional_forward_args=(given["codes"],), method="gausslegendre")  # fmt: skip
    torch.testing.assert_close(ours.parts[("x", "numbers")].float(), theirs, atol=1e-5, rtol=1e-4)


def test_tokens_are_as_captum_says() -> None:
    captum = pytest.importorskip(
        "captum.attr", reason="captum, the oracle of this test, is not installed; nox -s tests has it"
    )
    torch.manual_seed(0)
    table, net = nn.Embedding(9, 5), nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    ids = torch.randint(1, 9, (4, 6), generator=generator())

    def score(ids: Tensor) -> Tensor:
        return net(torch.tanh(table(ids)).mean(dim=1)).squeeze(1)

    ours = attribute(
        lambda b: score(b.inputs["x"].data["ids"]), batch(ids=ids), {"x": Reference({"ids": ids * 0})}, nodes=20
    )
    theirs = captum.LayerIntegratedGradients(score, table).attribute(ids, ids * 0, n_steps=20, method="gausslegendre")
    torch.testing.assert_close(ours.parts[("x", "ids")].float(), theirs.sum(dim=-1), atol=1e-5, rtol=1e-4)


# ------------------------------------------------------------------ in predictions


def frame(rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """Only `signal` says anything; a line says it too, by one word."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=rows)
    words = np.array([" ".join(rng.choice(["na", "kwa", "ya"], size=rng.integers(1, 5))) for _ in range(rows)])
    line = [f"{text} hatari" if s > 0 else f"salama  {text}" for text, s in zip(words, signal, strict=True)]
    numbers = pd.DataFrame({"noise": rng.normal(size=rows), "signal": signal, "other": rng.normal(size=rows)})
    numbers["tags"] = [" ".join("X" for _ in text.split()) for text in line]
    return numbers.assign(line=line, label=np.where(signal > 0, "bad", "good"), amount=3 * signal)


def trained(folder: Path, task: Mapping[str, Any], **inputs: Any) -> Predictor:
    config = {
        "seed": 1,
        "data": {"rows": {}},
        "backbones": {"net": {"kind": "double/network", "width": 8}, "reader": {"kind": "double/reader", "width": 8}},
        "inputs": inputs,
        "tasks": {"t": task},
        "train": {"epochs": 15, "batch_size": 16, "learning_rate": 0.02, "bootstrap": 0, "baselines": False},
    }
    config["backbones"] = {
        k: v for k, v in config["backbones"].items() if k in {i["backbone"] for i in inputs.values()}
    }
    run = jenga_core.train(config, data=frame(), output=folder, registry=REGISTRY, quiet=True, report=False)
    return jenga_core.load(run.folder, registry=REGISTRY)


NUMBERS = {"columns": ["noise", "signal", "other"], "processor": "double/numbers", "backbone": "net"}
WORDS = {"columns": ["line"], "processor": "double/words", "backbone": "reader"}
CLASSES = {"kind": "core/classification", "target": "label"}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return trained(tmp_path_factory.mktemp("numbers") / "run", CLASSES, n=NUMBERS)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return trained(tmp_path_factory.mktemp("both") / "run", CLASSES, n=NUMBERS, w=WORDS)


def parsed(found: pd.DataFrame, task: str = "t") -> list[list[dict[str, Any]]]:
    return [json.loads(line) for line in found[f"{task}.reasons"]]


def test_reasons_name_the_column_that_decides_with_its_cell(numbers: Predictor) -> None:
    rows = frame(40, seed=9)
    found = numbers.predict(rows, reasons=2)
    lines = parsed(found)
    assert all(len(line) == 2 for line in lines)
    clear = np.abs(rows["signal"]) > 0.7  # near the reference, noise may weigh as much
    assert all(line[0]["feature"] == "signal" for line, use in zip(lines, clear, strict=True) if use)
    assert [line[0]["value"] for line, use in zip(lines, clear, strict=True) if use] == rows["signal"][clear].tolist()
    assert all(abs(line[0]["contribution"]) >= abs(line[1]["contribution"]) for line in lines)
    pd.testing.assert_frame_equal(found.drop(columns="t.reasons"), numbers.predict(rows))


def test_all_contributions_add_up_to_the_score(numbers: Predictor) -> None:
    rows = frame(30, seed=4)
    found = numbers.predict(rows, reasons=3)
    each = numbers.contributions(rows, "t")
    total = np.array([sum(r["contribution"] for r in line) for line in parsed(found)])
    np.testing.assert_allclose(found["t.score"], each.reference + total, atol=0.02)
    np.testing.assert_allclose(each.output, each.reference + sum(each.columns.values()) + each.error, atol=1e-9)
    assert not each.inexact.any()
    with pytest.raises(UserError, match="unknown task 'tt'"):
        numbers.contributions(rows, "tt")


def test_words_are_named_by_their_characters(both: Predictor) -> None:
    """Trap 13 of the original: a word that came twice lost one of its shares."""
    rows, weights, times = frame(30, seed=5), Counter[str](), Counter[str]()
    for line, reasons in zip(rows["line"], parsed(both.predict(rows, reasons=20)), strict=True):
        words = [r for r in reasons if r["feature"] == "line"]
        assert all(line[r["start"] : r["end"]] == r["value"] for r in words)
        assert len({(r["start"], r["end"]) for r in words}) == len(words) == len(line.split())
        assert {"noise", "signal"} < {r["feature"] for r in reasons}
        for reason in words:
            weights[reason["value"]] += reason["contribution"]
            times[reason["value"]] += 1
    assert max(weights, key=lambda word: weights[word] / times[word]) == "hatari"


def test_rows_that_lack_an_input_are_explained_by_the_other(both: Predictor) -> None:
    rows = frame(6, seed=6)
    rows.loc[[1, 4], "line"] = None
    rows.loc[[2, 4], ["noise", "signal", "other"]] = np.nan
    found = both.predict(rows, reasons=9)
    assert found["t.reasons"].isna().tolist() == [False] * 4 + [True, False]
    lines = [json.loads(line) for line in found["t.reasons"].dropna()]
    assert {r["feature"] for r in lines[1]} == {"noise", "signal", "other"}
    assert {r["feature"] for r in lines[2]} == {"line"}


@pytest.mark.parametrize("rows", [0, 2])
def test_the_column_is_there_when_no_row_can_be_predicted(numbers: Predictor, rows: int) -> None:
    found = numbers.predict(frame(rows or 1).iloc[:rows].assign(noise=np.nan, signal=np.nan, other=np.nan), reasons=1)
    assert list(found.columns)[-1] == "t.reasons"
    assert found["t.reasons"].isna().all()


def test_a_number_is_explained_in_its_own_unit(tmp_path: Path) -> None:
    predictor = trained(tmp_path / "run", {"kind": "core/regression", "target": "amount"}, n=NUMBERS)
    rows = frame(30, seed=7)
    found = predictor.predict(rows, reasons=1)
    first = [line[0] for line in parsed(found)]
    assert {r["feature"] for r, s in zip(first, rows["signal"], strict=True) if abs(s) > 0.7} == {"signal"}
    assert np.corrcoef([r["contribution"] for r in first], 3 * rows["signal"])[0, 1] > 0.95
    assert all(math.copysign(1, r["contribution"]) == math.copysign(1, s) for r, s in zip(first, rows["signal"], strict=True)
               if abs(s) > 0.7)  # fmt: skip


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3"])
def test_a_wrong_number_of_reasons_is_refused(numbers: Predictor, count: Any) -> None:
    with pytest.raises(UserError, match="is no number of reasons"):
        numbers.predict(frame(2), reasons=count)


def test_what_cannot_be_explained_says_so(tmp_path: Path) -> None:
    tagging = {"kind": "double/tagging", "target": "tags"}
    words = trained(tmp_path / "tags", tagging, w=WORDS)
    with pytest.raises(UserError, match="no task of table 'rows' can be explained: t"):
        words.predict(frame(2), reasons=1)
    run = jenga_core.train(toys.numbers_config(epochs=1), data=toys.numbers_frame(), output=tmp_path / "toy",
                           registry=toys.registry(), quiet=True, report=False)  # fmt: skip
    with pytest.raises(UserError, match="no input of 'rows' can be explained: x"):
        jenga_core.load(run.folder, registry=toys.registry()).predict(toys.numbers_frame(3), reasons=1)
