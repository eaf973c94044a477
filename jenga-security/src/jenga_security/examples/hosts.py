"""Synthetic metrics of hosts: seeded, labelled, with incidents that look like some of the normal work.

Nothing here was measured. Each host has levels of its own and a daily rhythm; what happens to it is an `Event`: backups,
batch jobs and traffic peaks are normal, leaks and bad releases are incidents. A single row often does not tell the two
apart: a spike and the first five minutes of a runaway process look the same.

Columns: at (UTC, ISO 8601, every 5 minutes), host, cpu_usage (%), memory_usage (%), disk_io (MB/s, read and written),
error_rate (failed requests per 1,000), label (normal or incident).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]

BEGIN = pd.Timestamp("2026-03-02T00:00:00")
STEP = 300  # seconds between two rows of a host
HOSTS = 20
PER_DAY = 86400 // STEP


@dataclass(frozen=True, slots=True)
class Event:
    """`rate` per host and day; `steps` it lasts: median and sigma of a log-normal. At its height it adds `cpu` and `memory`
    (percentage points) and multiplies `disk` and `errors`. `ramp`: the height is reached at its end and not at once.
    `hour`: begins around that hour (UTC); none: at any time.
    """

    label: str
    rate: float
    steps: tuple[float, float]
    cpu: float = 0.0
    memory: float = 0.0
    disk: float = 1.0
    errors: float = 1.0
    ramp: bool = False
    hour: float | None = None


# label, events per host and day, steps, effects
EVENTS = (
    Event("normal", 0.9, (8, 0.3), cpu=8, disk=5, hour=2.0),  # nightly backup
    Event("normal", 0.6, (10, 0.5), cpu=34),  # batch job
    Event("normal", 6.0, (1, 0.0), cpu=40),  # a moment's peak
    Event("normal", 3.0, (1, 0.0), errors=6),  # a moment's errors
    Event("normal", 0.5, (18, 0.4), memory=20, ramp=True),  # a cache fills
    Event("normal", 0.4, (12, 0.4), cpu=18, disk=1.7, errors=1.7, hour=17.0),  # more visitors than usual
    Event("incident", 0.20, (18, 0.4), memory=36, errors=3.5, ramp=True),  # memory leak
    Event("incident", 0.20, (9, 0.5), cpu=12, disk=5, errors=3.5),  # slow disk, requests queue
    Event("incident", 0.20, (11, 0.5), cpu=42, errors=2.2),  # runaway process
    Event("incident", 0.20, (10, 0.5), cpu=4, errors=6),  # bad release
    Event("incident", 0.15, (7, 0.5), cpu=-14, disk=0.3, errors=5),  # a service it needs is gone
)


def metrics(rows: int, seed: int) -> pd.DataFrame:
    """`rows` labelled rows in the order of time, the hosts in turn. The same seed gives the same table."""
    rng = np.random.default_rng(seed)
    steps = -(-rows // HOSTS)
    cpu, memory, disk, errors = _usual(steps, rng)
    incident = np.zeros((steps, HOSTS), dtype=bool)
    for number, event in enumerate(EVENTS):
        for host, at, height in _happenings(event, number / len(EVENTS), steps, rng):
            cpu[at, host] += event.cpu * height
            memory[at, host] += event.memory * height
            disk[at, host] *= event.disk**height
            errors[at, host] *= event.errors**height
            incident[at, host] |= event.label == "incident"
    table = pd.DataFrame(
        {
            "at": np.repeat(
                (BEGIN + pd.to_timedelta(np.arange(steps) * STEP, unit="s")).strftime("%Y-%m-%dT%H:%M:%SZ"), HOSTS
            ),
            "host": np.tile([f"web{at:02d}" if at % 5 < 3 else f"db{at:02d}" for at in range(HOSTS)], steps),
            "cpu_usage": np.clip(cpu, 0.5, 100).ravel().round(1),
            "memory_usage": np.clip(memory, 2, 99.5).ravel().round(1),
            "disk_io": disk.ravel().round(2),
            "error_rate": np.minimum(errors, 1000).ravel().round(2),
            "label": np.where(incident, "incident", "normal").ravel(),
        }
    )
    return table.head(rows)


def _usual(steps: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """cpu, memory, disk and errors [steps, hosts] while nothing happens: levels, a daily rhythm, noise with a memory."""
    hour = np.arange(steps) * STEP / 3600
    rhythm = np.sin(2 * np.pi * (hour[:, None] - 8 - rng.normal(0, 1, HOSTS)) / 24)  # highest at 14 UTC
    cpu = rng.uniform(15, 50, HOSTS) * (1 + 0.35 * rhythm) + 3 * _noise(steps, 0.8, rng)
    memory = rng.uniform(30, 65, HOSTS) + 3 * _noise(steps, 0.98, rng) + 2 * rhythm
    disk = rng.lognormal(1.8, 0.7, HOSTS) * np.exp(0.3 * rhythm + 0.3 * _noise(steps, 0.6, rng))
    errors = rng.lognormal(0.7, 0.6, HOSTS) * np.exp(0.1 * rhythm + 0.3 * _noise(steps, 0.6, rng))
    return cpu, memory, disk, errors


def _noise(steps: int, memory: float, rng: np.random.Generator) -> Array:
    """[steps, hosts] of deviation 1, each step `memory` times the one before it and something new."""
    fresh = rng.standard_normal((steps, HOSTS))
    fresh[1:] *= np.sqrt(1 - memory**2)
    for step in range(1, steps):
        fresh[step] += memory * fresh[step - 1]
    return fresh


def _happenings(event: Event, phase: float, steps: int, rng: np.random.Generator) -> list[tuple[int, Array, Array]]:
    """(host, steps, height at each of them) of every time that it happens, one in each stretch of time.

    `phase` is where the stretches begin, so that in a small table, where each event happens once, they take turns.
    """
    number = max(1, round(event.rate * HOSTS * steps / PER_DAY))
    begin = (np.arange(number) + (phase + rng.random(number) / 2) % 1) / number * steps
    if event.hour is not None:
        hour = event.hour + rng.normal(0, 0.7, number)
        begin = begin // PER_DAY * PER_DAY + hour * 3600 / STEP
    lasts = np.maximum(1, np.exp(np.log(event.steps[0]) + event.steps[1] * rng.standard_normal(number))).round()
    strength = np.exp(0.25 * rng.standard_normal(number))
    found = []
    for host, first, size, high in zip(rng.integers(0, HOSTS, number), begin.astype(int), lasts, strength, strict=True):
        height = np.linspace(1 / size, 1, int(size)) if event.ramp else np.ones(int(size))
        at = first + np.arange(int(size))
        inside = (at >= 0) & (at < steps)
        found.append((int(host), at[inside], high * height[inside]))
    return found
