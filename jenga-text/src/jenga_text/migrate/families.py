"""Files of the original that no plugin trains yet: language models and translation. What each of their keys means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jenga_core.errors import UserError, nearest
from jenga_core.reading.problems import show

from .sections import Section

_LORA = {
    "peft_type": "the way of training few weights; only LORA was known",
    "method": "the way of training few weights; only lora was known",
    "enabled": "whether it is used",
    "r": "LoRA: rank of the added matrices",
    "rank": "LoRA: rank of the added matrices",
    "lora_alpha": "LoRA: scale of the added matrices, times 1/rank",
    "alpha": "LoRA: scale of the added matrices, times 1/rank",
    "lora_dropout": "LoRA: dropout before the added matrices",
    "dropout": "LoRA: dropout before the added matrices",
    "target_modules": "LoRA: the layers that get them",
    "bias": "LoRA: which biases are trained",
    "modules_to_save": "layers that are trained whole",
}
_TEACHER = {
    "enabled": "whether there is a teacher",
    "teacher_model": "distillation: the model that is imitated",
    "distillation_alpha": "distillation: share of the teacher in the loss; the first generation ignored it",
    "alpha": "distillation: share of the teacher in the loss",
    "temperature": "distillation: temperature of both; the first generation ignored it",
}
_TRAINING = {
    "output_dir": "the run's folder: --output",
    "learning_rate": "train.learning_rate",
    "batch_size": "train.batch_size",
    "num_epochs": "train.epochs",
    "epochs": "train.epochs",
    "gradient_accumulation_steps": "train.accumulate",
    "weight_decay": "train.weight_decay",
    "max_grad_norm": "train.clip_norm",
    "warmup_ratio": "train.schedule.warmup_ratio",
    "warmup_steps": "train.schedule.warmup_steps",
    "lr_scheduler": "train.schedule",
    "lr_scheduler_type": "train.schedule",
    "fp16": "train.precision: fp16",
    "bf16": "train.precision: bf16",
    "mixed_precision": "train.precision",
    "logging_steps": "train.log_every",
    "save_steps": "train.checkpoint.steps",
    "eval_steps": "train.evaluate.steps",
    "eval_strategy": "train.evaluate",
    "save_strategy": "train.checkpoint",
    "save_total_limit": "train.checkpoint.keep",
    "metric_for_best_model": "train.monitor",
    "greater_is_better": "nothing: Jenga knows each metric's direction",
    "early_stopping_patience": "core/early-stopping: patience",
    "early_stopping_threshold": "core/early-stopping: min_delta",
    "label_smoothing": "share of the target spread over all tokens",
    "max_length": "most tokens of a row",
    "cpu_only": "train.device: cpu",
    "seed": "seed",
}
_LOGGING = {
    "service": "train.trackers",
    "report_to": "train.trackers",
    "experiment_name": "nothing: runs are logged under the project's name",
    "run_name": "nothing: runs are logged under the project's name",
    "tracking_uri": "the tracking server: MLFLOW_TRACKING_URI, not in a file",
    "log_every_n_steps": "train.log_every",
    "logging_steps": "train.log_every",
}
_DATA = {
    "path": "data: path",
    "format": "data: source, by the file's ending",
    "text_column": "the column of the texts",
    "response_column": "the column of what is to be learned",
    "instruction_column": "the column of the instructions; the original learned to write them too",
    "source_column": "the column of the texts to translate",
    "target_column": "the column of the translations",
    "train_split": "the rows to train on",
    "eval_split": "the rows to judge on; a single file has none of that name",
    "test_size": "split: validation",
    "validation_split": "split: validation",
    "test_split": "split: test",
    "max_length": "most tokens of a row",
    "max_samples": "most rows",
    "batch_size": "train.batch_size",
    "streaming": "nothing: the original used it nowhere",
}
_QUANTIZATION = {
    "enabled": "whether the weights are stored in few bits",
    "bits": "bits of a weight: 4 or 8",
    "double_quant": "4 bits: also the scales in few bits",
    "quant_type": "4 bits: nf4 or fp4",
    "compute_dtype": "the type that is computed with",
}


def _under(section: str, keys: Mapping[str, str]) -> dict[str, str]:
    return {f"{section}.{key}": meaning for key, meaning in keys.items()}


LANGUAGE_MODEL: dict[str, str] = {
    "project_name": "project",
    "model.name": "the pretrained model",
    "model.type": "what kind of model",
    "model.device": "train.device",
    "model.max_length": "most tokens of a row",
    "model.quantization": "weights in 4 or 8 bits while training",
    "model_name": "the pretrained model",
    "task_type": "causal_lm: a language model; seq2seq: from text to text",
    "merge_lora_weights": "add the trained matrices to the model's own",
    **_under("model.peft_config", _LORA),
    **_under("model.teacher_student_config", _TEACHER),
    **_under("lora", _LORA),
    **_under("quantization", _QUANTIZATION),
    **_under("distillation", _TEACHER),
    **_under("data", _DATA),
    **_under("training", _TRAINING),
    **_under("training.logging_config", _LOGGING),
    **_under("logging", _LOGGING),
    **_under("mlflow", _LOGGING),
}
TRANSLATION: dict[str, str] = {
    "language_pair": "project; the languages, from and to",
    "language_name": "project; the language",
    "model_config.name": "the pretrained model",
    "model_config.freeze_encoder": "do not train the encoder",
    **_under("model_config.peft_config", _LORA),
    **_under("model_config.teacher_student_config", _TEACHER),
    "dataset_config.custom_datasets.name": "data: a table's name",
    "dataset_config.custom_datasets.path": "data: path",
    "dataset_config.custom_datasets.weight": "how often its rows are seen (rehearsal of what was known before)",
    **_under("dataset_config", _DATA),
    "dataset_config.filter_length_ratio": "leave out pairs of very unlike length",
    "dataset_config.max_length_ratio": "the largest ratio of lengths that is kept",
    "dataset_config.min_length_ratio": "the smallest ratio of lengths that is kept",
    "dataset_config.tokenization.num_proc": "nothing: rows are encoded once",
    **_under("training_config", _TRAINING),
    "generation_config.num_beams": "beam search: how many",
    "generation_config.length_penalty": "beam search: favour long or short texts",
    "generation_config.no_repeat_ngram_size": "beam search: what may not be repeated",
    "generation_config.repetition_penalty": "beam search: how much repeating costs",
    "generation_config.max_length": "most tokens that are written",
    "evaluation_config.metrics": "BLEU and chrF; COMET needs a network",
    **_under("mlflow_config", _LOGGING),
}
SHAPES: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
    ("translation", TRANSLATION, ("language_pair", "model_config", "dataset_config", "training_config")),
    ("the fine-tuning of a language model", LANGUAGE_MODEL, ("model_name", "lora", "distillation", "quantization")),
)


def refuse_language_models(old: Section) -> None:
    """UserError for a file that jenga-llm will train, with what each of its keys means."""
    if old.has("tasks"):
        return
    model = old.values.get("model")
    if isinstance(model, dict) and "name" in model and "base_model" not in model:
        raise _refusal(old, "the fine-tuning of a language model", LANGUAGE_MODEL)
    for what, meanings, marks in SHAPES:
        if any(old.has(mark) for mark in marks):
            raise _refusal(old, what, meanings)


def _refusal(old: Section, what: str, meanings: dict[str, str]) -> UserError:
    rows = [
        (key, show(value), meanings.get(key) or _not_understood(key, meanings)) for key, value in _leaves(old.values)
    ]
    width = max((len(key) + len(value) for key, value, _ in rows), default=0) + 4
    lines = [f"  {f'{key}: {value}':<{min(width, 70)}}  {meaning}" for key, value, meaning in rows]
    return UserError(
        "\n".join(
            [
                f"a file for {what}. The package jenga-llm will train these; it does not exist yet, and nothing was written. "
                "Its keys mean:",
                *lines,
            ]
        ),
        where=old.where(),
        next="keep the file until jenga-llm is there",
    )


def _not_understood(key: str, meanings: Mapping[str, str]) -> str:
    near = nearest(key, meanings)
    return "not understood" + (f"; did you mean {near}?" if near else "")


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Dotted keys and what stands there; places in a list of sections are left out of the key."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for each in value:
            yield from _leaves(each, path)
    else:
        yield ".".join(path), value
