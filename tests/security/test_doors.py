"""A cell has one meaning: in every format, alone and among others, in files, logs and DataFrames; copies are not touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

import jenga_core
from jenga_core.bulk.pipeline import score_files
from jenga_core.commands.model import predicted
from jenga_core.commands.tables import write_frames
from jenga_core.errors import DataError
from jenga_core.inference import Predictor
from jenga_core.tables import open_source
from jenga_security.watch.watcher import Watcher

CODES = ["007", "012", "A12", "B07", "044"]
CONFIG = {
    "seed": 1,
    "inputs": {"tx": {"columns": ["code", "amount"], "processor": {"kind": "security/table", "categorical": ["code"]}}},
    "backbones": {"net": {"kind": "security/tabular-mlp", "width": 16, "depth": 1}},
    "tasks": {"fraud": {"kind": "security/anomaly", "target": "label", "normal": "ok"}},
    "train": {"epochs": 8, "batch_size": 32, "bootstrap": 0, "baselines": False, "learning_rate": 0.01},
}


def rows(count: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    codes = draw.choice(CODES, count)
    frame = pd.DataFrame({"code": codes, "amount": [f"{v:.2f}" for v in draw.normal(100, 20, count)]}, dtype="str")
    return frame.assign(label=np.where(np.isin(codes, ["007", "A12"]), "fraud", "ok"))


@pytest.fixture(scope="module", params=["one file", "digits in a file of their own", "frame"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder, frame = tmp_path_factory.mktemp("doors"), rows(500)
    digits = ~frame.code.str.contains("[AB]")
    frame.to_csv(folder / "all.csv", index=False)
    frame[digits].to_csv(folder / "a.csv", index=False)
    frame[~digits].to_csv(folder / "b.csv", index=False)
    paths = {"one file": "all.csv", "digits in a file of their own": ["a.csv", "b.csv"]}.get(request.param)
    data = {"tx": {"path": [str(folder / p) for p in np.atleast_1d(paths)]} if paths else {}}
    given = None if paths else {"tx": frame.astype({"amount": float})}
    run = jenga_core.train({**CONFIG, "data": data}, data=given, output=folder / "run", quiet=True, report=False)
    return jenga_core.load(run.folder)


def by_file(model: Predictor, path: Path) -> list[float]:
    return [score for frame in predicted(model, path, None) for score in frame["fraud.score"]]


def test_a_code_is_one_name_at_every_door(model: Predictor, tmp_path: Path) -> None:
    want = float(model.predict(pd.DataFrame({"code": ["007"], "amount": [100.0]}))["fraud.score"].iloc[0])
    assert want > 0.6, "the model has learned what 007 is"
    found = {}
    for name, others in (("alone", []), ("beside letters", ["A12"]), ("beside digits", ["12"])):
        path = tmp_path / f"{name}.csv"
        path.write_text("code,amount\n" + "".join(f"{code},100.0\n" for code in ("007", *others)))
        found[name] = by_file(model, path)[0]
        score_files(model, path, tmp_path / f"{name}.parts", workers=1)
        part = parquet.read_table(tmp_path / f"{name}.parts" / "part-00000-000000.parquet")
        found[f"{name}, score"] = part["fraud.score"][0].as_py()
        assert part["code"][0].as_py() == "007"
    lines = tmp_path / "x.jsonl"
    lines.write_text('{"code": "007", "amount": 1e2}\n')
    found["JSON"] = by_file(model, lines)[0]
    pd.DataFrame({"code": ["007"], "amount": [100.0]}).to_parquet(tmp_path / "x.parquet")
    found["Parquet"] = by_file(model, tmp_path / "x.parquet")[0]
    assert found == pytest.approx(dict.fromkeys(found, want), abs=1e-6)


def test_a_watch_sees_what_predict_sees(model: Predictor, tmp_path: Path) -> None:
    log, output = tmp_path / "log.csv", tmp_path / "alerts.jsonl"
    log.write_text("code,amount\n")
    watcher = Watcher(model, log, output, open_source(log, model.registry, None), tell=lambda text: None)
    watcher.start(from_start=True)
    for line in ("007,100.0", "012,100.0", "A12,100.0"):
        with log.open("a") as file:
            file.write(line + "\n")
        while watcher.step():
            pass
    watcher.close()
    alerts = [json.loads(line)["jenga"] for line in output.read_text().splitlines()]
    assert [(a["row"]["code"], a["row"]["amount"]) for a in alerts] == [("007", 100.0), ("A12", 100.0)]


CELLS = "000123,0712345678,1.10,12e45,9007199254740993,A12,100.0,NaN, padded "
GAP = "17,,1.20,007,,007,0.10,,true"
NAMES = "case,phone,version,hash,ref,code,amount,note,flag"


def test_copies_are_what_went_in(model: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(f"{NAMES}\n{CELLS}\n{GAP}\n")
    write_frames(predicted(model, path, None), tmp_path / "out.csv")
    out = (tmp_path / "out.csv").read_text().splitlines()
    assert [line.startswith(f"{cells},") for line, cells in zip(out, (NAMES, CELLS, GAP), strict=True)] == [True] * 3
    write_frames(predicted(model, path, None, numbers=True), tmp_path / "out.jsonl")
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    came = dict(zip(NAMES.split(","), CELLS.split(","), strict=True))
    assert {name: first[name] for name in came} == {**came, "amount": 100.0}
    assert second["ref"] is None
    lines = tmp_path / "new.jsonl"
    text = '{"code": "A12", "amount": 1e2, "ref": 9007199254740993, "version": 1.10, "n": 17, "deep": {"a": [1]}}'
    lines.write_text(text + "\n" + text.replace(": 17", ": null") + "\n")
    write_frames(predicted(model, lines, None, numbers=True), tmp_path / "again.jsonl")
    for came_, line in zip(
        lines.read_text().splitlines(), (tmp_path / "again.jsonl").read_text().splitlines(), strict=True
    ):
        assert line.startswith(came_[:-1] + ", ")
    write_frames(predicted(model, lines, None), tmp_path / "again.csv")
    assert [line.split(",")[4] for line in (tmp_path / "again.csv").read_text().splitlines()] == ["n", "17", ""]


def test_lists_and_objects_in_cells(tmp_path: Path) -> None:
    frame = rows(200).astype({"amount": float})
    deep = frame.assign(tags=[["a"]] * 200, where=[{"lat": 1.0}] * 200)
    config = {
        **CONFIG,
        "data": {"tx": {}},
        "inputs": {"tx": {"processor": {"kind": "security/table", "categorical": ["code"]}}},
    }
    run = jenga_core.train(config, data={"tx": deep}, output=tmp_path / "run", quiet=True, report=False)
    assert any("lists or objects, left out" in note and "tags, where" in note for note in run.notes)
    bad = tmp_path / "bad.jsonl"
    line = '{"code": %s, "amount": 1, "tags": [], "where": {}}\n'
    bad.write_text(line % '"007"' + line % '{"a": 1}')
    with pytest.raises(DataError, match="row 2, column 'code'"):
        list(predicted(jenga_core.load(run.folder), bad, None))
