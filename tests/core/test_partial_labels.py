"""Rows that are labelled for some tasks only: they train those and no others, and the backbone runs once for all tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import toys
from jenga_core.opening import open_run
from jenga_core.training import Defaults, prepare, train_step

ROWS = np.arange(48)


class Catch:
    def __init__(self) -> None:
        self.seen: dict[str, torch.Tensor | None] = {}

    @toys.hookimpl
    def on_gradients(self, run: Any) -> None:
        self.seen = {n: None if p.grad is None else p.grad.clone() for n, p in run.model.named_parameters()}


def config(*tasks: str) -> dict[str, Any]:
    every = {
        "label": {"kind": "core/classification", "target": "label"},
        "amount": {"kind": "core/regression", "target": "amount"},
    }
    made = toys.numbers_config(clip_norm=None, schedule="constant", weight_decay=0.5)
    return {**made, "backbones": {"net": "toy/dense"}, "tasks": {n: every[n] for n in tasks}}


def opened(folder: Path, frame: pd.DataFrame, *tasks: str) -> tuple[Any, Any, Catch]:
    run = open_run(
        config(*tasks), data={"train": frame}, output=folder, resume=False, seed=None, overrides=(),
        registry=toys.registry(), quiet=True, defaults=Defaults(),
    )  # fmt: skip
    catch = Catch()
    run.hook._manager.register(catch)
    return run, prepare(run), catch


def of_head(values: dict[str, Any], task: str) -> dict[str, Any]:
    return {n: v for n, v in values.items() if n.startswith(f"heads._{task}.")}


def frame(amount_at: np.ndarray) -> pd.DataFrame:
    made = toys.numbers_frame()
    made.loc[~made.index.isin(amount_at), "amount"] = np.nan
    return made


def test_a_step_without_a_label_of_a_task_leaves_its_head_as_it_was_to_the_bit(tmp_path: Path) -> None:
    """No gradient at all: a zero would still let weight decay and the optimizer's momentum move the head."""
    run, wrapped, catch = opened(tmp_path / "run", frame(np.arange(100, 240)), "label", "amount")
    train_step(run, wrapped, [(0, ("rows", np.arange(90, 138)))])  # momentum, from rows with both labels
    assert all(g.abs().sum() > 0 for g in of_head(catch.seen, "amount").values())
    before = {n: p.detach().clone() for n, p in run.model.named_parameters()}
    train_step(run, wrapped, [(1, ("rows", ROWS))])
    assert list(of_head(catch.seen, "amount").values()) == [None, None]
    for name, p in run.model.named_parameters():
        assert torch.equal(p, before[name]) == name.startswith("heads._amount."), name


@pytest.mark.parametrize("labelled", [ROWS[::2], ROWS[:5], ROWS[-1:]], ids=["half", "five", "one"])
def test_rows_without_a_label_give_a_head_a_gradient_of_exactly_zero(tmp_path: Path, labelled: np.ndarray) -> None:
    """The head's gradient is, to the bit, that of a batch of its labelled rows alone, whatever the other rows hold."""
    data = frame(np.concatenate([labelled, np.arange(100, 240)]))
    run, wrapped, catch = opened(tmp_path / "both", data, "label", "amount")
    weights = {n: v.clone() for n, v in run.model.state_dict().items()}
    train_step(run, wrapped, [(0, ("rows", ROWS))])
    mixed = of_head(catch.seen, "amount")
    other, again, alone = opened(tmp_path / "changed", data, "label", "amount")
    other.model.load_state_dict(weights)
    encoded = other.data.tables["rows"].inputs["x"].columns
    values = next(iter(encoded.values()))
    values[np.setdiff1d(ROWS, labelled)] += 7.0
    train_step(other, again, [(0, ("rows", ROWS))])
    for name, gradient in of_head(alone.seen, "amount").items():
        assert torch.equal(gradient, mixed[name])
    assert not torch.equal(
        *(g["heads._label.linear.weight"] for g in (alone.seen, catch.seen))
    )  # the other task did see them


def test_tasks_that_share_rows_share_the_forward_pass(tmp_path: Path) -> None:
    calls = {}
    for tasks in (("label",), ("label", "amount")):
        run, wrapped, _ = opened(tmp_path / str(len(tasks)), frame(ROWS[::3]), *tasks)
        before = toys.Dense.calls
        train_step(run, wrapped, [(0, ("rows", ROWS))])
        calls[len(tasks)] = toys.Dense.calls - before
    assert calls == {1: 1, 2: 1}
