"""Scoring of files larger than memory: every row once, in order, whatever the files, the cuts, the workers and the stops."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import jenga_core
import toys
from jenga_core.api import SourceSpec
from jenga_core.bulk import pipeline, work
from jenga_core.bulk.pipeline import score_files
from jenga_core.bulk.work import Shard
from jenga_core.errors import DataError, UserError
from jenga_core.inference import Predictor


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("bulk") / "run"
    jenga_core.train(
        toys.numbers_config(epochs=1),
        data=toys.numbers_frame(),
        output=folder,
        registry=toys.registry(),
        quiet=True,
        report=False,
    )
    return jenga_core.load(folder, registry=toys.registry())


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 100 rows, predicted 25 at a time."""
    for module in (work, pipeline):
        monkeypatch.setattr(module, "CHUNK", 100)
        monkeypatch.setattr(module, "STRETCH", 25)


def rows(count: int, seed: int = 5) -> pd.DataFrame:
    made = toys.numbers_frame(count, seed)
    return made.assign(row=np.arange(count), note=[f"n{at}" if at % 7 else None for at in range(count)])


def scored(folder: Path) -> pd.DataFrame:
    parts = sorted(folder.glob("part-*.parquet"))
    return pd.concat([parquet.read_table(part).to_pandas() for part in parts], ignore_index=True)


def predicted(predictor: Predictor, frame: pd.DataFrame) -> pd.DataFrame:
    """By `predict`, in the pieces in which bulk scoring predicts."""
    pieces = [frame.iloc[at : at + 25] for at in range(0, len(frame), 25)]
    return pd.concat([pd.concat([piece, predictor.predict(piece)], axis=1) for piece in pieces], ignore_index=True)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_rows_and_predictions_are_those_of_predict(predictor: Predictor, tmp_path: Path, ending: str) -> None:
    frame, path = rows(330), tmp_path / f"rows.{ending}"
    write = {"parquet": frame.to_parquet, "csv": frame.to_csv, "jsonl": frame.to_json}[ending]
    write(path, **({"orient": "records", "lines": True} if ending == "jsonl" else {"index": False}))
    done = score_files(predictor, path, tmp_path / "out")
    assert done.rows == 330
    read = predictor.read(path)
    pd.testing.assert_frame_equal(scored(tmp_path / "out"), predicted(predictor, read), check_exact=True)
    success = json.loads((tmp_path / "out" / "_SUCCESS").read_text())
    assert [part["rows"] for part in success["parts"]] == [100, 100, 100, 30]


def test_parquet_keeps_the_types_of_the_file(predictor: Predictor, tmp_path: Path) -> None:
    table = pa.Table.from_pandas(rows(60)[["a", "b", "c"]])
    table = table.append_column("day", pa.array([18_000] * 60, pa.date32()))
    table = table.append_column("word", pa.array(["x", None] * 30).dictionary_encode())
    table = table.append_column("small", pa.array([1, None] * 30, pa.int8()))
    parquet.write_table(table, tmp_path / "rows.parquet")
    score_files(predictor, tmp_path / "rows.parquet", tmp_path / "out")
    made = parquet.read_table(tmp_path / "out" / "part-00000-000000.parquet")
    assert made.select(table.column_names).equals(table)
    assert len(made.column_names) > len(table.column_names)


def test_a_folder_of_files_is_read_in_the_order_of_names(predictor: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "b").mkdir(parents=True)
    for name, seed in (("c.csv", 3), ("a.csv", 1), ("b/z.csv", 2)):
        rows(120, seed).to_csv(source / name, index=False)
    (source / ".hidden").write_text("nothing that can be read")
    (source / "_SUCCESS").write_text("")
    score_files(predictor, source, tmp_path / "out")
    want = pd.concat([rows(120, seed)["a"] for seed in (1, 2, 3)], ignore_index=True)
    np.testing.assert_allclose(scored(tmp_path / "out")["a"], want)


@pytest.mark.parametrize(("device", "workers", "threads"), [("cpu", None, 5), ("meta", None, 2), ("meta", 3, 3)])
def test_how_many_threads_predict(
    device: str,
    workers: int | None,
    threads: int,
    predictor: Predictor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An accelerator's memory holds what each of them computes at once."""
    used = []

    def predicted(predictor: Any, stretches: Any, table: str, threads: int) -> list[Any]:
        used.append(threads)
        return []

    monkeypatch.setattr(pipeline, "_predicted", predicted)
    monkeypatch.setattr(pipeline, "_cores", lambda: 5)
    rows(20).to_parquet(tmp_path / "rows.parquet")
    elsewhere = replace(predictor, place=replace(predictor.place, device=torch.device(device)))
    score_files(elsewhere, tmp_path / "rows.parquet", tmp_path / "out", workers=workers)
    assert used == [threads]


def test_shards_together_do_everything_once(predictor: Predictor, tmp_path: Path) -> None:
    rows(730).to_parquet(tmp_path / "rows.parquet", row_group_size=64)
    first = score_files(predictor, tmp_path / "rows.parquet", tmp_path / "out", shard=Shard(1, 3))
    assert first.success is None
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    others = [
        score_files(predictor, tmp_path / "rows.parquet", tmp_path / "out", shard=Shard(n, 3), workers=1)
        for n in (0, 2)
    ]
    assert first.rows + sum(done.rows for done in others) == 730
    assert others[-1].success is not None
    score_files(predictor, tmp_path / "rows.parquet", tmp_path / "whole")
    pd.testing.assert_frame_equal(scored(tmp_path / "out"), scored(tmp_path / "whole"), check_exact=True)


def test_what_is_done_is_not_done_again(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(430).to_csv(tmp_path / "rows.csv", index=False)

    class Stopped(Exception):
        pass

    def stop_after(limit: int) -> Any:
        seen = []

        def told(count: int) -> None:
            seen.append(count)
            if sum(seen) >= limit:
                raise Stopped

        return told

    with pytest.raises(Stopped):
        score_files(predictor, tmp_path / "rows.csv", tmp_path / "out", progress=stop_after(260))
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 2
    assert not list((tmp_path / "out").glob(".*.tmp")), "a part that was not finished is left behind"
    (tmp_path / "out" / "part-00000-000000.parquet").write_bytes(b"torn")  # not what its receipt says
    done = score_files(predictor, tmp_path / "rows.csv", tmp_path / "out")
    assert done.rows == 330
    assert scored(tmp_path / "out")["row"].tolist() == [str(at) for at in range(430)], "text as it came"


def test_another_source_or_model_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    rows(50).to_csv(tmp_path / "rows.csv", index=False)
    score_files(predictor, tmp_path / "rows.csv", tmp_path / "out")
    rows(51).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(UserError, match="began with another source"):
        score_files(predictor, tmp_path / "rows.csv", tmp_path / "out")
    rows(50).to_csv(tmp_path / "rows.csv", index=False)
    contract = json.loads((tmp_path / "out" / "_score.json").read_text())
    (tmp_path / "out" / "_score.json").write_text(json.dumps({**contract, "model": "0" * 64}))
    with pytest.raises(UserError, match="began with another model"):
        score_files(predictor, tmp_path / "rows.csv", tmp_path / "out")


def test_a_folder_of_other_things_is_refused(predictor: Predictor, tmp_path: Path) -> None:
    rows(50).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(UserError, match="not empty"):
        score_files(predictor, tmp_path / "rows.csv", tmp_path)


def test_a_bad_cell_names_file_and_row_and_leaves_what_was_done(predictor: Predictor, tmp_path: Path) -> None:
    frame = rows(330).astype({"a": object})
    frame.loc[260, "a"] = "many"
    frame.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises((DataError, ValueError)):
        score_files(predictor, tmp_path / "rows.csv", tmp_path / "out")
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_predictions_that_the_rows_already_have_are_refused(predictor: Predictor, tmp_path: Path) -> None:
    rows(30).assign(**{"label.label": 1}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(DataError, match="already have"):
        score_files(predictor, tmp_path / "rows.csv", tmp_path / "out")


def test_threads_of_torch_are_as_before(predictor: Predictor, tmp_path: Path) -> None:
    rows(30).to_csv(tmp_path / "rows.csv", index=False)
    before = torch.get_num_threads()
    score_files(predictor, tmp_path / "rows.csv", tmp_path / "out")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "a/b", "0/0", "1/"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="no shard"):
        Shard.read(text)


@settings(deadline=None, max_examples=40)
@given(
    total=st.integers(0, 60), group=st.integers(1, 25), stretch=st.integers(1, 20), unwanted=st.sets(st.integers(0, 60))
)
def test_stretches_cover_a_parquet_file(
    tmp_path_factory: pytest.TempPathFactory, total: int, group: int, stretch: int, unwanted: set[int]
) -> None:
    registry = toys.registry()
    path = tmp_path_factory.mktemp("stretches") / "rows.parquet"
    parquet.write_table(pa.table({"a": range(total), "b": [str(n) for n in range(total)]}), path, row_group_size=group)
    config = registry.config_class("core/parquet", SourceSpec)(kind="core/parquet")
    source = registry.factory("core/parquet", SourceSpec)(config)

    def wanted(start: int) -> bool:
        return start // stretch not in unwanted

    found = list(source.stretches(path, ["a"], rows=stretch, wanted=wanted))
    at = 0
    for piece in found:
        assert piece.start == at
        at += piece.size
        if piece.cells is None:
            assert not any(wanted(start) for start in range(piece.start, at, stretch))
            continue
        assert wanted(piece.start)
        assert piece.start % stretch == 0
        want = list(range(piece.start, at))
        assert piece.cells["a"].tolist() == want
        assert piece.cells.index.tolist() == want
        assert piece.table.to_pydict() == {"a": want, "b": [str(n) for n in want]}
    assert at == total
