"""What differs between encoders: where their layers are, how far their positions reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from jenga_core.errors import UserError

UNLIMITED = 512  # tokens read at once by an encoder whose configuration sets no limit


def stack(encoder: Any) -> tuple[str, nn.ModuleList]:
    """(name, layers), in order from the embeddings up."""
    count = encoder.config.num_hidden_layers
    for name, module in encoder.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise UserError(
        f"an encoder of type {encoder.config.model_type!r} has no list of {count} layers",
        where="text/transformer",
        next="leave `freeze` and `layer_decay` out",
    )


def freeze(encoder: Any, layers: int | None) -> None:
    """Take the embeddings and the first `layers` layers out of training; None: nothing."""
    if layers is None:
        return
    _, found = stack(encoder)
    if layers > len(found):
        raise UserError(f"freeze: {layers}, but the encoder has {len(found)} layers", where="text/transformer")
    for part in [encoder.get_input_embeddings(), *_embeddings(encoder), *found[:layers]]:
        part.requires_grad_(False)


def _embeddings(encoder: Any) -> list[nn.Module]:
    """Everything under `embeddings`: words, positions, types and their norm."""
    return [module for name, module in encoder.named_modules() if name.split(".")[-1] == "embeddings"]


def rates(encoder: Any, rate: float, decay: float) -> Mapping[str, float]:
    """Parameter -> learning rate: `rate` for the last layer, times `decay` for each step down; embeddings come lowest."""
    names = [name for name, _ in encoder.named_parameters()]
    if decay == 1.0:
        return dict.fromkeys(names, rate)
    place, found = stack(encoder)
    height = {f"{place}.{at}.": len(found) - 1 - at for at in range(len(found))}

    def steps(name: str) -> int:
        below = next((n for start, n in height.items() if name.startswith(start)), None)
        return below if below is not None else len(found) * ("embed" in name)

    return {name: rate * decay ** steps(name) for name in names}


def first_position(encoder: Any) -> int:
    """RoBERTa and its kin count positions from behind that of the padding."""
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def window(encoder: Any, wanted: int | None, first: int) -> int:
    """How many tokens the encoder reads at once."""
    reach = getattr(encoder.config, "max_position_embeddings", None) or 0
    limit = reach - first if reach > 0 else UNLIMITED
    if wanted is not None and reach > 0 and wanted > limit:
        raise UserError(f"window: {wanted}, but the encoder takes at most {limit} tokens", where="text/transformer")
    return wanted or limit
