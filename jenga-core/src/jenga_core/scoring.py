"""A model over rows of a table: outputs gathered into columns, losses summed, judgements made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .contracts import Array, Batch, Classical, Columns, Ragged, take
from .data import Data
from .errors import TrainingError
from .evaluation import Judgement, fit_baselines, judge
from .model import Model
from .sampling import parts


def keep_precision(precision: str) -> None:
    """fp32 means IEEE 754 single precision: cuDNN would compute convolutions and LSTMs in TF32, with 10 bits of mantissa."""
    if precision == "fp32":
        torch.backends.cudnn.allow_tf32 = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how scoring runs. `batch_size` rows at once, of at most `tokens` tokens with their padding.

    Ranks share the batches and end with all outputs.
    """

    device: Any
    batch_size: int
    autocast: Any = nullcontext  # a callable that gives a context
    rank: int = 0
    world: int = 1
    tokens: int = 32768

    def context(self) -> AbstractContextManager[Any]:
        made: AbstractContextManager[Any] = self.autocast()
        return made


@dataclass(frozen=True, slots=True)
class Scored:
    """Outputs of each task over `rows` of one table, row by row; `losses` and `counts` per task (evaluation only)."""

    rows: Array
    outputs: Mapping[str, Columns]
    losses: Mapping[str, float]
    counts: Mapping[str, float]

    def at(self, task: str, rows: Array) -> Columns:
        """One task's outputs at table rows `rows`, which must be among those scored."""
        return take(self.outputs[task], np.searchsorted(self.rows, rows))


def score(model: Model, data: Data, table: str, rows: Array, place: Place, *, labels: bool) -> Scored:
    """Run every task of `table` over `rows` (ascending; each has at least one input). Leaves the model in eval mode.

    `labels` asks for losses as well. `Task.predict` is given no targets either way: what is judged was made without them.
    """
    model.eval()
    tasks = {n: data.parts.tasks[n] for n in data.parts.config.tasks_of(table)}
    pieces: list[tuple[Array, dict[str, dict[str, Any]]]] = []
    losses, counts = dict.fromkeys(tasks, 0.0), dict.fromkeys(tasks, 0.0)
    quick = torch.no_grad if labels else torch.inference_mode  # a loss may need what inference mode forbids
    with quick(), model.scoring(), place.context():
        for batch in _batches(data, table, rows, place, labels):
            blind = replace(batch, targets={})
            outputs = {n: {k: _host(v) for k, v in task.predict(model, blind, n).items()} for n, task in tasks.items()}
            pieces.append((batch.rows, outputs))
            if labels:
                for name, output in model(batch).items():
                    target = batch.targets[name]
                    losses[name] += float(tasks[name].loss(output, target.data))
                    counts[name] += target.count
    if place.world > 1:
        pieces, losses, counts = _from_all_ranks(pieces, losses, counts)
    if not pieces:
        return Scored(rows, {n: {} for n in tasks}, losses, counts)
    joined: dict[str, Columns] = {n: _join([p[n] for _, p in pieces]) for n in tasks}
    done = np.concatenate([r for r, _ in pieces])
    if not np.array_equal(done, rows):
        order = np.argsort(done, kind="stable")
        joined = {n: take(columns, order) for n, columns in joined.items()}
    return Scored(rows, joined, losses, counts)


def not_finite(outputs: Mapping[str, Columns]) -> int:
    """Rows of which an output of any task is NaN or infinite: weights may be finite, and what they give may not."""
    wrong: set[int] = set()
    for column in (column for columns in outputs.values() for column in columns.values()):
        values = np.asarray(column.values if isinstance(column, Ragged) else column)
        if values.dtype.kind != "f" or np.isfinite(values).all():
            continue
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        bad = np.searchsorted(column.starts, bad, side="right") - 1 if isinstance(column, Ragged) else bad
        wrong |= {*bad.tolist()}
    return len(wrong)


def _batches(data: Data, table: str, rows: Array, place: Place, labels: bool) -> Iterator[Batch]:
    """This rank's share, similar lengths together."""
    lengths = data.tables[table].lengths()
    if lengths is not None:
        rows = rows[np.argsort(lengths[rows], kind="stable")]
    cut = [rows[i : i + place.batch_size] for i in range(0, len(rows), place.batch_size)]
    cut = [part for batch in cut for part in parts(batch, lengths, place.tokens)]
    rng = np.random.default_rng(0)  # evaluation augments nothing; processors get one to keep one signature
    for part in cut[place.rank :: place.world]:
        yield data.batch(table, part, "evaluate" if labels else "predict", rng).to(place.device)


def _host(value: Tensor) -> Array:
    array: Array = widened(value.detach().cpu()).numpy()
    return array


def widened(value: Tensor) -> Tensor:
    """Half precision as float32; float64, which a task gives where it needs it, and integers as they are."""
    return value.float() if value.is_floating_point() and value.dtype != torch.float64 else value


def _join(pieces: list[dict[str, Array]]) -> dict[str, Array | Ragged]:
    """Batches under each other. With a column "lengths", outputs of two or more dimensions become ragged."""
    joined: dict[str, Array | Ragged] = {}
    for key in pieces[0]:
        columns = [p[key] for p in pieces]
        if "lengths" in pieces[0] and columns[0].ndim >= 2:
            rows = [row[:n] for piece in pieces for row, n in zip(piece[key], piece["lengths"], strict=True)]
            joined[key] = Ragged.of(rows, dtype=columns[0].dtype)
        else:
            joined[key] = np.concatenate(columns)
    return joined


def _from_all_ranks(pieces: Any, losses: dict[str, float], counts: dict[str, float]) -> Any:
    everyone: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyone, (pieces, losses, counts))
    together = [piece for share in everyone for piece in share[0]]
    total = {name: sum(share[1][name] for share in everyone) for name in losses}
    units = {name: sum(share[2][name] for share in everyone) for name in counts}
    return together, total, units


def metrics_of(data: Data, scored: Mapping[str, Scored], split: str, weights: Mapping[str, float]) -> dict[str, float]:
    """`{task}.{metric}`, `{task}.loss` and `loss` (the weighted sum over tasks) of one split."""
    found: dict[str, float] = {}
    total = 0.0
    for table, result in scored.items():
        for name in data.parts.config.tasks_of(table):
            task, encoded = data.parts.tasks[name], data.tables[table]
            rows = encoded.labelled(name, split)
            if not len(rows):
                continue
            values = task.metrics().compute(result.at(name, rows), take(encoded.targets[name].columns, rows))
            found.update({f"{name}.{metric}": float(value) for metric, value in values.items()})
            found[f"{name}.loss"] = result.losses[name] / result.counts[name] if result.counts[name] else float("nan")
            total += weights[name] * found[f"{name}.loss"]
    found["loss"] = total
    return found


def calibrate(data: Data, scored: Mapping[str, Scored]) -> None:
    """Let each task set its thresholds from validation rows."""
    for table, result in scored.items():
        encoded = data.tables[table]
        for name in data.parts.config.tasks_of(table):
            rows = encoded.labelled(name, "validation")
            if len(rows):
                data.parts.tasks[name].calibrate(result.at(name, rows), take(encoded.targets[name].columns, rows))


def judgements(
    data: Data,
    scored: Mapping[str, Scored],
    split: str,
    *,
    baselines: bool,
    bootstrap: int,
    seed: int,
    cautions: Mapping[str, Sequence[str]] | None = None,
) -> list[Judgement]:
    """One Judgement per task that has labelled rows in `split`; baselines are fitted on training rows."""
    made = []
    for table, result in scored.items():
        encoded = data.tables[table]
        for name in data.parts.config.tasks_of(table):
            rows = encoded.labelled(name, split)
            if not len(rows):
                continue
            task, target = data.parts.tasks[name], encoded.targets[name]
            beside = _baselines(data, table, name, rows, seed) if baselines else {}
            made.append(
                judge(
                    name,
                    task,
                    result.at(name, rows),
                    take(target.columns, rows),
                    split=split,
                    excluded=_excluded(data, table, name, split),
                    remarks={text: n for text, n in target.remarks.items() if n},
                    baselines=beside,
                    bootstrap=bootstrap,
                    seed=seed,
                    cautions=(cautions or {}).get(name, ()),
                )
            )
    return made


def _baselines(data: Data, table: str, name: str, rows: Array, seed: int) -> dict[str, Columns]:
    """The outputs of the task's baselines for `rows`; a matrix of features is made where one of them reads it."""
    encoded, task = data.tables[table], data.parts.tasks[name]
    target = encoded.targets[name].columns
    train, held = encoded.labelled(name, "train"), encoded.labelled(name, "validation")
    matrix = any(b.reads == "matrix" and not b.trivial for b in task.baselines(seed))
    return fit_baselines(
        task,
        features=classical(data, table, train, matrix=matrix),
        target=take(target, train),
        test_features=classical(data, table, rows, matrix=matrix),
        test_rows=len(rows),
        seed=seed,
        validation=(classical(data, table, held, matrix=matrix), take(target, held)) if len(held) else None,
    )


def _excluded(data: Data, table: str, task: str, split: str) -> dict[str, int]:
    """Rows of a split that were not judged, each once, by reason: the task's own where the split is the whole table."""
    encoded = data.tables[table]
    rows, target = encoded.splits[split], encoded.targets[task]
    unlabelled = int((~target.present[rows]).sum())
    reasons = {reason: n for reason, n in target.excluded.items() if n}
    if not unlabelled or len(rows) != encoded.size or sum(reasons.values()) != unlabelled:
        reasons = {" or ".join(reasons) or "without a usable label": unlabelled}
    reasons["without any input"] = int((target.present & ~encoded.usable)[rows].sum())
    return {reason: n for reason, n in reasons.items() if n}


def classical(data: Data, table: str, rows: Array, *, matrix: bool = True) -> Classical:
    """The features of all inputs of a table side by side, for classical baselines. A matrix without columns: no input offers
    any, or none was asked for."""
    inputs = data.tables[table].inputs
    offered = [data.parts.processors[name].classical(encoded, rows) for name, encoded in inputs.items() if matrix]
    found = [features for features in offered if features is not None]
    kinds = list(dict.fromkeys(features.kind for features in found))
    kind = kinds[0] if len(kinds) == 1 else " and ".join(each or "other columns" for each in kinds)
    return replace(_beside(found, len(rows)), kind=kind, inputs=inputs, rows=rows)


def _beside(found: Sequence[Classical], rows: int) -> Classical:
    if len(found) < 2:
        return found[0] if found else Classical(np.zeros((rows, 0)))
    if any(hasattr(f.matrix, "tocsr") for f in found):
        from scipy import sparse

        return Classical(
            sparse.hstack(
                [np.nan_to_num(f.matrix) if isinstance(f.matrix, np.ndarray) else f.matrix for f in found]
            ).tocsr()
        )
    offsets = np.cumsum([0] + [f.matrix.shape[1] for f in found])
    categorical = tuple(int(o) + c for o, f in zip(offsets, found, strict=False) for c in f.categorical)
    names = tuple(n for f in found for n in (f.names or ("",) * f.matrix.shape[1]))
    return Classical(np.hstack([f.matrix for f in found]), categorical, names=names)


def require_rows(data: Data) -> None:
    """Every task must have something to learn from: a run that would train on nothing is refused."""
    for name, section in data.parts.config.tasks.items():
        encoded = data.tables[section.data]
        if not len(encoded.labelled(name, "train")):
            reasons = ", ".join(f"{n} {why}" for why, n in encoded.targets[name].excluded.items() if n)
            raise TrainingError(
                f"task {name!r} has no training row with a usable label in table {section.data!r}"
                + (f" (excluded: {reasons})" if reasons else "")
            )
