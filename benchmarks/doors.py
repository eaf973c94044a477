"""One cell, one meaning: every kind of value through every pair of doors, and what comes out of the copies.

    python benchmarks/doors.py [--rows 600] [--seed 0] [--quick] [--data IGNORED]

A table of codes, digits, decimals, releases (1.10 is not 1.1), whole numbers beside gaps, integers beyond 2**53, truth values
and dates is written as CSV, as JSON lines, as Parquet and as DataFrames, each as that format would have it. A model is trained
from each, and scores the same twelve hard rows as each: as one file, three rows at a time, alone, followed as a log, by
`jenga score`, and by the scikit-learn estimator. All scores must be those of the first pair, and every cell that comes
out beside a prediction must be the one that went in. Exits with 1 where one is not. The data are made here; `--data` and
`--quick` change nothing, as it takes two minutes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

import jenga_core
from jenga_core.bulk import pipeline, work
from jenga_core.bulk.pipeline import score_files
from jenga_core.commands import model as commands
from jenga_core.commands.tables import write_frames
from jenga_core.estimator import JengaClassifier
from jenga_core.inference import Predictor
from jenga_core.tables import open_source
from jenga_security.watch.watcher import Watcher

CLOSE = 1e-6  # float32 sums of one row and of twelve differ in their last digit
CODES = ["007", "012", "A12", "12", "7", "000"]
DIGITS = ["007", "012", "0044", "12", "7"]
RELEASES = ["1.10", "1.1", "2.0", "2", "10.0"]
PORTS = [22, 80, 443, 8080, None]
HUGE = [2**53 + 1, 2**53 + 2, 2**60 + 7, 17, None]
FEATURES = ["code", "digits", "release", "port", "huge", "flag", "day", "amount", "count", "size"]
NAMES = ["code", "digits", "release", "huge", "flag"]  # read as categories; port is one by its name
CONFIG: dict[str, Any] = {
    "project": "doors",
    "seed": 3,
    "inputs": {
        "row": {
            "columns": FEATURES,
            "processor": {"kind": "security/table", "categorical": NAMES, "dates": ["day"], "unseen_rate": 0.0},
        }
    },
    "backbones": {"net": {"kind": "security/tabular-mlp", "width": 32, "depth": 1, "dropout": 0.0}},
    "tasks": {"threat": {"kind": "security/anomaly", "target": "label", "normal": "0", "threshold": 1e-9}},
    "train": {"epochs": 3, "batch_size": 32, "bootstrap": 0, "baselines": False, "learning_rate": 0.01},
}

Row = dict[str, Any]


def spelt(name: str, value: Any) -> str:
    """A value as a person types it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.2f}" if name == "amount" else str(value)


def table(rows: int, draw: np.random.Generator) -> list[Row]:
    """Rows whose label hangs on the cells that doors are likely to change."""
    made = []
    for at in range(rows):
        row: Row = {
            "code": CODES[draw.integers(len(CODES))],
            "digits": DIGITS[draw.integers(len(DIGITS))],
            "release": RELEASES[draw.integers(len(RELEASES))],
            "port": PORTS[draw.integers(len(PORTS))],
            "huge": HUGE[draw.integers(len(HUGE))],
            "flag": bool(draw.integers(2)),
            "day": date(2026, 1, 1 + int(draw.integers(28))),
            "amount": round(float(draw.gamma(2, 40)), 2),
            "count": None if draw.random() < 0.1 else int(draw.integers(0, 50)),
            "size": int(draw.integers(2**40)),
            "case": f"{at:06}",
        }
        odd = (row["code"] == "007") + (row["digits"] == "0044") + (row["release"] == "1.10") + row["flag"]
        row["label"] = "1" if odd + draw.normal(0, 0.3) > 1.5 else "0"
        made.append(row)
    return made


def hard() -> list[Row]:
    """Rows each of which some door would change: zeros in front, gaps, digits alone, values that training did not show."""
    base: Row = {"code": "A12", "digits": "12", "release": "2", "port": 443, "huge": 17, "flag": False,
                 "day": date(2026, 1, 31), "amount": 100.0, "count": 3, "size": 12}  # fmt: skip
    changes: list[Row] = [
        {"code": "007", "digits": "007"}, {"code": "7", "digits": "7"}, {"code": "000", "digits": "0044"},
        {"release": "1.10"}, {"release": "1.1"}, {"release": "2.0"}, {"release": "10.0", "amount": 0.1},
        {"port": None, "huge": None, "count": None}, {"huge": 2**53 + 1}, {"huge": 2**53 + 2, "size": 2**53 + 1},
        {"flag": True, "day": date(2026, 2, 3)}, {"code": "new", "port": 81, "amount": 0.0},
    ]  # fmt: skip
    return [{**base, **change, "case": f"{at:06}"} for at, change in enumerate(changes)]


# ------------------------------------------------------------------ the doors


def as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([[spelt(name, value) for name, value in row.items()] for row in rows])
    return text.getvalue().encode()


def as_jsonl(rows: list[Row]) -> bytes:
    """Numbers as numbers, a release among them; what begins with a zero can only be text."""

    def cell(name: str, value: Any) -> str:
        number = name in ("release", "amount", "port", "huge", "count", "size", "flag") and value is not None
        return spelt(name, value) if number else json.dumps(None if value is None else str(value))

    lines = ["{" + ", ".join(f'"{n}": {cell(n, v)}' for n, v in row.items()) + "}" for row in rows]
    return ("\n".join(lines) + "\n").encode()


def as_arrow(rows: list[Row]) -> pa.Table:
    kinds = {"flag": pa.bool_(), "day": pa.date32(), "amount": pa.float64()}
    numbers = dict.fromkeys(("port", "huge", "count", "size"), pa.int64())
    kinds = {name: {**kinds, **numbers}.get(name, pa.string()) for name in rows[0]}
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})


def as_frame(rows: list[Row]) -> pd.DataFrame:
    """As a notebook has it: floats where whole numbers have gaps, but for those that floats cannot hold."""
    frame = pd.DataFrame({n: pd.Series([r[n] for r in rows], dtype=object) for n in rows[0]})
    frame["huge"] = frame["huge"].astype("Int64")
    frame["day"] = pd.to_datetime(frame["day"])
    text = ["code", "digits", "release", "case", *(["label"] if "label" in frame else [])]
    numbers = {"port": float, "count": float, "amount": float, "size": np.int64, "flag": bool}
    return frame.astype({**numbers, **dict.fromkeys(text, "str")})


def as_objects(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame({n: pd.Series([r[n] for r in rows], dtype=object) for n in rows[0]}).assign(
        day=lambda frame: pd.to_datetime(frame["day"])
    )


def files(folder: Path, name: str, rows: list[Row]) -> dict[str, Path]:
    found = {ending: folder / f"{name}.{ending}" for ending in ("csv", "jsonl", "parquet")}
    found["csv"].write_bytes(as_csv(rows))
    found["jsonl"].write_bytes(as_jsonl(rows))
    parquet.write_table(as_arrow(rows), found["parquet"])
    return found


def train(door: str, rows: list[Row], paths: dict[str, Path], output: Path) -> Predictor:
    data = {"table": {"path": str(paths[door])} if door in paths else {}}
    frames = {"frame": as_frame, "objects": as_objects}
    given = {"table": frames[door](rows)} if door in frames else None
    run = jenga_core.train({**CONFIG, "data": data}, data=given, output=output, quiet=True, report=False)
    return jenga_core.load(run.folder)


# ------------------------------------------------------------------ scores and copies


@contextmanager
def small() -> Iterator[None]:
    """Three rows at a time."""
    before = commands.BATCH_ROWS, work.CHUNK, pipeline.CHUNK, pipeline.STRETCH
    commands.BATCH_ROWS, work.CHUNK, pipeline.CHUNK, pipeline.STRETCH = 3, 6, 6, 3
    try:
        yield
    finally:
        commands.BATCH_ROWS, work.CHUNK, pipeline.CHUNK, pipeline.STRETCH = before


def by_file(predictor: Predictor, path: Path) -> list[float]:
    return [s for frame in commands.predicted(predictor, path, None) for s in frame["threat.score"]]


def by_pieces(predictor: Predictor, path: Path) -> list[float]:
    with small():
        return by_file(predictor, path)


def by_score(predictor: Predictor, path: Path) -> list[float]:
    with small(), tempfile.TemporaryDirectory() as folder:
        score_files(predictor, path, Path(folder) / "out", workers=1)
        parts = sorted((Path(folder) / "out").glob("part-*.parquet"))
        return [s for part in parts for s in parquet.read_table(part)["threat.score"].to_pylist()]


def by_watch(predictor: Predictor, path: Path, step: int) -> list[float]:
    """The log grows by `step` lines at a time; every row is above the threshold, so every row is an alert."""
    with tempfile.TemporaryDirectory() as folder:
        log, output = Path(folder) / path.name, Path(folder) / "alerts.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        head = int(path.suffix == ".csv")
        log.write_bytes(b"".join(lines[:head]))
        source = open_source(log, predictor.registry, None)
        watcher = Watcher(predictor, log, output, source, tell=lambda text: None)
        watcher.start(from_start=True)
        for at in range(head, len(lines), step):
            with log.open("ab") as file:
                file.write(b"".join(lines[at : at + step]))
            while watcher.step():
                pass
        watcher.close()
        return [json.loads(line)["jenga"]["score"] for line in output.read_text().splitlines()]


def by_frame(predictor: Predictor, rows: pd.DataFrame, step: int) -> list[float]:
    pieces = [rows.iloc[at : at + step] for at in range(0, len(rows), step)]
    return [s for piece in pieces for s in predictor.predict(piece)["threat.score"]]


def doors(rows: list[Row], paths: dict[str, Path]) -> dict[str, Callable[[Predictor], list[float]]]:
    found: dict[str, Callable[[Predictor], list[float]]] = {}
    for name, frame in (("frame", as_frame(rows)), ("objects", as_objects(rows))):
        found[name] = lambda p, f=frame: by_frame(p, f, 12)
        found[f"{name}, alone"] = lambda p, f=frame: by_frame(p, f, 1)
    for name, path in paths.items():
        found[name] = lambda p, f=path: by_file(p, f)
        found[f"{name}, in pieces"] = lambda p, f=path: by_pieces(p, f)
        found[f"{name}, score"] = lambda p, f=path: by_score(p, f)
        if name != "parquet":
            found[f"{name}, watch"] = lambda p, f=path: by_watch(p, f, 12)
            found[f"{name}, watch, line by line"] = lambda p, f=path: by_watch(p, f, 1)
    return found


def copies(predictor: Predictor, rows: list[Row], paths: dict[str, Path], folder: Path) -> list[str]:
    """Cells that are not what went in, file after file."""
    wrong = []
    for name, path in paths.items():
        for ending in ("csv", "jsonl"):
            out = folder / f"copy-{name}.{ending}"
            write_frames(commands.predicted(predictor, path, None, numbers=ending != "csv"), out)
            for at, (row, cells) in enumerate(zip(rows, _read(out), strict=True)):
                told = [n for n, value in row.items() if not _same(n, value, cells[n], name)]
                wrong += [f"{name} -> {ending}: row {at}, {n}: {row[n]!r} became {cells[n]!r}" for n in told]
    return wrong


def _read(path: Path) -> list[dict[str, str]]:
    """The cells as text, byte for byte; JSON's numbers as they are spelt."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    with path.open() as file:
        return [json.loads(line, parse_float=str, parse_int=str) for line in file]


def _same(name: str, value: Any, cell: Any, came: str) -> bool:
    """A number that the model reads as one may be spelt in another way by a format of numbers, such as Parquet's 100.0."""
    text = "" if cell is None else cell
    if isinstance(value, bool):
        return str(text).lower() == str(value).lower()
    if isinstance(value, float) and text != "":
        return float(text) == value and (came == "parquet" or text == spelt(name, value) or "." in text)
    if isinstance(value, date):
        return str(text).startswith(str(value))
    return text == spelt(name, value) or (name in ("count", "size") and text != "" and float(text) == value)


def estimators(rows: list[Row], tests: list[Row]) -> float:
    """The largest difference between what the estimator says of the rows as DataFrames of different makes."""
    y = [row["label"] for row in rows]
    processor = CONFIG["inputs"]["row"]["processor"]
    fitted = JengaClassifier(processor=processor, backbone=CONFIG["backbones"]["net"], epochs=2, random_state=0)
    fitted.fit(as_frame(rows)[FEATURES], y)
    typed, objects = as_frame(tests)[FEATURES], as_objects(tests)[FEATURES]
    arrow = as_arrow(tests).select(FEATURES).to_pandas(types_mapper=pd.ArrowDtype)
    text = pd.read_csv(io.BytesIO(as_csv(tests)), dtype=str, keep_default_na=False)[FEATURES]
    want = fitted.predict_proba(typed)
    alone = [np.concatenate([fitted.predict_proba(f.iloc[[at]]) for at in range(len(tests))]) for f in (typed, text)]
    others = [fitted.predict_proba(frame) for frame in (objects, arrow, text)]
    return max(float(np.abs(want - other).max()) for other in (*others, *alone))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data")
    options = parser.parse_args()
    rows, tests = table(options.rows, np.random.default_rng(options.seed)), hard()
    differences, compared, largest, wrong = 0, 0, 0.0, []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trained_on, asked = files(folder, "train", rows), files(folder, "new", tests)
        through, want = doors(tests, asked), None
        print(f"{'trained from':14}{'scored through':32}{'largest difference':>20}")
        for door in ("frame", "objects", *trained_on):
            predictor = train(door, rows, trained_on, folder / door)
            for name, scores in through.items():
                found = np.array(scores(predictor))
                want = found if want is None else want
                apart = np.abs(found - want) if len(found) == len(want) else np.array([np.inf])
                compared, differences = compared + len(want), differences + int((apart > CLOSE).sum())
                largest = max(largest, float(apart.max()))
                print(f"{door:14}{name:32}{apart.max():20.1e}")
            wrong += [f"trained from {door}: {what}" for what in copies(predictor, tests, asked, folder)]
    apart_estimator = estimators(rows, tests)
    print(f"the estimator, five makes of DataFrame: largest difference {apart_estimator:.1e}")
    print("\n".join(wrong[:20]))
    print(f"{compared:,} scores, {differences} differences (largest {largest:.1e})")
    print(f"{len(wrong)} copies that are not what went in")
    return int(bool(differences or wrong or apart_estimator > CLOSE))


if __name__ == "__main__":
    sys.exit(main())
