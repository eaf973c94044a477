"""What a plugin's components implement: Protocols. The data they exchange is in `values.py` and can be imported from here.

Importable without torch, so that sources and checks stay light. Component classes inherit from the Protocol they implement
to get its defaults::

    class Echo(torch.nn.Module, Backbone): ...
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from .errors import DataError
from .values import (
    USUAL,
    Array,
    Batch,
    Classical,
    Columns,
    Encoded,
    Features,
    HeadContext,
    Numerals,
    Part,
    Purpose,
    Ragged,
    Reference,
    Stretch,
    View,
    take,
)

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from .figures import Figure

__all__ = [
    "Array", "Backbone", "Baseline", "Batch", "Classical", "Columns", "Encoded", "Features", "Fusion", "HeadContext",
    "Kind", "Live", "Metrics", "Part", "Processor", "Purpose", "Ragged", "Reference", "Source", "Stretch", "Task", "View", "take",
]  # fmt: skip


Kind = Literal["numbers", "names", "times"]


class Live(Protocol):
    """A log as it grows: whole lines in, rows out, nothing read twice; made by `Source.live`."""

    def feed(self, lines: Sequence[bytes]) -> pd.DataFrame:
        """The rows of the next lines, which have no ends; an empty frame where they hold none. DataError for a bad line.

        A header is a line that gives no row; one that comes again is passed over. After a `DataError` the lines may be fed
        again in smaller pieces.
        """
        ...

    def end(self) -> None:
        """DataError where the last line is part of something that is not whole; it is dropped."""
        return None

    def state(self) -> dict[str, Any]:
        """What rows to come need of the lines before: JSON and arrays. "header": lines that a new log begins with."""
        return {"header": []}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`, for a new object; a state of "header" alone is that of a log that begins."""
        return None


class Source(Protocol):
    """A file format or stream -> tables. Built as `Source(config)`.

    `numerals`: how a format of text spells numbers.
    """

    numerals: Numerals = USUAL

    def __init__(self, config: Any) -> None: ...

    def tables(self, path: Any, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """Tables of at most `batch_rows` rows, in file order, with a RangeIndex that goes on from table to table.

        Raises `DataError` with file and row for what cannot be read. A whole file is never needed in memory at once.
        """
        ...

    def tables_of(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """As `tables`, with those of `columns` that the file has, in its order. A format that can skip others overrides it."""
        for table in self.tables(path, batch_rows=batch_rows):
            yield table if columns is None else table[[c for c in table.columns if c in columns]]

    def written(self, path: Any, columns: Collection[str] | None, *, batch_rows: int) -> Iterator[pd.DataFrame]:
        """As `tables_of`, with cells as the file has them: what they are is decided elsewhere (`column_types`).

        A format whose cells are text gives that text; what says by itself that a cell is missing is missing.
        """
        return self.tables_of(path, columns, batch_rows=batch_rows)

    def untyped(self, columns: Collection[str]) -> Collection[str]:
        """Of `columns`, those that `written` gives as text whose types the format does not know."""
        return ()

    def stretches(
        self, path: Any, columns: Collection[str] | None, *, rows: int, wanted: Callable[[int], bool]
    ) -> Iterator[Stretch]:
        """The file in stretches that begin at multiples of `rows`, the last one shorter; for scoring without end.

        `columns` None: all. `wanted(start)`: must the stretch that begins there be read? A format that can skip the others
        overrides this.
        """
        from .stretches import of_frames

        return of_frames(self.written(path, None, batch_rows=rows), columns, rows=rows, wanted=wanted)

    def live(self, name: str) -> Live:
        """For a log of that name that is still being written. DataError where this format cannot be followed."""
        raise DataError("a file of this format is read as a whole and cannot be followed", where=name)

    def columns(self, path: Any) -> list[str]:
        """The column names, read from the head of the file: `jenga check` needs no more."""
        return list(next(iter(self.tables(path, batch_rows=64))).columns)

    def notes(self) -> list[str]:
        """What a reader of the report must know of the file just read to its end, such as rows that were skipped."""
        return []


class Processor(Protocol):
    """Cells of the columns of one input -> tensors. Built as `Processor(config, backbone_config)`.

    `confidential = True` says that its cells hold what must not be shown: neither the report nor what is saved
    quotes one.
    """

    confidential: bool = False

    def __init__(self, config: Any, backbone_config: Any = None) -> None: ...

    def confirmed(self, columns: Sequence[str]) -> None:
        """Called before `fit` with what the input lists under `columns:`: a person wants these read, whatever they look like."""

    def fit(self, cells: pd.DataFrame) -> None:
        """Learn scales and vocabularies from training rows, and only from them."""

    def fit_together(self, cells: Sequence[pd.DataFrame], own: int) -> None:
        """Called instead of `fit` where inputs with processors of one kind share a backbone.

        `cells`: the training rows of each of these inputs, in the order of the config; ``cells[own]`` are this one's. What
        the backbone is given must mean the same in all of them, such as which word has number 7.
        """
        self.fit(cells[own])

    def encode(self, cells: pd.DataFrame) -> Encoded:
        """The whole table, once, columnar; one entry per row, always. Files named in cells stay paths."""
        ...

    def divide(self, encoded: Encoded, splits: Mapping[str, Array]) -> Encoded:
        """Called once after `encode`, with the row numbers of each split: only for a processor whose rows see other rows.

        Such a processor must not let a row see rows of another split. Rows in no split count as one more split.
        """
        return encoded

    def context(self, cells: pd.DataFrame) -> Array | None:
        """Row numbers of `cells`, ascending, that rows of a later part of the same series may see.

        None, the default: a row's tensors depend on its own cells alone, so that a file can be cut anywhere. Else the rows
        named here are encoded again in front of the next part, and a file is read from its beginning.
        """
        return None

    def collate(
        self, encoded: Encoded, rows: Array, purpose: Purpose, rng: np.random.Generator
    ) -> Mapping[str, Tensor]:
        """Tensors for table rows `rows` (all present). "predict" withholds answers; "train" may pack or augment by `rng`."""
        ...

    def state(self) -> dict[str, Any]:
        """What `fit` learned, as JSON."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""

    def facts(self) -> Mapping[str, Any]:
        """What a backbone must know to be built (widths, vocabulary sizes, rates), as JSON; valid after fit or restore."""
        return {}

    def read_as(self) -> Mapping[str, Kind]:
        """What each column that is read was decided to be, in training; valid after fit or restore.

        Empty, the default: the processor does not say, and who must know looks at the cells.
        """
        return {}

    def counts(self, encoded: Encoded, rows: Array) -> Mapping[str, int]:
        """What was unusual in the cells of table rows `rows`, such as unseen categories: told to the user, by reason."""
        return {}

    def notes(self) -> Sequence[str]:
        """What `fit` found out by itself, such as which columns hold numbers: told to the user when training begins.

        One that begins with `values.WARNING` is said so that it is not overlooked.
        """
        return ()

    def reference(self, data: Mapping[str, Tensor]) -> Reference | None:
        """What predictions over this input are explained against, for the tensors `data` that `collate` gave.

        None: this input cannot be explained. Integers that stand for names (categories, token ids) may be given: the
        network must look them up with `torch.nn.functional.embedding`, as `nn.Embedding` does, or `one_hot`.
        """
        return None

    def typical(self, data: Mapping[str, Tensor]) -> Reference | None:
        """As `reference`, with what training rows have most often: what `Task.explained_by` "occlusion" puts in a cell's place.

        The two differ where nothing and the usual do, as the bucket of unseen categories and the most frequent one.
        """
        return self.reference(data)

    def shown(self, encoded: Encoded, rows: Array) -> Ragged | None:
        """Of each token of table rows `rows`, the stretch of its cell that a reader knows: the word that it is a piece of.

        As `Encoded.spans`, and by default those. Contributions of tokens with the same stretch are added up.
        """
        return None if encoded.spans is None else encoded.spans.take(rows)

    def classical(self, encoded: Encoded, rows: Array) -> Classical | None:
        """Features for a classical baseline, or None where there is no sensible one."""
        return None


class Backbone(Protocol):
    """A torch module: tensors of one processor -> Features. Built as `Backbone(config, facts, saved=None)`.

    `saved` is what `saved()` returned when the model folder was written: enough to build the same architecture without
    any file that is not in the folder. `None` on the first build.
    `pads = False` says that padding costs it nothing: batches are then random rows, not rows of similar lengths.
    `repeats = K` asks for each row of a training batch K times, one after the other, each with its own target and loss: an
    ensemble that gives each of its K members the row is so trained by the mean of their losses, whatever head and loss are.
    """

    out_dim: int
    pads: bool = True
    repeats: int = 1

    def forward(self, **data: Tensor) -> Features: ...

    def saved(self) -> Mapping[str, Any]:
        return {}

    def learning_rates(self, default: float) -> Mapping[str, float]:
        """Peak learning rates of this module's parameters, by name; those not named learn at `default`."""
        return {}

    def trained_on(self, seen: Sequence[tuple[Encoded, Array]]) -> AbstractContextManager[None]:
        """Entered before the optimizer is made, left after the last step: what these rows cannot teach need not be trained.

        `seen`: the training rows of each input that this backbone reads. Within it names of parameters and what `state_dict`
        gives and takes must be those of the whole module; at its end the module must be what it was, but for what it learned.
        """
        return nullcontext()


class Fusion(Protocol):
    """A torch module: the Features of the inputs of a table -> one Features. Built as `Fusion(config, dims)`.

    `dims` maps each input, in order, to its width. Rows that lack an input hold the core's learned absent token.
    The fused `tokens` are those of the inputs in order, lengths kept, so that `View.of` can slice them.
    """

    out_dim: int

    def forward(self, parts: Mapping[str, Features]) -> Features: ...


class Metrics(Protocol):
    """How a task is judged. `directions`: metric name -> which way is better; those names are what `monitor:` may use.

    "none" is for a number that only describes, such as the share of alerts where nobody knows which are right: it is shown,
    and no model is called better by it.
    """

    @property
    def directions(self) -> Mapping[str, Literal["max", "min", "none"]]: ...

    def compute(self, output: Columns, target: Columns) -> dict[str, float]:
        """Point values over the rows given; `output` from `Task.predict`, `target` from `Task.encode`, row by row.

        A metric that is undefined there (ROC-AUC of one class) is NaN, never a made-up number.
        """
        ...

    def figures(self, output: Columns, target: Columns) -> list[Figure]:
        """Plots for the report."""
        return []

    def examples(self, output: Columns, target: Columns) -> Mapping[str, Array]:
        """Row numbers that a reader should see with their reasons, by what they are examples of ("false positive")."""
        return {}


class Baseline(Protocol):
    """A classical model beside the neural one, judged by the same metrics on the same rows."""

    name: str
    trivial: bool  # needs no features
    reads: Literal["matrix", "inputs"] = "matrix"  # which part of the features one that is not trivial needs

    def fit(self, features: Classical | None, target: Columns) -> None: ...

    def calibrate(self, output: Columns, target: Columns) -> None:
        """As `Task.calibrate`: set thresholds from validation rows, so that model and baseline are judged alike."""
        return None

    def predict(self, features: Classical | None, rows: int) -> Columns:
        """In the form of `Task.predict`'s outputs."""
        ...


class Task(Protocol):
    """Something to learn: how labels are encoded, the head, the loss, the metrics, the decoding. Built as `Task(config)`.

    `fuse = False` declines fusion: the head then sees each input on its own. `conditioned = False` declines the run's
    conditioning: the head sees features as backbones and fusion give them. `explains` names the output of `predict` that
    explanations take apart: [B], or [B, C] of which the largest at the row itself is explained; None: nothing is.
    `explained_by`: how; "occlusion" for an output that has no gradient.
    A task may also implement events of `jenga_core.loop`; it is registered with the run's hooks.
    """

    fuse: bool = True
    conditioned: bool = True
    explains: str | None = None
    explained_by: Literal["gradients", "occlusion"] = "gradients"

    def __init__(self, config: Any) -> None: ...

    def bind(self, processors: Mapping[str, Processor]) -> None:
        """Called once, before fit or restore: the processors of this table's inputs."""

    def fit(self, cells: pd.DataFrame) -> None:
        """Learn label maps from training rows, and only from them. `cells`: the columns of `config.columns()`."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None: ...

    def encode(self, cells: pd.DataFrame, inputs: Mapping[str, Encoded]) -> Encoded:
        """The targets of the whole table; `present` = has a usable label. Raises `DataError` or counts in `excluded`."""
        ...

    def collate(
        self, encoded: Encoded, rows: Array, inputs: Mapping[str, Mapping[str, Tensor]]
    ) -> tuple[Mapping[str, Tensor], float]:
        """Targets of table rows `rows` (all present) and the count of units that `loss` sums over.

        Token targets are (row, pos, y) triples; `row` counts within `rows`.
        """
        ...

    def head(self, context: HeadContext) -> nn.Module:
        """A module called as ``head(view, target)`` -> mapping of tensors; `target` is None in prediction."""
        ...

    def loss(self, output: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """The SUM over the units that `collate` counted, never a mean: the core divides by the count of the window."""
        ...

    def predict(self, model: Any, batch: Batch, name: str) -> Mapping[str, Tensor]:
        """Outputs for all rows of the batch, dim 0 = rows. With a key "lengths" [B], outputs [B, T, ...] are ragged.

        The batch has no targets, also where rows are judged: an output is made from inputs alone.
        """
        return cast("Mapping[str, Tensor]", model.heads[name](model.view(batch, fuse=self.fuse), None))

    def calibrate(self, output: Columns, target: Columns) -> None:
        """Set thresholds from validation rows (never test rows); kept in `state`. Called once, with the best weights."""

    def decode(self, output: Columns, rows: Array, inputs: Mapping[str, Encoded]) -> pd.DataFrame:
        """What a user reads: one line per row of `output`, columns without the task's name. `rows` index `inputs`."""
        ...

    def metrics(self) -> Metrics: ...

    def baselines(self, seed: int) -> Sequence[Baseline]:
        """A trivial one and a strong classical one, unfitted."""
        return ()
