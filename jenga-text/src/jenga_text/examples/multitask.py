"""The template `multitask`: is a report a threat, and who, where and when, learned by one model."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from .ner import marked
from .phrases import ENTITIES, Choice, phrases, render
from .writing import SWAP, Rows, without, write_template

ROWS, NEW_ROWS = 3000, 200
WRONG = 0.05  # share of the labels of a report that are wrong
UNKNOWN = 0.2  # share of the reports that nobody labelled for a task

CONFIG = """\
# Two tasks in one model. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: multitask
seed: 7

data:
  reports:
    path: reports.jsonl
    split: {validation: 0.15, test: 0.15}

inputs:
  report: {columns: [text], processor: text/words}

backbones:
  encoder: {kind: text/recurrent, hidden: 96, dropout: 0.3, pooling: max}

# Each task attends to the shared words in its own way; `conditioning: none` leaves that out.
conditioning: attention

tasks:
  threat: {kind: core/classification, target: label, dropout: 0.2}
  names: {kind: text/ner, target: entities, crf: true}

hooks:
  - {kind: core/gradient-statistics, every: 20}   # do the tasks agree? The report shows it.

train:
  epochs: 4
  batch_size: 16
  learning_rate: 4.0e-3
  schedule: cosine
  monitor: names.f1
"""

README = """\
# Two tasks in one model: threats and names

`reports.jsonl` holds {rows:,} **synthetic** reports of one or two sentences made by a seeded generator (seed {seed}).
People, organisations and events are invented, and a score on them says nothing about real texts. Words of violence occur in
harmless reports too (football, films, trials that are over), some threats are worded softly, 5 % of the labels are wrong on
purpose, and a fifth of the reports is labelled for one of the tasks only: such a row trains the task whose label it has.

| column | what |
| --- | --- |
| text | the report |
| label | Threat or Non-Threat; empty where nobody judged it |
| entities | a list of {{start, end, label}}, PER, LOC, ORG or DATE; null where nobody marked them |

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_reports.jsonl --output found.jsonl
    jenga compare config.yaml --seeds 2 --output compared

`new_reports.jsonl` holds reports without labels. `found.jsonl` is the same rows with `threat.label`, its probabilities, and
`names.entities`, a list of {{start, end, label, score, text}}. `jenga compare` trains each task alone and both together: is
sharing worth it? The report is `run/report.html`.

Tables of their own for each task do as well: name them under `data:`, and give inputs and tasks their `data:`; both inputs
may name the same backbone.

"""


@cache
def slots() -> dict[str, Choice]:
    """What stands in a pattern's braces."""
    return {**ENTITIES, **phrases("multitask")}


def reports(rows: int, seed: int) -> Rows:
    """`rows` reports with the labels that they have. The same seed gives the same ones."""
    rng = Random(seed)
    return [_report(rng) for _ in range(rows)]


def _report(rng: Random) -> dict[str, object]:
    label, other = rng.choice([("Threat", "Non-Threat"), ("Non-Threat", "Threat")])
    pattern = rng.choice(phrases("multitask")[label])
    if rng.random() < 0.5:
        pattern = (
            rng.choice(["{0} {1}", "{1} {0}"])
            .replace("{0}", pattern)
            .replace("{1}", rng.choice(phrases("multitask")["around"]))
        )
    text, entities = render(pattern, rng, slots(), typos=0.08)
    if rng.random() < 0.1:
        text = text.lower()
    lacks = rng.random()
    said = other if rng.random() < WRONG else label
    found = marked(entities, rng)
    return {
        "text": text,
        "label": None if lacks < UNKNOWN / 2 else said,
        "entities": None if UNKNOWN / 2 <= lacks < UNKNOWN else found,
    }


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, reports.jsonl (labelled, `rows` of them) and new_reports.jsonl (no labels, another seed)."""
    count = ROWS if rows is None else rows
    readme = README.format(rows=count, seed=seed) + SWAP.format(input="report")
    new = without(reports(min(NEW_ROWS, count), seed + 1), "label", "entities")
    write_template(folder, CONFIG, readme, {"reports.jsonl": reports(count, seed), "new_reports.jsonl": new})
