"""Options of the networks over windows, and of the ensemble. Torch-free."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from jenga_core.config import ComponentConfig

from .config import FtTransformerConfig, GruConfig, NumberEmbedding


class TabmConfig(ComponentConfig):
    """security/tabm."""

    members: int = Field(default=16, ge=1, le=256, description="perceptrons that share their weight matrices")
    width: int = Field(default=256, ge=1, description="units of each hidden layer, and of the output")
    depth: int = Field(default=3, ge=1, description="hidden layers")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of units dropped after each layer in training")
    numbers: NumberEmbedding = Field(
        default="piecewise",
        description="how numbers enter: plain: as they are; piecewise: a learned piecewise linear function of each; "
        "periodic: learned sines of each",
    )

    @classmethod
    def example(cls) -> Self:
        return cls(members=2, width=16, depth=2)


class LstmConfig(GruConfig):
    """security/lstm."""


class CausalTransformerConfig(FtTransformerConfig):
    """security/causal-transformer."""

    width: int = Field(default=64, ge=1, description="units of a row's token, and of the output; divisible by `heads`")
    heads: int = Field(default=4, ge=1, description="attention heads")
    attention_dropout: float = Field(
        default=0.1, ge=0, lt=1, description="share of the attention weights dropped in training"
    )
