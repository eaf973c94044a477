"""Reasons of tasks without labels: the column that is out of place comes first, in predictions and in the report."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

import jenga_core
from jenga_core.contracts import Batch, Part, Reference
from jenga_core.explaining import occlusion
from jenga_core.explaining.occlusion import occlude
from jenga_security.processors import TableProcessor
from jenga_security.table_config import TableConfig, WindowConfig
from jenga_security.windows import WindowProcessor

NUMBERS = ["bytes", "packets", "seconds"]
NETWORK = {"outlier": "security/autoencoder", "one-class": "security/bias-free-mlp"}


def usual(rows=600, seed=0):
    """Traffic that is alike, with two categories of which one value is by far the most frequent."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=rows)
    data = {
        "bytes": 500 + 50 * size,
        "packets": 20 + 2 * size + 0.2 * rng.normal(size=rows),
        "seconds": rng.normal(3, 0.3, rows),
    }
    return pd.DataFrame(data).assign(
        protocol=np.where(rng.random(rows) < 0.1, "udp", "tcp"),
        country=rng.choice(["KE", "UG", "TZ"], rows, p=[0.8, 0.1, 0.1]),
    )


def planted():
    """One row for each column that is out of place, all else as most rows are."""
    plain = {"bytes": 500.0, "packets": 20.0, "seconds": 3.0, "protocol": "tcp", "country": "KE"}
    strange = {"bytes": 5000.0, "packets": 90.0, "seconds": 40.0, "protocol": "sctp", "country": "XX"}
    return pd.DataFrame([{**plain, name: value} for name, value in strange.items()])


def train(folder, task="outlier", data=None, report=False, **options):
    config = {
        "project": "odd", "seed": 0, "data": {"rows": {"split": {"validation": 0.2, "test": 0.2}}},
        "inputs": {"row": {"processor": {"kind": "security/table", "scaling": "standard"}}},
        "backbones": {"net": {"kind": NETWORK[task], "width": 16}},
        "tasks": {"odd": {"kind": f"security/{task}", "threshold": 0.9, **options}},
        "train": {"epochs": 5, "batch_size": 64, "bootstrap": 0, "baselines": False},
    }  # fmt: skip
    return jenga_core.train(config, data=usual() if data is None else data, output=folder, quiet=True, report=report)


@pytest.fixture(scope="module", params=["outlier", "one-class"])
def model(request, tmp_path_factory):
    return jenga_core.load(train(tmp_path_factory.mktemp(request.param) / "run", request.param).folder)


def reasons(model, rows, count=9):
    return [json.loads(line) for line in model.predict(rows, reasons=count)["odd.reasons"]]


def test_the_column_that_is_out_of_place_is_the_first_reason(model):
    for row, line in zip(planted().to_dict("records"), reasons(model, planted(), count=2), strict=True):
        wanted = [name for name in NUMBERS if row[name] > {"bytes": 1000, "packets": 30, "seconds": 10}[name]]
        if wanted:
            assert line[0]["feature"] == wanted[0]
            assert line[0]["value"] == row[wanted[0]]
            assert line[0]["contribution"] > 0


def test_a_row_has_the_same_reasons_alone_and_in_a_batch(model):
    rows = pd.concat([planted(), usual(40, seed=3)], ignore_index=True)
    together = reasons(model, rows)
    for at in (0, 2, 20, 44):
        alone = reasons(model, rows.iloc[[at]])[0]
        assert {r["feature"] for r in alone} == {r["feature"] for r in together[at]}
        of = {r["feature"]: r["contribution"] for r in together[at]}
        assert_allclose([r["contribution"] for r in alone], [of[r["feature"]] for r in alone], atol=1e-4)
        assert alone[0]["feature"] == together[at][0]["feature"]


def test_a_contribution_is_what_the_output_loses_without_the_cell(model):
    rows = planted().iloc[:3]
    each = model.contributions(rows, "odd")
    column = model.parts.processors["row"].numbers[NUMBERS.index("seconds")]
    without = model.contributions(rows.assign(seconds=column.median), "odd")
    assert_allclose(each.columns["seconds"], each.output - without.output, atol=1e-5)
    assert_allclose(each.output, each.reference + sum(each.columns.values()) + each.error, atol=1e-9)
    assert not each.inexact.any()  # occlusion promises no sum
    assert each.columns["protocol"][0] == each.columns["country"][0] == 0  # as most rows have them


def test_an_unseen_name_raises_unlikeness(tmp_path):
    model = jenga_core.load(train(tmp_path / "run", members=["isolation", "neighbours"]).folder)
    lines = reasons(model, planted().iloc[3:])
    assert [line[0]["feature"] for line in lines] == ["protocol", "country"]
    assert [line[0]["value"] for line in lines] == ["sctp", "XX"]


@pytest.mark.parametrize("target", [None, "label"])
def test_the_report_shows_the_highest_scores_and_says_how_they_were_explained(target, tmp_path):
    data = usual().assign(seconds=lambda t: np.where(t.index % 50 == 0, 30.0, t["seconds"]))
    options = {} if target is None else {"target": "label"}
    if target:
        data["label"] = np.where(data["seconds"] > 10, "odd", "normal")
    run = train(tmp_path / "run", data=data, report=True, **options)
    page = (run.folder / "report.html").read_text()
    assert "Highest score" in page
    assert "occlusion of columns" in page
    assert "integrated gradients" not in page
    figures = [f for j in run.judgements for f in j.figures if f.title.startswith("Highest score")]
    assert figures
    assert figures[0].names[0].startswith("seconds: 30")
    assert all("rest" not in figure.names for figure in figures)


# ------------------------------------------------------------------ parts


def test_what_is_usual():
    cells = pd.DataFrame({"n": [1.0, 2.0, 9.0], "kind": list("bba"), "host": ["x", "y", "y"]})
    processor = TableProcessor(TableConfig(scaling="standard", categorical=["kind"], hashed=["host"], buckets=64))
    processor.fit(cells)
    again = TableProcessor(TableConfig())
    again.restore(json.loads(json.dumps(processor.state())))
    for one in (processor, again):
        data = one.collate(one.encode(cells), np.arange(3), "predict", np.random.default_rng(0))
        found = one.typical(data)
        assert found.data["categories"].tolist() == [data["categories"][1].tolist()] * 3
        assert torch.equal(found.data["numbers"], data["numbers"][[1, 1, 1]])
        assert not torch.equal(found.data["categories"], one.reference(data).data["categories"])
        assert found.columns == one.reference(data).columns


def test_a_window_is_usual_at_every_step_but_padding():
    cells = pd.DataFrame({"host": list("aabbb"), "cpu": [5.0, 6.0, 7.0, 8.0, 9.0], "os": list("xyxyx")})
    processor = WindowProcessor(WindowConfig(group="host", length=3, scaling="standard"))
    processor.fit(cells)
    data = processor.collate(processor.encode(cells), np.arange(5), "predict", np.random.default_rng(0))
    found = processor.typical(data)
    code = data["categories"][0, 0, 0]  # x, the more frequent
    assert bool((found.data["categories"][data["mask"]] == code).all())
    for name, tensor in found.data.items():
        assert torch.equal(tensor[~data["mask"]], data[name][~data["mask"]])


def rows_of(columns, rows=5, seed=0):
    values = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    names = [f"c{at}" for at in range(columns)]
    batch = Batch("t", np.arange(rows), {"x": Part(torch.arange(rows), {"v": values})}, {})
    return batch, {"x": Reference({"v": torch.zeros_like(values)}, {"v": names})}, values


@pytest.mark.parametrize("columns", [3, 64, 65, 300])
def test_the_columns_that_matter_are_found_among_many(columns):
    batch, reference, values = rows_of(columns)
    passes = []

    def output(b):
        passes.append(len(b))
        v = b.inputs["x"].data["v"]
        return 10 * v[:, 0] - 20 * v[:, -1] + 0.001 * v.sum(dim=1)

    found = occlude(output, batch, reference, {"x": "x"})
    assert_allclose(found.falls["c0"], 10.001 * values[:, 0], rtol=1e-3)
    assert_allclose(found.falls[f"c{columns - 1}"], -19.999 * values[:, -1], rtol=1e-3)
    assert_allclose(found.typical, 0, atol=1e-6)
    assert sum(passes) <= 5 * (3 + 2 * occlusion.MOST)
    assert max(passes) <= occlusion.AT_ONCE


def test_the_largest_of_several_outputs_and_rows_that_lack_an_input():
    batch, reference, values = rows_of(2)
    other = Part(torch.tensor([1, 3]), {"w": torch.tensor([5.0, 7.0])})
    batch = Batch("t", batch.rows, {**batch.inputs, "y": other}, {})
    reference["y"] = Reference({"w": torch.ones(2)})

    def output(b):
        extra = torch.zeros(len(b)).index_add(0, b.inputs["y"].rows, b.inputs["y"].data["w"])
        return torch.stack([torch.full_like(extra, -99), b.inputs["x"].data["v"].sum(dim=1) + extra], dim=1)

    found = occlude(output, batch, reference, {"x": "x", "y": "the whole"})
    assert_allclose(found.falls["c1"], values[:, 1], rtol=1e-5)
    assert_allclose(found.falls["the whole"], [0, 4, 0, 6, 0], atol=1e-5)
