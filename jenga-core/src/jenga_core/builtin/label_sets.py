"""Sets of labels: a column of 0 and 1 per label, or one column of names. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contracts import Array
from ..errors import DataError
from .labels import more

if TYPE_CHECKING:
    import pandas as pd

    from .task_config import MultiLabelConfig

YES_NO = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


@dataclass(frozen=True, slots=True)
class Labels:
    """`y` float32 and `known` bool [N, C]; `missing` and `unknown` bool [N]: rows without a label, with a foreign one."""

    y: Array
    known: Array
    missing: Array
    unknown: Array


def read_labels(cells: pd.DataFrame, config: MultiLabelConfig, names: Sequence[str]) -> Labels:
    """The labels of each row. `DataError` with row and column for a cell that is neither 0 nor 1 (nor yes/no, true/false)."""
    if config.targets is not None:
        y = np.stack([_zero_or_one(cells[name], name) for name in config.targets], axis=1)
        known = ~np.isnan(y)
        missing = ~known.any(axis=1)
        return Labels(np.nan_to_num(y).astype(np.float32), known, missing, np.zeros(len(cells), dtype=bool))
    column = str(config.target)
    sets = [_names(cell, cells.index[at], column, config.separator) for at, cell in enumerate(cells[column])]
    place = {name: at for at, name in enumerate(names)}
    y = np.zeros((len(cells), len(names)), dtype=np.float32)
    missing, unknown = np.array([s is None for s in sets], dtype=bool), np.zeros(len(cells), dtype=bool)
    for row, found in enumerate(sets):
        unknown[row] = any(name not in place for name in found or ())
        y[row, [place[name] for name in found or () if name in place]] = 1
    usable = ~(missing | unknown)
    return Labels(y, np.repeat(usable[:, None], len(names), axis=1), missing, unknown)


def labels_of(column: pd.Series, name: str, separator: str) -> list[str]:
    """Every name that occurs, by spelling."""
    sets = [_names(cell, column.index[at], name, separator) or () for at, cell in enumerate(column)]
    found = sorted({label for labels in sets for label in labels})
    if not found:
        raise DataError(f"there is no label in the {len(column):,} training rows", where=f"column {name!r}")
    return found


def _zero_or_one(cells: pd.Series, column: str) -> Array:
    """float64 [N], NaN for null and blank cells."""
    import pandas as pd

    blank = cells.isna() | cells.map(lambda cell: isinstance(cell, str) and not cell.strip())
    found = cells.map(lambda cell: YES_NO.get(str(cell).strip().lower(), np.nan)).to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(np.isnan(found) & ~blank.to_numpy(dtype=bool))
    if len(wrong):
        cell = cells.iloc[wrong[0]]
        raise DataError(f"{cell!r} is neither 0 nor 1{more(wrong)}", row=cells.index[wrong[0]], column=column)
    return np.asarray(pd.Series(found).where(~blank.to_numpy(dtype=bool)), dtype=np.float64)


def _names(cell: Any, row: Any, column: str, separator: str) -> tuple[str, ...] | None:
    """None: no label is known. A list may be empty: none of the labels applies."""
    import pandas as pd

    if isinstance(cell, list | tuple | np.ndarray):
        if any(isinstance(part, list | dict) or part is None for part in cell):
            raise DataError("the list of labels holds what is no label", row=row, column=column)
        return tuple(str(part) for part in cell)
    if isinstance(cell, dict):
        raise DataError("the labels are a dict", row=row, column=column)
    if pd.isna(cell) or not str(cell).strip():
        return None
    return tuple(part.strip() for part in str(cell).split(separator) if part.strip())
