"""`Predictor`: rows in, one line per row out, whatever the rows are like; `evaluate` judges only what it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
import toys
from jenga_core import loading
from jenga_core.api import TrainerHookSpec, hookimpl
from jenga_core.config import ComponentConfig
from jenga_core.devices import device_of
from jenga_core.errors import DataError, UserError
from jenga_core.inference import Predictor
from jenga_core.reading import read_config
from jenga_core.registry import Registry

COLUMNS = ["a", "b", "c"]


def frame(rows: int = 120) -> pd.DataFrame:
    """The toy rows with an integer class, a truth value and a word."""
    made = toys.numbers_frame(rows)
    bad = made["label"] == "bad"
    return made.assign(number=bad.astype(int) + 4, truth=bad)


def tasks(*targets: str) -> dict[str, Any]:
    return {t: {"kind": "core/classification", "target": t} for t in targets}


def trained(folder: Path, config: dict[str, Any], data: Any) -> Predictor:
    run = jenga_core.train(config, data=data, output=folder, registry=toys.registry(), quiet=True, report=False)
    return jenga_core.load(run.folder, registry=toys.registry())


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    config = {**toys.numbers_config(epochs=1), "tasks": tasks("label", "number", "truth")}
    return trained(tmp_path_factory.mktemp("predictor") / "run", config, frame())


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A model of two tables."""
    config = toys.numbers_config(epochs=1)
    config["data"]["texts"] = {"split": {"validation": 0.2, "test": 0.2}}
    config["backbones"]["bag"] = "toy/bag"
    config["inputs"]["x"].update(data="rows", backbone="net")
    config["inputs"]["text"] = {"data": "texts", "columns": ["text"], "processor": "toy/words", "backbone": "bag"}
    config["tasks"]["label"]["data"] = "rows"
    config["tasks"]["place"] = {"kind": "core/classification", "data": "texts", "target": "place"}
    data = {"rows": toys.numbers_frame(), "texts": toys.words_frame()}
    return trained(tmp_path_factory.mktemp("two") / "run", config, data)


# ------------------------------------------------------------------ index, order, types


@pytest.mark.parametrize(
    "index",
    [np.zeros(120, dtype=int), np.arange(120)[::-1], pd.date_range("2024", periods=120), [f"r{i}" for i in range(120)],
     pd.MultiIndex.from_product([range(12), list("abcdefghij")])],
    ids=["one value", "descending", "times", "text", "two levels"],
)  # fmt: skip
def test_index_and_order_are_those_of_the_frame(predictor: Predictor, index: Any) -> None:
    plain = predictor.predict(frame())
    rows = frame().set_axis(index, axis=0)
    found = predictor.predict(rows)
    pd.testing.assert_index_equal(found.index, rows.index)
    np.testing.assert_array_equal(found["label.score"].to_numpy(), plain["label.score"].to_numpy())


def test_labels_come_back_as_what_they_were(predictor: Predictor) -> None:
    found = predictor.predict(frame())
    assert found["number.label"].dtype == np.int64
    assert found["truth.label"].dtype == bool
    assert set(found["number.label"]) <= {4, 5}


def test_whole_numbers_stay_whole_when_a_row_has_no_input(predictor: Predictor) -> None:
    plain = predictor.predict(frame())
    rows = frame()
    rows.loc[[3, 7], COLUMNS] = np.nan
    found = predictor.predict(rows)
    assert found["number.label"].dtype == "Int64"
    assert found["truth.label"].dtype == "boolean"
    assert found.index[found["number.label"].isna()].tolist() == [3, 7]
    assert found[["label.label", "label.score", "truth.label"]].loc[[3, 7]].isna().all(axis=None)
    kept = found.index.difference([3, 7])
    for column in found:
        assert found.loc[kept, column].tolist() == plain.loc[kept, column].tolist()
    assert "4.0" not in found.to_csv()


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_columns_are_the_same_when_no_row_can_be_predicted(predictor: Predictor, rows: int) -> None:
    plain = predictor.predict(frame())
    found = predictor.predict(frame().iloc[:rows].assign(a=np.nan))
    assert list(found.columns) == list(plain.columns)
    assert len(found) == rows
    assert found.isna().all(axis=None)
    if not rows:
        assert found.dtypes.to_dict() == plain.dtypes.to_dict()


@pytest.mark.parametrize("change", [
    lambda f: f.astype(object), lambda f: f.convert_dtypes(), lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    lambda f: f[f.columns[::-1]], lambda f: f.assign(more=1), lambda f: f[COLUMNS],
], ids=["objects", "nullable", "pyarrow", "reordered", "more columns", "no labels"])  # fmt: skip
def test_predictions_do_not_depend_on_how_a_frame_holds_its_cells(predictor: Predictor, change: Any) -> None:
    pd.testing.assert_frame_equal(predictor.predict(change(frame())), predictor.predict(frame()))


def test_names_that_are_no_text_are_found_again(tmp_path: Path) -> None:
    config = toys.numbers_config(epochs=1)
    config["inputs"]["x"]["columns"] = ["0", "1", "2"]
    rows = toys.numbers_frame().rename(columns={"a": 0, "b": 1, "c": 2})
    assert len(trained(tmp_path / "run", config, rows).predict(rows)) == len(rows)


# ------------------------------------------------------------------ what cannot be predicted


def test_a_missing_column_is_named_with_the_nearest(predictor: Predictor) -> None:
    with pytest.raises(DataError, match=r"table 'rows', input 'x': missing column 'b'") as error:
        predictor.predict(frame().rename(columns={"b": "bb"}))
    assert error.value.nearest == "bb"


def test_a_column_that_is_there_twice_is_refused(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="'a' are there more than once"):
        predictor.predict(pd.concat([frame(), frame()[["a"]]], axis=1))


@pytest.mark.parametrize("rows", [{"a": [1.0]}, [[1, 2, 3]], None, np.zeros((2, 3))])
def test_what_is_no_frame_is_refused(predictor: Predictor, rows: Any) -> None:
    with pytest.raises(DataError, match="no pandas DataFrame"):
        predictor.predict(rows)


def test_the_frame_is_left_as_it_was(predictor: Predictor) -> None:
    rows, before = frame(), frame()
    predictor.predict(rows)
    pd.testing.assert_frame_equal(rows, before)


# ------------------------------------------------------------------ several tables


def test_the_table_is_told_by_its_columns_or_by_name(two: Predictor) -> None:
    numbers, words = toys.numbers_frame(), toys.words_frame()
    assert set(two.predict(numbers)) == set(two.predict(numbers, table="rows"))
    assert all(c.startswith("place.") for c in two.predict(words))
    both = words.join(numbers)
    with pytest.raises(UserError, match="several tables"):
        two.predict(both)
    assert all(c.startswith("label.") for c in two.predict(both, table="rows"))
    with pytest.raises(UserError, match="unknown table 'row'") as error:
        two.predict(both, table="row")
    assert error.value.nearest == "rows"


def test_evaluate_finds_the_table_as_predict_does(two: Predictor) -> None:
    assert [j.task for j in two.evaluate(toys.words_frame(), bootstrap=0)] == ["place"]
    assert [j.task for j in two.evaluate(toys.numbers_frame(), table="rows", bootstrap=0)] == ["label"]
    for data in (toys.words_frame(), None):
        with pytest.raises(UserError, match="unknown table 'nope'"):
            two.evaluate(data, table="nope")


# ------------------------------------------------------------------ evaluate


@pytest.fixture
def on_disk(tmp_path: Path) -> tuple[Predictor, Path]:
    path = tmp_path / "rows.csv"
    frame().to_csv(path, index=False)
    config = {**toys.numbers_config(epochs=1), "tasks": tasks("label")}
    config["data"]["rows"]["path"] = str(path)
    return trained(tmp_path / "run", config, None), path


def test_evaluate_judges_the_runs_own_test_rows(on_disk: tuple[Predictor, Path]) -> None:
    found = on_disk[0].evaluate(bootstrap=0)
    assert [(j.task, j.split, j.rows) for j in found] == [("label", "test", 24)]
    assert on_disk[0].evaluate(split="train", bootstrap=0)[0].rows == 72
    with pytest.raises(UserError, match="unknown split 'tests'") as error:
        on_disk[0].evaluate(split="tests")
    assert error.value.nearest == "test"


def test_evaluate_refuses_data_that_changed_since_training(on_disk: tuple[Predictor, Path]) -> None:
    predictor, path = on_disk
    changed = frame()
    changed.loc[0, "a"] += 1e-9
    changed.to_csv(path, index=False)
    with pytest.raises(DataError, match="has changed since training"):
        predictor.evaluate()
    assert predictor.evaluate(changed, bootstrap=0)[0].rows == 120


def test_evaluate_without_data_says_that_a_frame_was_not_kept(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="came from Python") as error:
        predictor.evaluate()
    assert "evaluate(frame)" in str(error.value)


# ------------------------------------------------------------------ the event


class Listener:
    seen: list[tuple[Any, pd.DataFrame, pd.DataFrame]] = []

    def __init__(self, config: Any) -> None:
        pass

    @hookimpl
    def on_predict(self, run: Any, frame: pd.DataFrame, predictions: pd.DataFrame) -> None:
        Listener.seen.append((run, frame, predictions))


class Listening:
    @hookimpl
    def jenga_register_trainer_hooks(self) -> list[TrainerHookSpec]:
        return [TrainerHookSpec(name="listener", factory="a:Listener", config="a:Config", summary="l")]


def test_on_predict_is_told_of_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import SimpleNamespace

    monkeypatch.setitem(sys.modules, "a", SimpleNamespace(Listener=Listener, Config=ComponentConfig))
    registry = Registry.of(toy=toys.ToyPlugin, my=Listening())
    config = {**toys.numbers_config(epochs=1), "hooks": ["my/listener"]}
    jenga_core.train(config, data=toys.numbers_frame(), output=tmp_path / "run", registry=registry, quiet=True)
    Listener.seen = []
    predictor = jenga_core.load(tmp_path / "run", registry=registry)
    rows = toys.numbers_frame(10).set_axis(range(5, 15), axis=0)
    found = predictor.predict(rows)
    ((run, given, told),) = Listener.seen
    assert run is predictor
    assert given is rows
    pd.testing.assert_frame_equal(told, found)


# ------------------------------------------------------------------ where it computes


@pytest.mark.parametrize("wanted", ["auto", "cpu"])
@pytest.mark.parametrize("there", [None, "cuda", "xpu"])
def test_a_model_computes_on_an_accelerator_where_it_would_train_on_one(
    there: str | None, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(there, monkeypatch)
    config = read_config(toys.numbers_config(device=wanted), registry=toys.registry())
    assert device_of(config, None).type == (there if there and wanted == "auto" else "cpu")
    assert device_of(config, "cpu").type == "cpu"
    assert device_of(config, torch.device("cpu")) == torch.device("cpu")
    assert device_of(config, "cpu:0").type == "cpu"
    if there:
        assert device_of(config, there) == torch.device(there, 1)  # that of this thread
        assert device_of(config, f"{there}:0") == device_of(config, torch.device(there, 0)) == torch.device(there, 0)


def test_apples_accelerator_is_used_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine("mps", monkeypatch)
    config = read_config(toys.numbers_config(), registry=toys.registry())
    assert device_of(config, None).type == "cpu"
    assert device_of(config, "mps").type == "mps"


def test_loading_asks_where_to_compute(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(config: Any, given: Any) -> torch.device:
        asked.append((config.train.device, given))
        return torch.device("cpu")

    monkeypatch.setattr(loading, "device_of", answer)
    jenga_core.load(predictor.folder, registry=toys.registry())
    jenga_core.load(predictor.folder, registry=toys.registry(), device="cuda:1")
    assert asked == [("auto", None), ("auto", "cuda:1")]


@pytest.mark.parametrize(
    ("there", "given", "nearest"), [(None, "cuda", None), ("cuda", "cuda:2", "cuda:"), ("cuda", "gpu", "cpu")]
)
def test_a_device_that_is_not_here_is_refused(
    there: str | None,
    given: str,
    nearest: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    predictor: Predictor,
) -> None:
    _machine(there, monkeypatch)
    with pytest.raises(UserError, match=f"there is no device '{given}' here") as refused:
        jenga_core.load(predictor.folder, registry=toys.registry(), device=given)
    assert "cpu" in str(refused.value)
    assert "jenga doctor" in str(refused.value)
    assert nearest is None or f"did you mean: {nearest}" in str(refused.value)


def _machine(accelerator: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator is not None)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(str(accelerator)))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 1)


def test_rows_of_a_split_that_are_not_judged_are_counted_once_and_not_those_of_other_splits(tmp_path: Path) -> None:
    rows = toys.numbers_frame().astype({"label": object})
    data = {"train": rows.iloc[:80].copy(), "validation": rows.iloc[80:100].copy(), "test": rows.iloc[100:].copy()}
    data["train"].iloc[:3, data["train"].columns.get_loc("label")] = None
    data["test"].iloc[:2, data["test"].columns.get_loc("label")] = [None, "odd"]
    config = {**toys.numbers_config(epochs=1, device="cpu"), "data": {"rows": {}}}
    run = jenga_core.train(
        config, data=data, output=tmp_path / "run", registry=toys.registry(), quiet=True, report=False
    )
    (judgement,) = run.judgements
    assert (judgement.split, judgement.rows) == ("test", len(data["test"]) - 2)
    assert judgement.excluded == {"no label or unknown label": 2}
    (given,) = jenga_core.load(run.folder, registry=toys.registry()).evaluate(data["test"])
    assert (given.where, given.excluded) == ("the given rows", {"no label": 1, "unknown label": 1})
