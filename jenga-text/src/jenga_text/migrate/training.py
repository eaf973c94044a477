"""`training` as `train`, `seed`, `hooks` and the split of the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jenga_core.errors import nearest

from .draft import Draft
from .sections import Section, flag, number, text, whole

# old key, new key, form, the original's default where Jenga's is another
PLAIN: tuple[tuple[str, str, Callable[[Any], Any], Any], ...] = (
    ("batch_size", "batch_size", whole, 16),
    ("eval_batch_size", "evaluate_batch_size", whole, None),
    ("gradient_accumulation_steps", "accumulate", whole, None),
    ("learning_rate", "learning_rate", number, 2e-5),
    ("weight_decay", "weight_decay", number, None),
)
STRATEGIES = {"epoch": "epochs", "steps": "steps"}
TRACKERS = ("tensorboard", "mlflow", "wandb")
SAMPLING = ("round_robin", "proportional", "temperature")


@dataclass(frozen=True)
class Split:
    validation: float
    seed: int


def split(training: Section, draft: Draft) -> Split:
    """80/20 with seed 42 unless training.data says otherwise."""
    data = training.section("data")
    share, seed = data.get("test_size", number), data.get("seed", whole)
    for key in ("num_workers", "pin_memory"):
        draft.drop(data, key, "rows are encoded once and held in memory")
    return Split(0.2 if share is None else share, 42 if seed is None else seed)


def train(training: Section, tables: int, draft: Draft) -> None:
    """Everything of `train` but the monitor."""
    _epochs(training, draft)
    for old, new, form, default in PLAIN:
        value = training.get(old, form)
        if value is not None:
            draft.put(("train", new), value, of=training.where(old))
        elif default is not None:
            draft.put(("train", new), default, "the original's default")
    _schedule(training, draft)
    _precision(training, draft)
    norm = training.get("max_grad_norm", number)
    if norm is not None:
        draft.put(("train", "clip_norm"), norm or None, of=training.where("max_grad_norm"))
    _device(training, draft)
    _sampling(training, tables, draft)
    _strategies(training, draft)
    _checkpoint(training, draft)
    _logging(training, draft)
    draft.drop(training, "output_dir", "the run's folder is runs/PROJECT/TIME, or: jenga train --output DIR")


def _epochs(training: Section, draft: Draft) -> None:
    key, epochs = training.first(whole, "num_epochs", "epochs")
    remarks = ["the original's default"] if epochs is None else []
    if key == "epochs":
        remarks = ["training.epochs, which the original dropped without a word"]
    draft.put(("train", "epochs"), 3 if epochs is None else epochs, *remarks, of=training.where(key))


def _schedule(training: Section, draft: Draft) -> None:
    steps, ratio = training.get("warmup_steps", whole), training.get("warmup_ratio", number)
    if steps is not None and ratio is not None:
        training.problem("`warmup_steps` and `warmup_ratio` say the same; keep one", "warmup_ratio")
    remarks = [] if steps is not None or ratio is not None else ["the original's default"]
    value = {"warmup_ratio": ratio} if ratio is not None else {"warmup_steps": 100 if steps is None else steps}
    where = training.where("warmup_steps" if ratio is None else "warmup_ratio")
    draft.put(("train", "schedule"), {"kind": "linear", **value}, *remarks, of=where)


def _precision(training: Section, draft: Draft) -> None:
    if training.get("use_amp", flag):
        remark = "use_amp; fp16 needs a GPU (the original went on without it): fp32 or bf16 elsewhere"
        draft.put(("train", "precision"), "fp16", remark, of=training.where("use_amp"))


def _device(training: Section, draft: Draft) -> None:
    device = training.get("device", text)
    if device == "cpu":
        draft.put(("train", "device"), "cpu", of=training.where("device"))
    elif device not in (None, "auto"):
        draft.put(("train", "device"), "auto", f"{device}: auto takes the accelerator that there is")


def _sampling(training: Section, tables: int, draft: Draft) -> None:
    kind, temperature = training.get("task_sampling", text), training.get("temperature", number)
    if kind is not None and kind not in SAMPLING:
        near = nearest(kind, SAMPLING)
        training.problem(f"unknown sampling {kind!r}", "task_sampling", allowed=SAMPLING, nearest=near)
        return
    if tables == 1:
        draft.drop(training, "task_sampling", "there is one table")
        draft.drop(training, "temperature", "there is one table")
        return
    if kind != "temperature":
        draft.drop(training, "temperature", "task_sampling is not temperature")
    said = (
        "the original took turns, whatever it was told"
        if kind not in (None, "round_robin")
        else "as the original took turns"
    )
    value: Any = kind or "round_robin"
    if kind == "temperature":
        value = {"kind": kind, "temperature": 2.0 if temperature is None else temperature}
    draft.put(("train", "sampling"), value, said, of=training.where("task_sampling"))


def _strategies(training: Section, draft: Draft) -> None:
    for old, new in (("eval", "evaluate"), ("save", "checkpoint")):
        key = f"{old}_strategy"
        given, steps = training.get(key, text), training.get(f"{old}_steps", whole)
        if given == "no":
            draft.drop(training, key, "validation rows are scored and the state is kept after each epoch")
        elif given is not None and given not in STRATEGIES:
            training.problem(f"unknown strategy {given!r}", key, allowed=[*STRATEGIES, "no"])
        elif given == "steps" and steps is None:
            training.problem(
                f"`{key}: steps` needs `{old}_steps`: the original had no such key and never read this one", key
            )
        elif given == "steps":
            draft.put(("train", new), {"steps": steps}, of=training.where(f"{old}_steps"))
        elif given == "epoch":
            draft.drop(training, key, "after each epoch is what Jenga does")
        if given != "steps":
            draft.drop(training, f"{old}_steps", f"{key} is not steps")
    if training.get("load_best_model_at_end", flag) is False:
        draft.remark(
            ("train", "epochs"), "load_best_model_at_end: false; Jenga always ends with the best weights by `monitor`"
        )
    draft.drop(training, "load_best_model_at_end", "Jenga always ends with the best weights by `monitor`")


def _checkpoint(training: Section, draft: Draft) -> None:
    section = training.section("checkpoint")
    every, most = section.get("save_every_n_epochs", whole), section.get("max_checkpoints", whole)
    limit = training.get("save_total_limit", whole)
    draft.drop(section, "save_best", "the best weights are always kept, and become the model")
    by_steps = draft.values["train"].get("checkpoint", {})
    if (by_steps and every is not None) or (limit is not None and most is not None):
        training.problem("`checkpoint` and keys beside it say the same; keep one", "checkpoint")
    most = limit if most is None else most
    if every is None and most is None:
        return
    value = by_steps or {"epochs": 1 if every is None else every}
    keep = {} if most is None else {"keep": max(most, 2)}
    remark = ["keep: at least two, so that a torn one does no harm"] if most is not None and most < 2 else []
    draft.put(("train", "checkpoint"), {**value, **keep}, *remark, of=section.where())


def _logging(training: Section, draft: Draft) -> None:
    logging = training.section("logging")
    service = logging.get("service", text)
    if service in TRACKERS:
        remark = f'needs: pip install "jenga-core[{service}]"; log.jsonl and report.html are written without it'
        draft.put(("train", "trackers"), [service], remark, of=logging.where("service"))
    elif service not in (None, "none"):
        near = nearest(service, TRACKERS)
        logging.problem(f"unknown service {service!r}", "service", allowed=[*TRACKERS, "none"], nearest=near)
    every = logging.get("log_every_n_steps", whole)
    if every is not None:
        draft.put(("train", "log_every"), every, of=logging.where("log_every_n_steps"))
    draft.drop(logging, "experiment_name", "runs are logged under the name of the project")
    if logging.has("tracking_uri"):
        draft.warn(
            f"{logging.where('tracking_uri')}: a tracking server's address does not belong in a file that is passed on; "
            "it is not repeated here: set MLFLOW_TRACKING_URI"
        )
    draft.drop(logging, "tracking_uri", "set MLFLOW_TRACKING_URI", hide=True)


def early_stopping(training: Section, draft: Draft) -> None:
    patience = training.get("early_stopping_patience", whole)
    if patience is not None:
        draft.put(("hooks",), [{"kind": "core/early-stopping", "patience": patience}])
        draft.sources["hooks"] = training.where("early_stopping_patience")
