"""Options of the source and the task of questions with answers in the text. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Self

from pydantic import Field

from jenga_core.config import ComponentConfig, TaskConfig


class SquadConfig(ComponentConfig):
    """text/squad."""


class SpanQaConfig(TaskConfig):
    """text/span-qa: the answer is a piece of the context, or there is none."""

    target: str = Field(
        default="answers",
        description="the column with the answers: a list of {text, answer_start}, empty where the context has no answer",
    )
    text: str = Field(default="context", description="the column of the input that holds the answers, its last one")
    longest: int = Field(default=30, ge=1, description="most tokens of an answer")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of the features dropped before the last layer")

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return columns

    def columns(self) -> list[str]:
        return [self.target, self.text]

    def label_columns(self) -> list[str]:
        return [self.target]

    @classmethod
    def example(cls) -> Self:
        return cls()
