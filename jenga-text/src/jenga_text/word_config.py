"""Options of the words and of the network that reads them. Torch-free."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from jenga_core.config import ComponentConfig

from .config import Pooling
from .redact_config import TextConfig


class WordsConfig(TextConfig):
    """text/words: words by their spelling: the word, its shape, its first and last one to four characters."""

    min_count: int = Field(default=2, ge=1, description="times that a value must occur in training rows to be learned")
    word_dropout: float = Field(
        default=0.2, ge=0, lt=1, description="share of words, in training, of which only the spelling is shown"
    )

    @classmethod
    def example(cls) -> Self:
        return cls(min_count=1, word_dropout=0.0)


class RecurrentConfig(ComponentConfig):
    """text/recurrent: an LSTM in both directions over words (Huang et al. 2015)."""

    embedding: int = Field(default=48, ge=1, description="width of each feature's vector")
    hidden: int = Field(default=160, ge=1, description="width of the LSTM in each direction")
    layers: int = Field(default=1, ge=1, description="LSTMs on top of each other")
    dropout: float = Field(default=0.4, ge=0, lt=1, description="share dropped before and behind the LSTM, in training")
    pooling: Pooling = Field(default="mean", description="how a row's words become one vector; cls: the first word's")

    @classmethod
    def example(cls) -> Self:
        return cls(embedding=8, hidden=8, dropout=0.0)
