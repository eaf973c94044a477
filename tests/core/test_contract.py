"""The contract, proven on toy components before anything is built on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import jenga_core
import toys
from jenga_core.model import Step
from jenga_core.opening import open_run
from jenga_core.run import Run
from jenga_core.training import Defaults, prepare, train_step


def opened(config: dict[str, Any], data: Any, folder: Path) -> tuple[Run, Any]:
    """A run ready for its first step."""
    run = open_run(
        config, data=data, output=folder, resume=False, seed=None, overrides=(), registry=toys.registry(), quiet=True,
        defaults=Defaults(),
    )  # fmt: skip
    return run, prepare(run)


def gradients(run: Run) -> dict[str, torch.Tensor | None]:
    return {n: None if p.grad is None else p.grad.detach().clone() for n, p in run.model.named_parameters()}


def step_without_update(run: Run, wrapped: Any, rows: list[np.ndarray], table: str) -> dict[str, torch.Tensor | None]:
    """The gradients of one window, before the optimizer sees them."""
    seen: dict[str, Any] = {}
    run.hook._manager.register(_Catch(run, seen))
    train_step(run, wrapped, [(i, (table, r)) for i, r in enumerate(rows)])
    return seen


class _Catch:
    def __init__(self, run: Run, seen: dict[str, Any]) -> None:
        self.run, self.seen = run, seen

    @toys.hookimpl
    def on_gradients(self, run: Run) -> None:
        self.seen.update(gradients(run))


def two_tasks(**train: Any) -> dict[str, Any]:
    config = toys.numbers_config(clip_norm=None, **train)
    config["backbones"]["net"]["dropout"] = 0.0
    config["tasks"]["amount"] = {"kind": "core/regression", "target": "amount"}
    return config


def partly_labelled() -> pd.DataFrame:
    frame = toys.numbers_frame()
    frame.loc[frame.index % 3 == 0, "amount"] = np.nan
    return frame


def test_a_head_without_labels_gets_no_gradient_at_all(tmp_path: Path) -> None:
    run, wrapped = opened(two_tasks(), partly_labelled(), tmp_path / "run")
    unlabelled = np.flatnonzero(~run.data.tables["rows"].targets["amount"].present)[:16]
    seen = step_without_update(run, wrapped, [unlabelled], "rows")
    heads = {n: g for n, g in seen.items() if n.startswith("heads._amount")}
    assert heads
    assert all(g is None for g in heads.values())
    assert all(g is not None for n, g in seen.items() if n.startswith("heads._label"))


@pytest.mark.parametrize("cut", [[16, 16], [7, 1, 24], [30, 2]])
def test_accumulated_windows_equal_one_big_batch_with_partial_labels(tmp_path: Path, cut: list[int]) -> None:
    run, wrapped = opened(two_tasks(), partly_labelled(), tmp_path / "one")
    rows = run.data.tables["rows"].splits["train"][:32]
    whole = step_without_update(run, wrapped, [rows], "rows")
    run, wrapped = opened(two_tasks(), partly_labelled(), tmp_path / "many")
    parts = step_without_update(run, wrapped, np.split(rows, np.cumsum(cut)[:-1]), "rows")
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-5, atol=1e-6, msg=name)


def multimodal(fusion: str = "core/attention") -> dict[str, Any]:
    return {
        "seed": 1,
        "data": {"rows": {"split": {"validation": 0.2, "test": 0.2}}},
        "backbones": {"net": "toy/dense", "bag": "toy/bag"},
        "inputs": {
            "x": {"columns": ["a", "b"], "processor": "toy/numbers", "backbone": "net"},
            "text": {"columns": ["text"], "processor": "toy/words", "backbone": "bag"},
        },
        "fusion": fusion,
        "tasks": {"place": {"kind": "core/classification", "target": "place"}},
        "train": {"epochs": 2, "batch_size": 12, "bootstrap": 0, "baselines": False, "clip_norm": None},
    }


def multimodal_frame() -> pd.DataFrame:
    frame = toys.words_frame().join(toys.numbers_frame(120)[["a", "b"]])
    frame.loc[frame.index % 3 == 1, "text"] = None
    frame.loc[frame.index % 3 == 2, ["a", "b"]] = np.nan
    return frame


@pytest.mark.parametrize("fusion", ["core/concat", "core/attention", "core/mean"])
def test_a_mixed_batch_is_the_sum_of_its_homogeneous_parts(tmp_path: Path, fusion: str) -> None:
    config = multimodal(fusion)
    config["train"]["device"] = "cpu"
    run, _ = opened(config, multimodal_frame(), tmp_path / "run")
    model = run.model.double().eval()
    task, rng = run.data.parts.tasks["place"], np.random.default_rng(0)

    def loss_of(rows: np.ndarray) -> torch.Tensor:
        batch = run.data.batch("rows", rows, "train", rng)
        for part in batch.inputs.values():
            part.data.update({k: v.double() for k, v in part.data.items() if v.is_floating_point()})
        return task.loss(model(batch)["place"], batch.targets["place"].data)

    rows = run.data.tables["rows"].splits["train"][:30]
    mixed = loss_of(rows)
    mixed.backward()
    together = gradients(run)
    model.zero_grad()
    parts = [loss_of(rows[rows % 3 == kind]) for kind in range(3)]
    sum(parts).backward()
    assert mixed.item() == pytest.approx(sum(parts).item(), rel=1e-6)
    for name, gradient in gradients(run).items():
        if gradient is not None or together[name] is not None:
            torch.testing.assert_close(gradient, together[name], rtol=1e-6, atol=1e-9, msg=name)


def test_rows_that_lack_an_input_or_all_are_predicted_or_said_to_be_missing(tmp_path: Path) -> None:
    jenga_core.train(
        multimodal(), data=multimodal_frame(), output=tmp_path / "run", registry=toys.registry(), quiet=True
    )
    predictor = jenga_core.load(tmp_path / "run", registry=toys.registry())
    frame = pd.DataFrame(
        {"a": [1.0, None, None], "b": [0.0, None, None], "text": [None, "anna na juma", None]}, index=[7, 3, 9]
    )
    found = predictor.predict(frame)
    assert list(found.index) == [7, 3, 9]
    assert found["place.label"].notna().tolist() == [True, True, False]
    assert any("no usable input" in line for line in predictor.warnings(frame))


def two_tables(sampling: Any) -> dict[str, Any]:
    config = toys.numbers_config(epochs=1, batch_size=8, sampling=sampling)
    config["data"]["texts"] = {"split": {"validation": 0.2, "test": 0.2}}
    config["backbones"]["bag"] = "toy/bag"
    config["inputs"]["x"].update(data="rows", backbone="net")
    config["inputs"]["text"] = {"data": "texts", "columns": ["text"], "processor": "toy/words", "backbone": "bag"}
    config["tasks"]["label"]["data"] = "rows"
    config["tasks"]["tags"] = {"kind": "toy/tags", "data": "texts", "target": "tags", "input": "text"}
    return config


@pytest.mark.parametrize(
    "sampling", ["sequential", "round_robin", "proportional", {"kind": "temperature", "temperature": 3}]
)
def test_two_tables_train_together_and_a_backbone_runs_only_for_its_own(tmp_path: Path, sampling: Any) -> None:
    data = {"rows": toys.numbers_frame(), "texts": toys.words_frame(60)}
    run, wrapped = opened(two_tables(sampling), data, tmp_path / "run")
    from jenga_core.training import _windows

    toys.Dense.calls = toys.Bag.calls = 0
    tables = [window[0][1][0] for window in _windows(run)]
    for window in _windows(run):
        train_step(run, wrapped, window)
    assert toys.Dense.calls == tables.count("rows") > 0
    assert toys.Bag.calls == tables.count("texts") > 0


def test_scoring_runs_a_backbone_once_per_batch_and_keeps_nothing(tmp_path: Path) -> None:
    from jenga_core.scoring import score

    run, _ = opened(two_tasks(), toys.numbers_frame(), tmp_path / "run")
    rows, toys.Dense.calls = run.data.tables["rows"].splits["train"], 0
    score(run.model, run.data, "rows", rows, run.place, labels=True)
    assert toys.Dense.calls == -(-len(rows) // run.place.batch_size)
    assert run.model._seen is None


def test_what_is_judged_was_predicted_without_targets(tmp_path: Path) -> None:
    """A task that reads the targets of its batch would score 1.0 on labels drawn by chance."""
    from jenga_core.scoring import score

    run, _ = opened(two_tasks(), toys.numbers_frame(), tmp_path / "run")
    rows = run.data.tables["rows"].splits["test"]
    seen: list[Any] = []
    for task in run.data.parts.tasks.values():
        predict = task.predict
        task.predict = lambda model, batch, name, predict=predict: (
            seen.append(batch.targets) or predict(model, batch, name)
        )
    with_losses = score(run.model, run.data, "rows", rows, run.place, labels=True)
    without = score(run.model, run.data, "rows", rows, run.place, labels=False)
    assert seen
    assert not any(seen)
    assert all(count > 0 for count in with_losses.counts.values())
    for name, output in without.outputs.items():
        for key, values in output.items():
            np.testing.assert_array_equal(values, with_losses.outputs[name][key])


def test_thresholds_of_baselines_are_set_on_validation_rows_and_never_on_judged_ones(tmp_path: Path) -> None:
    """A threshold that was chosen on the rows it is judged on flatters the baseline."""
    from jenga_core.builtin.baselines import Majority
    from jenga_core.scoring import judgements, score

    seen: list[np.ndarray] = []

    class Watched(Majority):
        def calibrate(self, output: Any, target: Any) -> None:
            seen.append(np.asarray(target["y"]))

    run, _ = opened(toys.numbers_config(), toys.numbers_frame(), tmp_path / "run")
    table, task = run.data.tables["rows"], run.data.parts.tasks["label"]
    task.baselines = lambda seed: (Watched(2),)
    rows = table.splits["test"]
    scored = {"rows": score(run.model, run.data, "rows", rows, run.place, labels=True)}
    judgements(run.data, scored, "test", baselines=True, bootstrap=0, seed=0)
    y = np.asarray(table.targets["label"].columns["y"])
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], y[table.splits["validation"]])
    assert not np.array_equal(seen[0], y[rows])


def test_a_batch_that_a_hook_looked_at_without_gradients_still_trains_the_backbone(tmp_path: Path) -> None:
    class Peeks:
        @toys.hookimpl
        def on_batch(self, run: Run, batch: Any) -> None:
            with torch.no_grad():
                run.model(batch)

    run, wrapped = opened(two_tasks(), toys.numbers_frame(), tmp_path / "run")
    run.hook._manager.register(Peeks())
    seen = step_without_update(run, wrapped, [run.data.tables["rows"].splits["train"][:16]], "rows")
    assert all(g is not None for g in seen.values())


def test_token_targets_are_learned_and_judged_through_predict(tmp_path: Path) -> None:
    config = two_tables("sequential")
    del config["data"]["rows"], config["inputs"]["x"], config["tasks"]["label"], config["backbones"]["net"]
    config["train"].update(epochs=40, learning_rate=0.05, monitor="tags.accuracy")
    frame = toys.words_frame(60)
    jenga_core.train(config, data=frame, output=tmp_path / "run", registry=toys.registry(), quiet=True)
    found = jenga_core.load(tmp_path / "run", registry=toys.registry()).predict(frame[["text"]].iloc[:8])
    assert found["tags.tags"].tolist() == frame["tags"].iloc[:8].tolist()


def test_predictions_are_the_same_numbers_before_saving_and_after_loading(tmp_path: Path) -> None:
    """Trap 2 of the original: inference never loaded the trained heads."""
    frame = toys.numbers_frame()
    run = jenga_core.train(
        toys.numbers_config(), data=frame, output=tmp_path / "run", registry=toys.registry(), quiet=True
    )
    from jenga_core.scoring import score

    rows = np.arange(len(frame))
    before = score(run.model, run.data, "rows", rows, run.place, labels=False).outputs["label"]["probability"]
    after = jenga_core.load(run.folder, registry=toys.registry()).predict(frame)
    np.testing.assert_array_equal(after["label.p(bad)"].to_numpy(dtype=np.float32), before[:, 0])


def test_rows_keep_their_predictions_alone_and_in_any_order(tmp_path: Path) -> None:
    frame = toys.words_frame(60)
    config = two_tables("sequential")
    del config["data"]["rows"], config["inputs"]["x"], config["tasks"]["label"], config["backbones"]["net"]
    config["tasks"] = {"place": {"kind": "core/classification", "target": "place"}}
    jenga_core.train(config, data=frame, output=tmp_path / "run", registry=toys.registry(), quiet=True)
    predictor = jenga_core.load(tmp_path / "run", registry=toys.registry())
    together = predictor.predict(frame)
    shuffled = frame.sample(frac=1, random_state=0)
    again = predictor.predict(shuffled)
    np.testing.assert_allclose(again.loc[frame.index, "place.score"], together["place.score"], rtol=1e-6)
    alone = predictor.predict(frame.iloc[[5]])
    assert alone["place.score"].iloc[0] == pytest.approx(together["place.score"].iloc[5], rel=1e-6)


def test_events_come_once_and_in_order(tmp_path: Path) -> None:
    config = toys.numbers_config(epochs=2, batch_size=80, accumulate=2)
    config["hooks"] = ["toy/probe"]
    jenga_core.train(config, data=toys.numbers_frame(), output=tmp_path / "run", registry=toys.registry(), quiet=True)
    epoch = ["on_epoch_start", "on_batch", "on_batch", "on_gradients", "on_step", "on_evaluate", "on_epoch_end"]
    assert toys.Probe.events == ["on_model_built", "on_fit_start", *epoch, *epoch, "on_fit_end"]


@pytest.mark.parametrize("event", ["on_fit_start", "on_batch", "on_step", "on_evaluate", "on_fit_end"])
def test_a_hook_that_fails_stops_the_run_and_is_named(tmp_path: Path, event: str) -> None:
    config = toys.numbers_config(epochs=1)
    config["hooks"] = [{"kind": "toy/probe", "fail_at": event}]
    with pytest.raises(
        jenga_core.JengaError, match=f"toy/probe failed in {event}: ValueError: the probe was told to fail"
    ):
        jenga_core.train(
            config, data=toys.numbers_frame(), output=tmp_path / "run", registry=toys.registry(), quiet=True
        )
    assert toys.Probe.events[-1] == "on_exception"
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_nothing_to_learn_from_is_an_error_and_never_a_zero_loss(tmp_path: Path) -> None:
    """Trap 1 of the original: without labels it trained on a constant zero."""
    frame = toys.numbers_frame().assign(amount=np.nan)
    with pytest.raises(jenga_core.JengaError, match="amount"):
        jenga_core.train(two_tasks(), data=frame, output=tmp_path / "run", registry=toys.registry(), quiet=True)


def test_step_links_a_rank_that_has_no_row(tmp_path: Path) -> None:
    run, _ = opened(two_tasks(), toys.numbers_frame(), tmp_path / "run")
    empty = run.data.batch("rows", np.zeros(0, dtype=np.int64), "train", np.random.default_rng(0))
    losses = Step(run.model, run.data.parts.tasks, run.hook, run, world=2)(empty, {"label": 4.0}, 1.0)
    losses[""].backward()
    assert float(losses[""].detach()) == 0.0
    assert all(g is None for n, g in gradients(run).items() if n.startswith("heads._amount"))
