"""Thresholds of a watch that follow its traffic: `jenga watch --recalibrate`.

`rolling.RollingThreshold` over the scores of the log itself, which nobody has labelled. What keeps an attack from being
learned as normal:

- the floor is the threshold of the model: what it leaves out never raises an alert, whatever is fed in;
- the ceiling is a score that the threshold never passes: the median of those held-out attacks that the model's threshold
  finds, or, where none are recorded, the highest score of a held-out row. Rows from there on are alerts and are not learned;
- a block of rows of which far more than asked for are alerts is a burst, and none of its rows are learned. So the
  threshold rises only while rows that passed it raised alerts, and stands still where they are many.

A pure function of the order of the scores, not of how they came in batches: a watch that goes on is where it would have been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jenga_core.errors import UserError

from ..alerts import AlertRule
from ..rolling import RollingThreshold

Array = np.ndarray[Any, Any]

WINDOW = 10_000  # rows that a threshold rests on, at least
ALERTS = 10  # alerts that a window is to hold, at least, or its quantile is noise
BLOCKS = 20  # blocks in a window: a threshold changes after a block at the earliest
BURST = 10  # times the accepted share of alerts, from which on a block is a burst
MOST = 0.5  # and the share that is one for any rate
MOVED = 0.1  # share of the way from floor to ceiling that is worth a notice


@dataclass(slots=True)
class Followed:
    """One task's threshold, the scores of the block that is not full yet, and what was said last."""

    name: str
    rolling: RollingThreshold
    tell: Callable[[str], None]
    block: Array
    told: float
    burst: int = 0  # rows of the burst that is going on

    @classmethod
    def of(cls, name: str, rule: AlertRule, tell: Callable[[str], None]) -> Followed:
        """UserError for a rule without a rate, and for one that leaves nothing to move."""
        rate, floor = rule.rate, rule.threshold
        if rate is None:
            raise UserError(f"the threshold of task {name!r} is no share of rows, so there is nothing to follow",
                            where="--recalibrate", next="jenga calibrate MODEL --target-fpr 0.01")  # fmt: skip
        ceiling = ceiling_of(rule)
        if ceiling <= floor:
            raise UserError(
                f"no held-out score of task {name!r} lies above its threshold {floor:.6g}: there is no room to follow in",
                where="--recalibrate",
                next="give the training more validation rows, or a larger rate by jenga calibrate",
            )
        window = max(WINDOW, math.ceil(ALERTS / rate))
        rolling = RollingThreshold(rate, floor=floor, window=window, ceiling=ceiling)
        return cls(name, rolling, tell, np.zeros(0, dtype=np.float32), floor)

    @property
    def size(self) -> int:
        """Rows of a block."""
        return self.rolling.window // BLOCKS

    @property
    def limit(self) -> float:
        """The most alerts of a block that is learned from."""
        return min(BURST * self.rolling.rate, MOST) * self.size

    def apply(self, scores: Array) -> Array:
        """The threshold in force for each of the next rows, float64 [n]. A row that could not be scored is NaN."""
        found = np.empty(len(scores))
        at = 0
        while at < len(scores):
            end = min(at + self.size - len(self.block), len(scores))
            found[at:end] = self.rolling.threshold
            self.block = np.concatenate([self.block, scores[at:end].astype(np.float32)])
            at = end
            if len(self.block) == self.size:
                self._learn(self.block)
                self.block = self.block[:0]
        return found

    def _learn(self, block: Array) -> None:
        hits = int((block >= self.rolling.threshold).sum())
        if hits > self.limit:
            self._bursting(hits)
            return
        if self.burst:
            self.tell(
                f"{self.name}: the burst is over after {self.burst:,} rows; threshold {self.rolling.threshold:.6g}"
            )
            self.burst = 0
        self.rolling.update(block)
        if abs(self.rolling.wanted - self.told) > MOVED * (self.rolling.ceiling - self.rolling.floor):
            self._moved()

    def _bursting(self, hits: int) -> None:
        """Said when it begins, and once a window for as long as it lasts."""
        if self.burst % self.rolling.window == 0:
            lasting = f", for {self.burst:,} rows now" if self.burst else ""
            self.tell(
                f"{self.name}: {hits:,} of {self.size:,} rows are alerts{lasting}: nothing is learned from them, the threshold "
                f"stays {self.rolling.threshold:.6g}. If these rows are normal: jenga calibrate MODEL ROWS --normal"
            )
        self.burst += self.size

    def _moved(self) -> None:
        wanted, now = self.rolling.wanted, self.rolling.threshold
        if wanted < self.rolling.floor:
            self.tell(f"{self.name}: these rows would allow a threshold of {wanted:.6g}; the floor {now:.6g} holds")
        else:
            self.tell(f"{self.name}: the threshold followed the traffic to {now:.6g} (floor {self.rolling.floor:.6g})")
        self.told = wanted

    def says(self) -> str:
        """One line for people: between what and what it moves, and over what."""
        rolling = self.rolling
        return (
            f"{self.name}: threshold {rolling.threshold:.6g} follows the newest {rolling.window:,} rows at a rate of "
            f"{rolling.rate:g}, from {rolling.floor:.6g} (the model's) to {rolling.ceiling:.6g}"
        )

    def state(self) -> dict[str, Any]:
        """As JSON."""
        block = [float(str(score)) for score in self.block]
        return {"rolling": self.rolling.state(), "block": block, "told": self.told, "burst": self.burst}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.rolling.restore(state["rolling"])
        self.block = np.array(state["block"], dtype=np.float32)
        self.told, self.burst = float(state["told"]), int(state["burst"])


class Recalibration:
    """The thresholds of all `tasks`, by name. `tell` gets a line for each thing that a person should know."""

    def __init__(self, rules: Mapping[str, AlertRule], tell: Callable[[str], None]) -> None:
        self._telling, self._tell = True, tell
        self.tasks = {name: Followed.of(name, rule, self._said) for name, rule in rules.items()}

    def replay(self, scores: Array) -> None:
        """Rows [n, tasks] that were judged before a stop: what was said about them is not said again."""
        self._telling = False
        for each, column in zip(self.tasks.values(), scores.T, strict=True):
            each.apply(column)
        self._telling = True

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {name: each.state() for name, each in self.tasks.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, each in self.tasks.items():
            each.restore(state[name])

    def _said(self, text: str) -> None:
        if self._telling:
            self._tell(text)


def ceiling_of(rule: AlertRule) -> float:
    """Half of the held-out attacks that the rule finds score at least this; without any, what no held-out row passes."""
    found = int(rule.attacks.at_least(rule.threshold))
    if found:
        return rule.attacks.at(rule.attacks.rows - found + found // 2 + 1)
    return rule.normal.at(rule.normal.rows) if rule.normal.rows else -math.inf
