"""Plots as data: what a task's metrics want shown in the report. Each draws itself and gives its numbers as a table.

Importable without matplotlib or torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray


class Figure(Protocol):
    """`title`, one `note` that says how to read it, `draw` on a matplotlib axes, `table` = (header, rows) of its numbers."""

    title: str
    note: str

    def draw(self, axes: Any) -> None: ...

    def table(self) -> tuple[list[str], list[list[Any]]]: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot."""

    name: str
    x: Array
    y: Array


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over two axes. `diagonal` draws the line y = x that a chance or perfectly calibrated model follows."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    note: str = ""
    diagonal: bool = False
    marks: bool = False

    def draw(self, axes: Any) -> None:
        for line in self.lines:
            axes.plot(line.x, line.y, label=line.name, marker="o" if self.marks else None, markersize=3, linewidth=1.5)
        if self.diagonal:
            axes.plot([0, 1], [0, 1], linestyle=":", color="grey", linewidth=1)
        axes.set_xlabel(self.x_label)
        axes.set_ylabel(self.y_label)
        axes.grid(alpha=0.3)
        if len(self.lines) > 1:
            axes.legend(fontsize="small")

    def table(self, at_most: int = 12) -> tuple[list[str], list[list[Any]]]:
        rows: list[list[Any]] = []
        for line in self.lines:
            picks = (
                np.unique(np.linspace(0, len(line.x) - 1, min(at_most, len(line.x))).astype(int)) if len(line.x) else []
            )
            rows += [[line.name, float(line.x[i]), float(line.y[i])] for i in picks]
        return ["line", self.x_label, self.y_label], rows


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts by two axes, such as a confusion matrix: `values` [R, C], rows are the truth."""

    title: str
    row_label: str
    column_label: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Array
    note: str = ""

    def draw(self, axes: Any) -> None:
        share = self.values / np.maximum(self.values.sum(axis=1, keepdims=True), 1)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(self.columns)), self.columns, rotation=45 if len(self.columns) > 4 else 0)
        axes.set_yticks(range(len(self.rows)), self.rows)
        axes.set_xlabel(self.column_label)
        axes.set_ylabel(self.row_label)
        if self.values.size <= 144:
            for i in range(self.values.shape[0]):
                for j in range(self.values.shape[1]):
                    colour = "white" if share[i, j] > 0.5 else "black"
                    axes.text(
                        j, i, f"{self.values[i, j]:,.0f}", ha="center", va="center", color=colour, fontsize="small"
                    )

    def table(self) -> tuple[list[str], list[list[Any]]]:
        header = [f"{self.row_label} \\ {self.column_label}", *self.columns]
        return header, [[name, *row] for name, row in zip(self.rows, self.values.tolist(), strict=True)]
