"""From a finished run to a model folder: weights, states, metrics, report, model card, manifest."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import artifact
from .contracts import Array
from .evaluation import Judgement
from .files import publish_json, sha256
from .opening import relative
from .reading import dump_config
from .report import write_card, write_report
from .run import Run
from .scoring import score


def publish_run(run: Run, *, report: bool = True) -> None:
    """Write everything; the manifest comes last, so that a crash leaves a run to resume and never half a model.

    `report=False` leaves out report.html, whose plots take longer to draw than a small model takes to train.
    """
    folder, parts = run.folder, run.data.parts
    artifact.save_weights(folder, run.model)
    artifact.write_state(folder, {f"backbones/{n}": saved(b) for n, b in run.model.backbones.items()})
    artifact.write_state(folder, {f"processors/{n}": p.state() for n, p in parts.processors.items()})
    artifact.write_state(folder, {f"tasks/{n}": t.state() for n, t in parts.tasks.items()})
    publish_json(folder / "columns.json", {name: _columns(run, name) for name in run.tables})
    publish_json(folder / "metrics.json", metrics_json(run))
    facts = manifest_facts(run)
    config = dump_config(relative(run.config, run.base, folder))
    history = read_log(folder)
    if report:
        write_report(folder, judgements=run.judgements, history=history, manifest=facts, config=config)
    write_card(folder, judgements=run.judgements, manifest=facts, config=config)
    artifact.seal(folder, facts)
    run.progress.say(f"model folder: {folder}")


def judged_anew(folder: Path, judgements: Sequence[Judgement]) -> None:
    """metrics.json, the model card and (where there is one) report.html of a finished run with other judgements.

    While they are written the manifest does not answer for them, so that the model can be loaded at any moment.
    """
    manifest = artifact.verify(folder)
    named = ["metrics.json", "README.md", *(["report.html"] if (folder / "report.html").exists() else [])]
    files = {name: digest for name, digest in manifest["files"].items() if name not in named}
    publish_json(folder / artifact.MANIFEST, {**manifest, "files": files})
    metrics = artifact.read_state(folder, "metrics")
    publish_json(folder / "metrics.json", {**metrics, "judgements": [j.to_json() for j in judgements]})
    facts = {key: value for key, value in manifest.items() if key != "files"}
    config = (folder / "config.yaml").read_text(encoding="utf-8")
    write_card(folder, judgements=judgements, manifest=facts, config=config)
    if "report.html" in named:
        write_report(folder, judgements=judgements, history=read_log(folder), manifest=facts, config=config)
    files |= {name: sha256(folder / name) for name in named}
    publish_json(folder / artifact.MANIFEST, {**manifest, "files": files})


def saved(backbone: Any) -> dict[str, Any]:
    """The architecture of one backbone as JSON."""
    return dict(backbone.saved())


def _columns(run: Run, table: str) -> dict[str, Any]:
    """What a prediction needs: feature columns per input, what every column is, the columns it will have."""
    frame = run.tables[table].frame
    inputs = {i: run.config.feature_columns(i, list(frame.columns)) for i in run.config.inputs_of(table)}
    return {
        "inputs": inputs,
        "types": {name: kind.state() for name, kind in run.tables[table].types.items()},
        "outputs": _outputs(run, table),
    }


def _outputs(run: Run, table: str) -> list[tuple[str, str]]:
    """(column, type) of a prediction, in order, as one training row gives them."""
    rows, place = run.train_rows[table][:1], replace(run.place, rank=0, world=1)
    scored = score(run.model, run.data, table, rows, place, labels=False)
    inputs, found = run.data.tables[table].inputs, []
    for task in run.config.tasks_of(table):
        frame = run.data.parts.tasks[task].decode(scored.outputs[task], rows, inputs)
        found += [(f"{task}.{column}", str(kind)) for column, kind in frame.dtypes.items()]
    return found


def metrics_json(run: Run) -> dict[str, Any]:
    """{"judgements": [...], "best": ..., "last_validation": {...}, "stopped": ...}; undefined metrics are null."""
    validation = {k: (v if v == v else None) for k, v in run.metrics.items()}
    return {
        "judgements": [j.to_json() for j in run.judgements],
        "best": run.best,
        "last_validation": validation,
        "stopped": run.stop,
    }


def manifest_facts(run: Run) -> dict[str, Any]:
    return {
        "format": artifact.FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "project": run.config.project,
        "seed": run.config.seed,
        "versions": artifact.versions(),
        "plugins": artifact.plugins_of(run.config, run.registry),
        "data": {
            name: {
                "rows": len(table.frame),
                "splits": {split: len(rows) for split, rows in table.splits.items()},
                "digest": table.digest,
                "notes": list(table.notes),
            }
            for name, table in run.tables.items()
        },
        "notes": list(run.notes),
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "seconds": round(time.time() - run.started, 3),
        "steps": run.step,
        "best": run.best,
        "stopped": run.stop,
        "world": run.world,
        "device": str(run.accelerator.device),
        "precision": run.config.train.precision,
        "seen_absent": seen_absent(run),
    }


def seen_absent(run: Run) -> dict[str, bool]:
    """Input -> some training row lacked it. Where none did, its absent token is untrained and predictions say so."""
    found = {}
    for name, section in run.config.inputs.items():
        rows: Array = run.train_rows[section.data]
        found[name] = bool((~run.data.tables[section.data].inputs[name].present[rows]).any())
    return found


def read_log(folder: Path) -> list[Mapping[str, Any]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
