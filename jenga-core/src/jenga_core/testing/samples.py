"""Made-up rows for components that are tested without data of their own. The first eight rows are complete and distinct."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 24
COMPLETE = 8  # rows from the start in which no cell is missing
_WORDS = ("login", "failed", "from", "office", "twice", "backup", "done", "router", "slow", "again")
_LABELS = (0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0)


def mixed(seed: int = 0) -> pd.DataFrame:
    """Numbers, whole numbers, categories and short texts; later rows lack cells, and one row lacks all of them."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(_WORDS, size=1 + at % 5, replace=False)) for at in range(ROWS)]
    frame = pd.DataFrame(
        {
            "amount": rng.lognormal(size=ROWS).round(3),
            "count": rng.integers(0, 500, size=ROWS).astype(float),
            "kind": rng.choice(["tcp", "udp", "icmp"], size=ROWS),
            "text": texts,
        }
    )
    frame.loc[COMPLETE + 1, "amount"] = np.nan
    frame.loc[COMPLETE + 2, "kind"] = None
    frame.loc[COMPLETE + 3, :] = None
    return frame


def candidates() -> Iterator[pd.DataFrame]:
    """What a processor may be able to read: everything, numbers only, texts only, one text."""
    frame = mixed()
    yield frame
    yield frame[["amount", "count"]]
    yield frame[["kind", "text"]]
    yield frame[["text"]]


def labels(columns: list[str], rows: int) -> pd.DataFrame:
    """0 and 1 in every column, in a pattern that no single feature gives away."""
    return pd.DataFrame(
        {name: [_LABELS[(at + shift) % len(_LABELS)] for at in range(rows)] for shift, name in enumerate(columns)}
    )


def write(path: Path) -> Path:
    """`mixed` as a file, in the format of the path's ending."""
    FORMATS[path.suffix](mixed(), path)
    return path


FORMATS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    ".json": lambda frame, path: frame.to_json(path, orient="records"),
    ".jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    ".parquet": lambda frame, path: frame.to_parquet(path),
}
