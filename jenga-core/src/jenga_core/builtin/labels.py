"""Label maps: cells of a target column <-> class numbers. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from .. import states
from ..errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

NO_LABEL, UNKNOWN = -1, -2
Form = Literal["text", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class LabelMap:
    """The classes of a task, in order, as text. `form` is what the labels were, so that predictions come back as that.

    Labels are compared as text without blanks around it. Numbers that are numbers (see `column_types`) are one label however a
    format types them: 1 and 1.0 are "1" (a column of integers with a gap is read as floats).
    """

    names: tuple[str, ...]
    form: Form = "text"

    @classmethod
    def fit(cls, cells: pd.Series, column: str, classes: Sequence[Any] | None = None) -> LabelMap:
        """From training cells. `classes` fixes the order. Raises `DataError`: no label, one class only, a label not listed."""
        texts = texts_of(cells, column)
        found = sorted(set(texts.dropna()), key=_order(set(texts.dropna())))
        if classes is not None:
            names = tuple(text_of(label) or "" for label in classes)
            _all_listed(texts, names, column)
            return cls(names, form_of(classes))
        if len(found) < 2:
            raise DataError(
                f"{'every label is ' + repr(found[0]) if found else 'there is no label'} in the {len(cells):,} training rows; "
                "at least two classes are needed",
                where=f"column {column!r}",
                next="check the column, or split the rows so that the training rows have every class (split: {by: stratified})",
            )
        labelled = int(texts.notna().sum())
        if len(found) > 20 and len(found) > labelled / 2:
            raise DataError(
                f"{len(found):,} different labels in {labelled:,} training rows are not classes",
                where=f"column {column!r}",
                next="use the task core/regression for a number, or choose another target",
            )
        return cls(tuple(found), form_of(_distinct(cells, column)[1]))

    def __len__(self) -> int:
        return len(self.names)

    def codes(self, cells: pd.Series, column: str) -> np.ndarray:
        """int64 [N]: the class number, `NO_LABEL` for null and blank cells, `UNKNOWN` for a label outside the map."""
        texts = texts_of(cells, column)
        codes = texts.map({name: i for i, name in enumerate(self.names)}).fillna(UNKNOWN).to_numpy(dtype=np.int64)
        codes = np.where(texts.isna().to_numpy(), NO_LABEL, codes)
        return codes

    def labels(self, codes: np.ndarray) -> np.ndarray:
        """The labels of class numbers, as text, int64 or bool as the training labels were."""
        labels: np.ndarray = np.array(self.names, dtype=object)
        if self.form == "boolean":
            labels = np.array([name == "True" for name in self.names])
        if self.form == "integer":
            labels = np.array([int(name) for name in self.names], dtype=np.int64)
        return np.asarray(labels[codes])

    def state(self) -> dict[str, Any]:
        return {"names": list(self.names), "form": self.form}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> LabelMap:
        names, form = states.texts(state["names"], fewest=1), state["form"]
        if form not in get_args(Form):
            raise ValueError(f"labels have no form {form!r}")
        if form == "integer" and not all(abs(int(name)) < 2**53 for name in names):
            raise ValueError("a label is no integer")
        return cls(names, form)


def text_of(cell: Any) -> str | None:
    """A label that is not null, as text without blanks around it: whole floats without ".0"; None for blank text.

    ValueError for infinity.
    """
    if isinstance(cell, float | np.floating):
        if math.isinf(cell):
            raise ValueError("infinite")
        return str(int(cell)) if float(cell).is_integer() else repr(float(cell))
    return str(cell).strip() or None


def texts_of(cells: pd.Series, column: str) -> pd.Series:
    """Each label as text, or None. Works on the distinct cells, so that a long column costs little."""
    import pandas as pd

    codes, distinct = _distinct(cells, column)
    try:
        texts = [text_of(value) for value in distinct]
    except ValueError:
        rows = np.flatnonzero(np.isinf(pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan)))
        raise DataError(f"the label is infinite{more(rows)}", row=cells.index[rows[0]], column=column) from None
    table = np.array([*texts, None], dtype=object)  # the last one is where the code of a null, -1, points
    return pd.Series(table[codes], index=cells.index, dtype=object)


def more(rows: Sequence[int] | np.ndarray) -> str:
    """ " (3 rows are so)" behind the message about the first of them."""
    return f" ({len(rows):,} rows are so)" if len(rows) > 1 else ""


def form_of(distinct: Iterable[Any]) -> Form:
    """What labels are: all truth values, all whole numbers, or anything else."""
    forms = {_form(cell) for cell in distinct}
    return forms.pop() if len(forms) == 1 else "text"


def _form(cell: Any) -> Form:
    if isinstance(cell, bool | np.bool_):
        return "boolean"
    if (
        isinstance(cell, int | np.integer | float | np.floating)
        and float(cell).is_integer()
        and abs(float(cell)) < 2**53
    ):
        return "integer"
    return "text"


def _distinct(cells: pd.Series, column: str) -> tuple[np.ndarray, list[Any]]:
    """(code per cell, -1 for null; the distinct values). In a column of mixed types True, 1 and 1.0 stay three values."""
    import pandas as pd

    if cells.dtype != object:
        codes, distinct = pd.factorize(cells)
        return codes, list(distinct)
    pairs: np.ndarray = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        if isinstance(cell, list | dict | tuple | set | np.ndarray):
            raise DataError(f"the label is a {type(cell).__name__}", row=cells.index[i], column=column)
        pairs[i] = None if pd.isna(cell) else (type(cell).__name__, cell)
    codes, typed = pd.factorize(pairs)
    return codes, [value for _, value in typed]


def _order(texts: set[str]) -> Callable[[str], tuple[float, str]]:
    """The sort key of a set of labels: by size if every one is a finite number, else by spelling."""
    try:
        numbers = {text: float(text) for text in texts}
    except ValueError:
        numbers = {}
    if not all(math.isfinite(number) for number in numbers.values()):
        numbers = {}
    return lambda text: (numbers.get(text, 0.0), text)


def _all_listed(texts: pd.Series, names: Sequence[str], column: str) -> None:
    outside = np.flatnonzero((texts.notna() & ~texts.isin(names)).to_numpy())
    if len(outside):
        label = texts.iloc[outside[0]]
        raise DataError(
            f"label {label!r} is not one of `classes`{more(outside)}",
            row=texts.index[outside[0]],
            column=column,
            allowed=names,
            nearest=nearest(label, names),
        )
