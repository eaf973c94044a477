"""text/conll: CoNLL files, a word a line with its tag in the last column and a blank line after each sentence -> a row each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pandas as pd

from jenga_core.contracts import Source
from jenga_core.errors import DataError
from jenga_core.textfiles import BlockFile, shown, utf8_blocks

from . import tags as bio
from .ner_config import ConllConfig

COLUMNS = ["text", "tokens", "tags", "entities"]
NOT_A_WORD = ("-DOCSTART-", "-X-")  # lines that part documents in CoNLL-2003


class ConllSource(Source):
    """Columns: `text` (the words, a blank between two), `tokens`, `tags` (lists) and `entities`, a list of {start, end, label}.

    Words and tags are parted by tabs where a line has one, else by blanks (U+0020, also several). No other blank of Unicode does:
    10 and 000 with a no-break blank between are one word. All lines have as many columns as the first, but for blank ones, those
    that begin with -DOCSTART- or -X-, and comments: lines that begin with "# " and end in no tag, before their sentence's words.
    IOB1, IOB2, BIOES and BILOU are read alike.
    """

    def __init__(self, config: ConllConfig) -> None:
        self.config = config
        self._repaired = 0
        self._width, self._first = 0, 0  # how many columns the first word's line has, and its number

    def columns(self, path: Any) -> list[str]:
        return COLUMNS

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        self._repaired = self._width = self._first = 0
        rows, start = self._sentences(path), 0
        while chunk := list(islice(rows, batch_rows)):
            index = pd.RangeIndex(start, start + len(chunk))
            cells = {name: [row[at] for row in chunk] for at, name in enumerate(COLUMNS)}
            yield pd.DataFrame(cells, index=index).astype({"text": "str"})
            start += len(chunk)
        if not start:
            raise DataError("there is no sentence in the file", where=shown(path))

    def notes(self) -> list[str]:
        if not self._repaired:
            return []
        return [f"{self._repaired:,} entities begin with I- or E- (IOB1, or a defect): read as if with B-"]

    def _sentences(self, path: Any) -> Iterator[tuple[Any, ...]]:
        words: list[str] = []
        tags: list[str] = []
        number = 0
        with io.BufferedReader(BlockFile(utf8_blocks(path)), 1 << 20) as lines:
            for number, line in enumerate(lines, start=1):
                text = line.decode().strip("\r\n")
                if not text.strip() or text.startswith(NOT_A_WORD):
                    if words:
                        yield self._row(words, tags, path, number)
                        words, tags = [], []
                elif words or not self._is_comment(text):
                    word, tag = self._cells(text, path, number)
                    words.append(word)
                    tags.append(tag)
        if words:
            yield self._row(words, tags, path, number + 1)

    def _is_comment(self, line: str) -> bool:
        """A line such as "# O" at the head of a sentence is a word: a hash sign with its tag."""
        cells = _columns(line)
        return line.startswith("# ") and not _is_tag(cells[min(self.config.tag, len(cells) - 1)])

    def _cells(self, line: str, path: Any, number: int) -> tuple[str, str]:
        cells = _columns(line)
        if not self._width:
            self._width, self._first = len(cells), number
        last = max(self.config.word, self.config.tag)
        if len(cells) != self._width or len(cells) < 2 or len(cells) <= last or not cells[self.config.word]:
            raise self._wrong(line, len(cells), f"{shown(path)}, line {number}")
        return cells[self.config.word], cells[self.config.tag]

    def _wrong(self, line: str, columns: int, where: str) -> DataError:
        what = f"{line.strip()[:60]!r} has {columns} column{'s' * (columns != 1)}"
        if columns == self._width or self._width < 2:
            what, then = f"{what}; a word and its tag are needed", "part words and tags by a tab or a blank"
        else:
            what = f"{what}, and line {self._first} has {self._width}; all lines of a file have as many"
            then = "correct the line, or part all columns by tabs where words have blanks in them"
        return DataError(what, where=where, next=then)

    def _row(self, words: list[str], tags: list[str], path: Any, behind: int) -> tuple[Any, ...]:
        try:
            found, repaired = bio.read(tags)
        except ValueError as error:
            wrong = next(at for at, tag in enumerate(tags) if not _is_tag(tag))
            where = f"{shown(path)}, line {behind - len(tags) + wrong}"
            raise DataError(
                str(error), where=where, next="give the column of the tags: source: {kind: text/conll, tag: 3}"
            ) from None
        self._repaired += repaired
        starts, at = [], 0
        for word in words:
            starts.append(at)
            at += len(word) + 1
        spans = [
            {"start": starts[a], "end": starts[b - 1] + len(words[b - 1]), "label": label} for a, b, label in found
        ]
        return " ".join(words), words, tags, spans


def _columns(line: str) -> list[str]:
    """Without the blanks at their ends, of which a no-break one alone is a word."""
    cells = line.split("\t") if "\t" in line else [cell for cell in line.split(" ") if cell]
    return [cell.strip() or cell.strip(" ") for cell in cells]


def _is_tag(tag: str) -> bool:
    try:
        bio.read([tag])
    except ValueError:
        return False
    return True
