"""text/span-qa: the piece of a context that answers a question, or that there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from jenga_core import states
from jenga_core.api import hookimpl
from jenga_core.contracts import (
    Array,
    Baseline,
    Batch,
    Columns,
    Encoded,
    HeadContext,
    Metrics,
    Processor,
    Ragged,
    Task,
    View,
)
from jenga_core.errors import UserError

from .answers import LOST, answers_of, exact, f1, tokens_of
from .cells import objects, texts_of
from .qa_config import SpanQaConfig
from .sliding_window import NoAnswer, SlidingWindow

ENDS = ("start", "end")


class SpanQaTask(Task):
    """Two distributions over the tokens of the context and "none": where the answer begins and where it ends.

    Target columns: `start`, `end` int64 [N] (token of the row, NONE or LOST), `spans` of the input, `context` and `answers` as
    objects. Outputs: `start` and `end` (Ragged, a score per token) with `lengths`, and `none_start` and `none_end` [B]. A row
    whose answer was cut off is judged, and not learned.
    """

    def __init__(self, config: SpanQaConfig) -> None:
        self.config = config
        self.input, self.column = "", 0
        self._processors: Mapping[str, Processor] = {}

    def bind(self, processors: Mapping[str, Processor]) -> None:
        self._processors = processors

    def fit(self, cells: pd.DataFrame) -> None:
        self.input, self.column = next(iter(self._processors)), 0
        for name, processor in self._processors.items():
            columns = list(getattr(processor, "columns", ()))
            if self.config.text in columns:
                self.input, self.column = name, columns.index(self.config.text)

    def state(self) -> dict[str, Any]:
        return {"input": self.input, "column": self.column}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.input, self.column = states.text(state["input"]), states.whole(state["column"])
        if self.input not in self._processors:
            raise ValueError(f"the table has no input {self.input!r}")

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        encoded, contexts = inputs[self.input], texts_of(cells[self.config.text], self.config.text)
        if encoded.spans is None:
            raise UserError(f"input {self.input!r} does not say where its tokens are", where="text/span-qa")
        found, trimmed = answers_of(cells[self.config.target], contexts, self.config.target)
        labelled = np.array([row is not None for row in found], dtype=bool)
        start, end = tokens_of([row[0] if row else None for row in found], encoded.spans, self.column)
        columns: dict[str, Array | Ragged] = {
            "start": start,
            "end": end,
            "spans": encoded.spans,
            "context": objects(contexts),
            "answers": objects([tuple(text for _, text in row or ()) for row in found]),
        }
        excluded = {
            "no label": int((~labelled).sum()),
            "labelled, but without text": int((labelled & ~encoded.present).sum()),
        }
        remarks = {
            "the answer lies behind what was kept of the context, or was removed from it (not learned, judged as missed)": int(
                (start == LOST).sum()
            ),
            "the answer has blanks at its ends (trimmed)": trimmed,
        }
        present = labelled & encoded.present
        return Encoded(columns, present, excluded=_some(excluded), remarks=_some(remarks))

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """(row, pos) of the tokens of the contexts, `start` and `end` [n]; the count is the number of rows."""
        spans = encoded.columns["spans"]
        assert isinstance(spans, Ragged)
        row, pos, place = spans.flat(rows)
        own = place[:, 0] == self.column
        ends = {key: np.asarray(encoded.columns[key])[rows] for key in ("start", "end")}
        data = {"row": row[own], "pos": pos[own], **ends}
        return {name: torch.from_numpy(array) for name, array in data.items()}, float(len(rows))

    def head(self, context: HeadContext) -> nn.Module:
        return SpanHead(self.input, context.dim, self.config.dropout)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """-log p(begin) - log p(end), half of each, over the tokens of the context and "none"."""
        row, pos = target["row"], target["pos"]
        scores = output["scores"].float()  # [B, T, 2]
        masked = torch.full_like(scores, -torch.inf).index_put((row, pos), scores[row, pos])
        logs = torch.log_softmax(torch.cat([output["none"].float()[:, None], masked], dim=1), dim=1)
        learned = target["start"] != LOST
        chosen = [
            logs[:, :, at].gather(1, (target[key] + 1).clamp(min=0)[:, None])[:, 0] for at, key in enumerate(ENDS)
        ]
        return -0.5 * torch.stack(chosen)[:, learned].sum()

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        view = model.view(batch, fuse=self.fuse)
        output = {key: value.float() for key, value in model.heads[name](view, None).items()}
        scores = {key: output["scores"][:, :, at] for at, key in enumerate(ENDS)}
        none = {f"none_{key}": output["none"][:, at] for at, key in enumerate(ENDS)}
        return {**scores, **none, "lengths": view.parts[self.input].mask.sum(dim=1)}

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """`answer` (its text, where the rows have it at hand; None for no answer), `start`, `end`, `score`: its probability."""
        spans = inputs[self.input].spans
        assert spans is not None
        start, end, score = best(output, spans.take(rows), self.column, self.config.longest)
        places = {k: pd.Series(v, dtype="Int64").mask(start < 0) for k, v in (("start", start), ("end", end))}
        return pd.DataFrame({"answer": pd.Series([None] * len(rows), dtype=object), **places, "score": score})

    @hookimpl
    def on_predict(self, run: Any, frame: pd.DataFrame, predictions: pd.DataFrame) -> None:
        """Put the words of each answer beside its offsets."""
        name = next(key for key, task in run.parts.tasks.items() if task is self)
        if self.config.text not in frame or f"{name}.start" not in predictions:
            return
        texts = texts_of(frame[self.config.text], self.config.text)
        ends = zip(texts, predictions[f"{name}.start"], predictions[f"{name}.end"], strict=True)
        found = [None if pd.isna(a) else text[int(a) : int(b)] for text, a, b in ends]
        predictions[f"{name}.answer"] = pd.Series(found, index=predictions.index, dtype=object)

    def metrics(self) -> Metrics:
        return SpanMetrics(self.column, self.config.longest)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        """The sliding window where the input keeps its texts."""
        processor = self._processors.get(self.input)
        keeps = getattr(processor, "keeps_texts", False)
        columns = len(getattr(processor, "columns", ()))
        return [NoAnswer(), *([SlidingWindow(self.input, self.column, columns)] if keeps else [])]


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: n for reason, n in counts.items() if n}


class SpanHead(nn.Module):
    """`scores` [B, T, 2] of every token as begin and end, `none` [B, 2] of there being no answer."""

    def __init__(self, name: str, dim: int, dropout: float) -> None:
        super().__init__()
        self.name, self.dropout = name, nn.Dropout(dropout)
        self.token, self.none = nn.Linear(dim, 2), nn.Linear(dim, 2)

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        tokens, pooled = view.of(self.name).tokens, view.whole.pooled
        return {"scores": self.token(self.dropout(tokens)), "none": self.none(self.dropout(pooled))}


def best(output: Columns, spans: Ragged, column: int, longest: int) -> tuple[Array, Array, Array]:
    """(start, end) in characters of each row's best answer of at most `longest` tokens, and its probability; -1, -1 where
    "none" is likelier than any. All rows at once."""
    begin, finish = output["start"], output["end"]
    assert isinstance(begin, Ragged)
    assert isinstance(finish, Ragged)
    size = len(spans)
    row, pos, place = spans.flat(np.arange(size))
    kept = (place[:, 0] == column) & (place[:, 1] < place[:, 2]) & (pos < begin.lengths()[row])
    row, pos, place = row[kept], pos[kept], place[kept]
    at = begin.starts[row] + pos
    none = np.stack([np.asarray(output["none_start"]), np.asarray(output["none_end"])])
    scores = np.stack([begin.values[at], finish.values[at]]).astype(np.float64)
    value, last = np.full(len(row), -np.inf), np.arange(len(row))
    for step in range(min(longest, len(row))):
        other = np.arange(step, len(row))
        total = np.where(row[: len(other)] == row[other], scores[0, : len(other)] + scores[1, other], -np.inf)
        better = np.flatnonzero(total > value[: len(other)])
        value[better], last[better] = total[better], other[better]
    order = np.lexsort((-value, row))
    first = (
        order[np.searchsorted(row[order], np.arange(size))[np.bincount(row, minlength=size) > 0]] if len(row) else order
    )
    start, end = np.full(size, -1), np.full(size, -1)
    top = none.sum(axis=0).astype(np.float64)
    wins = first[value[first] > top[row[first]]]
    start[row[wins]], end[row[wins]] = place[wins, 1], place[last[wins], 2]
    top[row[wins]] = value[wins]
    return start, end, np.exp(top - sum(_log_sums(scores[k], none[k], row) for k in (0, 1)))


def _log_sums(scores: Array, none: Array, row: Array) -> Array:
    """log of the summed exponentials of each row's scores and its "none"."""
    top = none.astype(np.float64)
    np.maximum.at(top, row, scores)
    total = np.exp(none - top)
    np.add.at(total, row, np.exp(scores - top[row]))
    return np.asarray(top + np.log(total))


@dataclass(frozen=True, slots=True)
class SpanMetrics(Metrics):
    """SQuAD's `f1` (overlap of words) and `exact` match, each the mean over the questions of the best gold answer."""

    column: int
    longest: int

    @property
    def directions(self) -> Mapping[str, Literal["max", "min"]]:
        return {"f1": "max", "exact": "max"}

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        spans = target["spans"]
        assert isinstance(spans, Ragged)
        start, end, _ = best(output, spans, self.column, self.longest)
        texts = [c[a:b] if a >= 0 else "" for c, a, b in zip(target["context"], start, end, strict=True)]  # type: ignore[arg-type]
        pairs = list(zip(texts, target["answers"], strict=True))  # type: ignore[arg-type]
        return {name: float(np.mean([judge(a, g) for a, g in pairs])) for name, judge in (("f1", f1), ("exact", exact))}
