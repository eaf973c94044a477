"""Cells -> numbers, cells -> words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from jenga_core.contracts import Array, Classical, Encoded, Processor, Purpose, Ragged, Reference
from jenga_core.errors import DataError

from .config import NumbersConfig, WordsConfig

Word: TypeAlias = tuple[str, int, int, int]  # text, column, start, end


class Numbers(Processor):
    """Encoded column `values` float32 [N, columns]; a row without any number is not present. Missing cells are the mean."""

    def __init__(self, config: NumbersConfig, backbone_config: Any = None) -> None:
        self.config = config
        self.columns: list[str] = []
        self.mean: list[float] = []
        self.scale: list[float] = []

    def fit(self, cells: pd.DataFrame) -> None:
        self.columns = [str(c) for c in cells.columns if pd.api.types.is_numeric_dtype(cells[c])]
        if not self.columns:
            raise DataError("there is no column of numbers")
        values = cells[self.columns].to_numpy(dtype=np.float64, na_value=np.nan)
        self.mean = [float(m) for m in np.nanmean(values, axis=0)]
        self.scale = [float(s) or 1.0 for s in np.nanstd(values, axis=0)]

    def state(self) -> dict[str, Any]:
        return {"columns": self.columns, "mean": self.mean, "scale": self.scale}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.columns, self.mean, self.scale = state["columns"], state["mean"], state["scale"]

    def facts(self) -> Mapping[str, Any]:
        return {"numbers": len(self.columns)}

    def encode(self, cells: pd.DataFrame) -> Encoded:
        raw = cells[self.columns].to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.nan_to_num((raw - np.array(self.mean)) / np.array(self.scale)).astype(np.float32)
        return Encoded({"values": values}, ~np.isnan(raw).all(axis=1))

    def collate(
        self, encoded: Encoded, rows: Array, purpose: Purpose, rng: np.random.Generator
    ) -> Mapping[str, Tensor]:
        return {"values": torch.from_numpy(np.asarray(encoded.columns["values"])[rows])}

    def reference(self, data: Mapping[str, Tensor]) -> Reference:
        """The means."""
        return Reference({"values": torch.zeros_like(data["values"])}, {"values": self.columns})

    def classical(self, encoded: Encoded, rows: Array) -> Classical:
        return Classical(np.asarray(encoded.columns["values"])[rows])


class Words(Processor):
    """Encoded column `ids`, one per word; 0 is padding, 1 a word that no training row has. `spans` say where words lie."""

    def __init__(self, config: WordsConfig, backbone_config: Any = None) -> None:
        self.config = config
        self.vocabulary: dict[str, int] = {}

    def fit(self, cells: pd.DataFrame) -> None:
        words = {word for row in self._rows(cells) for word, *_ in row}
        if not words:
            raise DataError("there is no text")
        self.vocabulary = {word: at + 2 for at, word in enumerate(sorted(words))}

    def state(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.vocabulary = dict(state["vocabulary"])

    def facts(self) -> Mapping[str, Any]:
        return {"vocabulary": len(self.vocabulary) + 2}

    def encode(self, cells: pd.DataFrame) -> Encoded:
        rows = self._rows(cells)
        ids = Ragged.of([[self.vocabulary.get(word, 1) for word, *_ in row] for row in rows], dtype=np.int64)
        places = [np.array([place for _, *place in row], dtype=np.int64).reshape(-1, 3) for row in rows]
        lengths = ids.lengths()
        return Encoded({"ids": ids}, lengths > 0, lengths=lengths, spans=Ragged.of(places, dtype=np.int64))

    def _rows(self, cells: pd.DataFrame) -> list[list[Word]]:
        """(word, column, start, end) of each row; cells that are not text hold no words."""
        found = []
        for row in cells.itertuples(index=False):
            texts = [cell if isinstance(cell, str) else "" for cell in row]
            words = [(word, at, start, end) for at, text in enumerate(texts) for word, start, end in _words(text)]
            found.append(words[: self.config.longest])
        return found

    def collate(
        self, encoded: Encoded, rows: Array, purpose: Purpose, rng: np.random.Generator
    ) -> Mapping[str, Tensor]:
        ids = encoded.columns["ids"]
        assert isinstance(ids, Ragged)
        return {"ids": torch.from_numpy(ids.padded(rows))}

    def reference(self, data: Mapping[str, Tensor]) -> Reference:
        """Words that no training row has; padding stays padding."""
        return Reference({"ids": data["ids"].clamp(max=1)})


def _words(text: str) -> list[tuple[str, int, int]]:
    """(word, start, end) of words parted by blanks."""
    found, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        found.append((word, start, at))
    return found
