"""Occlusion (Zeiler and Fergus 2014, arXiv 1311.2901): how far an output falls when a cell is replaced by its usual value.

For outputs without a gradient, such as those of forests and nearest neighbours. Nothing adds up: of two cells that say the same
neither may be missed, and each of two that matter only together gets all that both do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..contracts import Array, Batch, Part, Reference

MOST = 64  # columns, or groups of columns, that are replaced one after the other
AT_ONCE = 2048  # rows of a pass

Output = Callable[[Batch], Tensor]  # [B], or [B, C]


@dataclass(frozen=True, slots=True)
class Occluded:
    """`output` and `typical` [B]: at the rows, and with every column replaced. `falls` column -> [B], on the host; exactly zero
    where the cell is its column's usual value, whatever the rounding of a pass."""

    output: Array
    typical: Array
    falls: dict[str, Array]


def occlude(output: Output, batch: Batch, usual: Mapping[str, Reference], whole: Mapping[str, str]) -> Occluded:
    """`usual`, by input: the tensors of rows whose every cell is as in most training rows (`Processor.typical`).

    An input whose tensors have no columns is replaced as one, under its name in `whole`. Of more than MOST columns groups are
    replaced first, and then, row by row, the columns of those groups by which the output falls most.
    """
    cells = _Cells.of(output, batch, usual, whole)
    columns, rows = len(cells.names), len(batch)
    groups = np.array_split(np.arange(columns), min(columns, MOST))
    member = np.stack([np.isin(np.arange(columns), group) for group in groups])
    ends = np.stack([np.zeros((rows, columns), bool), np.ones((rows, columns), bool)])
    replaced = np.repeat(member[:, None], rows, axis=1)
    here, typical, *others = cells.outputs(np.concatenate([ends, replaced]))
    of_groups = np.where(cells.changed(replaced), here - np.stack(others), 0.0)  # [G, B]
    falls = of_groups if columns <= MOST else _within(cells, here, of_groups, groups)
    return Occluded(here, typical, dict(zip(cells.names, falls, strict=True)))


def _within(cells: _Cells, here: Array, of_groups: Array, groups: Sequence[Array]) -> Array:
    """[columns, B]: each row's columns of its strongest groups, MOST at most; 0 for all others."""
    rows, largest = len(here), max(map(len, groups))
    strongest = np.argsort(-np.abs(of_groups), axis=0, kind="stable")[: max(1, MOST // largest)]
    padded = np.full((len(groups), largest), -1)
    for at, group in enumerate(groups):
        padded[at, : len(group)] = group
    chosen = padded[strongest].transpose(0, 2, 1).reshape(-1, rows)  # [K, B], -1: none
    k, row = np.nonzero(chosen >= 0)
    replaced = np.zeros((len(chosen), rows, len(cells.names)), dtype=bool)
    replaced[k, row, chosen[k, row]] = True
    of_each = np.where(cells.changed(replaced), here - cells.outputs(replaced), 0.0)
    falls = np.zeros((len(cells.names), rows))
    falls[chosen[k, row], row] = of_each[k, row]
    return falls


@dataclass(frozen=True, slots=True)
class _Cells:
    """The columns of a batch. `entries`: (input, tensor) -> int64 [D], the column of each entry of the last dimension, or [1]
    where all of the tensor is one column's. `target` [B]: which of the outputs [B, C]."""

    output: Output
    batch: Batch
    usual: Mapping[str, Reference]
    names: list[str]
    entries: Mapping[tuple[str, str], Array]
    target: Tensor | None

    @classmethod
    def of(cls, output: Output, batch: Batch, usual: Mapping[str, Reference], whole: Mapping[str, str]) -> _Cells:
        names: dict[str, int] = {}
        entries = {}
        for name, reference in usual.items():
            for tensor in reference.data:
                columns = reference.columns.get(tensor, [whole[name]])
                entries[name, tensor] = np.array([names.setdefault(c, len(names)) for c in columns], dtype=np.int64)
        with torch.no_grad():
            found = output(batch)
        return cls(output, batch, usual, list(names), entries, found.argmax(dim=1) if found.ndim == 2 else None)

    def changed(self, replaced: Array) -> Array:
        """bool [K, B] for bool [K, B, columns]: rows of which another cell than the usual one is replaced."""
        found = np.zeros((len(self.batch), len(self.names)), dtype=bool)
        for (name, key), columns in self.entries.items():
            tensor, usual = self.batch.inputs[name].data[key], self.usual[name].data[key]
            unlike = (tensor != usual.to(tensor.device)).cpu().numpy()
            rows = self.batch.inputs[name].rows.cpu().numpy()
            for at, column in enumerate(columns):  # [n, ...] of this column's entries
                of_column = unlike[..., at] if len(columns) == unlike.shape[-1] else unlike
                found[rows, column] |= of_column.reshape(len(rows), -1).any(axis=1)
        return np.asarray((replaced & found).any(axis=2))

    def outputs(self, replaced: Array) -> Array:
        """float64 [K, B] for bool [K, B, columns]: which cells are replaced."""
        each = max(1, AT_ONCE // max(len(self.batch), 1))
        found = [self._pass(replaced[at : at + each]) for at in range(0, len(replaced), each)]
        return np.concatenate(found)

    def _pass(self, replaced: Array) -> Array:
        times, rows = len(replaced), len(self.batch)
        inputs = {name: self._part(name, part, replaced) for name, part in self.batch.inputs.items()}
        batch = replace(self.batch, rows=np.tile(self.batch.rows, times), inputs=inputs)
        with torch.no_grad():
            found = self.output(batch)
        if self.target is not None:
            found = found.gather(1, self.target.repeat(times)[:, None]).squeeze(1)
        return found.double().cpu().numpy().reshape(times, rows)

    def _part(self, name: str, part: Part, replaced: Array) -> Part:
        times, here = len(replaced), part.rows
        rows = torch.cat([here + at * len(self.batch) for at in range(times)])
        return Part(rows, dict(self._tensors(name, part, replaced[:, here.cpu().numpy()])))

    def _tensors(self, name: str, part: Part, replaced: Array) -> Iterator[tuple[str, Tensor]]:
        """`replaced` bool [K, n, columns], of the rows that have the input."""
        for key, tensor in part.data.items():
            given = tensor.repeat(len(replaced), *[1] * (tensor.ndim - 1))
            if (name, key) in self.entries:
                mask = torch.from_numpy(replaced[..., self.entries[name, key]]).to(tensor.device).flatten(0, 1)
                usual = self.usual[name].data[key].to(tensor.device).repeat(len(replaced), *[1] * (tensor.ndim - 1))
                given = torch.where(_beside(mask, given), usual, given)
            yield key, given


def _beside(mask: Tensor, tensor: Tensor) -> Tensor:
    """`mask` [N, D] or [N, 1] in a shape that goes with `tensor` [N, ..., D], or [N]."""
    return mask[:, 0] if tensor.ndim == 1 else mask.view(len(mask), *[1] * (tensor.ndim - 2), mask.shape[1])
