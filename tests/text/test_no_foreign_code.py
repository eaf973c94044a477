"""No code that comes with a checkpoint or a model folder is run, and nobody is asked whether it may be."""

from __future__ import annotations

import ast
import io
import json
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jenga_core.errors import ArtifactError, UserError
from jenga_text import checkpoints
from jenga_text.config import TrainBpeConfig, TransformerConfig
from jenga_text.processors import TrainBpeProcessor
from jenga_text.transformer import Transformer
from small_encoders import FACTS, architecture

LOADERS = ("from_pretrained", "from_config", "for_model", "from_dict", "get_class_from_dynamic_module", "torch_hub")
CODE = "from pathlib import Path\nPath(__file__).with_name('RAN').write_text('')\nclass Evil: ...\n"


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with code beside its configuration, and a user who answers every question with yes."""
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "evil.py").write_text(CODE)
    asked = io.StringIO("y\n" * 1000)
    monkeypatch.setattr(sys, "stdin", asked)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    monkeypatch.chdir(tmp_path)
    yield folder
    assert asked.tell() == 0
    assert not (folder / "RAN").exists()


def described(folder: Path, kind: str, **more: Any) -> dict[str, Any]:
    every = ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoModelForCausalLM")
    return {
        "model_type": kind,
        "auto_map": dict.fromkeys(every, "evil.Evil"),
        "_name_or_path": str(folder),
        "name_or_path": str(folder),
        "attn_implementation": "owner/kernel",
        "reference": "owner/repo--evil.Evil",
        **more,
    }


PACKAGES = ("jenga_core", "jenga_text", "jenga_security")


def test_every_load_of_transformers_stands_in_one_module() -> None:
    installed = [found for name in PACKAGES if (found := find_spec(name)) is not None]
    assert len(installed) >= 2
    for package in installed:
        for path in Path(str(package.origin)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in LOADERS:
                    assert path.name == "checkpoints.py", f"{path}:{node.lineno}"


def test_every_load_in_that_module_refuses_code() -> None:
    """Each call passes `trust_remote_code`, by itself or in the options, and no value but False is ever given to it."""
    tree = ast.parse(Path(checkpoints.__file__).read_text(encoding="utf-8"))
    given = [v for n in ast.walk(tree) if isinstance(n, ast.Dict) for k, v in zip(n.keys, n.values, strict=True)
             if isinstance(k, ast.Constant) and k.value == "trust_remote_code"]  # fmt: skip
    assert given
    assert all(isinstance(value, ast.Constant) and value.value is False for value in given)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for function in functions:
        calls = [n for n in ast.walk(function) if isinstance(n, ast.Attribute) and n.attr in LOADERS[:3]]
        assert not calls or "trust_remote_code" in ast.unparse(function), function.name


def test_what_names_code_is_taken_out_at_any_depth(tmp_path: Path) -> None:
    one = described(
        tmp_path, "bert", hidden_size=8, text_config=described(tmp_path, "bert"), many=[described(tmp_path, "x")]
    )
    left = {"model_type", "name_or_path"}
    found = checkpoints.harmless(one)
    assert set(found) == left | {"hidden_size", "text_config", "many"}
    assert set(found["text_config"]) == left
    assert set(found["many"][0]) == left


def model_types() -> list[str]:
    from transformers import CONFIG_MAPPING

    return sorted(CONFIG_MAPPING.keys())


class Built:
    """In place of the classes of models: what they would be built from."""

    config_class = None
    __module__ = "transformers.models"

    @classmethod
    def _from_config(cls, config: Any, **_: Any) -> Any:
        return config


@pytest.mark.slow
def test_no_model_type_runs_code_of_the_folder_or_asks(evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, up to the place where weights would be made."""
    monkeypatch.setattr("transformers.models.auto.auto_factory._get_model_class", lambda *_: Built)
    kinds, built, refusals = model_types(), 0, []
    for kind in kinds:
        try:
            made = checkpoints.new_encoder(checkpoints.saved_config(described(evil, kind)), None)
            built += made.model_type is not None
        except UserError as error:
            refusals.append(error)
    assert all(error.next for error in refusals)
    assert len(kinds) > 400
    assert built > 200


@pytest.mark.parametrize("kind", ["trocr", "rag", "encoder-decoder", "zoedepth", "bert", "llava", "no-such-type"])
def test_a_checkpoint_with_code_beside_it_is_refused_or_read_without(
    evil: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("transformers.models.auto.auto_factory._get_model_class", lambda *_: Built)
    (evil / "config.json").write_text(json.dumps(described(evil, kind)))
    refusals = []
    for load in (lambda: checkpoints.load_config(str(evil)), lambda: checkpoints.load_tokenizer(str(evil))):
        try:
            assert not hasattr(load(), "auto_map")
        except UserError as error:
            refusals.append(error)
    assert all(error.next for error in refusals)
    with pytest.raises(UserError):
        checkpoints.load_encoder(str(evil), None, None)


@pytest.mark.parametrize("name", [None, "EvilTokenizer", "BertTokenizer"])
def test_a_tokenizer_with_code_beside_it_is_refused_or_read_without(evil: Path, name: str | None) -> None:
    facts = {"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}, "tokenizer_class": name}
    (evil / "tokenizer_config.json").write_text(json.dumps(facts))
    if name == "BertTokenizer":
        assert type(checkpoints.load_tokenizer(str(evil))).__module__.startswith("transformers.")
        return
    with pytest.raises(UserError, match="cannot be loaded"):
        checkpoints.load_tokenizer(str(evil))


@pytest.mark.parametrize(
    "change",
    [{"model_type": "trocr"}, {"model_type": "no-such"}, {"model_type": None}, {"model_type": 7}, {"model_type": []},
     {"hidden_size": 15}, {"hidden_size": "x"}, {"num_attention_heads": 0}, {"hidden_act": "evil"}, {"vocab_size": -1}],
    ids=str,
)  # fmt: skip
def test_an_architecture_of_a_folder_that_cannot_be_built_is_one_message(evil: Path, change: dict[str, Any]) -> None:
    saved = {"architecture": {**described(evil, "bert"), **architecture("bert"), **change}}
    with pytest.raises(UserError):
        Transformer(TransformerConfig(architecture=architecture("bert")), FACTS, saved)
    if "model_type" in change:
        with pytest.raises(ArtifactError, match="code from a checkpoint is not run"):
            checkpoints.saved_config(saved["architecture"])


def test_the_same_network_comes_from_a_configuration_that_also_names_code(evil: Path) -> None:
    options = TransformerConfig(architecture=architecture("bert"))
    made = Transformer(options, FACTS, {"architecture": {**architecture("bert"), **described(evil, "bert")}})
    same = Transformer(options, FACTS)
    assert {n: p.shape for n, p in made.named_parameters()} == {n: p.shape for n, p in same.named_parameters()}


# ------------------------------------------------------------------ tokenizers in a model folder


def bpe() -> tuple[TrainBpeProcessor, dict[str, Any]]:
    processor = TrainBpeProcessor(TrainBpeConfig(vocabulary=300))
    processor.fit(pd.DataFrame({"text": ["habari ya leo", "soko la Nairobi"]}))
    return processor, json.loads(json.dumps(processor.state()))


@pytest.mark.parametrize(
    "change",
    [{"pad": 10**9}, {"pad": -1}, {"pad": "0"}, {"unknown": 1.5}, {"mask": 10**6}, {"tokenizer": None}, {"tokenizer": "{}"},
     {"tokenizer": ""}, {"redaction": 7}],
    ids=str,
)  # fmt: skip
def test_states_of_tokenizers_are_checked(change: dict[str, Any]) -> None:
    processor, state = bpe()
    processor.restore(state)
    with pytest.raises((ValueError, UserError)):
        processor.restore({**state, **change})


def test_special_tokens_lie_in_the_vocabulary() -> None:
    processor, state = bpe()
    made = json.loads(state["tokenizer"])
    made["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [4_000_000]
    with pytest.raises(ValueError, match="is not from 0"):
        processor.restore({**state, "tokenizer": json.dumps(made)})


def test_numbers_of_tokens_may_have_gaps() -> None:
    processor, state = bpe()
    made = json.loads(state["tokenizer"])
    made["model"]["vocab"] = {k: v + 1000 if v > 200 else v for k, v in made["model"]["vocab"].items()}
    processor.restore({**state, "tokenizer": json.dumps(made)})
    ids = processor.encode(pd.DataFrame({"text": ["habari soko"]})).columns["ids"]
    assert processor.facts()["vocabulary"] > int(ids.values.max())  # type: ignore[union-attr]
