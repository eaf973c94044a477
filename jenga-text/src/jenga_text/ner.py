"""text/ner: entities in a text, learned as one BIO tag per token, predicted as spans of characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

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
from jenga_core.errors import DataError, UserError, nearest

from .cells import kept_texts, texts_of
from .crf import Crf
from .entity_metrics import EntityMetrics, predicted
from .feature_crf import FeatureCrf, NoEntities
from .ner_config import NerConfig
from .places import continues, cuts_a_word
from .spans import Found, Span, from_spans, from_tags
from .tags import align
from .viterbi import constrained

UNKNOWN = -1  # a label that training rows do not have
SLIPS = 0.01  # share of the entities of training rows that may cut a word before words count as such


class NerTask(Task):
    """Every token of the text that overlaps an entity carries its tag, and special tokens are O; other columns carry none.

    Where entities of training rows begin and end with words, so do those that are predicted: the tag of a word's first token
    counts for the word, as in Devlin et al. 2019.

    Target columns: `y` (Ragged, a tag per token, -1 for none), `spans` (places of tokens, or of the words that they begin) and
    `gold` (Ragged [E, 3]: start, end, label). Outputs: `tags` and `score` per token, with `lengths`. Counted in `excluded`:
    rows without a label or a text; in `remarks`: those whose entities cut a token, lie behind what was kept of the text, have
    a type that training rows lack, begin with I, or have blanks at their ends.
    """

    def __init__(self, config: NerConfig) -> None:
        self.config = config
        self.types: list[str] = []
        self.input, self.column, self.whole_words = "", 0, False
        self._processors: Mapping[str, Processor] = {}

    def bind(self, processors: Mapping[str, Processor]) -> None:
        self._processors = processors

    def fit(self, cells: pd.DataFrame) -> None:
        self.input, self.column = self._place()
        texts = texts_of(cells[self.config.text], self.config.text)
        found = self._spans(cells, texts).rows
        self.whole_words = _end_with_words(found, texts)
        every = {label for row in found for _, _, label in row or ()}
        self.types = list(self.config.types or sorted(every))
        if not self.types:
            what = f"there is no entity in the {len(cells):,} training rows"
            raise DataError(what, where=f"column {self.config.target!r}", next="check the column, or name `types`")
        for row, spans in zip(cells.index, found, strict=True):
            for *_, label in spans or ():
                if label not in self.types:
                    raise DataError(
                        f"the type {label!r} is not in `types`",
                        row=row,
                        column=self.config.target,
                        allowed=self.types,
                        nearest=nearest(label, self.types),
                    )

    def _place(self) -> tuple[str, int]:
        """(input, number of the text's column in it); where none has the column by its name, the first of the first input."""
        for name, processor in self._processors.items():
            columns = list(getattr(processor, "columns", ()))
            if self.config.text in columns:
                return name, columns.index(self.config.text)
        return next(iter(self._processors)), 0

    def state(self) -> dict[str, Any]:
        return {"types": self.types, "input": self.input, "column": self.column, "whole_words": self.whole_words}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.types, self.column = list(states.texts(state["types"], fewest=1)), states.whole(state["column"])
        self.input, self.whole_words = states.text(state["input"]), states.flag(state["whole_words"])
        if self.input not in self._processors:
            raise ValueError(f"the table has no input {self.input!r}")

    def _spans(self, cells: pd.DataFrame, texts: Sequence[str]) -> Found:
        target = cells[self.config.target]
        if self.config.form == "spans":
            return from_spans(target, texts, self.config.target)
        words = cells[self.config.tokens] if self.config.tokens else None
        return from_tags(target, words, texts, self.config.target)

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        encoded, texts = inputs[self.input], texts_of(cells[self.config.text], self.config.text)
        spans = self._tokens(encoded, texts)
        given = self._spans(cells, texts)
        found = given.rows
        labelled = np.array([row is not None for row in found], dtype=bool)
        number = {label: at for at, label in enumerate(self.types)}
        gold = Ragged.of(
            [
                np.array([(a, b, number.get(k, UNKNOWN)) for a, b, k in row or ()], np.int64).reshape(-1, 3)
                for row in found
            ],
            dtype=np.int64,
        )
        y, cut, behind = align(gold, spans, self.column)
        row, _, entity = gold.flat(np.arange(len(gold)))
        excluded = {
            "no label": int((~labelled).sum()),
            "labelled, but without text": int((labelled & ~encoded.present).sum()),
        }
        remarks = {
            "an entity cuts a token (learned as the whole token, judged as it is)": cut,
            "an entity lies behind what was kept of the text, or was removed from it (not learned, judged as missed)": behind,
            "an entity of a type that training rows lack (judged as missed)": len(
                set(row[entity[:, 2] == UNKNOWN].tolist())
            ),
            **given.remarks,
        }
        return Encoded(
            {"y": y, "spans": self._words(encoded, np.arange(len(spans))), "gold": gold},
            present=labelled & encoded.present,
            excluded={reason: n for reason, n in excluded.items() if n},
            remarks={remark: n for remark, n in remarks.items() if n},
        )

    def _tokens(self, encoded: Encoded, texts: Sequence[str]) -> Ragged:
        """Where the tokens are. `UserError` where they cannot be those of the texts."""
        spans = encoded.spans
        if spans is None:
            raise UserError(f"input {self.input!r} does not say where its tokens are", where="text/ner")
        row, _, place = spans.flat(np.arange(len(spans)))
        own = place[:, 0] == self.column
        if (place[own, 2] > np.array([len(text) for text in texts])[row[own]]).any():
            raise UserError(
                f"input {self.input!r} does not read column {self.config.text!r}",
                where="text/ner",
                next="let `text` name the column of the input that the entities are in",
            )
        return spans

    def _words(self, encoded: Encoded, rows: Array) -> Ragged:
        """Where the tokens of these rows are; where entities are whole words, a word's first token has all of its place."""
        assert encoded.spans is not None
        spans, texts = encoded.spans.take(rows), [name for name in encoded.columns if name.startswith("text ")]
        if not self.whole_words or not texts:
            return spans
        read = encoded.columns.get("places", encoded.spans)  # redacted texts are read where they are shorter or longer
        assert isinstance(read, Ragged)
        inner = continues(read.take(rows), [kept_texts(encoded.columns, at, rows) for at in range(len(texts))])
        if not inner.any():
            return spans
        values, first = spans.values.copy(), np.flatnonzero(~inner)
        values[first, 2] = np.maximum.reduceat(values[:, 2], first)
        values[inner, 2] = values[inner, 1]  # without a character of its own
        return Ragged(values, spans.starts)

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """(row, pos, y) of the tokens with a tag; the count is that of the words (or tokens, where entities cut words).

        Special tokens and later pieces of words are learned as well, and do not thin the mean: counted too, they cost atis a
        point of F1 (benchmarks/ner_vs_hf.py).
        """
        column, places = encoded.columns["y"], encoded.columns["spans"]
        assert isinstance(column, Ragged)
        assert isinstance(places, Ragged)
        row, pos, y = column.flat(rows)
        kept, place = y >= 0, places.flat(rows)[2]
        words = kept & (place[:, 0] == self.column) & (place[:, 1] < place[:, 2])
        data = {name: torch.from_numpy(v[kept]) for name, v in {"row": row, "pos": pos, "y": y}.items()}
        return data, float(max(words.sum(), kept.any()))

    def head(self, context: HeadContext) -> nn.Module:
        tags = 1 + 2 * len(self.types)
        return TagHead(self.input, context.dim, tags, dropout=self.config.dropout, crf=self.config.crf)

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Of each token its cross-entropy; with a CRF, of each row -log p(its tags): a sum over the same tokens."""
        if self.config.crf:
            return output["loss"].sum()
        return functional.cross_entropy(output["scores"].float(), target["y"], reduction="sum")

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        """`tags` int64 and `score` [B, T]: the best sequence that BIO allows, and each tag's probability."""
        view = model.view(batch, fuse=self.fuse)
        return {**model.heads[name](view, None), "lengths": view.parts[self.input].mask.sum(dim=1)}

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """`entities`: a list of {start, end, label, score} per row; the score is the geometric mean over its tokens' tags."""
        score = output["score"]
        assert isinstance(score, Ragged)
        found = predicted(output, self._words(inputs[self.input], rows), self.column)
        logs = np.concatenate([[0.0], np.cumsum(np.log(np.maximum(score.values.astype(np.float64), 1e-30)))])
        means = np.exp((logs[found.last + 1] - logs[found.first]) / (found.last + 1 - found.first))
        lists: list[list[dict[str, Any]]] = [[] for _ in range(len(rows))]
        for row, start, end, label, mean in zip(
            *(v.tolist() for v in (found.row, found.start, found.end, found.label, means)), strict=True
        ):
            lists[row].append({"start": start, "end": end, "label": self.types[label], "score": round(mean, 6)})
        return pd.DataFrame({"entities": pd.Series(lists, dtype=object)})

    @hookimpl
    def on_predict(self, run: Any, frame: pd.DataFrame, predictions: pd.DataFrame) -> None:
        """Put the words of each entity beside its offsets, where the rows have the text at hand."""
        name = next(key for key, task in run.parts.tasks.items() if task is self)
        column = f"{name}.entities"
        if column not in predictions or self.config.text not in frame:
            return
        texts = texts_of(frame[self.config.text], self.config.text)
        for text, found in zip(texts, predictions[column].tolist(), strict=True):
            for entity in found if isinstance(found, list) else ():
                entity["text"] = text[entity["start"] : entity["end"]]

    def metrics(self) -> Metrics:
        return EntityMetrics(self.types, self.column)

    def baselines(self, seed: int) -> Sequence[Baseline]:
        """The CRF where the input keeps its texts."""
        keeps = getattr(self._processors.get(self.input), "keeps_texts", False)
        return [NoEntities(), *([FeatureCrf(self.input, self.column)] if keeps else [])]


def _end_with_words(found: Sequence[Sequence[Span] | None], texts: Sequence[str]) -> bool:
    """Whether (but for one in a hundred, a slip of whoever marked them) no entity begins or ends within a word."""
    cut = [
        cuts_a_word(text, begin) or cuts_a_word(text, end)
        for row, text in zip(found, texts, strict=True)
        for begin, end, _ in row or ()
    ]
    return sum(cut) <= SLIPS * len(cut)


class TagHead(nn.Module):
    """With a target the `scores` of the tags at the labelled tokens [n, tags], with a CRF the `loss` of each row [rows]; without
    one the best `tags` of all tokens and the `score` of each [B, T]."""

    def __init__(self, name: str, dim: int, tags: int, *, dropout: float, crf: bool) -> None:
        super().__init__()
        self.name, self.dropout, self.linear = name, nn.Dropout(dropout), nn.Linear(dim, tags)
        self.crf = Crf(tags) if crf else None

    def forward(self, view: View, target: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        part = view.of(self.name)
        tokens = part.tokens
        if target is None:
            tags, logs = self.best(self.linear(self.dropout(tokens)).float(), part.mask)
            return {"tags": tags, "score": logs.gather(2, tags[:, :, None])[:, :, 0].exp()}
        scores = self.linear(self.dropout(tokens[target["row"], target["pos"]]))
        return {"scores": scores} if self.crf is None else {"loss": self._losses(self.crf, scores.float(), target)}

    def _losses(self, crf: Crf, scores: Tensor, target: Mapping[str, Tensor]) -> Tensor:
        """The labelled tokens of each row as one sequence."""
        row = target["row"]
        lengths = torch.bincount(row)
        starts = lengths.cumsum(0) - lengths
        pos = torch.arange(len(row), device=row.device) - starts[row]
        mask = torch.arange(int(lengths.max()), device=row.device) < lengths[:, None]
        padded = scores.new_zeros((*mask.shape, scores.shape[1])).index_put((row, pos), scores)
        tags = target["y"].new_zeros(mask.shape).index_put((row, pos), target["y"])
        return crf.loss(padded, tags, mask) * (lengths > 0)

    def best(self, scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(tags [B, T], log-probabilities of all tags [B, T, tags])"""
        if self.crf is not None:
            return self.crf.best(scores, mask), self.crf.marginals(scores, mask)
        logs = torch.log_softmax(scores, dim=-1)
        return constrained(logs, mask), logs
