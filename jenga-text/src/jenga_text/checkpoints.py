"""Files of a checkpoint, from the hub or a folder, with errors that a user can act on. No code from a checkpoint is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jenga_core.errors import UserError, nearest


def load_tokenizer(checkpoint: str) -> Any:
    """The fast tokenizer of a checkpoint, as transformers reads it."""
    from transformers import AutoTokenizer

    found = _load(lambda: AutoTokenizer.from_pretrained(checkpoint, use_fast=True), checkpoint, "tokenizer")
    if not found.is_fast:
        raise UserError(
            f"the tokenizer of {checkpoint!r} has no fast version, which text/tokenizer needs for places in the text",
            next="choose another checkpoint, or use `processor: text/train-bpe`",
        )
    return found


def load_encoder(checkpoint: str, config: Any, attention: str | None) -> Any:
    """The pretrained encoder in fp32, whatever precision its file has. `attention`: the name of an implementation."""
    import torch
    from transformers import AutoModel

    options = {"dtype": torch.float32, "trust_remote_code": False, "attn_implementation": attention}
    return _load(lambda: AutoModel.from_pretrained(checkpoint, config=config, **options), checkpoint, "encoder")


def load_config(checkpoint: str) -> Any:
    from transformers import AutoConfig

    return _load(lambda: AutoConfig.from_pretrained(checkpoint, trust_remote_code=False), checkpoint, "configuration")


def config_of(architecture: Mapping[str, Any]) -> Any:
    """A Hugging Face configuration from its options. `UserError` for a model type or an option that is unknown."""
    from transformers import CONFIG_MAPPING

    kind = architecture["model_type"]
    if kind not in CONFIG_MAPPING:
        raise UserError(
            f"unknown model_type {kind!r}", where="architecture", nearest=nearest(str(kind), CONFIG_MAPPING.keys())
        )
    make = CONFIG_MAPPING[kind]
    known = {*make().to_dict(), *make.attribute_map}
    for name in architecture:
        if name not in known:
            raise UserError(f"{kind} has no option {name!r}", where="architecture", nearest=nearest(name, known))
    try:
        return make(**{name: value for name, value in architecture.items() if name != "model_type"})
    except (ValueError, TypeError) as error:
        raise UserError(f"{kind} refuses these options: {error}", where="architecture") from error


def saved_config(described: Mapping[str, Any]) -> Any:
    """What `to_dict` of a configuration gave: of a checkpoint's own, with whatever its authors wrote there."""
    from transformers import CONFIG_MAPPING

    kind = str(described["model_type"])
    if kind not in CONFIG_MAPPING:
        raise UserError(
            f"this version of transformers knows no model_type {kind!r}", next="pip install -U transformers"
        )
    return CONFIG_MAPPING[kind].from_dict(dict(described))


def _load(read: Callable[[], Any], checkpoint: str, what: str) -> Any:
    try:
        return read()
    except (OSError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"the {what} of {checkpoint!r} cannot be loaded: {first}",
            next="check the name; a folder must hold config.json, the weights and tokenizer.json",
        ) from error
