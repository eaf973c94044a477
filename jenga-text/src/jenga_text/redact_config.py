"""The option `redact` of text processors. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from jenga_core.config import ComponentConfig, Section

Type = Literal["url", "email", "ip", "phone", "kra-pin", "national-id", "card", "mpesa"]
EVERY: list[Type] = ["url", "email", "ip", "phone", "kra-pin", "national-id", "card", "mpesa"]


class RedactConfig(Section):
    """What to take out of texts before anything else sees them, in training and in prediction alike."""

    types: list[Type] = Field(
        default_factory=lambda: list(EVERY),
        min_length=1,
        description="what is looked for; default: all of " + ", ".join(EVERY),
    )
    action: Literal["mask", "hash", "remove"] = Field(
        default="mask",
        description="mask: [PHONE]; hash: [PHONE:3f2a...], the same for the same number, keyed with a secret; remove: nothing",
    )
    secret_env: str | None = Field(
        default=None,
        min_length=1,
        description="action hash: the environment variable that holds the secret, at least 16 characters; it is never saved",
    )

    @model_validator(mode="after")
    def _secret(self) -> Self:
        if self.action == "hash" and self.secret_env is None:
            raise ValueError(
                "`action: hash` needs `secret_env`, the name of an environment variable with a secret: hashes of phone "
                "numbers without one are found out by trying all numbers"
            )
        if self.action != "hash" and self.secret_env is not None:
            raise ValueError(f"`secret_env` has no effect with action: {self.action}; use action: hash")
        return self


class TextConfig(ComponentConfig):
    """What all text processors share."""

    redact: RedactConfig | None = Field(
        default=None,
        description="take personal data out of the texts (`{}`: all types, masked); default: texts as they are",
    )

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return columns
