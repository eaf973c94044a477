"""The plan of an epoch: every row once, strategies that differ, the same again from the same seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from jenga_core import sampling as planning
from jenga_core.config import (
    ProportionalSampling,
    RoundRobinSampling,
    Sampling,
    SequentialSampling,
    TemperatureSampling,
)
from jenga_core.sampling import BUCKET, parts, plan

ONCE = [SequentialSampling(), RoundRobinSampling(), ProportionalSampling()]
ALL = [*ONCE, TemperatureSampling(temperature=2.0)]
Plan = list[tuple[str, np.ndarray]]


def tables(sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Row numbers with gaps, as a training split has them."""
    return {name: np.arange(size) * 3 + 1 for name, size in sizes.items()}


def made(sizes: dict[str, int], sampling: Any, *, batch: int = 4, epoch: int = 0, seed: int = 0, **more: Any) -> Plan:
    return plan(tables(sizes), sampling=sampling, batch=batch, epoch=epoch, seed=seed, **more)


def plain(found: Plan) -> list[tuple[str, list[int]]]:
    return [(name, rows.tolist()) for name, rows in found]


def rows_of(found: Plan, name: str) -> list[int]:
    return [row for table, rows in found if table == name for row in rows.tolist()]


sizes = st.dictionaries(st.sampled_from(["flows", "emails", "logs", "a"]), st.integers(0, 60), min_size=1)
seeds = st.integers(0, 2**32 - 1)
options = given(sizes=sizes, batch=st.integers(1, 70), epoch=st.integers(0, 5), seed=seeds, lengths=st.booleans())


def lengths_of(sizes: dict[str, int], wanted: bool) -> dict[str, Any]:
    every = {name: np.random.default_rng(0).integers(0, 50, 3 * size + 1) for name, size in sizes.items()}
    return {name: column if wanted else None for name, column in every.items()}


@pytest.mark.parametrize("sampling", ONCE, ids=lambda s: s.kind)
@options
def test_every_row_comes_exactly_once(
    sampling: Any, sizes: dict[str, int], batch: int, epoch: int, seed: int, lengths: bool
) -> None:
    found = made(sizes, sampling, batch=batch, epoch=epoch, seed=seed, lengths=lengths_of(sizes, lengths))
    for name, rows in tables(sizes).items():
        assert sorted(rows_of(found, name)) == rows.tolist()
    assert len(found) == sum(-(-size // batch) for size in sizes.values())


@pytest.mark.parametrize("sampling", ALL, ids=lambda s: s.kind)
@options
def test_batches_are_full_but_for_the_last_of_a_pass(
    sampling: Any, sizes: dict[str, int], batch: int, epoch: int, seed: int, lengths: bool
) -> None:
    found = made(sizes, sampling, batch=batch, epoch=epoch, seed=seed, lengths=lengths_of(sizes, lengths))
    for name, size in sizes.items():
        counts = [len(rows) for table, rows in found if table == name]
        passes = -(-len(counts) * batch // size) if size else 0
        assert all(0 < n <= batch for n in counts)
        assert sum(n < batch for n in counts) <= passes
    for _, rows in found:
        assert len(set(rows.tolist())) == len(rows)


@pytest.mark.parametrize("sampling", ALL, ids=lambda s: s.kind)
@options
def test_the_plan_is_a_pure_function(
    sampling: Any, sizes: dict[str, int], batch: int, epoch: int, seed: int, lengths: bool
) -> None:
    """So that what is left of an epoch after a resume is a slice of it, in any process."""
    extra = {"batch": batch, "epoch": epoch, "seed": seed, "lengths": lengths_of(sizes, lengths)}
    first = made(sizes, sampling, **extra)
    np.random.seed(1)
    done = len(first) // 2
    assert plain(made(sizes, sampling, **extra)[done:]) == plain(first[done:])


@pytest.mark.parametrize("sampling", ALL, ids=lambda s: s.kind)
@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}])
def test_seed_and_epoch_change_the_order(sampling: Any, change: dict[str, int]) -> None:
    both = {"flows": 40, "emails": 20}
    assert plain(made(both, sampling)) != plain(made(both, sampling, **change))


@pytest.mark.parametrize("sampling", ONCE, ids=lambda s: s.kind)
@pytest.mark.parametrize("order", [["flows", "logs"], ["logs", "flows"]])
def test_another_table_does_not_change_the_batches_of_a_table(sampling: Any, order: list[str]) -> None:
    alone = made({"flows": 30}, sampling)
    both = made(dict.fromkeys(order, 30), sampling)
    assert [rows.tolist() for name, rows in both if name == "flows"] == [rows.tolist() for _, rows in alone]


def test_tables_of_one_size_are_not_shuffled_alike() -> None:
    found = made({"flows": 30, "logs": 30}, SequentialSampling())
    assert rows_of(found, "flows") != rows_of(found, "logs")


# ------------------------------------------------------------------ the strategies


def order(sampling: Any, sizes: dict[str, int], **more: Any) -> str:
    return "".join(name for name, _ in made(sizes, sampling, **more))


def test_sequential_is_one_table_after_the_other() -> None:
    assert order(SequentialSampling(), {"b": 8, "a": 12}) == "bbaaa"


def test_round_robin_takes_turns_until_a_table_is_used_up() -> None:
    assert order(RoundRobinSampling(), {"b": 8, "a": 16, "c": 4}) == "bacbaaa"


def test_proportional_draws_a_table_by_the_batches_it_has_left() -> None:
    """Over many seeds the first batch is of a table as often as its share of the batches, and so is the last one."""
    drawn = [order(ProportionalSampling(), {"b": 8, "a": 24}, seed=seed) for seed in range(1000)]
    assert all(sorted(d) == sorted("bbaaaaaa") for d in drawn)
    for at in (0, -1):
        share = Counter(d[at] for d in drawn)["b"] / len(drawn)
        assert share == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / len(drawn)) ** 0.5)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0, 1000.0])
def test_temperature_draws_by_size_to_the_power_of_one_over_it(temperature: float) -> None:
    both = {"big": 9000, "small": 1000}
    found = made(both, TemperatureSampling(temperature=temperature), batch=2)
    weight = {name: size ** (1 / temperature) for name, size in both.items()}
    expected = weight["small"] / sum(weight.values())
    share = Counter(name for name, _ in found)["small"] / len(found)
    assert len(found) == 5000
    assert share == pytest.approx(expected, abs=5 * (expected * (1 - expected) / len(found)) ** 0.5)


def test_temperature_repeats_a_small_table_in_whole_passes_and_cuts_a_large_one_short() -> None:
    found = made({"big": 400, "small": 8}, TemperatureSampling(temperature=1000.0))
    small = Counter(rows_of(found, "small"))
    assert len(small) == 8
    assert max(small.values()) - min(small.values()) <= 1
    big = rows_of(found, "big")
    assert len(set(big)) == len(big) < 400


def test_no_two_strategies_are_the_same() -> None:
    orders = {s.kind: order(s, {"b": 80, "a": 160}) for s in ALL}
    assert len(set(orders.values())) == len(orders) == 4


def test_every_kind_that_the_grammar_knows_has_an_order() -> None:
    for kind in ("sequential", "round_robin", "proportional", "temperature"):
        assert made({"a": 5}, TypeAdapter(Sampling).validate_python({"kind": kind}))


def test_tables_without_rows_are_never_drawn() -> None:
    for sampling in ALL:
        assert {name for name, _ in made({"a": 0, "b": 9}, sampling)} == {"b"}
        assert made({"a": 0}, sampling) == []


# ------------------------------------------------------------------ length buckets


@pytest.mark.timeout(20)
def test_a_pass_without_a_batch_ends_and_is_not_repeated_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_bucketed", lambda *_: [])
    with pytest.raises(ValueError, match="a pass over 9 rows has no batch"):
        made({"a": 9}, TemperatureSampling(temperature=2.0), lengths={"a": np.ones(40, dtype=np.int64)})


@pytest.mark.parametrize("sampling", ALL, ids=lambda s: s.kind)
@pytest.mark.timeout(20)
def test_a_table_without_rows_has_no_length_buckets_to_wait_for(sampling: Any) -> None:
    lengths = {name: np.ones(40, dtype=np.int64) for name in "ab"}
    assert {name for name, _ in made({"a": 0, "b": 9}, sampling, lengths=lengths)} == {"b"}
    assert made({"a": 0}, sampling, lengths=lengths) == []


def test_buckets_put_similar_lengths_together_and_stay_random() -> None:
    size, batch = 4 * BUCKET * 8, 8
    lengths = np.random.default_rng(0).integers(1, 500, 3 * size + 1)
    spread = []
    for given_lengths in ({"a": lengths}, {"a": None}):
        found = made({"a": size}, SequentialSampling(), batch=batch, lengths=given_lengths)
        spread.append(np.mean([np.ptp(lengths[rows]) for _, rows in found]))
        means = np.array([lengths[rows].mean() for _, rows in found])
        assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2  # neither short nor long ones come first
    assert spread[0] < spread[1] / 5


@given(
    lengths=st.lists(st.integers(0, 90), min_size=1, max_size=40).map(np.array),
    most=st.integers(1, 600),
    data=st.data(),
)
def test_parts_of_a_batch_are_its_rows_within_the_budget(lengths: np.ndarray, most: int, data: Any) -> None:
    rows = np.array(data.draw(st.permutations(range(len(lengths)))))
    found = parts(rows, lengths, most)
    assert sorted(np.concatenate(found).tolist()) == sorted(rows.tolist())
    assert all(len(part) == 1 or lengths[part].max() * len(part) <= most for part in found)
    if lengths.max() * len(rows) <= most:
        assert [part.tolist() for part in found] == [rows.tolist()]
