"""jenga-text passes the conformance kit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from jenga_core.testing import PluginContract
from jenga_core.testing.samples import mixed

PLACES = {"office", "router", "backup"}


class TestText(PluginContract):
    plugin = "text"

    def cells(self, kind: str, folder: Path) -> pd.DataFrame:
        return mixed()[["text"]]

    def labels(self, kind: str, cells: pd.DataFrame) -> pd.DataFrame:
        if kind != "text/ner":
            return super().labels(kind, cells)
        texts = cells["text"].tolist()
        return pd.DataFrame({"entities": [_words(text, PLACES) for text in texts], "text": texts})

    def file(self, kind: str, folder: Path) -> Path:
        path = folder / "some.conll"
        path.write_text("\n".join(f"neno{at} O\nKenya B-LOC\n" for at in range(12)), encoding="utf-8")
        return path


def _words(text: object, wanted: set[str]) -> list[dict[str, object]] | None:
    """Each of `wanted` as an entity, by its length."""
    if not isinstance(text, str):
        return None
    found = [(text.index(word), word) for word in text.split() if word in wanted]
    return [{"start": at, "end": at + len(word), "label": "SIX" if len(word) == 6 else "MORE"} for at, word in found]
