"""What a cell is: decided per column in training, kept in the model folder, and the same at every door afterwards.

A file of text (CSV) says nothing of types, and what a reader would guess of `007` turns on the cells that happen to stand
beside it. So the core asks once, of all training files of a table together, and a model reads every later cell by that
answer, one cell at a time: alone or in a batch, from a file, a log or a DataFrame, a cell has one meaning.

Two columns of the same digits may be two things. A column that a component compares *as it is written* (names, labels,
groups, texts: `ComponentConfig.as_written`) is text, unless all its cells are numbers spelt the one way in which a number
comes back from being one (6, 6.0, 0.25; not 007, 1.10 or 1e5): then 6 and 6.0 are one name in every format. Any other column
that holds nothing but numbers is numbers, however they are spelt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any, Literal, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .cells import Kind, Seen, column, look, objects, spelt, spelt_as_python
from .errors import DataError
from .values import USUAL, Numerals

Form = Literal["integer", "float", "boolean", "time", "text", "other"]
_PLAIN = (  # what Python writes for the float it reads: at most 15 digits, none of them idle, no exponent
    r"^(0|-?[1-9][0-9]{0,14}|0\.0|-?[1-9][0-9]{0,14}\.0|-?[1-9][0-9]{0,6}\.[0-9]{0,7}[1-9]|-?0\.0{0,3}[1-9]([0-9]{0,9}[1-9])?)$"
)
_ISO_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIMES = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
          "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnType:
    """`form`: what the cells are. `written`: they are compared as they are written.

    `words`: how the text of the training files spelt false and true, None where they were truth values already;
    `times`: how it spelt times, as `strftime` writes it; both only of columns that are compared as written. `numerals`: how
    the text of the training files spelt numbers.
    """

    form: Form
    written: bool = False
    words: tuple[str, str] | None = None
    times: str | None = None
    numerals: Numerals = USUAL

    def read(self, cells: pd.Series) -> Any:
        """`cells` as what they are. A cell that cannot be that stays as it is written: who needs a number says so.

        Reading what was read already changes nothing.
        """
        read: dict[Form, Callable[[pd.Series], Any]] = {
            "integer": self._numbers,
            "float": self._numbers,
            "boolean": self._truths,
            "time": self._times,
            "text": self._text,
        }
        return read[self.form](cells) if self.form in read else cells

    def state(self) -> dict[str, Any]:
        """As JSON, what is not as usual."""
        kept = {"written": self.written, "words": self.words and list(self.words), "times": self.times}
        numerals = {} if self.numerals == USUAL else {"numerals": asdict(self.numerals)}
        return {"form": self.form, **{k: v for k, v in kept.items() if v}, **numerals}

    @classmethod
    def of_state(cls, state: Mapping[str, Any] | str) -> ColumnType:
        """The inverse of `state`; also of what folders held before it was kept, the name of a pandas type."""
        if isinstance(state, str):
            return cls(_of_dtype(state))
        words = state.get("words")
        return cls(
            state["form"],
            bool(state.get("written", False)),
            None if words is None else (words[0], words[1]),
            state.get("times"),
            _numerals(state.get("numerals", {})),
        )

    # ------------------------------------------------------------------ one form each

    def _numbers(self, cells: pd.Series) -> Any:
        kind = getattr(cells.dtype, "kind", "O")
        if cells.dtype == "str":
            return self._parsed(cells)
        if kind == "b":
            return cells.astype(np.int64)
        if kind != "O" or not _mixed(cells):
            return cells
        values = [int(v) if isinstance(v, bool | np.bool_) else v for v in cells]
        return self._parsed(pd.Series([spelt(v) for v in values], index=cells.index, dtype="str"))

    def _parsed(self, cells: pd.Series) -> Any:
        texts, absent = _arrow(cells), self.numerals.absent
        if self.written and not _all_plain(texts, absent):
            return _series(_canonical(texts, absent), cells)
        texts, foreign = spelt_as_python(texts, self.numerals)
        if pc.any(foreign).as_py():
            self._refuse(cells, foreign)
        seen = look(texts, Seen(), absent).settled()
        if seen.kind is Kind.TEXT:
            return cells if self.numerals.usual else _series(texts, cells)
        return pd.Series(column(texts, seen, absent, ()), index=cells.index, name=cells.name)

    def _refuse(self, cells: pd.Series, foreign: pa.Array) -> NoReturn:
        at = pc.index(foreign, True).as_py()
        raise DataError(
            f"{cells.iloc[at]!r} is not spelt as the numbers of this table are (decimal: {self.numerals.decimal!r}, thousands: "
            f"{self.numerals.thousands!r})",
            row=cells.index[at],
            column=str(cells.name),
            next="spell it so, or give numbers as numbers",
        )

    def _truths(self, cells: pd.Series) -> Any:
        if self.words is None and getattr(cells.dtype, "kind", "O") == "b":
            return cells
        codes, distinct = pd.factorize(cells)
        truths = [_truth(value) for value in distinct]
        if self.words is None and None not in truths and not (codes < 0).any():
            return pd.Series(np.array(truths, dtype=bool)[codes], index=cells.index, name=cells.name)
        if self.words is None and None not in truths:
            found = objects([*truths, None])[codes]
        else:
            words = self.words or ("false", "true")
            found = objects(
                [*(spelt(v) if t is None else words[t] for v, t in zip(distinct, truths, strict=True)), None]
            )
            return pd.Series(found[codes], index=cells.index, name=cells.name, dtype="str")
        return pd.Series(found, index=cells.index, name=cells.name, dtype=object)

    def _times(self, cells: pd.Series) -> Any:
        if cells.dtype != "str":
            return cells
        made = pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=_zoned(cells))
        return made if bool((made.notna() | cells.isna()).all()) else cells

    def _text(self, cells: pd.Series) -> Any:
        if cells.dtype == "str":
            return cells
        if pd.api.types.is_datetime64_any_dtype(cells.dtype):
            whole = cells.dt.strftime(self.times) if self.times else cells.map(spelt, na_action="ignore")
            return pd.Series(whole, index=cells.index, name=cells.name, dtype="str")
        if cells.dtype == object and cells.map(_nested).any():  # no text: whoever reads it says so, with the row
            return cells.map(lambda v: v if _nested(v) else spelt(v), na_action="ignore")
        codes, distinct = _distinct(cells)
        found = objects([*(spelt(value) for value in distinct), None])[codes]
        return pd.Series(found, index=cells.index, name=cells.name, dtype="str")


def _numerals(state: Mapping[str, Any]) -> Numerals:
    own: dict[str, Any] = {k: tuple(v) if k == "missing" else v for k, v in state.items()}
    return Numerals(**own)


# ------------------------------------------------------------------ finding it out


def infer(
    pieces: Sequence[tuple[pd.Series, bool]], *, written: bool, numerals: Numerals = USUAL
) -> tuple[ColumnType, list[Form]]:
    """The type of a column from its pieces in all files, and the forms that they had.

    A piece is (cells, whether they are text that says nothing of its type). `written`: it is compared as it is written.
    """
    found = [_form(cells, untyped, numerals) for cells, untyped in pieces]
    forms: list[Form] = sorted({form for form in found if form is not None})
    if not forms:
        return ColumnType("float", written, numerals=numerals), []
    form: Form = forms[0] if len(forms) == 1 else "float" if set(forms) == {"integer", "float"} else "text"
    if "other" in forms:
        return ColumnType("other", written), forms
    texts = [_arrow(cells) for cells, untyped in pieces if untyped]
    if not written:
        return ColumnType(form, numerals=numerals), forms
    if form in ("integer", "float") and not all(_all_plain(each, numerals.absent) for each in texts):
        form = "text"
    words = _words(texts) if form == "boolean" else None
    if form == "boolean" and texts and words is None:
        form = "text"  # true beside True: as they are written, two names
    times = _spelling(texts) if form == "text" else None
    return ColumnType(form, True, words, times, numerals), forms


def _form(cells: pd.Series, untyped: bool, numerals: Numerals) -> Form | None:
    """None where no cell has a value."""
    if untyped:
        texts, foreign = spelt_as_python(_arrow(cells), numerals)
        return "text" if pc.any(foreign).as_py() else _form_of_text(texts, numerals.absent)
    if not cells.notna().any():
        return None
    if cells.dtype == "str":
        return "text"
    if cells.dtype == object:
        inferred = pd.api.types.infer_dtype(cells, skipna=True)
        return inferred if inferred in ("integer", "boolean") else "other"  # type: ignore[return-value]
    kinds: dict[str, Form] = {"i": "integer", "u": "integer", "f": "float", "b": "boolean"}
    return kinds.get(getattr(cells.dtype, "kind", ""), "time")


def _form_of_text(texts: pa.Array, absent: Sequence[str]) -> Form | None:
    seen = look(texts, Seen(), absent).settled()
    if seen.kind is Kind.TEXT:
        return "boolean" if _truths_alone(texts) else "text"
    forms: dict[Kind, Form] = {Kind.INTEGER: "integer", Kind.HUGE: "integer", Kind.FLOAT: "float"}
    return forms.get(seen.kind)


def _truths_alone(texts: pa.Array) -> bool:
    head = pc.utf8_lower(pc.utf8_trim_whitespace(texts.slice(0, 64)))
    if not _among(head, ("true", "false", "")):
        return False
    return _among(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), ("true", "false", ""))


def _among(texts: pa.Array, words: Sequence[str]) -> bool:
    return bool(pc.all(pc.is_in(texts.drop_null(), pa.array(words, texts.type))).as_py())


def _words(texts: Sequence[pa.Array]) -> tuple[str, str] | None:
    """(false, true) as the files spell them, each in one way. The other one of a column that has only one of them is spelt
    alike."""
    found = {word.strip() for each in texts for word in pc.unique(each.drop_null()).to_pylist() if word.strip()}
    for words in (("false", "true"), ("False", "True"), ("FALSE", "TRUE")):
        if found and found <= {*words}:
            return words
    return None


def _spelling(texts: Sequence[pa.Array]) -> str | None:
    """How a column of times is spelt, if it is one and all its cells are spelt alike."""
    whole = pd.Series([t for each in texts for t in pc.unique(each.drop_null()).to_pylist()], dtype="str").str.strip()
    if not len(whole) or not whole.str.match(_ISO_DAY).all():
        return None
    for form in _TIMES:
        made = pd.to_datetime(whole, format=form, errors="coerce")
        if made.notna().all() and (made.dt.strftime(form) == whole).all():
            return form
    return None


# ------------------------------------------------------------------ cells


def _arrow(cells: pd.Series) -> pa.Array:
    found = pa.array(cells, type=pa.large_string(), from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _series(texts: pa.Array, like: pd.Series) -> pd.Series:
    return pd.Series(texts.to_pandas().to_numpy(), index=like.index, name=like.name, dtype="str")


def _bare(texts: pa.Array, absent: Sequence[str]) -> pa.Array:
    """Trimmed, and null where missing."""
    bare = pc.ascii_trim_whitespace(texts)
    return pc.if_else(pc.is_in(bare, pa.array(absent, bare.type)), pa.scalar(None, bare.type), bare)


def _all_plain(texts: pa.Array, absent: Sequence[str]) -> bool:
    return pc.all(pc.match_substring_regex(_bare(texts, absent), _PLAIN)).as_py() is not False


def _canonical(texts: pa.Array, absent: Sequence[str]) -> pa.Array:
    """Numbers that are plain as a number of theirs is named (6.0 as 6), all other text as it is."""
    bare = _bare(texts, absent)
    plain = pc.fill_null(pc.match_substring_regex(bare, _PLAIN), True)
    return pc.if_else(plain, pc.replace_substring_regex(bare, r"\.0$", ""), texts)


def _mixed(cells: pd.Series) -> bool:
    """Does an object column hold scalars that are not all numbers of one kind?"""
    kinds = {type(v) for v in cells[cells.notna()]}
    return kinds != {int} and all(issubclass(k, str | bool | int | float | np.generic) for k in kinds)


def _distinct(cells: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """(code per cell, -1 for missing; the distinct cells). True, 1 and 1.0 are three where a column mixes them."""
    if cells.dtype != object:
        codes, distinct = pd.factorize(cells)
        return codes, list(distinct)
    absent = cells.isna()
    pairs = objects([None if gone else (type(v).__name__, spelt(v)) for v, gone in zip(cells, absent, strict=True)])
    codes, named = pd.factorize(pairs)
    return codes, [text for _, text in named]


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False, "1": True, "0": False}.get(value.strip().casefold())
    return bool(value) if isinstance(value, bool | np.bool_ | int | float | np.number) and value in (0, 1) else None


def _nested(value: Any) -> bool:
    return not isinstance(value, str | bool | int | float | np.generic | date | time | Decimal | None)


def _zoned(cells: pd.Series) -> bool:
    return bool(cells.str.contains(r"(?:[Zz]|:\d\d[+-]\d\d(?::?\d\d)?)$", regex=True, na=False).any())


def _of_dtype(name: str) -> Form:
    forms: dict[str, Form] = {"str": "text", "object": "other", "bool": "boolean"}
    if name in forms:
        return forms[name]
    return "integer" if name.startswith(("int", "uint")) else "float" if name.startswith("float") else "time"
