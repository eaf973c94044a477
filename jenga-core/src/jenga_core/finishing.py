"""The end of a run: thresholds from validation rows, judgements on test rows, the model folder."""

from __future__ import annotations

import time
from typing import Any

from . import checkpoint
from .run import Run
from .scoring import calibrate, judgements, score


def finish(run: Run, *, report: bool = True) -> None:
    """Set thresholds on validation rows, judge on test rows, write the model folder."""
    from .explaining.judged import explained
    from .publishing import publish_run

    started = time.perf_counter()
    scored: dict[str, dict[str, Any]] = {"validation": {}, "test": {}}
    for split, results in scored.items():
        for name, table in run.data.tables.items():
            rows = table.trainable(split)
            if len(rows):
                results[name] = score(run.model, run.data, name, rows, run.place, labels=True)
        if split == "validation":
            calibrate(run.data, results)
            for name in results:  # thresholds may have moved what `predict` gives
                results[name] = score(run.model, run.data, name, results[name].rows, run.place, labels=True)
    options = run.config.train
    split = "test" if scored["test"] else "validation"
    if split == "validation" and scored[split]:
        run.note("there are no test rows: the scores below are on validation rows, which chose the weights")
    made = judgements(
        run.data, scored[split], split, baselines=options.baselines, bootstrap=options.bootstrap, seed=run.config.seed,
        cautions=run.cautions,
    ) if run.rank == 0 else []  # fmt: skip
    if options.explanations and report and made:
        made = explained(run, made, scored[split], split)
    run.judgements = made
    for name in run.config.tasks if run.rank == 0 else ():
        if name not in [j.task for j in made]:
            run.note(f"task {name} has no labelled {split} rows: it is not judged")
    run.log("end", seconds_judging=time.perf_counter() - started, stop=run.stop)
    if run.rank == 0:
        publish_run(run, report=report)
        if options.checkpoint.after == "remove":
            checkpoint.remove_all(run.folder / "checkpoints")
    run.wait()
