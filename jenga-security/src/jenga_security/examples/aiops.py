"""The template `aiops`: incidents in synthetic metrics of hosts."""

from __future__ import annotations

from pathlib import Path

from .hosts import metrics

ROWS, NEW_ROWS = 46_080, 960

CONFIG = """\
# Incidents on hosts. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: aiops
seed: 7

data:
  metrics:
    path: metrics.csv
    # The oldest rows train, the newest test. Windows end at the borders between them.
    split: {by: time, column: at, validation: 0.15, test: 0.15}

inputs:
  metric:
    columns: [at, host, cpu_usage, memory_usage, disk_io, error_rate]
    # Each row with the 15 of the same host before it. `at` and `host` say which those are, and are not features.
    processor: {kind: security/window, group: host, time: at, length: 16}

backbones:
  history: security/causal-transformer

tasks:
  incident:
    kind: security/anomaly
    target: label
    normal: normal
    threshold: {target_fpr: 0.005}    # page for at most 0.5 % of normal rows; chosen on the validation rows

train:
  epochs: 6
  batch_size: 256
  learning_rate: 2.0e-3
  schedule: cosine
  monitor: incident.average_precision
"""

README = """\
# AIOps: incidents on hosts

`metrics.csv` holds {rows:,} rows of **synthetic** metrics of 20 hosts, one row per host and five minutes, made by a seeded
generator (seed {seed}); nothing was measured, and a score on them says nothing about real hosts. About 4 % of the rows are
in an incident: memory leaks, slow disks, runaway processes, bad releases, services that are gone. Backups, batch jobs,
peaks of a moment and filling caches look like them on purpose. One row often does not tell: the model reads each row with
the rows of the same host before it (`security/window`).

| column | unit |
| --- | --- |
| at | UTC, ISO 8601; orders the windows and the split, not a feature |
| host | whose row it is; not a feature |
| cpu_usage | % |
| memory_usage | % |
| disk_io | MB/s, read and written |
| error_rate | failed requests per 1,000 |
| label | normal or incident |

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_metrics.csv --output scored.csv

`new_metrics.csv` holds rows without labels. `scored.csv` is the same rows with `incident.label`, `incident.score` (the
probability of an incident) and `incident.threshold`. A row is judged with what the same file holds of its host before
it, so give the last 15 rows of each host along with the new ones. The report is `run/report.html`; gradient boosting
beside the network gets the row itself, and mean and deviation of each number over the window.
"""


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, metrics.csv (labelled, `rows` of them) and new_metrics.csv (no labels, another seed)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count = ROWS if rows is None else rows
    metrics(count, seed).to_csv(folder / "metrics.csv", index=False, lineterminator="\n")
    new = metrics(min(NEW_ROWS, count), seed + 1).drop(columns="label")
    new.to_csv(folder / "new_metrics.csv", index=False, lineterminator="\n")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "README.md").write_text(README.format(rows=count, seed=seed), encoding="utf-8")
