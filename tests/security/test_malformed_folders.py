"""States of model folders that say what cannot be are refused, each for what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jenga_core.contracts import HeadContext
from jenga_security import columns, scaling
from jenga_security.alerts import AlertRule
from jenga_security.heldout import Record
from jenga_security.labels import Labels
from jenga_security.outliers.heads import OutlierHead
from jenga_security.outliers.ranks import Ranks
from jenga_security.outliers.scores import Scores
from jenga_security.sketches import read_sketch

# ------------------------------------------------------------------ the right value of each kind

LINEAR = {"form": "linear", "centre": 0.0, "width": 1.0}
NUMBERS = {"kind": "numbers", "name": "x", "median": 1.0, "indicator": False, "scale": LINEAR}
HASHED = {"kind": "hashed", "name": "x", "buckets": 8, "filled": [1, 3], "distinct": 2, "fullest": 3}
QUANTILES = {"form": "quantiles", "points": [0.0, 1.0], "scores": [-1.0, 1.0]}


@pytest.mark.parametrize(
    "change",
    [{"median": None}, {"median": float("nan")}, {"median": "1"}, {"indicator": 1}, {"name": 7}, {"kind": "x"}, {"scale": []},
     {"scale": {**LINEAR, "width": 0}}, {"scale": {**LINEAR, "width": -1.0}}, {"scale": {**LINEAR, "form": "x"}},
     {"scale": {**QUANTILES, "points": [1.0, 0.0]}}, {"scale": {**QUANTILES, "points": [0.0]}},
     {"scale": {**QUANTILES, "points": [], "scores": []}}, {"scale": {**QUANTILES, "scores": [0.0, float("inf")]}},
     {"scale": {"form": "log", "unit": 0.0, "centre": 0.0, "width": 1.0}}],
    ids=str,
)  # fmt: skip
def test_columns_of_numbers(change: dict[str, object]) -> None:
    assert columns.read_column(NUMBERS).name == "x"
    with pytest.raises(ValueError, match=r"\S"):
        columns.read_column({**NUMBERS, **change})


@pytest.mark.parametrize(
    "change", [{"filled": [1, 9]}, {"filled": [1, 1]}, {"fullest": 2}, {"buckets": 0}, {"filled": ["1"]}]
)
def test_hashed_columns(change: dict[str, object]) -> None:
    assert columns.read_column(HASHED).size == 4  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"\S"):
        columns.read_column({**HASHED, **change})


def test_what_a_scale_says_is_what_it_said() -> None:
    for state in (LINEAR, QUANTILES, {"form": "log", "unit": 2.0, "centre": 0.0, "width": 1.0}):
        assert scaling.read(state).state() == state


RULE = {**AlertRule.of(0.5).state()}
RANKS = {"points": [0.0, 1.0], "values": [0.9, 0.1], "rows": 10, "spread": 1.0}
SCORES = {"votes": [1.0, 0.5], "centre": [0.0, 0.0], "spread": [1.0, 1.0], "ranks": RANKS}


@pytest.mark.parametrize(
    ("read", "state", "change"),
    [(AlertRule.read, RULE, {"threshold": float("inf")}), (AlertRule.read, RULE, {"threshold": None}),
     (AlertRule.read, RULE, {"rows_per_day": -1}), (AlertRule.read, RULE, {"normal": {"rows": 3, "scores": [0.1]}}),
     (Record.read, {"rows": 2, "scores": [0.1, 0.2]}, {"scores": [0.2, 0.1]}),
     (Record.read, {"rows": 2, "scores": [0.1, 0.2]}, {"rows": -1}),
     (Record.read, {"rows": 2, "scores": [0.1, 0.2]}, {"scores": [0.1, 1e300]}),
     (Ranks.read, RANKS, {"points": [1.0, 0.0]}), (Ranks.read, RANKS, {"values": [2.0, 0.1]}), (Ranks.read, RANKS, {"rows": 0}),
     (Ranks.read, RANKS, {"spread": 0}), (Ranks.read, RANKS, {"values": [0.5]}),
     (Scores.read, SCORES, {"votes": [1.0]}), (Scores.read, SCORES, {"votes": [1.0, -1.0]}),
     (Scores.read, SCORES, {"spread": [1.0, 0.0]}),
     (Labels.read, {"column": "l", "normal": ["0"], "attacks": None, "words": ["a", "b"]}, {"words": ["a", {}]}),
     (read_sketch, {"edges": [0.0, 1.0], "counts": [0, 1, 2, 3]}, {"edges": [1.0, 0.0]}),
     (read_sketch, {"edges": [0.0, 1.0], "counts": [0, 1, 2, 3]}, {"counts": [1]}),
     (read_sketch, {"edges": [0.0, 1.0], "counts": [0, 1, 2, 3]}, {"counts": [0, 1, -2, 3]}),
     (read_sketch, {"names": ["a"], "counts": [0, 1, 2]}, {"names": ["a", "b"]})],
)  # fmt: skip
def test_what_thresholds_and_ranks_rest_on(read: object, state: dict[str, object], change: dict[str, object]) -> None:
    assert read(state) is not None  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"\S"):
        read({**state, **change})  # type: ignore[operator]


class Reconstructing(torch.nn.Module):
    reconstructs = True


@pytest.mark.parametrize(
    "change",
    [{"detectors.isolation.column": 3}, {"detectors.isolation.column": -1}, {"detectors.isolation.usual": 0},
     {"detectors.neighbours.full": 0}, {"detectors.neighbours.full": 257}, {"detectors.neighbours.width": 0}],
    ids=str,
)  # fmt: skip
def test_detectors_whose_buffers_no_fit_gives(change: dict[str, int]) -> None:
    head = OutlierHead(HeadContext(3, {"x": 3}, {"x": Reconstructing()}, {"x": {}}), ["isolation", "neighbours"])
    head.fit(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32), np.random.default_rng(0))
    whole = head.state_dict()
    head.load_state_dict(whole)
    spoilt = {name: torch.full_like(t, change[name]) if name in change else t for name, t in whole.items()}
    with pytest.raises(ValueError, match="was not fitted"):
        head.load_state_dict(spoilt)
