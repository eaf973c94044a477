"""Strict entity-level scores (CoNLL-2003, seqeval's strict IOB2): an entity counts where start, end and label are all right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jenga_core.contracts import Array, Columns, Metrics, Ragged
from jenga_core.figures import Figure, Sheet

from .tags import Entities, entities


@dataclass(frozen=True, slots=True)
class EntityMetrics(Metrics):
    """`output` has `tags` (Ragged, a tag per token); `target` has `spans` (Ragged [tokens, 3]) and `gold` (Ragged [E, 3]).

    `gold` holds (start, end, label number); a label that the model does not know is -1 and is always missed. `column`: the
    number of the text's column in the spans. Micro averages over all entities; NaN where nothing was there to be judged.
    """

    types: Sequence[str]
    column: int

    @property
    def directions(self) -> Mapping[str, Literal["max", "min"]]:
        return {"f1": "max", "precision": "max", "recall": "max"}

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        hits, found, there = (counts.sum() for counts in self.counts(output, target))
        return dict(zip(("f1", "precision", "recall"), scores(hits, found, there), strict=True))

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        """One row per type, by its name."""
        hits, found, there = self.counts(output, target)
        cells = [
            [name, int(there[at]), int(found[at]), *(_shown(v) for v in scores(hits[at], found[at], there[at]))]
            for at, name in enumerate(self.types)
        ]
        header = ["type", "entities", "predicted", "f1", "precision", "recall"]
        return [Sheet("Entities by type", header, cells, "strict: start, end and label must all be right")]

    def counts(self, output: Columns, target: Columns) -> tuple[Array, Array, Array]:
        """Per label, int64 [types + 1] (the last: labels unknown to the model): right ones, predicted ones, true ones."""
        found = predicted(output, target["spans"], self.column)
        gold = target["gold"]
        assert isinstance(gold, Ragged)
        row, _, true = gold.flat(np.arange(len(gold)))
        size = max(int(found.start.max(initial=0)), int(true[:, 0].max(initial=0))) + 1
        key, wanted = row * size + true[:, 0], found.row * size + found.start
        at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        right = np.zeros(len(wanted), dtype=bool)
        if len(key):
            right = (key[at] == wanted) & (true[at, 1] == found.end) & (true[at, 2] == found.label)
        width = len(self.types) + 1
        return tuple(np.bincount(v % width, minlength=width) for v in (found.label[right], found.label, true[:, 2]))  # type: ignore[return-value]


def predicted(output: Columns, spans: Array | Ragged, column: int) -> Entities:
    """The entities of the outputs, row by row: those of `tags` at the tokens of `spans` [N rows] that have one.

    `first` and `last` are places among the values of the outputs.
    """
    tags = output["tags"]
    assert isinstance(tags, Ragged)
    assert isinstance(spans, Ragged)
    every = np.arange(len(tags))
    (row, pos, values), (of, at, places) = tags.flat(every), spans.flat(every)
    # A row without this input has the one token that stands for what is absent.
    kept, held = pos < spans.lengths()[row], at < tags.lengths()[of]
    found = entities(values[kept], row[kept], places[held], column)
    outputs = np.flatnonzero(kept)
    return replace(found, first=outputs[found.first], last=outputs[found.last])


def scores(hits: float, found: float, there: float) -> tuple[float, float, float]:
    """(F1, precision, recall)"""
    precision = hits / found if found else math.nan
    recall = hits / there if there else math.nan
    return 2 * hits / (found + there) if found + there else math.nan, precision, recall


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
