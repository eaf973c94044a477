"""Reasons of the security components: whole, under the table's names, the windows' steps together."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
from jenga_security.examples.aiops import write as write_aiops
from jenga_security.examples.network_threats import write as write_threats
from jenga_security.table_config import WindowConfig
from jenga_security.windows import WindowProcessor

QUICK = ("train.epochs=2", "train.bootstrap=0", "train.baselines=false")


@pytest.fixture(scope="module", params=["threats", "aiops"])
def model(request, tmp_path_factory):
    """A model over rows with categories, and one over windows; the new rows of its template; its task and columns."""
    folder = tmp_path_factory.mktemp(request.param)
    {"threats": write_threats, "aiops": write_aiops}[request.param](folder, seed=1, rows=1500)
    run = jenga_core.train(folder / "config.yaml", output=folder / "run", overrides=QUICK, quiet=True, report=False)
    new = pd.read_csv(next(folder.glob("new*.csv"))).head(60)
    return jenga_core.load(run.folder), new, next(iter(run.config.tasks))


def test_contributions_add_up_to_the_score(model):
    predictor, rows, task = model
    each = predictor.contributions(rows, task)
    total = each.reference + sum(each.columns.values())
    np.testing.assert_allclose(each.output, predictor.predict(rows)[f"{task}.score"], atol=1e-5)
    assert (np.abs(each.output - total) <= 0.01 * each.size + 1e-6).all()
    assert not each.inexact.any()
    assert each.size.min() > 0


def test_reasons_name_columns_of_the_table_with_their_cells(model):
    predictor, rows, task = model
    rows = rows.set_index(pd.Index([f"r{i}" for i in range(len(rows))]))
    found = predictor.predict(rows, reasons=3)[f"{task}.reasons"]
    for label, line in found.items():
        reasons = json.loads(line)
        assert len(reasons) == 3
        assert all(rows.loc[label, r["feature"]] == r["value"] for r in reasons)
        assert not {"host", "at", "started"} & {r["feature"] for r in reasons}


def test_a_row_as_the_reference_has_no_reasons_and_a_missing_cell_is_null(tmp_path):
    write_threats(tmp_path, seed=1, rows=800)
    run = jenga_core.train(tmp_path / "config.yaml", output=tmp_path / "run", overrides=QUICK, quiet=True, report=False)
    table = run.data.parts.processors["flow"]
    row = {column.name: column.median for column in table.numbers} | dict.fromkeys(
        (column.name for column in table.categories), "never seen"
    )
    rows = pd.DataFrame([row, {**row, "duration": None}, {**row, "bytes_sent": 1e9}])
    found = [json.loads(line) for line in jenga_core.load(run.folder).predict(rows, reasons=9)["threat.reasons"]]
    assert found[0] == found[1] == []  # no training row lacked a duration: a missing one is the median
    assert [(r["feature"], r["value"]) for r in found[2]] == [("bytes_sent", 1e9)]


def test_the_reference_of_a_window_leaves_padding_alone():
    cells = pd.DataFrame({"host": list("aabbb"), "cpu": [5.0, 6.0, 7.0, 8.0, 9.0], "os": list("xyxyx")})
    processor = WindowProcessor(WindowConfig(group="host", length=3, scaling="standard"))
    processor.fit(cells)
    data = processor.collate(processor.encode(cells), np.arange(5), "predict", np.random.default_rng(0))
    found = processor.reference(data)
    assert not data["mask"].all()
    for name, tensor in found.data.items():
        assert torch.equal(tensor[~data["mask"]], data[name][~data["mask"]])
    middle = float(processor.table.numbers[0].scale.apply(np.array([7.0]))[0])
    assert found.data["numbers"][data["mask"]].flatten().tolist() == pytest.approx([middle] * int(data["mask"].sum()))
    assert found.columns == {"numbers": ["cpu"], "categories": ["os"]}
