"""A loaded model in use: `Predictor.predict` scores rows, `Predictor.evaluate` judges them. `loading` makes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .assembly import Events, load_tables
from .column_types import ColumnType
from .config import RunConfig
from .contents import stacked, tidy
from .contracts import Columns
from .data import Data, EncodedTable, Parts
from .errors import DataError, UserError, nearest
from .evaluation import Judgement
from .model import Model
from .paths import by_split, files_of
from .registry import Registry, uncompressed
from .scoring import Place, judgements, not_finite, score
from .splits import NAMES
from .tables import Table, load_table, written_frame
from .textfiles import shown

if TYPE_CHECKING:
    from .explaining.contributions import Contributions
    from .explaining.explained import Explained
    from .explaining.importance import Worth
    from .loading import evaluate as evaluate
    from .loading import load as load


CAUTION = "The model was trained on rows of this file: such scores say little about new rows."


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained model, ready to score. Everything fitted is used as it was saved; nothing is fitted again."""

    folder: Path
    config: RunConfig
    manifest: Mapping[str, Any]
    registry: Registry
    parts: Parts
    model: Model
    hook: Events
    columns: Mapping[str, Mapping[str, Any]]
    place: Place

    def predict(self, frame: pd.DataFrame, *, table: str | None = None, reasons: int | None = None) -> pd.DataFrame:
        """Predictions for every row, with the frame's own index and order. Columns are named ``{task}.{field}``.

        A row that has none of the model's inputs gets missing values; the columns are there even when no row has any,
        and whole numbers stay whole (pandas' nullable types). `table`: which of the run's tables the rows are
        like; may be left out when there is one. `reasons`: also the so many largest contributions to each row's output, as
        JSON in ``{task}.reasons``. Raises DataError for a missing column.
        """
        return self.explain(frame, table=table, reasons=reasons)[0]

    def explain(
        self, frame: pd.DataFrame, *, table: str | None = None, reasons: int | None = None
    ) -> tuple[pd.DataFrame, Counter[str]]:
        """As `predict`, and what a reader of the predictions should know: reason -> rows, such as unseen categories."""
        name, cells = self.as_trained(frame, table)
        found, unusual = self.scores(cells, table=name, reasons=reasons)
        self.hook.on_predict(run=self, frame=cells, predictions=found)
        return found, unusual

    def as_trained(self, frame: pd.DataFrame, table: str | None) -> tuple[str, pd.DataFrame]:
        """(table, rows under their own index): each cell as what it was taken for in training, whatever it came as.

        Columns that training did not see stay as they are. What was read so already is not changed.
        """
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"is no pandas DataFrame but {type(frame).__name__}", where="the rows to predict")
        rows, _ = tidy(frame, "the rows to predict")
        name = self._table(table, rows)
        types = self._types(name)
        cells = {c: rows[c] for c in rows.columns if c in types}
        read = {c: types[c].read(each) for c, each in cells.items()}
        changed = {c: each for c, each in read.items() if each is not cells[c]}
        if not changed and list(rows.columns) == list(frame.columns) and (rows.dtypes == frame.dtypes).all():
            return name, frame
        return name, rows.assign(**changed).set_axis(frame.index, axis=0)

    def numbers_of(self, table: str) -> dict[str, str]:
        """The columns that predictions are made from and that are read as numbers -> "integer" or "float"."""
        types = self._types(table)
        known = sorted(c for c in self.features_of(table) if c in types and not types[c].written)
        return {c: types[c].form for c in known if types[c].form in ("integer", "float")}

    def _types(self, table: str) -> dict[str, ColumnType]:
        states: Mapping[str, Any] = self.columns[table]["types"]
        return {name: ColumnType.of_state(state) for name, state in states.items()}

    def scores(
        self,
        frame: pd.DataFrame,
        *,
        table: str | None = None,
        before: pd.DataFrame | None = None,
        reasons: int | None = None,
    ) -> tuple[pd.DataFrame, Counter[str]]:
        """As `explain`, and no hook hears of it: several threads may call this, and tell the hooks in order later.

        `before`: rows that those of `frame` may see and that get no prediction themselves (see `following`).
        """
        held = 0 if before is None else len(before)
        rows = frame if before is None else stacked([before, frame[before.columns]])
        name, encoded = self._encode(rows, table)
        usable = np.flatnonzero(encoded.usable)
        usable = usable[usable >= held]
        strange = 0
        if len(usable):
            data = Data(self.parts, {name: encoded})
            scored = score(self.model, data, name, usable, self.place, labels=False)
            strange = not_finite(scored.outputs)
            decoded = [self._decode(task, scored.outputs[task], usable, encoded) for task in self.config.tasks_of(name)]
            found = pd.concat(decoded, axis=1).set_axis(usable - held)
        else:
            found = pd.DataFrame({c: pd.Series(dtype=t) for c, t in self.columns[name]["outputs"]})
        unusual = self._unusual(encoded, held)
        if strange:
            unusual["the output is not finite"] = strange
        if reasons is not None:
            why, inexact = self._reasons(rows, name, encoded, usable, reasons)
            found, unusual = pd.concat([found, why.set_axis(usable - held)], axis=1), unusual + inexact
        if len(usable) < len(frame):
            found = _with_gaps(found, len(frame))
        found.index = frame.index
        if before is not None and any(part.excluded for part in encoded.inputs.values()):
            unusual -= self._unusual(self._encode(before, table)[1], held)  # what was told when those rows came
        return found, unusual

    def _reasons(
        self, frame: pd.DataFrame, table: str, encoded: EncodedTable, rows: Any, count: int
    ) -> tuple[pd.DataFrame, Counter[str]]:
        from .explaining.reasons import reasons

        cells = self.as_trained(frame, table)[1].reset_index(drop=True)
        return reasons(self._explained(table, encoded), rows, cells, count=count)

    def contributions(self, frame: pd.DataFrame, task: str, *, table: str | None = None) -> Contributions:
        """What every column, or every word of a text, contributed to the output of `task`, for rows that have an input."""
        name, encoded = self._encode(frame, table)
        known = list(self.config.tasks_of(name))
        if task not in known:
            raise UserError(
                f"unknown task {task!r}", where=f"table {name!r}", allowed=known, nearest=nearest(task, known)
            )
        return self._explained(name, encoded).contributions(task, np.flatnonzero(encoded.usable))

    def _explained(self, table: str, encoded: EncodedTable) -> Explained:
        from .explaining.explained import Explained

        data, size = Data(self.parts, {table: encoded}), self.config.train.batch_size
        columns = self.columns[table]["inputs"]
        return Explained(self.model, data, table, columns, self.place.device, size, self.place.tokens)

    def context(self, cells: pd.DataFrame, table: str) -> pd.DataFrame | None:
        """The rows of `cells` that rows behind them may see; None where every row is predicted by itself alone."""
        rows = []
        for key, columns in self.columns[table]["inputs"].items():
            if all(c in cells.columns for c in columns):
                found = self.parts.processors[key].context(cells[columns])
                rows += [] if found is None else [found]
        if not rows:
            return None
        return cells[sorted(self.features_of(table) & {*cells.columns})].iloc[np.unique(np.concatenate(rows))]

    def _encode(self, frame: pd.DataFrame, table: str | None) -> tuple[str, EncodedTable]:
        """(table, encoded rows): cells are taken as they were for training, whatever the frame's types."""
        name, cells = self.as_trained(frame, table)
        rows = cells.reset_index(drop=True)
        every = {"all": np.arange(len(rows))}
        return name, self.parts.encode(name, rows, every, self.columns[name]["inputs"], labels=False)

    def _decode(self, task: str, output: Columns, rows: Any, encoded: EncodedTable) -> pd.DataFrame:
        found = self.parts.tasks[task].decode(output, rows, encoded.inputs)
        return found.reset_index(drop=True).add_prefix(f"{task}.")

    def warnings(self, frame: pd.DataFrame, *, table: str | None = None) -> list[str]:
        """What a reader of the predictions should know, such as unseen categories and inputs that are absent."""
        _, encoded = self._encode(frame, table)
        return [f"{reason} (rows: {n:,})" for reason, n in self._unusual(encoded).items()]

    def _unusual(self, encoded: EncodedTable, held: int = 0) -> Counter[str]:
        """Of the rows from `held` on, but for what a processor says of all rows at once."""
        found: Counter[str] = Counter()
        for key, part in encoded.inputs.items():
            if len(encoded.inputs) > 1 and not self.manifest["seen_absent"].get(key, True):
                reason = "is absent, but was there in every training row: the predictions are guesses"
                found[f"input {key!r}: {reason}"] = int((~part.present[held:]).sum())
            found.update({f"input {key!r}: {reason}": n for reason, n in part.excluded.items()})
        found.update(self.parts.counts(encoded, encoded.splits["all"][held:]))
        found["no usable input, so no prediction"] = int((~encoded.usable[held:]).sum())
        return +found  # without the zeros

    def table_of(self, table: str | None) -> str:
        """The name of the table that rows are like, `table` itself or the only one there is. UserError for any other."""
        return self._table(table, pd.DataFrame())

    def table_like(self, frame: pd.DataFrame) -> str:
        """The one table of the model whose columns `frame` has. UserError where several fit, or none."""
        return self._table(None, frame)

    def features_of(self, table: str) -> frozenset[str]:
        """The columns that predictions for rows of `table` are made from."""
        return frozenset(column for columns in self.columns[table]["inputs"].values() for column in columns)

    def _table(self, table: str | None, frame: pd.DataFrame) -> str:
        if table is not None and table not in self.config.data:
            raise UserError(
                f"unknown table {table!r}", allowed=list(self.config.data), nearest=nearest(table, self.config.data)
            )
        if table is not None or len(self.config.data) == 1:
            return table or next(iter(self.config.data))
        fits = [
            name
            for name in self.config.data
            if all(c in frame.columns for columns in self.columns[name]["inputs"].values() for c in columns)
        ]
        if len(fits) != 1:
            raise UserError("the model has several tables: say which one the rows are like", allowed=list(self.config.data),
                            next="add --table NAME (Python: table=...)")  # fmt: skip
        return fits[0]

    def read(self, path: str | Path, *, table: str | None = None) -> pd.DataFrame:
        """Rows of a file, read as for training where that saw the column, with the source that the table was trained from where
        the ending does not say another."""
        source = self.source(str(path), table)
        rows = written_frame(str(path), base=Path.cwd(), registry=self.registry, source=source)
        return self.as_trained(rows, table)[1] if table or len(self.config.data) == 1 else rows

    def source(self, path: str, table: str | None) -> Any:
        """The options of the table's own source for a file with the ending of the files it was trained from, else None."""
        section = self.config.data[table or next(iter(self.config.data))]
        trained = [p for paths in by_split(section.path or []).values() for p in paths]
        return section.source if not trained or _ending(path) in {_ending(p) for p in trained} else None

    def evaluate(
        self, data: Any = None, *, split: str = "test", table: str | None = None, bootstrap: int | None = None
    ) -> list[Judgement]:
        """Judge on a split of the run's own data, or on `data` (a path or a DataFrame) as a whole.

        The run's own data must be as it was in training; only then are its test rows rows that the model has not seen.
        `table`: which of the run's tables `data` is like, or the only one to judge.
        """
        found = self._judge(*self._given(data, split, table), bootstrap)
        if data is None:
            return found
        if isinstance(data, pd.DataFrame):
            return [replace(one, split="the given rows") for one in found]
        caution = CAUTION if Path(data).resolve() in self._files() else ""
        return [replace(one, split=shown(data), caution=caution) for one in found]

    def _files(self) -> set[Path]:
        """Those that training rows came from, as far as they are still there."""
        files: set[Path] = set()
        for section in self.config.data.values():
            if section.path is not None:
                with suppress(DataError):
                    files |= {file.resolve() for file in files_of(by_split(section.path)["train"], self.folder)[0]}
        return files

    def importance(self, data: Any = None, *, split: str = "test", table: str | None = None) -> dict[str, Worth]:
        """Task -> what each column is worth to it, on rows as `evaluate` takes them; see `explaining.importance`."""
        from .explaining.importance import worth

        tables, split = self._given(data, split, table)
        found: dict[str, Worth] = {}
        for name, given in tables.items():
            with given.naming():
                rows, columns = given.frame.iloc[given.splits[split]], self.columns[name]["inputs"]
                found |= worth(self.model, self.parts, name, rows, columns, self.place, seed=self.config.seed)
        return found

    def _given(self, data: Any, split: str, table: str | None) -> tuple[dict[str, Table], str]:
        """(the tables to judge on, the split of them)."""
        if split not in NAMES:
            raise UserError(f"unknown split {split!r}", allowed=NAMES, nearest=nearest(split, NAMES))
        if table is not None:
            self._table(table, pd.DataFrame())
        if data is None:
            self._require_paths()
            types = {name: self._types(name) for name in self.config.data}
            tables = load_tables(self.config, self.registry, base=self.folder, types=types)
            tables = {name: found for name, found in tables.items() if table in (None, name)}
            for name, found in tables.items():
                if found.digest != self.manifest["data"][name]["digest"]:
                    raise DataError(f"table {name!r} has changed since training: its split is not the one of the run",
                                    next="jenga evaluate MODEL DATA judges on a file of your own")  # fmt: skip
        else:
            frame = data if isinstance(data, pd.DataFrame) else self.read(data, table=table)
            name = self._table(table, frame)
            section = self.config.data[name].model_copy(update={"path": None})
            tables = {
                name: load_table(
                    name,
                    section,
                    base=self.folder,
                    registry=self.registry,
                    seed=0,
                    given={"test": frame},
                    types=self._types(name),
                )
            }
            split = "test"
        return tables, split

    def _require_paths(self) -> None:
        for name, section in self.config.data.items():
            if section.path is None:
                raise DataError(f"table {name!r} came from Python and is not in the folder", where=str(self.folder),
                                next="jenga evaluate MODEL DATA (Python: evaluate(frame))")  # fmt: skip

    def _judge(self, tables: Mapping[str, Table], split: str, bootstrap: int | None) -> list[Judgement]:
        encoded = {}
        for name, table in tables.items():
            with table.naming():
                encoded[name] = self.parts.encode(
                    name, table.frame, table.splits, self.columns[name]["inputs"], labels=True
                )
        data = Data(self.parts, encoded)
        scored = {}
        for name, part in encoded.items():
            rows = part.trainable(split)
            if len(rows):
                scored[name] = score(self.model, data, name, rows, self.place, labels=True)
        if not scored:
            raise DataError(f"no row with a usable label in the {split} split")
        times = self.config.train.bootstrap if bootstrap is None else bootstrap
        return judgements(data, scored, split, baselines=False, bootstrap=times, seed=self.config.seed)


def _with_gaps(found: pd.DataFrame, size: int) -> pd.DataFrame:
    """Missing values for the rows 0..size that `found` lacks. Numpy's integers and truth values cannot be missing."""
    nullable = {"i": "Int64", "b": "boolean"}
    types = {c: nullable[t.kind] for c, t in found.dtypes.items() if isinstance(t, np.dtype) and t.kind in nullable}
    return found.astype(types).reindex(range(size))


def _ending(path: str) -> str:
    return Path(uncompressed(path)).suffix


def __getattr__(name: str) -> Any:
    """`load` and `evaluate` live in `loading`, which needs the Predictor of this module."""
    if name in ("load", "evaluate"):
        from . import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
