"""Options of security/table and security/window: what the columns of a table are. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from jenga_core.config import ComponentConfig, Refusal, Section
from jenga_core.errors import nearest

from .names import is_label, is_port

Scaling = Literal["quantile", "standard", "log", "none"]
KINDS = {  # option that lists columns of a kind -> what those are called, the options that an override of one may set
    "numeric": ("numbers", {"scaling"}),
    "categorical": ("categories", {"max_categories"}),
    "hashed": ("hashed categories", {"buckets"}),
    "dates": ("dates", {"scaling"}),
}


class ColumnOptions(Section):
    """Options of one column, in place of those of the whole table."""

    scaling: Scaling | None = Field(default=None, description="of a column of numbers or dates")
    max_categories: int | None = Field(default=None, ge=1, description="of a column of categories")
    buckets: int | None = Field(default=None, ge=1, description="of a hashed column")


class TableConfig(ComponentConfig):
    """security/table: columns of numbers and of categories. Kinds of columns are detected on training rows."""

    numeric: list[str] = Field(
        default_factory=list, description="columns that hold numbers, where detection would say otherwise"
    )
    categorical: list[str] = Field(
        default_factory=list,
        description="columns whose values are names although they look like numbers (a protocol number); ports are known by "
        "their names",
    )
    hashed: list[str] = Field(
        default_factory=list,
        description="columns of more names than can each be learned (an account, a URL): each name goes to one of `buckets`",
    )
    dates: list[str] = Field(
        default_factory=list,
        description="columns of times (ISO 8601, or seconds since 1970) that are read as hour, weekday and elapsed time; "
        "other columns of times are left out",
    )
    timezone: str = Field(
        default="UTC",
        description="IANA zone on whose clock hours and weekdays of `dates` are read; times without a zone are of that clock",
    )
    scaling: Scaling = Field(
        default="quantile",
        description="quantile: normal scores by rank, for heavy tails; standard: mean 0, deviation 1; log: signed "
        "logarithms, then standard, which orders values beyond those of training; none: unchanged",
    )
    overrides: dict[str, ColumnOptions] = Field(
        default_factory=dict, description="options of single columns, by name: {bytes_sent: {scaling: log}}"
    )
    max_categories: int = Field(
        default=128, ge=1, description="most frequent values of a column kept apart; the others share the unseen bucket"
    )
    buckets: int = Field(default=1024, ge=1, le=1_000_000, description="places that the names of a hashed column share")
    unseen_rate: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="share of training cells shown as unseen, so that the bucket of unseen categories is learned",
    )
    missing: Literal["impute", "error"] = Field(
        default="impute",
        description="impute: the median and an indicator; error: refuse the table, naming row and column",
    )

    def of(self, column: str) -> TableConfig:
        """These options with the overrides of `column`."""
        own = self.overrides.get(column)
        return self if own is None else self.model_copy(update=own.model_dump(exclude_none=True))

    def listed(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """(option, column) wherever an option names a column."""
        for kind in KINDS:
            yield from (((kind, at), name) for at, name in enumerate(getattr(self, kind)))
        yield from ((("overrides", name), name) for name in self.overrides)

    def kind_of(self, column: str) -> str | None:
        """The option of KINDS that decides what the column is, by a list or by its name; None: its cells decide."""
        return next(
            (kind for kind in KINDS if column in getattr(self, kind)), "categorical" if is_port(column) else None
        )

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        """What is read as categories: by an option, or ports by their names."""
        return [name for name in columns if self.kind_of(name) in ("categorical", "hashed")]

    def left_out(self, columns: Sequence[str]) -> Mapping[str, str]:
        """Names of labels, unless an option lists them: the answer to another question, or to this one."""
        said = {name for _, name in self.listed()}
        why = "by name a label and no feature; to read it, list it under `columns:`, `numeric:` or `categorical:`"
        return {name: why for name in columns if name not in said and is_label(name)}

    def refusals(self, columns: Sequence[str]) -> Iterator[Refusal]:
        yield from self.unfit(columns)

    def unfit(self, columns: Sequence[str]) -> Iterator[Refusal]:
        """What does not fit a table with these columns."""
        for option, name in self.listed():
            if name not in columns:
                yield Refusal(option, f"the table has no column {name!r} among the input's, which `{option[0]}:` lists",
                              tuple(columns), nearest(name, columns))  # fmt: skip
        for name in self.overrides:
            if kind := self.kind_of(name):
                yield from self.idle(name, kind)

    def idle(self, column: str, kind: str) -> Iterator[Refusal]:
        """Overrides of a column that say nothing about its kind."""
        what, allowed = KINDS[kind]
        own = self.overrides.get(column, ColumnOptions())
        for option in own.model_dump(exclude_none=True):
            if option not in allowed:
                yield Refusal(
                    ("overrides", column, option),
                    f"`overrides: {{{column}: {{{option}: ...}}}}` has no effect: the column is read as {what}",
                    tuple(sorted(allowed)),
                )

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"{name!r} is no IANA time zone, such as Africa/Nairobi or UTC") from error
        return name

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = {kind: set(getattr(self, kind)) for kind in KINDS}
        for one, other in combinations(kinds, 2):
            if both := sorted(kinds[one] & kinds[other]):
                raise ValueError(f"{both} are listed as `{one}` and as `{other}`")
        return self


class WindowConfig(TableConfig):
    """security/window: each row with the rows of its group before it; columns as security/table reads them.

    `group` and `time` must be among the input's columns; they are not features.
    """

    group: str | None = Field(
        default=None,
        description="column that says whose row it is (a host, an account); default: all rows are one series",
    )
    time: str | None = Field(
        default=None, description="column that orders the rows; default: the order in which the table has them"
    )
    length: int = Field(default=16, ge=1, le=4096, description="rows in a window, the row itself included")

    def named(self) -> dict[str, str]:
        """Option -> column, of those that are no features."""
        return {option: name for option, name in (("group", self.group), ("time", self.time)) if name}

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        return [*super().as_written(columns), *([self.group] if self.group else [])]

    def left_out(self, columns: Sequence[str]) -> Mapping[str, str]:
        return super().left_out([name for name in columns if name not in self.named().values()])

    def refusals(self, columns: Sequence[str]) -> Iterator[Refusal]:
        yield from self.absent(columns)
        yield from self.unfit([name for name in columns if name not in self.named().values()])

    def absent(self, columns: Sequence[str]) -> Iterator[Refusal]:
        """Of `group` and `time`."""
        for option, name in self.named().items():
            if name not in columns:
                yield Refusal(
                    (option,),
                    f"column {name!r}, the window's `{option}`, is not among the input's columns",
                    tuple(columns),
                    nearest(name, columns),
                    f"list {name!r} under the input's `columns:`; it will not be a feature",
                )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        named = [*self.named().values()]
        both = sorted({*named} & {name for _, name in self.listed()})
        if both:
            raise ValueError(f"{both} are listed as features and as `group` or `time`, which are none")
        if len({*named}) < len(named):
            raise ValueError(f"`group` and `time` are one column, {named[0]!r}")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls(length=1)
