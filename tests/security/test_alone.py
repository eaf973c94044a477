"""A column that alone tells the classes apart, and row numbers: said so that nobody overlooks them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import jenga_core
from jenga_core.commands.scores import lines, with_baselines


def rows(size=600, seed=0):
    """Two classes that no column tells apart; the row numbers rise."""
    rng = np.random.default_rng(seed)
    label = rng.random(size) < 0.3
    table = pd.DataFrame(rng.normal(label[:, None] * 1.0, 1, (size, 3)), columns=["a", "b", "c"])
    return table.assign(kind=rng.choice(["x", "y", "z"], size), label=np.where(label, "attack", "benign"))


def train(folder, table, task="core/classification", columns=None, report=False, **options):
    inputs = {"processor": "security/table", **({"columns": columns} if columns else {})}
    config = {
        "data": {"t": {"split": {"by": "stratified", "column": "label", "validation": 0.25, "test": 0.25}}},
        "inputs": {"i": inputs},
        "backbones": {"b": {"kind": "security/tabular-mlp", "width": 8, "depth": 1}},
        "tasks": {"threat": {"kind": task, "target": "label", **options}},
        "train": {"epochs": 1, "batch_size": 256, "bootstrap": 0, "baselines": False, "explanations": False},
    }
    if isinstance(table, str):
        config["data"]["t"]["path"], table = table, None
    return jenga_core.train(config, data=table, output=folder, quiet=True, report=report)


def leaks(table):
    """Columns, each of which is the answer in another form."""
    attack = (table["label"] == "attack").to_numpy()
    rng = np.random.default_rng(1)
    return {
        "number": np.where(attack, 5.0, 1.0) + rng.random(len(table)),
        "outside": np.where(attack, np.where(rng.random(len(table)) < 0.5, -9, 9), rng.random(len(table))),
        "name": np.where(attack, rng.choice(["p", "q"], len(table)), rng.choice(["r", "s"], len(table))),
        "noisy": np.where(rng.random(len(table)) < 0.001, 1 - attack, attack) * 1.0,
        "missing": np.where(attack, np.nan, rng.random(len(table))),
    }


@pytest.mark.parametrize("form", ["number", "outside", "name", "noisy", "missing"])
def test_a_column_that_alone_tells_the_classes_apart_is_kept_and_shouted(tmp_path, form):
    table = rows()
    table["leak"] = leaks(table)[form]
    run = train(tmp_path / "run", table)
    warnings = [note for note in run.notes if "alone" in note]
    assert len(warnings) == 1
    assert warnings[0].startswith("WARNING: t: task threat: column 'leak' tells the classes apart alone (mean recall")
    assert "leak" in run.data.parts.processors["i"].read_as()
    assert "'leak' tells the classes apart alone" in run.judgements[0].caution


def test_report_and_card_say_it_in_front_of_the_scores(tmp_path):
    table = rows(300)
    table["leak"] = leaks(table)["number"]
    table.to_csv(tmp_path / "rows.csv", index=False)
    folder = train(tmp_path / "run", str(tmp_path / "rows.csv"), report=True).folder
    assert "'leak' tells the classes apart alone" in (folder / "README.md").read_text().split("## Data")[0]
    assert 'class="caution"' in (folder / "report.html").read_text()
    judged = with_baselines(jenga_core.load(folder).evaluate(), folder)
    assert "'leak' tells the classes apart alone" in "\n".join(lines(judged))


def test_the_task_of_threats_says_so_too_and_names_a_few_of_many(tmp_path):
    table = rows()
    table = table.assign(**{f"leak{n}": (table["label"] == "attack") * (n + 1.0) for n in range(7)})
    run = train(tmp_path / "run", table, "security/anomaly", normal="benign")
    assert "columns 'leak0', 'leak1', 'leak2', 'leak3', 'leak4' and 2 more each tell" in run.judgements[0].caution


def test_honest_columns_and_handfuls_are_not_shouted(tmp_path):
    """Nine attacks in validation rows are told apart by chance: no warning rests on so few."""
    table = rows()
    assert not train(tmp_path / "honest", table).judgements[0].caution
    few = table.drop(table.index[table["label"] == "attack"][36:])
    few["leak"] = (few["label"] == "attack") * 1.0
    run = train(tmp_path / "few", few)
    assert not [note for note in run.notes if "alone" in note]


def test_row_numbers_of_a_table_sorted_by_its_labels(tmp_path):
    """In the table's order they are left out; in another order they tell the classes apart alone; listed, they are read."""
    table = rows().sort_values("label", ignore_index=True).rename_axis("Unnamed: 0").reset_index()
    run = train(tmp_path / "sorted", table)
    assert "Unnamed: 0" not in run.data.parts.processors["i"].read_as()
    assert any(note.startswith("WARNING: t: input i: whole numbers that rise from row to row") for note in run.notes)
    assert not run.judgements[0].caution
    shuffled = train(tmp_path / "shuffled", table.sample(frac=1, random_state=0))
    assert "column 'Unnamed: 0' tells the classes apart alone" in shuffled.judgements[0].caution
    listed = train(tmp_path / "listed", table, columns=["Unnamed: 0", "a"])
    assert "Unnamed: 0" in listed.data.parts.processors["i"].read_as()
    assert "column 'Unnamed: 0' tells the classes apart alone" in listed.judgements[0].caution
