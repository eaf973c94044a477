"""README.md of a model folder: a model card with the metadata that model hubs read."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import visible
from .evaluation import Judgement, Score
from .files import publish
from .markup import number

if TYPE_CHECKING:
    from .config import RunConfig

LIMITS = """\
- The numbers hold for rows like those of the {splits} split. For rows from elsewhere or from later, measure again
  (`jenga evaluate`) before relying on them.
- The intervals say how much the numbers depend on which rows were drawn, not on the seed of training.
- A column that is missing, renamed or in another unit makes predictions worthless even where they still work.
"""


def write_card(
    folder: Path, *, judgements: Sequence[Judgement], manifest: Mapping[str, Any], config: RunConfig | str
) -> Path:
    """Write ``folder/README.md`` and return its path. `config`: as object or as YAML text."""
    import yaml

    settings = yaml.safe_load(config) if isinstance(config, str) else config.model_dump(mode="json")
    front = yaml.safe_dump(_front(judgements, manifest, settings), sort_keys=False, allow_unicode=True)
    project = str(manifest.get("project", "jenga"))
    parts = [
        f"---\n{front}---",
        f"# {text(project)}",
        _what(settings, manifest),
        "## How to load it",
        _how(manifest),
        "## How good it is",
        *(_scores(judgement) for judgement in judgements),
        "All plots are in `report.html`, all numbers in `metrics.json`.",
        "## Data",
        _data(manifest, judgements),
        "## Limits",
        LIMITS.format(splits=" and ".join(sorted({j.split for j in judgements})) or "test").rstrip(),
        "## How it was made",
        _made(manifest),
    ]
    path = Path(folder) / "README.md"
    publish(path, ("\n\n".join(parts) + "\n").encode(errors="replace"))
    return path


def text(value: Any) -> str:
    """A name from outside as Markdown text: no HTML, no link, no code, no cell or line break, nothing that is not seen."""
    flat = visible(" ".join(html.escape(str(value), quote=False).split()))
    return "".join("\\" + c if c in "\\`*_[]|#!~" else c for c in flat)


def rows_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _front(judgements: Sequence[Judgement], manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata block, with `model-index` as the Hugging Face Hub defines it (model cards, "Evaluation results")."""
    tasks: Mapping[str, Any] = settings.get("tasks", {})
    results = []
    for judgement in judgements:
        section = tasks.get(judgement.task, {})
        kind = str(section.get("kind", "task")).rpartition("/")[2]
        metrics = [
            {"type": metric, "name": metric.replace("_", " "), "value": round(score.value, 6)}
            for metric, score in judgement.scores.items()
            if math.isfinite(score.value)
        ]
        source = str(section.get("data") or "data")
        dataset = {"name": source, "type": source, "split": judgement.split}
        results.append({"task": {"type": kind, "name": judgement.task}, "dataset": dataset, "metrics": metrics})
    return {
        "library_name": "jenga",
        "tags": list(dict.fromkeys(["jenga", *(str(kind) for kind in manifest.get("plugins", {}))])),
        "model-index": [{"name": visible(str(manifest.get("project", "jenga"))), "results": results}],
    }


def _what(settings: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    tasks = [
        f"- **{text(name)}**: `{_code(section.get('kind', ''))}`"
        + (f", learned from the column {text(section['target'])}" if section.get("target") is not None else "")
        for name, section in dict(settings.get("tasks", {})).items()
    ]
    size = f" It has {number(manifest['parameters'])} parameters." if "parameters" in manifest else ""
    return f"A model trained with Jenga.{size} What it predicts:\n\n" + "\n".join(tasks)


def _how(manifest: Mapping[str, Any]) -> str:
    packages = {str(dict(owner).get("dist", "")) for owner in dict(manifest.get("plugins", {})).values()}
    needed = sorted({"jenga-core", *packages} - {"", "None"})
    return (
        f"```sh\npip install {' '.join(_code(p) for p in needed)}\njenga predict FOLDER rows.csv --output scored.csv\n```\n\n"
        '```python\nimport jenga_core\n\npredictor = jenga_core.load("FOLDER")\npredictor.predict(frame)\n```'
    )


def _scores(judgement: Judgement) -> str:
    names = list(judgement.baselines)
    rows = [
        [
            text(metric.replace("_", " ")),
            score_text(score),
            *(score_text(judgement.baselines[n].get(metric)) for n in names),
        ]
        for metric, score in judgement.scores.items()
    ]
    intervals = f", with 95 % intervals from {judgement.resamples:,} bootstrap resamples" if judgement.resamples else ""
    caution = f"**{text(judgement.caution)}**\n\n" if judgement.caution else ""
    return (
        f"### {text(judgement.task)}\n\n{caution}{judgement.rows:,} rows of {text(judgement.where)}{intervals}.\n\n"
        + rows_of(["metric", "model", *(text(n) for n in names)], rows)
    )


def score_text(score: Score | None) -> str:
    """A value and its interval, "undefined" where it is."""
    if score is None:
        return "-"
    known = math.isfinite(score.low) and math.isfinite(score.high)
    return number(score.value) + (f" ({number(score.low)} to {number(score.high)})" if known else "")


def _data(manifest: Mapping[str, Any], judgements: Sequence[Judgement]) -> str:
    tables: Mapping[str, Mapping[str, Any]] = manifest.get("data", {})
    rows = [
        [
            text(name),
            number(facts.get("rows")),
            text(", ".join(f"{split} {number(n)}" for split, n in dict(facts.get("splits", {})).items())),
            f"`{_code(facts.get('digest', ''))}`",
        ]
        for name, facts in tables.items()
    ]
    notes = [f"- {text(name)}: {text(note)}" for name, facts in tables.items() for note in facts.get("notes", [])]
    notes = list(dict.fromkeys([*notes, *(f"- {text(note)}" for note in manifest.get("notes", []))]))
    notes += [
        f"- {text(j.task)}: {n:,} rows not judged: {text(why)}" for j in judgements for why, n in j.excluded.items()
    ]
    return rows_of(["table", "rows", "splits", "digest"], rows) + ("\n\n" + "\n".join(notes) if notes else "")


def _made(manifest: Mapping[str, Any]) -> str:
    best = manifest.get("best") or {}
    facts = {
        "seed": manifest.get("seed"),
        "created": manifest.get("created"),
        "training seconds": manifest.get("seconds"),
        "best weights": f"step {best['step']}, by {best.get('monitor')}" if "step" in best else None,
        "versions": ", ".join(f"{name} {version}" for name, version in dict(manifest.get("versions", {})).items())
        or None,
    }
    lines = [f"- {name}: {text(number(value))}" for name, value in facts.items() if value is not None]
    return "\n".join([*lines, "- configuration: `config.yaml`; every file's sha256: `manifest.json`"])


def _code(value: Any) -> str:
    """Text between backticks, which it must not end."""
    return visible(" ".join(str(value).replace("`", "'").replace("|", "/").split()))
