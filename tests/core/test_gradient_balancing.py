"""Balancing by gradients inside real runs: which gradients go in, what comes out, accumulation, clipping, resume, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
import toys
from jenga_core.agreement import agreement
from jenga_core.builtin import gramian
from jenga_core.builtin.balancing_config import GradnormBalancingConfig
from jenga_core.builtin.gradient_balancing import GradnormBalancing
from jenga_core.builtin.task_gradients import shared_parameters
from jenga_core.errors import UserError
from jenga_core.evaluation import mean_of
from jenga_core.opening import open_run
from jenga_core.training import Defaults, prepare, train_step

METHODS = ["pcgrad", "cagrad", "mgda", "nash-mtl", "gradnorm"]
TABLES = {"label": "rows", "amount": "rows"}


def config(*hooks: Any, **train: Any) -> dict[str, Any]:
    """One table, one backbone of three parameters per unit, a class and a number; no dropout."""
    made = toys.numbers_config(clip_norm=None, device="cpu", **train)
    made["backbones"] = {"net": {"kind": "toy/dense", "width": 4}}
    made["tasks"] = {
        "label": {"kind": "core/classification", "target": "label"},
        "amount": {"kind": "core/regression", "target": "amount", "weight": 0.5},
    }
    return {**made, "hooks": list(hooks)}


def frame() -> pd.DataFrame:
    """A third of the rows lack the number, some lack the class."""
    made = toys.numbers_frame()
    made.loc[made.index % 3 == 0, "amount"] = np.nan
    made.loc[made.index % 7 == 1, "label"] = None
    return made


class Catch:
    """The gradients as the optimizer sees them, step by step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor | None]] = []

    @toys.hookimpl
    def on_gradients(self, run: Any) -> None:
        grads = {n: None if p.grad is None else p.grad.clone() for n, p in run.model.named_parameters()}
        self.steps.append(grads)


def opened(folder: Path, made: dict[str, Any], data: Any = None) -> tuple[Any, Any, Catch]:
    run = open_run(
        made, data=frame() if data is None else data, output=folder, resume=False, seed=None, overrides=(),
        registry=toys.registry(), quiet=True, defaults=Defaults(),
    )  # fmt: skip
    catch = Catch()
    run.hook._manager.register(catch)
    wrapped = prepare(run)
    run.hook.on_fit_start(run=run)
    return run, wrapped, catch


def one_step(folder: Path, made: dict[str, Any], *windows: np.ndarray, data: Any = None) -> tuple[Any, dict[str, Any]]:
    """(run, gradients of one step over these batches of rows)."""
    run, wrapped, catch = opened(folder, made, data)
    train_step(run, wrapped, [(i, ("rows", rows)) for i, rows in enumerate(windows)])
    return run, catch.steps[0]


def alone(folder: Path, rows: np.ndarray) -> dict[str, dict[str, torch.Tensor]]:
    """Per task, the gradients of its weighted loss for itself, by autograd."""
    run, _, _ = opened(folder, config())
    batch = run.data.batch("rows", rows, "train", np.random.default_rng(0))
    found = {}
    for name, part in batch.targets.items():
        run.model.zero_grad()
        weight = run.config.tasks[name].weight
        (run.data.parts.tasks[name].loss(run.model(batch)[name], part.data) * weight / part.count).backward()
        found[name] = {n: p.grad.clone() for n, p in run.model.named_parameters() if p.grad is not None}
    return found


def flat(gradients: dict[str, torch.Tensor]) -> np.ndarray:
    return torch.cat([g.flatten() for n, g in gradients.items() if n.startswith("backbones")]).double().numpy()


def weights_of(method: str, products: np.ndarray) -> np.ndarray:
    return {
        "pcgrad": lambda: gramian.pcgrad(products, np.random.default_rng(0)),  # two tasks: one order
        "cagrad": lambda: gramian.cagrad(products, 0.5),
        "mgda": lambda: gramian.mgda(products),
        "nash-mtl": lambda: gramian.nash(products),
        "gradnorm": lambda: np.ones(2),  # before it has moved
    }[method]()


ROWS = np.arange(1, 60)


@pytest.mark.parametrize("method", METHODS)
def test_the_shared_part_is_combined_and_heads_have_their_own_gradients(tmp_path: Path, method: str) -> None:
    _, got = one_step(tmp_path / "run", config(f"core/{method}-balancing"), ROWS)
    tasks = alone(tmp_path / "alone", ROWS)
    rows = np.stack([flat(g) for g in tasks.values()])
    assert flat(got) == pytest.approx(weights_of(method, rows @ rows.T) @ rows, rel=1e-3, abs=1e-5)
    for name, gradients in tasks.items():
        for key in (k for k in gradients if k.startswith("heads")):
            assert f"_{name}." in key
            torch.testing.assert_close(got[key], gradients[key])


def test_torchjd_gives_the_same_step(tmp_path: Path) -> None:
    """The whole way, autograd included: their mtl_backward and PCGrad, whose order does not matter with two tasks."""
    autojac = pytest.importorskip("torchjd.autojac", reason="the oracle is not installed: pip install torchjd")
    from torchjd.aggregation import PCGrad

    _, got = one_step(tmp_path / "run", config("core/pcgrad-balancing"), ROWS)
    run, _, _ = opened(tmp_path / "theirs", config())
    batch = run.data.batch("rows", ROWS, "train", np.random.default_rng(0))
    features = run.model.view(batch).whole.pooled
    parts = run.data.parts.tasks
    losses = []
    for name, target in batch.targets.items():
        head, value = run.model.heads[name], features[target.rows]
        output = {head.name: head.linear(value)}
        losses.append(parts[name].loss(output, target.data) * run.weights[name] / target.count)
    shared = list(run.model.backbones.parameters())
    autojac.mtl_backward(losses, features=features, shared_params=shared)
    autojac.jac_to_grad(shared, PCGrad())
    for name, p in run.model.named_parameters():
        torch.testing.assert_close(got[name], p.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_several_batches_of_a_step_give_what_one_big_batch_gives(tmp_path: Path, method: str) -> None:
    """Also where a batch has no row of one task."""
    without = ROWS[ROWS % 3 == 0]
    rest = np.setdiff1d(ROWS, without)
    made = config(f"core/{method}-balancing")
    _, one = one_step(tmp_path / "one", made, ROWS)
    _, three = one_step(tmp_path / "three", made, without, rest[:11], rest[11:])
    for name in one:
        torch.testing.assert_close(three[name], one[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_task_without_a_label_in_the_step_takes_no_part(tmp_path: Path, method: str) -> None:
    rows = ROWS[(ROWS % 3 == 0) & (ROWS % 7 != 1)]
    _, got = one_step(tmp_path / "run", config(f"core/{method}-balancing"), rows)
    assert all(got[n] is None for n in got if "heads._amount" in n)
    tasks = alone(tmp_path / "alone", rows)
    want = flat(tasks["label"])
    want = want / np.linalg.norm(want) if method == "nash-mtl" else want
    assert flat(got) == pytest.approx(want, rel=1e-4, abs=1e-6)


def test_the_combined_gradient_is_what_is_clipped(tmp_path: Path) -> None:
    made = config("core/pcgrad-balancing")
    made["train"]["clip_norm"] = 1e-3
    _, got = one_step(tmp_path / "run", made, ROWS)
    assert torch.stack([g.norm() for g in got.values()]).norm().item() == pytest.approx(1e-3, rel=1e-3)


def test_terms_that_are_no_tasks_are_added_as_they_are(tmp_path: Path) -> None:
    class Decay:
        @toys.hookimpl
        def add_losses(self, run: Any) -> dict[str, torch.Tensor]:
            return {"decay": sum(p.pow(2).sum() for p in run.model.backbones.parameters())}

    grads = []
    for with_term in (False, True):
        run, wrapped, catch = opened(tmp_path / str(with_term), config("core/mgda-balancing"))
        before = {n: p.detach().clone() for n, p in run.model.named_parameters()}
        if with_term:
            run.hook._manager.register(Decay())
        train_step(run, wrapped, [(0, ("rows", ROWS))])
        grads.append(catch.steps[0])
    for name, without in grads[0].items():
        want = without + 2 * before[name] if name.startswith("backbones") else without
        torch.testing.assert_close(grads[1][name], want, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------ which parameters are shared


def two_tables() -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Table "words" has two tasks, table "rows" one; "bag" is read by one table, "net" by both."""
    made = config()
    made["data"] = {"rows": {}, "words": {}}
    made["backbones"] = {"net": "toy/dense", "bag": "toy/bag"}
    made["inputs"] = {
        "x": {"data": "rows", "columns": ["a", "b", "c"], "processor": "toy/numbers", "backbone": "net"},
        "text": {"data": "words", "columns": ["text"], "processor": "toy/words", "backbone": "bag"},
        "numbers": {"data": "words", "columns": ["a", "b", "c"], "processor": "toy/numbers", "backbone": "net"},
    }
    made["tasks"] = {
        "label": {"kind": "core/classification", "target": "label", "data": "rows"},
        "place": {"kind": "core/classification", "target": "place", "data": "words"},
        "tags": {"kind": "toy/tags", "target": "tags", "input": "text", "data": "words"},
    }
    words = toys.words_frame().join(toys.numbers_frame(120, seed=5)[["a", "b", "c"]])
    return made, {"rows": toys.numbers_frame(), "words": words}


def test_shared_is_what_two_tasks_reach(tmp_path: Path) -> None:
    """tags declines fusion, so only place reaches it; the heads are nobody else's."""
    made, data = two_tables()
    run, _, _ = opened(tmp_path / "run", made, data)
    tables = {n: t.data for n, t in run.config.tasks.items()}
    shared = set(shared_parameters(run.model, tables))
    names = {n for n, p in run.model.named_parameters() if p in shared}
    assert {n.split(".")[0] for n in names} == {"backbones", "absent"}
    assert all(n.split(".")[1] == "_text" or n.split(".")[1] == "_numbers" for n in names if n.startswith("absent"))
    assert not shared_parameters(run.model, {"label": "rows"})
    run.model.backbones.requires_grad_(False)
    assert not shared & set(run.model.backbones.parameters()) & set(shared_parameters(run.model, tables))


@pytest.mark.parametrize("method", METHODS)
def test_tasks_of_several_tables_train_to_the_end(tmp_path: Path, method: str) -> None:
    """Round robin and two batches a step bring tables together; the last step of an epoch has one table only."""
    made, data = two_tables()
    made["hooks"] = [f"core/{method}-balancing", {"kind": "core/ema", "decay": 0.9}]
    made["train"] |= {"epochs": 2, "accumulate": 2, "sampling": "round_robin", "clip_norm": 1.0, "log_every": 1}
    run = jenga_core.train(made, data=data, output=tmp_path / "run", registry=toys.registry(), quiet=True)
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    seen = [set(line["weights"]) for line in lines if line["event"] == "balancing"]
    assert {"label", "place", "tags"} in seen
    assert len(seen) == run.step


# ------------------------------------------------------------------ GradNorm


def gradnorm(**options: Any) -> GradnormBalancing:
    return GradnormBalancing(GradnormBalancingConfig(kind="core/gradnorm-balancing", **options))


def test_gradnorm_by_hand() -> None:
    """Norms 2 and 1, losses not moved: both targets are 1.5, so the first weight falls and the second rises.

    Slopes of log(w), +2 and -1, over the mean 1.5: w = exp(-.1 * 4/3), exp(.1 * 2/3), then scaled to sum 2.
    """
    hook = gradnorm(learning_rate=0.1)
    products = np.diag([4.0, 1.0])
    first = hook.weigh(None, ["a", "b"], products, {"a": 3.0, "b": 5.0})
    assert first == pytest.approx([1, 1])
    raw = np.exp([-0.4 / 3, 0.2 / 3])
    assert hook.weigh(None, ["a", "b"], products, {"a": 3.0, "b": 5.0}) == pytest.approx(raw * 2 / raw.sum())


@pytest.mark.parametrize("seed", range(4))
def test_gradnorm_descends_on_its_papers_loss(seed: int) -> None:
    """Three losses of a shared matrix; the slope of the paper's loss in log(w) by autograd, through the norms themselves."""
    rng, rate, alpha = np.random.default_rng(seed), 0.07, 1.5
    shared = torch.tensor(rng.normal(size=(3, 4)), requires_grad=True)
    inputs = torch.tensor(rng.normal(size=(5, 3)) * 2)
    hook, log_w, first = gradnorm(learning_rate=rate, alpha=alpha), torch.zeros(3, dtype=torch.float64), None
    for _ in range(4):
        out = inputs @ shared
        losses = torch.stack([out.square().mean(), 9 * out.sin().square().mean(), out.exp().mean()])
        gradients = torch.stack([torch.autograd.grad(loss, shared, retain_graph=True)[0].flatten() for loss in losses])
        first = losses.detach() if first is None else first
        products, values = (gradients @ gradients.T).numpy(), losses.detach()
        mine = hook.weigh(None, ["a", "b", "c"], products, dict(zip("abc", values.tolist(), strict=True)))
        assert mine == pytest.approx(log_w.exp().numpy())
        free = log_w.clone().requires_grad_()
        norms = torch.stack([
            torch.autograd.grad(weight * loss, shared, retain_graph=True, create_graph=True)[0].norm()
            for weight, loss in zip(free.exp(), losses, strict=True)
        ])  # fmt: skip
        mean, ratios = norms.mean().detach(), values / first
        target = mean * (ratios / ratios.mean()) ** alpha
        (slope,) = torch.autograd.grad((norms - target).abs().sum(), free)
        moved = (log_w - rate * slope / mean).exp()
        log_w = (moved * (3 / moved.sum())).log()
        with torch.no_grad():  # the losses move, each at its own pace
            shared -= 0.02 * gradients.sum(0).view_as(shared) / gradients.sum(0).norm()


def test_gradnorm_gives_more_to_the_task_that_learns_slower() -> None:
    found = {}
    for alpha in (0.0, 2.0):
        hook = gradnorm(alpha=alpha)
        for losses in ({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 1.0}, {"a": 0.5, "b": 1.0}):
            found[alpha] = hook.weigh(None, ["a", "b"], np.eye(2), losses)
    assert found[0.0] == pytest.approx([1, 1])
    assert found[2.0][1] > found[2.0][0]


def test_gradnorm_brings_the_norms_together() -> None:
    hook, products = gradnorm(alpha=0.0), np.diag([100.0, 1.0])
    for _ in range(500):
        weights = hook.weigh(None, ["a", "b"], products, {"a": 1.0, "b": 1.0})
    assert weights[0] * 10 == pytest.approx(weights[1], rel=0.1)


def test_gradnorm_remembers_absent_tasks_and_survives_a_checkpoint() -> None:
    hook = gradnorm()
    hook.weigh(None, ["a", "b"], np.diag([4.0, 1.0]), {"a": 3.0, "b": 5.0})
    before = dict(hook.weights)
    assert hook.weigh(None, ["b"], np.eye(1), {"b": 5.0}) == pytest.approx([before["b"]])
    state: dict[str, Any] = {}
    hook.on_save(run=None, state=state)
    fresh = gradnorm()
    fresh.on_load(run=None, state=json.loads(json.dumps(state)))
    assert (fresh.weights, fresh.first) == (hook.weights, hook.first)
    assert fresh.first == {"a": 3.0, "b": 5.0}


# ------------------------------------------------------------------ cosines between tasks


def logged(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize("hooks", [[], ["core/mgda-balancing"]], ids=["plain", "balanced"])
def test_cosines_are_those_of_the_tasks_gradients_over_the_whole_step(tmp_path: Path, hooks: list[str]) -> None:
    """Measured before anything balances them, whichever hook is listed first."""
    made = config(*hooks, {"kind": "core/gradient-statistics", "every": 1})
    one_step(tmp_path / "run", made, ROWS[:20], ROWS[20:])
    a, b = (flat(g) for g in alone(tmp_path / "alone", ROWS).values())
    found = logged(tmp_path / "run", "cosines")[0]["between"]
    assert found == {"label": {"amount": pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-4)}}


def test_measuring_changes_nothing(tmp_path: Path) -> None:
    runs = [
        jenga_core.train(
            config(*hooks, epochs=2), data=frame(), output=tmp_path / str(len(hooks)), registry=toys.registry(),
            quiet=True, report=bool(hooks),
        )
        for hooks in ([], [{"kind": "core/gradient-statistics", "every": 4}])
    ]  # fmt: skip
    one, two = (run.model.state_dict() for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)
    steps = [line["step"] for line in logged(runs[1].folder, "cosines")]
    assert steps == list(range(0, runs[1].step, 4))
    page = (runs[1].folder / "report.html").read_text()
    assert "Agreement of tasks" in page
    assert "label and amount" in page


def test_one_task_has_nothing_to_agree_with(tmp_path: Path) -> None:
    made = config({"kind": "core/gradient-statistics", "every": 1})
    del made["tasks"]["amount"]
    one_step(tmp_path / "run", made, ROWS[ROWS % 7 != 1])
    assert not logged(tmp_path / "run", "cosines")
    assert logged(tmp_path / "run", "gradients")


def test_agreement_reads_the_log() -> None:
    def line(step: int, value: float | None) -> dict[str, Any]:
        return {"event": "cosines", "step": step, "between": {"a": {"b": value}}}

    history = [line(0, 0.5), line(50, -0.1), {"event": "train", "step": 60}, line(50, 0.1), line(100, None)]
    (found,) = agreement(history)
    assert (found.name, found.x.tolist(), found.y.tolist()) == ("a and b", [0, 50], [0.5, 0.1])
    mean = mean_of(np.array([1.0, 2.0, 3.0]))
    assert (mean.value, mean.low, mean.high) == pytest.approx((2, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert np.isnan(mean_of(np.array([1.0])).low)
    assert agreement([]) == []


# ------------------------------------------------------------------ what is refused


def test_two_balancing_hooks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 hooks balance the tasks"):
        opened(tmp_path / "run", config("core/pcgrad-balancing", "core/uncertainty-balancing"))


def test_fp16_is_refused(tmp_path: Path) -> None:
    run, _, _ = opened(tmp_path / "run", config("core/pcgrad-balancing"))
    train = run.config.train.model_copy(update={"precision": "fp16"})
    run.config = run.config.model_copy(update={"train": train})
    with pytest.raises(UserError, match="fp16 scales the loss"):
        run.hook.on_fit_start(run=run)


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    made = config("core/cagrad-balancing")
    made["train"] |= {"clip_norm": 1.0}
    run, wrapped, _ = opened(tmp_path / "run", made)
    next(run.model.backbones.parameters()).register_hook(lambda g: g * float("nan"))
    with pytest.raises(jenga_core.errors.TrainingError, match="gradient norm of step 1 is not finite"):
        train_step(run, wrapped, [(0, ("rows", ROWS))])
