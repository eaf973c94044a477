"""Texts without the personal data in them, and the way back from their characters to those of the original."""

from __future__ import annotations

import hashlib
import hmac
import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jenga_core import states
from jenga_core.contracts import Array, Ragged
from jenga_core.errors import UserError

from .cells import texts_of
from .personal import KINDS, find, same
from .redact_config import RedactConfig

SECRET_LENGTH, HASH_LENGTH = 16, 12
PASSES, WIDER = 4, 16  # from the pass on, each takes so many times as much on both sides of what it finds
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


@dataclass(frozen=True, slots=True)
class Edits:
    """What one pass over a text replaced: ``before[i]`` became ``after[i]``, both (start, end) in characters, in order."""

    before: list[tuple[int, int]]
    after: list[tuple[int, int]]

    def start(self, at: int) -> int:
        """Where a token that starts at `at` starts in the text before. Only the first token of a placeholder has its place."""
        number = bisect_right(self.after, (at, np.inf)) - 1
        if number < 0:
            return at
        (begin, end), (old_begin, old_end) = self.after[number], self.before[number]
        if at == begin < end:
            return old_begin
        return old_end + max(at - end, 0)

    def end(self, at: int) -> int:
        """Where a token that ends at `at` ends in the text before."""
        number = bisect_left(self.after, (at, -1)) - 1
        if number < 0:
            return at
        return self.before[number][1] + max(at - self.after[number][1], 0)


@dataclass(frozen=True, slots=True)
class Redacted:
    """`text`, the `passes` that made it, and how many of each type were found."""

    text: str
    passes: tuple[Edits, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the original behind ``text[start:end]``; empty inside a placeholder but at its beginning."""
        for edits in reversed(self.passes):
            start, end = edits.start(start), edits.end(end)
            end = max(start, end)
        return start, end


def redacted(text: str, types: list[Any], replacement: Callable[[str, str], str]) -> Redacted:
    """`replacement(type, words)` in place of each. Goes on until nothing is found, so redacting again changes nothing.

    Where numbers were hidden within others, so that each pass lets the next appear, more goes with each: the passes are few.
    """
    passes: list[Edits] = []
    counts: Counter[str] = Counter()
    while found := _wider(find(text, types), WIDER ** max(len(passes) - PASSES + 1, 0) - 1, len(text)):
        pieces: list[str] = []
        before: list[tuple[int, int]] = []
        after: list[tuple[int, int]] = []
        at = size = 0
        for start, end, name in found:
            put = replacement(name, text[start:end])
            size += start - at
            pieces += [text[at:start], put]
            before.append((start, end))
            after.append((size, size + len(put)))
            at, size = end, size + len(put)
            counts[name] += 1
        text = "".join([*pieces, text[at:]])
        passes.append(Edits(before, after))
    return Redacted(text, tuple(passes), counts)


def _wider(found: list[tuple[int, int, str]], reach: int, length: int) -> list[tuple[int, int, str]]:
    """Each place with `reach` characters on both sides, those that then touch as one, of the type of the first."""
    if not reach:
        return found
    wider: list[tuple[int, int, str]] = []
    for start, end, name in found:
        start, end = max(start - reach, 0), min(end + reach, length)
        if wider and start <= wider[-1][1]:
            wider[-1] = (wider[-1][0], end, wider[-1][2])
        else:
            wider.append((start, end, name))
    return wider


@dataclass(frozen=True, slots=True)
class Read:
    """The texts of an input by column, and what was taken out of them; `found`: (column, row) -> what happened there."""

    texts: list[list[str]]
    found: Mapping[tuple[int, int], Redacted]

    def original(self, spans: Ragged) -> Ragged:
        """`spans` (column, start, end per token) in the characters of the texts as they came."""
        if not self.found:
            return spans
        values = spans.values.copy()
        for (column, row), each in self.found.items():
            at = np.arange(spans.starts[row], spans.starts[row + 1])
            at = at[values[at, 0] == column]
            values[at, 1:] = [each.original(int(a), int(b)) for a, b in values[at, 1:]] or values[at, 1:]
        return Ragged(values, spans.starts)

    def columns(self, spans: Ragged) -> dict[str, Array | Ragged]:
        """Encoded columns, none where nothing was redacted: "redacted TYPE" int64 [N], how many of it the row held; and "places",
        where tokens are in the texts as they are shown to the network: for whoever reads those, as `spans` are of the others."""
        columns: dict[str, Array | Ragged] = {"places": spans} if self.found else {}
        for (_, row), each in self.found.items():
            for name, n in each.counts.items():
                counts = columns.setdefault(f"redacted {name}", np.zeros(len(self.texts[0]), np.int64))
                counts[row] += n  # type: ignore[index]
        return columns


class TextReader:
    """Cells -> texts, redacted as configured: the one place through which text processors read."""

    def __init__(self, config: RedactConfig | None) -> None:
        self.config = config
        self._check: str | None = None  # of the secret that the training rows were hashed with

    def read(self, cells: pd.DataFrame) -> Read:
        texts = [texts_of(cells.iloc[:, at], str(cells.columns[at])) for at in range(cells.shape[1])]
        if self.config is None:
            return Read(texts, {})
        replacement = self._replacement(self.config)
        found: dict[tuple[int, int], Redacted] = {}
        for column, each in enumerate(texts):
            for row, text in enumerate(each):
                made = redacted(text, self.config.types, replacement)
                if made.passes:
                    # A text of nothing but personal data is empty afterwards, as a blank one is.
                    each[row] = "" if made.text.isspace() else made.text
                    found[column, row] = made
        return Read(texts, found)

    def state(self) -> dict[str, Any]:
        return {} if self._check is None else {"redaction": self._check}

    def restore(self, state: Mapping[str, Any]) -> None:
        check = state.get("redaction")
        self._check = None if check is None else states.text(check)

    def _replacement(self, config: RedactConfig) -> Callable[[str, str], str]:
        if config.action == "remove":
            return lambda name, words: ""
        if config.action == "mask":
            return lambda name, words: f"[{_label(name)}]"
        secret = self._secret(str(config.secret_env))
        return lambda name, words: f"[{_label(name)}:{_hash(secret, name + ' ' + same(name, words))}]"

    def _secret(self, variable: str) -> bytes:
        """`UserError`: there is none, it is short, or it is not the one that the model was trained with."""
        secret = os.environ.get(variable, "")
        if len(secret) < SECRET_LENGTH:
            what = "is not set" if not secret else f"has {len(secret)} characters; a secret has {SECRET_LENGTH} or more"
            raise UserError(f"the environment variable {variable} {what}", where="redact.secret_env",
                            next=f'export {variable}="$(openssl rand -hex 32)"; keep it, predictions need the same')  # fmt: skip
        check = _hash(secret.encode(), "check")
        if self._check not in (None, check):
            raise UserError(
                f"the secret in {variable} is not the one that this model was trained with", where="redact.secret_env"
            )
        self._check = check
        return secret.encode()


def _label(name: str) -> str:
    return name.upper().replace("-", "_")


def _hash(secret: bytes, words: str) -> str:
    """The first 48 bits of HMAC-SHA256 (RFC 2104) as letters a to p, four bits each: no hash looks like a number of a person."""
    return hmac.new(secret, words.encode("utf-8"), hashlib.sha256).hexdigest()[:HASH_LENGTH].translate(_LETTERS)


def counted(columns: Mapping[str, Any], rows: Array) -> dict[str, int]:
    """For `Processor.counts`: rows in which something of a type was redacted."""
    names = [f"redacted {name}" for name in KINDS]
    found = {name: int((np.asarray(columns[name])[rows] > 0).sum()) for name in names if name in columns}
    return {name: n for name, n in found.items() if n}
