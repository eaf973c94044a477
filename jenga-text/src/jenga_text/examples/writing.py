"""The files of a template, byte for byte the same for the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

Rows: TypeAlias = "Sequence[Mapping[str, Any]]"

SWAP = """\
## With a pretrained encoder

The configuration starts from nothing, so it needs no network. A checkpoint from the hub, or a folder with one, takes its place in
one command; a model of several hundred megabytes wants a GPU, or patience:

    jenga train config.yaml --output run-pretrained --set train.learning_rate=3e-5 \\
      --set 'backbones.encoder={{kind: text/transformer, checkpoint: Davlan/afro-xlmr-base}}' \\
      --set inputs.{input}.processor=text/tokenizer
"""


def write_template(folder: Path, config: str, readme: str, tables: Mapping[str, Rows]) -> None:
    """config.yaml, README.md and each table under its name; its ending, .csv or .jsonl, says how."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        written = _csv(rows) if name.endswith(".csv") else _json_lines(rows)
        (folder / name).write_bytes(written.encode("utf-8"))
    (folder / "config.yaml").write_text(config, encoding="utf-8", newline="\n")
    (folder / "README.md").write_text(readme, encoding="utf-8", newline="\n")


def without(rows: Rows, *columns: str) -> Rows:
    """Rows as they come in use: without labels."""
    return [{name: cell for name, cell in row.items() if name not in columns} for row in rows]


def _csv(rows: Rows) -> str:
    return str(pd.DataFrame(list(rows)).to_csv(index=False, lineterminator="\n"))


def _json_lines(rows: Rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
