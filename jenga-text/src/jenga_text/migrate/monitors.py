"""`metric_for_best_model` as `train.monitor`."""

from __future__ import annotations

from collections.abc import Mapping

from jenga_core.errors import UserError, nearest

from .draft import Metrics, Translated

_WEIGHTED = "weighted by the classes' rows, as before"
CLASSES: Metrics = {
    "accuracy": ("accuracy", ""),
    **{name: (f"{name}_weighted", _WEIGHTED) for name in ("f1", "precision", "recall")},
}
SCORES: Metrics = {
    "f1": ("f1", "over all answers of the head, at a probability above a half; the original cut its logits there"),
    "accuracy": ("accuracy", "the share of single answers that are right; before, of rows with all answers right"),
    "precision": ("f1", "there is no precision of a head: f1 is the closest"),
    "recall": ("f1", "there is no recall of a head: f1 is the closest"),
}
ENTITIES: Metrics = {
    **{name: (name, "of whole entities; before, of single tokens") for name in ("f1", "precision", "recall")},
    "accuracy": ("f1", "of whole entities: the accuracy of tokens is high where nothing is found"),
}
NUMBERS: Metrics = {
    "rmse": ("rmse", ""),
    "mae": ("mae", ""),
    "mse": ("rmse", "the root of it, which chooses the same weights"),
}
ALERTS: Metrics = {name: (name, "") for name in ("accuracy", "f1", "precision", "recall")}
ANSWERS: Metrics = {"f1": ("f1", ""), "qa_dummy_metric": ("f1", "the original's was always 0")}


def known(translated: Mapping[str, Translated]) -> dict[str, tuple[str, str]]:
    """Every name that the original could write, without `eval_` -> (monitor, what is not the same)."""
    several = sum(len(each.tasks) for each in translated.values()) > 1
    found = {
        "loss": ("loss", "the sum over tasks" if several else ""),
        "train_loss_avg": ("loss", "of validation rows"),
    }
    for task, each in translated.items():
        names = list(each.tasks)
        found[f"{task}_loss"] = (
            (f"{names[0]}.loss", "") if len(names) == 1 else ("loss", f"the sum over all tasks: {task} is several now")
        )
        for head, prefix in each.prefixes.items():
            for old, (new, remark) in each.metrics.items():
                found.setdefault(f"{task}_{head}_{old}", (prefix + new, remark))
                if len(translated) == len(each.prefixes) == 1:
                    found.setdefault(old, (prefix + new, remark))
    mean = (
        "the mean over tasks is no metric of Jenga; the sum of their losses is the closest that speaks of all of them"
    )
    for name in ("overall_f1", *(f"avg_{metric}" for metric in ("acc", "accuracy", "f1", "precision", "recall"))):
        found.setdefault(name, ("loss", mean) if several else found.get(name.partition("_")[2], ("loss", mean)))
    return found


def monitor(given: str, translated: Mapping[str, Translated], where: str) -> tuple[str, str]:
    """(monitor, what is not the same). UserError for a name that the original did not write either."""
    names = known(translated)
    plain = given.removeprefix("eval_")
    if plain not in names:
        allowed = [f"eval_{name}" for name in names]
        raise UserError(
            f"no metric of these tasks was called {given!r}",
            where=where,
            allowed=allowed,
            nearest=nearest(f"eval_{plain}", allowed),
        )
    return names[plain]
