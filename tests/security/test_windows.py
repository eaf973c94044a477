"""request_count: what it counts, whatever the chunks, and when flows are late or the clock is set back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_security.flows.windows import SET_BACK, RequestCount

quick = settings(max_examples=150, deadline=None)


def counts(sources, times, **options):
    return RequestCount(**options).add(sources, np.asarray(times, dtype=float)).tolist()


def test_flows_of_the_source_in_the_window_up_to_the_flow():
    assert counts(list("aabaa"), [0, 10, 10, 60, 60.5]) == [1, 2, 1, 3, 3]


def test_both_ends_of_the_window_count():
    assert counts(["a", "a"], [0, 60]) == [1, 2]
    assert counts(["a", "a"], [0, 60.001]) == [1, 1]


def test_a_flow_logged_out_of_order_counts_those_before_it_in_time_and_in_the_log():
    assert counts(["a"] * 4, [100, 130, 90, 131]) == [1, 2, 1, 4]


def test_a_late_flow_counts_what_is_remembered_and_changes_nothing():
    assert counts(["a"] * 3, [0, 1000, 10]) == [1, 1, 1]
    assert counts(["a"] * 4, [1000, 10, 11, 1001]) == [1, 1, 1, 2]


def test_after_many_late_flows_the_clock_was_set_back_and_counting_begins_afresh():
    times = [86_400.0, *(float(at) for at in range(SET_BACK + 10))]
    found = counts(["a"] * len(times), times, window=5.0)
    assert found[1:SET_BACK] == [1] * (SET_BACK - 1)
    assert found[SET_BACK : SET_BACK + 8] == [1, 2, 3, 4, 5, 6, 6, 6]


def test_without_a_source_or_a_time_there_is_no_count():
    found = counts(["a", None, "a"], [0, 1, np.nan])
    assert found[0] == 1
    assert np.isnan(found[1:]).all()


flows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2000)), min_size=1, max_size=80)


@quick
@given(flows=flows, cuts=st.lists(st.integers(0, 80), max_size=5), lateness=st.sampled_from([0.0, 50.0, 1e9]))
def test_any_cut_into_chunks_gives_the_same_counts(flows, cuts, lateness):
    sources, times = [s for s, _ in flows], np.array([t for _, t in flows], dtype=float)
    whole = counts(sources, times, lateness=lateness)
    counter, ends = RequestCount(lateness=lateness), sorted({0, len(flows), *(min(c, len(flows)) for c in cuts)})
    pieces = [counter.add(sources[a:b], times[a:b]).tolist() for a, b in pairwise(ends)]
    assert [c for piece in pieces for c in piece] == whole


@quick
@given(flows=flows)
def test_it_is_the_plain_definition_while_nothing_is_late(flows):
    found = counts([s for s, _ in flows], [t for _, t in flows], lateness=1e9)
    plain = [
        sum(other == source and time - 60 <= when <= time for other, when in flows[: at + 1])
        for at, (source, time) in enumerate(flows)
    ]
    assert found == plain


def test_memory_holds_the_flows_of_the_window_and_the_lateness_alone():
    counter = RequestCount(window=60.0, lateness=60.0)
    for begin in range(0, 200_000, 20_000):
        times = np.arange(begin, begin + 20_000, dtype=float)
        counter.add([f"10.0.{int(t) % 251}.{int(t) // 1000}" for t in times], times)
    assert sum(map(len, counter._times.values())) < 80_000  # a sweep comes every 65,536 flows
    one = RequestCount(window=60.0, lateness=60.0)
    assert one.add(["a"] * 50_000, np.arange(50_000) / 10)[-1] == 601
    assert len(one._times["a"]) < 4 * 1200
