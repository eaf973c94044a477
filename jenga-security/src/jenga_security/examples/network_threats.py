"""The template `network-threats`: attacks in synthetic network flows."""

from __future__ import annotations

from pathlib import Path

from .flows import flows

ROWS, NEW_ROWS = 20_000, 500

CONFIG = """\
# Attacks in network flows. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: network-threats
seed: 7

data:
  flows:
    path: flows.csv
    # The oldest flows train, the newest test: an alert is always about flows that are newer than the model.
    split: {by: time, column: started, validation: 0.15, test: 0.15}

inputs:
  flow:
    # `started` and `host` stay out: who and when would be learned by heart instead of what the flow is like.
    columns: [packet_size, port, protocol, duration, request_count, bytes_sent, bytes_received]
    processor: {kind: security/table, categorical: [port]}

backbones:
  table: {kind: security/tabular-mlp, width: 128, depth: 3, dropout: 0.1, numbers: periodic}

tasks:
  threat:
    kind: security/anomaly
    target: label
    normal: benign                    # every other label is an attack
    threshold: {target_fpr: 0.01}     # alert on at most 1 % of benign flows; chosen on the validation rows

train:
  epochs: 10
  batch_size: 256
  learning_rate: 2.0e-3
  schedule: cosine
  monitor: threat.average_precision
"""

README = """\
# Network threats

`flows.csv` holds {rows:,} **synthetic** network flows over two days, made by a seeded generator (seed {seed}); nothing was
captured, and a score on them says nothing about real traffic. About 12 % are attacks: port scans, brute force,
exfiltration and floods. They overlap with benign traffic on purpose (health checks resemble scans, remote work resembles
brute force, backups resemble exfiltration, API clients resemble floods), so no model separates them fully.

| column | unit |
| --- | --- |
| started | UTC, ISO 8601; orders the split, not a feature |
| host | who opened the flow; not a feature |
| packet_size | mean bytes per packet |
| port | of the responder; 0 for icmp |
| protocol | tcp, udp, icmp |
| duration | seconds |
| request_count | flows the host opened in the 60 s up to this one |
| bytes_sent, bytes_received | bytes at the IP layer, headers included |
| label | benign, or the attack's name |

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_flows.csv --output scored.csv

`new_flows.csv` holds flows without labels. `scored.csv` is the same rows with `threat.label`, `threat.score` (the
probability of an attack) and `threat.threshold`. The report is `run/report.html`.
"""


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, flows.csv (labelled, `rows` of them) and new_flows.csv (no labels, another seed)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count = ROWS if rows is None else rows
    flows(count, seed).to_csv(folder / "flows.csv", index=False, lineterminator="\n")
    new = flows(min(NEW_ROWS, count), seed + 1).drop(columns="label")
    new.to_csv(folder / "new_flows.csv", index=False, lineterminator="\n")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "README.md").write_text(README.format(rows=count, seed=seed), encoding="utf-8")
