"""Plots as data: what a task's metrics want shown in the report. Each draws itself and gives its numbers as a table.

Importable without matplotlib or torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from .markup import Html
from .passages import Passage

Array = np.ndarray
UP, DOWN = "#2166ac", "#b35806"  # as the marks of a passage: told apart by eyes that do not see red and green


def short(name: str, most: int = 30) -> str:
    """A name that leaves room for the plot; the table of its numbers has it whole."""
    flat = " ".join(name.split())
    return flat if len(flat) <= most else flat[: most - 3] + "..."


class Figure(Protocol):
    """`title`, one `note` that says how to read it, `draw` on a matplotlib axes, `table` = (header, rows) of its numbers.

    `markup`: what the page shows in place of a drawing, where that says more; else None, as `Drawn` has it.

    `to_json` gives plain JSON with a key "form" that `figure_from_json` knows (a figure of your own: `Sheet` of its table).
    """

    @property
    def title(self) -> str: ...

    @property
    def note(self) -> str: ...

    def draw(self, axes: Any) -> None: ...

    def markup(self) -> Html | None: ...

    def table(self) -> tuple[list[str], list[list[Any]]]: ...

    def to_json(self) -> dict[str, Any]: ...


class Drawn:
    """A figure that the page shows as a drawing."""

    __slots__ = ()

    def markup(self) -> Html | None:
        return None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot."""

    name: str
    x: Array
    y: Array


@dataclass(frozen=True, slots=True)
class Curve(Drawn):
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
            axes.plot(
                line.x, line.y, label=short(line.name), marker="o" if self.marks else None, markersize=3, linewidth=1.5
            )
        if self.diagonal:
            axes.plot([0, 1], [0, 1], linestyle=":", color="grey", linewidth=1)
        axes.set_xlabel(short(self.x_label, 60))
        axes.set_ylabel(short(self.y_label, 60))
        axes.grid(alpha=0.3)
        if len(self.lines) > 1:
            axes.legend(fontsize="small")

    def to_json(self) -> dict[str, Any]:
        return _plain("curve", self)

    def table(self, at_most: int = 12) -> tuple[list[str], list[list[Any]]]:
        rows: list[list[Any]] = []
        for line in self.lines:
            picks: Array | list[int] = (
                np.unique(np.linspace(0, len(line.x) - 1, min(at_most, len(line.x))).astype(int)) if len(line.x) else []
            )
            rows += [[line.name, float(line.x[i]), float(line.y[i])] for i in picks]
        return ["line", self.x_label, self.y_label], rows


@dataclass(frozen=True, slots=True)
class Matrix(Drawn):
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
        axes.set_xticks(range(len(self.columns)), [short(name) for name in self.columns], rotation=self._tilt())
        axes.set_yticks(range(len(self.rows)), [short(name) for name in self.rows])
        axes.set_xlabel(short(self.column_label))
        axes.set_ylabel(short(self.row_label))
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

    def _tilt(self) -> int:
        return 90 if len(self.columns) > 4 or max(map(len, self.columns), default=0) > 10 else 0

    def to_json(self) -> dict[str, Any]:
        return _plain("matrix", self)


@dataclass(frozen=True, slots=True)
class Bars(Drawn):
    """Histograms over shared `edges` [K + 1]: each line's `y` [K] is the height of its bars. `mark` draws an upright line."""

    title: str
    x_label: str
    y_label: str
    edges: Array
    lines: Sequence[Line]
    note: str = ""
    mark: float | None = None

    def draw(self, axes: Any) -> None:
        for line in self.lines:
            axes.stairs(line.y, self.edges, fill=True, alpha=0.5, label=short(line.name))
        if self.mark is not None:
            axes.axvline(self.mark, color="grey", linestyle=":", linewidth=1)
        axes.set_xlabel(short(self.x_label, 60))
        axes.set_ylabel(short(self.y_label, 60))
        if len(self.lines) > 1:
            axes.legend(fontsize="small")

    def table(self) -> tuple[list[str], list[list[Any]]]:
        header = [f"{self.x_label} from", "to", *(line.name for line in self.lines)]
        heights = [np.asarray(line.y).tolist() for line in self.lines]
        return header, [
            list(row) for row in zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), *heights, strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        return _plain("bars", self)


@dataclass(frozen=True, slots=True)
class Scatter(Drawn):
    """Points. `diagonal` draws y = x; `level` draws a level line there."""

    title: str
    x_label: str
    y_label: str
    x: Array
    y: Array
    note: str = ""
    diagonal: bool = False
    level: float | None = None

    def draw(self, axes: Any) -> None:
        axes.scatter(self.x, self.y, s=8, alpha=0.4, linewidths=0)
        if self.diagonal and len(self.x):
            ends = [min(self.x.min(), self.y.min()), max(self.x.max(), self.y.max())]
            axes.plot(ends, ends, linestyle=":", color="grey", linewidth=1)
        if self.level is not None:
            axes.axhline(self.level, linestyle=":", color="grey", linewidth=1)
        axes.set_xlabel(short(self.x_label, 60))
        axes.set_ylabel(short(self.y_label, 60))
        axes.grid(alpha=0.3)

    def table(self, parts: int = 10) -> tuple[list[str], list[list[Any]]]:
        """Not the points but a summary: the rows in order of x, in `parts` equal parts."""
        order = np.argsort(self.x, kind="stable")
        cut = [part for part in np.array_split(order, parts) if len(part)]
        rows = [[len(p), *map(float, (self.x[p].mean(), self.y[p].mean(), self.y[p].std()))] for p in cut]
        return ["points", f"mean {self.x_label}", f"mean {self.y_label}", f"deviation of {self.y_label}"], rows

    def to_json(self) -> dict[str, Any]:
        return _plain("scatter", self)


@dataclass(frozen=True, slots=True)
class Ranked(Drawn):
    """Lying bars, the first on top: `values` [K] of `names`; `low` and `high` [K], where given, are ends of intervals."""

    title: str
    x_label: str
    names: Sequence[str]
    values: Array
    low: Array | None = None
    high: Array | None = None
    note: str = ""

    def draw(self, axes: Any, at_most: int = 20) -> None:
        values = np.asarray(self.values, dtype=np.float64)[:at_most]
        places = np.arange(len(values))
        axes.barh(places, values, color=[UP if v >= 0 else DOWN for v in values])
        if self.low is not None and self.high is not None:
            axes.hlines(places, self.low[:at_most], self.high[:at_most], color="black", linewidth=1)
        axes.axvline(0, color="grey", linewidth=1)
        axes.set_yticks(places, [short(name) for name in self.names[:at_most]], fontsize="small")
        axes.invert_yaxis()
        axes.set_xlabel(short(self.x_label, 60))

    def table(self) -> tuple[list[str], list[list[Any]]]:
        columns = {self.x_label: self.values, "from": self.low, "to": self.high}
        given = {name: np.asarray(values).tolist() for name, values in columns.items() if values is not None}
        return ["", *given], [list(row) for row in zip(self.names, *given.values(), strict=True)]

    def to_json(self) -> dict[str, Any]:
        return _plain("ranked", self)


@dataclass(frozen=True, slots=True)
class Sheet(Drawn):
    """Numbers without a drawing: what a figure that the core does not know is kept as."""

    title: str
    header: Sequence[str]
    cells: Sequence[Sequence[Any]]
    note: str = ""

    def draw(self, axes: Any) -> None:
        axes.set_axis_off()
        if len(self.cells):
            axes.table(
                cellText=[list(map(str, row)) for row in self.cells[:12]], colLabels=list(self.header), loc="center"
            )

    def table(self) -> tuple[list[str], list[list[Any]]]:
        return list(self.header), [list(row) for row in self.cells]

    def to_json(self) -> dict[str, Any]:
        return _plain("sheet", self)


_FORMS: dict[str, Any] = {
    "curve": Curve, "matrix": Matrix, "bars": Bars, "scatter": Scatter, "ranked": Ranked, "sheet": Sheet,
}  # fmt: skip
_ARRAYS = {"values", "edges", "x", "y", "low", "high"}


def figure_from_json(data: Mapping[str, Any]) -> Figure:
    """The inverse of `to_json`: an equal figure."""
    if data["form"] == "passage":
        return Passage.of_json(**{k: v for k, v in data.items() if k != "form"})
    given = {k: _array(v) if k in _ARRAYS and v is not None else v for k, v in data.items() if k != "form"}
    if "lines" in given:
        given["lines"] = [Line(line["name"], _array(line["x"]), _array(line["y"])) for line in given["lines"]]
    figure: Figure = _FORMS[data["form"]](**given)
    return figure


def _array(values: Any) -> Array:
    """JSON has no NaN: it was written as null."""
    array = np.array(values)
    return array.astype(np.float64) if array.dtype == object else array


def _plain(form: str, figure: Any) -> dict[str, Any]:
    return {"form": form, **{f.name: _json(getattr(figure, f.name)) for f in fields(figure)}}


def _json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _json(value.tolist())
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    if isinstance(value, Line):
        return {"name": value.name, "x": _json(value.x), "y": _json(value.y)}
    return None if isinstance(value, float) and not math.isfinite(value) else value
