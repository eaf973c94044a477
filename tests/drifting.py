"""A small table whose normal rows move towards attacks, and a configuration that learns it in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

OPTIONS: dict[str, Any] = {
    "data": {"flows": {"split": {"by": "stratified", "column": "label", "validation": 0.3, "test": 0.2}}},
    "inputs": {"flow": {"processor": "security/table"}},
    "backbones": {"table": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
    "tasks": {"threat": {"kind": "security/anomaly", "target": "label", "normal": "benign", "threshold": {"target_fpr": 0.05}}},
    "train": {"epochs": 5, "batch_size": 128, "bootstrap": 0, "baselines": False, "learning_rate": 0.01},
}  # fmt: skip


def traffic(rows: int, seed: int, drift: float = 0.0, attacks: float = 0.1) -> pd.DataFrame:
    """Two features, three deviations apart between normal rows and attacks; normal ones move by up to `drift`."""
    rng = np.random.default_rng(seed)
    attack = rng.random(rows) < attacks
    middle = np.where(attack, 3.0, np.linspace(0, drift, rows))
    columns = {name: np.round(rng.normal(middle, 1), 4) for name in ("packets", "bytes")}
    return pd.DataFrame({**columns, "label": np.where(attack, "attack", "benign")})
