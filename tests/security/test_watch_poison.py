"""`jenga watch` over what an attacker writes into a log: nothing stops it, and no row beside it loses its alert."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jenga_core.api import SourceSpec
from jenga_core.errors import DataError, HookError
from jenga_core.registry import Registry
from jenga_security.watch import alarms
from jenga_security.watch.alarms import plain
from jenga_security.watch.formats import FORMATS, moment
from jenga_security.watch.rows import Reader, reason, sift
from jenga_security.watch.watcher import Watcher

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz_logs.py"


@pytest.fixture(scope="module")
def fuzz() -> Any:
    found = importlib.util.spec_from_file_location("fuzz_logs", FUZZ)
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    sys.modules["fuzz_logs"] = module  # its dataclasses look for it there
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(fuzz, tmp_path_factory) -> Any:
    return fuzz.trained(tmp_path_factory.mktemp("poison") / "run")


def source(kind: str) -> Any:
    registry = Registry.discover()
    return registry.factory(kind, SourceSpec)(registry.config_class(kind, SourceSpec)(kind=kind))


def watched(predictor: Any, log: Path, kind: str, form: str = "ecs") -> tuple[Watcher, list[str], list[dict[str, Any]]]:
    told: list[str] = []
    watch = Watcher(predictor, log, log.with_suffix(".alerts"), source(kind), form=form, tell=told.append)
    watch.start(from_start=True)
    while watch.step():
        pass
    watch.close()
    lines = log.with_suffix(".alerts").read_text().splitlines()
    return watch, told, [json.loads(line) for line in lines] if form == "ecs" else []


def good(fuzz: Any, rows: int = 40) -> list[str]:
    return [json.dumps(row) for row in fuzz.flows(rows, 5).to_dict("records")]


def row(fuzz: Any, **more: Any) -> str:
    """One that raises an alert, with other cells: those of `more` as JSON has them."""
    cells = {**fuzz.flows(1, 6).to_dict("records")[0], "bytes": 1e5, "uid": "poison"}
    return "{" + ", ".join(f'"{k}": {more.get(k, json.dumps(v))}' for k, v in ({**cells, **more}).items()) + "}"


@pytest.mark.parametrize("form", ["ecs", "ocsf", "cef"])
@pytest.mark.parametrize("kind", ["core/csv", "core/jsonl"])
def test_a_slice_of_the_fuzz(fuzz, model, tmp_path, kind, form):
    seed = 100 + 10 * list(FORMATS).index(form) + (kind == "core/csv")
    assert fuzz.watched(model, fuzz.Log.of(kind, 40, seed), form, tmp_path, seed).faults == []


@pytest.mark.parametrize("form", ["ecs", "ocsf", "cef"])
@pytest.mark.parametrize("value", ["1e18", "-1e18", "1e300", "3e11", "NaN", "1e999", "true", '"x"', "[1]", "9" * 400])
def test_a_time_that_cannot_be_costs_no_alert(fuzz, model, tmp_path, form, value):
    """It is the time when the row was read that stands in."""
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join([*good(fuzz), row(fuzz, ts_start=value)]) + "\n")
    watch, told, found = watched(model, log, "core/jsonl", form)
    assert (watch.progress.rows, watch.progress.bad, told) == (41, 0, [])
    if form == "ecs":
        assert found[-1]["jenga"]["row"]["uid"] == "poison"
        assert found[-1]["@timestamp"] == found[-1]["event"]["created"]


@pytest.mark.parametrize("form", ["ecs", "ocsf", "cef"])
@pytest.mark.parametrize("cell", ["[1e999]", '{"a": [NaN, {"b": -1e999}]}', "[" * 500 + "]" * 500, "9" * 400])
def test_nested_cells_are_written_as_json_can_say_them(fuzz, model, tmp_path, form, cell):
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join([*good(fuzz), row(fuzz, x=cell)]) + "\n")
    watch, told, found = watched(model, log, "core/jsonl", form)
    assert (watch.progress.bad, told) == (0, [])
    if form == "ecs":
        assert found[-1]["jenga"]["row"]["uid"] == "poison"
        json.dumps(found[-1], allow_nan=False)


@pytest.mark.parametrize("form", ["ecs", "ocsf", "cef"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", r'["\ud800"]'),
        ("x", r'{"\ud800": 1}'),
        ("port", '{"a": 1}'),
        ("port", "[443]"),
        ("service", '{"a": 1}'),
        ("bytes", "[1]"),
    ],
)
def test_a_row_that_cannot_be_predicted_is_set_aside_with_its_line(fuzz, model, tmp_path, form, name, value):
    log, lines = tmp_path / "log.jsonl", good(fuzz)
    log.write_text("\n".join([*lines[:7], "", row(fuzz, **{name: value}), *lines[7:]]) + "\n")
    watch, told, _ = watched(model, log, "core/jsonl", form)
    flagged = model.predict(fuzz.flows(40, 5))["threat.label"] == "attack"
    assert watch.progress.alerts == flagged.sum() > 0
    assert watch.progress.bad == len(told) == 1
    assert told[0].startswith("left out: line 9: ")
    assert "poison" in told[0]


def test_lines_are_counted_over_batches_and_starts(fuzz, model, tmp_path, monkeypatch):
    log, lines = tmp_path / "log.csv", fuzz.flows(9, 5).to_csv(index=False).splitlines()
    bad = lines[3].replace("C5x2", "C5x2,more")
    log.write_text("\n".join([*lines[:3], bad, *lines[3:]]) + "\n")
    monkeypatch.setattr("jenga_security.watch.watcher.BATCH", 3)
    watched(model, log, "core/csv")
    with log.open("a") as file:
        file.write(f"{lines[4]}\n{bad}\n{lines[5]}\n")
    watch, told, _ = watched(model, log, "core/csv")
    assert told[0].startswith("left out: line 13: ")
    assert (watch.progress.lines, watch.progress.rows, watch.progress.bad) == (14, 11, 2)


def test_control_characters_of_a_log_are_shown_escaped(fuzz, model, tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(
        b"\n".join([line.encode() for line in good(fuzz)] + [b"\x1b]0;OWNED\x07\x1b[2J \xe2\x80\xae \xc2\x9b31m"])
        + b"\n"
    )
    _, told, _ = watched(model, log, "core/jsonl")
    assert told[0].isprintable()
    assert r"\x1b]0;OWNED\x07\x1b[2J \u202e \x9b31m" in told[0]


def test_rows_without_a_cell_to_predict_from_are_counted_however_they_come(fuzz, model, tmp_path, monkeypatch):
    """Alone in a batch they have none of the model's columns; beside others they have its columns and no cell."""
    for size in (1, 100):
        monkeypatch.setattr("jenga_security.watch.watcher.BATCH", size)
        log = tmp_path / f"log-{size}.jsonl"
        log.write_text("\n".join([*good(fuzz, 3), '{"x": 1}', *good(fuzz, 3)]) + "\n")
        watch, told, _ = watched(model, log, "core/jsonl")
        assert (watch.progress.rows, watch.progress.bad) == (7, 1)
        assert told[0].startswith("left out: line 4: no cell")


def test_more_columns_than_fit_are_read_in_smaller_pieces_and_a_row_of_too_many_is_left_out():
    lines = [json.dumps({f"k{n}x{i}": 1 for i in range(50)}).encode() for n in range(600)]
    lines[300] = json.dumps({f"w{i}": 1 for i in range(50_000)}).encode()
    bad: list[tuple[int, str]] = []
    pieces = Reader(source("core/jsonl").live("log"), lambda at, why: bad.append((at, why))).rows(lines)
    assert sum(len(piece.frame) for piece in pieces) == 599
    assert max(piece.frame.size for piece in pieces) <= 1 << 20
    assert [at for at, _ in bad] == [300]
    assert "columns" in bad[0][1]


@pytest.mark.parametrize(
    "poison", [[b'1,"x', b"GOOD,1", b'y"', b"3,4\r5,6", b"7,8\r9,9"], [b"\r", b"1,2\r3,4", b"GOOD,1"]]
)
def test_no_line_hides_the_next_one_in_a_quote(poison):
    """Lines that hold two rows make up for those that a quote swallows: their number alone proves nothing."""
    live = source("core/csv").live("log.csv")
    live.feed([b"a,b"])
    pieces = Reader(live, lambda at, why: None).rows(poison)
    assert "GOOD" in [cell for piece in pieces for cell in piece.frame["a"]]


# ------------------------------------------------------------------ what is no error of a row


def test_an_error_of_the_machine_is_none_of_a_row(fuzz, model, tmp_path, monkeypatch):
    """Where a row that could be predicted cannot be any more, the watch stops before it has passed over rows."""
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(good(fuzz)) + "\n")
    watch = Watcher(model, log, tmp_path / "alerts", source("core/jsonl"), tell=pytest.fail)
    watch.start(from_start=True)
    watch.step()
    before = watch.progress
    with log.open("a") as file:
        file.write("\n".join(good(fuzz)) + "\n")

    def broken(*args: Any, **more: Any) -> Any:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr("jenga_core.inference.score", broken)
    with pytest.raises(RuntimeError, match="the device is gone"):
        watch.step()
    watch.close()
    assert watch.progress == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_stop_is_no_error_of_a_row(error):
    def work(begin: int, end: int) -> None:
        raise error

    with pytest.raises(error):
        list(sift(0, 4, work, lambda at, why: pytest.fail("taken for a bad row")))


def test_sift_finds_every_bad_one_and_keeps_the_order():
    bad: list[int] = []

    def work(begin: int, end: int) -> list[int]:
        if {3, 4, 11} & {*range(begin, end)}:
            raise ValueError
        return [*range(begin, end)]

    found = [n for _, _, part in sift(0, 16, work, lambda at, why: bad.append(at)) for n in part]
    assert bad == [3, 4, 11]
    assert found == [n for n in range(16) if n not in bad]


def test_a_hook_that_fails_keeps_no_alert_back(fuzz, model, tmp_path, monkeypatch):
    def on_predict(**given: Any) -> None:
        raise HookError("hook acme failed in on_predict")

    monkeypatch.setattr(type(model), "hook", SimpleNamespace(on_predict=on_predict), raising=False)
    monkeypatch.delitem(vars(model), "hook")
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(good(fuzz)) + "\n")
    watch, told, found = watched(model, log, "core/jsonl")
    assert told == ["the watch goes on: hook acme failed in on_predict"]
    assert watch.progress.alerts == len(found) > 0


# ------------------------------------------------------------------ alerts


def test_an_alert_that_cannot_be_written_has_its_cells_as_text(fuzz, model, tmp_path, monkeypatch):
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join([*good(fuzz), row(fuzz)]) + "\n")
    write = FORMATS["ecs"]

    def picky(alert: Any) -> str:
        if any(type(cell) is not str for cell in alert.row.values()) and alert.row["uid"] == "poison":
            raise OverflowError("a cell that nobody thought of")
        return write(alert)

    monkeypatch.setattr(alarms, "FORMATS", {"ecs": picky})
    watch, told, found = watched(model, log, "core/jsonl")
    assert (watch.progress.bad, told) == (0, [])
    assert found[-1]["jenga"]["row"]["uid"] == "poison"
    assert found[-1]["jenga"]["row"]["bytes"] == "100000.0"


def test_cells_as_json_can_say_them():
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    assert json.dumps(plain(deep)).count("[") == alarms.DEEPEST
    assert plain([math.nan, math.inf, {1: np.float64(2), "n": pd.NA}]) == [None, "inf", {"1": 2.0, "n": None}]


def test_times_are_those_that_a_date_can_say():
    assert moment(1.79e9) == moment("1790000000") == 1.79e9
    assert moment("1790000000.25") == 1790000000.25
    for value in (
        1e18,
        -1e18,
        253402300799.5,
        math.nan,
        math.inf,
        True,
        None,
        "",
        "1e9",
        "soon",
        [1],
        10**400,
        "9" * 400,
    ):
        assert moment(value) is None


def test_reasons_are_short_and_name_the_column():
    assert reason(DataError("is no number", row=3, column="port")) == "column 'port': is no number"
    assert reason(OverflowError("x" * 1000)).startswith("OverflowError: xxx")
    assert len(reason(OverflowError("x" * 1000))) == 300
