"""What can be said about a configuration without training: do its files exist, do they have the columns, what goes where.

Torch-free, except for `dry_run`, which runs one batch. `reading` has already checked the names within the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import DataConfig, RunConfig
from .errors import UserError, nearest
from .paths import by_split, files_of
from .reading import KeyPath, Origin, Problem, stratify_column
from .tables import columns_of

if TYPE_CHECKING:
    from .registry import Registry

Headers = Mapping[str, list[str]]  # file name -> columns
SHOWN = 12  # columns listed by name


@dataclass(frozen=True, slots=True)
class CheckReport:
    """`lines` say how the run is wired, for a person; `problems` are what must be changed before it can train."""

    lines: tuple[str, ...]
    problems: tuple[UserError, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def check(
    config: RunConfig, base: Path, registry: Registry, *, where: Callable[[KeyPath], str] = Origin().where
) -> CheckReport:
    """Look at the files' heads. `base`: the folder that paths are relative to. `where`: what messages call a place of
    the configuration; `reading.read` gives one that knows the lines of the file."""
    lines = [f"project {config.project}, seed {config.seed}"]
    problems: list[UserError] = []
    for name, section in config.data.items():
        headers, found = _headers(name, section, base, registry, where)
        problems += found
        problems += [p.error(where) for p in _columns(config, name, headers)]
        lines += _table(config, name, headers, registry)
    return CheckReport((*lines, *_training(config)), tuple(problems))


def dry_run(config: RunConfig, base: Path, registry: Registry) -> list[str]:
    """One batch of each table through the real path: shapes, parameters, time. Imports torch; writes nothing."""
    from .rehearsal import rehearse

    lines: list[str] = rehearse(config, base, registry)
    return lines


# ------------------------------------------------------------------ files and columns


def _headers(
    name: str, section: DataConfig, base: Path, registry: Registry, where: Callable[[KeyPath], str]
) -> tuple[Headers, list[UserError]]:
    """The columns of the first file of each split; further files are matched to it by name when they are read."""
    place = where(("data", name, "path"))
    if section.path is None:
        return {}, [UserError(f"`path` is missing: where are the rows of table {name!r}?", where=place)]
    headers: dict[str, list[str]] = {}
    problems = []
    for paths in by_split(section.path).values():
        try:
            first = files_of(paths, base)[0][0]
            headers[first.name] = columns_of(
                section.model_copy(update={"path": [str(first.resolve())]}), base=base, registry=registry
            )
        except UserError as error:
            what = f"{error.where}: {error.what}" if error.where else error.what
            problems.append(UserError(what, where=place, allowed=error.allowed, nearest=error.nearest, next=error.next))
    return headers, problems


def _columns(config: RunConfig, table: str, headers: Headers) -> Iterator[Problem]:
    """Columns that the configuration names and a file does not have."""
    for file, header in headers.items():
        for path, column in _named(config, table):
            if column not in header:
                yield Problem(
                    path=path,
                    what=f"{file} has no column {column!r}",
                    allowed=tuple(header),
                    nearest=nearest(column, header),
                )
        for name in config.inputs_of(table):
            if not config.feature_columns(name, header):
                what = f"no column of {file} is left for input {name!r}: all are labels, split columns or excluded"
                yield Problem(path=("inputs", name), what=what)
        yield from _refused(config, table, header)


def _refused(config: RunConfig, table: str, header: list[str]) -> Iterator[Problem]:
    """What the processors themselves would refuse of these columns."""
    for name, section in config.inputs_of(table).items():
        for one in section.processor.refusals(config.feature_columns(name, header)):
            path = ("inputs", name, "processor", *one.option)
            yield Problem(path=path, what=one.what, allowed=one.allowed, nearest=one.nearest, next=one.next)


def _named(config: RunConfig, table: str) -> Iterator[tuple[KeyPath, str]]:
    for name, section in config.inputs_of(table).items():
        for key in ("columns", "exclude"):
            for i, column in enumerate(getattr(section, key) or ()):
                yield ("inputs", name, key, i), column
    for name, task in config.tasks_of(table).items():
        for column in task.columns():
            yield ("tasks", name, *_option(task.model_dump(), column)), column
    split = config.data[table].split
    if split.column and not _files_for_all(config.data[table]):
        yield ("data", table, "split", "column"), split.column


def _option(options: Mapping[str, Any], column: str) -> KeyPath:
    """The option that says `column`, however deep it lies; empty where none does."""
    for key, value in options.items():
        if value == column:
            return (key,)
        if isinstance(value, Mapping) and (deeper := _option(value, column)):
            return (key, *deeper)
    return ()


def _files_for_all(section: DataConfig) -> bool:
    """Whether every split has files of its own, so that nothing is cut."""
    return isinstance(section.path, dict) and len(section.path) == 3


# ------------------------------------------------------------------ the wiring, for a person


def _table(config: RunConfig, table: str, headers: Headers, registry: Registry) -> Iterator[str]:
    section = config.data[table]
    if not headers:
        yield f"table {table}: its files cannot be read"
        return
    header = next(iter(headers.values()))
    kind = section.source.kind if section.source else registry.source_for(next(iter(headers)))
    yield f"table {table}: {', '.join(headers)} by {kind}, {len(header)} columns; {_split(config, table)}"
    for name, part in config.inputs_of(table).items():
        columns = config.feature_columns(name, header)
        backbone = f"backbone {part.backbone} ({config.backbones[part.backbone].kind})"
        yield f"  input {name}: {len(columns)} columns -> {part.processor.kind} -> {backbone}"
        yield f"    {_some(columns)}"
        for reason, left in config.left_out(name, header).items():
            yield f"    left out: {', '.join(left)}: {reason}"
    if len(config.inputs_of(table)) > 1:
        yield f"  fused by {config.fusion.kind if config.fusion else 'core/concat'}"
    for name, task in config.tasks_of(table).items():
        of = f" of {', '.join(task.columns())}" if task.columns() else ""
        yield f"  task {name}: {task.kind}{of}" + (f", weight {task.weight:g}" if task.weight != 1 else "")


def _split(config: RunConfig, table: str) -> str:
    section = config.data[table]
    if isinstance(section.path, dict):
        given = " and ".join(section.path)
        cut = [s for s in ("validation", "test") if s not in section.path and getattr(section.split, s)]
        return f"files for {given}" + (f"; {' and '.join(cut)} cut from train {_by(config, table)}" if cut else "")
    shares = section.split
    train = 1 - shares.validation - shares.test
    return f"{train:.0%} train, {shares.validation:.0%} validation, {shares.test:.0%} test {_by(config, table)}"


def _by(config: RunConfig, table: str) -> str:
    split = config.data[table].split
    column = stratify_column(config, table) or split.column
    return {
        "random": "at random",
        "stratified": f"stratified by {column}",
        "group": f"by group of {column}",
        "time": f"by time of {column}",
    }[split.by]


def _some(columns: list[str]) -> str:
    rest = len(columns) - SHOWN
    return ", ".join(columns[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _training(config: RunConfig) -> Iterator[str]:
    train = config.train
    batch = f"batches of {train.batch_size}" + (f" x {train.accumulate}" if train.accumulate > 1 else "")
    steps = f", at most {train.max_steps} steps" if train.max_steps else ""
    yield (
        f"train: {train.epochs} epochs{steps}, {batch}, learning rate {train.learning_rate:g} "
        f"({train.schedule.kind}), {train.precision}; the best weights are those by {train.monitor}"
    )
    if len(config.data) > 1:
        yield f"  tables take part by {train.sampling.kind} sampling"
    for hook in config.hooks:
        yield f"  hook {hook.kind}"
