"""The judgements of a run with explanations among their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..contracts import take
from ..errors import PluginError, UserError
from ..evaluation import Judgement
from ..figures import Figure
from ..scoring import Scored
from ..tables import Table
from . import figures
from .explained import Explained
from .importance import worth

if TYPE_CHECKING:
    from ..run import Run


def explained(run: Run, judgements: Sequence[Judgement], scored: Mapping[str, Scored], split: str) -> list[Judgement]:
    """With figures of what columns are worth and of example rows; what cannot be explained is noted. One process judges."""
    more: dict[str, list[Figure]] = {}
    place, data, seed = replace(run.place, rank=0, world=1), run.data, run.config.seed
    for name in scored:
        frame = run.tables[name].frame
        columns = {i: run.config.feature_columns(i, list(frame.columns)) for i in data.tables[name].inputs}
        rows = frame.iloc[run.tables[name].splits[split]]
        for task, found in worth(run.model, data.parts, name, rows, columns, place, seed=seed).items():
            more.setdefault(task, []).append(figures.of_worth(found))
        of = Explained(run.model, data, name, columns, place.device, run.config.train.batch_size, place.tokens)
        for task in [t for t in run.config.tasks_of(name) if data.parts.tasks[t].explains is not None]:
            try:
                more.setdefault(task, []).extend(_examples(of, run.tables[name], task, scored[name], split))
            except (UserError, PluginError) as error:
                run.note(f"task {task}: no reasons for single rows: {error.what}")
    return [replace(j, figures=(*j.figures, *more.get(j.task, []))) for j in judgements]


def _examples(of: Explained, table: Table, task: str, scored: Scored, split: str) -> list[Figure]:
    component, encoded = of.data.parts.tasks[task], of.data.tables[of.table]
    labelled = encoded.labelled(task, split)
    if not len(labelled):
        return []
    output, target = scored.at(task, labelled), take(encoded.targets[task].columns, labelled)
    chosen: dict[int, str] = {}
    for what, places in component.metrics().examples(output, target).items():
        for row in labelled[places].tolist():
            chosen[row] = f"{chosen[row]}, {what}" if row in chosen else what
    if not chosen:
        return []
    rows = np.array(list(chosen), dtype=np.int64)
    found = of.contributions(task, rows)
    named = str(component.explains)
    processors = of.data.parts.processors
    secret = {c for name, columns in of.columns.items() if processors[name].confidential for c in columns}
    frame = table.frame.assign(**dict.fromkeys(secret, "not shown")) if secret else table.frame
    return figures.of_rows(found, list(chosen.values()), rows, frame, table.where, named, secret)
