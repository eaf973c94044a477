"""The documentation is a test: what it tells a reader to run runs, and nothing that a plugin may use is left out of it."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from documented import LANGUAGES, Reader, blocks
from jenga_core import answers, hookspecs, loop
from jenga_core.api import ExampleSpec
from jenga_core.commands import CORE
from jenga_core.registry import Registry
from jenga_security.examples.flows import flows

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(ROOT / f"jenga-{package}" / "README.md" for package in ("core", "security", "text")),
    *sorted(ROOT.glob("examples/**/*.md")),
    *sorted(DOCS.rglob("*.md")),
]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
WITH_CODE = [name for name, text in TEXTS.items() if any(b.language in LANGUAGES[:3] for b in blocks(text))]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """In a folder with rows of the reader's own: flows.csv with labels, new.csv without."""
    flows(2000, 5).to_csv(tmp_path / "flows.csv", index=False)
    flows(100, 6).drop(columns="label").to_csv(tmp_path / "new.csv", index=False)
    known = set(sys.modules)
    yield Reader(tmp_path, monkeypatch)
    for name in set(sys.modules) - known:  # files that a page wrote
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_CODE)
def test_what_a_page_says_runs(name: str, reader: Reader, capfd: pytest.CaptureFixture[str]) -> None:
    if name.startswith("examples/"):
        config = (ROOT / name).with_name("config.yaml")
        (reader.folder / config.name).write_bytes(config.read_bytes())
    for block in blocks(TEXTS[name]):
        try:
            reader.follow(block)
        except BaseException as error:
            said = capfd.readouterr()
            pytest.fail(f"{name}, line {block.line}: {error!r}\n{said.out[-1500:]}\n{said.err[-1500:]}")


@pytest.mark.parametrize("name", TEXTS)
def test_every_block_says_what_it_is(name: str) -> None:
    unknown = [(b.line, b.language) for b in blocks(TEXTS[name]) if b.language not in LANGUAGES]
    assert not unknown, f"{name}: blocks may be {LANGUAGES}; found {unknown}"


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", TEXTS[name])
    missing = [link for link in links if not (ROOT / name).parent.joinpath(link).exists()]
    assert not missing, f"{name}: {missing}"


# ------------------------------------------------------------------ nothing is left out


@pytest.mark.parametrize("event", [name for name in vars(loop.LoopSpecs) if not name.startswith("_")])
def test_every_loop_event_is_documented(event: str) -> None:
    assert f"`{event}(" in TEXTS["docs/reference/events.md"]


@pytest.mark.parametrize("hook", answers.FAMILIES)
def test_every_registration_hook_is_documented(hook: str) -> None:
    assert hasattr(hookspecs, hook)
    assert f"`{hook}`" in TEXTS["docs/reference/registration.md"]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of the core with its options."""
    for spec in CORE:
        module, _, name = spec.factory.partition(":")
        command = typer.main.get_command(getattr(importlib.import_module(module), name))
        for inner, each in getattr(command, "commands", {}).items() or [("", command)]:
            shell = ("install_completion", "show_completion")  # typer's own, which `jenga` takes off
            options = [o for p in each.params if p.name not in shell for o in p.opts if o.startswith("--")]
            yield f"{spec.name} {inner}".strip(), options


def test_the_commands_have_options_to_document() -> None:
    """Commands are loaded late: a list of them without options would make the next test check nothing."""
    found = dict(commands())
    assert "--resume" in found["train"]
    assert "--strict" in found["plugins list"]


@pytest.mark.parametrize(("command", "options"), list(commands()))
def test_every_command_and_option_is_documented(command: str, options: list[str]) -> None:
    sections = TEXTS["docs/reference/command-line.md"].split("\n## ")
    found = [s for s in sections if s.startswith(f"jenga {command}\n")]
    assert found, f"no section for jenga {command}"
    assert not [o for o in options if f"`{o}" not in found[0]]


def test_the_page_of_the_configuration_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert TEXTS["docs/reference/configuration.md"] == module.page(Registry.discover()), (
        "run: python docs/generate_reference.py"
    )


def test_the_tests_that_a_page_names_exist() -> None:
    named = [
        (page, file, test)
        for page, text in TEXTS.items()
        for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    ]
    assert named
    missing = [n for n in named if f"def {n[2]}(" not in (ROOT / n[1]).read_text(encoding="utf-8")]
    assert not missing


def test_every_module_of_the_core_is_in_the_architecture() -> None:
    package = ROOT / "jenga-core" / "src" / "jenga_core"
    names = [p.name for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    missing = [n for n in names if n != "__init__.py" and f"`{n}" not in TEXTS["docs/architecture.md"]]
    assert not missing


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "examples").iterdir()))
def test_the_example_is_what_init_writes(name: str, tmp_path: Path) -> None:
    registry = Registry.discover()
    registry.factory(registry.example(name), ExampleSpec)(tmp_path, seed=0, rows=100)
    committed = ROOT / "examples" / name / "config.yaml"
    assert committed.read_bytes() == (tmp_path / "config.yaml").read_bytes()
