"""text/squad: SQuAD's JSON (Rajpurkar et al. 2016, 2018), a row for each question."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import pandas as pd

from jenga_core.contracts import Source
from jenga_core.errors import DataError
from jenga_core.textfiles import shown, utf8_blocks

from .qa_config import SquadConfig

COLUMNS = ["id", "title", "question", "context", "answers"]


class SquadSource(Source):
    """Columns `id`, `title`, `question`, `context` and `answers`, a list of {text, answer_start}; empty where the question is
    marked as impossible, None where the file gives no answers. The whole document is held in memory."""

    def __init__(self, config: SquadConfig) -> None:
        self.config = config

    def columns(self, path: Any) -> list[str]:
        return COLUMNS

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        rows, start = self._rows(path), 0
        while chunk := list(islice(rows, batch_rows)):
            frame = pd.DataFrame(chunk, columns=COLUMNS, index=pd.RangeIndex(start, start + len(chunk)))
            yield frame.astype(dict.fromkeys(COLUMNS[:4], "str"))
            start += len(chunk)
        if not start:
            raise DataError("there is no question in the file", where=shown(path))

    def _rows(self, path: Any) -> Iterator[tuple[Any, ...]]:
        where = shown(path)
        try:
            document = json.loads(b"".join(utf8_blocks(path)).decode())
        except ValueError as error:
            raise DataError(f"invalid JSON: {error}", where=where) from None
        articles = document.get("data") if isinstance(document, Mapping) else None
        for at, article in enumerate(_list(articles, f"{where}: `data`")):
            place = f"{where}: data[{at}]"
            title = article.get("title") if isinstance(article, Mapping) else None
            for paragraph, spot in _each(article, "paragraphs", place):
                for question, here in _each(paragraph, "qas", spot):
                    yield (
                        question.get("id"),
                        title,
                        _text(question, "question", here),
                        _text(paragraph, "context", spot),
                        [] if question.get("is_impossible") else question.get("answers"),
                    )


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise DataError("is no list; a file of SQuAD is {data: [{paragraphs: [{context, qas: [...]}]}]}", where=where)
    return value


def _each(parent: Any, key: str, where: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    found = parent.get(key) if isinstance(parent, Mapping) else None
    for at, each in enumerate(_list(found, f"{where}.{key}")):
        place = f"{where}.{key}[{at}]"
        if not isinstance(each, Mapping):
            raise DataError("is no object", where=place)
        yield each, place


def _text(parent: Mapping[str, Any], key: str, where: str) -> str:
    found = parent.get(key)
    if not isinstance(found, str):
        raise DataError(f"has no text {key!r}", where=where)
    return found
