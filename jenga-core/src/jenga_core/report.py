"""report.html: one self-contained page about a run. The model card is in `card.py`.

The page holds text, tables and plots only: nothing is fetched, nothing runs, every name in it is escaped.
"""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .agreement import HEADER, agreement, curve
from .card import write_card
from .evaluation import Judgement, Score, Scores, mean_of
from .figures import Curve, Figure, Line
from .files import publish
from .markup import Html, element, join, number, page, table

if TYPE_CHECKING:
    from .config import RunConfig

__all__ = ["write_card", "write_report"]

BETTER = {"max": "higher", "min": "lower", "none": "-"}
CARDS = 4
LINES = 5
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write_report(
    folder: Path,
    *,
    judgements: Sequence[Judgement],
    history: Sequence[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    config: RunConfig | str,
) -> Path:
    """Write ``folder/report.html`` and return its path. `history`: the lines of log.jsonl. `config`: as object or as YAML."""
    project = str(manifest.get("project", "jenga"))
    body = [
        _top(project, manifest),
        *(_task(judgement) for judgement in judgements),
        _learning(history, judgements),
        _agreement(history),
        _data(manifest),
        _settings(manifest, config),
    ]
    path = Path(folder) / "report.html"
    publish(path, page(f"{project}: report", *body).encode(errors="replace"))
    return path


def _top(project: str, manifest: Mapping[str, Any]) -> Html:
    best = manifest.get("best") or {}
    facts = [
        ("created", manifest.get("created")),
        ("seed", manifest.get("seed")),
        ("parameters", manifest.get("parameters")),
        ("seconds", manifest.get("seconds")),
        ("best weights", f"step {best['step']}, by {best.get('monitor')}" if "step" in best else None),
    ]
    said = ", ".join(f"{name} {number(value)}" for name, value in facts if value is not None)
    return element("header", element("h1", project), element("p", said, class_="soft"))


# ------------------------------------------------------------------ one task


def _task(judgement: Judgement) -> Html:
    how = f"{judgement.rows:,} rows of {judgement.where}. " + (
        f"Intervals: 95 %, from {judgement.resamples:,} bootstrap resamples of these rows (seed {judgement.seed})."
        if judgement.resamples
        else "No intervals were asked for."
    )
    parts = [
        element("h2", f"Task {judgement.task}"),
        *([element("p", judgement.caution, class_="caution")] if judgement.caution else []),
        element("p", how, class_="soft"),
        element("div", *(_card(m, s) for m, s in list(judgement.scores.items())[:CARDS]), class_="cards"),
        element("h3", "Model and baselines"),
        element("p", verdict(judgement)),
        _comparison(judgement),
    ]
    if judgement.excluded:
        parts += [
            element("h3", "Rows that were not judged"),
            table(["reason", "rows"], list(judgement.excluded.items())),
        ]
    if judgement.remarks:
        parts += [
            element("h3", "Remarks on rows of the whole table"),
            table(["remark", "rows"], list(judgement.remarks.items())),
        ]
    figures = element("div", *(_figure(f, judgement.task) for f in judgement.figures), class_="figures")
    return element("section", *parts, figures)


def _card(metric: str, score: Score) -> Html:
    interval = element("span", spread(score), class_="soft")
    return element("div", element("span", readable(metric)), element("b", number(score.value)), interval, class_="card")


def verdict(judgement: Judgement) -> str:
    """One honest sentence: the model against its best baseline by the first metric."""
    metric = next(iter(judgement.scores), "")
    beside = {n: s[metric] for n, s in judgement.baselines.items() if metric in s and not math.isnan(s[metric].value)}
    if not beside:
        return "There is no baseline to compare with."
    if judgement.directions.get(metric) == "none":
        return f"Nothing here says which is better: {readable(metric)} only describes."
    up = judgement.directions.get(metric) == "max"
    name, rival = (max if up else min)(beside.items(), key=lambda item: item[1].value)
    model = judgement.scores[metric]
    if math.isnan(model.value):
        return f"{readable(metric)} is undefined for the model, so it is not compared."
    ahead = model.value > rival.value if up else model.value < rival.value
    place = "level with" if model.value == rival.value else "ahead of" if ahead else "behind"
    overlap = model.low <= rival.high and rival.low <= model.high
    doubt = "; their intervals overlap, so these rows do not settle it" if overlap and place != "level with" else ""
    beaten = f"the best baseline, {name} ({number(rival.value)})"
    return f"By {readable(metric)} the model ({number(model.value)}) is {place} {beaten}{doubt}."


def _comparison(judgement: Judgement) -> Html:
    columns: dict[str, Scores] = {"model": judgement.scores, **judgement.baselines}
    rows = []
    for metric in judgement.scores:
        way = judgement.directions.get(metric)
        values = {n: s[metric].value for n, s in columns.items() if metric in s and not math.isnan(s[metric].value)}
        best = (max if way == "max" else min)(values.values()) if values and way != "none" else math.nan
        cells = [_value(scores.get(metric), best) for scores in columns.values()]
        rows.append([readable(metric), BETTER.get(way or "", "lower"), *cells])
    return table(["metric", "better", *columns], rows)


def _value(score: Score | None, best: float) -> str:
    if score is None:
        return "-"
    value = number(score.value)
    marked = element("span", value, " (best)", class_="best") if score.value == best else value
    return join([marked, Html(" "), element("span", spread(score), class_="soft")])


def readable(metric: str) -> str:
    return metric.replace("_", " ")


def spread(score: Score) -> str:
    return "" if math.isnan(score.low) or math.isnan(score.high) else f"[{number(score.low)}, {number(score.high)}]"


# ------------------------------------------------------------------ plots


def _figure(figure: Figure, of: str) -> Html:
    header, rows = figure.table()
    told = f"{figure.title}, {of}. {figure.note} The numbers are in the table below."
    return element(
        "figure",
        element("h3", figure.title),
        figure.markup() or element("img", src=picture(figure), alt=told),
        element("figcaption", figure.note),
        element("details", element("summary", "Numbers"), table(header, rows, row_headers=False)),
    )


def picture(figure: Figure) -> str:
    """The plot as a data URL of an SVG with real text. An image in a page runs no script and clashes with no other."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    # names such as "a$b$" are text, not formulas; the salt makes equal plots equal bytes
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "jenga", "text.parse_math": False}):
        canvas = Canvas(figsize=(5.2, 3.8), layout="constrained")
        FigureCanvasSVG(canvas)
        figure.draw(canvas.subplots())
        target = io.StringIO()
        with (
            warnings.catch_warnings()
        ):  # the text is drawn by the reader's fonts, so it does not matter what this one lacks
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            canvas.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    svg = NOT_XML.sub("", target.getvalue()).encode("utf-8", errors="replace")
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


# ------------------------------------------------------------------ learning


def _learning(history: Sequence[Mapping[str, Any]], judgements: Sequence[Judgement]) -> Html:
    figures = learning_curves(history, judgements)
    if not figures:
        return Html("")
    drawn = element("div", *(_figure(figure, "validation rows") for figure in figures), class_="figures")
    return element("section", element("h2", "Learning"), drawn)


def learning_curves(history: Sequence[Mapping[str, Any]], judgements: Sequence[Judgement]) -> list[Curve]:
    """Losses over steps, and per task the first validation metrics of each direction."""
    train = _series("training", history, lambda line: line.get("loss") if line.get("event") == "train" else None)
    found = [_loss_curve([train, _validation("loss", "validation", history)])]
    for judgement in judgements:
        for way, title in (("max", "higher is better"), ("min", "lower is better")):
            names = [m for m, direction in judgement.directions.items() if direction == way][:LINES]
            lines = [_validation(f"{judgement.task}.{name}", readable(name), history) for name in names]
            found.append(
                Curve(
                    f"{judgement.task}, {title}",
                    "optimizer steps",
                    "on validation rows",
                    [line for line in lines if len(line.x)],
                    note="Validation metrics while training; the weights that are kept are the best by the monitored one.",
                    marks=True,
                )
            )
    return [curve for curve in found if curve.lines]


def _loss_curve(lines: Sequence[Line]) -> Curve:
    return Curve(
        "Loss",
        "optimizer steps",
        "loss per unit",
        [line for line in lines if len(line.x)],
        note="A validation loss that rises while the training loss falls is overfitting.",
    )


def _validation(key: str, name: str, history: Sequence[Mapping[str, Any]]) -> Line:
    return _series(
        name, history, lambda line: line.get("metrics", {}).get(key) if line.get("event") == "evaluate" else None
    )


def _series(name: str, history: Sequence[Mapping[str, Any]], value_of: Any) -> Line:
    """A resumed run logs some steps twice: the last word counts. Undefined values leave a gap in nothing but the table."""
    import numpy as np

    points: dict[int, float] = {}
    for line in history:
        value = value_of(line)
        if value is not None and math.isfinite(value):
            points[int(line["step"])] = float(value)
    steps = sorted(points)
    return Line(name, np.array(steps, dtype=float), np.array([points[step] for step in steps], dtype=float))


def _agreement(history: Sequence[Mapping[str, Any]]) -> Html:
    """Only where the hook core/gradient-statistics measured several tasks."""
    lines = agreement(history)
    if not lines:
        return Html("")
    means = {line.name: mean_of(line.y) for line in lines}
    rows = [
        [one.name, means[one.name].value, spread(means[one.name]), float((one.y < 0).mean()), len(one.y)]
        for one in lines
    ]
    how = "Gradients of the shared parameters; intervals take the measured steps as independent of each other."
    return element(
        "section",
        element("h2", "Agreement of tasks"),
        element("p", how, class_="soft"),
        table(HEADER, rows),
        element("div", _figure(curve(lines), "training rows"), class_="figures"),
    )


# ------------------------------------------------------------------ data and settings


def _data(manifest: Mapping[str, Any]) -> Html:
    tables: Mapping[str, Mapping[str, Any]] = manifest.get("data", {})
    splits = list(dict.fromkeys(split for facts in tables.values() for split in facts.get("splits", {})))
    rows = [
        [name, facts.get("rows"), *(facts.get("splits", {}).get(s, 0) for s in splits), str(facts.get("digest", ""))]
        for name, facts in tables.items()
    ]
    notes = [f"{name}: {note}" for name, facts in tables.items() for note in facts.get("notes", [])]
    notes += [str(note) for note in manifest.get("notes", [])]
    notes = list(dict.fromkeys(notes))  # a run notes again what its tables noted
    listed = (
        element("ul", *(element("li", note) for note in notes)) if notes else element("p", "No notes.", class_="soft")
    )
    return element(
        "section",
        element("h2", "Data"),
        table(["table", "rows", *splits, "digest"], rows),
        element("h3", "Notes"),
        listed,
    )


def _settings(manifest: Mapping[str, Any], config: RunConfig | str) -> Html:
    plugins: Mapping[str, Any] = manifest.get("plugins", {})
    versions = [[str(name), str(version)] for name, version in dict(manifest.get("versions", {})).items()]
    owners = [
        [kind, *(str(dict(owner).get(k, "")) for k in ("plugin", "dist", "version"))] for kind, owner in plugins.items()
    ]
    left_out = {"data", "plugins", "versions", "files", "notes", "best", "project"}
    other = [
        [name, number(value)]
        for name, value in manifest.items()
        if name not in left_out and not isinstance(value, dict)
    ]
    return element(
        "section",
        element("h2", "Settings"),
        element("details", element("summary", "Configuration"), element("pre", yaml_of(config))),
        element("details", element("summary", "Components"), table(["kind", "plugin", "package", "version"], owners)),
        element("details", element("summary", "Versions"), table(["package", "version"], versions)),
        element("details", element("summary", "Run"), table(["fact", "value"], other)),
    )


def yaml_of(config: RunConfig | str) -> str:
    if isinstance(config, str):
        return config
    from .reading import dump_config

    return dump_config(config)
