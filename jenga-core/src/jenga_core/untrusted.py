"""Files of a model folder that may mean harm: plain files only, JSON within limits, networks no larger than their weights.

What a folder says is looked at before it can cost much: a pipe before it is opened, the size of a file before it is read, the
header of the weights before a network is built that they cannot fill.
"""

from __future__ import annotations

import json
import math
import re
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as registration

from .errors import ArtifactError, JengaError

MOST_JSON = 1 << 27  # bytes of one JSON file; the tokenizers of the largest vocabularies take a third of it
MOST_HEADER = 1 << 25  # bytes of the header of the weights: some hundred thousand tensors
MOST_DEPTH = 64  # lists and objects within each other; states nest about six deep
SPARE = 1 << 24  # numbers in parts of a network that are made and dropped again, or are no weights
SPARE_PARTS = 1 << 12
LARGEST = 1 << 20  # no option of a network is larger, unless its weights are many more than that
# What reading a state or building a network raises when facts are missing, of another type or out of range.
MALFORMED = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # half of a surrogate pair, perhaps with the other half


def is_plain(path: Path, folder: Path) -> bool:
    """Whether `path` is a file inside `folder`: no folder, pipe, device or socket, and no link that leads out. Opens nothing."""
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, RuntimeError, ValueError):  # a name that is too long, links in a circle, NUL in a name
        return False


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. ArtifactError: no JSON, NaN, half of a surrogate pair, too large, too deep."""
    try:
        size = path.stat().st_size
        if size > MOST_JSON:
            raise ArtifactError(f"has {size:,} bytes, more than a state can have ({MOST_JSON:,})", where=str(path))
        data = path.read_bytes()
        value = json.loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
    except FileNotFoundError:
        raise ArtifactError("is missing from the model folder", where=str(path)) from None
    except RecursionError:
        raise ArtifactError("is nested too deeply: refused", where=str(path)) from None
    except (ValueError, OSError, MemoryError) as error:
        raise ArtifactError(f"is not JSON: {error}", where=str(path)) from error
    if not isinstance(value, dict):
        raise ArtifactError("is not a JSON object", where=str(path))
    _check(value, str(path), texts=_HALF.search(data) is not None)
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond float64")
    return value


def _check(value: Any, where: str, *, texts: bool) -> None:
    """Level by level, without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise ArtifactError(f"is nested more than {MOST_DEPTH} levels deep: refused", where=where)
        inner = [each for some in level for each in (some.values() if isinstance(some, dict) else some)]
        if texts:
            keys = [key for some in level if isinstance(some, dict) for key in some]
            for text in (*keys, *inner):
                if isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text):
                    raise ArtifactError("holds half of a surrogate pair, which is no text", where=where)
        level = [each for each in inner if isinstance(each, dict | list)]


@contextmanager
def refusing(where: Path, what: str) -> Iterator[None]:
    """ArtifactError that names the file in place of whatever a component raises over facts that are none: `what` says of what."""
    try:
        yield
    except JengaError:
        raise  # says itself what is wrong
    except MALFORMED as error:
        text = str(error).strip().splitlines() or [""]
        raise ArtifactError(f"{what}: {type(error).__name__}: {text[0]}", where=str(where)) from error


@dataclass(frozen=True, slots=True)
class Room:
    """What the file of the weights can fill: `tensors` of them, of `numbers` numbers in all (or fewer). `header`: its bytes."""

    tensors: int
    numbers: int
    header: int

    @classmethod
    def of(cls, path: Path) -> Room:
        """From the header of a safetensors file, of which no tensor is read. ArtifactError for an absurd one."""
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if length == 0 or length + 8 > size or length > MOST_HEADER:
                raise ArtifactError(
                    f"absurd header of {length:,} bytes in a file of {size:,}: refused", where=str(path)
                )
            text = file.read(length)
        try:
            found = json.loads(text)
            tensors = len(found.keys() - {"__metadata__"})
        except (ValueError, AttributeError, RecursionError) as error:
            raise ArtifactError(f"has a header that is none: {type(error).__name__}", where=str(path)) from error
        return cls(tensors, size - 8 - length, length)

    @contextmanager
    def holding(self, where: Path) -> Iterator[None]:
        """Around the making of a network: ArtifactError as soon as this thread makes more of it than the weights can fill.

        Each part is seen when it is registered, before it is given values: memory that nobody wrote to is not in use yet.
        """
        own, parts, numbers = threading.get_ident(), 0, 0

        def count(module: nn.Module, name: str, value: Any) -> None:
            nonlocal parts, numbers
            if threading.get_ident() != own:
                return
            parts += 1
            if isinstance(value, torch.Tensor) and not nn.parameter.is_lazy(value):
                numbers += value.numel()
            if parts > SPARE_PARTS + 16 * self.tensors or numbers > SPARE + self.numbers:
                raise ArtifactError(
                    f"describes a larger network than its weights fill ({self.tensors:,} tensors in {self.numbers:,} bytes)",
                    where=str(where),
                )

        with ExitStack() as stack:
            for kind in ("parameter", "buffer", "module"):
                register = getattr(registration, f"register_module_{kind}_registration_hook")
                stack.callback(register(count).remove)
            yield

    def allow(self, options: Any, where: Path) -> None:
        """ArtifactError for a whole number among a network's options, at any depth, that no network of this size can have."""
        largest = max(LARGEST, self.numbers)
        level = [("", options)]
        while level:
            name, value = level.pop()
            if isinstance(value, int) and abs(value) > largest:
                raise ArtifactError(f"`{name}: {value}` is larger than its weights can fill: refused", where=str(where))
            if isinstance(value, Mapping):
                level += [(str(key), each) for key, each in value.items()]
            elif isinstance(value, list | tuple):
                level += [(name, each) for each in value]
