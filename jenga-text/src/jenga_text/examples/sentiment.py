"""The template `sentiment`: short code-switched messages, negative, neutral or positive."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from .phrases import ENTITIES, Choice, phrases, render
from .writing import SWAP, Rows, without, write_template

ROWS, NEW_ROWS = 4000, 200
LABELS = ("negative", "neutral", "positive")
WRONG = 0.05  # share of the labels that are changed to another: people who label texts do not agree either

CONFIG = """\
# Sentiment of short messages. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: sentiment
seed: 7

data:
  messages:
    path: messages.csv
    split: {by: stratified, validation: 0.15, test: 0.15}

inputs:
  message: {columns: [text], processor: text/words}

backbones:
  encoder: {kind: text/recurrent, embedding: 24, hidden: 64, dropout: 0.3, pooling: max}

tasks:
  sentiment: {kind: core/classification, target: sentiment, dropout: 0.2}

train:
  epochs: 4
  batch_size: 32
  learning_rate: 4.0e-3
  schedule: cosine
  monitor: sentiment.f1_macro
"""

README = """\
# Sentiment in Swahili and English

`messages.csv` holds {rows:,} **synthetic** messages of one or two sentences, made by a seeded generator (seed {seed}).
Nobody wrote them, and a score on them says nothing about real texts. Swahili and English take turns within a message; words
are mistyped and shortened; some words praise and blame alike, some praise is meant badly, some messages turn round after a
"lakini" or "but", and 5 % of the labels are wrong on purpose.

| column | what |
| --- | --- |
| text | the message |
| sentiment | negative, neutral or positive |

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_messages.csv --output scored.csv

`new_messages.csv` holds messages without labels. `scored.csv` is the same rows with `sentiment.label` and the probability
of each label, `sentiment.p(negative)` and so on. The report is `run/report.html`.

"""


@cache
def slots() -> dict[str, Choice]:
    """What stands in a pattern's braces."""
    own = phrases("sentiment")
    return {**ENTITIES, **own, "good": own["good"] + own["either"], "bad": own["bad"] + own["either"]}


def messages(rows: int, seed: int) -> Rows:
    """`rows` labelled messages. The same seed gives the same ones."""
    rng = Random(seed)
    return [_message(rng) for _ in range(rows)]


def _message(rng: Random) -> dict[str, str]:
    label = rng.choices(LABELS, [0.35, 0.3, 0.35])[0]
    text, _ = render(rng.choice(phrases("sentiment")[label]), rng, slots(), typos=0.1)
    if rng.random() < 0.25:  # a second sentence that says nothing about it
        more, _ = render(rng.choice(phrases("sentiment")["neutral"][:2]), rng, slots(), typos=0.1)
        text = rng.choice([f"{text}. {more}", f"{more}. {text}"])
    text = rng.choice([text, text, text.lower(), text[0].upper() + text[1:] + rng.choice([".", "!", ""])])
    return {"text": text, "sentiment": rng.choice(LABELS) if rng.random() < 1.5 * WRONG else label}


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, messages.csv (labelled, `rows` of them) and new_messages.csv (no labels, another seed)."""
    count = ROWS if rows is None else rows
    readme = README.format(rows=count, seed=seed) + SWAP.format(input="message")
    new = without(messages(min(NEW_ROWS, count), seed + 1), "sentiment")
    write_template(folder, CONFIG, readme, {"messages.csv": messages(count, seed), "new_messages.csv": new})
