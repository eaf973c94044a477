"""Columns that alone tell the classes of a task apart: said before training, since no score means anything beside one.

Such a column is the answer by another name, a row number of a table that is sorted by its labels, a day on which all attacks
were made - or an honest and very good feature. Only a person can tell, so it is kept, and said so that nobody overlooks it:
as a warning, and as the caution of the task's judgement.

The rule, on rows that training may see: a tree of a few leaves (a category: the commonest class of each name) is fitted to one
column on training rows. If on validation rows the mean of its recalls over the classes is `RIGHT`, the column alone is enough.
Classes of fewer than `FEWEST` rows in either are left aside: a handful is told apart by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..contracts import Array, Classical

RIGHT = 0.995  # mean recall on validation rows, as labels may have mistakes
FEWEST = 10  # rows of a class in training and in validation
ROWS = 10_000  # training rows that are looked at, fewer where there are many columns
CELLS = 2_000_000
MOST = 64  # classes
SHOWN = 5  # columns listed by name


def caution_alone(run: Any, task: str) -> None:
    """A caution that names the columns of the inputs of `task` each of which is enough. Targets are class numbers `y`."""
    encoded = run.data.tables[run.config.tasks[task].data]
    y = np.asarray(encoded.targets[task].columns["y"])
    known = _classes(y[encoded.labelled(task, "train")], y[encoded.labelled(task, "validation")])
    if not 2 <= len(known) <= MOST:
        return
    found: dict[str, float] = {}
    for name, input_ in encoded.inputs.items():
        processor = run.data.parts.processors[name]
        if width := len(processor.read_as()):
            train, held = (
                rows[np.isin(y[rows], known) & input_.present[rows]]
                for rows in (encoded.labelled(task, "train"), encoded.labelled(task, "validation"))
            )
            train = _some(train, max(min(ROWS, CELLS // width), FEWEST), run.config.seed)
            one, other = processor.classical(input_, train), processor.classical(input_, held)
            found |= dict(_each(one, y[train], other, y[held], known))
    if found:
        run.caution(task, _said(found))


def _said(found: Mapping[str, float]) -> str:
    names = ", ".join(repr(name) for name in list(found)[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    what = f"columns {names}{more} each tell" if len(found) > 1 else f"column {names} tells"
    return (
        f"{what} the classes apart alone (mean recall {min(found.values()):.3f} on validation rows). The answer by another name, "
        "or a row number? Then `exclude:` it, as no score here holds for new rows."
    )


def _classes(train: Array, held: Array) -> Array:
    counts = [dict(zip(*np.unique(y, return_counts=True), strict=True)) for y in (train, held)]
    return np.array([c for c in counts[0] if min(count.get(c, 0) for count in counts) >= FEWEST], dtype=np.int64)


def _some(rows: Array, most: int, seed: int) -> Array:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _each(
    train: Classical | None, y: Array, held: Classical | None, truth: Array, known: Array
) -> Iterator[tuple[str, float]]:
    """(column, its mean recall) of those that are enough."""
    if train is None or held is None or not train.names:
        return
    names = np.array(train.names, dtype=object)
    for column in dict.fromkeys(name for name in train.names if name):
        at = np.flatnonzero(names == column)
        if len(at) == 1 and int(at[0]) in train.categorical:
            guess = _by_name(train.matrix[:, at[0]], y, held.matrix[:, at[0]], known)
        else:
            guess = _by_tree(train.matrix[:, at], y, held.matrix[:, at], known)
        right = float(np.mean([(guess[truth == c] == c).mean() for c in known if (truth == c).any()]))
        if right >= RIGHT:
            yield column, right


def _by_tree(train: Array, y: Array, held: Array, known: Array) -> Array:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_leaf_nodes=max(8, 2 * len(known)), class_weight="balanced", random_state=0)
    found: Array = tree.fit(train, y).predict(held)
    return found


def _by_name(train: Array, y: Array, held: Array, known: Array) -> Array:
    """The class with the largest share of its rows under each name; -1 for names that training rows lack."""
    train, held = (np.nan_to_num(cells, nan=-1) for cells in (train, held))
    codes, place = np.unique(train, return_inverse=True)
    shares = np.stack([np.bincount(place, y == c, len(codes)) / max((y == c).sum(), 1) for c in known])
    at = np.minimum(np.searchsorted(codes, held), len(codes) - 1)
    found: Array = np.where(codes[at] == held, known[shares.argmax(axis=0)][at], -1)
    return found
