"""Canonical flows -> what a tool would have written -> the same flows; and no bytes whatever end in anything but DataError."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flow_formats
from jenga_core.api import SourceSpec
from jenga_core.errors import DataError
from jenga_core.registry import Registry
from jenga_security import plugin

REGISTRY = Registry.of(security=plugin)
KINDS = (*flow_formats.WRITERS, "nsl-kdd")
quick = settings(max_examples=25, deadline=None)


def source(kind, **options):
    kind = f"security/{kind}"
    return REGISTRY.factory(kind, SourceSpec)(REGISTRY.config_class(kind, SourceSpec)(kind=kind, **options))


def maybe(cells):
    return st.none() | cells


@st.composite
def flow(draw):
    packets, back = draw(maybe(st.integers(1, 10**6))), draw(maybe(st.integers(0, 10**6)))
    family = st.ip_addresses(v=draw(st.sampled_from([4, 6]))).map(lambda a: str(getattr(a, "ipv4_mapped", None) or a))
    return {
        "ts_start": draw(st.integers(0, 4 * 10**9)) + draw(st.integers(0, 10**6 - 1)) / 10**6,
        "src_ip": draw(family),
        "src_port": draw(st.integers(0, 65535)),
        "dst_ip": draw(family),
        "port": draw(st.integers(0, 65535)),
        "protocol": draw(st.sampled_from(flow_formats.PORTED)),
        "duration": draw(maybe(st.integers(0, 10**10).map(lambda us: us / 10**6))),
        "bytes_sent": draw(maybe(st.integers(34 * (packets or 0), 10**12))),
        "bytes_received": draw(maybe(st.integers(34 * (back or 0), 10**12))),
        "packets_sent": packets,
        "packets_received": back,
        "state": draw(st.sampled_from(["SF", "S0", "RSTO"])),
    }


WRITERS = {
    **flow_formats.WRITERS,
    "zeek-conn as JSON": flow_formats.zeek_json,
    "nfdump as JSON": flow_formats.nfdump_json,
}


@pytest.mark.parametrize("form", WRITERS)
@quick
@given(flows=st.lists(flow(), min_size=1, max_size=6), batch=st.integers(1, 4))
def test_flows_come_back(form, flows, batch):
    kind = form.split(" as ")[0]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "some.log"
        path.write_text(WRITERS[form](flows))
        frame = pd.concat(list(source(kind).tables(path, batch_rows=batch)))
    assert len(frame) == len(flows)
    for name in flows[0].keys() & set(frame.columns):
        for got, meant in zip(frame[name], (f[name] for f in flows), strict=True):
            if meant is None:
                assert math.isnan(got) or (form, name, got) == ("nfdump as JSON", "duration", 0), name
            elif name in ("ts_start", "duration"):
                assert got == pytest.approx(meant, abs=2e-6), name  # the precision of float64 seconds since 1970
            else:
                assert got == meant, name


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(data=st.data())
def test_damaged_logs_are_read_or_refused(kind, data):
    written = flow_formats.nsl_kdd(4) if kind == "nsl-kdd" else flow_formats.WRITERS[kind](flow_formats.sample(4))
    content = bytearray(written.encode())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(
            st.binary(max_size=3) | st.sampled_from([b"\n", b"\t", b",", b'"', b"{", b"}", b"-", b"#", b"\r"])
        )
        content[at : at + data.draw(st.integers(0, 4))] = piece
    with TemporaryDirectory() as folder:
        path = Path(folder) / "some.log"
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        with suppress(DataError):
            assert all(len(t) for t in source(kind).tables(path, batch_rows=3))


@pytest.mark.parametrize("kind", KINDS)
@quick
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(kind, content):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "some.log"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"some\.log"):
            list(source(kind).tables(path, batch_rows=3))
