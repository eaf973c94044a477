"""The configuration's grammar as pydantic models. What a user types ends here; `reading` turns YAML into these.

Torch-free. Every component's own config subclasses `ComponentConfig` (tasks: `TaskConfig`), forbids unknown keys, is frozen,
describes every field and gives `example()`, the smallest instance that works offline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    field_validator,
    model_validator,
)

from .errors import DataError


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are refused, values are frozen, defaults are validated."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why options do not fit the columns of a file. `option` leads to the one in question: ("overrides", "bytes")."""

    option: tuple[str | int, ...]
    what: str
    allowed: tuple[str, ...] = ()
    nearest: str | None = None
    next: str | None = None

    def error(self) -> DataError:
        return DataError(self.what, allowed=self.allowed, nearest=self.nearest, next=self.next)


class ComponentConfig(Section):
    """Base of every component's options. `kind` is filled in by the core."""

    kind: str = Field(default="", description="which component, as plugin/name; `jenga plugins list` shows them")

    def refusals(self, columns: Sequence[str]) -> Iterator[Refusal]:
        """Of a processor's options: what does not fit an input with these columns. `jenga check` asks, and so does `fit`, which
        raises the first one: what training would refuse by the head of the files is known before it."""
        yield from ()

    def left_out(self, columns: Sequence[str]) -> Mapping[str, str]:
        """Of a processor's options: which of the columns that nobody listed it leaves out by their names -> why."""
        return {}

    def as_written(self, columns: Sequence[str]) -> Collection[str]:
        """Of a processor's or a task's options: which of `columns` it compares as they are written: names, labels, groups, texts.

        `007` is then another name than `7`, also in a file where every cell is a number. Numbers are all the others.
        """
        return ()

    @classmethod
    def example(cls) -> Self:
        """The smallest instance that works offline; the conformance kit builds every component from it."""
        return cls()


class BalancingConfig(ComponentConfig):
    """Base of the options of hooks that weigh tasks against each other: a run has one at most, a task alone none."""


class TaskConfig(ComponentConfig):
    """Base of every task's options."""

    data: str = Field(
        default="", description="the table whose rows carry the labels; may be left out when there is only one"
    )
    weight: float = Field(default=1.0, ge=0, description="factor of this task's loss in the sum of all tasks")

    def columns(self) -> list[str]:
        """The columns of the table that this task reads: checked against the file's header."""
        return []

    def label_columns(self) -> list[str]:
        """Those of them that hold the answer, all unless said otherwise: never used as features."""
        return self.columns()


class TargetConfig(TaskConfig):
    """Base of tasks whose label is one column."""

    target: str = Field(description="the column that holds the label")

    def columns(self) -> list[str]:
        return [self.target]


def _paths(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Paths = Annotated[list[str], BeforeValidator(_paths, json_schema_input_type=str | list[str])]
SplitName = Literal["train", "validation", "test"]


def _path_form(value: Any) -> str:
    return "splits" if isinstance(value, dict) else "files"


# a discriminator, so that a wrong path is told about its own form only
Path = Annotated[
    Annotated[Paths, Tag("files")] | Annotated[dict[SplitName, Paths], Tag("splits")], Discriminator(_path_form)
]


class SplitConfig(Section):
    """How a table is cut into training, validation and test rows. What is not validation or test is training."""

    validation: float = Field(default=0.1, ge=0, lt=1, description="share of the rows for validation")
    test: float = Field(default=0.1, ge=0, lt=1, description="share of the rows for the test")
    by: Literal["random", "stratified", "group", "time"] = Field(
        default="random",
        description="random; stratified: same share of each value of `column`; group: rows with one value of `column` stay "
        "together; time: oldest rows train, newest test",
    )
    column: str | None = Field(
        default=None, description="the column that `by` speaks of (stratified: default is the target)"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation + test = {self.validation + self.test:g} leaves no training rows")
        if self.by in ("group", "time") and self.column is None:
            raise ValueError(f"by: {self.by} needs `column`")
        if self.by == "random" and self.column is not None:
            raise ValueError("`column` does nothing with by: random; say by: stratified, group or time")
        return self


class DataConfig(Section):
    """One table: files (a path, a glob, a list; or one of those for each of train, validation, test) and how to split it."""

    path: Path | None = Field(
        default=None,
        description="file, glob or list of them; or {train: ..., validation: ..., test: ...}; relative to this file",
    )
    source: SerializeAsAny[ComponentConfig] | None = Field(
        default=None, description="the reader, as a kind or {kind: ..., options}; default: chosen by the file's ending"
    )
    split: SplitConfig = Field(
        default_factory=SplitConfig, description="shares of rows; not used for splits given as files"
    )


class InputConfig(Section):
    """One input of the model: columns of a table, how they become tensors, and which backbone reads them."""

    data: str = Field(default="", description="the table; may be left out when there is only one")
    columns: list[str] | None = Field(
        default=None, description="the columns to read; default: every column that no task, split or `exclude` names"
    )
    exclude: list[str] = Field(default_factory=list, description="columns to leave out when `columns` is absent")
    processor: SerializeAsAny[ComponentConfig] = Field(
        description="cells -> tensors, as a kind or {kind: ..., options}"
    )
    backbone: str = Field(default="", description="a name under `backbones`; may be left out when there is only one")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.columns is not None and self.exclude:
            raise ValueError("give `columns` or `exclude`, not both")
        if self.columns is not None and not self.columns:
            raise ValueError("`columns` is empty")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"`columns` names {sorted({c for c in self.columns if self.columns.count(c) > 1})} twice")
        return self


class SequentialSampling(Section):
    """One table after the other, in the config's order."""

    kind: Literal["sequential"] = "sequential"


class RoundRobinSampling(Section):
    """Tables take turns; a table that is used up leaves the circle."""

    kind: Literal["round_robin"] = "round_robin"


class ProportionalSampling(Section):
    """A table is drawn with a probability proportional to the batches it has left to give; every row is seen once."""

    kind: Literal["proportional"] = "proportional"


class TemperatureSampling(Section):
    """A table is drawn with probability ~ size^(1 / temperature): small tables are repeated, large ones cut short.

    The epoch has as many batches as all tables together. (Multilingual BERT's exponentially smoothed weighting.)
    """

    kind: Literal["temperature"] = "temperature"
    temperature: float = Field(
        default=2.0, ge=1, description="1 = proportional with replacement; large = uniform over tables"
    )


Sampling = Annotated[
    SequentialSampling | RoundRobinSampling | ProportionalSampling | TemperatureSampling, Field(discriminator="kind")
]


SamplingName = Literal["sequential", "round_robin", "proportional", "temperature"]


def _sampling(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class ScheduleConfig(Section):
    """Learning rate over the steps: warm-up from 0, then constant, linear to 0 or a half cosine to 0."""

    kind: Literal["constant", "linear", "cosine"] = Field(default="linear", description="the shape after the warm-up")
    warmup_steps: int = Field(default=0, ge=0, description="optimizer steps of linear warm-up")
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1, description="or: that share of all steps")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if self.warmup_steps and self.warmup_ratio:
            raise ValueError("give `warmup_steps` or `warmup_ratio`, not both")
        return self


class EveryConfig(Section):
    """How often: every so many epochs or every so many optimizer steps."""

    epochs: int | None = Field(default=None, ge=1, description="at the end of every so many epochs")
    steps: int | None = Field(default=None, ge=1, description="after every so many optimizer steps")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of `epochs` and `steps`")
        return self


class CheckpointConfig(EveryConfig):
    """When the state for `--resume` is written (after every epoch, unless said otherwise), and how many are kept."""

    keep: int = Field(
        default=2, ge=2, description="newest checkpoints kept; at least two, so that a torn one does no harm"
    )
    after: Literal["remove", "keep"] = Field(default="remove", description="what happens to them at a clean end")

    @model_validator(mode="before")
    @classmethod
    def _every_epoch(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("epochs") is None and given.get("steps") is None:
            return {**given, "epochs": 1}
        return given


class TrainConfig(Section):
    """The training loop."""

    epochs: int = Field(default=10, ge=1, description="passes over the training rows")
    max_steps: int | None = Field(default=None, ge=1, description="stop after so many optimizer steps")
    batch_size: int = Field(default=32, ge=1, description="rows per batch over all processes")
    batch_tokens: int = Field(
        default=32768,
        ge=1,
        description="most tokens that a process computes at once, padding included; a batch with more is computed in parts, "
        "with the gradients of the whole",
    )
    accumulate: int = Field(
        default=1, ge=1, description="batches per optimizer step; gradients equal those of one big batch"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: float = Field(
        default=0.01, ge=0, description="AdamW's decoupled weight decay (not for biases and norms)"
    )
    clip_norm: float | None = Field(default=1.0, gt=0, description="largest gradient norm; null: no clipping")
    schedule: Annotated[
        ScheduleConfig,
        BeforeValidator(_sampling, json_schema_input_type=ScheduleConfig | Literal["constant", "linear", "cosine"]),
    ] = Field(default_factory=ScheduleConfig, description="a kind, or {kind: ..., warmup_steps: ...}")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        default="fp32", description="fp32: nothing in TF32; bf16 and fp16: mixed precision"
    )
    device: Literal["auto", "cpu"] = Field(default="auto", description="auto: an accelerator where there is one")
    sampling: Annotated[Sampling, BeforeValidator(_sampling, json_schema_input_type=Sampling | SamplingName)] = Field(
        default_factory=ProportionalSampling, description="how batches are drawn from several tables"
    )
    evaluate: EveryConfig = Field(
        default_factory=lambda: EveryConfig(epochs=1), description="how often to score validation rows"
    )
    evaluate_batch_size: int | None = Field(default=None, ge=1, description="default: four times batch_size")
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig, description="how often to save state")
    monitor: str = Field(
        default="loss",
        description="validation metric that chooses the best weights, as {task}.{metric}; `loss` is the sum over tasks",
    )
    deterministic: bool = Field(default=False, description="refuse operations that are not deterministic")
    log_every: int = Field(default=10, ge=1, description="optimizer steps between lines of the log")
    trackers: list[Literal["tensorboard", "mlflow", "wandb"]] = Field(
        default_factory=list, description="also log there, through Accelerate; needs the extra of that name"
    )
    bootstrap: int = Field(
        default=500, ge=0, description="resamples for the confidence intervals of test metrics; 0: none"
    )
    explanations: bool = Field(
        default=True,
        description="what each column is worth, and a few test rows with reasons, in the report (which then shows "
        "their cells)",
    )
    baselines: bool = Field(default=True, description="fit a trivial and a strong classical baseline beside the model")


class RunConfig(Section):
    """A whole run. Paths are relative to the file's folder."""

    project: str = Field(
        default="jenga", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the folder under runs/"
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="of weights, splits, order, dropout and augmentation")
    data: dict[str, DataConfig] = Field(min_length=1, description="named tables")
    backbones: dict[str, SerializeAsAny[ComponentConfig]] = Field(
        min_length=1, description="named, so that inputs can share one"
    )
    inputs: dict[str, InputConfig] = Field(min_length=1, description="named inputs of the model")
    fusion: SerializeAsAny[ComponentConfig] | None = Field(
        default=None, description="how several inputs of a table are joined; default core/concat"
    )
    tasks: dict[str, SerializeAsAny[TaskConfig]] = Field(min_length=1, description="named tasks")
    conditioning: Literal["none", "attention", "concat", "gated"] = Field(
        default="none",
        description="how a task's learned vector moves the shared features before its head; attention: it reads the "
        "tokens; gated: and each token lets in a share of that; concat: it is appended to each token",
    )
    train: TrainConfig = Field(default_factory=TrainConfig, description="the training loop")
    hooks: list[SerializeAsAny[ComponentConfig]] = Field(
        default_factory=list, description="loop hooks, called in this order"
    )

    @model_validator(mode="after")
    def _names(self) -> Self:
        if "loss" in self.tasks:
            raise ValueError("a task may not be called 'loss': `monitor: loss` means the sum over tasks")
        return self

    @field_validator("hooks")
    @classmethod
    def _one_balancing(cls, hooks: list[ComponentConfig]) -> list[ComponentConfig]:
        kinds = [options.kind for options in hooks if isinstance(options, BalancingConfig)]
        if len(kinds) > 1:
            raise ValueError(f"{len(kinds)} hooks balance the tasks: {', '.join(kinds)}; keep one of them")
        return hooks

    def inputs_of(self, table: str) -> dict[str, InputConfig]:
        return {k: v for k, v in self.inputs.items() if v.data == table}

    def tasks_of(self, table: str) -> dict[str, TaskConfig]:
        return {k: v for k, v in self.tasks.items() if v.data == table}

    def feature_columns(self, name: str, columns: list[str]) -> list[str]:
        """The columns that input `name` reads out of a table that has `columns`."""
        section, found = self.inputs[name], self._offered(name, columns)
        left = section.processor.left_out(found) if section.columns is None else {}
        return [c for c in found if c not in left]

    def as_written(self, table: str, columns: list[str]) -> set[str]:
        """The columns of a table that an input or a task compares as they are written."""
        found: set[str] = set()
        for name, section in self.inputs_of(table).items():
            found |= {*section.processor.as_written(self.feature_columns(name, columns))}
        for task in self.tasks_of(table).values():
            found |= {*task.as_written([c for c in task.columns() if c in columns])}
        return found

    def sharing(self, name: str) -> list[str]:
        """The inputs, with `name` among them, that have its backbone and its kind of processor."""
        own = self.inputs[name]
        kind = own.processor.kind
        return [k for k, other in self.inputs.items() if (other.backbone, other.processor.kind) == (own.backbone, kind)]

    def left_out(self, name: str, columns: list[str]) -> dict[str, list[str]]:
        """Columns that input `name` leaves out by their names alone, by reason."""
        section, found = self.inputs[name], dict[str, list[str]]()
        left = section.processor.left_out(self._offered(name, columns)) if section.columns is None else {}
        for column, reason in left.items():
            found.setdefault(reason, []).append(column)
        return found

    def _offered(self, name: str, columns: list[str]) -> list[str]:
        section = self.inputs[name]
        if section.columns is not None:
            return list(section.columns)
        taken = {c for t in self.tasks_of(section.data).values() for c in t.label_columns()} | set(section.exclude)
        split = self.data[section.data].split
        if split.column and split.by in ("group", "time"):
            taken.add(split.column)
        return [c for c in columns if c not in taken]
