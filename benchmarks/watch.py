"""`jenga watch` on a log that grows by 10,000 flows a second: how soon an alert is there, and whether any is lost.

    python benchmarks/watch.py [--quick] [--rate 10000] [--seconds 60] [--recalibrate]

A writer (this process) appends Zeek conn.log lines of generated flows every 10 ms; `jenga watch` runs as a process of its own,
held to one core where the system can do that. Latency of an alert: from the moment before its line was written to the moment
at which it was seen in the output, which is looked at every 5 ms. First part: steady writing, throughput and latency. Second
part, at the same rate: a rotation by rename, a copytruncate, a line written in two pieces, and two kills (SIGKILL) with a start
after each; at the end the alerts are compared, line for line, with those of a watch that reads the same lines at leisure.
--recalibrate: the first part alone, with a threshold that follows the log.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pandas as pd

MARK = 100  # ms: 99 of 100 alerts are there so soon
COLUMNS = ["packet_size", "port", "protocol", "duration", "request_count", "bytes_sent", "bytes_received"]
HEADER = [
    "#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn",
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\tconn_state"
    "\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes",
]  # fmt: skip


def zeek(flows: pd.DataFrame, start: float, rate: float) -> list[str]:
    """Lines of conn.log: the given flows, `rate` of them a second from `start` on; uid C<number>."""
    host = flows["host"].str[1:].astype(int)
    sent = np.maximum((flows["bytes_sent"] / flows["packet_size"]).astype(int), 1)
    sent = np.minimum(sent, flows["bytes_sent"] // 40).clip(1)
    back = np.minimum((flows["bytes_received"] / flows["packet_size"]).astype(int), flows["bytes_received"] // 40)
    cells = {
        "ts": [f"{start + at / rate:.6f}" for at in range(len(flows))],
        "uid": [f"C{at}" for at in range(len(flows))],
        "orig_h": [f"10.0.{h // 250}.{h % 250}" for h in host],
        "orig_p": 40000,
        "resp_h": "192.0.2.80",
        "resp_p": flows["port"],
        "proto": flows["protocol"],
        "duration": flows["duration"],
        "state": "SF",
        "orig_pkts": sent,
        "orig_bytes": np.maximum(flows["bytes_sent"], 40 * sent),
        "resp_pkts": np.where(flows["bytes_received"] > 0, np.maximum(back, 1), 0),
        "resp_bytes": flows["bytes_received"],
    }
    return ["\t".join(map(str, row)) for row in pd.DataFrame(cells).itertuples(index=False)]


def train(folder: Path) -> None:
    import jenga_core
    from jenga_core.api import SourceSpec
    from jenga_core.registry import Registry
    from jenga_security.examples.flows import flows

    labelled = flows(20_000, 7)
    seconds = (pd.to_datetime(labelled["started"], format="ISO8601") - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    lines = zeek(labelled, 0, 1)
    text = [f"{at:.6f}\t" + line.partition("\t")[2] for at, line in zip(seconds, lines, strict=True)]
    log = folder / "train.log"
    log.write_text("\n".join([*HEADER, *text]) + "\n")
    registry = Registry.discover()
    kind = "security/zeek-conn"
    source = registry.factory(kind, SourceSpec)(registry.config_class(kind, SourceSpec)(kind=kind))
    frame = pd.concat(list(source.tables(log, batch_rows=1 << 16))).assign(label=labelled["label"].to_numpy())
    config = {
        "data": {"flows": {"source": kind}},
        "inputs": {"flow": {"columns": COLUMNS, "processor": {"kind": "security/table", "categorical": ["port"]}}},
        "backbones": {"table": {"kind": "security/tabular-mlp", "width": 128, "depth": 3}},
        "tasks": {
            "threat": {
                "kind": "security/anomaly",
                "target": "label",
                "normal": "benign",
                "threshold": {"target_fpr": 0.01},
            }
        },
        "train": {"epochs": 3, "batch_size": 256, "baselines": False, "bootstrap": 0},
    }
    jenga_core.train(config, data=frame, output=folder / "run", quiet=True, report=False)


def watch(folder: Path, log: Path, output: Path, *more: str) -> subprocess.Popen[str]:
    core = {max(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else None
    command = [
        sys.executable,
        "-m",
        "jenga_core.cli",
        "watch",
        str(folder / "run"),
        str(log),
        "--output",
        str(output),
        *more,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    if core:
        os.sched_setaffinity(process.pid, core)
    return process


def ready(process: subprocess.Popen[str]) -> None:
    """When it says that it is watching; with --recalibrate it says first what it follows."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if line.startswith("watching"):
            return
        said.append(line)
    raise SystemExit("".join(said))


def written(log: Path, lines: list[str], rate: float, times: np.ndarray) -> None:
    """Append the lines at `rate` a second, every 10 ms; `times`: when each was."""
    begin, done = time.monotonic(), 0
    while done < len(lines):
        due = min(int((time.monotonic() - begin) * rate) + 1, len(lines))
        if due > done:
            times[done:due] = time.time()
            with log.open("a") as file:
                file.write("".join(line + "\n" for line in lines[done:due]))
            done = due
        time.sleep(0.01)


class Reader(Thread):
    """When each alert was seen in the output, by the uid of its row."""

    def __init__(self, output: Path) -> None:
        super().__init__(daemon=True)
        self.output, self.seen, self.stop, self._left = output, {}, Event(), b""

    def run(self) -> None:
        at = 0
        while not self.stop.wait(0.005):
            if not self.output.exists():
                continue
            with self.output.open("rb") as file:
                file.seek(at)
                data = file.read()
            now, at = time.time(), at + len(data)
            *lines, self._left = (self._left + data).split(b"\n")
            for line in lines:
                self.seen[json.loads(line)["jenga"]["row"]["uid"]] = now


def steady(folder: Path, lines: list[str], rate: float, *more: str) -> bool:
    """Print throughput and latency; whether the marks were reached."""
    log, output = folder / "conn.log", folder / "alerts.jsonl"
    log.write_text("\n".join(HEADER) + "\n")
    process = watch(folder, log, output, *more)
    ready(process)
    reader, times = Reader(output), np.zeros(len(lines))
    reader.start()
    begin = time.monotonic()
    written(log, lines, rate, times)
    wrote = time.monotonic() - begin
    last = caught_up(output, len(lines))
    reader.stop.set()
    reader.join()
    process.send_signal(signal.SIGINT)
    process.wait()
    waits = 1000 * np.array([seen - times[int(uid[1:])] for uid, seen in reader.seen.items()])
    print(
        f"{len(lines):,} flows in {wrote:.1f} s: {len(lines) / wrote:,.0f} flows/s written, all read {last:.2f} s after the last"
    )
    p50, p99 = np.percentile(waits, [50, 99])
    reached = bool(p99 <= MARK and last < 1 and len(lines) / wrote > 0.99 * rate)
    print(
        f"  {len(waits):,} alerts; latency p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {waits.max():.0f} ms   "
        f"(mark: p99 {MARK} ms at that rate: {'reached' if reached else 'MISSED'})"
    )
    return reached


def caught_up(output: Path, rows: int) -> float:
    """Seconds until the watch has read `rows` rows."""
    begin = time.monotonic()
    position = output.with_name(output.name + ".watch") / "position"
    while time.monotonic() - begin < 300:
        if position.exists() and json.loads(position.read_text())["rows"] >= rows:
            return time.monotonic() - begin
        time.sleep(0.02)
    return float("inf")


def disturbed(folder: Path, lines: list[str], rate: float) -> bool:
    """Print what became of every line; whether each alert is there, once."""
    log, output = folder / "rough.log", folder / "rough.jsonl"
    log.write_text("\n".join(HEADER) + "\n")
    parts = [list(part) for part in np.array_split(np.array(lines, dtype=object), 5)]
    times = np.zeros(len(lines))
    process = watch(folder, log, output)
    ready(process)
    written(log, parts[0], rate, times)
    log.rename(folder / "rough.log.9")
    log.write_text("\n".join(HEADER) + "\n")
    written(log, parts[1], rate, times)
    process.kill()
    process.wait()
    written(log, parts[2][:1000], rate, times)
    with log.open("a") as file:
        file.write(parts[2][1000][:40])
    process = watch(folder, log, output)
    ready(process)
    with log.open("a") as file:
        file.write(parts[2][1000][40:] + "\n")
    written(log, parts[2][1001:], rate, times)
    shutil.copy(log, folder / "rough.log.8")
    os.truncate(log, 0)
    written(log, parts[3], rate, times)
    process.kill()
    process.wait()
    log.rename(folder / "rough.log.7")
    log.write_text("\n".join(HEADER) + "\n")
    written(log, parts[4], rate, times)
    process = watch(folder, log, output)
    caught_up(output, len(lines))
    process.send_signal(signal.SIGINT)
    process.wait()
    whole, leisure = folder / "whole.log", folder / "whole.jsonl"
    whole.write_text("\n".join([*HEADER, *lines]) + "\n")
    watch(folder, whole, leisure, "--from-start", "--once").communicate()
    rows = [[json.loads(line)["jenga"]["row"] for line in file.read_text().splitlines()] for file in (output, leisure)]
    found, wanted = ([row["uid"] for row in each] for each in rows)
    position = json.loads((folder / "rough.jsonl.watch" / "position").read_text())
    print("rename, two pieces of a line, copytruncate, two SIGKILLs, a rename while stopped, at the same rate")
    print(f"  rows read {position['rows']:,} of {len(lines):,}, lines left out {position['bad']}")
    lost, twice = len(set(wanted) - set(found)), len(found) - len(set(found))
    print(f"  alerts {len(found):,} of {len(wanted):,}: lost {lost}, twice {twice}, in order {found == wanted}, "
          f"cells the same {rows[0] == rows[1]}")  # fmt: skip
    return found == wanted and position["rows"] == len(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 seconds in place of 60")
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--recalibrate", action="store_true", help="the steady part, with `jenga watch --recalibrate`")
    options = parser.parse_args()
    from jenga_security.examples.flows import flows

    seconds = 10 if options.quick else options.seconds
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        train(folder)
        lines = zeek(flows(int(options.rate * seconds), 8), 1.79e9, options.rate)
        if options.recalibrate:
            return int(not steady(folder, lines, options.rate, "--recalibrate"))
        soon = steady(folder, lines, options.rate)
        whole = disturbed(folder, lines[: len(lines) // 2], options.rate)
    return int(not (soon and whole))


if __name__ == "__main__":
    sys.exit(main())
