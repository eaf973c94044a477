"""Sources of flows: golden logs, one schema whatever the tool, and what happens to input that is wrong."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import flow_formats
from jenga_core.api import SourceSpec
from jenga_core.config import DataConfig
from jenga_core.errors import DataError
from jenga_core.registry import Registry
from jenga_core.tables import load_table
from jenga_security import plugin

LOGS = Path(__file__).parent / "logs"
REGISTRY = Registry.of(security=plugin)


def source(kind: str, **options):
    kind = f"security/{kind}"
    return REGISTRY.factory(kind, SourceSpec)(REGISTRY.config_class(kind, SourceSpec)(kind=kind, **options))


def read(kind: str, path: Path, **options) -> pd.DataFrame:
    return pd.concat(list(source(kind, **options).tables(path, batch_rows=3)))


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "some.log"


def cells(values) -> list:
    return [None if pd.isna(v) else v for v in values]


# ------------------------------------------------------------------ golden logs


def test_zeek_over_a_rotation(log):
    frame = read("zeek-conn", LOGS / "conn.log")
    assert frame.index.tolist() == list(range(6))
    assert cells(frame.src_ip) == ["10.0.0.5", "10.0.0.5", "2001:db8::5", "10.0.0.5", "10.0.0.5", "2001:db8::5"]
    assert cells(frame.ts_start)[:5] == [1767225600.25, 1767225601.32, 1767225602.34, 1767225603.34, 1767225590.0]
    assert cells(frame.protocol) == [6, 17, 17, 1, 6, 58]
    assert cells(frame.port) == [443, 53, 53, 0, 80, 0]
    assert cells(frame.icmp_type) == [None, None, None, 8, None, 128]
    assert cells(frame.duration) == [0.07, 0.02, None, 0.1, 20.5, None]
    assert cells(frame.bytes_sent) == [320, 58, 78, 84, 1368, 104]
    assert cells(frame.request_count) == [1, 2, 1, 3, 1, 2]
    assert cells(frame.service) == ["ssl", "dns", "dns", None, "http,ssl", None]
    assert set(frame.byte_layer) == {"ip"}
    assert frame.packet_size[0] == pytest.approx(1640 / 6)


def test_the_payload_of_zeek_where_it_is_asked_for():
    frame = read("zeek-conn", LOGS / "conn.log", bytes="payload")
    assert cells(frame.bytes_sent) == [200, 30, None, 56, 1000, None]
    assert set(frame.byte_layer) == {"payload"}
    assert cells(frame.orig_ip_bytes)[0] == 320  # what was not asked for passes through


def test_zeek_writes_the_same_as_json():
    tsv, objects = read("zeek-conn", LOGS / "conn.log"), read("zeek-conn", LOGS / "conn.json")
    both = [c for c in tsv.columns if c not in ("local_orig", "tunnel_parents")]  # T is true there
    pd.testing.assert_frame_equal(tsv[both], objects[both])


def test_suricata_flows():
    eve = source("suricata-eve")
    frame = pd.concat(list(eve.tables(LOGS / "eve.json", batch_rows=10)))
    assert cells(frame.ts_start) == [1767225600.25, 1767225601.32, 1767225603.34]
    assert cells(frame.duration) == [0.07, 0.02, 0.0]
    assert cells(frame.bytes_sent) == [362, 72, 118]
    assert cells(frame.protocol) == [6, 17, 58]
    assert cells(frame.src_ip)[2] == "2001:db8::5"
    assert cells(frame["flow.alerted"]) == ["true", "false", "false"]
    assert set(frame.byte_layer) == {"ethernet"}
    assert eve.notes() == ["3 events skipped: alert 1, dns 1, stats 1"]


def test_suricata_alerts():
    frame = read("suricata-eve", LOGS / "eve.json", event="alert")
    assert cells(frame["alert.signature_id"]) == [2018358]
    assert cells(frame.ts_start) == [1767225600.25]
    assert cells(frame.timestamp) == ["2026-01-01T03:00:00.300000+0300"]


def test_what_nfdump_1_7_1_wrote():
    frame = read("nfdump", LOGS / "nfdump.csv")
    assert cells(frame.ts_start) == [1767225603, 1767225600, 1767225603, 1767225602, 1767225601]
    assert cells(frame.duration) == [0, 0.07, 0, 0, 0.02]
    assert cells(frame.bytes_received) == [0, 1320, 0, 0, 118]
    assert cells(frame.icmp_type) == [0, None, 8, None, None]
    one = read("nfdump", LOGS / "nfdump.json")
    assert cells(one.ts_start)[5] == 1767225600.25
    assert cells(one.duration)[5] == 0.06
    assert cells(one.icmp_type) == [None, None, None, 8, 0, None, None]
    assert cells(one.bytes_received) == [None] * 7
    assert one.label.isna().all()  # nfdump's <none>


def test_the_times_of_nfdump_are_local(log):
    frame = read("nfdump", LOGS / "nfdump.csv", timezone="Africa/Nairobi")
    assert frame.ts_start[0] == 1767225603 - 3 * 3600


def test_the_short_csv_of_later_nfdump(log):
    log.write_text(
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows\n"
        "2026-01-01 00:00:00.250,0.060,TCP,10.0.0.5,51000,192.0.2.80,443,3,320,1\n"
    )
    frame = read("nfdump", log)
    assert frame.loc[0, ["ts_start", "port", "bytes_sent"]].tolist() == [1767225600.25, 443, 320]


SHORT = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows\n"


def flow_of(protocol, port, duration="0.5"):
    return f"2026-01-01 00:00:01.123,{duration},{protocol},10.0.0.5,0,192.0.2.8,{port},2,168,1\n"


@pytest.mark.parametrize(
    ("protocol", "port", "expected"),
    [
        ("ICMP", "8.0", (8, 0)),
        ("1", "0.0", (0, 0)),
        ("1", "3.0", (3, 0)),
        ("1", "3.1", (3, 1)),
        ("1", "3.10", (3, 10)),
        ("58", "128.0", (128, 0)),
        ("ICMP6", "1.255", (1, 255)),
        ("1", "2048", (8, 0)),
        ("1", "778", (3, 10)),
        ("1", "0", (0, 0)),
    ],
)
def test_type_and_code_of_icmp_in_every_version_of_nfdump(log, protocol, port, expected):
    """output_csv.c of nfdump 1.7.5, ICMP_Port_decode: "%u.%u"; before type * 256 + code (RFC 792, RFC 4443)."""
    log.write_text(SHORT + flow_of(protocol, port) + flow_of("TCP", "443"))
    frame = read("nfdump", log)
    assert cells(frame.icmp_type) == [expected[0], None]
    assert cells(frame.icmp_code) == [expected[1], None]
    assert cells(frame.port) == [0, 443]


@pytest.mark.parametrize(
    ("protocol", "port", "message"),
    [
        ("TCP", "443.0", "column 'dstPort': '443.0' has a dot, which nfdump writes for ICMP only"),
        ("1", "256.0", "column 'dstPort': '256.0' is not one of 0.0 to 255.255, type.code of ICMP"),
        ("1", "3.1.1", "column 'dstPort': '3.1.1' is not a port"),
        ("1", "3.1e0", "column 'dstPort': port 3.1e0 is not one of"),
    ],
)
def test_ports_with_a_dot_that_nfdump_does_not_write(log, protocol, port, message):
    log.write_text(SHORT + flow_of(protocol, port))
    with pytest.raises(DataError, match=re.escape(message)):
        read("nfdump", log)


def test_a_port_with_a_dot_is_taken_as_missing_where_that_is_asked_for(log):
    log.write_text(SHORT + flow_of("TCP", "80.0") + flow_of("1", "8.0") + flow_of("1", "999.0"))
    frame = read("nfdump", log, invalid="missing")
    assert cells(frame.port) == [None, 0, 0]
    assert cells(frame.icmp_type) == [None, 8, None]


def test_custom_formats_of_nfdump(log):
    """Any order, all names; csv-fast has times in milliseconds, and the end in place of the duration."""
    log.write_text(
        "proto,firstSeen,srcAddr,srcPort,dstAddr,dstPort,inPackets,inBytes,outPackets,outBytes,flags,icmpTYpe,icmpCode,mine\n"
        "6,2026-01-01 00:00:01.123,10.0.0.5,51000,192.0.2.8,443,3,320,4,1320,...AP.SF,0,0,x\n"
        "1,2026-01-01 00:00:01.123,10.0.0.5,0,192.0.2.8,3.10,1,60,0,0,........,3,10,y\n"
    )
    nfdump = source("nfdump")
    frame = pd.concat(nfdump.tables(log, batch_rows=100))
    assert cells(frame.bytes_sent) == [320, 60]
    assert cells(frame.bytes_received) == [1320, 0]
    assert cells(frame.packets_received) == [4, 0]
    assert cells(frame.state) == ["...AP.SF", "........"]
    assert cells(frame.icmp_code) == [None, 10]
    assert cells(frame.mine) == ["x", "y"]
    assert nfdump.notes() == [
        "columns that nfdump does not name so, passed through as they are: mine",
        "the log has no column for duration (td, duration): missing in every row",
    ]
    log.write_text(
        "cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,srcAS,dstAS,input,output,flags,srcTos,packets,bytes\n"
        "1,2,1767225600250,1767225600310,1,10.0.0.5,0,192.0.2.8,2048,0,0,1,2,........,0,1,84\n"
    )
    fast = read("nfdump", log)
    assert fast.loc[0, ["ts_start", "duration", "icmp_type", "bytes_sent"]].tolist() == [1767225600.25, 0.06, 8, 84]


def test_a_renamed_column_is_told_and_not_four_columns_of_nothing(log):
    log.write_text(SHORT.replace("packets,bytes", "pakets,octets") + flow_of("TCP", "443"))
    nfdump = source("nfdump")
    frame = pd.concat(nfdump.tables(log, batch_rows=100))
    assert frame.bytes_sent.isna().all()
    assert nfdump.notes()[0].endswith("passed through as they are: pakets, octets")
    assert "no column for bytes_sent (ibyt, bytes, inBytes, in_bytes), bytes_received" in nfdump.notes()[1]


@pytest.mark.parametrize(
    ("written", "seconds"), [("4.096", 4.096), ("00:00:04.096", 4.096), ("2d 01:00:00.5", 176400.5)]
)
def test_a_duration_of_nfdump_is_seconds_or_a_clock(log, written, seconds):
    log.write_text(SHORT + flow_of("TCP", "443", written))
    assert cells(read("nfdump", log).duration) == [seconds]


def test_unsw_nb15():
    frame = read("unsw-nb15", LOGS / "unsw_nb15.csv")
    assert cells(frame.protocol) == [6, 17, None, 89]  # ARP is no IP protocol
    assert cells(frame.attack_cat) == ["Normal", "Generic", "Normal", "Fuzzers"]
    assert "ts_start" not in frame
    raw = read("unsw-nb15", LOGS / "unsw_nb15_raw.csv", window=60)
    assert cells(raw.src_ip) == ["59.166.0.0", "175.45.176.1"]
    assert cells(raw.ts_start) == [1421927414, 1421927420]
    assert cells(raw.request_count) == [1, 1]
    assert cells(raw.attack_cat) == [None, "Reconnaissance"]


def test_cicids_2017():
    cic = source("cicids", encoding="cp1252")
    frame = pd.concat(list(cic.tables(LOGS / "cicids2017.csv", batch_rows=10)))
    assert cells(frame.duration) == [0.07, 0.02, 0.0, None]
    assert cells(frame.Label) == ["BENIGN", "BENIGN", "DoS Hulk", "Web Attack – Brute Force"]
    assert frame["Flow Bytes/s"][2] == np.inf
    assert {"Fwd Header Length", "Fwd Header Length.1"} <= set(frame.columns)
    assert set(frame.byte_layer) == {"payload"}
    assert cic.notes()[:2] == [
        "1 header lines amid the rows skipped",
        "1 cells taken as missing: Flow Duration: negative duration",
    ]
    with pytest.raises(DataError, match=r"line 6.*\n.*kind: security/cicids, encoding: cp1252"):
        read("cicids", LOGS / "cicids2017.csv")


def test_cicids_2018():
    frame = read("cicids", LOGS / "cicids2018.csv")
    assert cells(frame.ts_start) == [1518597061, 1518597230, 1518597399]
    assert cells(frame.packets_sent) == [3, 15, 14]


def test_nsl_kdd():
    frame = read("nsl-kdd", LOGS / "nsl_kdd.txt")
    assert frame.shape == (3, 42)
    assert cells(frame.label) == ["normal", "normal", "neptune"]
    assert cells(read("nsl-kdd", LOGS / "nsl_kdd.txt", difficulty=True).difficulty) == [21, 18, 20]


# ------------------------------------------------------------------ one schema


def test_all_tools_tell_the_same_of_the_same_flows(tmp_path):
    flows = flow_formats.sample()
    frames = {}
    for kind, write in flow_formats.WRITERS.items():
        path = tmp_path / f"{kind}.log"
        path.write_text(write(flows))
        frames[kind] = read(kind, path, window=60)
    first = frames["zeek-conn"]
    for kind, frame in frames.items():
        same = [c for c in first.columns if c in frame.columns and c not in ("byte_layer", "uid")]
        assert {"ts_start", "src_ip", "request_count", "packet_size"} <= set(same), kind
        pd.testing.assert_frame_equal(first[same], frame[same], obj=kind)


@pytest.mark.parametrize("kind", [*flow_formats.WRITERS, "nsl-kdd"])
def test_only_the_columns_that_are_asked_for(tmp_path, kind):
    path = tmp_path / "some.log"
    path.write_text(flow_formats.nsl_kdd() if kind == "nsl-kdd" else flow_formats.WRITERS[kind](flow_formats.sample()))
    made = source(kind)
    wanted = made.columns(path)[-3:]
    found = pd.concat(list(made.tables_of(path, wanted, batch_rows=5)))
    pd.testing.assert_frame_equal(found, read(kind, path)[wanted])


@pytest.mark.parametrize(("kind", "name"), [("zeek-conn", "conn.log"), ("suricata-eve", "eve.json")])
def test_compressed(tmp_path, kind, name):
    with open(LOGS / name, "rb") as plain, gzip.open(tmp_path / f"{name}.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    pd.testing.assert_frame_equal(read(kind, tmp_path / f"{name}.gz"), read(kind, LOGS / name))


def test_a_live_log_gives_the_rows_of_the_file():
    live, pieces = source("zeek-conn").live("conn.log"), []
    lines = (LOGS / "conn.log").read_bytes().splitlines()
    for at in range(0, len(lines), 2):
        pieces.append(live.feed(lines[at : at + 2]))
    whole = pd.concat(list(source("zeek-conn").written(LOGS / "conn.log", None, batch_rows=3)))
    fed = pd.concat([p for p in pieces if len(p)])
    assert fed.index.tolist() == whole.index.tolist()
    for name in whole.columns:
        assert cells(fed[name]) == cells(whole[name]), name


def test_columns_that_pass_through_are_text_until_training_decides():
    """Then what one of them is does not turn on the lines that are read together."""
    log = source("zeek-conn")
    written = pd.concat(list(log.written(LOGS / "conn.log", None, batch_rows=3)))
    own = log.untyped(list(written.columns))
    assert own
    assert {str(written[name].dtype) for name in own} == {"str"}
    kind = REGISTRY.config_class("security/zeek-conn", SourceSpec)(kind="security/zeek-conn")
    section = DataConfig(path=str(LOGS / "conn.log"), source=kind)
    table = load_table("t", section, registry=REGISTRY, seed=0)
    pd.testing.assert_frame_equal(table.frame, read("zeek-conn", LOGS / "conn.log"), check_dtype=False)


def test_a_live_log_says_what_it_skipped():
    live = source("suricata-eve", invalid="missing").live()
    assert len(live.feed((LOGS / "eve.json").read_bytes().splitlines())) == 3
    assert live.notes == ["3 events skipped: alert 1, dns 1, stats 1"]
    assert live.feed([]).empty


def test_what_was_skipped_is_a_note_of_the_table(monkeypatch):
    monkeypatch.chdir(LOGS)
    kind = "security/suricata-eve"
    config = DataConfig(path="eve.json", source=REGISTRY.config_class(kind, SourceSpec)(kind=kind))
    table = load_table("t", config, base=LOGS, registry=REGISTRY, seed=0)
    assert "eve.json: 3 events skipped: alert 1, dns 1, stats 1" in table.notes


def test_options_import_neither_torch_nor_pandas():
    code = "import sys, jenga_security.flows.config; print(*(m for m in ('torch', 'pandas', 'pyarrow') if m in sys.modules))"
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


# ------------------------------------------------------------------ cells that cannot be


def changed(path: Path, write, **cell) -> None:
    flows = flow_formats.sample(4)
    flows[2] |= cell
    path.write_text(write(flows))


def test_a_port_of_70000(log):
    changed(log, flow_formats.zeek_tsv, port=70000)
    with pytest.raises(DataError, match=r"some.log, line 9, column 'id.resp_p': port 70000 is not one of 0 to 65535"):
        read("zeek-conn", log)
    lenient = source("zeek-conn", invalid="missing")
    frame = pd.concat(list(lenient.tables(log, batch_rows=10)))
    assert cells(frame.port) == [443, 53, None, 53]
    assert lenient.notes() == ["1 cells taken as missing: id.resp_p: port outside 0 to 65535"]


@pytest.mark.parametrize(("kind", "write"), [("zeek-conn", flow_formats.zeek_tsv), ("suricata-eve", flow_formats.eve)])
def test_a_negative_duration(log, kind, write):
    changed(log, write, duration=-0.25)
    with pytest.raises(DataError, match=r"line \d.*the duration of -0.25 s is negative\n  next: .*invalid: missing"):
        read(kind, log)
    assert cells(read(kind, log, invalid="missing").duration) == [0, 0.125, None, 0.375]


def test_an_ipv4_mapped_address_is_the_host_that_it_maps(log):
    changed(log, flow_formats.zeek_tsv, src_ip="::ffff:10.0.0.0")
    frame = read("zeek-conn", log)
    assert frame.src_ip[2] == "10.0.0.0"
    assert frame.request_count[3] == 3  # flows 0, 2 and 3


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"src_ip": "10.0.0.300"}, "'10.0.0.300' is no.* IP address"),
        ({"bytes_sent": -5}, "'-5' is not a whole number of 0 or more"),
        ({"bytes_sent": "1.2 M"}, "'1.2 M' is not a number"),
        ({"ts_start": 1767225600250.0 * 1000}, "is not within 1970 to 2100"),
        ({"ts_start": float("inf")}, "is not within 1970 to 2100"),
    ],
)
def test_other_cells_that_cannot_be(log, cell, message):
    changed(log, flow_formats.zeek_tsv, **{k: v for k, v in cell.items() if k != "bytes_sent"})
    if "bytes_sent" in cell:
        log.write_text(log.read_text().replace("\t260\t", f"\t{cell['bytes_sent']}\t"))
    with pytest.raises(DataError, match=f"line 9.*{message}"):
        read("zeek-conn", log)


def test_milliseconds_are_seen_to_be_milliseconds(log):
    rows = [json.loads(line) for line in flow_formats.zeek_json(flow_formats.sample()).splitlines()]
    log.write_text("".join(json.dumps(row | {"ts": round(row["ts"] * 1000)}) + "\n" for row in rows))
    assert read("zeek-conn", log).ts_start.tolist() == [f["ts_start"] for f in flow_formats.sample()]


def test_a_clock_that_is_set_back_stays_as_the_log_has_it(log):
    flows = flow_formats.sample(6)
    for f in flows[3:]:
        f["ts_start"] -= 3600
    log.write_text(flow_formats.zeek_tsv(flows))
    frame = read("zeek-conn", log)
    assert frame.ts_start.tolist() == [f["ts_start"] for f in flows]
    assert frame.request_count.tolist() == [1] * 6


# ------------------------------------------------------------------ byte layers


def test_the_wrong_layer_is_noticed(log):
    log.write_text(flow_formats.eve([flow_formats.sample()[1] | {"packets_sent": 1, "bytes_sent": 28}]))
    with pytest.raises(DataError, match=r"28 bytes in 1 packets: at the layer 'ethernet' each has 34 or more"):
        read("suricata-eve", log)
    assert cells(read("suricata-eve", log, bytes="ip").bytes_sent) == [28]


def test_the_byte_layer_declared_twice(log):
    row = json.loads(flow_formats.zeek_json(flow_formats.sample(1)))
    log.write_text(json.dumps(row | {"byte_layer": "payload"}) + "\n")
    with pytest.raises(
        DataError, match=r"byte layer is declared twice.*column byte_layer.*security/zeek-conn, as 'ip'"
    ):
        read("zeek-conn", log)


def test_a_column_of_the_schema_in_the_log_itself(log):
    row = json.loads(flow_formats.zeek_json(flow_formats.sample(1)))
    log.write_text(json.dumps(row | {"packet_size": 3}) + "\n")
    with pytest.raises(DataError, match="'packet_size' is there twice"):
        read("zeek-conn", log)


def test_a_layer_that_the_source_does_not_count():
    with pytest.raises(ValidationError):
        source("zeek-conn", bytes="ethernet")


# ------------------------------------------------------------------ logs that are something else, or damaged


@pytest.mark.parametrize("kind", [*flow_formats.WRITERS, "nsl-kdd"])
@pytest.mark.parametrize("other", [*flow_formats.WRITERS, "nsl-kdd"])
def test_a_log_of_another_tool(log, kind, other):
    if kind == other:
        return
    log.write_text(flow_formats.nsl_kdd() if other == "nsl-kdd" else flow_formats.WRITERS[other](flow_formats.sample()))
    with pytest.raises(DataError, match=r"some\.log.*this is not"):
        read(kind, log)
    with pytest.raises(DataError, match=r"some\.log.*this is not"):
        source(kind).columns(log)


def test_the_error_names_the_source_that_fits(log):
    log.write_text(flow_formats.cicids(flow_formats.sample()))
    with pytest.raises(DataError, match="next: source: security/cicids"):
        read("unsw-nb15", log)


def test_another_log_of_zeek(log):
    log.write_text(flow_formats.zeek_tsv(flow_formats.sample()).replace("#path\tconn", "#path\tdns"))
    with pytest.raises(DataError, match=r"line 5: this is not Zeek's conn.log but dns.log"):
        read("zeek-conn", log)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("zeek-conn", "", "no rows of Zeek's conn.log"),
        ("zeek-conn", flow_formats.zeek_tsv([]), "no rows of Zeek's conn.log"),
        ("zeek-conn", flow_formats.zeek_tsv(flow_formats.sample(2), close=False)[:-30], "line 8: the file is cut off here"),
        ("zeek-conn", flow_formats.zeek_tsv(flow_formats.sample(2)) + "a\tb\n", "line 10: has 2 cells, not 13"),
        ("suricata-eve", flow_formats.eve(flow_formats.sample(2))[:-30], "line 2.*cut off"),
        ("suricata-eve", flow_formats.eve(flow_formats.sample(2)).replace("10.0.0.0", '10"', 1), "line 1: invalid JSON"),
        ("suricata-eve", '{"event_type": "flow", "event_type": "dns"}\n', "line 1: the key 'event_type' is there twice"),
        ("suricata-eve", '{"event_type": "dns"}\n', "no rows of Suricata's eve.json: 1 events skipped: dns 1"),
        ("suricata-eve", "[1, 2]\n", "line 1: this is not Suricata's eve.json: '.1, 2.'"),
        ("suricata-eve", flow_formats.eve(flow_formats.sample(1)) + "7\n", "line 2: a row must be an object"),
        ("suricata-eve", '{"ts": 1, "id.orig_h": 2, "id.resp_h": 3}\n', "no event_type\n.*\n  next: source: security/zeek-conn"),
        ("nfdump", "No matching flows\n", "no rows of output of nfdump"),
        ("nfdump", "[\nNo matching flows\n]\n", "no rows of output of nfdump"),
        ("nfdump", "ts,te,td,sa,da,sp,dp,pr\nNo matched flows\n", "no rows of output of nfdump"),
        ("nfdump", "ts,te,td,sa,da,sp,dp,dp\n", "line 1: the header names 'dp' twice"),
        ("nfdump", flow_formats.nfdump_json(flow_formats.sample(2))[:-40], "cut off"),
        ("unsw-nb15", flow_formats.unsw(flow_formats.sample(2)) + "1,2\n", "line 4: has 2 cells, not 13"),
        ("nsl-kdd", flow_formats.nsl_kdd().replace(",21", ""), "no column of difficulty"),
    ],
)  # fmt: skip
def test_damaged_files(log, kind, content, message):
    log.write_text(content)
    with pytest.raises(DataError, match=message):
        read(kind, log, **({"difficulty": True} if kind == "nsl-kdd" else {}))


def test_logs_of_different_fields_in_one_file(log):
    one = flow_formats.zeek_tsv(flow_formats.sample(2))
    log.write_text(one + one.replace("\tuid", "\tvlan"))
    with pytest.raises(DataError, match=r"line 15: the log that begins here lacks uid and has vlan more"):
        read("zeek-conn", log)


def test_fields_in_another_order_are_put_in_the_first_one(log):
    first, second = flow_formats.zeek_tsv(flow_formats.sample(2)), flow_formats.zeek_tsv(flow_formats.sample(2))
    turned = [
        "\t".join(cells[:1] + cells[2:] + cells[1:2]) if len(cells := line.split("\t")) > 5 else line
        for line in second.replace("#fields\t", "").splitlines()
    ]
    turned = [("#fields\t" + line if line.startswith("ts\t") else line) for line in turned]
    log.write_text(first + "\n".join(turned) + "\n")
    frame = read("zeek-conn", log)
    assert frame.uid.tolist() == ["C0", "C1"] * 2
    assert frame.port.tolist() == [443, 53] * 2


def test_an_unknown_time_zone():
    with pytest.raises(ValidationError, match="unknown time zone 'Nairobi'"):
        source("nfdump", timezone="Nairobi")


def test_request_count_needs_time_and_source():
    with pytest.raises(DataError, match=r"request_count needs.*\n.*window: null"):
        read("cicids", LOGS / "cicids2018.csv", window=60)


# ------------------------------------------------------------------ details


def test_packet_size_of_one_direction_and_of_an_unknown_one(log):
    log.write_text(
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,out_bytes,opkt,flows\n"
        "2026-01-01 00:00:00,0.060,TCP,10.0.0.5,51000,192.0.2.80,443,3,300,,,1\n"
        "2026-01-01 00:00:00,0.060,TCP,10.0.0.5,51000,192.0.2.80,443,3,300,,2,1\n"
        "2026-01-01 00:00:00,0.060,TCP,10.0.0.5,51000,192.0.2.80,443,3,300,200,2,1\n"
    )
    assert cells(read("nfdump", log).packet_size) == [100, None, 100]


def test_a_live_log_goes_on_after_a_line_that_cannot_be_read():
    live = source("suricata-eve").live("eve.json")
    good = flow_formats.eve(flow_formats.sample(2)).encode().splitlines()
    with pytest.raises(DataError, match=r"eve\.json, line [12]: invalid JSON"):
        live.feed([good[0][:80], good[0]])
    assert len(live.feed(good)) == 2


@pytest.mark.parametrize("zone", ["+0300", "+03:00", "+03"])
def test_zones_of_times(log, zone):
    log.write_text(flow_formats.eve(flow_formats.sample(2)).replace("+0000", zone))
    assert read("suricata-eve", log).ts_start.tolist() == [1767225600.25 - 10800, 1767225607.25 - 10800]
