"""The template `ner`: people, places, organisations and dates in Swahili and Kenyan English."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from .phrases import ENTITIES, Choice, Entity, made_up, phrases, render
from .writing import SWAP, Rows, without, write_template

ROWS, NEW_ROWS = 3000, 200
MISSED = 0.04  # share of the entities that nobody marked

CONFIG = """\
# Named entities. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: ner
seed: 7

data:
  sentences:
    path: sentences.jsonl
    split: {validation: 0.15, test: 0.15}

inputs:
  sentence: {columns: [text], processor: text/words}

backbones:
  encoder: {kind: text/recurrent, hidden: 96, dropout: 0.3}

tasks:
  names: {kind: text/ner, target: entities, crf: true}

train:
  epochs: 4
  batch_size: 16
  learning_rate: 4.0e-3
  schedule: cosine
  monitor: names.f1
"""

README = """\
# Named entities in Swahili and Kenyan English

`sentences.jsonl` holds {rows:,} **synthetic** sentences made by a seeded generator (seed {seed}). The people and
organisations are invented, and a score on them says nothing about real texts. Names are not told by themselves alone: some
family names are towns, roads and hospitals are called after people, clubs after towns; many names are made up and hardly
seen twice; a sixth of the sentences has no capitals, and 4 % of the entities are left unmarked on purpose.

| column | what |
| --- | --- |
| text | the sentence |
| entities | a list of {{start, end, label}}; `start` and `end` count characters from 0, `end` is the one behind the last |

The labels are PER (people), LOC (places), ORG (organisations) and DATE.

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_sentences.jsonl --output found.jsonl

`new_sentences.jsonl` holds sentences without labels. `found.jsonl` is the same rows with `names.entities`: a list of
{{start, end, label, score, text}}. An entity counts as found where start, end and label are all right. The report is
`run/report.html`.

"""


@cache
def slots() -> dict[str, Choice]:
    """What stands in a pattern's braces."""
    return {**ENTITIES, **phrases("ner")}


def sentences(rows: int, seed: int) -> Rows:
    """`rows` labelled sentences. The same seed gives the same ones."""
    rng = Random(seed)
    return [_sentence(rng) for _ in range(rows)]


def _sentence(rng: Random) -> dict[str, object]:
    text, entities = render(rng.choice(phrases("ner")["sentence"]), rng, slots(), typos=0.05)
    if rng.random() < 0.15:  # a name that is none of the four
        text += f" {rng.choice(phrases('ner')['other'])} {made_up(rng)}."
    if rng.random() < 0.16:
        text = text.lower()
    return {"text": text, "entities": marked(entities, rng)}


def marked(entities: list[Entity], rng: Random) -> list[Entity]:
    """Those that whoever marked them did not miss."""
    return [entity for entity in entities if rng.random() >= MISSED]


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, sentences.jsonl (labelled, `rows` of them) and new_sentences.jsonl (no labels, another seed)."""
    count = ROWS if rows is None else rows
    readme = README.format(rows=count, seed=seed) + SWAP.format(input="sentence")
    new = without(sentences(min(NEW_ROWS, count), seed + 1), "entities")
    write_template(folder, CONFIG, readme, {"sentences.jsonl": sentences(count, seed), "new_sentences.jsonl": new})
