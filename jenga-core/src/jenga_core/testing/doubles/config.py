"""Options of the doubles."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from jenga_core.config import ComponentConfig, TargetConfig


class NumbersConfig(ComponentConfig):
    """double/numbers has no options."""


class WordsConfig(ComponentConfig):
    """double/words."""

    longest: int = Field(default=16, ge=1, description="words of a row that are kept")


class NetworkConfig(ComponentConfig):
    """double/network."""

    width: int = Field(default=32, ge=1, description="units of the hidden layer, and of the output")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout on the hidden layer")


class ReaderConfig(ComponentConfig):
    """double/reader."""

    width: int = Field(default=24, ge=1, description="width of a word")


class TaggingConfig(TargetConfig):
    """double/tagging: the target column holds one tag per word, parted by blanks; an empty cell is no label."""

    @classmethod
    def example(cls) -> Self:
        return cls(target="tags")


class RecorderConfig(ComponentConfig):
    """double/recorder has no options."""
