"""Rows of a table -> training, validation and test rows. Pure functions of a column's values, the shares and the seed.

Only equality and order of values matter, never their dtype: a column of "1" and "2" splits like one of 1 and 2. Values
are numbered in order of first appearance, and numpy's PCG64 seeded with `seed` draws the rest, so the same seed gives
the same rows. A share is of all rows given; what is neither validation nor test is training, and training is never empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .clock import seconds
from .config import SplitConfig
from .errors import ConfigError, DataError, UserError, nearest

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = "np.ndarray[Any, Any]"
NAMES = ("train", "validation", "test")
_TRAIN, _VALIDATION, _TEST = range(3)
NUMBERED = frozenset(
    {"id", "uid", "uuid", "guid"}
)  # last words of names of columns that say which rows belong together
NAMED = frozenset(
    {
        "account", "address", "addr", "agent", "author", "card", "client", "customer", "device", "domain", "email", "employee",
        "group", "host", "hostname", "imei", "imsi", "ip", "mac", "machine", "member", "merchant", "msisdn", "owner", "patient",
        "peer", "phone", "plate", "principal", "sender", "sensor", "server", "session", "speaker", "srcip", "dstip", "subject",
        "tenant", "user", "username", "vehicle", "vendor", "workstation",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Split:
    """`rows`: ascending int64 positions of train, validation and test. `notes`: what a reader must know of them."""

    rows: Mapping[str, Array]
    notes: tuple[str, ...] = ()


def split_rows(
    frame: pd.DataFrame,
    config: SplitConfig,
    *,
    seed: int,
    stratify: str | None = None,
    where: Callable[[int], str] = lambda row: f"row {row + 1}",
) -> Split:
    """Cut the rows of `frame` as `config` says. `stratify`: the column of `by: stratified` when the config names none.

    `where` turns a row position into words for errors. Raises `DataError` for a missing column and for a time that
    cannot be read, `ConfigError` for a stratified split without any column.
    """
    column = config.column or (stratify if config.by == "stratified" else None)
    if config.by == "stratified" and column is None:
        problem = UserError(
            "by: stratified needs `column`, as the table has no target", next="split: {by: stratified, column: ...}"
        )
        raise ConfigError([problem])
    if column is not None and column not in frame.columns:
        names = [str(c) for c in frame.columns]
        raise DataError(f"no column {column!r} to split by", where="split.column", nearest=nearest(column, names))
    values = None if column is None else frame[column]
    part, notes = _METHODS[config.by](len(frame), values, config, seed, where)
    if config.by in ("random", "stratified"):
        notes += _groups_torn(frame, part, {column, stratify})
    rows = {name: np.flatnonzero(part == at) for at, name in enumerate(NAMES)}
    return Split(rows, (*notes, *_empty(rows, config)))


def _groups_torn(frame: pd.DataFrame, part: Array, labels: set[str | None]) -> list[str]:
    """Notes on the columns (three at most) whose groups a split by chance puts on several sides."""
    found = []
    for name in frame.columns:
        if name in labels or not _may_name_groups(frame[name]):
            continue
        codes, distinct = codes_of(frame[name])
        known = int((codes >= 0).sum())
        many = 20 <= len(distinct) > known**0.5 and 2 * len(distinct) <= known and 2 * known >= len(frame)
        if many and (apart := torn(codes, part)):
            found.append((apart, len(distinct), name))
    return [
        f"column {name!r} looks like groups: rows of one value are in several splits for {apart:,} of its {distinct:,} "
        f"values; if such rows belong together, the test score is too good: split: {{by: group, column: {name}}}"
        for apart, distinct, name in sorted(found, key=lambda f: -f[0])[:3]
    ]


def _may_name_groups(values: pd.Series) -> bool:
    """Does this column say by its name, or by addresses in its cells, which rows belong together: a host, a user, a session?

    It is looked at if it also has many values (over 20 and over the root of the rows that have one, which are most), each on two
    rows or more on average. Names of protocols, services, places and times may be as many: they are no groups.
    """
    kind = getattr(values.dtype, "kind", "O")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(values.name)).lower()
    word = re.split(r"[^a-z]+", words.rstrip("0123456789_.- "))[-1]
    if kind in "iu":
        return word in NUMBERED
    if values.dtype != "str":
        return False
    return word in NUMBERED | NAMED or _addresses(values.dropna().head(50))


def _addresses(some: pd.Series) -> bool:
    try:
        return len(some) > 0 and all(ip_address(cell.strip()) for cell in some)
    except ValueError:
        return False


def torn(codes: Array, part: Array) -> int:
    """How many values have rows in more than one part. `codes` int [N], -1 = missing; `part` int [N]."""
    pairs = np.unique(np.stack([codes, part])[:, codes >= 0], axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def codes_of(values: Any) -> tuple[Array, list[Any]]:
    """Each value's number in order of first appearance, -1 = missing, and the distinct values."""
    import pandas as pd

    try:
        codes, distinct = pd.factorize(values)
    except TypeError:  # lists and the like cannot be hashed
        codes, distinct = pd.factorize(values.map(repr))
    return codes.astype(np.int64), list(distinct)


# ------------------------------------------------------------------ the four ways; each gives (part of each row, notes)


def _random(size: int, values: Any, config: SplitConfig, seed: int, where: Any) -> tuple[Array, list[str]]:
    validation, test = _sizes(size, config)
    part = np.zeros(size, dtype=np.int8)
    order = np.random.default_rng(seed).permutation(size)
    part[order[:test]] = _TEST
    part[order[test : test + validation]] = _VALIDATION
    return part, []


def _stratified(size: int, values: Any, config: SplitConfig, seed: int, where: Any) -> tuple[Array, list[str]]:
    codes, distinct = codes_of(values)
    codes = np.where(codes < 0, len(distinct), codes)  # missing values are a class of their own
    classes, counts = np.unique(codes, return_counts=True)
    validation, test = _sizes(size, config)
    tests = _allot(counts, config.test, test, counts - 1)
    validations = _allot(counts, config.validation, validation, counts - 1 - tests)
    shuffled = np.random.default_rng(seed).permutation(size)
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]  # class by class, random within
    place = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
    part = np.zeros(size, dtype=np.int8)
    part[order] = np.where(
        place < np.repeat(tests, counts),
        _TEST,
        np.where(place < np.repeat(tests + validations, counts), _VALIDATION, _TRAIN),
    )
    words = [*map(str, distinct), "(missing)"]
    rare = {name: [words[c] for c in classes[got == 0]] for name, got in (("validation", validations), ("test", tests))}
    shares = {"validation": config.validation, "test": config.test}
    return part, [_rare(name, r, len(classes)) for name, r in rare.items() if r and shares[name] > 0]


def _group(size: int, values: Any, config: SplitConfig, seed: int, where: Any) -> tuple[Array, list[str]]:
    codes, distinct = codes_of(values)
    alone = np.flatnonzero(codes < 0)
    codes = codes.copy()
    codes[alone] = len(distinct) + np.arange(len(alone))
    counts = np.bincount(codes)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order], kind="stable")]  # largest first: the small ones even the shares out
    shares = np.array([1 - config.validation - config.test, config.validation, config.test])
    part = _fill(counts[order].tolist(), (shares * size).tolist())
    of_group = np.empty(len(counts), dtype=np.int8)
    of_group[order] = part
    note = f"{len(alone):,} rows have no {config.column!r}: each was taken for a group of its own"
    return of_group[codes], [note] if len(alone) else []


def _time(size: int, values: Any, config: SplitConfig, seed: int, where: Any) -> tuple[Array, list[str]]:
    times = seconds(values, where)
    order = np.argsort(times, kind="stable")
    validation, test = _sizes(size, config)
    at_test = _between_ties(times[order], size - test)
    at_validation = _between_ties(times[order], size - test - validation)
    part = np.zeros(size, dtype=np.int8)
    part[order[at_validation:]] = _VALIDATION
    part[order[at_test:]] = _TEST
    moved = abs(at_test - (size - test)) + abs(at_validation - (size - test - validation))
    note = (
        f"many rows share one value of {config.column!r}; they stay in one split, so the shares are not exact: "
        f"{at_validation:,} / {at_test - at_validation:,} / {size - at_test:,} rows"
    )
    return part, [note] if moved > 0.01 * size else []


_METHODS = {"random": _random, "stratified": _stratified, "group": _group, "time": _time}


# ------------------------------------------------------------------ counting


def _sizes(size: int, config: SplitConfig) -> tuple[int, int]:
    """Rows of validation and test: the shares, rounded half up, leaving at least one for training."""
    test = min(int(size * config.test + 0.5), max(size - 1, 0))
    return min(int(size * config.validation + 0.5), max(size - 1 - test, 0)), test


def _allot(counts: Array, share: float, total: int, room: Array) -> Array:
    """`total` rows over classes of `counts` rows by the largest remainder, never more than `room` of a class."""
    ideal = counts * share
    given: Array = np.minimum(np.floor(ideal + 1e-9).astype(np.int64), room)
    left = total - int(given.sum())
    if left > 0:
        remainder = np.where(given < room, ideal - given, -1.0)
        takers = np.argsort(-remainder, kind="stable")[:left]
        given[takers[remainder[takers] > 0]] += 1
    return given


def _fill(sizes: list[int], wanted: list[float]) -> list[int]:
    """Each group, largest first, goes to the part that lacks most. The last one goes to training if that has none."""
    lacking, out = list(wanted), []
    for at, size in enumerate(sizes):
        last = at == len(sizes) - 1 and _TRAIN not in out
        part = _TRAIN if last else max(range(3), key=lacking.__getitem__)
        lacking[part] -= size
        out.append(part)
    return out


def _between_ties(times: Array, cut: int) -> int:
    """The cut nearest to `cut` that does not part equal `times` (ascending), not at either end if there is another."""
    if cut <= 0 or cut >= len(times) or times[cut - 1] < times[cut]:
        return cut
    low = int(np.searchsorted(times, times[cut], side="left"))
    high = int(np.searchsorted(times, times[cut], side="right"))
    inner = [c for c in (low, high) if 0 < c < len(times)]
    return min(inner or [len(times)], key=lambda c: abs(c - cut))


def _rare(name: str, rare: list[str], classes: int) -> str:
    some = ", ".join(rare[:5]) + (", ..." if len(rare) > 5 else "")
    return f"{len(rare):,} of {classes:,} classes have too few rows to be in {name}: {some}"


def _empty(rows: Mapping[str, Array], config: SplitConfig) -> list[str]:
    shares = {"validation": config.validation, "test": config.test}
    return [
        f"{name} has no rows, though its share is {share:g}"
        for name, share in shares.items()
        if share and not len(rows[name])
    ]
