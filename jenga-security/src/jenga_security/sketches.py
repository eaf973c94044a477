"""Columns as a few hundred counts, which new rows can be counted into and compared with. Torch-free.

Counts of two sets of rows add up: a sketch of new rows is the same however they were cut into tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from jenga_core import states
from jenga_core.contracts import Kind

from . import cells as read
from .shifts import Shift, of_counts, of_ordered

Array = np.ndarray[Any, Any]

EDGES = 64  # of a column of numbers
NAMES = 64  # of a column of names kept apart; the others are counted together


class Sketch(Protocol):
    """`counts` int64 [B] are those of the reference rows; `count` gives those of other rows, in the same bins."""

    @property
    def counts(self) -> Array: ...

    def count(self, cells: pd.Series) -> Array: ...

    def shift(self, counts: Array) -> Shift: ...

    def state(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class NumberSketch:
    """Bins: no number (missing, infinite, text), (-inf, e0), [e0, e0], (e0, e1], ..., (e_last, inf).

    The edges are quantiles of the reference, e0 and e_last its smallest and largest number: what lies outside has bins of
    its own, in which the reference has no row.
    """

    edges: Array
    counts: Array

    @classmethod
    def of(cls, cells: pd.Series) -> NumberSketch:
        values, marks = read.numbers(cells)
        known = values[marks == read.NUMBER]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, EDGES), method="lower")) if len(known) else np.zeros(0)
        return cls(edges, _into(edges, values))

    def count(self, cells: pd.Series) -> Array:
        return _into(self.edges, read.numbers(cells)[0])

    def shift(self, counts: Array) -> Shift:
        return of_ordered(self.counts, counts)

    def state(self) -> dict[str, Any]:
        return {"edges": self.edges.tolist(), "counts": self.counts.tolist()}


@dataclass(frozen=True, slots=True, eq=False)
class NameSketch:
    """Bins: missing, any other name, then each of `names`, the most frequent ones."""

    names: tuple[str, ...]
    counts: Array

    @classmethod
    def of(cls, cells: pd.Series) -> NameSketch:
        found = pd.Series(_spelt(cells)).dropna().value_counts()
        names = tuple(sorted(found.index, key=lambda name: (-found[name], name))[:NAMES])
        return cls(names, _named(names, cells))

    def count(self, cells: pd.Series) -> Array:
        return _named(self.names, cells)

    def shift(self, counts: Array) -> Shift:
        return of_counts(self.counts, counts)

    def state(self) -> dict[str, Any]:
        return {"names": list(self.names), "counts": self.counts.tolist()}


def sketch_of(cells: pd.Series, kind: Kind | None = None) -> Sketch | None:
    """As the model reads them (`Processor.read_as`); None says nothing, and a text among the cells makes all of them names.

    No sketch: of times, which move on by themselves, and of cells that are neither numbers nor names that come again, such as
    lists, identifiers and texts.
    """
    if kind == "times" or (cells.dtype == object and not cells.dropna().map(_plain).all()):
        return None
    if kind == "numbers" or (kind is None and not (read.numbers(cells)[1] == read.TEXT).any()):
        return NumberSketch.of(cells)
    distinct = len({name for name in read.names(cells)[1] if name is not None})
    return None if distinct > NAMES and distinct > len(cells) / 2 else NameSketch.of(cells)


def read_sketch(state: Mapping[str, Any]) -> Sketch:
    """The inverse of `state`."""
    counts = np.array([states.whole(count) for count in state["counts"]], dtype=np.int64)
    if "names" in state:
        names = states.texts(state["names"])
        _bins(counts, len(names) + 2)
        return NameSketch(names, counts)
    edges = np.array(states.numbers(state["edges"], rising=True), dtype=np.float64)
    if len(counts) == len(edges) + 2:  # as written before there was a bin below the smallest number: no row is in it
        counts = np.insert(counts, 1, 0)
    _bins(counts, len(edges) + 3)
    return NumberSketch(edges, counts)


def _bins(counts: Array, bins: int) -> None:
    if len(counts) != bins:
        raise ValueError(f"there are {len(counts):,} counts for {bins:,} bins")


def _into(edges: Array, values: Array) -> Array:
    known = values[~np.isnan(values)]
    places = np.searchsorted(edges, known, side="left") + 1
    if len(edges):
        places[known < edges[0]] = 0
    bins = np.bincount(places, minlength=len(edges) + 2)
    return np.concatenate([[len(values) - len(known)], bins]).astype(np.int64)


def _named(names: tuple[str, ...], cells: pd.Series) -> Array:
    place = {name: at for at, name in enumerate(names, start=2)}
    codes, values = read.names(cells)
    bins = np.array([0 if v is None else place.get(v, 1) for v in values] + [0], dtype=np.int64)
    return np.bincount(bins[codes], minlength=len(names) + 2)


def _spelt(cells: pd.Series) -> list[str | None]:
    codes, values = read.names(cells)
    return [None if code < 0 else values[code] for code in codes]


def _plain(cell: Any) -> bool:
    return isinstance(cell, str | bool | int | float | np.generic)
