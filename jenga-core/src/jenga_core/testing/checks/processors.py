"""Processors: one entry per row, states that are JSON, and the same tensors after a reload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from jenga_core.api import ProcessorSpec
from jenga_core.contracts import Array, Encoded, Ragged

from ..rig import fit, through_json
from ..samples import COMPLETE
from .base import Samples


def _size(column: Array | Ragged) -> int:
    return len(column)


def assert_same_encoding(one: Encoded, other: Encoded) -> None:
    np.testing.assert_array_equal(one.present, other.present)
    assert one.columns.keys() == other.columns.keys()
    for name, column in one.columns.items():
        theirs = other.columns[name]
        ours = (column.values, column.starts) if isinstance(column, Ragged) else (column,)
        for a, b in zip(ours, (theirs.values, theirs.starts) if isinstance(theirs, Ragged) else (theirs,), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"column {name!r}")


class ProcessorChecks(Samples):
    def test_processor_gives_one_entry_per_row(self, processor: str, tmp_path: Path) -> None:
        cells = self.cells(processor, tmp_path)
        encoded = fit(self.registry(), processor, cells).encoded
        assert encoded.present.shape == (len(cells),)
        assert encoded.present.dtype == bool
        assert encoded.present[:COMPLETE].all(), "a complete row is taken as absent"
        assert {name: _size(column) for name, column in encoded.columns.items()} == dict.fromkeys(
            encoded.columns, len(cells)
        )
        assert encoded.lengths is None or len(encoded.lengths) == len(cells)
        assert encoded.spans is None or len(encoded.spans) == len(cells)

    def test_processor_does_not_change_the_cells(self, processor: str, tmp_path: Path) -> None:
        cells = self.cells(processor, tmp_path)
        before = cells.copy(deep=True)
        fit(self.registry(), processor, cells)
        assert cells.equals(before)

    def test_processor_state_is_json_and_restores_it(self, processor: str, tmp_path: Path) -> None:
        fitted = fit(self.registry(), processor, self.cells(processor, tmp_path))
        restored = self.registry().factory(processor, ProcessorSpec)(fitted.config, None)
        restored.restore(through_json(fitted.processor.state()))
        assert_same_encoding(fitted.encoded, restored.encode(fitted.cells))
        assert through_json(restored.facts()) == through_json(fitted.processor.facts())

    def test_processor_encodes_rows_as_in_training(self, processor: str, tmp_path: Path) -> None:
        """Encoding some rows, in another order, gives those rows: nothing is learned outside `fit`."""
        fitted = fit(self.registry(), processor, self.cells(processor, tmp_path))
        rows = np.array([5, 2, 7])
        picked = fitted.processor.encode(fitted.cells.iloc[rows].reset_index(drop=True))
        some = fitted.processor.collate(picked, np.arange(3), "evaluate", np.random.default_rng(0))
        for name, tensor in fitted.batch(rows).items():
            torch.testing.assert_close(some[name], tensor, msg=lambda m, name=name: f"tensor {name!r}: {m}")  # type: ignore[misc]

    def test_processor_collates_every_purpose(self, processor: str, tmp_path: Path) -> None:
        fitted = fit(self.registry(), processor, self.cells(processor, tmp_path))
        for purpose in ("train", "evaluate", "predict"):
            tensors = fitted.batch(fitted.rows, purpose)
            assert tensors, "collate gave no tensor"
            bad = [n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
            assert not bad, f"purpose {purpose!r}: not finite: {bad}"

    def test_processor_collates_the_same_twice(self, processor: str, tmp_path: Path) -> None:
        """All randomness comes from `rng`."""
        fitted = fit(self.registry(), processor, self.cells(processor, tmp_path))
        one, two = (fitted.batch(fitted.rows, "train") for _ in range(2))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)

    def test_processor_counts_what_is_unusual_by_reason(self, processor: str, tmp_path: Path) -> None:
        fitted = fit(self.registry(), processor, self.cells(processor, tmp_path))
        for rows in (fitted.rows, fitted.rows[:0]):
            counts = fitted.processor.counts(fitted.encoded, rows)
            assert through_json(dict(counts)) == counts, "counts are int, by a reason in words"
            assert all(isinstance(n, int) and n >= 0 for n in counts.values())

    def test_processor_gives_a_row_of_features_to_baselines(self, processor: str, tmp_path: Path) -> None:
        fitted = fit(self.registry(), processor, self.cells(processor, tmp_path))
        features = fitted.processor.classical(fitted.encoded, fitted.rows)
        assert features is None or features.matrix.shape[0] == len(fitted.rows)

    def test_processor_reference_has_the_form_of_its_tensors(self, processor: str, tmp_path: Path) -> None:
        """What explanations start from: shapes and types of `collate`, a name for each entry that has no characters."""
        fitted = fit(self.registry(), processor, self.cells(processor, tmp_path))
        data = fitted.batch(fitted.rows, "predict")
        for found in (fitted.processor.reference(data), fitted.processor.typical(data)):
            if found is None:
                continue  # it cannot be explained
            for name, tensor in found.data.items():
                assert tensor.shape == data[name].shape, f"tensor {name!r}"
                assert tensor.dtype == data[name].dtype, f"tensor {name!r}"
            for name, columns in found.columns.items():
                assert len(columns) == data[name].shape[-1], f"{name!r} has entries without a column"
                assert set(columns) <= {str(column) for column in fitted.cells.columns}
        spans, shown = fitted.encoded.spans, fitted.processor.shown(fitted.encoded, fitted.rows)
        if spans is not None and shown is not None:
            assert np.array_equal(shown.starts, spans.take(fitted.rows).starts), "not one stretch for each token"
