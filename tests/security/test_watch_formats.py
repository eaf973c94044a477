"""Alerts as ECS, OCSF and CEF: what the standards ask for, and nothing that a log's cells can break out of."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jenga_security.watch.formats import FORMATS, Alert, cef, cef_header, cef_value, ecs, ocsf

ROW = {
    "ts_start": 1767225600.25, "src_ip": "10.0.0.5", "src_port": 51000.0, "dst_ip": "192.0.2.80", "port": 443.0,
    "protocol": 6.0, "bytes_sent": 320.0, "bytes_received": 1320.0, "state": "SF",
}  # fmt: skip


def alert(**more) -> Alert:
    given = {
        "uid": "ab12", "task": "threat", "label": "attack", "score": 0.97, "threshold": 0.9, "time": 1767225600.25,
        "seen": 1767225601.5, "model": "first", "log": "/var/log/conn.log", "row": ROW,
    }  # fmt: skip
    return Alert(**{**given, **more})


def test_ecs_has_the_fields_of_an_alert():
    found = json.loads(ecs(alert()))
    assert found["@timestamp"] == "2026-01-01T00:00:00.250Z"
    assert found["event"]["kind"] == "alert"
    assert found["event"]["id"] == "ab12"
    assert found["source"] == {"ip": "10.0.0.5", "port": 51000, "bytes": 320}
    assert found["destination"] == {"ip": "192.0.2.80", "port": 443, "bytes": 1320}
    assert found["network"] == {"iana_number": "6", "transport": "tcp"}
    assert found["jenga"]["row"] == ROW
    assert "source" not in json.loads(ecs(alert(row={"amount": 5})))


def test_ocsf_is_a_detection_finding():
    found = json.loads(ocsf(alert()))
    assert (found["class_uid"], found["category_uid"], found["activity_id"], found["type_uid"]) == (2004, 2, 1, 200401)
    assert found["type_uid"] == 100 * found["class_uid"] + found["activity_id"]
    assert found["time"] == 1767225600250
    assert found["finding_info"]["uid"] == "ab12"
    assert found["severity_id"] in (3, 4)
    assert found["evidences"][0]["dst_endpoint"] == {"ip": "192.0.2.80", "port": 443}
    assert {"version", "product"} <= found["metadata"].keys()
    assert "evidences" not in json.loads(ocsf(alert(row={"amount": 5})))


def test_cef_has_its_header_and_fields():
    line = cef(alert())
    assert line.startswith("CEF:0|Jenga|jenga-security|")
    assert " src=10.0.0.5 " in line
    assert " dpt=443 " in line
    assert "externalId=ab12" in line


def test_severity_follows_the_score():
    low, high = (json.loads(ocsf(alert(score=score)))["severity_id"] for score in (0.9, 0.99))
    assert low < high


def parsed(line: str) -> tuple[list[str], dict[str, str]]:
    """A CEF line read as its standard says: seven fields between bare pipes, then key=value with escapes undone."""
    parts = re.split(r"(?<!\\)((?:\\\\)*)\|", line)
    fields = ["".join(parts[at : at + 2]) for at in range(0, 14, 2)]
    extension = line[sum(len(field) + 1 for field in fields) :]
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", re.sub(r"\\.", "..", extension)))
    ends = [key.start() for key in keys[1:]] + [len(extension)]
    values = {
        key[1]: re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), extension[key.end() : end])
        for key, end in zip(keys, ends, strict=True)
    }
    return [re.sub(r"\\(.)", r"\1", field) for field in fields], values


HOSTILE = st.text(st.one_of(st.sampled_from("|\\=\n\r \x00\x1b\x85\u2028a"), st.characters()), max_size=40)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_cell_can_end_a_line_or_a_field_of_cef(word, address, task):
    line = cef(alert(label=word, task=task, row={**ROW, "src_ip": address, "note": word}))
    assert len(line.splitlines()) == 1
    line.encode()
    fields, values = parsed(line)
    assert fields[:3] == ["CEF:0", "Jenga", "jenga-security"]
    assert len(fields) == 7
    assert list(values)[:3] == ["rt", "start", "externalId"]
    assert set(values) == {
        "rt", "start", "externalId", "src", "spt", "dst", "dpt", "out", "in", "cs1Label", "cs1", "cs2Label", "cs2",
        "cs3Label", "cs3", "cfp1Label", "cfp1", "cfp2Label", "cfp2", "fname",
    }  # fmt: skip
    assert values["externalId"] == "ab12"


@given(st.text(st.sampled_from("|\\=\n\rab"), max_size=30))
def test_values_of_cef_come_back(text):
    undone = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), cef_value(text))
    assert undone == text
    assert "\n" not in cef_header(text)
    assert re.sub(r"\\(.)", r"\1", cef_header(text)) == text.replace("\n", " ").replace("\r", " ")


@pytest.mark.parametrize("form", ["ecs", "ocsf"])
@given(HOSTILE)
def test_json_alerts_are_one_line_and_read_back(form, word):
    line = FORMATS[form](alert(row={**ROW, "note": word}))
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert (found.get("jenga") or found["unmapped"])["row"]["note"] == word


@pytest.mark.parametrize(
    ("cell", "want"),
    [("443", 443), (443.0, 443), (443, 443), ("-1", -1), ("0", 0), ("007", None), ("443.0", None), ("x", None), ("\u0664", None),
     (443.5, None), (True, None), (10**40, None), ("9" * 5000, None), ([443], None), (None, None)],
)  # fmt: skip
def test_ports_are_whole_numbers_also_where_a_column_is_text(cell, want):
    found = json.loads(ecs(alert(row={**ROW, "port": cell})))
    assert found["destination"].get("port") == want
