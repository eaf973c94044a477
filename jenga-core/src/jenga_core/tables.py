"""Files or DataFrames -> a `Table`: one frame, the rows of each split, notes, a digest of the content. Torch-free.

A table of several files is their rows one after the other, matched by column name. A column has one type over all of
them, decided by all of them together (see `column_types`). A DataFrame's own index is dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .api import SourceSpec
from .column_types import ColumnType
from .config import ComponentConfig, DataConfig, SplitConfig
from .contents import Part, digest, joined, stacked, tidy, untyped_of
from .errors import DataError, nearest
from .paths import by_split, files_of, shared
from .splits import NAMES, codes_of, split_rows, torn
from .textfiles import shown
from .values import Stretch

if TYPE_CHECKING:
    from .registry import Registry

CHUNK = 1 << 16  # rows read at a time when the whole table is wanted


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one file or DataFrame: they start at row `start` of the table, and messages call it `name`."""

    name: str
    start: int


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`frame` [N] with a RangeIndex; `splits`: ascending int64 row positions of train, validation and test, disjoint.

    `types`: what the cells of each column are. `notes`: facts about the data that belong into the report. `digest`: sha256 of
    names and cells, whatever the file's name or format. A row is in no split only if its split was not asked for.
    """

    name: str
    frame: pd.DataFrame
    splits: Mapping[str, np.ndarray]
    notes: tuple[str, ...]
    digest: str
    pieces: tuple[Piece, ...] = ()
    types: Mapping[str, ColumnType] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, row: int) -> str:
        """A row in the user's words: "flows.csv, row 13", counted from 1 within its file, the header not counted."""
        return _where(self.pieces, row)

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Within it a `DataError` about one of the table's rows says in which file that is."""
        with naming(self.where):
            yield


@contextmanager
def naming(where: Callable[[int], str]) -> Iterator[None]:
    """Within it a `DataError` about a row calls that row `where(row)`."""
    try:
        yield
    except DataError as error:
        raise error.within(where) from None


def load_table(
    name: str,
    section: DataConfig,
    *,
    base: Path | str | None = None,
    registry: Registry,
    seed: int,
    stratify: str | None = None,
    needed: Sequence[str] | None = None,
    given: Any = None,
    written: Callable[[list[str]], Collection[str]] = lambda columns: (),
    types: Mapping[str, ColumnType] | None = None,
) -> Table:
    """Table `name` as `section` describes it, or from `given`: a DataFrame, or a mapping of split to DataFrame.

    `needed`: the columns to keep, in the file's order; None keeps all. Splits that `section.path` or `given` do not hold
    are cut out of `train`, each with its share of those rows. `written`: of these columns, those that are compared as they are
    written. `types`: those of a trained model, by which cells are read then. Raises `DataError` naming file, row and column.
    """
    kept = None if needed is None else {*needed, *(c for c in (stratify, section.split.column) if c)}
    notes: list[str] = []
    if given is not None:
        found = _given(name, given, kept)
    else:
        found, notes = _read_splits(name, section, base, registry, kept)
    parts = {split: found[split] for split in NAMES if split in found}
    every = [part for each in parts.values() for part in each]
    as_written = {*written(list(every[0].frame.columns))}
    if section.split.by in ("group", "stratified") and section.split.column:
        as_written.add(section.split.column)
    frame, said, found_types = joined(every, written=as_written, types=types)
    pieces = _pieces(every)
    sizes = {split: sum(len(part.frame) for part in each) for split, each in parts.items()}
    splits, told = _split(frame, section.split, sizes, seed, stratify, lambda row: _where(pieces, row))
    return Table(name, frame, splits, (*notes, *said, *told), digest(frame), pieces, found_types)


def _pieces(parts: Iterable[Part]) -> tuple[Piece, ...]:
    pieces, start = [], 0
    for part in parts:
        pieces.append(Piece(part.name, start))
        start += len(part.frame)
    return tuple(pieces)


def _where(pieces: Sequence[Piece], row: int) -> str:
    piece = pieces[bisect_right(pieces, row, key=lambda p: p.start) - 1]
    return f"{piece.name}, row {row - piece.start + 1}"


def read_frame(
    path: Any, *, base: Path | str | None = None, registry: Registry, source: ComponentConfig | None = None
) -> pd.DataFrame:
    """All rows of a path, glob or list of them, as one frame with a RangeIndex, typed by what is in them."""
    files, _ = files_of(path, base)
    return joined([_whole(file, registry, source, None) for file in files])[0]


def written_frame(
    path: Any, *, base: Path | str | None = None, registry: Registry, source: ComponentConfig | None = None
) -> pd.DataFrame:
    """As `read_frame`, with cells as the files have them: for a model, which knows what they are."""
    parts = [_whole(file, registry, source, None) for file in files_of(path, base)[0]]
    frames = [part.frame if part is parts[0] else parts[0].arranged(part) for part in parts]
    return stacked(frames).reset_index(drop=True)


def stream(
    path: Any,
    *,
    base: Path | str | None = None,
    registry: Registry,
    source: ComponentConfig | None = None,
    batch_rows: int = CHUNK,
) -> Iterator[Stretch]:
    """The rows of all files, file after file, at most `batch_rows` at a time; starts go on. Memory stays flat.

    The columns of every file must be those of the first, whose order all cells have. `cells` are as the files have them.
    """
    first, done = None, 0
    for file in files_of(path, base)[0]:
        rows = 0
        for stretch in open_source(file, registry, source).stretches(
            file, None, rows=batch_rows, wanted=lambda start: True
        ):
            first = first or Part(shown(file), stretch.cells.iloc[:0])
            cells = first.arranged(Part(shown(file), stretch.cells))
            cells.index = pd.RangeIndex(done + stretch.start, done + stretch.start + stretch.size)
            rows = stretch.start + stretch.size
            yield replace(stretch, start=done + stretch.start, cells=cells)
        done += rows


def columns_of(section: DataConfig, *, base: Path | str | None = None, registry: Registry) -> list[str]:
    """The column names, from the head of the first file."""
    if section.path is None:
        raise DataError("no path is given, and no DataFrame", where="data.path", next="data: {NAME: {path: FILE}}")
    first = next(iter(by_split(section.path).values()))
    file = files_of(first, base)[0][0]
    return list(open_source(file, registry, section.source).columns(file))


# ------------------------------------------------------------------ reading


def open_source(file: Path, registry: Registry, config: ComponentConfig | None) -> Any:
    """The reader of a file: the configured one, or the one for its ending."""
    if config is None:
        kind = registry.source_for(file)
        config = registry.config_class(kind, SourceSpec)(kind=kind)
    return registry.factory(config.kind, SourceSpec)(config)


def _whole(file: Path, registry: Registry, config: ComponentConfig | None, needed: Collection[str] | None) -> Part:
    """One file as one frame, only the `needed` columns, all of which must be there."""
    source = open_source(file, registry, config)
    frames = list(source.written(file, needed, batch_rows=CHUNK))
    if not frames:
        raise DataError("the file has no rows", where=shown(file))
    frame = stacked(frames)
    for column in needed or ():
        if column not in frame.columns:
            names = list(source.columns(file))
            raise DataError(
                f"no column {column!r}", where=shown(file), allowed=names[:40], nearest=nearest(column, names)
            )
    untyped = frozenset(source.untyped(list(frame.columns))) | untyped_of(frame)
    frame, notes = tidy(frame, shown(file))
    said = (*(f"{shown(file)}: {note}" for note in source.notes()), *notes)
    return Part(shown(file), frame, said, untyped, source.numerals)


def _read_splits(
    name: str, section: DataConfig, base: Any, registry: Registry, needed: Collection[str] | None
) -> tuple[dict[str, list[Part]], list[str]]:
    if section.path is None:
        raise DataError(
            "neither a path nor a DataFrame is given",
            where=f"data.{name}",
            next=f"--set data.{name}.path=FILE, or train(data=...)",
        )
    if "train" not in by_split(section.path):
        raise DataError("there are no training rows", where=f"data.{name}.path", next="add `train: FILE`")
    files, notes = {}, []
    for split in NAMES:
        if split not in by_split(section.path):
            continue
        files[split], said = files_of(by_split(section.path)[split], base)
        notes += said
    read = {split: [_whole(f, registry, section.source, needed) for f in each] for split, each in files.items()}
    return read, [*notes, *shared(files)]


def _given(name: str, given: Any, needed: Collection[str] | None) -> dict[str, list[Part]]:
    """The DataFrames that came from Python in place of files."""
    frames = given if isinstance(given, Mapping) else {"train": given}
    out = {}
    for split, frame in frames.items():
        label = f"data {name!r}" if frame is given else f"data {name!r} ({split})"
        if split not in NAMES:
            raise DataError(
                f"unknown split {split!r}", where=f"data {name!r}", allowed=NAMES, nearest=nearest(split, NAMES)
            )
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"is no pandas DataFrame but {type(frame).__name__}", where=label)
        if frame.empty:
            raise DataError(
                "the DataFrame has no rows" if len(frame.columns) else "the DataFrame has no columns", where=label
            )
        untyped = untyped_of(frame)
        frame, notes = tidy(frame, label)
        absent = next((c for c in needed or () if c not in frame.columns), None)
        if absent is not None:
            names = list(frame.columns)
            raise DataError(f"no column {absent!r}", where=label, allowed=names[:40], nearest=nearest(absent, names))
        kept = frame if needed is None else frame[[c for c in frame.columns if c in needed]]
        out[split] = [Part(label, kept, notes, untyped)]
    return out


# ------------------------------------------------------------------ splitting


def _split(
    frame: pd.DataFrame,
    config: SplitConfig,
    sizes: Mapping[str, int],
    seed: int,
    stratify: str | None,
    where: Any,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Splits that were given, as they are; the others out of `train`. `sizes` in the order of the frame's rows."""
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    rows = {split: np.arange(sizes.get(split, 0)) + starts.get(split, 0) for split in NAMES}
    left = config.model_copy(update={split: 0.0 for split in sizes if split != "train"})
    notes = _across(frame, config, sizes) if len(sizes) > 1 else []
    if "train" in sizes and (left.validation or left.test):
        cut = split_rows(frame.iloc[: sizes["train"]], left, seed=seed, stratify=stratify, where=where)
        rows |= {split: found for split, found in cut.rows.items() if split == "train" or split not in sizes}
        notes += cut.notes
    return rows, notes


def _across(frame: pd.DataFrame, config: SplitConfig, sizes: Mapping[str, int]) -> list[str]:
    """A note on groups that the given files already tear apart."""
    if config.by != "group" or config.column not in frame.columns:
        return []
    codes, distinct = codes_of(frame[config.column])
    apart = torn(codes, np.repeat(np.arange(len(sizes)), list(sizes.values())))
    names = ", ".join(sizes)
    return (
        [f"{apart:,} of {len(distinct):,} values of {config.column!r} are in several of the given {names}"]
        if apart
        else []
    )
