"""A model over rows of a table -> contributions: which method, in which batches, how exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..contracts import Array, Batch, Reference
from ..data import Data
from ..errors import UserError
from ..model import Model
from ..sampling import parts
from .contributions import GRADIENTS, OCCLUSION, Contributions, whole
from .gradients import attribute
from .occlusion import occlude


@dataclass(frozen=True, slots=True)
class Explained:
    """A model over one table's rows. `columns`: input -> the table's columns that it reads.

    `size` rows at once, of at most `tokens` tokens with their padding: the memory is that of a step of training.
    """

    model: Model
    data: Data
    table: str
    columns: Mapping[str, Sequence[str]]
    device: object = "cpu"
    size: int = 128
    tokens: int = 32768

    def contributions(self, task: str, rows: Array) -> Contributions:
        """To the output that `Task.explains` names, at table rows `rows` (each has an input).

        The network computes in single precision whatever the run's was; what it gives is added up in double precision.
        UserError where nothing can be explained.
        """
        component = self.data.parts.tasks[task]
        if component.explains is None:
            raise UserError(f"task {task!r} does not say which of its outputs is to be explained")
        self.model.eval()
        method, of_batch = METHODS[component.explained_by]
        found, left = Contributions.of(method, len(rows)), np.arange(len(rows))
        for effort in method.efforts:
            again = [left[:0]]
            for at in self._batches(rows, left):
                batch = self.data.batch(self.table, rows[at], "predict", np.random.default_rng(0)).to(self.device)
                one = of_batch(self, task, batch, effort)
                done = ~one.inexact if effort != method.efforts[-1] else np.ones(len(at), dtype=bool)
                found.put(at[done], one, np.flatnonzero(done))
                again.append(at[~done])
            left = np.concatenate(again)
        return found

    def _batches(self, rows: Array, left: Array) -> Iterator[Array]:
        """Positions within `rows`, similar lengths together."""
        lengths = self.data.tables[self.table].lengths()
        if lengths is not None:
            lengths = lengths[rows]
            left = left[np.argsort(lengths[left], kind="stable")]
        for at in range(0, len(left), self.size):
            yield from parts(left[at : at + self.size], lengths, self.tokens)

    def _by_gradients(self, task: str, batch: Batch, nodes: int) -> Contributions:
        processors = self.data.parts.processors
        references = self._known({n: processors[n].reference(p.data) for n, p in batch.inputs.items()})
        found = attribute(lambda b: self._output(task, b), batch, references, nodes=nodes)
        one = Contributions.of_gradients(found)
        for name, reference in references.items():
            rows = batch.rows[batch.inputs[name].rows.cpu().numpy()]
            shown = processors[name].shown(self.data.tables[self.table].inputs[name], rows)
            one.name(found, batch, name, reference, self.columns[name], shown)
        return one

    def _by_occlusion(self, task: str, batch: Batch, effort: int) -> Contributions:
        processors = self.data.parts.processors
        usual = self._known({n: processors[n].typical(p.data) for n, p in batch.inputs.items()})
        names = {name: whole(name, self.columns[name]) for name in usual}
        return Contributions.of_occlusion(occlude(lambda b: self._output(task, b), batch, usual, names))

    def _output(self, task: str, batch: Batch) -> Tensor:
        component = self.data.parts.tasks[task]
        return component.predict(self.model, batch, task)[str(component.explains)].double()

    def _known(self, given: Mapping[str, Reference | None]) -> dict[str, Reference]:
        found = {name: reference for name, reference in given.items() if reference is not None}
        if not found:
            raise UserError(f"no input of {self.table!r} can be explained: {', '.join(given)}")
        return found


METHODS = {"gradients": (GRADIENTS, Explained._by_gradients), "occlusion": (OCCLUSION, Explained._by_occlusion)}
