"""Bad tables through the command line: an error that names file, row and column, or counted and reported. Nothing is lost.

Every case runs `jenga` in this process over a few rows and a network of eight units; status 2 and no traceback where it
is an error. Needs jenga-security.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from jenga_core.cli import main

pytest.importorskip("jenga_security")

CONFIG = """\
data:
  flows: {path: flows.csv, split: {validation: 0.2, test: 0.2}}
inputs:
  flow: {columns: [bytes, packets, service], processor: {kind: security/table}}
backbones:
  table: {kind: security/tabular-mlp, width: 8, depth: 1}
tasks:
  threat: {kind: core/classification, target: label}
train: {epochs: 1, batch_size: 16, bootstrap: 0, baselines: false}
"""
ROWS = 60


def frame(rows: int = ROWS) -> pd.DataFrame:
    """Bytes tell the classes apart; nothing in it is unusual."""
    at = range(rows)
    return pd.DataFrame(
        {
            "bytes": [100 + i + 900 * (i % 3 == 0) for i in at],
            "packets": [1.5 + i % 7 for i in at],
            "service": [("http", "dns", "ssh")[i % 3] for i in at],
            "label": ["attack" if i % 3 == 0 else "normal" for i in at],
        }
    )


def csv(cells: pd.DataFrame) -> str:
    return cells.to_csv(index=False, lineterminator="\n")


def with_cell(cells: pd.DataFrame, row: int, column: str, value: object) -> pd.DataFrame:
    """`row` counts from 1, as messages do."""
    cells = cells.astype({column: object})
    cells.loc[row - 1, column] = value
    return cells


class Shell:
    """`jenga` in this process, in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], model: Path) -> None:
        self.folder, self.capsys, self.model = folder, capsys, model

    def __call__(self, *arguments: object, status: int = 0) -> tuple[str, str]:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        assert (end.value.code or 0) == status, err
        return out, err

    def file(self, content: str | bytes, name: str = "flows.csv") -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def train(self, content: str | bytes, *options: str, name: str = "flows.csv", status: int = 0) -> str:
        """stderr of a training run over a file with this content; a refused one leaves no folder behind."""
        self.file(content, name)
        (self.folder / "config.yaml").write_text(CONFIG.replace("flows.csv", name))
        run = self.folder / "run"
        err = self("train", self.folder / "config.yaml", "--output", run, *options, status=status)[1]
        assert (run / "manifest.json").exists() == (status == 0)
        assert run.exists() == (status == 0)
        return err

    def refused(self, content: str | bytes, *options: str, name: str = "flows.csv") -> str:
        """The message of a training run that stops before it writes anything: one, that names the file first."""
        err = self.train(content, *options, name=name, status=2)
        assert err.count("jenga: ") == 1
        return err

    def predict(self, content: str | bytes, name: str = "new.csv") -> tuple[pd.DataFrame, str]:
        path, scored = self.file(content, name), self.folder / "scored.parquet"
        err = self("predict", self.model, path, "--output", scored)[1]
        return pd.read_parquet(scored), err

    def not_predicted(self, content: str | bytes, name: str = "new.csv") -> str:
        scored = self.folder / "scored.csv"
        err = self("predict", self.model, self.file(content, name), "--output", scored, status=2)[1]
        assert not list(self.folder.glob("*scored*.csv*"))
        return err

    def evaluate(self, content: str | bytes, status: int = 0, name: str = "judged.csv") -> tuple[dict, str]:
        out, err = self("evaluate", self.model, self.file(content, name), "--json", status=status)
        return json.loads(out) if out else {}, err


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of good rows."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "flows.csv").write_text(csv(frame()))
    (folder / "config.yaml").write_text(CONFIG)
    with pytest.raises(SystemExit) as end:
        main(["train", str(folder / "config.yaml"), "--output", str(folder / "model")])
    assert not end.value.code
    return folder / "model"


@pytest.fixture
def jenga(tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path) -> Shell:
    return Shell(tmp_path, capsys, model)


# ------------------------------------------------------------------ columns


def test_a_missing_column(jenga: Shell) -> None:
    cells = csv(frame().rename(columns={"packets": "pakets"}))
    for err in (jenga.refused(cells), jenga.not_predicted(cells), jenga.evaluate(cells, status=2)[1]):
        assert "'packets'" in err
        assert "did you mean: pakets" in err
    assert "flows.csv" in jenga.refused(cells)


def test_a_missing_label_column_is_no_matter_for_predictions(jenga: Shell) -> None:
    cells = csv(frame().drop(columns="label"))
    assert "'label'" in jenga.refused(cells)
    assert "'label'" in jenga.evaluate(cells, status=2)[1]
    assert len(jenga.predict(cells)[0]) == ROWS


def test_text_in_a_column_of_numbers(jenga: Shell) -> None:
    """Wrong type, and mixed types in a column."""
    cells = csv(with_cell(frame(), 13, "bytes", "lots"))
    for err, file in (
        (jenga.refused(cells), "flows.csv"),
        (jenga.not_predicted(cells), "new.csv"),
        (jenga.evaluate(cells, status=2)[1], "data 'flows' (test)"),
    ):
        assert f"{file}, row 13, column 'bytes': 'lots' is not a number" in err


def test_the_row_is_that_of_its_own_file(jenga: Shell) -> None:
    jenga.file(csv(frame()), "a.csv")
    jenga.file(csv(with_cell(frame(), 4, "bytes", "lots")), "b.csv")
    paths = json.dumps([str(jenga.folder / "a.csv"), str(jenga.folder / "b.csv")])
    err = jenga.refused(csv(frame()), "--set", f"data.flows.path={paths}")
    assert "b.csv, row 4, column 'bytes'" in err


def test_mixed_types_of_json_lines_are_text(jenga: Shell) -> None:
    lines = frame().to_json(orient="records", lines=True).splitlines()
    lines[6] = lines[6].replace('"bytes":1006', '"bytes":"1006"')  # a number, written as text
    assert lines[6].count('"1006"')
    scored, _ = jenga.predict("\n".join(lines) + "\n", "new.jsonl")
    assert scored["bytes"].astype(int).tolist() == frame()["bytes"].tolist()
    lines[6] = lines[6].replace('"1006"', "[1006]")
    assert "new.jsonl, row 7, column 'bytes': [1006] is not a number" in jenga.not_predicted(
        "\n".join(lines), "new.jsonl"
    )


def test_a_column_name_twice(jenga: Shell) -> None:
    cells = csv(frame()).replace("packets", "bytes", 1)
    for err in (jenga.refused(cells), jenga.not_predicted(cells), jenga.evaluate(cells, status=2)[1]):
        assert "bytes" in err
        assert re.search("twice|more than once", err)


def test_three_columns_of_two_hundred(jenga: Shell) -> None:
    """The others are neither read nor asked about, whatever is in them, and come back with the predictions."""
    others = pd.DataFrame({f"x{i}": ["text", 1, "", "inf"] * 15 for i in range(196)})
    wide = pd.concat([frame(), others], axis=1)
    jenga.train(csv(wide))
    assert json.loads((jenga.folder / "run" / "columns.json").read_text())["flows"]["inputs"]["flow"] == [
        "bytes",
        "packets",
        "service",
    ]
    scored, _ = jenga.predict(csv(wide))
    assert list(scored.columns[:200]) == list(wide.columns)


# ------------------------------------------------------------------ rows


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "the file is empty"), ("bytes,packets,service,label\n", "no rows"), ("\n\n", "empty")],
    ids=["no byte", "a header only", "blank lines"],
)
def test_an_empty_file(jenga: Shell, content: str, message: str) -> None:
    for err in (jenga.refused(content), jenga.not_predicted(content), jenga.evaluate(content, status=2)[1]):
        assert message in err
        assert ".csv" in err


def test_a_truncated_json_line(jenga: Shell) -> None:
    text = frame().to_json(orient="records", lines=True)
    cut = text[: text.rindex('"label"')]
    for err in (
        jenga.refused(cut, name="flows.jsonl"),
        jenga.not_predicted(cut, "new.jsonl"),
        jenga.evaluate(cut, status=2, name="judged.jsonl")[1],
    ):
        assert re.search(r"\.jsonl, row 60 \(line 60\): the file is cut off here", err)


# ------------------------------------------------------------------ cells


def test_an_unseen_category_is_counted_and_predicted(jenga: Shell) -> None:
    cells = with_cell(with_cell(frame(), 2, "service", "telnet"), 5, "service", "smtp")
    scored, err = jenga.predict(csv(cells))
    assert "input 'flow': column 'service': unseen category: 2 of 60 rows" in err
    assert scored["threat.score"].notna().all()
    assert scored["service"].tolist() == cells["service"].tolist()


def test_missing_and_infinite_cells_are_counted_and_predicted(jenga: Shell) -> None:
    cells = frame().astype({"bytes": float})
    cells.loc[[0, 1, 2], "bytes"] = float("nan")
    cells.loc[[3, 4], "packets"] = [float("inf"), float("-inf")]
    cells.loc[5, "service"] = None
    scored, err = jenga.predict(csv(cells))
    assert "column 'bytes': missing: 3 of 60 rows" in err
    assert "column 'packets': infinite, taken as missing: 2 of 60 rows" in err
    assert "column 'service': missing: 1 of 60 rows" in err
    assert scored["threat.score"].notna().all()
    assert scored["packets"].tolist()[3:5] == [float("inf"), float("-inf")]
    noted = jenga.train(csv(cells))
    split = [int(n) for n in re.findall(r"column 'bytes': missing: (\d) of", noted)]
    assert sum(split) == 3
    report = (jenga.folder / "run" / "report.html").read_text()
    assert "infinite, taken as missing" in report
    assert "infinite, taken as missing" in (jenga.folder / "run" / "README.md").read_text()


def test_a_row_without_any_cell_gets_no_prediction_and_keeps_its_place(jenga: Shell) -> None:
    cells = frame()
    cells.loc[7, ["bytes", "packets", "service"]] = None
    scored, err = jenga.predict(csv(cells))
    assert scored["threat.score"].isna().tolist() == [i == 7 for i in range(ROWS)]
    assert "no usable input, so no prediction: 1 of 60 rows" in err


@pytest.mark.parametrize("huge", [str(2**63), "9" * 40, "-" + "9" * 300])
def test_a_huge_integer(jenga: Shell, huge: str) -> None:
    """Used as the number it is nearest to, and given back digit for digit."""
    cells = csv(with_cell(frame(), 9, "bytes", huge))
    assert "'bytes' holds integers beyond what 64 bits can hold exactly" in jenga.train(cells)
    path = jenga.file(cells, "new.csv")
    for ending in ("csv", "jsonl", "parquet"):
        scored = jenga.folder / f"scored.{ending}"
        jenga("predict", jenga.model, path, "--output", scored)
        text = scored.read_text() if ending != "parquet" else str(pd.read_parquet(scored)["bytes"].tolist())
        assert huge in text


def test_an_integer_that_float64_cannot_hold_counts_as_infinite(jenga: Shell) -> None:
    cells = csv(with_cell(frame(), 9, "bytes", "9" * 400))
    assert re.search(r"'bytes': infinite, taken as missing: 1 of \d+ \w+ rows", jenga.train(cells))
    scored, err = jenga.predict(cells)
    assert "column 'bytes': infinite, taken as missing: 1 of 60 rows" in err
    assert scored["bytes"][8] == "9" * 400


# ------------------------------------------------------------------ labels


def test_one_class_only(jenga: Shell) -> None:
    err = jenga.refused(csv(frame().assign(label="normal")))
    assert "every label is 'normal' in the 36 training rows" in err
    assert "column 'label'" in err


def test_one_class_only_is_judged_without_made_up_numbers(jenga: Shell) -> None:
    judged, _ = jenga.evaluate(csv(frame().assign(label="normal")))
    assert judged["metrics"]["threat.roc_auc"] is None
    jenga.file(csv(frame().assign(label="normal")), "judged.csv")
    out, _ = jenga("evaluate", jenga.model, jenga.folder / "judged.csv")
    assert "nan" not in out
    assert "undefined" in out


def test_labels_outside_the_map_are_counted_and_not_judged(jenga: Shell) -> None:
    cells = with_cell(with_cell(frame(), 3, "label", "odd"), 4, "label", None)
    judged, _ = jenga.evaluate(csv(cells))
    (judgement,) = judged["judgements"]
    assert judgement["rows"] == ROWS - 2
    assert judgement["excluded"] == {"no label": 1, "unknown label": 1}
    jenga.file(csv(frame().assign(label="odd")), "judged.csv")
    _, err = jenga("evaluate", jenga.model, jenga.folder / "judged.csv", status=2)
    assert "no row with a usable label" in err


def test_a_label_that_is_not_among_the_listed_classes(jenga: Shell) -> None:
    err = jenga.refused(csv(frame().assign(label="odd")), "--set", "tasks.threat.classes=[normal, attack]")
    assert re.search(r"flows\.csv, row \d+, column 'label': label 'odd' is not one of `classes`", err)


def test_training_rows_without_a_label_are_counted(jenga: Shell) -> None:
    cells = frame()
    cells.loc[[0, 1, 2, 3], "label"] = None
    assert "task threat: 4 of 60 rows excluded: no label" in jenga.train(csv(cells))


@pytest.mark.parametrize("threshold", ["{target_fpr: 0.001}", "best_f1"])
def test_a_run_refused_before_its_first_step_leaves_its_folder_free(jenga: Shell, threshold: str) -> None:
    """What only the encoded labels can tell comes late, but the corrected run may have the same --output."""
    cells = frame().assign(label=["attack" if i < 12 else "normal" for i in range(ROWS)], at=range(ROWS))
    split = ("--set", "data.flows.split={by: time, column: at, validation: 0.2, test: 0.2}")
    err = jenga.refused(
        csv(cells), *split, "--set", f"tasks.threat={{kind: security/anomaly, target: label, threshold: {threshold}}}"
    )
    assert "validation rows" in err
    jenga.train(csv(cells), *split)


# ------------------------------------------------------------------ encodings


def test_a_byte_order_mark_is_no_part_of_the_first_name(jenga: Shell) -> None:
    marked = b"\xef\xbb\xbf" + csv(frame()).encode()
    jenga.train(marked)
    scored, _ = jenga.predict(marked)
    assert scored.columns[0] == "bytes"
    assert jenga.evaluate(marked)[0]["judgements"][0]["rows"] == ROWS


def _latin(cells: pd.DataFrame) -> bytes:
    return csv(with_cell(cells, 11, "service", "café")).encode("latin-1")


def test_latin_1_is_refused_and_can_be_named(jenga: Shell) -> None:
    raw = _latin(frame())
    for err in (jenga.refused(raw), jenga.not_predicted(raw), jenga.evaluate(raw, status=2)[1]):
        assert re.search(r"\.csv, line 12, byte \d+: byte 0xe9 is not valid utf-8; the file may be latin-1", err)
    encoding = ("--set", "data.flows.source={kind: core/csv, encoding: latin-1}")
    jenga.train(raw, *encoding)
    jenga.model = jenga.folder / "run"
    assert jenga.predict(raw)[0]["service"][10] == "café"


def test_nothing_of_a_good_file_is_lost(jenga: Shell) -> None:
    scored, err = jenga.predict(csv(frame()))
    pd.testing.assert_frame_equal(scored[list(frame().columns)], frame(), check_dtype=False)
    assert err == "60 rows\n"


@pytest.mark.parametrize("write", [csv, lambda cells: cells.to_json(orient="records", lines=True)])
def test_a_quoted_line_break_and_unicode_come_back(jenga: Shell, write: Callable[[pd.DataFrame], str]) -> None:
    cells = with_cell(frame(), 2, "service", 'new\nline, "quoted" ☃')
    name = "new.csv" if write is csv else "new.jsonl"
    assert jenga.predict(write(cells), name)[0]["service"][1] == 'new\nline, "quoted" ☃'
