"""`jenga watch` over logs into which somebody writes what hurts most: does anything stop it, or cost a row beside it its alert?

    python benchmarks/fuzz_logs.py [--quick] [--lines 10000] [--seed 0]

Half of the lines of each log are flows as they should be, half are poisoned (seeded): values that are no time, no number, no
category or no text at the place of every column, and in columns that nobody knows; nested, huge, cut off, in broken
encodings, with control characters, very long. As CSV and as JSON lines, with alerts as ECS, OCSF and CEF; poisoned lines are
shared out among the six. Every log is read in batches whose size changes, and looked at for what no log may bring about: an
error or a traceback, a batch of more than a minute, a good row that has lost its alert or was set aside, a line that was set
aside without its number, an alert that is no single line, control characters on the terminal, memory that grows. Exit status 1
if any of it happened.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LIMIT = 60  # seconds of a batch
MEMORY = 1_500  # MiB at most, with torch and the model in it
COLUMNS = ["bytes", "duration", "port", "service"]
FORMS = ("ecs", "ocsf", "cef")
WORDS = (
    "", " ", "nan", "inf", "-inf", "NaN", "null", "None", "NA", "-", "0x1f", "007", "1e18", "-1e18", "1e300", "1e999", "3e11",
    "9" * 400, "9" * 5000, "-0", "1_000", "1,5", "true", "False", "2026-01-01", "9999-12-31T23:59:59.999999Z", "\u0661\u0662",
    "a\x1b]0;owned\x07\x1b[2J", "\x9b31m", "\u202egnp.exe", "\u2028", "\x85", "\ufeff", "\x00", "a\rb", "=cmd()", "<script>",
    "CEF:0|x|y|z", "src=1.2.3.4 dst=", "\\n\\r|=", "'; drop table", "%s%n", "x" * 70_000, "\U0001f600", "e\u0301",
)  # fmt: skip
VALUES: tuple[str, ...] = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e18", "-1e18", "1e300", "3e11", "-62135596801", "253402300800",
    "9" * 400, "9" * 5000, "1" + "0" * 4299, "true", "false", "null", "[]", "{}", "[NaN]", "[1e999]",
    '{"a": 1e999}', '{"a": [NaN]}', '{"a": 1}', 
    "[1, [2, [3]]]", "[" * 900 + "]" * 900, "[" * 100_000 + "]" * 100_000, '{"a":' * 60 + "1" + "}" * 60,
    r'"\ud800"', r'"a\udfffb"', r'["\ud800"]', r'{"\ud800": 1}', r'"\u0000"', r'"\u001b[2J"', '"443"', '"1e18"',
    "0.1e-400", "-0.0",
)  # fmt: skip
RAW = (
    b"", b" ", b"\r", b"\x00", b"\xff\xfe", b"\xc3\x28", b"\x80" * 50, b"\x1b[2J\x1b]0;owned\x07", b"{", b"}", b"[", b"]", b"[]",
    b"{}", b"null", b"1", b'"text"', b'{"a":', b'{"a": "', b"{'a': 1}", b'"', b'""', b",", b",,,,,,,,,,", b"\t", b"#fields\tx",
    b"#",
    b"only one cell", b"x" * 1_000_000, b"[" * 200_000, b'{"a":' * 50_000, b"\xef\xbb\xbf{}", b"a\rb,c\rd", b'"open,1,2,3',
    '{"x": "\u202e"}'.encode("utf-16"), b'{"x": 1}{"x": 2}', b'{"bytes": 1, "bytes": 2}', b'close",1,2,3',
)  # fmt: skip


def flows(rows: int, seed: int) -> pd.DataFrame:
    """Flows of which those with many bytes are attacks."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "ts_start": 1.79e9 + np.arange(rows) / 10,
            "uid": [f"C{seed}x{n}" for n in range(rows)],
            "bytes": rng.lognormal(6, 2, rows).round(3),
            "duration": rng.exponential(1, rows).round(4),
            "port": rng.choice([53, 80, 443], rows),
            "service": rng.choice(["dns", "http", "ssl"], rows),
        }
    )


def trained(folder: Path) -> Any:
    import jenga_core

    frame = flows(2_000, 1)
    config = {
        "data": {"flows": {}},
        "inputs": {"flow": {"columns": COLUMNS, "processor": {"kind": "security/table", "categorical": ["port"]}}},
        "backbones": {"net": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
        "tasks": {"threat": {"kind": "security/anomaly", "target": "label", "normal": "benign"}},
        "train": {"epochs": 3, "learning_rate": 0.01, "bootstrap": 0, "baselines": False},
    }
    labelled = frame.assign(label=np.where(frame["bytes"] > 900, "attack", "benign"))
    jenga_core.train(config, data=labelled, output=folder, quiet=True, report=False)
    return jenga_core.load(folder)


# ------------------------------------------------------------------ lines


def json_line(row: dict[str, Any], chance: random.Random) -> bytes:
    """A flow of which one cell, or one column more, is what nobody expects."""
    if chance.random() < 0.2:
        return chance.choice(RAW)
    told = {name: json.dumps(cell) for name, cell in row.items()}
    value = chance.choice(VALUES) if chance.random() < 0.6 else json.dumps(chance.choice(WORDS))
    kind = chance.random()
    if kind < 0.7:
        told[chance.choice(list(told))] = value
    elif kind < 0.8:
        told[f"new {chance.randrange(10**9)}"] = value
    elif kind < 0.85:
        told.update({f"k{chance.randrange(10**9)}": value[:20] if value[:1] == "9" else "1" for _ in range(200)})
    elif kind < 0.95:
        return _object({**told, chance.choice(WORDS): value}, key=chance.choice((None, r"\ud800", r"\u001b[2J")))
    else:
        del told[chance.choice(list(told))]
    line = _object(told)
    return line[: chance.randrange(len(line))] if chance.random() < 0.1 else line


def _object(told: dict[str, str], key: str | None = None) -> bytes:
    more = [] if key is None else [f'"{key}": 1']
    return ("{" + ", ".join([*(f"{json.dumps(k)}: {v}" for k, v in told.items()), *more]) + "}").encode()


def csv_line(row: dict[str, Any], chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return chance.choice(RAW)
    cells = [str(cell) for cell in row.values()]
    word = chance.choice(WORDS).replace("\n", " ")
    kind = chance.random()
    at = chance.randrange(len(cells))
    if kind < 0.7:
        cells[at] = word if chance.random() < 0.5 else '"' + word.replace('"', '""') + '"'
    elif kind < 0.8:
        cells = cells[:at] if chance.random() < 0.5 else [*cells, word]
    elif kind < 0.9:
        cells[at] = '"' + cells[at]
    else:
        cells[at] = cells[at] + '"'
    line = ",".join(cells).encode("utf-8", "surrogatepass")
    return line if chance.random() < 0.9 else line + bytes([chance.randrange(128, 256)])


@dataclass(slots=True)
class Log:
    """Lines, and which of them (from 1) are flows as they should be: their rows."""

    kind: str
    lines: list[bytes] = field(default_factory=list)
    good: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str, poisoned: int, seed: int) -> Log:
        chance, made = random.Random(seed), cls(kind)
        poison: Callable[[dict[str, Any], random.Random], bytes] = csv_line if kind == "core/csv" else json_line
        good, bad = flows(poisoned, 2), flows(poisoned, 3)
        rows = [(True, row) for row in good.to_dict("records")] + [(False, row) for row in bad.to_dict("records")]
        chance.shuffle(rows)
        if kind == "core/csv":
            made.lines.append(",".join(good.columns).encode())
        for whole, row in rows:
            if whole:
                made.good[len(made.lines) + 1] = row["uid"]
                line = json.dumps(row) if kind == "core/jsonl" else ",".join(map(str, row.values()))
                made.lines.append(line.encode())
            else:
                made.lines.append(poison(row, chance).replace(b"\n", b" "))
        return made


# ------------------------------------------------------------------ the watch


class Hanging(BaseException):
    """A batch took longer than it may."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def ring(number: int, frame: Any) -> None:
        raise Hanging

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass(slots=True)
class Found:
    """What came of a log; `faults`: what must not have happened, in words."""

    lines: int = 0
    rows: int = 0
    bad: int = 0
    alerts: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def watched(predictor: Any, log: Log, form: str, folder: Path, seed: int) -> Found:
    """A watch over the log, read in batches of one to as many lines as the real one reads."""
    from jenga_core.api import SourceSpec
    from jenga_core.registry import Registry
    from jenga_security.watch import watcher as module

    registry, told, found, chance = Registry.discover(), [], Found(), random.Random(seed)
    source = registry.factory(log.kind, SourceSpec)(registry.config_class(log.kind, SourceSpec)(kind=log.kind))
    path, output = folder / f"{form}.log", folder / f"{form}.alerts"
    path.write_bytes(b"\n".join(log.lines) + b"\n")
    most, shown = module.BATCH, module.SHOWN
    module.SHOWN = 10**9  # everything is told, so that every number can be looked at
    try:
        watch = module.Watcher(predictor, path, output, source, form=form, tell=told.append)
        watch.start(from_start=True)
        more = 1
        while more:
            module.BATCH, begin = chance.choice((1, 7, 100, most)), time.monotonic()
            with limited(LIMIT):
                more = watch.step()
            found.slowest = max(found.slowest, time.monotonic() - begin)
        watch.close()
    except Hanging:
        found.faults.append(f"a batch took more than {LIMIT} s")
    except Exception:
        found.faults.append(traceback.format_exc(limit=-3))
    finally:
        module.BATCH, module.SHOWN = most, shown
    done = watch.progress
    found.lines, found.rows, found.bad, found.alerts = done.lines, done.rows, done.bad, done.alerts
    found.faults += [*_set_aside(log, told, done), *_alerts(predictor, log, form, output, done)]
    return found


def _set_aside(log: Log, told: list[str], done: Any) -> Iterator[str]:
    left_out = [line for line in told if line.startswith("left out: ")]
    numbers = [int(line.split(": ")[1].removeprefix("line ")) for line in left_out if ": line " in line[:16]]
    if done.lines != len(log.lines):
        yield f"{done.lines:,} of {len(log.lines):,} lines were read"
    if done.bad != len(left_out) or len(numbers) != len(left_out):
        yield f"{done.bad:,} lines set aside, {len(left_out):,} told of, {len(numbers):,} with their number"
    if len({*numbers}) < len(numbers):
        yield f"{len(numbers) - len({*numbers}):,} lines were set aside twice"
    if wrong := sorted(log.good.keys() & {*numbers}):
        why = next(line for line in left_out if f"line {wrong[0]}:" in line)
        yield f"{len(wrong):,} good rows were set aside: {why[:300]}"
    if raw := [line for line in told if not line.isprintable()]:
        yield f"{len(raw):,} messages with control characters: {raw[0][:80]!r}"


def _alerts(predictor: Any, log: Log, form: str, output: Path, done: Any) -> Iterator[str]:
    """Are those of the good rows there, each once and as a line that can be read?"""
    frame = flows(len(log.good), 2)
    frame = frame[frame["uid"].isin(log.good.values())]
    must = {*frame["uid"][(predictor.predict(frame)["threat.label"] == "attack").to_numpy()]}
    lines = output.read_bytes().decode().split("\n")[:-1]
    if len(lines) != done.alerts:
        yield f"{done.alerts:,} alerts were counted, {len(lines):,} lines are there"
    try:
        rows = [_row(line, form) for line in lines]
    except Exception as error:
        yield f"an alert cannot be read: {type(error).__name__}: {error}"
        return
    uids = [row.get("uid") for row in rows]
    if lost := must - {uid for uid in uids if isinstance(uid, str)}:
        yield f"{len(lost):,} of {len(must):,} good rows lost their alert, such as {min(lost)}"
    good = [uid for uid in uids if isinstance(uid, str) and uid in {*log.good.values()}]
    if len(good) != len({*good}) or {*good} - must:
        yield f"{len(good):,} alerts of good rows, where {len(must):,} are right"


def _row(line: str, form: str) -> dict[str, Any]:
    if len(line.splitlines()) != 1:
        raise ValueError("it is not one line")
    if form == "cef":
        cell = line.partition(" cs3=")[2].rpartition(" cfp1Label=")[0]
        return json.loads(cell.replace("\\=", "=").replace("\\\\", "\\"))
    found = json.loads(line, parse_constant=lambda name: math.nan / 0)
    return (found.get("jenga") or found["unmapped"])["row"]


def run(poisoned: int, seed: int, folder: Path) -> list[tuple[str, str, Found]]:
    """`poisoned` lines, shared out among two kinds of logs and three formats."""
    predictor = trained(folder / "model")
    made = []
    for kind in ("core/csv", "core/jsonl"):
        for n, form in enumerate(FORMS):
            log, place = Log.of(kind, math.ceil(poisoned / 6), seed + n), folder / kind.replace("/", "-")
            place.mkdir(exist_ok=True)
            made.append((kind, form, watched(predictor, log, form, place, seed)))
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,200 poisoned lines")
    parser.add_argument("--lines", type=int, default=10_000, help="poisoned lines in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        found = run(1_200 if options.quick else options.lines, options.seed, Path(made))
    print("| log | alerts | lines | rows | set aside | alerts written | slowest batch | faults |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, form, one in found:
        print(
            f"| {kind} | {form} | {one.lines:,} | {one.rows:,} | {one.bad:,} | {one.alerts:,} | {one.slowest:.1f} s "
            f"| {len(one.faults)} |"
        )
    for kind, form, one in found:
        for fault in one.faults:
            print(f"{kind}, {form}: {fault}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MiB (mark: {MEMORY:,} MiB: {'reached' if peak <= MEMORY else 'MISSED'})")
    return int(peak > MEMORY or any(one.faults for _, _, one in found))


if __name__ == "__main__":
    sys.exit(main())
