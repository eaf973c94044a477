"""Options of the text components. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from jenga_core.config import ComponentConfig

from .redact_config import TextConfig

Pooling = Literal["mean", "cls", "max", "attention"]


class TokensConfig(TextConfig):
    """What all tokenizing processors share."""

    max_length: int | None = Field(
        default=256,
        ge=8,
        description="most tokens of a row, special ones included; the longest column is cut first, and what is cut is "
        "counted; null: nothing is cut, and text/transformer reads longer rows in overlapping windows",
    )


class TokenizerConfig(TokensConfig):
    """text/tokenizer."""

    checkpoint: str | None = Field(
        default=None,
        description="hub name or folder of a fast tokenizer; default: the checkpoint of the input's backbone",
    )

    @classmethod
    def example(cls) -> Self:
        """The 256 bytes as tokens: a tokenizer that is part of this package."""
        return cls(checkpoint=str(Path(__file__).parent / "bytes"))


class TrainBpeConfig(TokensConfig):
    """text/train-bpe: byte-level byte-pair encoding (Sennrich et al. 2016; bytes as in GPT-2), learned from training rows."""

    vocabulary: int = Field(default=8000, ge=300, description="most tokens to learn, the 256 bytes included")
    min_frequency: int = Field(default=2, ge=1, description="times that a pair must occur to become a token")
    lowercase: bool = Field(default=False, description="take upper and lower case as the same")

    @classmethod
    def example(cls) -> Self:
        return cls(vocabulary=300)


class TransformerConfig(ComponentConfig):
    """text/transformer: either `checkpoint` or `architecture`."""

    checkpoint: str | None = Field(
        default=None, description="hub name or folder of a pretrained encoder; no code from there is run"
    )
    architecture: dict[str, Any] | None = Field(
        default=None,
        description="an encoder with new weights: `model_type` and the options of its Hugging Face configuration "
        "({model_type: bert, hidden_size: 128, ...}); vocabulary and padding come from the tokenizer",
    )
    pooling: Pooling = Field(
        default="mean", description="how a row's tokens become one vector; cls: the first token's; attention: learned"
    )
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="dropout of the encoder in training; default: what its configuration says"
    )
    freeze: int | None = Field(
        default=None,
        ge=0,
        description="do not train the embeddings and the first so many layers (0: the embeddings only); null: train all",
    )
    learning_rate: float | None = Field(
        default=None, gt=0, description="peak learning rate of the encoder; default: train.learning_rate"
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="each layer learns at this share of the rate of the layer above it (layer-wise decay)",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="keep less in memory, compute the layers' outputs twice"
    )
    window: int | None = Field(
        default=None,
        ge=8,
        description="tokens that the encoder reads at once; longer rows are read in windows; default: all it can take",
    )
    overlap: int = Field(
        default=64,
        ge=0,
        description="tokens that two neighbouring windows of a long row have in common, at most half a window",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.checkpoint is None) == (self.architecture is None):
            raise ValueError("give `checkpoint` for a pretrained encoder, or `architecture` for one with new weights")
        if self.architecture is not None and "model_type" not in self.architecture:
            raise ValueError("`architecture` needs `model_type`, such as bert, roberta, distilbert or modernbert")
        if self.window is not None and "overlap" in self.model_fields_set and self.overlap > self.window // 2:
            raise ValueError(f"overlap: {self.overlap} is more than half of window: {self.window}")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls(
            architecture={
                "model_type": "bert",
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
                "max_position_embeddings": 64,
            }
        )


class ConvConfig(ComponentConfig):
    """text/conv."""

    width: int = Field(default=192, ge=1, description="units of a token, and of the output")
    depth: int = Field(default=3, ge=1, le=10, description="blocks; each looks twice as far as the one before")
    kernel: int = Field(default=5, ge=3, description="tokens that a convolution sees at once, an odd number")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of units dropped in training")
    pooling: Pooling = Field(
        default="max", description="how a row's tokens become one vector; cls: the first token's; attention: learned"
    )

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel: {self.kernel} is even, so it has no middle")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls(width=16, depth=1)
