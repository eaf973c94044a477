"""Registers the builtin components, as any other plugin does."""

from __future__ import annotations

from jenga_core.api import FusionSpec, SourceSpec, TaskSpec, TrainerHookSpec, hookimpl

HERE = "jenga_core.builtin"
GRADIENTS = "gradient_balancing"


def _source(name: str, stem: str, suffixes: tuple[str, ...], summary: str) -> SourceSpec:
    return SourceSpec(
        name=name,
        factory=f"{HERE}.sources:{stem}Source",
        config=f"{HERE}.config:{stem}Config",
        suffixes=suffixes,
        summary=summary,
    )


def _task(name: str, stem: str, summary: str, module: str = "tasks") -> TaskSpec:
    return TaskSpec(
        name=name, factory=f"{HERE}.{module}:{stem}Task", config=f"{HERE}.config:{stem}Config", summary=summary
    )


def _fusion(name: str, stem: str, summary: str) -> FusionSpec:
    return FusionSpec(
        name=name, factory=f"{HERE}.fusions:{stem}Fusion", config=f"{HERE}.config:{stem}Config", summary=summary
    )


def _hook(name: str, stem: str, summary: str, module: str = "hooks") -> TrainerHookSpec:
    return TrainerHookSpec(
        name=name, factory=f"{HERE}.{module}:{stem}", config=f"{HERE}.config:{stem}Config", summary=summary
    )


@hookimpl
def jenga_register_sources() -> list[SourceSpec]:
    return [
        _source("csv", "Csv", (".csv", ".tsv", ".txt"), "Delimited text with a header line"),
        _source("json", "Json", (".json",), "One JSON array of objects"),
        _source("jsonl", "Jsonl", (".jsonl", ".ndjson"), "One JSON object per line"),
        _source("parquet", "Parquet", (".parquet", ".pq"), "Apache Parquet"),
    ]


@hookimpl
def jenga_register_tasks() -> list[TaskSpec]:
    return [
        _task("classification", "Classification", "One of several classes per row"),
        _task("multi-label", "MultiLabel", "Any number of labels per row", "multi_label"),
        _task("regression", "Regression", "A number per row"),
    ]


@hookimpl
def jenga_register_fusions() -> list[FusionSpec]:
    return [
        _fusion("concat", "Concat", "Pooled features of all inputs, concatenated and projected"),
        _fusion("attention", "Attention", "Self-attention over the tokens of all inputs"),
        _fusion("mean", "Mean", "Pooled features of all inputs, projected and averaged"),
    ]


@hookimpl
def jenga_register_trainer_hooks() -> list[TrainerHookSpec]:
    return [
        _hook("early-stopping", "EarlyStopping", "Stop when the monitored metric no longer improves"),
        _hook("uncertainty-balancing", "UncertaintyBalancing", "Weigh task losses by learned uncertainty", "balancing"),
        _hook("dwa-balancing", "DwaBalancing", "Weigh task losses by how fast each still falls", "balancing"),
        _hook("fixed-balancing", "FixedBalancing", "Weigh task losses by given factors", "balancing"),
        _hook("random-balancing", "RandomBalancing", "Weigh task losses at random, anew in every step", "balancing"),
        _hook("gradnorm-balancing", "GradnormBalancing", "Bring the tasks' gradient norms together", GRADIENTS),
        _hook("pcgrad-balancing", "PcgradBalancing", "Take conflicting parts off the tasks' gradients", GRADIENTS),
        _hook("cagrad-balancing", "CagradBalancing", "Near the mean gradient, help the worst-off task", GRADIENTS),
        _hook("mgda-balancing", "MgdaBalancing", "The shortest convex combination of task gradients", GRADIENTS),
        _hook("nash-mtl-balancing", "NashMtlBalancing", "A bargain between the tasks' gradients", GRADIENTS),
        _hook("ema", "Ema", "Exponential moving average of the weights"),
        _hook("gradient-statistics", "GradientStatistics", "Log gradient norms of each part and cosines between tasks"),
    ]
