"""The readers against real public data: NSL-KDD (no header, 43 columns) and TON_IoT (byte order mark, stray blanks).

Set JENGA_BENCH_DATA to the folder that holds `nsl_kdd` and `ton_iot`, each as its authors publish it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from jenga_core.builtin.source_config import CsvConfig
from jenga_core.config import DataConfig, SplitConfig
from jenga_core.errors import DataError
from jenga_core.registry import Registry
from jenga_core.tables import load_table

DATA = Path(os.environ.get("JENGA_BENCH_DATA", ""))
REGISTRY = Registry.of()

needs_data = pytest.mark.skipif(
    not (os.environ.get("JENGA_BENCH_DATA") and (DATA / "nsl_kdd").is_dir()),
    reason="NOT CHECKED against real files: JENGA_BENCH_DATA does not name a folder with nsl_kdd and ton_iot",
)


def nsl_kdd_names() -> list[str]:
    fields = pd.read_csv(DATA / "nsl_kdd/Field_Names.csv", header=None)
    return [*fields[0], "attack", "difficulty"]


@needs_data
def test_nsl_kdd_with_its_official_split():
    names = nsl_kdd_names()
    assert len(names) == 43
    section = DataConfig(
        path={"train": "nsl_kdd/KDDTrain+_20Percent.txt", "test": "nsl_kdd/KDDTest+.txt"},
        source=CsvConfig(kind="core/csv", header=False, names=names),
        split=SplitConfig(by="stratified", validation=0.1, test=0),
    )
    table = load_table("flows", section, base=DATA, registry=REGISTRY, seed=0, stratify="attack")
    assert {k: len(v) for k, v in table.splits.items()} == {"train": 22673, "validation": 2519, "test": 22544}
    assert {n for n in names if table.frame[n].dtype == "str"} == {"protocol_type", "service", "flag", "attack"}
    assert table.where(int(table.splits["test"][0])).endswith("KDDTest+.txt, row 1")
    by_pandas = pd.read_csv(DATA / "nsl_kdd/KDDTest+.txt", header=None, names=names)
    pd.testing.assert_frame_equal(table.frame.iloc[25192:].reset_index(drop=True), by_pandas, check_dtype=False)


@needs_data
def test_nsl_kdd_read_as_if_it_had_a_header():
    section = DataConfig(path="nsl_kdd/KDDTest+.txt", source=CsvConfig(kind="core/csv"))
    with pytest.raises(DataError, match=r"line 1: the header names .* twice\n  next: .*header: false"):
        load_table("flows", section, base=DATA, registry=REGISTRY, seed=0)


@needs_data
@pytest.mark.parametrize("device", ["Fridge", "Modbus", "Thermostat"])
def test_ton_iot(device):
    path = f"ton_iot/Train_Test_IoT_{device}.csv"
    table = load_table("t", DataConfig(path=path), base=DATA, registry=REGISTRY, seed=0)
    assert table.frame.columns[0] == "date"
    by_pandas = pd.read_csv(DATA / path, encoding="utf-8-sig", low_memory=False)
    pd.testing.assert_frame_equal(table.frame, by_pandas.astype(dict(table.frame.dtypes)))


@needs_data
def test_ton_iot_dates_with_two_digit_years_are_refused_with_the_row():
    section = DataConfig(path="ton_iot/Train_Test_IoT_Fridge.csv", split=SplitConfig(by="time", column="date"))
    with pytest.raises(DataError, match=r"row 1, column 'date': '25-Apr-19' is no time"):
        load_table("t", section, base=DATA, registry=REGISTRY, seed=0)
