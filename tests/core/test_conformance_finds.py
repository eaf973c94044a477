"""The conformance kit finds what is wrong: every check fails on a component that breaks its rule, and on no other."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jenga_core.testing import PluginContract


class Faulty(PluginContract):
    """Not called Test...: it is meant to fail."""

    plugin = "faulty"
    module = "faulty"


FOUND = [
    ("test_processor_state_is_json_and_restores_it", "array-state"),
    ("test_processor_state_is_json_and_restores_it", "forgets-scale"),
    ("test_processor_gives_one_entry_per_row", "drops-rows"),
    ("test_processor_encodes_rows_as_in_training", "learns-outside-fit"),
    ("test_processor_does_not_change_the_cells", "edits-cells"),
    ("test_processor_counts_what_is_unusual_by_reason", "nested-counts"),
    ("test_processor_collates_the_same_twice", "own-randomness"),
    ("test_backbone_shapes", "wrong-width"),
    ("test_backbone_row_is_the_same_alone_and_in_a_batch", "batch-mean"),
    ("test_backbone_row_is_the_same_alone_and_in_a_batch", "padding-counts"),
    ("test_backbone_trains_every_parameter", "unused-layer"),
    ("test_backbone_survives_a_model_folder", "own-shape"),
    ("test_run_with_a_backbone", "batch-mean"),
    ("test_fusion_ignores_what_is_masked", "ignores-mask"),
    ("test_fusion_row_is_the_same_alone_and_in_a_batch", "ignores-mask"),
    ("test_fusion_keeps_tokens_in_order", "mixes-order"),
    ("test_fusion_uses_every_input", "first-only"),
    ("test_fusion_trains_every_parameter", "unused-gate"),
    ("test_task_loss_is_a_sum", "mean-loss"),
    ("test_task_leaves_out_rows_without_a_label", "null-is-a-class"),
    ("test_task_state_is_json_and_restores_it", "no-state"),
    ("test_task_learns_eight_rows_by_heart", "peeks"),
    ("test_task_predicts_without_its_labels", "reads-targets"),
    ("test_task_predicts_without_its_labels", "remembers-labels"),
    ("test_task_decodes_a_line_per_row", "one-line-only"),
    ("test_hook_survives_a_crash_and_a_resume", "forgetful"),
    ("test_hook_leaves_every_event_once_and_in_order", "stops-early"),
    ("test_source_gives_the_columns_it_lists", "lying"),
    ("test_source_gives_the_same_rows_in_any_batches", "lying"),
    ("test_source_names_a_file_that_it_cannot_read", "lying"),
]


def run_check(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    check = getattr(Faulty(), name)
    wanted = check.__func__.__code__.co_varnames[1 : check.__func__.__code__.co_argcount]
    fixtures = {f: request.getfixturevalue(f) for f in wanted if f in ("tmp_path", "monkeypatch")}
    check(**fixtures, **{word: kind for word in wanted if word not in fixtures})


@pytest.mark.parametrize(("check", "kind"), FOUND, ids=[f"{c}-{k}" for c, k in FOUND])
def test_a_broken_rule_is_found(check, kind, request):
    with pytest.raises((AssertionError, TypeError, pytest.fail.Exception)):
        run_check(check, f"faulty/{kind}", request)


def test_a_hook_that_keeps_the_order_but_forgets_fails_only_there(request):
    run_check("test_hook_leaves_every_event_once_and_in_order", "faulty/forgetful", request)


# ------------------------------------------------------------------ the class and the pytest plugin

FILE = """
import pytest
from jenga_core.testing import PluginContract

class TestFaulty(PluginContract):
    plugin = module = "faulty"
{body}
"""


def outcome(folder, body: str, *arguments: str) -> tuple[int, str]:
    """Exit status and output of pytest over a contract with this body, in a process of its own."""
    (folder / "test_it.py").write_text(FILE.format(body=body))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *arguments]
    here = __file__.rpartition("core")[0]
    done = subprocess.run(
        [*command, "-o", f"pythonpath={here}", str(folder)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_a_check_is_not_overridden_without_a_reason(tmp_path):
    body = "    def test_task_loss_is_a_sum(self, task): pass"
    status, text = outcome(tmp_path, body, "-k", "overriding")
    assert status == 1
    assert "test_task_loss_is_a_sum" in text


def test_an_override_with_a_reason_is_an_expected_failure(tmp_path):
    body = (
        "    @pytest.mark.xfail(reason='a mean on purpose')\n"
        "    def test_task_loss_is_a_sum(self, task, tmp_path):\n"
        "        super().test_task_loss_is_a_sum(task, tmp_path)"
    )
    status, text = outcome(tmp_path, body, "-k", "overriding or (sum and mean-loss)")
    assert status == 0, text
    assert "1 passed" in text
    assert "1 xfailed" in text


def test_checks_of_families_that_a_plugin_lacks_are_left_out(tmp_path):
    status, text = outcome(tmp_path, "", "--collect-only", "-k", "example or command or fusion_uses")
    assert status == 0
    assert "deselected" in text
    assert "first-only" in text
    assert "example_is" not in text


def test_an_unknown_plugin_is_said_to_be_so(tmp_path):
    (tmp_path / "test_it.py").write_text(
        FILE.format(body="").replace('plugin = module = "faulty"', 'plugin = "nobody"')
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "no installed plugin is called 'nobody'" in done.stdout + done.stderr


def test_the_fixture_gives_core_and_doubles(jenga_registry):
    assert {record.name for record in jenga_registry.records} == {"core", "double"}


def test_the_pytest_plugin_imports_nothing_heavy():
    code = "import jenga_core.testing.pytest_plugin, sys; print([m for m in ('torch', 'pandas', 'pydantic') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
