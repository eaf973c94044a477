"""The template `phishing-email`: subject and body as two columns of one input."""

from __future__ import annotations

from pathlib import Path
from random import Random

from .emails import email
from .writing import SWAP, Rows, without, write_template

ROWS, NEW_ROWS = 2500, 200

CONFIG = """\
# Phishing. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: phishing-email
seed: 7

data:
  emails:
    path: emails.csv
    split: {by: stratified, validation: 0.15, test: 0.15}

inputs:
  # Two columns become one sequence. An e-mail without a subject is read by its body alone.
  email: {columns: [subject, body], processor: text/words}

backbones:
  encoder: {kind: text/recurrent, embedding: 24, hidden: 48, dropout: 0.3, pooling: max}

tasks:
  phishing: {kind: core/classification, target: label, dropout: 0.2}

train:
  epochs: 4
  batch_size: 32
  learning_rate: 4.0e-3
  schedule: cosine
  monitor: phishing.f1_macro
"""

README = """\
# Phishing e-mails

`emails.csv` holds {rows:,} **synthetic** e-mails in English and Swahili, made by a seeded generator (seed {seed}). Nobody
sent them; the senders and addresses are invented, and a score on them says nothing about real mail. About a third is
phishing. Honest mail has links, deadlines and amounts too, careful phishing has none of the usual words, and 3 % of the
labels are wrong on purpose.

| column | what |
| --- | --- |
| subject | may be empty |
| body | the text |
| label | phishing or legitimate |

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_emails.csv --output scored.csv

`new_emails.csv` holds e-mails without labels. `scored.csv` is the same rows with `phishing.label` and the probability of
each label, `phishing.p(phishing)` and `phishing.p(legitimate)`. The report is `run/report.html`.

"""


def emails(rows: int, seed: int) -> Rows:
    """`rows` labelled e-mails. The same seed gives the same ones."""
    rng = Random(seed)
    return [email(rng) for _ in range(rows)]


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, emails.csv (labelled, `rows` of them) and new_emails.csv (no labels, another seed)."""
    count = ROWS if rows is None else rows
    readme = README.format(rows=count, seed=seed) + SWAP.format(input="email")
    new = without(emails(min(NEW_ROWS, count), seed + 1), "label")
    write_template(folder, CONFIG, readme, {"emails.csv": emails(count, seed), "new_emails.csv": new})
