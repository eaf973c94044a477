"""Each task alone against all together: equal rows, inputs and steps, and no label of one as a feature of another."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import toys
from jenga_core import comparison
from jenga_core.comparison import Compared, alone, compare, lines
from jenga_core.errors import UserError
from jenga_core.reading import read_config

HOOKS = [
    {"kind": "core/fixed-balancing", "weights": {"amount": 0.5}},
    {"kind": "core/early-stopping", "monitor": "label.f1_macro", "patience": 99},
    "core/ema",
]


def config(**train: Any) -> dict[str, Any]:
    """The columns are not named, so that a label that is not left out would be read as a feature."""
    made = toys.numbers_config(epochs=2, monitor="label.f1_macro", **train)
    made["backbones"] = {"net": {"kind": "toy/dense", "dropout": 0.2}}
    made["inputs"] = {"x": {"processor": "toy/numbers", "exclude": ["c"]}}
    made["tasks"] = {
        "label": {"kind": "core/classification", "target": "label"},
        "amount": {"kind": "core/regression", "target": "amount"},
    }
    made["data"]["rows"]["split"] |= {"by": "stratified", "column": "label"}
    return {**made, "hooks": HOOKS}


def frame() -> pd.DataFrame:
    made = toys.numbers_frame()
    made.loc[made.index % 4 == 0, "amount"] = np.nan
    return made


def test_a_task_alone_has_the_rows_and_columns_that_it_has_together() -> None:
    whole = read_config(config(), registry=toys.registry())
    columns = list(frame().columns)
    for task, other in (("label", "amount"), ("amount", "label")):
        single = alone(whole, task, 7)
        assert list(single.tasks) == [task]
        assert single.feature_columns("x", columns) == whole.feature_columns("x", columns) == ["a", "b"]
        assert other in single.inputs["x"].exclude
        assert single.data == whole.data
        assert (single.train.max_steps, single.train.epochs) == (7, 7)
        assert [h.kind for h in single.hooks] == ["core/early-stopping", "core/ema"]
    assert alone(whole, "label", 7).train.monitor == "label.f1_macro"
    assert alone(whole, "amount", 7).train.monitor == "loss"
    assert alone(whole, "amount", 7).hooks[0].monitor is None


def test_only_the_tasks_own_table_and_backbone_are_left() -> None:
    made = config()
    made["data"] = {"rows": {}, "words": {}}
    made["backbones"]["bag"] = "toy/bag"
    made["inputs"] = {
        "x": {"data": "rows", "columns": ["a"], "processor": "toy/numbers", "backbone": "net"},
        "text": {"data": "words", "columns": ["text"], "processor": "toy/words", "backbone": "bag"},
    }
    made["tasks"]["label"]["data"] = "rows"
    made["tasks"]["amount"] = {"kind": "core/classification", "target": "place", "data": "words"}
    single = alone(read_config(made, registry=toys.registry()), "amount", 3)
    assert (list(single.data), list(single.inputs), list(single.backbones)) == (["words"], ["text"], ["bag"])


def test_compare_trains_judges_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"data": frame(), "output": tmp_path / "all", "seeds": 2, "registry": toys.registry(), "quiet": True}
    found = compare(config(), **options)
    assert {c.task for c in found} == {"label", "amount"}
    assert all(len(c.alone) == len(c.together) == 2 for c in found)
    runs = [tmp_path / "all" / f"seed-{s}" / n for s in (3, 4) for n in ("together", "alone-label", "alone-amount")]
    manifests = [json.loads((run / "manifest.json").read_text()) for run in runs]
    assert len({m["steps"] for m in manifests}) == 1
    rows = [{j["task"]: j["rows"] for j in json.loads((r / "metrics.json").read_text())["judgements"]} for r in runs]
    assert rows[0] == rows[1] | rows[2]
    written = json.loads((tmp_path / "all" / "comparison.json").read_text())
    assert [c["metric"] for c in written["compared"]] == [c.metric for c in found]
    with pytest.raises(UserError, match="is not empty"):
        compare(config(), **options)
    real, opened = comparison.train, []
    monkeypatch.setattr(comparison, "train", lambda *a, **k: opened.append(real(*a, **k).finished))
    assert compare(config(), **{**options, "resume": True}) == found
    assert opened == [True] * 6  # nothing was trained again


def test_one_task_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one task only"):
        compare(toys.numbers_config(), data=frame(), output=tmp_path / "x", registry=toys.registry())
    with pytest.raises(UserError, match="which comparison"):
        compare(config(), data=frame(), resume=True, registry=toys.registry())


# ------------------------------------------------------------------ what it says


def test_the_difference_is_paired_by_seed() -> None:
    c = Compared("t", "f1", "max", alone=(0.5, 0.6, 0.7), together=(0.51, 0.61, 0.71))
    assert c.difference.value == pytest.approx(0.01)
    assert c.difference.low == pytest.approx(0.01)  # the seeds differ much, the pairs not at all


@pytest.mark.parametrize(
    ("direction", "together", "verdict"),
    [
        ("max", (0.9, 0.91, 0.9), "together"),
        ("min", (0.9, 0.91, 0.9), "alone"),
        ("max", (0.1, 0.11, 0.1), "alone"),
        ("max", (0.1, 0.9, 0.5), "not settled"),
        ("max", (0.9,), "not settled"),
        ("max", (0.9, math.nan, 0.9), "not settled"),
    ],
)
def test_the_verdict(direction: str, together: tuple[float, ...], verdict: str) -> None:
    c = Compared("t", "f1", direction, (0.5,) * len(together), together)
    assert c.verdict == verdict
    assert json.dumps(c.to_json(), allow_nan=False)
    assert any(verdict in line for line in lines([c]))
