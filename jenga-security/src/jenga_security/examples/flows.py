"""Synthetic network flows: seeded, labelled, with attacks that look like some of the normal traffic.

Nothing here was captured. Each kind of traffic is a `Profile` of medians and spreads; hosts hold sessions of many flows,
so that `request_count` can be counted from the flows themselves instead of being drawn.

Columns: started (UTC, ISO 8601), host (who opened the flow), packet_size (mean bytes per packet), port (of the
responder), protocol (tcp, udp, icmp), duration (seconds), request_count (flows that the host opened in the 60 s before
this one, this one included), bytes_sent and bytes_received (IP layer, headers included), label (benign or the attack's
name).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..flows.windows import RequestCount

Array = np.ndarray[Any, Any]
Spread = tuple[float, float]  # median and sigma of a log-normal distribution

BEGIN = pd.Timestamp("2026-03-02T00:00:00")
SPAN = 48 * 3600.0  # seconds that the flows cover
WINDOW = 60.0  # seconds that request_count looks back
HOSTS, INTRUDERS = 160, 40
SERVICES = (21, 22, 23, 25, 53, 80, 110, 143, 161, 443, 445, 1433, 3306, 3389, 5432, 6379, 8080, 8443, 9100, 9200)


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of traffic. `share` of all flows; `ports` with weights, none: any service, now and then any port at all.

    `flows` is the mean number of flows in a session, `gap` the mean seconds between them. `inside`: share of sessions
    opened by hosts that also do normal work.
    """

    label: str
    share: float
    ports: Mapping[int, float]
    protocols: Mapping[str, float]
    duration: Spread
    sent: Spread
    received: Spread
    packet: Spread
    flows: float
    gap: float
    inside: float = 1.0


TCP, UDP, ICMP = {"tcp": 1.0}, {"udp": 1.0}, {"icmp": 1.0}
MOSTLY_TCP, MOSTLY_UDP, MIXED = {"tcp": 0.92, "udp": 0.08}, {"tcp": 0.2, "udp": 0.8}, {"tcp": 0.7, "udp": 0.3}
# label, share, ports, protocols, then medians and spreads of duration, sent, received, packet; flows and gap of a session
# fmt: off
NORMAL = (
    Profile("benign", 0.34, {443: 8, 80: 2}, TCP, (1.5, 1.3), (2500, 1.1), (18e3, 1.6), (600, 0.4), 12, 2.0),  # web pages
    Profile("benign", 0.16, {53: 1}, UDP, (0.03, 0.8), (70, 0.35), (160, 0.6), (110, 0.3), 6, 3.0),  # names
    Profile("benign", 0.06, {587: 4, 993: 5, 25: 1}, TCP, (3, 1.0), (9e3, 1.6), (4e3, 1.3), (450, 0.4), 2, 30.0),  # mail
    Profile("benign", 0.06, {22: 7, 3389: 3}, TCP, (3, 1.5), (3500, 1.1), (5000, 1.2), (160, 0.4), 10, 4.0),  # remote work
    Profile("benign", 0.04, {443: 5, 873: 3, 22: 2}, TCP, (40, 1.2), (2e6, 1.7), (15e3, 1.1), (1e3, 0.35), 3, 40.0),  # backup
    Profile("benign", 0.06, {443: 1}, MOSTLY_UDP, (60, 1.0), (60e3, 1.0), (6e6, 1.2), (1100, 0.25), 2, 90.0),  # video
    Profile("benign", 0.07, {}, MOSTLY_TCP, (0.03, 0.9), (74, 0.3), (70, 0.5), (60, 0.2), 20, 1.5),  # health checks
    Profile("benign", 0.08, {443: 5, 80: 3, 8080: 2}, TCP, (0.25, 0.8), (800, 0.6), (1600, 0.9), (380, 0.3), 40, 0.6),  # APIs
    Profile("benign", 0.02, {0: 1}, ICMP, (0.5, 1.0), (300, 0.7), (300, 0.7), (84, 0.1), 5, 1.0),  # ping
)
ATTACKS = (
    Profile("port_scan", 0.036, {}, MOSTLY_TCP, (0.011, 0.9), (49, 0.25), (42, 0.5), (48, 0.15), 12, 1.0, 0.3),
    Profile("brute_force", 0.032, {22: 6, 3389: 3, 443: 1}, TCP, (1.5, 0.6), (2300, 0.45), (2700, 0.45), (150, 0.25), 15, 2, 0.3),
    Profile("exfiltration", 0.014, {443: 6, 53: 2, 22: 2}, TCP, (50, 0.9), (7e6, 1.1), (9e3, 0.7), (1200, 0.25), 4, 30.0, 0.8),
    Profile("ddos", 0.034, {80: 7, 443: 3}, MIXED, (0.12, 0.8), (420, 0.5), (200, 1.3), (210, 0.4), 25, 0.3, 0.2),
)
# fmt: on


def flows(rows: int, seed: int) -> pd.DataFrame:
    """`rows` labelled flows in the order of time. The same seed gives the same table."""
    rng = np.random.default_rng(seed)
    profiles = NORMAL + ATTACKS
    shares = np.array([profile.share for profile in profiles])
    counts = np.floor(rows * shares / shares.sum()).astype(int)
    counts[0] += rows - counts.sum()
    table = pd.concat([_draw(p, int(n), rng) for p, n in zip(profiles, counts, strict=True)], ignore_index=True)
    table = table.sort_values(["seconds", "host", "port"], kind="stable", ignore_index=True)
    counts = RequestCount(WINDOW).add(table["host"].tolist(), table["seconds"].to_numpy())
    table.insert(6, "request_count", counts.astype(np.int64))
    started = BEGIN + pd.to_timedelta(table.pop("seconds").round(3), unit="s")
    table.insert(0, "started", started.dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z")
    return table


def _draw(profile: Profile, count: int, rng: np.random.Generator) -> pd.DataFrame:
    seconds, hosts = _sessions(profile, count, rng)
    sent, received = _lognormal(profile.sent, count, rng), _lognormal(profile.received, count, rng)
    size = np.clip(_lognormal(profile.packet, count, rng), 40, np.minimum(1500, np.maximum(40, sent + received)))
    return pd.DataFrame(
        {
            "seconds": seconds,
            "host": hosts,
            "packet_size": size.round(1),
            "port": _ports(profile, count, rng),
            "protocol": rng.choice(list(profile.protocols), count, p=list(profile.protocols.values())),
            "duration": _lognormal(profile.duration, count, rng).round(4),
            "bytes_sent": np.maximum(sent, 40).round().astype(np.int64),
            "bytes_received": np.where(received < 40, 0, received).round().astype(np.int64),
            "label": profile.label,
        }
    )


def _sessions(profile: Profile, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """(seconds, host) of each flow: sessions spread over the span, normal ones mostly by day, flows at exponential gaps."""
    sizes = rng.geometric(1 / profile.flows, max(count, 1))
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), count) + 1]  # as many sessions as `count` flows need
    session = np.repeat(np.arange(len(sizes)), sizes)[:count]
    begin = rng.permutation((np.arange(len(sizes)) + rng.random(len(sizes))) / len(sizes)) * SPAN  # one in each stretch
    night = np.cos(2 * np.pi * begin / 86400) > rng.uniform(-0.2, 1.6, len(sizes))
    if profile.label == "benign":
        begin = np.where(night, (begin + 43200) % SPAN, begin)  # twelve hours on
    steps = rng.exponential(profile.gap, count)
    first = np.searchsorted(session, session, side="left")
    passed = np.cumsum(steps)
    inside = rng.random(len(sizes)) < profile.inside
    number = np.where(inside, rng.integers(0, HOSTS, len(sizes)), HOSTS + rng.integers(0, INTRUDERS, len(sizes)))
    names = np.array([f"h{at:03d}" for at in range(HOSTS + INTRUDERS)])
    return (begin[session] + passed - passed[first]) % SPAN, names[number[session]]


def _ports(profile: Profile, count: int, rng: np.random.Generator) -> Array:
    if profile.ports:
        weights = np.array(list(profile.ports.values()), dtype=float)
        return rng.choice(list(profile.ports), count, p=weights / weights.sum())
    odd = rng.random(count) < (0.25 if profile.label == "benign" else 0.45)
    return np.where(odd, rng.integers(1, 65536, count), rng.choice(SERVICES, count))


def _lognormal(spread: Spread, count: int, rng: np.random.Generator) -> Array:
    median, sigma = spread
    return median * np.exp(sigma * rng.standard_normal(count))
