"""Templates: the same seed gives the same bytes, every label occurs, and a demo goes the whole way."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jenga_core
from jenga_core import cli
from jenga_core.api import ExampleSpec
from jenga_core.check import check
from jenga_core.reading import read_config
from jenga_core.registry import Registry
from jenga_text.examples import calls, emails, multitask, ner, phishing_email, qa_auditor, sentiment
from jenga_text.examples.phrases import ENTITIES, mistyped, phrases, render

NAMES = ("sentiment", "ner", "qa-auditor", "multitask", "phishing-email")
QUICK = ("train.epochs=1", "train.bootstrap=0")


def write(name: str, folder: Path, *, seed: int = 1, rows: int = 300) -> Path:
    registry = Registry.discover()
    registry.factory(registry.example(name), ExampleSpec)(folder, seed=seed, rows=rows)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def table(folder: Path, prefix: str) -> pd.DataFrame:
    """The one data file whose name begins so."""
    (path,) = (p for p in folder.iterdir() if p.suffix in (".csv", ".jsonl") and p.name.startswith(prefix))
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path, lines=True)


def named(folder: Path) -> list[str]:
    """Names of the files with labels: one."""
    return [p.stem for p in folder.iterdir() if not p.name.startswith(("new", "config", "README"))]


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes_and_another_seed_other_texts(name: str, tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(name, tmp_path / folder, seed=seed, rows=60)
    found = digests(tmp_path / "a")
    assert found == digests(tmp_path / "b")
    assert len(found) == 4
    same = {name for name, digest in digests(tmp_path / "c").items() if digest == found[name]}
    assert same == {"config.yaml"}


@pytest.mark.parametrize("name", NAMES)
def test_check_passes_and_new_rows_have_no_labels(name: str, tmp_path: Path) -> None:
    folder = write(name, tmp_path)
    registry = Registry.discover()
    config = read_config(folder / "config.yaml", registry=registry)
    report = check(config, folder, registry)
    assert not report.problems
    labelled, new = table(folder, *named(folder)), table(folder, "new")
    assert len(new) < 300 == len(labelled)
    targets = {column for task in config.tasks.values() for column in task.label_columns()}
    assert {*labelled.columns} - {*new.columns} == targets
    assert {c for each in config.inputs.values() for c in each.columns or ()} == {*new.columns}


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_what_the_rows_are_and_names_their_columns(name: str, tmp_path: Path) -> None:
    folder = write(name, tmp_path)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "**synthetic**" in text
    assert "says nothing about real" in text
    for column in table(folder, *named(folder)).columns:
        assert f"| {column} |" in text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 7])
def test_small_tables_have_the_rows_asked_for(name: str, rows: int, tmp_path: Path) -> None:
    write(name, tmp_path, rows=rows)
    assert len(table(tmp_path, "new")) == rows


# ------------------------------------------------------------------ what the generators make


@given(st.integers(0, 2**32))
def test_entities_are_where_they_are_said_to_be(seed: int) -> None:
    for made in (ner.sentences(5, seed), multitask.reports(5, seed)):
        for row in made:
            for entity in row["entities"] or ():
                assert 0 <= entity["start"] < entity["end"] <= len(row["text"])
                words = row["text"][entity["start"] : entity["end"]]
                assert words == words.strip() != ""


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_typos_do_not_move_entities(seed: int, typos: float) -> None:
    text, entities = render("aliyekuwa {PER} wakati {LOC} iliporomoka", Random(seed), ENTITIES, typos=typos)
    for entity, slot in zip(entities, ("PER", "LOC"), strict=True):
        assert entity["label"] == slot
        assert text[entity["start"] : entity["end"]][0].isupper()
    assert mistyped("a bc def", Random(seed), 1.0) == "a bc def"


def test_all_labels_occur_and_none_rules() -> None:
    moods = pd.Series([row["sentiment"] for row in sentiment.messages(600, 0)]).value_counts(normalize=True)
    assert set(moods.index) == set(sentiment.LABELS)
    assert moods.max() < 0.5
    types = {entity["label"] for row in ner.sentences(200, 0) for entity in row["entities"]}
    assert types == {"PER", "LOC", "ORG", "DATE"}
    reports = multitask.reports(600, 0)
    assert {row["label"] for row in reports} == {"Threat", "Non-Threat", None}
    assert any(row["entities"] is None for row in reports)
    assert not any(row["entities"] is None and row["label"] is None for row in reports)
    mails = pd.Series([row["label"] for row in phishing_email.emails(600, 0)])
    assert set(mails) == set(emails.LABELS)
    assert 0.2 < (mails == "phishing").mean() < 0.5


def test_the_qa_auditor_has_the_heads_and_outputs_of_a_call_centre() -> None:
    sizes = {head: len(outputs) for head, outputs in calls.heads().items()}
    assert sizes == {"opening": 1, "listening": 5, "proactiveness": 3, "resolution": 5, "hold": 2, "closing": 1}
    made = [row["labels"] for row in qa_auditor.calls(300, 0)]
    for head, size in sizes.items():
        known = [labels[head] for labels in made if labels[head] is not None]
        assert {len(labels) for labels in known} == {size}
        for output in zip(*known, strict=True):
            assert 0.25 < sum(output) / len(output) < 0.85
    assert {head for labels in made for head, given in labels.items() if given is None} == {"hold"}


@pytest.mark.parametrize("name", ["sentiment", "ner", "multitask", "emails", "calls", "names"])
def test_every_slot_of_a_pattern_can_be_filled(name: str) -> None:
    slots = {"sentiment": sentiment, "ner": ner, "multitask": multitask, "emails": emails, "calls": calls}
    known = slots[name].slots() if name in slots else {}
    for section, lines in phrases(name).items():
        assert lines, section
        assert len(set(lines)) == len(lines), section
        for line in lines:
            render(line, Random(0), known)


# ------------------------------------------------------------------ the whole way


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_demo_goes_the_whole_way(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(shlex.split(f"demo {name} --rows 150 --output {tmp_path / 'demo'}"))
    assert not end.value.code
    folder = tmp_path / "demo"
    (scored,) = folder.glob("scored-new*")
    assert f"predictions: {scored}" in capsys.readouterr().out
    found = pd.read_csv(scored) if scored.suffix == ".csv" else pd.read_json(scored, lines=True)
    assert len(found) == len(table(folder, "new"))
    registry = Registry.discover()
    for task in read_config(folder / "config.yaml", registry=registry).tasks:
        assert [c for c in found if c.startswith(f"{task}.")]
    assert (folder / "model" / "report.html").exists()


@pytest.mark.slow
def test_multitask_predicts_labels_and_entities_with_offsets(tmp_path: Path) -> None:
    write("multitask", tmp_path, rows=700)
    quick = ("train.epochs=2", "train.bootstrap=0", "train.baselines=false")
    run = jenga_core.train(tmp_path / "config.yaml", output=tmp_path / "run", overrides=quick, quiet=True)
    new = table(tmp_path, "new").head(40)
    found = jenga_core.load(run.folder).predict(new)
    assert set(found["threat.label"]) <= {"Threat", "Non-Threat"}
    entities = [
        (text, entity) for text, row in zip(new["text"], found["names.entities"], strict=True) for entity in row
    ]
    assert len(entities) > 20
    for text, entity in entities:
        assert text[entity["start"] : entity["end"]] == entity["text"]
    judged = {j.task: j for j in run.judgements}
    assert all(any("no label" in why for why in judgement.excluded) for judgement in run.judgements)
    assert judged["names"].scores["f1"].value > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_takes_the_place_as_the_readme_says(name: str, tmp_path: Path) -> None:
    """The README's command, with a tiny checkpoint instead of the one on the hub."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from jenga_text.config import TokenizerConfig

    tokenizer = AutoTokenizer.from_pretrained(TokenizerConfig.example().checkpoint)
    tokenizer.save_pretrained(tmp_path / "tiny")
    BertModel(
        BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
    ).save_pretrained(tmp_path / "tiny")
    folder = write(name, tmp_path / "data", rows=60)
    (lines,) = (part for part in (folder / "README.md").read_text().split("\n\n") if "--output run-pretrained" in part)
    command = lines.replace("\\\n", " ").replace("Davlan/afro-xlmr-base", str(tmp_path / "tiny"))
    words = shlex.split(command.replace("config.yaml", str(folder / "config.yaml")))
    words[words.index("run-pretrained")] = str(tmp_path / "run")
    assert words[0] == "jenga"
    with pytest.raises(SystemExit) as end:
        cli.main([*words[1:], *(f"--set={quick}" for quick in QUICK), "--set=train.baselines=false"])
    assert not end.value.code
    (backbone,) = read_config(tmp_path / "run" / "config.yaml", registry=Registry.discover()).backbones.values()
    assert backbone.kind == "text/transformer"
