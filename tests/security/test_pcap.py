"""Captures of packets: the flows that went in come out, at every layer of bytes; what is no capture is told."""

import os
import struct
import sys

import numpy as np
import pandas as pd
import pytest

import flow_formats
from jenga_core.errors import DataError
from jenga_security.flows.capture import whole_packets
from jenga_security.flows.config import PcapConfig
from jenga_security.flows.pcap import PcapSource

FLOWS = [f | {"packets_received": 1 + at % 3} for at, f in enumerate(flow_formats.sample())]
GLOBAL, RECORD, ETHERNET = 24, 16, 14


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / "some.pcap"
    path.write_bytes(flow_formats.pcap(FLOWS))
    return path


@pytest.fixture
def nfstream():
    return pytest.importorskip(
        "nfstream", reason="pip install 'jenga-security[pcap]': captures of packets are not tested"
    )


def flows(path, **options):
    return pd.concat(PcapSource(PcapConfig(**options)).tables(path, batch_rows=5))


def headers(f):
    """Bytes of a packet before its payload: at the layer ip, those of IP and of TCP or UDP."""
    return (40 if ":" in f["dst_ip"] else 20) + (20 if f["protocol"] == 6 else 8)


# ------------------------------------------------------------------ with nfstream


def test_the_flows_that_went_in_come_out(capture, nfstream):
    found = flows(capture, bytes="ip")
    assert len(found) == len(FLOWS)
    for name in ("src_port", "port", "protocol", "bytes_sent", "bytes_received", "packets_sent", "packets_received"):
        assert found[name].tolist() == [f[name] for f in FLOWS], name
    assert found["ts_start"].tolist() == pytest.approx([f["ts_start"] for f in FLOWS], abs=1e-3)
    lasted = [f["duration"] if f["packets_sent"] > 1 else f["duration"] / 2 for f in FLOWS]
    assert found["duration"].tolist() == pytest.approx(lasted, abs=2e-3)
    assert set(found["byte_layer"]) == {"ip"}
    assert found["dst_ip"].tolist() == [f["dst_ip"] for f in FLOWS]
    assert {"application_name", "vlan_id", "request_count", "packet_size"} <= set(found.columns)


@pytest.mark.parametrize("layer", ["ethernet", "ip", "payload"])
def test_bytes_are_those_of_the_declared_layer(capture, nfstream, layer):
    found = flows(capture, bytes=layer)
    extra = {"ethernet": lambda f: ETHERNET, "ip": lambda f: 0, "payload": lambda f: -headers(f)}[layer]
    assert found["bytes_sent"].tolist() == [f["bytes_sent"] + f["packets_sent"] * extra(f) for f in FLOWS]
    assert found["bytes_received"].tolist() == [f["bytes_received"] + f["packets_received"] * extra(f) for f in FLOWS]
    assert set(found["byte_layer"]) == {layer}


def test_ethernet_is_the_default_as_nfstream_has_it(capture, nfstream):
    assert set(flows(capture)["byte_layer"]) == {"ethernet"}


def test_the_process_keeps_its_cores(capture, nfstream):
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    before = os.sched_getaffinity(0)
    flows(capture)
    assert os.sched_getaffinity(0) == before


def test_a_capture_that_is_cut_off_is_told(capture, nfstream):
    capture.write_bytes(capture.read_bytes()[:-10])
    source = PcapSource(PcapConfig())
    found = pd.concat(source.tables(capture, batch_rows=100))
    assert source.notes() == [f"the capture is cut off within packet {packets():,}, which is in no flow"]
    assert found["packets_received"].sum() + found["packets_sent"].sum() == packets() - 1


def packets():
    return sum(f["packets_sent"] + f["packets_received"] for f in FLOWS)


# ------------------------------------------------------------------ without it


def test_without_the_extra_the_message_says_what_to_install(capture, monkeypatch):
    monkeypatch.setitem(sys.modules, "nfstream", None)
    with pytest.raises(DataError, match=r'NFStream, which is not installed\n.*pip install "jenga-security\[pcap\]"'):
        flows(capture)


def test_a_log_that_is_no_capture_is_told_with_the_source_that_reads_it(tmp_path):
    path = tmp_path / "conn.pcap"
    path.write_text(flow_formats.zeek_tsv(flow_formats.sample()))
    with pytest.raises(DataError, match=r"not a capture of packets.*\n.*security/zeek-conn"):
        flows(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x1f\x8bxxxx", "decompress"),
        (b"hello world", "not a capture"),
        (b"\xd4\xc3", "not a capture"),
    ],
)
def test_what_is_no_capture(tmp_path, data, message):
    path = tmp_path / "some.pcap"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        whole_packets(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_cut_of_a_capture_is_noticed(tmp_path, order):
    record = struct.pack(order + "IIII", 1, 2, 60, 60) + bytes(60)
    whole = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + 3 * record
    path = tmp_path / "some.pcap"
    for end in range(GLOBAL, len(whole) + 1):
        path.write_bytes(whole[:end])
        left = (end - GLOBAL) % (RECORD + 60)
        told = whole_packets(path)
        assert (told is None) == (left == 0), end
        assert told is None or f"within packet {(end - GLOBAL) // (RECORD + 60) + 1}," in told


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_cut_of_a_pcapng_is_noticed(tmp_path, order):
    def block(kind, body):
        return struct.pack(order + "II", kind, 12 + len(body)) + body + struct.pack(order + "I", 12 + len(body))

    blocks = [
        block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(1, bytes(8)),
        block(6, bytes(40)),
    ]
    ends = set(np.cumsum([len(b) for b in blocks]).tolist())
    path, whole = tmp_path / "some.pcapng", b"".join(blocks)
    for end in range(12, len(whole) + 1):
        path.write_bytes(whole[:end])
        assert (whole_packets(path) is None) == (end in ends), end


def test_a_length_that_cannot_be_is_damage_and_not_memory(tmp_path):
    path = tmp_path / "some.pcap"
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 1, 2, 2**31, 60))
    with pytest.raises(DataError, match="packet 1 says that it is 2,147,483,648 bytes long"):
        whole_packets(path)


def test_a_capture_cannot_be_followed(tmp_path):
    with pytest.raises(DataError, match="cannot be followed"):
        PcapSource(PcapConfig()).live().feed([b"x"])
