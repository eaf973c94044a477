"""The one door to transformers: whatever is read from a checkpoint or built from a configuration passes through here.

No code that comes with a checkpoint or a model folder is run, and nobody is asked whether it may be: `trust_remote_code` is
False in every call, what names code is taken out of configurations before they are used (`harmless`), and a model type
that AutoModel has no class for is refused before anything of it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from jenga_core.errors import ArtifactError, UserError, nearest

LIBRARY = (  # what transformers raises where files or options are not as they should be
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, ImportError, RuntimeError, AssertionError,
    ZeroDivisionError, OverflowError, RecursionError, MemoryError,
)  # fmt: skip
# Keys by which a configuration chooses code: classes in files beside it or on the hub, kernels of the hub.
CODE = frozenset({"auto_map", "custom_pipelines", "custom_generate", "attn_implementation", "experts_implementation"})


def load_tokenizer(checkpoint: str) -> Any:
    """The fast tokenizer of a checkpoint, as transformers reads it."""
    from transformers import AutoTokenizer

    options = {"use_fast": True, "trust_remote_code": False}
    found = _load(lambda: AutoTokenizer.from_pretrained(checkpoint, **options), checkpoint, "tokenizer")
    if not getattr(found, "is_fast", False):  # RagTokenizer is none at all
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
    """The configuration of a checkpoint. UserError for a model type that needs code which comes with the checkpoint."""
    from transformers import AutoConfig, PreTrainedConfig

    described, _ = _load(lambda: PreTrainedConfig.get_config_dict(checkpoint), checkpoint, "configuration")
    if "model_type" in described:
        return _configured(described, f"the configuration of {checkpoint!r}", UserError)
    options = {"trust_remote_code": False}  # an old checkpoint without a type: transformers goes by its name
    return _load(lambda: AutoConfig.from_pretrained(checkpoint, **options), checkpoint, "configuration")


def config_of(architecture: Mapping[str, Any]) -> Any:
    """A Hugging Face configuration from its options. `UserError` for a model type or an option that is unknown."""
    from transformers import CONFIG_MAPPING

    kind = _known_type(architecture["model_type"], "architecture", UserError)
    make = CONFIG_MAPPING[kind]
    known = {*make().to_dict(), *make.attribute_map}
    for name in architecture:
        if name not in known:
            raise UserError(f"{kind} has no option {name!r}", where="architecture", nearest=nearest(name, known))
    options = {name: value for name, value in harmless(architecture).items() if name != "model_type"}
    return _refused(lambda: make(**options), f"{kind} refuses these options", "architecture", UserError)


def saved_config(described: Mapping[str, Any]) -> Any:
    """What `to_dict` of a configuration gave: of a checkpoint's own, with whatever its authors wrote there."""
    return _configured(described, "architecture", ArtifactError)


def new_encoder(config: Any, attention: str | None) -> Any:
    """An encoder with new weights in fp32. UserError for a configuration that transformers cannot build."""
    import torch
    from transformers import AutoModel

    options = {"dtype": torch.float32, "trust_remote_code": False, "attn_implementation": attention}
    make = cast("Any", AutoModel)
    what = f"an encoder of type {config.model_type!r} cannot be built"
    return _refused(lambda: make.from_config(config, **options), what, "text/transformer", UserError)


def harmless(described: Any) -> Any:
    """A configuration, at any depth of it, without what names code: keys of CODE, private ones (`_name_or_path`) and
    references to code on the hub (`owner/repo--file.Class`)."""
    if isinstance(described, Mapping):
        kept = {k: v for k, v in described.items() if not (k in CODE or str(k).startswith("_") or _is_reference(v))}
        return {key: harmless(value) for key, value in kept.items()}
    return [harmless(value) for value in described] if isinstance(described, list | tuple) else described


def _is_reference(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(each, str) and "--" in each for each in value)
    return isinstance(value, str) and "--" in value


def _configured(described: Mapping[str, Any], where: str, error: type[UserError]) -> Any:
    from transformers import CONFIG_MAPPING

    kind = _known_type(described.get("model_type"), where, error)
    make = CONFIG_MAPPING[kind]
    return _refused(lambda: make.from_dict(harmless(described)), f"{kind} refuses these options", where, error)


def _known_type(kind: Any, where: str, error: type[UserError]) -> str:
    """A model type that AutoModel builds with transformers' own code, found without importing any of it."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    if isinstance(kind, str) and kind in MODEL_MAPPING_NAMES:
        return kind
    raise error(
        f"AutoModel of this version of transformers knows no model_type {kind!r}, and code from a checkpoint is not run",
        where=where,
        nearest=nearest(str(kind), MODEL_MAPPING_NAMES),
        next="choose an encoder that transformers itself has (bert, roberta, modernbert, ...), or pip install -U transformers",
    )


def _refused(make: Callable[[], Any], what: str, where: str, error: type[UserError]) -> Any:
    try:
        return make()
    except UserError:
        raise
    except _library() as problem:
        raise error(
            f"{what}: {_first_line(problem)}", where=where, next="correct the options of the encoder"
        ) from problem


def _load(read: Callable[[], Any], checkpoint: str, what: str) -> Any:
    try:
        return read()
    except _library() as error:
        raise UserError(
            f"the {what} of {checkpoint!r} cannot be loaded: {_first_line(error)}",
            next="check the name; a folder must hold config.json, the weights and tokenizer.json",
        ) from error


def _library() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import StrictDataclassError  # a wrong option; no ValueError, and dear to import

    return (*LIBRARY, StrictDataclassError)


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()
