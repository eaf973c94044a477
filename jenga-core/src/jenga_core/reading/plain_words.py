"""pydantic's findings in plain sentences: which key, what is wrong with its value, what is allowed, what was meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ..errors import nearest
from .problems import Problem, show
from .yaml_lines import KeyPath, dotted

Words: TypeAlias = Callable[[Mapping[str, Any]], str]

# pydantic's error type -> what was expected there; joined by "or" where a value may take several forms
_EXPECTED: dict[str, Words] = {
    "string_type": lambda c: "text",
    "int_type": lambda c: "a whole number",
    "int_parsing": lambda c: "a whole number",
    "int_parsing_size": lambda c: "a whole number of less than 4,300 digits",
    "int_from_float": lambda c: "a whole number",
    "float_type": lambda c: "a number",
    "float_parsing": lambda c: "a number",
    "finite_number": lambda c: "a finite number",
    "bool_type": lambda c: "true or false",
    "bool_parsing": lambda c: "true or false",
    "list_type": lambda c: "a list",
    "tuple_type": lambda c: "a list",
    "set_type": lambda c: "a list",
    "frozen_set_type": lambda c: "a list",
    "dict_type": lambda c: "a section of keys",
    "mapping_type": lambda c: "a section of keys",
    "model_type": lambda c: "a section of keys",
    "model_attributes_type": lambda c: "a section of keys",
    "none_required": lambda c: "nothing",
    "greater_than": lambda c: f"a value above {c['gt']:g}",
    "greater_than_equal": lambda c: f"a value of at least {c['ge']:g}",
    "less_than": lambda c: f"a value below {c['lt']:g}",
    "less_than_equal": lambda c: f"a value of at most {c['le']:g}",
    "multiple_of": lambda c: f"a multiple of {c['multiple_of']}",
    "too_short": lambda c: f"at least {_entries(c['min_length'])}",
    "too_long": lambda c: f"at most {_entries(c['max_length'])}",
    "string_too_short": lambda c: f"text of at least {c['min_length']} characters",
    "string_too_long": lambda c: f"text of at most {c['max_length']} characters",
    "string_pattern_mismatch": lambda c: f"text of the form {c['pattern']}",
}
_UNKNOWN = "unknown key"
_CHOICES = {"literal_error": "expected", "enum": "expected", "union_tag_invalid": "expected_tags"}


def explain(error: ValidationError, root: type[BaseModel], value: Any, at: KeyPath, command: str) -> list[Problem]:
    """The problems of `value`, which `root` refused; `at` is where `value` stands, `command` what to run next.

    Findings at one place (the branches of a union) become one problem; a key that is missing because it is misspelt is
    told once.
    """
    places: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        places.setdefault(_path(detail, value), []).append(detail)
    outer = {path[:end] for path in places for end in range(len(path))}  # other branches of a union that came further
    problems = [_problem(root, value, path, places[path], at, command) for path in places if path not in outer]
    meant = {(*p.path[:-1], p.nearest) for p in problems if p.what.startswith(_UNKNOWN)}
    misspelt = meant & {(*at, *path) for path, details in places.items() if details[0]["type"] == "missing"}
    return [p for p in problems if p.path not in misspelt]


def _problem(
    root: type[BaseModel], value: Any, path: KeyPath, details: list[ErrorDetails], at: KeyPath, command: str
) -> Problem:
    detail = next((d for d in details if d["type"] in ("extra_forbidden", "missing")), details[0])
    kind, here = detail["type"], (*at, *path)
    if kind == "extra_forbidden":
        section = f"in `{dotted(here[:-1])}`" if here[:-1] else "at the top"
        known = fields_at(root, value, path[:-1])
        what = f"{_UNKNOWN} {str(path[-1])!r} (value {show(detail['input'])}) {section}"
        return Problem(path=here, what=what, allowed=tuple(known), nearest=nearest(str(path[-1]), known), next=command)
    if kind == "missing":
        described = fields_at(root, value, path[:-1]).get(str(path[-1]), "")
        what = f"`{path[-1]}` is missing" + (f": {described}" if described else "")
        return Problem(path=here, what=what, next=command)
    if kind == "union_tag_not_found":
        return Problem(path=(*here, "kind"), what="`kind` is missing: it says which of several is meant", next=command)
    if kind == "union_tag_invalid":
        here, given = (*here, "kind"), str(detail["ctx"]["tag"])
    else:
        given = detail["input"]
    allowed = tuple(dict.fromkeys(choice for d in details for choice in _choices(d)))
    guess = nearest(str(given), allowed) if allowed else None
    return Problem(path=here, what=_sentence(details, given), allowed=allowed, nearest=guess, next=command)


def _sentence(details: list[ErrorDetails], given: Any) -> str:
    expected = list(dict.fromkeys(words for d in details if (words := _expected(d))))
    if expected:
        hint = "; put it in quotes" if expected == ["text"] and isinstance(given, bool | int | float) else ""
        return f"expected {' or '.join(expected)}, not {show(given)}{hint}"
    if any(_choices(d) for d in details):
        return f"{show(given)} is none of the allowed values"
    cause = details[0].get("ctx", {}).get("error")
    text = str(cause) if cause is not None else details[0]["msg"]
    return text if cause is not None else f"{text[:1].lower()}{text[1:]}, but the value is {show(given)}"


def _expected(detail: ErrorDetails) -> str | None:
    words = _EXPECTED.get(detail["type"])
    return words(detail.get("ctx", {})) if words else None


def _entries(count: int) -> str:
    return "one entry" if count == 1 else f"{count} entries"


def _choices(detail: ErrorDetails) -> list[str]:
    """The allowed values of an enumeration; pydantic gives them as one text: ``'a', 'b' or 'c'``."""
    key = _CHOICES.get(detail["type"])
    return [c.strip("'") for c in re.split(r", | or ", str(detail["ctx"][key]))] if key else []


# ------------------------------------------------------------------ where


def _path(detail: ErrorDetails, value: Any) -> KeyPath:
    """pydantic's location without the labels it adds for the branches of unions and for validators.

    A label can look like a key (`sampling: {kind: temperature, temperature: 2}`), so of all ways to read the location
    the one that ends at the very value pydantic complains about is taken, else the longest.
    """
    location, wanted = detail["loc"], detail["input"]
    if detail["type"] == "missing":  # its input is the section that lacks the key
        return (*_longest(location[:-1], value, lambda found: found == wanted), location[-1])
    if detail["type"] == "extra_forbidden":
        key = location[-1]
        return (*_longest(location[:-1], value, lambda found: isinstance(found, Mapping) and key in found), key)
    return _longest(location, value, lambda found: found is wanted or bool(found == wanted))


def _longest(location: tuple[int | str, ...], value: Any, fits: Callable[[Any], bool]) -> KeyPath:
    ways = list(_ways(location, value))
    return max([path for path, found in ways if fits(found)] or [path for path, _ in ways], key=len)


def _ways(location: tuple[int | str, ...], value: Any) -> Iterator[tuple[KeyPath, Any]]:
    if not location:
        yield (), value
        return
    first, rest = location[0], location[1:]
    for found in _child(value, first):
        for path, end in _ways(rest, found):
            yield (first, *path), end
    yield from _ways(rest, value)


def _child(value: Any, key: int | str) -> list[Any]:
    """The value under `key` as a list of one, or an empty list. Component options may already be models."""
    if isinstance(value, Mapping):
        return [value[key]] if key in value else []
    if isinstance(value, list | tuple):
        return [value[key]] if isinstance(key, int) and key < len(value) else []
    return []


def fields_at(root: type[BaseModel], value: Any, path: KeyPath) -> dict[str, str]:
    """Key -> description, in the model's order, of the section at `path`; of a union, the branch whose `kind` fits."""
    found: list[Any] = [root]
    for key in path:
        value = next(iter(_child(value, key)), None)
        found = [inner for annotation in found for inner in _under(annotation, key)]
    models = [a for annotation in found for a in _branches(annotation) if _is_model(a)]
    kind = value.get("kind") if isinstance(value, Mapping) else None
    fitting = [m for m in models if kind in _literal(m, "kind")] or models
    return {name: field.description or "" for m in fitting for name, field in m.model_fields.items()}


def _branches(annotation: Any) -> Iterator[Any]:
    """The plain types of an annotation: unions taken apart, `Annotated` taken off."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        for inner in get_args(annotation):
            yield from _branches(inner)
    else:
        yield annotation


def _under(annotation: Any, key: int | str) -> Iterator[Any]:
    """The annotations of what stands under `key`: a field of a model, a value of a dict, an item of a list."""
    for branch in _branches(annotation):
        if _is_model(branch):
            if key in branch.model_fields:
                yield branch.model_fields[key].annotation
        elif get_args(branch):
            yield get_args(branch)[1 if get_origin(branch) is dict else 0]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _literal(model: type[BaseModel], name: str) -> tuple[Any, ...]:
    return get_args(model.model_fields[name].annotation) if name in model.model_fields else ()
