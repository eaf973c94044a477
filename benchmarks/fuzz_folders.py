"""Malformed model folders: each ends in one clean message, or predicts.

    python benchmarks/fuzz_folders.py [--runs 2000] [--seed 0] [--quick] [--data IGNORED]

Six small models are trained (tables, anomalies without labels, words and entities, byte pairs and classes, labels by the dozen,
numbers). Copies of their folders are spoilt one place at a time: a JSON state loses a key, holds another type, a huge
number, NaN, 200,000 brackets; the configuration asks for 10**7 layers; weights overflow; a file becomes a pipe, a link, a
folder. Most are sealed again, as somebody who means harm would. Each is loaded and asked for one small table in a process
of its own with a limit of time and memory. Right is an error of Jenga's, or a prediction whose outputs are finite or said
not to be. Exits with 1 where a folder ends otherwise. `--quick`: 200 of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads do not survive a fork

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file, save_file

import jenga_core
from jenga_core.errors import UserError
from jenga_core.files import sha256

SECONDS, MEMORY = 20, 2 << 30  # of one load and prediction; bytes beyond those of the parent
RIGHT = ("refused", "predicts", "predicts, and says that outputs are not finite")

# ------------------------------------------------------------------ models


@dataclass(frozen=True, slots=True)
class Base:
    folder: Path
    rows: pd.DataFrame


def table(rows: int = 240) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({
        "amount": draw.lognormal(3, 1, rows).round(2),
        "count": draw.integers(0, 50, rows).astype(float),
        "protocol": draw.choice(["tcp", "udp", "icmp"], rows),
        "host": [f"h{at % 40}" for at in range(rows)],
        "day": pd.date_range("2026-01-01", periods=rows, freq="h").astype(str),
        "words": draw.choice(["habari ya leo", "soko la Nairobi", "barua kwa Wanjiku", "bei ya mahindi"], rows),
    })  # fmt: skip
    frame.loc[::7, "count"] = np.nan
    frame["label"] = np.where(frame["amount"] + draw.normal(0, 5, rows) > 30, "attack", "normal")
    frame["tags"] = np.where(frame["amount"] > 20, "big;seen", "seen")
    frame["size"] = frame["amount"] * 3 + draw.normal(0, 1, rows)
    frame["spans"] = [
        [{"start": t.index(w), "end": t.index(w) + len(w), "label": k} for w, k in NAMES.items() if w in t]
        for t in frame["words"]
    ]
    return frame


NAMES = {"Nairobi": "PLACE", "Wanjiku": "PERSON"}
TABLE = ["amount", "count", "protocol", "host", "day"]
READ = {"kind": "security/table", "hashed": ["host"], "dates": ["day"]}
MODELS: dict[str, tuple[list[str], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "anomaly": (TABLE, READ, {"kind": "security/tabular-mlp", "width": 8, "depth": 1},
                {"kind": "security/anomaly", "target": "label"}),
    "outlier": (TABLE, {**READ, "scaling": "standard"}, {"kind": "security/autoencoder"},
                {"kind": "security/outlier", "threshold": 0.9}),
    "ner": (["words"], {"kind": "text/words", "min_count": 1}, {"kind": "text/recurrent", "embedding": 4, "hidden": 4},
            {"kind": "text/ner", "text": "words", "target": "spans"}),
    "classes": (["words"], {"kind": "text/train-bpe", "vocabulary": 300}, {"kind": "text/conv", "width": 8, "depth": 1},
                {"kind": "core/classification", "target": "label", "class_weight": "balanced"}),
    "encoder": (["words"], {"kind": "text/train-bpe", "vocabulary": 300},
                {"kind": "text/transformer", "architecture": {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1,
                 "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 64}},
                {"kind": "core/classification", "target": "label"}),
    "labels": (TABLE, {**READ, "scaling": "log"}, {"kind": "security/tabular-mlp", "width": 8, "depth": 1},
               {"kind": "core/multi-label", "target": "tags", "separator": ";"}),
    "number": (TABLE, {**READ, "scaling": "none"}, {"kind": "security/tabular-resnet", "width": 8, "depth": 1},
               {"kind": "core/regression", "target": "size"}),
}  # fmt: skip


def trained(folder: Path, names: list[str]) -> dict[str, Base]:
    frame, found = table(), {}
    for name in names:
        columns, processor, backbone, task = MODELS[name]
        config = {
            "data": {"rows": {"split": {"validation": 0.2, "test": 0.1}}},
            "inputs": {"row": {"columns": columns, "processor": processor}},
            "backbones": {"net": backbone},
            "tasks": {"answer": task},
            "train": {"epochs": 1, "batch_size": 64, "bootstrap": 0, "baselines": False, "explanations": False},
        }
        jenga_core.train(config, data=frame, output=folder / name, quiet=True, report=False)
        found[name] = Base(folder / name, frame[columns].head(12))
    return found


# ------------------------------------------------------------------ harm

HUGE: list[Any] = [10**7, 10**12, 2**63, 10**400, 1e308, -1e308, 3e38, 1e-308, -1, 0, 0.5]
OTHER: list[Any] = [
    None,
    True,
    "",
    "x",
    "\ud800",
    [],
    {},
    [[]],
    {"a": 1},
    float("nan"),
    float("inf"),
    ["a"] * 3,
    [None],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every key and to some items of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def spoilt(value: Any, draw: random.Random) -> Any:
    """A JSON value with one place of it changed."""
    value = json.loads(json.dumps(value))
    every = list(places(value))
    if not every:
        return draw.choice(OTHER)
    path = draw.choice(every)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    old, act = holder[path[-1]], draw.randrange(6)
    if act == 0:
        del holder[path[-1]]
    elif act == 1 and isinstance(old, str) and old.startswith("{"):  # JSON in a text: a tokenizer
        holder[path[-1]] = json.dumps(spoilt(json.loads(old), draw))
    elif act <= 2:
        holder[path[-1]] = draw.choice(OTHER)
    elif act == 3 and isinstance(old, list) and old:
        holder[path[-1]] = draw.choice([old * 1000, old[::-1], old + old, old[:-1], old[:1], [*old, None]])
    elif act == 4 and isinstance(holder, dict):
        holder[str(path[-1]) + "x"] = holder.pop(path[-1])
    else:
        holder[path[-1]] = draw.choice(HUGE)
    return value


def of_json(path: Path, draw: random.Random) -> None:
    act = draw.randrange(12)
    if act == 0:
        path.write_text("[" * 200_000 + "]" * 200_000)
    elif act == 1:
        path.write_text('{"a":' * 200_000 + "1" + "}" * 200_000)
    elif act == 2:
        path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])
    elif act == 3:
        path.write_text(
            draw.choice(["", "null", "{}", "[]", "1", '"x"', "NaN", '{"a": 1e999}', '{"a": "\\ud800"}', "\x00"])
        )
    else:
        path.write_text(json.dumps(spoilt(json.loads(path.read_text()), draw)))


def of_config(path: Path, draw: random.Random) -> None:
    """The configuration as YAML, of which JSON is a part."""
    import yaml

    config = yaml.safe_load(path.read_text())
    sizes = [p for p in places(config) if p[0] in ("backbones", "inputs", "tasks", "fusion")]
    if draw.random() < 0.5:
        at = draw.choice([p for p in sizes if len(p) > 2])
        holder: Any = config
        for key in at[:-1]:
            holder = holder[key]
        holder[at[-1]] = draw.choice([*HUGE[:5], 10**9, 10**10, -1, 0, None, "x", [], {}])
    else:
        config = spoilt(config, draw)
    path.write_text(json.dumps(config))


def of_weights(path: Path, draw: random.Random) -> None:
    act = draw.randrange(8)
    tensors, data = load_file(path), path.read_bytes()
    name = draw.choice(sorted(tensors))
    if act == 0:
        fill = draw.choice([3e38, -3e38, 1e30, np.nan, np.inf, 0])
        save_file({n: np.full_like(a, fill) if a.dtype.kind == "f" else a for n, a in tensors.items()}, path)
    elif act == 1:
        save_file({**tensors, name: np.full_like(tensors[name], draw.choice([3e38, 1e20, 0, -1]))}, path)
    elif act == 2:
        save_file({n: a for n, a in tensors.items() if n != name} | {"x" * draw.randrange(300): tensors[name]}, path)
    elif act == 3:
        save_file(
            {**tensors, name: tensors[name].astype(draw.choice([np.float16, np.float64, np.int32, np.int8]))}, path
        )
    elif act == 4:
        save_file({**tensors, name: np.zeros((draw.randrange(5), *tensors[name].shape), np.float32)}, path)
    elif act == 5:
        path.write_bytes(data[: draw.randrange(len(data))])
    elif act == 6:
        path.write_bytes(draw.choice([2**63, 0, 10, 2**40]).to_bytes(8, "little") + data[8:])
    else:
        head = bytearray(data)
        for _ in range(draw.randrange(1, 9)):
            head[draw.randrange(min(len(head), 800))] = draw.randrange(256)
        path.write_bytes(bytes(head))


def of_file(path: Path, draw: random.Random) -> None:
    """Something else in its place."""
    copy = path.with_name(f"{path.name}.copy")
    path.rename(copy)
    acts: list[Callable[[], Any]] = [
        lambda: os.mkfifo(path), path.mkdir, lambda: path.symlink_to("/dev/zero"), lambda: path.symlink_to("/etc/hostname"),
        lambda: path.symlink_to(path.name), lambda: path.symlink_to(copy.name), lambda: None,
    ]  # fmt: skip
    draw.choice(acts)()


def resealed(folder: Path) -> None:
    """The manifest answers for what lies there now, as far as that can be read."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        if (folder / name).is_file() and (folder / name).resolve().is_relative_to(folder.resolve()):
            manifest["files"][name] = sha256(folder / name)
    path.write_text(json.dumps(manifest))


def harmed(folder: Path, draw: random.Random) -> str:
    """Harm done to one place of a folder, in words."""
    states = sorted(p for family in ("processors", "tasks", "backbones") for p in (folder / family).glob("*.json"))
    what = draw.choices(["state", "config", "columns", "manifest", "weights", "file"], [8, 4, 2, 2, 4, 2])[0]
    sealed = draw.random() < 0.95
    if what == "manifest":
        of_json(folder / "manifest.json", draw)
        return "manifest.json"
    if what == "file":
        path = draw.choice(
            [
                *states,
                folder / "config.yaml",
                folder / "columns.json",
                folder / "model.safetensors",
                folder / "manifest.json",
            ]
        )
        of_file(path, draw)
        if path.name != "manifest.json":
            resealed(folder)
        return f"another kind of file: {path.name}"
    acts = {"config": (folder / "config.yaml", of_config), "columns": (folder / "columns.json", of_json),
            "weights": (folder / "model.safetensors", of_weights), "state": (draw.choice(states), of_json)}  # fmt: skip
    path, act = acts[what]
    act(path, draw)
    if sealed:
        resealed(folder)
    return str(path.relative_to(folder))


# ------------------------------------------------------------------ trial


def outcome(folder: Path, rows: pd.DataFrame) -> str:
    """What loading and predicting comes to."""
    try:
        found, unusual = jenga_core.load(folder).explain(rows)
    except UserError as error:
        return "refused" if str(error).strip() else "an error without words"
    except BaseException:
        return traceback.format_exc()
    numbers = found.select_dtypes("number")
    if np.isfinite(numbers.to_numpy(dtype=float, na_value=np.nan)).all():
        return "predicts"
    if any("not finite" in reason or "no prediction" in reason for reason in unusual):
        return "predicts, and says that outputs are not finite"
    return f"not finite, and nothing is said: {dict(unusual)}"


def tried(folder: Path, rows: pd.DataFrame) -> str:
    """`outcome` in a process of its own, which is killed when it takes too long."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 2)
        with os.fdopen(write, "w") as out:
            out.write(outcome(folder, rows))
        os._exit(0)
    os.close(write)
    began = time.monotonic()
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() - began > SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)
            return f"hangs: more than {SECONDS} s"
        time.sleep(0.005)
    with os.fdopen(read) as found:
        return found.read() or "the process died"


def trials(bases: dict[str, Base], runs: int, seed: int, work: Path) -> Iterator[tuple[str, str, str]]:
    """(model, what was harmed, outcome) of each."""
    torch.set_num_threads(1)
    names = list(bases)
    for name, base in bases.items():
        whole = tried(base.folder, base.rows)
        yield name, "nothing", whole if whole == "predicts" else f"a whole folder fails: {whole}"
    for at in range(runs):
        draw = random.Random(seed * 1_000_003 + at)
        name = names[at % len(names)]
        folder = Path(shutil.copytree(bases[name].folder, work / str(at)))
        what = harmed(folder, draw)
        yield name, what, tried(folder, bases[name].rows)
        shutil.rmtree(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[tuple[str, str]] = Counter()
    misses: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bases = trained(folder, list(MODELS))
        for at, (name, what, found) in enumerate(
            trials(bases, 200 if options.quick else options.runs, options.seed, folder)
        ):
            right = found in RIGHT
            counts[name, found if right else "wrong"] += 1
            if not right:
                misses.append(f"{at - len(bases)}: {name}, {what}: {found}")
                print(misses[-1], flush=True)
    print(f"{'model':10}{'folders':>9}" + "".join(f"{w:>12}" for w in ("refused", "predicts", "said", "wrong")))
    for name in [*bases, "all"]:
        row = [sum(n for (m, o), n in counts.items() if name in (m, "all") and o == w) for w in (*RIGHT, "wrong")]
        print(f"{name:10}{sum(row):9,}" + "".join(f"{n:12,}" for n in row))
    return int(bool(misses))


if __name__ == "__main__":
    sys.exit(main())
