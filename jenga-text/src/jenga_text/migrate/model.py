"""`model`, `fusion` and `tokenizer` as backbones, processors and conditioning."""

from __future__ import annotations

from typing import Any

from .draft import Draft
from .sections import Section, flag, number, text, whole

ENCODER, NETWORK = "encoder", "table"
PROCESSORS = {"text": "text/tokenizer", "table": "security/table"}
BACKBONES = {"text": ENCODER, "table": NETWORK}
CONDITIONING = {"attention": "attention", "concatenation": "concat", "concat": "concat", "none": "none"}


def backbones(old: Section, families: set[str], draft: Draft) -> None:
    """What `families` need: an encoder for text, a network for tables."""
    model = old.section("model")
    key, base = model.first(text, "base_model", "name")
    draft.drop(model, "hidden_size", "the encoder's own")
    dropout = model.get("dropout", number)
    draft.drop(model, "input_dim", "Jenga counts the columns")
    if "text" in families:
        _encoder(model, key, base, dropout, draft)
    if "table" in families:
        _network(model, key, dropout, "text" in families, draft)


def _encoder(model: Section, key: str, base: str | None, dropout: float | None, draft: Draft) -> None:
    at = ("backbones", ENCODER)
    options: dict[str, Any] = {
        "kind": "text/transformer",
        "checkpoint": base or "distilbert-base-uncased",
        "pooling": "cls",
    }
    draft.put(
        at, options, "pooling: cls, the first token, as in the original; mean is Jenga's own choice", of=model.where()
    )
    if base is None:
        draft.remark(at, "checkpoint: the original's default")
    if key == "name":
        draft.remark(at, "checkpoint: model.name, which the original dropped for its default without a word")
    draft.sources[".".join((*at, "checkpoint"))] = model.where(key)
    if dropout is not None:
        options["dropout"] = dropout
        draft.remark(at, "dropout: of the encoder's layers; the original read it and used it nowhere there")
        draft.sources[".".join((*at, "dropout"))] = model.where("dropout")
    _frozen(model, options, draft)
    if model.get("gradient_checkpointing", flag):
        options["gradient_checkpointing"] = True


def _frozen(model: Section, options: dict[str, Any], draft: Draft) -> None:
    key, layers = model.first(whole, "freeze_encoder_layers", "freeze_layers")
    if not layers:
        return
    at = ("backbones", ENCODER)
    options["freeze"] = layers - 1 if key == "freeze_encoder_layers" else layers
    if key == "freeze_encoder_layers":
        draft.remark(
            at, f"freeze: {key}: {layers} froze the embeddings and {layers - 1} layers; freeze: N freezes N layers"
        )
    else:
        draft.remark(at, f"freeze: {key}, which the original dropped without a word")
    draft.sources[".".join((*at, "freeze"))] = model.where(key)


def _network(model: Section, key: str, dropout: float | None, beside: bool, draft: Draft) -> None:
    at = ("backbones", NETWORK)
    options: dict[str, Any] = {"kind": "security/tabular-mlp"}
    if dropout is not None:
        options["dropout"] = dropout
    remark = "a perceptron in place of the original's one layer over the row; needs jenga-security"
    draft.put(at, options, remark, of=model.where("backbone_type"))
    if not beside:
        for needless in (key, "freeze_encoder_layers", "freeze_layers", "gradient_checkpointing"):
            draft.drop(
                model, needless, "a name that chose nothing" if needless == key else "there is no pretrained encoder"
            )


# ------------------------------------------------------------------ inputs


def processor(tokenizer: Section, family: str, at: tuple[str, ...], draft: Draft) -> dict[str, Any]:
    """The options of one input's processor."""
    options: dict[str, Any] = {"kind": PROCESSORS[family]}
    if family == "table":
        draft.remark(at, "numbers are scaled and text becomes categories; the original scaled nothing and took no text")
        return options
    length, cut = tokenizer.get("max_length", whole), tokenizer.get("truncation", flag)
    options["max_length"] = length if length is not None else 128
    if length is None:
        draft.remark(("inputs",), "max_length: the original's default")
    if cut is False:
        options["max_length"] = None
        draft.remark(at, "max_length: null for truncation: false; longer texts are read in windows that overlap")
    draft.sources[".".join((*at, "processor", "max_length"))] = tokenizer.where("max_length")
    return options


def without_padding(tokenizer: Section, texts: bool, draft: Draft) -> None:
    draft.drop(tokenizer, "padding", "batches are padded to their longest row, or not at all")
    draft.drop(tokenizer, "pad_token_id", "the tokenizer's own")
    if not texts:
        draft.drop(tokenizer, "max_length", "there is no text")
        draft.drop(tokenizer, "truncation", "there is no text")


# ------------------------------------------------------------------ fusion


def conditioning(old: Section, draft: Draft) -> None:
    """The original's fusion joined no inputs: it let a vector of the task read the tokens."""
    holders = [old.section("model"), old]
    given = [holder for holder in holders if holder.has("fusion")]
    for holder in holders:
        holder.asked["fusion"] = None
    if len(given) > 1:
        old.problem("`model.fusion` and `fusion` say the same; keep one", "fusion")
    if not given:
        return
    holder = given[0]
    value = holder.values["fusion"]
    fusion = (
        holder.section("fusion") if isinstance(value, dict) else Section({"type": value}, (), old.origin, old.problems)
    )
    kind = fusion.get("type", text) or "attention"
    if kind not in CONDITIONING:
        holder.problem(f"unknown fusion {kind!r}", "fusion", allowed=CONDITIONING)
        return
    residual = fusion.get("use_residual", flag)
    if residual is None:  # the rewrite's default; the first generation knew none of these keys
        residual = any(fusion.has(key) for key in ("dropout", "num_attention_heads", "gate_init_value"))
    chosen = "gated" if kind == "attention" and residual else CONDITIONING[kind]
    draft.put(("conditioning",), chosen, *_said(chosen, holder is old), of=holder.where("fusion"))
    if kind != "attention":
        draft.drop(fusion, "use_residual", "what the layer finds is added to the features")
    draft.drop(fusion, "hidden_size", "the encoder's own")
    draft.drop(fusion, "dropout", "this layer has none in Jenga")
    draft.drop(fusion, "num_attention_heads", "the original accepted it and used it nowhere")
    draft.drop(fusion, "gate_init_value", "what the layer adds is exactly zero before training")


def _said(chosen: str, top: bool) -> list[str]:
    said = ["fusion on the top level, which the original dropped without a word"] if top else []
    if chosen == "none":
        return said
    return [
        *said,
        "fusion was this in the original: a vector of each task reads the shared features (its first generation stopped with "
        "an error here). Padding has no weight, and nothing is added before training",
    ]
