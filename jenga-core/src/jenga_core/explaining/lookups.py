"""Integers that stand for names, followed to the embeddings that they look up.

An integer has no gradient and nothing lies between two token ids, but between their embeddings there is a straight line (as in
Captum's LayerIntegratedGradients). Every `embedding` and `one_hot` of `torch.nn.functional` in a forward pass is seen by a torch
function mode, so that a backbone needs to know nothing of this, whether it uses `nn.Embedding`, a bare parameter or somebody's
encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..errors import PluginError

# (which lookup of the pass, its integers, the table [V, D], the lookup itself) -> what the network gets
Answer = Callable[[int, Tensor, Tensor, Callable[[], Tensor]], Tensor]

Codes = Mapping[tuple[str, str], Tensor]  # (input, tensor) -> integers


class Lookups(TorchFunctionMode):
    """Within it, `answer` says what each embedding lookup gives; lookups are numbered in the order of the pass."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer, self.count = answer, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is functional.embedding:
            given = dict(zip(("input", "weight"), args, strict=False)) | named
            return self._answer(given["input"], given["weight"], lambda: func(*args, **named))
        if func is functional.one_hot:  # a lookup in the identity; in floating point, which a line needs
            given = dict(zip(("tensor", "num_classes"), args, strict=False)) | named
            if given.get("num_classes", -1) > 0:
                table = torch.empty(0, given["num_classes"], device=given["tensor"].device)
                return self._answer(given["tensor"], table, lambda: func(*args, **named).to(table.dtype))
        return func(*args, **named)

    def _answer(self, ids: Tensor, table: Tensor, look_up: Callable[[], Tensor]) -> Tensor:
        at, self.count = self.count, self.count + 1
        return self.answer(at, ids, table, look_up)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A lookup that differs between the rows and their reference.

    `start` and `change` [..., D]: the reference's embeddings, and the rows' minus those. `source` int64 [...]: which of the
    traced integers, numbered through, each of them is of.
    """

    start: Tensor
    change: Tensor
    source: Tensor


def trace(forward: Callable[[Codes], Any], codes: Codes, reference: Codes) -> dict[int, Lookup]:
    """The lookups of `codes` in a pass of `forward`, by their number. `codes`, `reference`: integer tensors of equal shapes.

    Which integer a lookup is of is found by a pass in which every integer is raised by its own number: what a lookup's
    integers rise by is where they come from. PluginError where integers reach an embedding changed otherwise, or not at all.
    """
    seen, at_reference = _record(forward, codes), _record(forward, reference)
    if [ids.shape for ids, _ in seen] != [ids.shape for ids, _ in at_reference]:
        raise _untraceable("which embeddings are looked up depends on the values that are looked up")
    probed = _probe(forward, _raised(codes))
    sources = [raised - 1 - ids for raised, (ids, _) in zip(probed, seen, strict=True)]
    changes = [here - there for (_, here), (_, there) in zip(seen, at_reference, strict=True)]
    _check(sources, changes, torch.cat([(codes[name] != reference[name]).flatten() for name in codes]))
    return {
        at: Lookup(at_reference[at][1], change, sources[at])
        for at, change in enumerate(changes)
        if bool((change != 0).any())
    }


def _raised(codes: Codes) -> dict[tuple[str, str], Tensor]:
    """Every integer plus its own number, counted from 1 over all tensors."""
    found, start = {}, 1
    for name, tensor in codes.items():
        numbers = torch.arange(start, start + tensor.numel(), device=tensor.device)
        found[name] = tensor.long() + numbers.view(tensor.shape)
        start += tensor.numel()
    return found


def _record(forward: Callable[[Codes], Any], codes: Codes) -> list[tuple[Tensor, Tensor]]:
    """(integers, embeddings) of every lookup."""
    seen: list[tuple[Tensor, Tensor]] = []

    def answer(at: int, ids: Tensor, table: Tensor, look_up: Callable[[], Tensor]) -> Tensor:
        seen.append((ids.long(), look_up()))
        return seen[-1][1]

    with torch.no_grad(), Lookups(answer):
        forward(codes)
    return seen


def _probe(forward: Callable[[Codes], Any], codes: Codes) -> list[Tensor]:
    """The integers of every lookup. Nothing is looked up: the integers lie outside the tables."""
    seen: list[Tensor] = []

    def answer(at: int, ids: Tensor, table: Tensor, look_up: Callable[[], Tensor]) -> Tensor:
        seen.append(ids.long())
        return table.new_zeros((*ids.shape, *table.shape[1:]))

    with torch.no_grad(), Lookups(answer):
        forward(codes)
    return seen


def _check(sources: Sequence[Tensor], changes: Sequence[Tensor], differs: Tensor) -> None:
    """Every changed embedding is of an integer that differs, and every integer that differs is looked up somewhere."""
    looked_up = torch.zeros_like(differs)
    for source, change in zip(sources, changes, strict=True):
        inside = (source >= 0) & (source < len(differs))
        looked_up[source[inside]] = True
        changed = (change != 0).any(dim=-1)
        if not bool(inside[changed].all()) or not bool(differs[source[changed]].all()):
            raise _untraceable("its integers are not looked up as they are")
    if bool((differs & ~looked_up).any()):
        raise _untraceable("not all of its integers are looked up in an embedding")


def _untraceable(why: str) -> PluginError:
    return PluginError(
        f"a network of this model cannot be explained: {why}",
        next="a processor's `reference` may leave such a tensor out",
    )
