"""`jenga score` beside a bare script of pyarrow, numpy and ONNX Runtime: rows per second, and memory as files grow.

    python benchmarks/score.py [--quick] [--rows 5000000] [--repeats 3]
    pip install onnx onnxscript onnxruntime        # for the bare script; without them the benchmark says so and stops

Generated flows, 12 columns of numbers and 2 of categories, Parquet in and Parquet out. Both sides run the same network with the
same weights on the same preprocessing, write the same columns (those of the file, label, score, threshold), and may use the
same two cores. The bare script is what an engineer writes by hand: columns that the file gives as numbers go to numpy without
pandas, quantiles by numpy.interp, categories through their Arrow dictionary, ONNX Runtime on two threads. Processes of the
two sides alternate; a ratio is formed pair by pair, and its mean is given with its 95 % interval. Times are those of the work,
without starting Python and loading the model, which is shown beside it. Memory is the peak of a process (VmHWM, Linux) on 1 M
and on 10 M rows. The rows carry no claim about detection.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for both sides: spinning threads steal the cores of the others

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from spread import half_width

FLOATS = ("duration", "packet_size", "gap_mean", "gap_deviation")
COUNTS = (
    "bytes_sent", "bytes_received", "packets_sent", "packets_received", "request_count", "ttl", "window_size", "port",
)  # fmt: skip
NUMBERS = FLOATS + COUNTS
WORDS = {"protocol": ("tcp", "udp", "icmp"), "state": ("SF", "S0", "REJ", "RSTO", "OTH", "S1", "RSTR", "SH")}
GROUP = 125_000  # rows of a row group
MARK, GROWTH = 0.8, 0.1  # rows per second over those of the script, at least; memory on ten times the rows, at most


def flows(rows: int, seed: int) -> tuple[pa.Table, np.ndarray[Any, Any]]:
    """Rows, and which of them are attacks."""
    rng = np.random.default_rng(seed)
    attack = rng.random(rows) < 0.05
    columns: dict[str, Any] = {}
    for at, name in enumerate(NUMBERS):
        values = rng.lognormal(2 + 0.3 * at, 1 + 0.1 * at, rows) * np.where(attack, 1.5 + 0.1 * at, 1)
        columns[name] = pa.array(values if name in FLOATS else np.minimum(values, 2**40).astype(np.int64))
    for name, words in WORDS.items():
        columns[name] = pa.array(np.array(words)[rng.integers(0, len(words), rows)])
    return pa.table(columns), attack


def write_flows(path: Path, rows: int) -> None:
    with parquet.ParquetWriter(path, flows(1, 0)[0].schema) as writer:
        for seed, start in enumerate(range(0, rows, GROUP)):
            writer.write_table(flows(min(GROUP, rows - start), seed + 1)[0])


def train(folder: Path) -> None:
    import jenga_core

    table, attack = flows(20_000, 0)
    config = {
        "data": {"flows": {}},
        "inputs": {
            "flow": {
                "columns": [*NUMBERS, *WORDS],
                "processor": {
                    "kind": "security/table",
                    "numeric": list(NUMBERS),
                },  # the port as well
            }
        },
        "backbones": {"table": {"kind": "security/tabular-mlp", "width": 128, "depth": 3}},
        "tasks": {
            "threat": {
                "kind": "security/anomaly",
                "target": "label",
                "normal": "benign",
                "threshold": {"target_fpr": 0.01},
            }
        },
        "train": {"epochs": 2, "batch_size": 256, "baselines": False, "bootstrap": 0},
    }
    frame = table.to_pandas().assign(label=np.where(attack, "attack", "benign"))
    jenga_core.train(config, data=frame, output=folder, quiet=True, report=False)


# ------------------------------------------------------------------ the two sides, each in a process of its own


def by_jenga(model: Path, source: Path, folder: Path, workers: int) -> tuple[float, float]:
    import jenga_core
    from jenga_core.bulk import score_files

    predictor = jenga_core.load(model, device="cpu")
    begin, used = time.perf_counter(), time.process_time()
    score_files(predictor, source, folder, workers=workers)
    return time.perf_counter() - begin, time.process_time() - used


def export(model: Path, target: Path) -> None:
    """The network and its head as ONNX: numbers [B, 12], categories [B, 2] -> score [B]."""
    import torch

    import jenga_core

    predictor = jenga_core.load(model, device="cpu")

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = predictor.model.backbones["table"], predictor.model.heads["threat"].linear

        def forward(self, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
            features = self.backbone(numbers=numbers, categories=categories)
            return torch.sigmoid(self.head(features.pooled).squeeze(-1))

    example = (torch.zeros(64, len(NUMBERS)), torch.zeros(64, len(WORDS), dtype=torch.int64))
    rows = torch.export.Dim("rows", min=2)
    torch.onnx.export(
        Network().eval(), example, str(target), input_names=["numbers", "categories"], output_names=["score"],
        dynamic_shapes=({0: rows}, {0: rows}), dynamo=True, verbose=False,
    )  # fmt: skip


def by_hand(model: Path, source: Path, target: Path, threads: int) -> tuple[float, float]:
    """The bare script: seconds, and core seconds."""
    import onnxruntime
    import pyarrow.compute as pc

    fitted = json.loads((model / "processors" / "flow.json").read_text())["columns"]
    task = json.loads((model / "tasks" / "threat.json").read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(model.parent / "net.onnx"), options)
    numbers = [
        (c["name"], c["median"], np.array(c["scale"]["points"]), np.array(c["scale"]["scores"]))
        for c in fitted
        if c["kind"] == "numbers"
    ]
    words = [(c["name"], pa.array(c["names"])) for c in fitted if c["kind"] == "categories"]
    names, threshold = task["labels"]["words"], np.float32(task["alerts"]["threshold"])
    begin, used = time.perf_counter(), time.process_time()
    writer, file = None, parquet.ParquetFile(source)
    for batch in file.iter_batches(batch_size=32_768):
        x = np.empty((batch.num_rows, len(numbers)), dtype=np.float32)
        for at, (name, median, points, scores) in enumerate(numbers):
            values = batch.column(name).to_numpy(zero_copy_only=False)
            if values.dtype.kind == "f":
                values = np.where(np.isfinite(values), values, median)
            x[:, at] = np.interp(values, points, scores)
        codes = np.empty((batch.num_rows, len(words)), dtype=np.int64)
        for at, (name, known) in enumerate(words):
            coded = batch.column(name).dictionary_encode()
            lookup = pc.fill_null(pc.index_in(coded.dictionary, known), -2).to_numpy(zero_copy_only=False) + 2
            codes[:, at] = lookup[pc.fill_null(coded.indices, 0).to_numpy(zero_copy_only=False)]
        score = np.concatenate(
            [
                session.run(None, {"numbers": x[at : at + 1024], "categories": codes[at : at + 1024]})[0]
                for at in range(0, batch.num_rows, 1024)
            ]
        )
        table = pa.Table.from_batches([batch])
        label = pa.array(names).take(pa.array((score >= threshold).astype(np.int8)))
        table = table.append_column("threat.label", label).append_column("threat.score", pa.array(score))
        table = table.append_column("threat.threshold", pa.array(np.full(len(score), float(threshold))))
        # as Jenga does: dictionaries for text, none for numbers, which hardly repeat and cost a tenth of all to look through
        text = [field.name for field in table.schema if pa.types.is_string(field.type)]
        writer = writer or parquet.ParquetWriter(target, table.schema, use_dictionary=text)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return time.perf_counter() - begin, time.process_time() - used


def in_process(side: str, model: Path, source: Path, target: Path) -> dict[str, float]:
    """Run one side in a fresh process: {"seconds": of the work, "total": of the process, "peak": MiB}."""
    begin = time.perf_counter()
    command = [sys.executable, __file__, "--side", side, str(model), str(source), str(target)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"total": time.perf_counter() - begin, **json.loads(out.splitlines()[-1])}


def side(name: str, model: Path, source: Path, target: Path) -> None:
    run = {"jenga": by_jenga, "hand": by_hand}[name]
    seconds, busy = run(model, source, target, 2)
    print(json.dumps({"seconds": seconds, "busy": busy, "peak": peak()}))


def peak() -> float:
    """MiB that this process has had in memory at most. Not ru_maxrss, which begins with that of the parent."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# ------------------------------------------------------------------ the table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="500,000 rows, 3 repeats, memory on 250,000 and 500,000")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", nargs=4, metavar=("SIDE", "MODEL", "SRC", "DST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side(options.side[0], *map(Path, options.side[1:]))
        return 0
    lacking = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if lacking:
        sys.exit(f"skipped: {', '.join(lacking)} not installed: pip install onnx onnxscript onnxruntime")
    rows = 500_000 if options.quick else options.rows
    small, large = (250_000, 500_000) if options.quick else (1_000_000, 10_000_000)
    with tempfile.TemporaryDirectory() as made:
        fast = compare(Path(made), rows, options.repeats)
        flat = memory(Path(made), small, large)
    return 0 if options.quick else int(not (fast and flat))


def compare(folder: Path, rows: int, repeats: int) -> bool:
    """Print rows per second of both sides; whether the mark was reached."""
    model, source = folder / "run", folder / "flows.parquet"
    train(model)
    export(model, folder / "net.onnx")
    write_flows(source, rows)
    ratios, busy, speeds, peaks = [], [], {"jenga": [], "hand": []}, {"jenga": 0.0, "hand": 0.0}
    for _ in range(repeats):
        found = {}
        for name, target in (("hand", folder / "hand.parquet"), ("jenga", folder / "scored")):
            shutil.rmtree(target, ignore_errors=True)
            found[name] = in_process(name, model, source, target)
            speeds[name].append(rows / found[name]["seconds"])
            peaks[name] = max(peaks[name], found[name]["peak"])
            print(
                f"  {name:6} {rows / found[name]['seconds']:10,.0f} rows/s, {found[name]['busy']:.1f} s of cores, "
                f"{found[name]['total']:.1f} s in all",
                flush=True,
            )
        busy.append(found["hand"]["busy"] / found["jenga"]["busy"])
        ratios.append(found["hand"]["seconds"] / found["jenga"]["seconds"])
    agree(folder)
    print(f"{rows:,} rows, {repeats} repeats, rows per second of the work")
    print(f"  bare script   {statistics.mean(speeds['hand']):12,.0f}")
    print(f"  jenga score   {statistics.mean(speeds['jenga']):12,.0f}")
    for name, each in (("rows per second", ratios), ("core seconds", busy)):
        said = "reached" if statistics.mean(each) >= MARK else "MISSED"
        spread = half_width(each) if repeats > 1 else float("nan")
        print(f"  ratio of {name:16}{statistics.mean(each):8.2f} +- {spread:.2f}   (mark: at least {MARK}: {said})")
    print(f"  peak memory   bare script {peaks['hand']:,.0f} MiB, jenga score {peaks['jenga']:,.0f} MiB")
    return statistics.mean(ratios) >= MARK and statistics.mean(busy) >= MARK


def agree(folder: Path) -> None:
    """Both sides wrote the same rows with the same scores."""
    hand = parquet.read_table(folder / "hand.parquet")
    jenga = pa.concat_tables(parquet.read_table(part) for part in sorted((folder / "scored").glob("part-*.parquet")))
    assert hand.column("bytes_sent").equals(jenga.column("bytes_sent")), "other rows, or another order"
    ours, theirs = (t.column("threat.score").to_numpy() for t in (jenga, hand))
    labels = [t.column("threat.label").to_pylist() for t in (jenga, hand)]
    differ = sum(a != b for a, b in zip(*labels, strict=True))
    print(f"largest difference of a score: {np.abs(ours - theirs).max():.1e}; labels that differ: {differ}")
    assert np.abs(ours - theirs).max() < 1e-5


def memory(folder: Path, small: int, large: int) -> bool:
    """Print the peaks over a small and a large file; whether the mark was reached."""
    peaks = {}
    for rows in (small, large):
        source = folder / f"memory-{rows}.parquet"
        write_flows(source, rows)
        peaks[rows] = in_process("jenga", folder / "run", source, folder / f"memory-{rows}")["peak"]
        shutil.rmtree(folder / f"memory-{rows}")
        source.unlink()
        print(f"  peak memory on {rows:>10,} rows {peaks[rows]:8.0f} MiB", flush=True)
    growth = peaks[large] / peaks[small] - 1
    print(f"  growth {growth:+.1%}   (mark: within {GROWTH:.0%}: {'reached' if growth <= GROWTH else 'MISSED'})")
    return bool(growth <= GROWTH)


if __name__ == "__main__":
    sys.exit(main())
