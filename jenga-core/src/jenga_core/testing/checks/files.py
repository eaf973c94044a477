"""Sources and examples: files in, files out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jenga_core.api import ExampleSpec, SourceSpec
from jenga_core.contracts import Source
from jenga_core.errors import DataError
from jenga_core.reading import read_config

from ..rig import example as options
from .base import Samples

CONFIG, README = "config.yaml", "README.md"


class FileChecks(Samples):
    def source_under_test(self, kind: str) -> Source:
        made: Source = self.registry().factory(kind, SourceSpec)(options(self.registry(), kind, SourceSpec))
        return made

    def test_source_gives_the_columns_it_lists(self, source: str, tmp_path: Path) -> None:
        path, reader = self.file(source, tmp_path), self.source_under_test(source)
        tables = list(reader.tables(path, batch_rows=1_000))
        assert sum(map(len, tables)) >= 12, "give a file of at least 12 rows"
        for table in tables:
            assert list(table.columns) == reader.columns(path)

    def test_source_gives_the_same_rows_in_any_batches(self, source: str, tmp_path: Path) -> None:
        path, reader = self.file(source, tmp_path), self.source_under_test(source)
        whole = pd.concat(list(reader.tables(path, batch_rows=1_000)))
        pieces = list(reader.tables(path, batch_rows=5))
        assert max(map(len, pieces)) <= 5, "a table has more than batch_rows rows"
        index = np.concatenate([piece.index for piece in pieces])
        assert index.tolist() == list(range(len(whole))), "the index does not go on from table to table"
        assert whole.index.tolist() == list(range(len(whole)))
        joined = pd.concat(pieces)
        for column in whole.columns:
            assert joined[column].astype(object).where(joined[column].notna(), None).tolist() == (
                whole[column].astype(object).where(whole[column].notna(), None).tolist()
            ), f"column {column!r} differs between batch sizes"

    def test_source_names_a_file_that_it_cannot_read(self, source: str, tmp_path: Path) -> None:
        ending = next(iter(self.registry().spec(source, SourceSpec).suffixes), "")
        with pytest.raises(DataError, match="not-here"):
            list(self.source_under_test(source).tables(tmp_path / f"not-here{ending}", batch_rows=5))

    # ---------------------------------------------------------------- examples

    def write_example(self, kind: str, folder: Path, *, seed: int = 0, rows: int | None = 200) -> dict[str, str]:
        """File -> sha256 of what the template writes."""
        folder.mkdir()
        self.registry().factory(kind, ExampleSpec)(folder, seed=seed, rows=rows)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def test_example_is_a_function_of_its_seed(self, example: str, tmp_path: Path) -> None:
        one, same, other = (
            self.write_example(example, tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2))
        )
        assert one == same, "the same seed gave other bytes"
        assert one != other, "another seed gave the same bytes"

    def test_example_explains_itself(self, example: str, tmp_path: Path) -> None:
        assert {CONFIG, README} <= self.write_example(example, tmp_path / "made").keys()

    def test_example_config_is_sound(self, example: str, tmp_path: Path) -> None:
        from jenga_core.check import check

        self.write_example(example, tmp_path / "made")
        config = read_config(tmp_path / "made" / CONFIG, registry=self.registry())
        assert list(check(config, tmp_path / "made", self.registry()).problems) == []
