"""What listing costs: no heavy import, and little more time than the command line's own library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from statistics import median

import pytest

HEAVY = ("torch", "transformers", "pandas", "pydantic", "sklearn", "matplotlib", "accelerate", "numpy")
LISTING = [c.split() for c in ("--help", "plugins list", "plugins list --json", "plugins show core", "train --help")]


def run(*command: str) -> subprocess.CompletedProcess:
    environ = {k: v for k, v in os.environ.items() if k not in ("JENGA_STRICT_PLUGINS", "OMP_WAIT_POLICY")}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environ, check=False)


@pytest.mark.parametrize("arguments", LISTING, ids=" ".join)
def test_listing_imports_nothing_heavy(arguments):
    program = f"""
import json, os, sys
from jenga_core.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    code = end.code
loaded = [m for m in {HEAVY!r} if m in sys.modules]
print(json.dumps({{"code": code, "loaded": loaded, "policy": os.environ["OMP_WAIT_POLICY"]}}), file=sys.stderr)
"""
    done = run("-c", program)
    last = json.loads(done.stderr.splitlines()[-1])
    assert last == {"code": 0, "loaded": [], "policy": "PASSIVE"}, done.stderr


def test_a_wait_policy_that_the_user_set_is_kept():
    program = """
import os
from jenga_core.cli import main
os.environ["OMP_WAIT_POLICY"] = "ACTIVE"
try:
    main(["--version"])
finally:
    print(os.environ["OMP_WAIT_POLICY"])
"""
    assert run("-c", program).stdout.splitlines()[-1] == "ACTIVE"


def test_every_plugin_module_that_is_installed_stays_light():
    program = f"""
import sys
from jenga_core.plugins import scan
records = scan()
print([m for m in {HEAVY!r} if m in sys.modules], len(records))
"""
    assert run("-c", program).stdout.startswith("[] ")


def test_listing_takes_little_more_than_importing_typer():
    """At most twice the time in benchmarks/startup.py; half as much again here, where other tests run beside."""
    commands = {"typer": ["-c", "import typer"], "list": ["-m", "jenga_core.cli", "plugins", "list"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(7):
        for name, command in commands.items():
            start = time.perf_counter()
            run(*command)
            seconds[name].append(time.perf_counter() - start)
    assert median(seconds["list"]) <= 3 * median(seconds["typer"]), seconds
