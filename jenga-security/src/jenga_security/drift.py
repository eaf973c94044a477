"""The drift gate: are new rows still like those that a model was trained and judged on? Torch-free.

A feature, or the score, has drifted when chance does not explain the difference (p, corrected for the number of
features looked at) and the difference is large (PSI). Either alone misleads: over many rows a trifle is significant, over few a
large PSI is nothing. Rows of the reference's distribution, drawn independently, set the gate off with a probability of
at most ALPHA per comparison. Rows that come in bursts are not independent: give the gate longer stretches then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jenga_core import states
from jenga_core.contracts import Kind
from jenga_core.errors import DataError

from .shifts import Shift
from .sketches import NumberSketch, Sketch, read_sketch, sketch_of

Array = np.ndarray[Any, Any]
Counts = dict[str, Array]

ALPHA = 0.01  # probability of a false alarm, over all features of one comparison
LARGE = 0.2  # PSI from which a change is a large one, by the usual rule of thumb
FEWEST = 100  # rows below which a comparison says nothing
SCORE = "score"


@dataclass(frozen=True, slots=True)
class Reference:
    """Sketches of feature columns over training rows, and of the score over validation rows."""

    columns: Mapping[str, Sketch] = field(default_factory=dict)
    score: Sketch | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame, kinds: Mapping[str, Kind] | None = None) -> Reference:
        """Of these rows' columns, read as `kinds` says; cells that are neither numbers nor names are left out."""
        found = {str(name): sketch_of(frame[name], (kinds or {}).get(str(name))) for name in frame.columns}
        return cls({name: sketch for name, sketch in found.items() if sketch is not None})

    def scored(self, scores: Array) -> Reference:
        """With the sketch of the held-out `scores` [N]."""
        return Reference(self.columns, NumberSketch.of(pd.Series(np.asarray(scores, dtype=np.float64))))

    def count(self, frame: pd.DataFrame, scores: Array) -> Counts:
        """New rows in the reference's bins: to be added up over tables and given to `compare`. Missing column: DataError."""
        lacking = [name for name in self.columns if name not in frame.columns]
        if lacking:
            raise DataError(f"the rows lack column {lacking[0]!r}", allowed=[str(c) for c in frame.columns[:40]])
        found = {f"feature {name}": sketch.count(frame[name]) for name, sketch in self.columns.items()}
        if self.score is not None:
            found[SCORE] = self.score.count(pd.Series(np.asarray(scores, dtype=np.float64)))
        return found

    def compare(self, counts: Counts) -> Drift:
        """Raises DataError for fewer than FEWEST rows."""
        rows = int(next(iter(counts.values())).sum()) if counts else 0
        if rows < FEWEST:
            raise DataError(f"{rows:,} rows are too few to tell drift from chance: at least {FEWEST} are needed")
        sketches = {f"feature {name}": sketch for name, sketch in self.columns.items()}
        if self.score is not None:
            sketches[SCORE] = self.score
        return Drift(rows, {name: sketches[name].shift(each) for name, each in counts.items()})

    def state(self) -> dict[str, Any]:
        """As JSON."""
        score = None if self.score is None else self.score.state()
        return {"columns": {name: sketch.state() for name, sketch in self.columns.items()}, "score": score}

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Reference:
        """The inverse of `state`."""
        columns = {name: read_sketch(states.section(sketch)) for name, sketch in state["columns"].items()}
        return cls(columns, None if state["score"] is None else read_sketch(state["score"]))


@dataclass(frozen=True, slots=True)
class Drift:
    """What a comparison of `rows` new rows found: "score" or "feature NAME" -> its shift."""

    rows: int
    shifts: Mapping[str, Shift]

    @property
    def drifted(self) -> list[str]:
        """What has drifted, the largest change first. Bonferroni's correction holds however features depend on each other."""
        limit = ALPHA / max(len(self.shifts), 1)
        found = [name for name, shift in self.shifts.items() if shift.p < limit and shift.psi > LARGE]
        return sorted(found, key=lambda name: -self.shifts[name].psi)

    @property
    def fires(self) -> bool:
        return bool(self.drifted)

    def lines(self) -> Iterator[str]:
        """A table, the largest change first."""
        width = max(len(name) for name in self.shifts)
        yield f"{'':{width}}  {'PSI':>8}  {'KS':>6}  {'p':>8}"
        drifted = set(self.drifted)
        for name, shift in sorted(self.shifts.items(), key=lambda item: -item[1].psi):
            ks = "-" if math.isnan(shift.ks) else f"{shift.ks:.3f}"
            mark = "  drifted" if name in drifted else ""
            yield f"{name:{width}}  {shift.psi:8.3f}  {ks:>6}  {shift.p:8.1e}{mark}"

    def says(self) -> str:
        """One line for people."""
        if not self.fires:
            return f"no drift: {self.rows:,} rows, nothing beyond chance and PSI {LARGE}"
        named = ", ".join(f"{name} (PSI {self.shifts[name].psi:.2f})" for name in self.drifted[:3])
        more = f" and {len(self.drifted) - 3} more" if len(self.drifted) > 3 else ""
        return f"drift: {len(self.drifted)} of {len(self.shifts)} over {self.rows:,} rows: {named}{more}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; undefined is null."""
        shifts = {
            name: {"psi": s.psi, "ks": None if math.isnan(s.ks) else s.ks, "p": s.p} for name, s in self.shifts.items()
        }
        return {"rows": self.rows, "fires": self.fires, "drifted": self.drifted, "shifts": shifts}


def added(one: Counts, other: Counts) -> Counts:
    """The counts of both sets of rows together; either may be empty."""
    return {name: one[name] + other[name] for name in other} if one else other


@dataclass(frozen=True, slots=True)
class References:
    """`every`: over all rows. `normal`: over rows labelled normal, or None where nothing is labelled."""

    every: Reference = field(default_factory=Reference)
    normal: Reference | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame, y: Array | None = None, kinds: Mapping[str, Kind] | None = None) -> References:
        """Of training rows and their labels (1 = attack, -1 = none), the columns read as `kinds` says."""
        return cls(Reference.of(frame, kinds), None if y is None else Reference.of(frame[y == 0], kinds))

    def scored(self, scores: Array, y: Array) -> References:
        """With the held-out scores, all of them and those of normal rows."""
        normal = None if self.normal is None else self.normal.scored(scores[y == 0])
        return References(self.every.scored(scores), normal)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"every": self.every.state(), "normal": None if self.normal is None else self.normal.state()}

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> References:
        """The inverse of `state`."""
        normal = state["normal"]
        return cls(Reference.read(state["every"]), None if normal is None else Reference.read(normal))


def trained_on(run: Any, name: str, table: str, *, labelled: bool = True) -> References:
    """Of the training rows of a run: the columns that the inputs of `table` read, as they read them, but for those whose cells
    must not be shown, as sketches keep cells; with the labels of task `name`, unless it does not learn from them."""
    held, rows = run.tables[table], run.data.tables[table].trainable()
    kinds = _kinds(run, table, [str(column) for column in held.frame.columns])
    features = held.frame.iloc[rows][list(kinds)]
    said = {column: kind for column, kind in kinds.items() if kind is not None}
    if not labelled:
        return References.of(features, kinds=said)
    target = run.data.tables[table].targets[name]
    y = np.where(target.present, np.asarray(target.columns["y"]), -1)[rows]
    return References.of(features, y, said)


def _kinds(run: Any, table: str, columns: list[str]) -> dict[str, Kind | None]:
    """The columns that may be looked at -> what they are read as: None where the processor does not say, and cells decide."""
    found: dict[str, Kind | None] = {}
    secret: set[str] = set()
    for name in run.config.inputs_of(table):
        processor, given = run.data.parts.processors[name], run.config.feature_columns(name, columns)
        said = processor.read_as()
        secret |= set(given) if processor.confidential else set()
        for column in said or given:
            found.setdefault(column, said.get(column))
    return {column: kind for column, kind in found.items() if column not in secret}
