"""report.html and the model card: complete, self-contained, nothing from outside becomes markup."""

from __future__ import annotations

import base64
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jenga_core.builtin.metrics import ClassificationMetrics, RegressionMetrics
from jenga_core.card import rows_of, text
from jenga_core.errors import visible
from jenga_core.evaluation import Judgement, Score, judge
from jenga_core.figures import Curve, Line
from jenga_core.markup import VOID, element, number
from jenga_core.report import learning_curves, picture, verdict, write_card, write_report

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`|$x$ {{x}} \n# h [a](javascript:alert(3)) & \x01"


class Judged:
    def __init__(self, metrics: Any) -> None:
        self._metrics = metrics

    def metrics(self) -> Any:
        return self._metrics


class Page(HTMLParser):
    """Collects tags, attributes and text; fails on tags that don't nest."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def classified(
    name: str = "threat", classes: tuple[str, ...] = ("benign", "attack"), excluded: Any = None
) -> Judgement:
    rng = np.random.default_rng(0)
    y = rng.integers(0, len(classes), 120)
    p = rng.dirichlet(np.ones(len(classes)), 120)
    p[np.arange(120), y] += 1
    p /= p.sum(axis=1, keepdims=True)
    shares = np.tile(np.bincount(y, minlength=len(classes)) / 120, (120, 1))
    task: Any = Judged(ClassificationMetrics(classes))
    beside = {"majority": {"probability": shares}}
    target = {"y": y}
    return judge(
        name, task, {"probability": p}, target, split="test", excluded=excluded or {}, baselines=beside, bootstrap=20
    )


def history(name: str = "threat") -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [{"event": "start", "step": 0, "epoch": 0}]
    for step in range(1, 6):
        lines.append({"event": "train", "step": step, "epoch": 0, "loss": 1 / step, "losses": {name: 1 / step}})
        metrics = {f"{name}.roc_auc": 0.5 + step / 20, f"{name}.log_loss": 1 / step, "loss": 1.2 / step}
        lines.append({"event": "evaluate", "step": step, "epoch": 0, "metrics": metrics})
    return lines


def manifest(**more: Any) -> dict[str, Any]:
    splits = {"train": 800, "validation": 80, "test": 120}
    return {
        "project": "soc",
        "seed": 7,
        "versions": {"jenga-core": "0.1.0", "torch": "2.14.1"},
        "plugins": {"core/classification": {"plugin": "core", "dist": "jenga-core", "version": "0.1.0"}},
        "data": {"flows": {"rows": 1000, "splits": splits, "digest": "abc123", "notes": ["a note"]}},
        "parameters": 12345,
        "seconds": 3.25,
        "best": {"step": 4, "epoch": 0, "monitor": "threat.roc_auc", "value": 0.9},
        **more,
    }  # fmt: skip


CONFIG = yaml.safe_dump(
    {"project": "soc", "tasks": {"threat": {"kind": "core/classification", "data": "flows", "target": "label"}}}
)


def report(folder: Path, judgements: Any = None, **options: Any) -> tuple[str, Page]:
    given_ = {"history": history(), "manifest": manifest(), "config": CONFIG, **options}
    path = write_report(folder, judgements=[classified()] if judgements is None else judgements, **given_)
    source = path.read_text(encoding="utf-8")
    return source, Page(source)


def test_the_report_has_every_part(tmp_path: Path) -> None:
    _, page = report(tmp_path, [classified(excluded={"no label": 3})])
    for words in (
        "Task threat", "Model and baselines", "majority", "Precision and recall", "ROC", "Confusion matrix", "Calibration",
        "Learning", "Data", "flows", "abc123", "a note", "Configuration", "core/classification", "2.14.1", "no label",
        "20 bootstrap resamples", "seed 7",
    ):  # fmt: skip
        assert words in page.text, words
    assert page.text.index("Precision and recall") < page.text.index("ROC")


def test_the_report_is_self_contained(tmp_path: Path) -> None:
    source, page = report(tmp_path)
    assert {"script", "link", "iframe", "object", "base"}.isdisjoint(tag for tag, _ in page.tags)
    urls = [a[k] for _, a in page.tags for k in ("src", "href", "srcset", "action") if k in a]
    assert urls
    assert all(str(u).startswith("data:image/svg+xml;base64,") for u in urls)
    assert "@import" not in source
    assert "url(" not in source
    assert any("default-src 'none'" in str(a.get("content")) for a in page.all("meta"))
    assert any("width=device-width" in str(a.get("content")) for a in page.all("meta"))


def test_every_plot_has_words_and_numbers_beside_it(tmp_path: Path) -> None:
    _, page = report(tmp_path)
    images = page.all("img")
    assert len(images) == len(page.all("figure")) >= 7
    assert all(len(str(a["alt"])) > 20 for a in images)
    assert len(page.all("details")) >= len(images)


def test_names_from_outside_never_become_markup(tmp_path: Path) -> None:
    evil = classified(EVIL, (EVIL, "b" + EVIL), {EVIL: 2})
    data = {EVIL: {"rows": 1, "splits": {EVIL: 1}, "digest": EVIL, "notes": [EVIL]}}
    facts = manifest(
        project=EVIL, data=data, versions={EVIL: EVIL}, plugins={EVIL: {"dist": EVIL, "plugin": EVIL, "version": EVIL}}
    )
    config = yaml.safe_dump({"tasks": {EVIL: {"kind": EVIL, "target": EVIL, "data": EVIL}}})
    source, page = report(tmp_path, [evil], history=history(EVIL), manifest=facts, config=config)
    assert page.all("script") == []
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert all(str(a["src"]).startswith("data:image/svg+xml") for a in page.all("img"))
    assert "<script>alert(1)" in page.text
    for url in re.findall(r"base64,([A-Za-z0-9+/=]+)", source):
        svg = ElementTree.fromstring(base64.b64decode(url))
        assert not [node for node in svg.iter() if str(node.tag).endswith("script")]


@given(children=st.lists(st.text()), value=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_and_attributes_are_always_escaped(children: list[str], value: str) -> None:
    page = Page(str(element("p", *children, title=value)))
    assert [tag for tag, _ in page.tags] == ["p"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "undefined"), (math.inf, "undefined"), (None, "-"), (0.123456, "0.1235"), (0.0, "0.0000"), (12, "12"),
        (1234567, "1,234,567"), (98765.4, "98,765"), (1e-5, "1e-05"), (123.456, "123.46"), (True, "yes"), ("x", "x"),
    ],
)  # fmt: skip
def test_numbers(value: Any, shown: str) -> None:
    assert number(value) == shown


def test_undefined_metrics_are_named_so(tmp_path: Path) -> None:
    task: Any = Judged(ClassificationMetrics(["a", "b"]))
    one = judge(
        "t", task, {"probability": np.array([[0.9, 0.1]] * 5)}, {"y": np.zeros(5, dtype=int)}, split="test", excluded={}
    )
    _, page = report(tmp_path, [one])
    assert "undefined" in page.text
    assert not re.search(r"\b(nan|NaN|inf)\b", page.text)
    card = write_card(tmp_path, judgements=[one], manifest=manifest(), config=CONFIG).read_text(encoding="utf-8")
    assert "undefined" in card
    assert not re.search(r"\b(nan|NaN|inf)\b", card)


def test_the_best_value_of_a_line_is_marked(tmp_path: Path) -> None:
    scores = {"rmse": Score(2.0), "r2": Score(0.9)}
    made = Judgement(
        "t", "test", 10, {}, scores, {"mean": {"rmse": Score(1.0), "r2": Score(0.0)}}, (), {"rmse": "min", "r2": "max"}
    )
    source, _ = report(tmp_path, [made])
    assert re.findall(r'class="best">([0-9.]+)', source) == ["1", "0.9000"]


@pytest.mark.parametrize(
    ("model", "rival", "words"),
    [
        (Score(0.9, 0.88, 0.92), Score(0.8, 0.78, 0.82), "ahead of the best baseline, b (0.8000)."),
        (Score(0.7, 0.68, 0.72), Score(0.8, 0.78, 0.82), "behind"),
        (Score(0.81, 0.78, 0.84), Score(0.8, 0.78, 0.82), "do not settle it"),
        (Score(math.nan), Score(0.8), "undefined for the model"),
    ],
)
def test_the_verdict_is_honest(model: Score, rival: Score, words: str) -> None:
    made = Judgement(
        "t", "test", 9, {}, {"auc": model}, {"b": {"auc": rival}, "c": {"auc": Score(0.1)}}, (), {"auc": "max"}
    )
    assert words in verdict(made)
    assert "no baseline" in verdict(Judgement("t", "test", 9, {}, {"auc": model}, {}, (), {"auc": "max"}))


def test_learning_curves_take_the_last_word_of_a_step() -> None:
    lines = [*history(), {"event": "train", "step": 5, "loss": 9.0}, {"event": "train", "step": 6, "loss": math.nan}]
    loss, *others = learning_curves(lines, [classified()])
    assert [line.name for line in loss.lines] == ["training", "validation"]
    assert loss.lines[0].x.tolist() == [1, 2, 3, 4, 5]
    assert loss.lines[0].y[-1] == 9.0
    assert [curve.title for curve in others] == ["threat, higher is better", "threat, lower is better"]
    assert learning_curves([], [classified()]) == []


def test_a_run_without_anything_still_has_a_report(tmp_path: Path) -> None:
    _, page = report(tmp_path, [], history=[], manifest={}, config="")
    assert "Data" in page.text


def test_regression_report(tmp_path: Path) -> None:
    y = np.linspace(0, 1, 50)
    task: Any = Judged(RegressionMetrics("price"))
    made = judge("cost", task, {"value": y + 0.01}, {"y": y}, split="test", excluded={}, bootstrap=10)
    _, page = report(tmp_path, [made])
    assert "Predicted and true" in page.text
    assert "There is no baseline" in page.text


def test_equal_plots_are_equal_bytes_and_control_characters_do_not_break_them() -> None:
    curve = Curve(
        "t",
        "x\x01",
        "$y",
        [Line("a\x02$b$", np.array([0.0, 1.0]), np.array([0.0, 1.0])), Line("c", np.zeros(1), np.zeros(1))],
    )
    assert picture(curve) == picture(curve)
    ElementTree.fromstring(base64.b64decode(picture(curve).partition(",")[2]))


# ------------------------------------------------------------------ the model card


def test_the_card_has_metadata_numbers_and_how_to_load(tmp_path: Path) -> None:
    made = classified(excluded={"no label": 3})
    path = write_card(tmp_path, judgements=[made], manifest=manifest(), config=CONFIG)
    assert path.name == "README.md"
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    data = yaml.safe_load(front)
    assert data["library_name"] == "jenga"
    assert "jenga" in data["tags"]
    result = data["model-index"][0]["results"][0]
    assert result["task"]["type"] == "classification"
    assert result["dataset"]["name"] == "flows"
    assert {m["type"]: m["value"] for m in result["metrics"]}["roc_auc"] == pytest.approx(
        made.scores["roc_auc"].value, abs=1e-6
    )
    for words in (
        "jenga_core.load",
        "pip install jenga-core",
        "majority",
        "95 % intervals",
        "3 rows not judged",
        "## Limits",
        "label",
    ):
        assert words in body, words


def test_names_cannot_break_the_card(tmp_path: Path) -> None:
    data = {EVIL: {"rows": 1, "splits": {EVIL: 1}, "digest": EVIL, "notes": [EVIL]}}
    config = yaml.safe_dump({"tasks": {EVIL: {"kind": EVIL, "target": EVIL, "data": EVIL}}})
    facts = manifest(project=EVIL, data=data, plugins={EVIL: {"dist": EVIL}})
    path = write_card(tmp_path, judgements=[classified(EVIL, excluded={EVIL: 1})], manifest=facts, config=config)
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front)["model-index"][0]["name"] == visible(EVIL)
    unescaped = re.sub(r"\\.", "", body)
    outside_code = re.sub(r"```.*?```|`[^`\n]*`", "", unescaped, flags=re.DOTALL)
    assert "<script" not in outside_code
    assert "](javascript" not in outside_code


@given(name=st.text())
def test_a_name_stays_in_its_cell(name: str) -> None:
    line = rows_of(["a", "b"], [[text(name), "1"]]).split("\n")
    assert len(line) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line[2])) == 3
