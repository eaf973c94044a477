"""Options of the source and the task of named entities. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from jenga_core.config import ComponentConfig, TaskConfig


class ConllConfig(ComponentConfig):
    """text/conll."""

    word: int = Field(default=0, ge=0, description="the column of the words, from 0")
    tag: int = Field(default=-1, description="the column of the tags, from 0; -1: the last")


class NerConfig(TaskConfig):
    """text/ner: entities as character spans, or as one BIO tag per word."""

    target: str = Field(
        description="the column with the entities: a list of {start, end, label} counted in characters, or tags (`form`)"
    )
    form: Literal["spans", "bio"] = Field(
        default="spans", description="spans: character spans; bio: a list, or a text with blanks, of one tag per word"
    )
    text: str = Field(default="text", description="the column of the input that the entities are in")
    tokens: str | None = Field(
        default=None,
        description="form bio: the column with the words that the tags belong to; default: the text, cut at blanks",
    )
    types: list[str] | None = Field(
        default=None, min_length=1, description="the kinds of entities; default: those of the training rows"
    )
    crf: bool = Field(
        default=False,
        description="learn which tag follows which (a linear-chain CRF, Lafferty et al. 2001); slow with very many types",
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of the features dropped before the last layer")

    @model_validator(mode="after")
    def _words_of_tags(self) -> Self:
        if self.tokens is not None and self.form == "spans":
            raise ValueError("`tokens` has no effect with form: spans; use form: bio")
        return self

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return columns

    def columns(self) -> list[str]:
        return [self.target, *([self.tokens] if self.tokens else []), self.text]

    def label_columns(self) -> list[str]:
        return [self.target, *([self.tokens] if self.tokens else [])]

    @classmethod
    def example(cls) -> Self:
        return cls(target="entities")
