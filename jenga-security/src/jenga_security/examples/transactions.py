"""Synthetic mobile-money transactions: seeded, labelled, with frauds that look like some of the honest ones.

Nothing here was recorded. Each habit is a `Profile` of medians and spreads; accounts keep a home, a SIM and a handset, so
that `sim_swap_age_days`, `device_change` and `velocity` are counted from what happened to the account before the
transaction instead of being drawn.

Columns: made_at (UTC, ISO 8601), account, transaction_amount (KES), merchant_type, location (county of the counterpart),
time_of_day (local hour, 0 to 24), channel (app, ussd, agent, card, web), agent (through whom cash moved, else "none"),
sim_swap_age_days (days since the account's SIM was last replaced; empty where the operator does not know),
device_change (1: the handset was first used with this account in the last 3 days), velocity (transactions of the account
in the hour up to this one, this one included), label (legitimate or fraud).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]

BEGIN = pd.Timestamp("2026-03-01T21:00:00")  # midnight in Nairobi, UTC+3
DAY = 86400.0
DAYS = 28
HOUR = 3600.0  # seconds that velocity looks back
NEW_DEVICE = 3 * DAY  # how long a handset counts as new
LIMIT = 250_000  # KES, the most that one transaction moves
ACCOUNTS, AGENTS, COLLUDING = 4000, 180, 9
COUNTIES = {"nairobi": 30, "kiambu": 14, "mombasa": 10, "nakuru": 10, "kisumu": 8, "machakos": 8, "uasin_gishu": 7, "meru": 6,
            "garissa": 3, "turkana": 2, "lamu": 1, "abroad": 1}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """One habit. `share` of all transactions; `amount` in KES: median and sigma of a log-normal, times the account's means.

    `hour`: local hour around which bursts begin and its deviation. `burst` is the mean number of transactions in one go,
    `gap` the mean seconds between them. `swap`, `device`: share of bursts that a new SIM, a new handset comes before.
    `away`: share of transactions outside the home county. `colluding`: share of cash that goes through a few agents.
    """

    label: str
    share: float
    merchants: Mapping[str, float]
    channels: Mapping[str, float]
    amount: tuple[float, float]
    hour: tuple[float, float]
    burst: float = 1.3
    gap: float = 900.0
    swap: float = 0.004
    device: float = 0.015
    away: float = 0.1
    colluding: float = 0.05


PHONE, TILL, CASH = {"app": 5, "ussd": 5}, {"app": 5, "ussd": 3, "card": 2}, {"agent": 1}
# fmt: off
HONEST = (
    Profile("legitimate", 0.32, {"person": 1}, PHONE, (900, 1.1), (15, 4.5)),  # sent to family and friends
    Profile("legitimate", 0.20, {"groceries": 5, "fuel": 2, "restaurant": 2}, TILL, (650, 0.9), (16, 3.5)),
    Profile("legitimate", 0.14, {"airtime": 1}, PHONE, (60, 0.8), (14, 5.5), 1.6, 600),
    Profile("legitimate", 0.12, {"cash": 1}, CASH, (2200, 1.0), (13, 3.5)),  # withdrawals and deposits
    Profile("legitimate", 0.08, {"utilities": 5, "school": 2, "rent": 2}, PHONE, (4500, 1.2), (11, 4), 1.5),  # bills
    Profile("legitimate", 0.06, {"person": 7, "wholesale": 3}, PHONE, (2600, 1.0), (12, 3), 9, 250, away=0.2),  # traders, wages
    Profile("legitimate", 0.03, {"betting": 1}, {"app": 4, "web": 3, "ussd": 3}, (250, 1.0), (20, 3.5), 4, 400),
    Profile("legitimate", 0.03, {"digital": 6, "electronics": 2}, {"web": 6, "card": 4}, (900, 1.2), (20, 4), 1.8, 300, away=0.4),
    Profile("legitimate", 0.012, {"person": 6, "cash": 3, "airtime": 2}, {"app": 4, "ussd": 3, "agent": 3}, (2400, 1.4),
            (13, 4.5), 2.5, 700, 0.45, 0.7, 0.25),  # a lost phone is replaced and what was due is paid
)
FRAUDS = (
    Profile("fraud", 0.0065, {"person": 6, "cash": 3, "airtime": 2}, {"ussd": 5, "app": 3, "agent": 2}, (9000, 1.0), (1, 5),
            3.5, 300, 0.8, 0.85, 0.5, 0.25),  # the SIM is swapped and the account emptied
    Profile("fraud", 0.0055, {"person": 8, "betting": 1, "utilities": 1}, PHONE, (4200, 0.9),
            (13, 4), 1.5, 500, away=0.35),  # talked into paying
    Profile("fraud", 0.0045, {"cash": 1}, CASH, (8500, 0.5), (18, 3), 3, 500, away=0.3, colluding=0.8),  # agents in on it
    Profile("fraud", 0.0045, {"digital": 6, "airtime": 4}, {"web": 8, "card": 2}, (110, 0.8),
            (3, 5), 7, 60, 0.02, 0.3, 0.6),  # testing cards
)
# fmt: on


def transactions(rows: int, seed: int) -> pd.DataFrame:
    """`rows` labelled transactions in the order of time. The same seed gives the same table."""
    rng = np.random.default_rng(seed)
    accounts = _Accounts.draw(rng)
    profiles = HONEST + FRAUDS
    shares = np.array([profile.share for profile in profiles])
    counts = np.floor(rows * shares / shares.sum()).astype(int)
    counts[0] += rows - counts.sum()
    drawn = [_draw(p, int(n), accounts, rng) for p, n in zip(profiles, counts, strict=True)]
    table = pd.concat([each for each, _, _ in drawn], ignore_index=True)
    table = table.sort_values(["seconds", "account", "transaction_amount"], kind="stable", ignore_index=True)
    swaps, devices = (np.concatenate(events) for events in zip(*(each[1:] for each in drawn), strict=True))
    return _named(table, accounts, swaps, devices)


@dataclass(frozen=True, slots=True)
class _Accounts:
    """Home county, means (a factor of amounts), days since the SIM's last swap at the beginning (NaN: not known)."""

    home: Array
    means: Array
    swapped: Array

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Accounts:
        days = np.where(rng.random(ACCOUNTS) < 0.12, np.nan, rng.exponential(500, ACCOUNTS))
        return cls(_counties(rng, ACCOUNTS), np.exp(0.6 * rng.standard_normal(ACCOUNTS)), days)


def _draw(
    profile: Profile, count: int, accounts: _Accounts, rng: np.random.Generator
) -> tuple[pd.DataFrame, Array, Array]:
    """Transactions of one habit, and what happened to accounts before: new SIMs and new handsets, [n, 2] of (account, second)."""
    burst, begin, owner = _bursts(profile, count, rng)
    steps = np.cumsum(rng.exponential(profile.gap, count))
    seconds = begin[burst] + steps - steps[np.searchsorted(burst, burst, side="left")]
    account = owner[burst]
    channel = _choice(profile.channels, count, rng)
    amount = profile.amount[0] * np.exp(profile.amount[1] * rng.standard_normal(count)) * accounts.means[account]
    few = rng.random(count) < profile.colluding
    agent = np.where(few, rng.integers(0, COLLUDING, count), rng.integers(0, AGENTS, count))
    table = pd.DataFrame(
        {
            "seconds": np.minimum(seconds, DAYS * DAY - 1).round(),
            "account": account,
            "transaction_amount": np.clip(amount, 5, LIMIT).round().astype(np.int64),
            "merchant_type": _choice(profile.merchants, count, rng),
            "location": np.where(rng.random(count) < profile.away, _counties(rng, count), accounts.home[account]),
            "channel": channel,
            "agent": np.where(channel == "agent", [f"a{at:03d}" for at in agent], "none"),
            "label": profile.label,
        }
    )
    return table, _before(begin, owner, profile.swap, 1.2, rng), _before(begin, owner, profile.device, 0.5, rng)


def _bursts(profile: Profile, count: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """(burst of each transaction, second at which each burst begins, account of each burst): bursts spread over the days."""
    sizes = rng.geometric(1 / profile.burst, max(count, 1))
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), count) + 1]  # as many bursts as `count` transactions need
    number = len(sizes)
    day = np.floor(rng.permutation((np.arange(number) + rng.random(number)) / number) * DAYS)  # some in each stretch
    hour = (profile.hour[0] + profile.hour[1] * rng.standard_normal(number)) % 24
    return np.repeat(np.arange(number), sizes)[:count], day * DAY + hour * HOUR, rng.integers(0, ACCOUNTS, number)


def _before(begin: Array, owner: Array, share: float, days: float, rng: np.random.Generator) -> Array:
    """[n, 2]: (account, second) of an event that came some `days` before `share` of the bursts."""
    hit = rng.random(len(begin)) < share
    return np.stack([owner, begin - rng.exponential(days * DAY, len(begin))], axis=1)[hit]


def _named(table: pd.DataFrame, accounts: _Accounts, swaps: Array, devices: Array) -> pd.DataFrame:
    """Columns in their order, with those that are counted from the account's past."""
    seconds, account = table["seconds"].to_numpy(), table["account"].to_numpy()
    known = accounts.swapped[account]
    age = np.fmin(_since(swaps, account, seconds), known * DAY + seconds) / DAY
    made = BEGIN + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame(
        {
            "made_at": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "account": [f"k{at:04d}" for at in account],
            "transaction_amount": table["transaction_amount"],
            "merchant_type": table["merchant_type"],
            "location": table["location"],
            "time_of_day": np.floor((seconds % DAY) / HOUR * 100) / 100,
            "channel": table["channel"],
            "agent": table["agent"],
            "sim_swap_age_days": np.where(np.isnan(known), np.nan, age).round(1),
            "device_change": (_since(devices, account, seconds) < NEW_DEVICE).astype(int),
            "velocity": _recent(account, seconds),
            "label": table["label"],
        }
    )


def _since(events: Array, account: Array, seconds: Array) -> Array:
    """Seconds since the account's last event up to then, infinity where there was none."""
    width = 1000 * DAY  # more than any time here, so that (account, time) is one number
    keys = np.sort(events[:, 0] * width + events[:, 1])
    now = account * width + seconds
    at = np.searchsorted(keys, now, side="right") - 1
    passed = now - keys[np.maximum(at, 0)] if len(keys) else np.full(len(now), np.inf)
    return np.where((at >= 0) & (passed < width / 2), passed, np.inf)


def _recent(account: Array, seconds: Array) -> Array:
    """Transactions of the row's account in the hour up to the row, itself included. Rows are by time."""
    order = np.lexsort((seconds, account))
    keys = (account * (1000 * DAY) + seconds)[order]
    counts = np.empty(len(keys), dtype=np.int64)
    counts[order] = np.arange(1, len(keys) + 1) - np.searchsorted(keys, keys - HOUR, side="left")
    return counts


def _counties(rng: np.random.Generator, count: int) -> Array:
    return _choice(COUNTIES, count, rng)


def _choice(weights: Mapping[str, float], count: int, rng: np.random.Generator) -> Array:
    share = np.array(list(weights.values()), dtype=float)
    return rng.choice(list(weights), count, p=share / share.sum())
