"""The template `transaction-fraud`: frauds in synthetic mobile-money transactions."""

from __future__ import annotations

from pathlib import Path

from .transactions import transactions

ROWS, NEW_ROWS = 40_000, 500

CONFIG = """\
# Frauds in transactions. Check it: jenga check config.yaml      Train it: jenga train config.yaml --output run
project: transaction-fraud
seed: 7

data:
  transactions:
    path: transactions.csv
    # The oldest transactions train, the newest test: a fraud is always newer than the model that looks for it.
    split: {by: time, column: made_at, validation: 0.15, test: 0.15}

inputs:
  transaction:
    # Every column but the time of the split, the label and `exclude`. An account would be learned by heart.
    exclude: [account]
    processor: {kind: security/table, max_categories: 256}     # agents are many

backbones:
  table: {kind: security/tabular-mlp, width: 128, depth: 3, dropout: 0.2, numbers: periodic}

tasks:
  fraud:
    kind: security/anomaly
    target: label
    normal: legitimate
    threshold: {target_fpr: 0.005}    # question at most 0.5 % of honest transactions; chosen on the validation rows

train:
  epochs: 10
  batch_size: 256
  learning_rate: 1.0e-3
  schedule: cosine
  monitor: fraud.average_precision
"""

README = """\
# Transaction fraud

`transactions.csv` holds {rows:,} **synthetic** mobile-money transactions over four weeks, made by a seeded generator (seed
{seed}); nothing was recorded, no account is anyone's, and a score on them says nothing about real payments. About 2 % are
frauds: accounts emptied after a SIM swap, people talked into paying, agents in on it, stolen cards tried out. Each has an
honest neighbour (a lost phone replaced, a large bill, a busy agent, a trader's many payments), so no model separates them
fully, and those who were talked into paying are hardest: they pay by their own phone, at their usual hour.

| column | unit |
| --- | --- |
| made_at | UTC, ISO 8601; orders the split, not a feature |
| account | who paid; not a feature |
| transaction_amount | KES |
| merchant_type | what was paid for: person, groceries, cash, airtime, ... |
| location | county of the counterpart |
| time_of_day | local hour, 0 to 24 (UTC+3) |
| channel | app, ussd, agent, card, web |
| agent | through whom cash moved; none for other channels |
| sim_swap_age_days | days since the SIM was last replaced; empty where the operator does not know |
| device_change | 1: the handset was first used with this account in the last 3 days |
| velocity | transactions of the account in the hour up to this one |
| label | legitimate or fraud |

    jenga check config.yaml
    jenga train config.yaml --output run
    jenga evaluate run
    jenga predict run new_transactions.csv --output scored.csv

`new_transactions.csv` holds transactions without labels. `scored.csv` is the same rows with `fraud.label`, `fraud.score` (the
probability of fraud) and `fraud.threshold`. The report is `run/report.html`; it puts gradient boosting on the same features
beside the network. A score decides nothing by itself: let a person look before an account is stopped.
"""


def write(folder: Path, *, seed: int, rows: int | None = None) -> None:
    """config.yaml, README.md, transactions.csv (labelled, `rows` of them) and new_transactions.csv (no labels, another seed)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count = ROWS if rows is None else rows
    transactions(count, seed).to_csv(folder / "transactions.csv", index=False, lineterminator="\n")
    new = transactions(min(NEW_ROWS, count), seed + 1).drop(columns="label")
    new.to_csv(folder / "new_transactions.csv", index=False, lineterminator="\n")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "README.md").write_text(README.format(rows=count, seed=seed), encoding="utf-8")
