"""Options of text/scoring. Torch-free."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from jenga_core.config import Section, TaskConfig


class HeadConfig(Section):
    """One part of the score: several questions that are answered with yes or no."""

    outputs: list[str] = Field(min_length=1, description="names of its questions, in the order of the labels")
    weight: float = Field(default=1.0, gt=0, description="factor of this head in the loss; its questions share it")
    target: str | None = Field(
        default=None,
        description="a column with the labels of this head alone; default: its place in the task's `target`",
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.outputs)) < len(self.outputs):
            raise ValueError(f"`outputs` names {sorted({o for o in self.outputs if self.outputs.count(o) > 1})} twice")
        return self


class ScoringConfig(TaskConfig):
    """text/scoring: a text is scored by several heads, such as the parts of a call, and by their mean."""

    target: str | None = Field(
        default=None,
        description="the column with the labels of all heads: an object {head: [0, 1, ...]}, or such an object as JSON",
    )
    heads: dict[str, HeadConfig] = Field(min_length=1, description="the parts of the score, by name")
    pass_above: float = Field(default=0.7, gt=0, lt=1, description="PASS where a score is above this")
    review_above: float = Field(default=0.4, gt=0, lt=1, description="REVIEW where it is above this, else FAIL")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share of the features dropped before the last layer")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.target is None and (lacking := [n for n, head in self.heads.items() if head.target is None]):
            raise ValueError(f"give `target`, or every head one: {', '.join(lacking)} has none")
        if self.target is not None and all(head.target for head in self.heads.values()):
            raise ValueError("`target` has no effect where every head has a `target` of its own")
        if "final" in self.heads:
            raise ValueError("a head may not be called 'final': that is the mean of the heads")
        if self.review_above >= self.pass_above:
            raise ValueError(f"`review_above` {self.review_above} must be below `pass_above` {self.pass_above}")
        return self

    def columns(self) -> list[str]:
        own = [head.target for head in self.heads.values() if head.target]
        return list(dict.fromkeys([*([self.target] if self.target else []), *own]))

    @classmethod
    def example(cls) -> Self:
        heads = {"opening": HeadConfig(outputs=["greets"]), "listening": HeadConfig(outputs=["is patient", "asks"])}
        return cls(target="labels", heads=heads)
