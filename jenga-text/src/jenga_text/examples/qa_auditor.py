"""The template `qa-auditor`: calls to a help line, scored by six heads."""

from __future__ import annotations

from pathlib import Path
from random import Random

from .calls import HOLDS, call, heads
from .writing import SWAP, Rows, without, write_template

ROWS, NEW_ROWS = 1500, 100
WEIGHTS = {"opening": 1.0, "listening": 1.5, "proactiveness": 1.0, "resolution": 2.0, "hold": 0.5, "closing": 1.0}

CONFIG = """\
# Scores of calls. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: qa-auditor
seed: 7

data:
  calls:
    path: calls.jsonl
    split: {validation: 0.15, test: 0.15}

inputs:
  transcript: {columns: [transcript], processor: {kind: text/train-bpe, vocabulary: 4000}}

backbones:
  # A question is answered by a few words somewhere in the call: three at a time, and `pooling: max` looks for the best.
  encoder: {kind: text/conv, depth: 1, kernel: 3, width: 96, pooling: max}

tasks:
  qa:
    kind: text/scoring
    target: labels
    pass_above: 0.7      # PASS where a score is above this
    review_above: 0.4    # REVIEW where it is above this, else FAIL
    heads:
HEADS
train:
  epochs: 12
  batch_size: 16
  learning_rate: 3.0e-3
  schedule: cosine
  monitor: qa.f1
"""

README = """\
# The QA auditor

`calls.jsonl` holds {rows:,} **synthetic** calls to a help line, in Swahili and English, made by a seeded generator (seed
{seed}). Nobody made these calls, and a score on them says nothing about real ones. Six heads with 17 outputs judge what the
agent did:

{heads}

The weight is a head's factor in the loss. Good and bad agents share phrases, words are written down wrongly, and 3 % of the
answers are wrong on purpose. In {unheld:.0%} of the calls nobody is put on hold: there the labels of that head are null,
which is neither learned nor judged. Predictions score that head for every call; pass it over where there was no hold.

| column | what |
| --- | --- |
| transcript | the turns of the call, one a line |
| labels | an object {{head: [0 or 1 for each output]}} |

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_calls.jsonl --output audited.csv

`new_calls.jsonl` holds calls without labels. `audited.csv` is the same rows with, for each head, `qa.HEAD.score` (the mean
probability of its outputs), `qa.HEAD.verdict` (PASS above 0.7, REVIEW above 0.4, else FAIL) and `qa.HEAD.p(OUTPUT)`;
`qa.final.score` is the mean of the heads' scores, `qa.final.verdict` its verdict. The report, `run/report.html`, has a line
for each output.

"""


def calls(rows: int, seed: int) -> Rows:
    """`rows` labelled calls. The same seed gives the same ones."""
    rng = Random(seed)
    made = (call(rng) for _ in range(rows))
    return [{"transcript": transcript, "labels": labels} for transcript, labels in made]


def config() -> str:
    """CONFIG with the heads, their outputs and weights."""
    lines = []
    for name, outputs in heads().items():
        lines += [f"      {name}:", f"        weight: {WEIGHTS[name]}", "        outputs:"]
        lines += [f'          - "{output}"' for output in outputs]
    return CONFIG.replace("HEADS\n", "\n".join(lines) + "\n\n")


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, calls.jsonl (labelled, `rows` of them) and new_calls.jsonl (no labels, another seed)."""
    count = ROWS if rows is None else rows
    table = ["| head | weight | outputs |", "| --- | --- | --- |"]
    table += [f"| {name} | {WEIGHTS[name]} | {'; '.join(outputs)} |" for name, outputs in heads().items()]
    readme = README.format(rows=count, seed=seed, heads="\n".join(table), unheld=1 - HOLDS) + SWAP.format(
        input="transcript"
    )
    new = without(calls(min(NEW_ROWS, count), seed + 1), "labels")
    write_template(folder, config(), readme, {"calls.jsonl": calls(count, seed), "new_calls.jsonl": new})
