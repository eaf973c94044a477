"""Control characters of data never reach a terminal, a note or a card as they are."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jenga_core
import toys
from jenga_core import cli
from jenga_core.card import text
from jenga_core.errors import LINES, DataError, UserError, visible
from jenga_core.progress import Reporter

HOSTILE = "a\x1b]0;OWNED\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\x00\u2028"
SHOWN = r"a\x1b]0;OWNED\x07\x1b[2J\x9b31m\u202egnp.exe\u2066\x00\u2028"


@given(st.text(st.characters(codec=None)))
def test_nothing_is_left_that_is_not_printed(given):
    shown = visible(given)
    assert shown.isprintable()
    assert visible(shown) == shown
    shown.encode()  # no half of a surrogate is left, either
    assert visible(given, LINES).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "kept", ["caf\u00e9 \u4f60\u597d \u0645\u0631\u062d\u0628\u0627 \U0001f600", "C:\\new | a=b", ""]
)
def test_what_is_printed_stays(kept):
    assert visible(kept) == kept


def test_errors_have_one_line_for_each_thing_they_say():
    error = UserError(
        "no column", where=HOSTILE + "\nfake: ok", allowed=["x\ny", HOSTILE], nearest=HOSTILE, next="a\x1b[2J"
    )
    lines = str(error).splitlines()
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
    assert SHOWN in lines[0]
    assert error.where == HOSTILE + "\nfake: ok"
    assert str(DataError("bad", column="b\x1b")).isprintable()


@pytest.mark.parametrize("error", [OSError(2, "no such file", HOSTILE), jenga_core.errors.TrainingError(HOSTILE)])
def test_the_command_line_shows_them_escaped(error, capsys):
    with pytest.raises(SystemExit):
        cli._fail(error, f"{getattr(error, 'filename', None) or error}: failed", 1)
    assert capsys.readouterr().err == f"jenga: {SHOWN}: failed\n"


def test_progress_and_notes_show_them_escaped(tmp_path, capsys):
    stream = io.StringIO()
    Reporter(stream=stream).say(f"one\n{HOSTILE}")
    assert stream.getvalue() == f"one\n{SHOWN}\n"
    frame = toys.numbers_frame()
    made = toys.numbers_config(epochs=1)
    run = jenga_core.train(made, data=frame, output=tmp_path / "run", registry=toys.registry(), report=False)
    capsys.readouterr()
    run.progress = Reporter()
    run.note(f"column {HOSTILE}\nnote: all is well")
    err = capsys.readouterr().err
    assert err == f"note: column {SHOWN}\\nnote: all is well\n"


def test_cards_show_them_escaped():
    assert visible(text(HOSTILE)) == text(HOSTILE)
    assert "x1b" in text(HOSTILE)
    assert text("a\nb") == "a b"


def test_predictions_say_what_is_unusual_with_names_escaped(tmp_path, capsys):
    """The name of a column reaches stderr by the counts of `jenga predict`."""
    pytest.importorskip("jenga_security")
    name = "b\x1b[2Jytes"
    frame = pd.DataFrame({name: range(60), "label": ["a", "b"] * 30})
    config = {
        "data": {"flows": {}},
        "inputs": {"flow": {"columns": [name], "processor": {"kind": "security/table"}}},
        "backbones": {"net": {"kind": "security/tabular-mlp", "width": 8, "depth": 1}},
        "tasks": {"label": {"kind": "core/classification", "target": "label"}},
        "train": {"epochs": 1, "bootstrap": 0, "baselines": False},
    }
    run = jenga_core.train(config, data=frame, output=tmp_path / "run", report=False)
    assert "\x1b" not in capsys.readouterr().err
    assert "\x1b" not in (run.folder / "README.md").read_text()
    frame.astype({name: object}).replace({name: {3: None}}).to_json(
        tmp_path / "new.jsonl", orient="records", lines=True
    )
    with pytest.raises(SystemExit):
        cli.main(["predict", str(run.folder), str(tmp_path / "new.jsonl"), "--output", str(tmp_path / "out.csv")])
    err = capsys.readouterr().err
    assert r"\x1b[2J" in err
    assert "\x1b" not in err
