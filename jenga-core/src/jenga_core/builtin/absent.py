"""Classes that training rows have and the rows of another split lack: said before training, since metrics cannot show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SHOWN = 5  # classes listed by name


def note_absent(run: Any, task: str, names: Sequence[object]) -> None:
    """A note per split whose labelled rows are not of every class. Targets of `task` are class numbers `y`, 0 to len(names)."""
    table = run.data.tables[run.config.tasks[task].data]
    y = np.asarray(table.targets[task].columns["y"])
    for split in ("validation", "test"):
        rows = table.labelled(task, split)
        absent = [str(name) for at, name in enumerate(names) if at not in set(np.unique(y[rows]).tolist())]
        if len(rows) and absent:
            more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
            run.note(
                f"{run.config.tasks[task].data}: task {task}: none of the {len(rows):,} {split} rows is labelled "
                f"{', '.join(absent[:SHOWN])}{more}: metrics that need it are left open"
            )
