"""A source, tasks and hooks with one fault each."""

from __future__ import annotations

import numpy as np
import torch

from jenga_core.api import hookimpl
from jenga_core.builtin.config import CsvConfig
from jenga_core.builtin.sources import CsvSource
from jenga_core.builtin.tasks import ClassificationTask
from jenga_core.contracts import Encoded


class Lying(CsvSource):
    """Lists a column that its tables do not have, starts every table's index at 0, and says nothing of lost files."""

    def __init__(self, config):
        super().__init__(CsvConfig(kind=config.kind))

    def columns(self, path):
        return [*super().columns(path), "ghost"]

    def tables(self, path, *, batch_rows):
        if path.exists():
            yield from (table.reset_index(drop=True) for table in super().tables(path, batch_rows=batch_rows))


class MeanLoss(ClassificationTask):
    """The loss is a mean."""

    def loss(self, output, target):
        return super().loss(output, target) / len(target["y"])


class NullIsAClass(ClassificationTask):
    """Takes a row without a label for one of class 0."""

    def encode(self, cells, inputs):
        found = super().encode(cells, inputs)
        return Encoded({"y": np.maximum(found.columns["y"], 0)}, np.ones(len(cells), dtype=bool))


class NoState(ClassificationTask):
    """Forgets its classes."""

    def restore(self, state):
        pass


class Peeks(ClassificationTask):
    """Learns, but its predictions have nothing to do with what it learned."""

    def predict(self, model, batch, name):
        return {"probability": torch.full((len(batch), len(self.map)), 1 / len(self.map))}


class ReadsTargets(ClassificationTask):
    """Gives a row its label back, where the batch has it."""

    def predict(self, model, batch, name):
        found = dict(super().predict(model, batch, name))
        if name in batch.targets:
            part = batch.targets[name]
            found["probability"] = found["probability"].clone()
            found["probability"][part.rows] = torch.eye(len(self.map))[part.data["y"]]
        return found


class RemembersLabels(ClassificationTask):
    """Gives a row the label that it had when the table was encoded."""

    def encode(self, cells, inputs):
        found = super().encode(cells, inputs)
        self.seen = np.maximum(found.columns["y"], 0)
        return found

    def predict(self, model, batch, name):
        return {"probability": torch.eye(len(self.map))[torch.from_numpy(self.seen[batch.rows])]}


class OneLineOnly(ClassificationTask):
    """Decodes the first row only."""

    def decode(self, output, rows, inputs):
        return super().decode(output, rows, inputs).head(1)


class Forgetful:
    """Scales the gradients by the steps it has seen, and forgets how many those were."""

    def __init__(self, config):
        self.steps = 0

    @hookimpl
    def on_gradients(self, run):
        self.steps += 1
        for parameter in run.model.parameters():
            if parameter.grad is not None:
                parameter.grad /= self.steps


class StopsEarly:
    """Ends every run after the first epoch."""

    def __init__(self, config):
        self.config = config

    @hookimpl
    def on_epoch_end(self, run, epoch, metrics):
        run.stop = "enough"
