"""Frames as the rest of the core wants them: str names, plain dtypes, one type per column over all files, a digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .cells import EXACT, Kind, Seen, Written, integer_kind, integers, objects, spelt
from .column_types import ColumnType, infer
from .errors import DataError
from .values import USUAL, Numerals

_SCALARS = (str, bool, int, float, np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The rows of one file or DataFrame, tidy. `name` is how messages call it.

    `untyped`: columns of text that say nothing of their types, as in CSV; `numerals`: how they spell numbers.
    """

    name: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    untyped: frozenset[str] = frozenset()
    numerals: Numerals = USUAL

    def arranged(self, other: Part) -> pd.DataFrame:
        """The other's frame in this one's order of columns. Raises `DataError` when the columns are not the same."""
        mine, theirs = list(self.frame.columns), list(other.frame.columns)
        lacks, extra = [c for c in mine if c not in theirs], [c for c in theirs if c not in mine]
        if lacks or extra:
            said = [f"lacks {_some(lacks)}"] * bool(lacks) + [f"has {_some(extra)} more"] * bool(extra)
            raise DataError(f"other columns than {self.name}: {' and '.join(said)}", where=other.name)
        return other.frame[mine]


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


# ------------------------------------------------------------------ one frame


def tidy(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A copy with a RangeIndex, str column names and plain dtypes, and notes on what that changed.

    Categories and nullable types become what they hold. Of object columns: all strings -> str, all numbers -> numbers, a
    mix of scalars -> text, with a note; numbers that a file spells in its own way -> their text, see `untyped_of`; lists,
    bytes and the like stay. Raises `DataError` for names that are not unique.
    """
    if frame.columns.nlevels > 1:
        raise DataError(
            "the columns have several levels", where=name, next="frame.columns = frame.columns.map('_'.join)"
        )
    names = [str(c) for c in frame.columns]
    twice = sorted(n for n, times in Counter(names).items() if times > 1)
    if twice:
        raise DataError(f"the columns {_some(twice)} are there more than once", where=name)
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    plain = {n: _plain(frame[n]) for n in names if _odd(frame[n].dtype)}
    notes = [
        f"column {n!r} mixes types ({', '.join(mixed)}); its cells are taken as text"
        for n, (_, mixed) in plain.items()
        if mixed
    ]
    changed = frame.assign(**{n: values for n, (values, _) in plain.items()}) if plain else frame
    return changed, tuple(notes)


def _odd(dtype: Any) -> bool:
    """Is this neither numpy's own, nor str, nor a time with zone?"""
    usual = (
        isinstance(dtype, pd.DatetimeTZDtype) or dtype == "str" or (isinstance(dtype, np.dtype) and dtype.kind != "O")
    )
    return not usual


def _plain(values: pd.Series) -> tuple[Any, list[str]]:
    """The values in a plain dtype, and the names of the types that they mixed."""
    absent = values.isna().to_numpy()
    cells = [None if gone else v for v, gone in zip(values.astype(object), absent, strict=True)]
    types = {type(v) for v in cells if v is not None}
    if not types:
        return np.full(len(cells), np.nan), []
    if all(issubclass(t, str) for t in types):
        return pd.Series(cells, dtype="str"), []
    if all(issubclass(t, bool | np.bool_) for t in types):
        return (objects(cells) if absent.any() else np.asarray(cells, dtype=bool)), []
    if all(issubclass(t, int | np.integer) and not issubclass(t, bool) for t in types):
        return _whole_numbers(cells, bool(absent.any())), []
    if all(issubclass(t, int | float | np.number) and not issubclass(t, bool) for t in types):
        if Written in types:
            return pd.Series([v if v is None else spelt(v) for v in cells], dtype="str"), []
        return np.asarray([np.nan if v is None else float(v) for v in cells]), []
    if all(issubclass(t, _SCALARS) for t in types):
        text = pd.Series([v if v is None else spelt(v) for v in cells], dtype="str")
        return text, sorted("float" if t is Written else t.__name__ for t in types)
    if all(issubclass(t, pd.Timestamp) for t in types):
        return pd.Series(cells).pipe(pd.to_datetime, utc=True), []
    return objects(cells), []


def _whole_numbers(cells: list[Any], missing: bool) -> Any:
    exact = [None if v is None else int(v) for v in cells]
    largest = max(abs(v) for v in exact if v is not None)
    if integer_kind(largest) is Kind.TEXT:  # longer than any number that can be computed with
        return pd.Series([None if v is None else _digits(v) for v in exact], dtype="str")
    return integers(exact, Seen(integer_kind(largest), missing, False, largest).settled())


def _digits(value: int) -> str:
    """Also of more digits than `str` writes."""
    return str(value) if abs(value) < 10**4000 else hex(value)


def untyped_of(frame: pd.DataFrame) -> frozenset[str]:
    """Columns of numbers of a frame, not yet tidy, some of which their file spells in its own way: `tidy` makes them text."""
    found = set()
    for name, cells in frame.items():
        kinds = {type(v) for v in cells.dropna()} if cells.dtype == object else set()
        if Written in kinds and all(issubclass(k, int | float) and k is not bool for k in kinds):
            found.add(str(name))
    return frozenset(found)


def _huge(frame: pd.DataFrame) -> list[str]:
    names = [n for n in frame.columns if frame[n].dtype == object and _holds_integers(frame[n])]
    return [
        f"column {n!r} holds integers beyond what 64 bits can hold exactly; they are kept as they are" for n in names
    ]


def _holds_integers(values: pd.Series) -> bool:
    return pd.api.types.infer_dtype(values, skipna=True) == "integer"


# ------------------------------------------------------------------ several frames


def joined(
    parts: Sequence[Part], *, written: Collection[str] = (), types: Mapping[str, ColumnType] | None = None
) -> tuple[pd.DataFrame, tuple[str, ...], dict[str, ColumnType]]:
    """All rows of all parts under the first one's columns, the notes, and the type of each column.

    `written`: columns that are compared as they are written. `types`: those known from training; the cells of another
    column decide its own. Raises `DataError` when columns differ.
    """
    notes = [note for part in parts for note in part.notes]
    frames = [part.frame if part is parts[0] else parts[0].arranged(part) for part in parts]
    columns, found = {}, {}
    for name in frames[0].columns:
        pieces = [frame[name] for frame in frames]
        if types is None or name not in types:
            untyped = [name in part.untyped for part in parts]
            numerals = next((p.numerals for p in parts if p.untyped), USUAL)
            known, said = infer(list(zip(pieces, untyped, strict=True)), written=name in written, numerals=numerals)
            notes += _mixed(name, known, said)
            notes += _hint(name, pieces) if known.form == "text" and not known.written and any(untyped) else []
        else:
            known = types[name]
        found[name] = known
        columns[name] = _stacked([pd.Series(known.read(piece)) for piece in pieces])
    frame = pd.DataFrame(columns, index=frames[0].index if len(frames) == 1 else None)
    return frame, (*dict.fromkeys(notes), *_huge(frame)), found


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows of one file, or of one series, one after the other: no cell changes because others came in another type."""
    if len(frames) == 1:
        return frames[0]
    if all((frame.dtypes == frames[0].dtypes).all() for frame in frames):
        return pd.concat(frames)
    odd = [n for n in frames[0].columns if len({frame[n].dtype for frame in frames}) > 1]
    return pd.concat([frame.astype(dict.fromkeys(odd, object)) for frame in frames])


def _mixed(name: str, known: ColumnType, forms: Sequence[str]) -> list[str]:
    if known.form != "text" or known.written or len(forms) < 2:
        return []
    return [f"column {name!r} holds {' and '.join(forms)} in different files; its cells are taken as text"]


_SPELLINGS = {  # of numbers that are text without an option: pattern -> what it is, the option
    r"[+-]?\d+,\d+": ("a decimal comma", 'decimal: ","'),
    r"[+-]?\d{1,3}(\.\d{3})*,\d+": ("a decimal comma", 'decimal: ",", thousands: "."'),
    r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?": ("separators of thousands", 'thousands: ","'),
    r"[+-]?\d{1,3}([ \u00a0\u202f]\d{3})+": ("blanks between thousands", 'thousands: " "'),
    r"[+-]?\d+(\.\d+)?\s?%": ("a percent sign", None),
}


def _hint(name: str, pieces: Sequence[pd.Series]) -> list[str]:
    """What to say of text most of whose cells look like numbers that some people spell so."""
    head = pd.concat([piece.dropna().head(200) for piece in pieces]).astype("str").str.strip()
    plain = head.str.fullmatch(r"[+-]?\d+(\.\d+)?")
    for pattern, (what, option) in _SPELLINGS.items():
        alike = head.str.fullmatch(pattern)
        if len(head) and alike.any() and (alike | plain).mean() > 0.9:
            cure = (
                f"to read it: source: {{kind: core/csv, {option}}}" if option else "take the sign out to have numbers"
            )
            return [f"column {name!r} seems to hold numbers with {what} ({head[alike].iloc[0]!r}), and is text; {cure}"]
    return []


def _stacked(pieces: list[pd.Series]) -> Any:
    """One column out of its pieces, in a dtype that holds them all."""
    if len(pieces) == 1:
        return pieces[0]
    kinds = {p.dtype.kind if isinstance(p.dtype, np.dtype) else "" for p in pieces}
    whole = [p for p in pieces if p.dtype != object or _holds_integers(p)]
    if kinds <= {*"iufO"} and len(whole) == len(pieces):
        same = len({p.dtype for p in pieces}) == 1 and "O" not in kinds
        return pd.concat(pieces, ignore_index=True) if same else _exact(pieces)
    given = [p if p.notna().any() or p.dtype == "str" else p.astype(object) for p in pieces]
    filled = [pd.Series(objects([None] * len(p))) if p.isna().all() and p.dtype != "str" else p for p in given]
    return pd.concat(filled, ignore_index=True)


def _exact(pieces: list[pd.Series]) -> Any:
    """Numbers of several types: float64, but exact integers where float64 would round one and none has a fraction."""
    whole = [p.dropna().to_numpy(dtype=object) for p in pieces if p.dtype.kind in "iuO"]
    floats = [p for p in pieces if p.dtype.kind == "f"]
    rounds = any(abs(int(v)) > EXACT for p in whole if len(p) for v in (p.min(), p.max()))
    fractions = any(not (np.isfinite(d := p.dropna()) & (d % 1 == 0)).all() for p in floats)
    if floats and (fractions or not rounds):
        return np.concatenate([p.to_numpy(dtype=np.float64, na_value=np.nan) for p in pieces])
    cells = [None if pd.isna(v) else int(v) for p in pieces for v in p]
    largest = max(abs(v) for v in cells if v is not None)
    return integers(cells, Seen(integer_kind(largest), None in cells, False, largest).settled())


# ------------------------------------------------------------------ digest


def digest(frame: pd.DataFrame) -> str:
    """sha256 of the column names, kinds and cells in order: the same for the same content in any file and format."""
    total = hashlib.sha256()
    for name in frame.columns:
        kind, numbers = _hashes(frame[name])
        total.update(json.dumps([name, kind, len(numbers)]).encode())
        total.update(numbers.tobytes())
    return total.hexdigest()


def _hashes(values: pd.Series) -> tuple[str, np.ndarray]:
    """One uint64 per cell, and the letter of numpy's for what the cells are."""
    kind = getattr(values.dtype, "kind", "O")
    if values.dtype != object and kind in "iub":
        return kind.replace("u", "i"), values.to_numpy().astype(np.int64).view(np.uint64)
    if kind == "f":
        wide = values.to_numpy().astype(np.float64)
        return "f", np.where(np.isnan(wide), np.nan, wide).view(np.uint64)
    if values.dtype == "str":
        cells = values.fillna("\0").to_numpy(dtype=object)
    else:
        absent = values.isna()
        cells = objects(
            ["\0" if gone else v if isinstance(v, str) else repr(v) for v, gone in zip(values, absent, strict=True)]
        )
    return "O", pd.util.hash_array(cells, categorize=False)
