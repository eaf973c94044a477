"""Embeddings that no training row reads are left alone: the rest trains as it would have, and nobody outside notices."""

from __future__ import annotations

import copy
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import jenga_core
import jenga_text.plugin
from jenga_core.api import TrainerHookSpec, hookimpl
from jenga_core.config import ComponentConfig
from jenga_core.contracts import Encoded, Ragged
from jenga_core.data import EncodedTable
from jenga_core.errors import HookError, JengaError
from jenga_core.model import Model
from jenga_core.registry import Registry
from jenga_text import used
from jenga_text.transformer import Transformer
from jenga_text.unpadded import KNOWN
from jenga_text.used import UsedEmbedding
from small_encoders import SMALL, built, config, frame, small_tokenizer

IDS = [[5, 9, 9, 7], [7, 20, 5]]
USED = sorted({i for row in IDS for i in row})
KINDS = [*sorted(KNOWN), "mpnet"]  # the last is read with its padding


def seen(ids: list[list[int]] = IDS) -> list[tuple[Encoded, np.ndarray[Any, Any]]]:
    """As the core hands them over: among rows that are not trained on and hold every token there is."""
    rows = [list(range(50)), *ids]
    encoded = Encoded({"ids": Ragged.of(rows, np.int32)}, np.ones(len(rows), dtype=bool))
    return [(encoded, np.arange(1, len(rows)))]


def batch(ids: list[list[int]] = IDS) -> dict[str, torch.Tensor]:
    longest = max(map(len, ids))
    mask = torch.tensor([[at < len(row) for at in range(longest)] for row in ids])
    return {"ids": torch.tensor([row + [1] * (longest - len(row)) for row in ids]), "mask": mask}


def learn(model: Transformer, decay: float = 0.0) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=decay)
    for _ in range(3):
        features = model(**batch())
        (features.pooled.square().mean() + features.tokens.sin().mean()).backward()
        optimizer.step()
        optimizer.zero_grad()


def embedding(model: Transformer) -> torch.Tensor:
    return model.encoder.get_input_embeddings().weight.detach().clone()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_learns_what_it_learns_with_its_whole_table(kind: str) -> None:
    whole, parted = built(kind), built(kind)
    learn(whole)
    with parted.trained_on(seen()):
        assert isinstance(parted.encoder.get_input_embeddings(), UsedEmbedding)
        learn(parted)
        parted.train()(**batch())  # knows all of its tokens, padding included
    for (name, one), (other, two) in zip(whole.named_parameters(), parted.named_parameters(), strict=True):
        assert name == other
        torch.testing.assert_close(one, two, msg=name)
    assert all(p.requires_grad for p in parted.encoder.get_input_embeddings().parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_other_tokens_stay_as_they_were_to_the_last_bit_and_those_that_are_read_move(kind: str) -> None:
    model = built(kind)
    before = embedding(model)
    with model.trained_on(seen()):
        learn(model, decay=0.5)
    moved = (embedding(model) != before).any(dim=1)
    assert moved.nonzero().flatten().tolist() == USED


def test_tokens_that_no_training_row_holds_are_looked_up_all_the_same() -> None:
    model, new = built(), batch([[5, 33, 40], [41, 7]])
    expected = model(**new).tokens
    with model.trained_on(seen()):
        assert torch.equal(model(**new).tokens, expected)


@pytest.mark.parametrize("kind", ["bert", "electra"])
def test_weights_are_saved_and_loaded_as_those_of_the_whole_model(kind: str) -> None:
    model, other = built(kind), built(kind)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    with model.trained_on(seen()):
        learn(model)
        held = model.state_dict()
        assert {name: value.shape for name, value in held.items()} == shapes
        assert list(held) == list(shapes)
        model.load_state_dict(other.state_dict())
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
        model.load_state_dict(held)
    assert all(torch.equal(value, held[name]) for name, value in model.state_dict().items())
    assert torch.equal(other(**batch()).tokens, built_from(other, kind)(**batch()).tokens)


def built_from(other: Transformer, kind: str) -> Transformer:
    model = built(kind)
    with model.trained_on(seen()):
        model.load_state_dict(other.state_dict())
    return model


def test_missing_weights_are_missed() -> None:
    model = built()
    state = {name: value for name, value in model.state_dict().items() if "word_embeddings" not in name}
    with model.trained_on(seen()), pytest.raises(RuntimeError, match=r"Missing key.*word_embeddings\.weight"):
        model.load_state_dict(state)


def test_a_token_in_training_that_no_training_row_was_said_to_hold_is_an_error() -> None:
    model = built().train()
    with pytest.raises(JengaError, match="holds token 33, which would not be trained"), model.trained_on(seen()):
        model(**batch([[5, 33, 7]]))
    assert type(model.encoder.get_input_embeddings()) is torch.nn.Embedding


@pytest.mark.parametrize("then", ["rows are judged", "a checkpoint is written", "training ends"])
def test_where_nobody_waits_for_the_accelerator_that_error_comes_later(
    then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = built().train()
    with pytest.raises(JengaError, match="holds token 33, which would not be trained"), model.trained_on(seen()):  # noqa: PT012
        with monkeypatch.context() as patch:
            patch.setattr(UsedEmbedding, "require_known", lambda self: None)
            model(**batch([[5, 33, 7]]))
            model(**batch([[5, 7, 7]]))
        if then == "rows are judged":
            model.eval()
        elif then == "a checkpoint is written":
            model.state_dict()
        if then != "training ends":
            pytest.fail("went on with weights that were not trained as said")


def test_a_step_on_an_accelerator_waits_for_no_answer() -> None:
    """On "meta" there is none to be had."""
    model = built()
    with model.trained_on(seen()):
        table = model.encoder.get_input_embeddings()
        on_meta = copy.deepcopy(table).to("meta").train()
        assert on_meta(torch.empty((2, 5), dtype=torch.long, device="meta")).device.type == "meta"


def test_a_processor_that_keeps_its_tokens_elsewhere_trains_the_whole_table() -> None:
    model = built().train()
    table = model.encoder.get_input_embeddings()
    with model.trained_on([(Encoded({"tokens": Ragged.of(IDS, np.int32)}, np.ones(2, dtype=bool)), np.arange(2))]):
        assert model.encoder.get_input_embeddings() is table


def test_gradients_and_optimizer_hold_the_rows_that_are_used() -> None:
    model = built()
    with model.trained_on(seen()):
        trained = [p for p in model.encoder.embeddings.word_embeddings.parameters() if p.requires_grad]
        assert [tuple(p.shape) for p in trained] == [(len(USED), SMALL["hidden_size"])]
        assert "encoder.embeddings.word_embeddings.weight" in model.learning_rates(0.1)


@pytest.mark.parametrize(
    "reason", ["most are used", "none is used", "frozen", "tied", "other class", "hooked", "sparse"]
)
def test_a_table_that_cannot_be_parted_or_need_not_is_trained_as_it_is(reason: str) -> None:
    model = built(freeze=0 if reason == "frozen" else None)
    ids = {"most are used": [list(range(3, 40))], "none is used": []}.get(reason, IDS)
    table = model.encoder.get_input_embeddings()
    if reason == "tied":
        model.encoder.decoder = torch.nn.Linear(SMALL["hidden_size"], 50, bias=False)
        model.encoder.decoder.weight = table.weight
    if reason == "hooked":
        table.register_forward_hook(lambda module, args, out: out + 0.1)
    table.sparse = reason == "sparse"
    if reason == "other class":

        class Scaled(torch.nn.Embedding):
            pass

        table = Scaled(50, SMALL["hidden_size"])
        model.encoder.set_input_embeddings(table)
    with model.trained_on(seen(ids)):
        assert model.encoder.get_input_embeddings() is table
    assert table.weight.requires_grad is (reason != "frozen")


def test_the_table_is_whole_again_after_an_error() -> None:
    model = built()
    table = model.encoder.get_input_embeddings()
    with pytest.raises(ZeroDivisionError), model.trained_on(seen()):
        raise ZeroDivisionError
    assert model.encoder.get_input_embeddings() is table


# ------------------------------------------------------------------ in a run


class Stop:
    """Ends the run after step `at`, as a crash would, or while it evaluates; remembers the shapes of what is trained."""

    shapes: list[tuple[int, ...]]
    at: int | None = None
    evaluating = False

    def __init__(self, config: ComponentConfig) -> None: ...

    @hookimpl
    def on_step(self, run: Any) -> None:
        Stop.shapes = [tuple(p.shape) for group in run.optimizer.param_groups for p in group["params"]]
        if run.step + 1 == Stop.at:
            raise RuntimeError("crashed")

    @hookimpl(tryfirst=True)
    def on_evaluate(self) -> None:
        if Stop.evaluating:
            raise RuntimeError("crashed")


class Plugin:
    @staticmethod
    @hookimpl
    def jenga_register_trainer_hooks() -> list[Any]:
        return [
            TrainerHookSpec(
                name="stop",
                factory=f"{__name__}:Stop",
                config="jenga_core.config:ComponentConfig",
                summary="ends a run",
            )
        ]


def train(folder: Path, *hooks: Any, tokenizer: Path, resume: bool = False, **options: Any) -> jenga_core.Run:
    made = config(tokenizer, *hooks, "watch/stop", **options)
    registry = Registry.of(text=jenga_text.plugin, watch=Plugin)
    return jenga_core.train(
        made, data=frame(), output=folder, registry=registry, quiet=True, report=False, resume=resume
    )


EMA = {"kind": "core/ema", "decay": 0.5}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def test_a_run_that_goes_on_after_a_crash_ends_with_the_weights_of_one_that_did_not(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole", EMA, tokenizer=tokenizer)
    used = max(shape[0] for shape in Stop.shapes if len(shape) == 2 and shape[1] == SMALL["hidden_size"])
    assert used < 60  # of 400 tokens
    monkeypatch.setattr(Stop, "at", 4)
    with pytest.raises(HookError, match="crashed"):
        train(tmp_path / "torn", EMA, tokenizer=tokenizer)
    monkeypatch.setattr(Stop, "at", None)
    torn = train(tmp_path / "torn", EMA, tokenizer=tokenizer, resume=True)
    one, two = whole.model.state_dict(), torn.model.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert len(next(value for name, value in one.items() if name.endswith("word_embeddings.weight"))) == 400
    predictor = jenga_core.load(whole.folder, registry=Registry.of(text=jenga_text.plugin, watch=Plugin))
    assert all(torch.equal(value, one[name]) for name, value in predictor.model.state_dict().items())


def test_an_error_in_an_evaluation_is_told_as_it_was(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Averaged weights are in the model then, and are put back where they were."""
    monkeypatch.setattr(Stop, "evaluating", True)
    with pytest.raises(HookError, match="crashed"):
        train(tmp_path / "run", EMA, tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("hooks", "options"),
    [
        ([], {}),
        ([EMA], {}),
        (["core/pcgrad-balancing"], {}),
        ([], {"accumulate": 2}),
        ([], {"backbone": {"gradient_checkpointing": True}}),
        ([], {"precision": "bf16"}),
    ],
    ids=["plain", "ema", "pcgrad", "accumulate", "checkpointing", "bf16"],
)
def test_a_run_learns_what_it_learns_with_the_whole_table(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch, hooks: list[Any], options: dict[str, Any]
) -> None:
    parted = train(tmp_path / "parted", *hooks, tokenizer=tokenizer, weight_decay=0.0, **options)
    shapes = Stop.shapes
    monkeypatch.setattr(used, "WORTH", 0.0)
    whole = train(tmp_path / "whole", *hooks, tokenizer=tokenizer, weight_decay=0.0, **options)
    assert shapes != Stop.shapes
    two = whole.model.state_dict()
    near = {"rtol": 1e-3, "atol": 2e-3 if options.get("precision") else 1e-4}
    for name, value in parted.model.state_dict().items():
        torch.testing.assert_close(value, two[name], msg=lambda text, name=name: f"{name}: {text}", **near)


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path, tokenizer: Path) -> None:
    weights = []
    for processes in (1, 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", f"--master-port={port}"]
        script = [str(Path(__file__).parent / "ddp_text.py"), str(tokenizer), str(tmp_path / str(processes))]
        done = subprocess.run(
            [sys.executable, *launcher, *script], capture_output=True, text=True, timeout=400,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1",
                 "ACCELERATE_USE_CPU": "true"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        weights.append(torch.load(tmp_path / str(processes) / "weights.pt", weights_only=True))
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(
            value, weights[1][name], rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_table_that_another_part_of_the_model_shares_is_trained_as_a_whole() -> None:
    """The core does not ask then: what the other part reads is not among the rows."""
    backbone, head = built(), torch.nn.Linear(SMALL["hidden_size"], 50, bias=False)
    tables = {"rows": EncodedTable("rows", 3, {"text": seen()[0][0]}, {}, {})}
    rows = {"rows": seen()[0][1]}
    for tied in (False, True):
        if tied:
            head.weight = backbone.encoder.get_input_embeddings().weight
        model = Model({"rows": {"text": "net"}}, {"net": backbone}, {}, {"words": head})
        with model.trained_on(tables, rows):
            assert isinstance(backbone.encoder.get_input_embeddings(), UsedEmbedding) is not tied
