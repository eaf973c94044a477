"""Discovery over real packages: each of six broken or contested plugins has its own status while the good ones work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import types
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jenga_core import plugins
from jenga_core.api import (
    BackboneSpec,
    CommandSpec,
    ExampleSpec,
    ProcessorSpec,
    SourceSpec,
    TaskSpec,
    hookimpl,
)
from jenga_core.errors import PluginError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "plugins"
ALL = ("good", "import_error", "sys_exit", "bad_signature", "duplicate", "future_api")


def install(target: Path, *names: str) -> None:
    """What `pip install --no-deps --target` leaves behind, without a build: the modules and a dist-info folder."""
    for name in names:
        project = tomllib.loads((FIXTURES / name / "pyproject.toml").read_text())["project"]
        shutil.copytree(FIXTURES / name / "src", target, dirs_exist_ok=True)
        info = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.3\nName: {name}\nVersion: {version}\n".format(**project))
        (info / "entry_points.txt").write_text(entry_points(project))


def entry_points(project: dict) -> str:
    return "\n".join(
        f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in points.items()) + "\n"
        for group, points in project["entry-points"].items()
    )


def jenga(*arguments: str, target: Path, **environ: str) -> subprocess.CompletedProcess:
    environ = {**os.environ, "PYTHONPATH": str(target), "OMP_NUM_THREADS": "1", **environ}
    return subprocess.run(
        [sys.executable, "-m", "jenga_core.cli", *arguments], capture_output=True, text=True, env=environ, check=False
    )


def listed(target: Path, **environ: str) -> dict[tuple[str, str], dict]:
    done = jenga("plugins", "list", "--json", target=target, **environ)
    assert done.returncode == 0, done.stderr
    return {(r["name"], r["dist"].removeprefix("jenga-fixture-")): r for r in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    install(target, *ALL)
    return target


def test_each_broken_plugin_has_its_own_status_and_the_good_ones_work(everything):
    records = listed(everything)
    dists = {name.replace("_", "-") for name in ALL}
    statuses = {key: record["status"] for key, record in records.items() if key[1] in dists}
    assert statuses == {
        ("good", "good"): "ok",
        ("shared", "good"): "conflict",
        ("shared", "duplicate"): "conflict",
        ("import-error", "import-error"): "broken",
        ("sys-exit", "sys-exit"): "broken",
        ("bad-signature", "bad-signature"): "broken",
        ("future-api", "future-api"): "incompatible",
    }
    reasons = {key[0]: record["error"] for key, record in records.items() if record["error"]}
    assert all(reason and "\n" not in reason for reason in reasons.values())
    assert reasons["import-error"] == "No module named 'a_library_that_is_not_installed'"
    assert "no licence found" in reasons["sys-exit"]
    assert "registry" in reasons["bad-signature"]
    assert "jenga.plugins.v2" in reasons["future-api"]
    assert "JENGA_DISABLE_PLUGINS" in reasons["shared"]
    assert records["core", "jenga-core"]["status"] == "ok"
    assert [s["kind"] for s in records["good", "good"]["specs"]] == ["good/lines", "good/greet"]


def test_table_names_every_plugin_and_its_reason(everything):
    done = jenga("plugins", "list", target=everything)
    for word in ("conflict", "broken", "incompatible", "a_library_that_is_not_installed", "1 source, 1 command"):
        assert word in done.stdout
    assert "a plugin that talks" not in done.stdout
    assert "Traceback" not in done.stderr


def test_disabling_one_claimant_settles_a_conflict(everything):
    records = listed(everything, JENGA_DISABLE_PLUGINS="Jenga_Fixture.Duplicate")
    assert records["shared", "duplicate"]["status"] == "disabled"
    assert records["shared", "good"]["status"] == "ok"


def test_strict_fails_and_names_them(everything):
    for done in (
        jenga("plugins", "list", "--strict", target=everything),
        jenga("plugins", "list", target=everything, JENGA_STRICT_PLUGINS="1"),
        jenga("schema", target=everything, JENGA_STRICT_PLUGINS="1"),
    ):
        assert done.returncode == 2
        assert "sys-exit" in done.stderr
        assert "Traceback" not in done.stderr
    assert jenga("plugins", "list", "--json", target=everything, JENGA_STRICT_PLUGINS="0").returncode == 0


def test_show_and_check(everything):
    shown = jenga("plugins", "show", "shared", target=everything)
    assert shown.returncode == 0
    assert "jenga-fixture-duplicate 1.0.0, conflict" in shown.stdout
    checked = jenga("plugins", "check", "import-error", target=everything)
    assert checked.returncode == 2
    assert "a_library_that_is_not_installed" in checked.stderr
    unknown = jenga("plugins", "show", "god", target=everything)
    assert unknown.returncode == 2
    assert "did you mean: good" in unknown.stderr


def test_trace_prints_each_hook_call_to_stderr(everything):
    done = jenga("plugins", "list", "--json", target=everything, JENGA_TRACE_HOOKS="1")
    assert "good: jenga_register_sources() -> good" in done.stderr
    json.loads(done.stdout)


def test_a_plugins_command_is_mounted_and_imported_only_when_it_runs(everything):
    assert "Say hello" in jenga("--help", target=everything).stdout
    assert jenga("greet", "--name", "echo", target=everything).stdout == "hello echo\n"
    assert "Say hello to NAME" in jenga("greet", "--help", target=everything).stdout
    wrong = jenga("greet", "--nane", "x", target=everything)
    assert wrong.returncode == 2
    assert "No such option" in wrong.stderr
    seen = "import sys, jenga_core.cli as c\ntry: c.main(['--help'])\nfinally: print('greet' in ' '.join(sys.modules))"
    environ = {**os.environ, "PYTHONPATH": str(everything)}
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, env=environ, check=False)
    assert done.stdout.endswith("False\n")


@pytest.mark.parametrize("name", ALL)
def test_fixtures_are_packages_that_build(name, tmp_path):
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=FIXTURES / name, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        text = wheel.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    project = tomllib.loads((FIXTURES / name / "pyproject.toml").read_text())["project"]
    assert text.split() == entry_points(project).split()
    assert any(n.endswith("/plugin.py") for n in names)


# ------------------------------------------------------------------ one plugin, in this process


def spec(family=SourceSpec, **changes):
    facts = {"name": "x", "factory": "a.b:C", "config": "a.b:D", "summary": "s", **changes}
    if family in (CommandSpec, ExampleSpec):
        del facts["config"]
    if family is ProcessorSpec:
        facts.setdefault("emits", "table")
    if family is BackboneSpec:
        facts.setdefault("accepts", frozenset({"table"}))
    return family(**facts)


def plugin(**answers):
    """A plugin whose hooks return these; a callable answer is the hook's body."""
    module = types.ModuleType("made")
    for hook, answer in answers.items():

        def body(answer=answer):
            return answer() if callable(answer) else answer

        # pluggy reads the signature: a default is not an argument of the hook
        setattr(module, hook, hookimpl(types.FunctionType(body.__code__, {}, hook, (answer,))))
    return module


def collect(**answers):
    return plugins.collect("made", lambda: plugin(**answers), dist="made", version="1")


def test_hooks_are_collected_in_order():
    record = collect(
        jenga_register_tasks=[spec(TaskSpec, name="t")],
        jenga_register_sources=lambda: (spec(name=n) for n in "ab"),
    )
    assert record.status == "ok"
    assert [s.name for s in record.specs] == ["a", "b", "t"]


def stop():
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"jenga_register_backbons": []}, "unknown hook jenga_register_backbons; did you mean jenga_register_back"),
        ({"jenga_register_sources": [spec(TaskSpec)]}, "returned a TaskSpec, not a SourceSpec"),
        ({"jenga_register_sources": 5}, "returned int, not a list of SourceSpec"),
        ({"jenga_register_sources": spec()}, "returned SourceSpec, not a list"),
        ({"jenga_register_sources": "csv"}, "returned a str, not a SourceSpec"),
        ({"jenga_register_sources": lambda: 1 / 0}, "ZeroDivisionError: division by zero"),
        ({"jenga_register_sources": lambda: stop()}, "sys.exit(3)"),
        ({"jenga_register_sources": [spec(), spec()]}, "'x' twice"),
        ({"jenga_register_sources": [spec()], "jenga_register_tasks": [spec(TaskSpec)]}, "'x' twice"),
        ({"jenga_register_sources": [spec(name="A b")]}, "'A b' must be lower-case"),
        ({"jenga_register_sources": [spec(name=None)]}, "None must be lower-case"),
        ({"jenga_register_sources": [spec(factory="a.b.C")]}, "factory of x must read 'module:Name'"),
        ({"jenga_register_sources": [spec(config=int)]}, "config of x must read 'module:Name'"),
        ({"jenga_register_sources": [spec(summary="")]}, "summary of one line"),
        ({"jenga_register_sources": [spec(suffixes=".csv")]}, "suffixes of x must be a tuple"),
        ({"jenga_register_backbones": [spec(BackboneSpec, accepts="table")]}, "accepts of x must be a frozenset"),
        ({"jenga_register_commands": [spec(CommandSpec, name="train")]}, "jenga itself has a command 'train'"),
    ],
)
def test_what_a_plugin_may_not_do(answers, reason):
    record = collect(**answers)
    assert record.status == "broken"
    assert reason in record.error
    assert "\n" not in record.error
    assert record.specs == ()


def test_a_hook_without_its_marker_is_not_silently_ignored():
    module = types.ModuleType("made")
    module.jenga_register_sources = list
    record = plugins.collect("made", lambda: module, dist="made", version="1")
    assert record.error == "jenga_register_sources is not marked with @hookimpl"


def test_an_example_may_be_called_like_a_component_and_none_is_fine():
    assert collect(jenga_register_sources=[spec()], jenga_register_examples=[spec(ExampleSpec)]).status == "ok"
    assert collect(jenga_register_sources=None).status == "ok"


def test_an_interrupt_is_not_swallowed():
    def load():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plugins.collect("made", load, dist="made", version="1")


@given(st.text())
def test_any_exception_becomes_one_line(text):
    def load():
        raise ValueError(text)

    record = plugins.collect("made", load, dist="made", version="1")
    assert record.status == "broken"
    assert len(record.error.splitlines()) == 1


# ------------------------------------------------------------------ what is installed


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    plugins.forget()
    for name in [m for m in sys.modules if m.startswith("jenga_fixture_")]:
        del sys.modules[name]


def found(**environ):
    return {(r.name, r.dist): r for r in plugins.scan(environ)}


def test_damaged_metadata_is_one_plugins_problem(site):
    install(site, "good")
    (site / "torn-1.0.dist-info").mkdir()
    (site / "torn-1.0.dist-info" / "entry_points.txt").write_text("[jenga.plugins.v1]\nno equals sign here\n")
    (site / "latin-1.0.dist-info").mkdir()
    (site / "latin-1.0.dist-info" / "entry_points.txt").write_bytes(b"[jenga.plugins.v1]\n\xe9 = a\n")
    (site / "odd-1.0.dist-info").mkdir()
    (site / "odd-1.0.dist-info" / "entry_points.txt").write_text("[jenga.plugins.v1]\nodd = not a reference!\n")
    records = found()
    assert records["good", "jenga-fixture-good"].status == "ok"
    assert records["torn", "torn"].status == "broken"
    assert "metadata" in records["torn", "torn"].error
    assert records["odd", "unknown"].status == "broken"


def test_the_first_copy_on_the_path_counts(site, tmp_path_factory, monkeypatch):
    install(site, "good")
    second = tmp_path_factory.mktemp("second")
    install(second, "good")
    monkeypatch.setattr(sys, "path", [*sys.path, str(second)])
    assert found()["good", "jenga-fixture-good"].status == "ok"


def test_a_plugin_that_speaks_both_versions_is_listed_once(site):
    install(site, "good")
    info = next(site.glob("*.dist-info")) / "entry_points.txt"
    info.write_text(info.read_text() + "\n[jenga.plugins.v2]\ngood = jenga_fixture_good.next\n")
    assert [r.status for r in plugins.scan({}) if r.name == "good"] == ["ok"]


def test_scan_looks_again_when_told(site):
    assert ("good", "jenga-fixture-good") not in found()
    install(site, "good")
    plugins.forget()
    assert ("good", "jenga-fixture-good") in found()


def test_discover_raises_only_when_strict(site):
    install(site, "import_error")
    assert found()["import-error", "jenga-fixture-import-error"].status == "broken"
    plugins.discover({})
    with pytest.raises(PluginError, match="import-error"):
        plugins.discover({"JENGA_STRICT_PLUGINS": "1"})
