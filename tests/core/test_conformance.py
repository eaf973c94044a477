"""The core passes its own conformance kit, and so do the kit's doubles; and the kit finds what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd

from jenga_core.testing import PluginContract


class TestCore(PluginContract):
    plugin = "core"

    def labels(self, kind: str, cells: pd.DataFrame) -> pd.DataFrame:
        if kind != "core/regression":
            return super().labels(kind, cells)
        numbers = np.random.default_rng(0).permutation(len(cells)) / len(cells)  # no ties: they cap a rank correlation
        return pd.DataFrame({"value": numbers})


class TestDoubles(PluginContract):
    plugin = "double"
    module = "jenga_core.testing.doubles"

    def partner(self, kind: str) -> tuple[str, str]:
        return ("double/words", "double/reader") if kind == "double/tagging" else super().partner(kind)

    def cells(self, kind, folder):
        cells = super().cells(kind, folder)
        return cells[["text"]] if kind == "double/words" else cells

    def labels(self, kind: str, cells: pd.DataFrame) -> pd.DataFrame:
        if kind != "double/tagging":
            return super().labels(kind, cells)
        words = cells["text"].map(lambda text: text.split() if isinstance(text, str) else [])
        return pd.DataFrame({"tags": [" ".join("long" if len(w) > 5 else "short" for w in row) for row in words]})
