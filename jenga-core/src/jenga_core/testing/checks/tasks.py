"""Tasks: sums, not means; no label, no loss; what was learned survives; eight rows can be learned by heart."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from jenga_core.api import TaskSpec
from jenga_core.contracts import Array, Batch, Columns, Task, take
from jenga_core.data import Data
from jenga_core.model import Model
from jenga_core.scoring import Place, score

from ..rig import TABLE, TASK, Input, Rig, frame_of, run_config, through_json
from ..samples import COMPLETE
from .base import Samples
from .processors import assert_same_encoding

NO_LABEL = 3  # the row whose label is taken away


class TaskChecks(Samples):
    def task_inputs(self, kind: str, folder: Path) -> tuple[dict[str, Input], pd.DataFrame]:
        """The one input that a task is tried with, and the first rows' cells beside their labels."""
        processor, backbone = self.partner(kind)
        cells = self.cells(processor, folder).head(COMPLETE)
        inputs = {"input": Input(processor, backbone, cells)}
        return inputs, frame_of(inputs, self.labels(kind, cells))

    def task_rig(self, kind: str, folder: Path) -> Rig:
        inputs, frame = self.task_inputs(kind, folder)
        return Rig.build(self.registry(), run_config(self.registry(), inputs, kind), frame)

    def test_task_loss_is_a_sum(self, task: str, tmp_path: Path) -> None:
        """The loss and the count of a batch are those of its parts added up."""
        rig = self.task_rig(task, tmp_path)
        with torch.no_grad():
            whole, count = rig.loss(np.arange(COMPLETE))
            parts = [rig.loss(rows) for rows in np.split(np.arange(COMPLETE), [1, 4])]
        assert whole.ndim == 0
        assert count > 0
        torch.testing.assert_close(torch.stack([loss for loss, _ in parts]).sum(), whole, atol=1e-4, rtol=1e-4)
        assert math.isclose(sum(n for _, n in parts), count, rel_tol=1e-6), "the counts of parts do not add up"

    def test_task_trains_every_parameter(self, task: str, tmp_path: Path) -> None:
        rig = self.task_rig(task, tmp_path)
        torch.autograd.backward(rig.loss(np.arange(COMPLETE))[0])
        head = rig.model.heads[TASK]
        without = [n for n, p in head.named_parameters() if p.requires_grad and p.grad is None]
        assert not without, f"parameters of the head that the loss does not depend on: {without}"

    def test_task_leaves_out_rows_without_a_label(self, task: str, tmp_path: Path) -> None:
        rig = self.task_rig(task, tmp_path)
        _, frame = self.task_inputs(task, tmp_path)
        options = rig.config.tasks[TASK]
        if not options.label_columns():
            return  # a task that makes its own labels
        encoded = rig.data.tables[TABLE]
        cells = frame[options.columns()].astype(object)
        cells.loc[NO_LABEL, options.label_columns()] = None
        found = rig.parts.tasks[TASK].encode(cells, encoded.inputs)
        assert not found.present[NO_LABEL], "a row without a label is taken as labelled"
        assert (
            np.delete(found.present, NO_LABEL).tolist() == np.delete(encoded.targets[TASK].present, NO_LABEL).tolist()
        )
        assert sum(found.excluded.values()) >= 1, "a row without a label is not counted in `excluded`"

    def test_task_state_is_json_and_restores_it(self, task: str, tmp_path: Path) -> None:
        rig = self.task_rig(task, tmp_path)
        _, frame = self.task_inputs(task, tmp_path)
        again: Task = self.registry().factory(task, TaskSpec)(rig.config.tasks[TASK])
        again.bind(rig.parts.processors)
        again.restore(through_json(rig.parts.tasks[TASK].state()))
        encoded = rig.data.tables[TABLE]
        cells = frame[rig.config.tasks[TASK].columns()]
        assert_same_encoding(encoded.targets[TASK], again.encode(cells, encoded.inputs))
        output, rows = outputs(rig.model, rig.data, rig.config.train.batch_size)
        one, two = (t.decode(output, rows, encoded.inputs) for t in (rig.parts.tasks[TASK], again))
        pd.testing.assert_frame_equal(one, two)

    def test_task_decodes_a_line_per_row(self, task: str, tmp_path: Path) -> None:
        rig = self.task_rig(task, tmp_path)
        output, rows = outputs(rig.model, rig.data, 3)
        assert {name: len(column) for name, column in output.items()} == dict.fromkeys(output, len(rows))
        lines = rig.parts.tasks[TASK].decode(output, rows, rig.data.tables[TABLE].inputs)
        assert len(lines) == len(rows)
        assert len(lines.columns), "decode gave no column"

    def test_task_predicts_without_its_labels(self, task: str, tmp_path: Path) -> None:
        """The same outputs with the targets in the batch, without them, and after the labels were encoded as missing."""
        rig = self.task_rig(task, tmp_path)
        _, frame = self.task_inputs(task, tmp_path)
        component, options = rig.parts.tasks[TASK], rig.config.tasks[TASK]
        rows = np.arange(COMPLETE)

        def predicted(batch: Batch) -> dict[str, torch.Tensor]:
            with torch.no_grad():
                return dict(component.predict(rig.model, batch, TASK))

        blind = predicted(rig.batch(rows, "predict"))
        _assert_same_outputs(predicted(rig.batch(rows)), blind, "the targets in the batch are read")
        cells = frame[options.columns()].astype(object)
        cells[options.label_columns()] = None
        component.encode(cells, rig.data.tables[TABLE].inputs)
        _assert_same_outputs(predicted(rig.batch(rows, "predict")), blind, "labels that were encoded are read")

    def test_task_metrics_are_those_it_names(self, task: str, tmp_path: Path) -> None:
        rig = self.task_rig(task, tmp_path)
        metrics = rig.parts.tasks[TASK].metrics()
        assert metrics.directions, "no metric is named, so nothing can be monitored"
        assert set(metrics.directions.values()) <= {"max", "min", "none"}
        found = metrics.compute(*self._judged(rig.model, rig.data))
        assert found.keys() == metrics.directions.keys()

    def test_task_learns_eight_rows_by_heart(self, task: str, tmp_path: Path) -> None:
        """Trained on eight rows and judged on them through `predict`, every defined metric is at its best."""
        from jenga_core.training import train

        inputs, frame = self.task_inputs(task, tmp_path)
        config = run_config(
            self.registry(), inputs, task, epochs=300, batch_size=COMPLETE, learning_rate=0.01, weight_decay=0.0,
            schedule="cosine", clip_norm=None, evaluate={"epochs": 300}, checkpoint={"epochs": 300},
        )  # fmt: skip
        data = dict.fromkeys(("train", "validation", "test"), frame)
        run = train(config, data=data, output=tmp_path / "run", registry=self.registry(), quiet=True, report=False)
        metrics = run.data.parts.tasks[TASK].metrics()
        found = metrics.compute(*self._judged(run.model, run.data))
        at_best = {"max": 1.0, "min": 0.0}
        best = {name: at_best[way] for name, way in metrics.directions.items() if way in at_best} | self.best(task)
        far = {n: (v, best[n]) for n, v in found.items() if n in best and not math.isnan(v) and abs(v - best[n]) > 0.1}
        assert not far, f"metrics that eight rows learned by heart do not bring to their best (value, best): {far}"
        assert not all(math.isnan(v) for v in found.values()), "every metric is undefined on the rows it was trained on"

    def _judged(self, model: Model, data: Data) -> tuple[Columns, Columns]:
        """What `Metrics.compute` gets for the first eight rows, the outputs made without looking at labels."""
        output, rows = outputs(model, data, 3)
        return output, take(data.tables[TABLE].targets[TASK].columns, rows)


def _assert_same_outputs(found: dict[str, torch.Tensor], blind: dict[str, torch.Tensor], what: str) -> None:
    assert found.keys() == blind.keys(), f"predict: {what}"
    for name, tensor in blind.items():
        torch.testing.assert_close(
            found[name], tensor, atol=1e-5, rtol=1e-4, equal_nan=True, msg=lambda m: f"predict: {what}: {m}"
        )


def outputs(model: Model, data: Data, batch_size: int) -> tuple[Columns, Array]:
    """Outputs of the task for the first eight rows, in batches, as a prediction makes them: (columns, rows)."""
    rows = np.arange(COMPLETE)
    return score(model, data, TABLE, rows, Place("cpu", batch_size), labels=False).outputs[TASK], rows
