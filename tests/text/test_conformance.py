"""jenga-text passes the conformance kit."""

from __future__ import annotations

import json
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
        texts = cells["text"].tolist()
        if kind == "text/scoring":
            sizes = [len(text) if isinstance(text, str) else 0 for text in texts]
            heads = [{"opening": [size % 2], "listening": [int(size > 9), int(size > 15)]} for size in sizes]
            return pd.DataFrame({"labels": heads})
        if kind == "text/span-qa":
            words = [text.split() if isinstance(text, str) else [] for text in texts]
            answers = [
                [{"text": w[-1], "answer_start": t.rindex(w[-1])}] if w else []
                for t, w in zip(texts, words, strict=True)
            ]
            return pd.DataFrame({"answers": answers, "context": texts})
        if kind != "text/ner":
            return super().labels(kind, cells)
        return pd.DataFrame({"entities": [_words(text, PLACES) for text in texts], "text": texts})

    def file(self, kind: str, folder: Path) -> Path:
        path = folder / "some.file"
        if kind == "text/squad":
            asked = [{"id": str(at), "question": f"Swali {at}?", "answers": []} for at in range(12)]
            path.write_text(json.dumps({"data": [{"title": "x", "paragraphs": [{"context": "y", "qas": asked}]}]}))
            return path
        path.write_text("\n".join(f"neno{at} O\nKenya B-LOC\n" for at in range(12)), encoding="utf-8")
        return path


def _words(text: object, wanted: set[str]) -> list[dict[str, object]] | None:
    """Each of `wanted` as an entity, by its length."""
    if not isinstance(text, str):
        return None
    found = [(text.index(word), word) for word in text.split() if word in wanted]
    return [{"start": at, "end": at + len(word), "label": "SIX" if len(word) == 6 else "MORE"} for at, word in found]
