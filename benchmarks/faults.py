"""Faults made by hand, one after the other, each in front of the test that must see it.

    python benchmarks/faults.py [word ...]

With words: only the faults whose name holds one of them. Nothing is changed in this checkout: the sources and the tests are
copied to a temporary folder, which comes first on the path of every process. Ends with 1 if a test passes with its fault, if a
test fails without it, or if the text that a fault replaces is not there exactly once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["jenga-core", "jenga-security", "jenga-text"]
LIMIT = 900  # seconds for the tests of one fault
PASSED, FAILED = 0, 1  # pytest's exit codes; all others say that no test was judged


@dataclass(frozen=True, slots=True)
class Fault:
    """`old`, which stands once in `file`, becomes `new`; `test` is a test's address for pytest."""

    name: str
    file: str
    old: str
    new: str
    test: str


CORE = "jenga-core/src/jenga_core/"
SECURITY = "jenga-security/src/jenga_security/"
TEXT = "jenga-text/src/jenga_text/"

FAULTS = [
    Fault(
        "gradients are clipped before fp16 unscales them",
        CORE + "training.py",
        "run.accelerator.clip_grad_norm_(_trained(run), largest)",
        "nn.utils.clip_grad_norm_(_trained(run), largest)",
        "tests/core/test_train_keys.py::test_clipping_and_hooks_see_gradients_that_fp16_has_unscaled",
    ),
    Fault(
        "model.eval() is missing in scoring",
        CORE + "scoring.py",
        "    model.eval()\n    tasks =",
        "    tasks =",
        "tests/core/test_evaluation_mode.py::test_scoring_switches_dropout_off",
    ),
    Fault(
        "model.eval() is missing in explaining",
        CORE + "explaining/explained.py",
        "        self.model.eval()\n",
        "",
        "tests/core/test_evaluation_mode.py::test_explaining_switches_dropout_off",
    ),
    Fault(
        "a loaded model is in training mode",
        CORE + "loading.py",
        "model.to(target).eval()",
        "model.to(target)",
        "tests/core/test_evaluation_mode.py::test_a_loaded_model_is_in_evaluation_mode",
    ),
    Fault(
        "training goes on without dropout after an evaluation",
        CORE + "training.py",
        "    run.hook.on_evaluate(run=run, metrics=run.metrics)\n    run.model.train()\n",
        "    run.hook.on_evaluate(run=run, metrics=run.metrics)\n",
        "tests/core/test_evaluation_mode.py::test_training_goes_on_in_training_mode_after_an_evaluation",
    ),
    Fault(
        "an empty length bucket is asked for ever",
        CORE + "sampling.py",
        "        if not cut:\n",
        "        if False:\n",
        "tests/core/test_sampling.py::test_a_pass_without_a_batch_ends_and_is_not_repeated_for_ever",
    ),
    Fault(
        "the first length bucket is left out",
        CORE + "sampling.py",
        "for start in range(0, len(shuffled), BUCKET * batch)",
        "for start in range(BUCKET * batch, len(shuffled), BUCKET * batch)",
        "tests/core/test_sampling.py::test_every_row_comes_exactly_once",
    ),
    Fault(
        "a usual cell gets the rounding of its pass as a reason",
        CORE + "explaining/occlusion.py",
        "of_groups = np.where(cells.changed(replaced), here - np.stack(others), 0.0)",
        "of_groups = here - np.stack(others)",
        "tests/core/test_reason_order.py::test_a_usual_cell_contributes_exactly_nothing_whatever_a_pass_rounds_to",
    ),
    Fault(
        "noise is a reason",
        CORE + "explaining/contributions.py",
        "order[sizes[order] > noise]",
        "order[sizes[order] > 0]",
        "tests/core/test_reason_order.py::test_what_is_noise_is_no_reason",
    ),
    Fault(
        "rounding decides which reason comes first",
        CORE + "explaining/contributions.py",
        "return order[np.lexsort((order, rank))]",
        "return order",
        "tests/core/test_reason_order.py::test_equals_are_listed_by_their_names",
    ),
    Fault(
        "the best threshold for F1 is a row's own score",
        SECURITY + "thresholds.py",
        "return middle if middle > lower else score",
        "return score",
        "tests/security/test_anomaly.py::test_a_row_stays_on_its_side_of_best_f1_when_its_score_changes_in_the_last_digit",
    ),
    Fault(
        "the rank behind a rate forgets the new row",
        SECURITY + "thresholds.py",
        "round((rows + 1) * (1 - rate), 9)",
        "round(rows * (1 - rate), 9)",
        "tests/security/test_alerts.py::test_the_rank_is_the_lowest_whose_expected_rate_is_within_the_one_asked_for",
    ),
    Fault(
        "a learning rate falls while it still warms up",
        CORE + "schedules.py",
        "(step - warm) / max(total - warm, 1)",
        "step / total",
        "tests/core/test_train_keys.py::test_after_warm_up_the_whole_shape_follows",
    ),
    Fault(
        "of equally good evaluations the last is kept",
        CORE + "run.py",
        'value < self.best["value"])',
        'value <= self.best["value"])',
        "tests/core/test_train_keys.py::test_of_equally_good_evaluations_the_first_is_kept",
    ),
    Fault(
        "known anomalies stay in the fit with labels: few",
        SECURITY + "outliers/task.py",
        "        rows = rows[told[rows] == 0]\n",
        "",
        "tests/security/test_outlier.py::test_known_anomalies_are_kept_out_of_the_fit_with_few_labels[few-True]",
    ),
    Fault(
        "thresholds of baselines are set on judged rows",
        CORE + "scoring.py",
        'train, held = encoded.labelled(name, "train"), encoded.labelled(name, "validation")',
        'train, held = encoded.labelled(name, "train"), rows',
        "tests/core/test_contract.py::test_thresholds_of_baselines_are_set_on_validation_rows_and_never_on_judged_ones",
    ),
    Fault(
        "a time split ignores the UTC offset",
        CORE + "clock.py",
        'iso = pd.to_datetime(text, format="ISO8601"',
        'iso = pd.to_datetime(text.str.replace(r"(?:Z|[+-]\\d\\d:\\d\\d)$", "", regex=True), format="ISO8601"',
        "tests/core/test_splits.py::test_a_time_split_heeds_the_utc_offset",
    ),
    Fault(
        "a time split sorts numbers that are text as strings",
        CORE + "clock.py",
        "        return _epochs(numbers, where)\n    _refuse(values, parsed",
        "        return np.unique(text.to_numpy(dtype=str), return_inverse=True)[1]\n    _refuse(values, parsed",
        "tests/core/test_splits.py::test_a_time_split_sorts_numbers_by_their_size_also_where_they_are_text",
    ),
    Fault(
        "the bins of PSI are half off",
        SECURITY + "shifts.py",
        "(np.cumsum(inside) - inside / 2)",
        "np.cumsum(inside)",
        "tests/security/test_drift.py::test_psi_is_summed_over_groups_of_equal_size_and_the_ends_apart",
    ),
    Fault(
        "what lies below the training range shares its end's bin",
        SECURITY + "sketches.py",
        "        places[known < edges[0]] = 0\n",
        "        pass\n",
        "tests/security/test_drift.py::test_what_lies_outside_the_training_range_is_seen",
    ),
    Fault(
        "a task sees the targets that it is judged by",
        CORE + "scoring.py",
        "blind = replace(batch, targets={})",
        "blind = batch",
        "tests/core/test_contract.py::test_what_is_judged_was_predicted_without_targets",
    ),
    Fault(
        "regression comes back to its unit in float32",
        CORE + "builtin/tasks.py",
        "standardised.double() * self.scale",
        "standardised * self.scale",
        "tests/core/test_tasks.py::test_regression_keeps_its_precision_at_any_level",
    ),
    Fault(
        "type 3 code 10 of ICMP is read as the number 3.1",
        SECURITY + "flows/nfdump.py",
        '"port": Field(("dp", "dstPort", "dst_port"), undotted_port)',
        '"port": Field(("dp", "dstPort", "dst_port"), port)',
        "tests/security/test_flow_sources.py::test_type_and_code_of_icmp_in_every_version_of_nfdump",
    ),
    Fault(
        "the score of an entity is over one token too few",
        TEXT + "ner.py",
        "means = np.exp((logs[found.last + 1] - logs[found.first]) / (found.last + 1 - found.first))",
        "means = np.exp((logs[found.last] - logs[found.first]) / (found.last + 1 - found.first))",
        "tests/text/test_ner.py::test_the_score_of_an_entity_is_over_all_its_tokens",
    ),
    Fault(
        "a token that ends where an entity starts is part of it",
        TEXT + "tags.py",
        'first = np.searchsorted(ends, entity_row * size + entity[:, 0], side="right")',
        'first = np.searchsorted(ends, entity_row * size + entity[:, 0], side="left")',
        "tests/text/test_tags.py::test_a_token_that_ends_where_an_entity_starts_is_no_part_of_it",
    ),
    Fault(
        "an is no article in answers",
        TEXT + "answers.py",
        "(a|an|the)",
        "(a|the)",
        "tests/text/test_span_qa.py::test_all_three_articles_are_left_out_of_an_answer",
    ),
    Fault(
        "review_above has no effect",
        TEXT + "scoring.py",
        "np.where(scores > self.config.review_above, REVIEW, FAIL)",
        "np.where(scores > 0.4, REVIEW, FAIL)",
        "tests/text/test_scoring.py::test_review_begins_above_review_above",
    ),
    Fault(
        "a code in a column of names is read as a number",
        SECURITY + "table_config.py",
        'if self.kind_of(name) in ("categorical", "hashed")',
        'if self.kind_of(name) in ("hashed",)',
        "tests/security/test_doors.py::test_a_code_is_one_name_at_every_door",
    ),
    Fault(
        "copies of cells are what the model read",
        CORE + "commands/model.py",
        "came = as_frame(stretch).set_axis(scores.index, axis=0)",
        "came = cells.set_axis(scores.index, axis=0)",
        "tests/security/test_doors.py::test_copies_are_what_went_in",
    ),
]


def main(words: list[str]) -> int:
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "jenga"
        copied(copy)
        answers, tests = {}, list(dict.fromkeys(fault.test for fault in chosen))
        sound = passes(copy, *tests) == PASSED
        for fault in chosen:
            passed = sound or passes(copy, fault.test) == PASSED
            answers[fault.name] = tried(copy, fault) if passed else "FAILS WITHOUT IT"
            print(f"{answers[fault.name]:<18}{fault.name}  ({fault.test.rpartition('::')[2]})", flush=True)
    missed = [name for name, answer in answers.items() if answer != "caught"]
    print(f"{len(answers) - len(missed)} of {len(answers)} faults were caught")
    return 1 if missed or not answers else 0


def copied(to: Path) -> None:
    """Sources, tests and settings."""
    for part in [*(f"{package}/src" for package in PACKAGES), "tests", "examples"]:
        shutil.copytree(ROOT / part, to / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", to)


def tried(copy: Path, fault: Fault) -> str:
    """What the fault's test says of it. The copy is as before afterwards."""
    file = copy / fault.file
    text = file.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        return f"FOUND {text.count(fault.old)} TIMES"
    file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
    try:
        code = passes(copy, fault.test)
    finally:
        file.write_text(text, encoding="utf-8")
    return {PASSED: "MISSED", FAILED: "caught"}.get(code, f"NOT JUDGED ({code})")


def passes(copy: Path, *tests: str) -> int:
    """pytest's exit code for tests of the copy; -1 if they do not end."""
    path = os.pathsep.join([*(str(copy / package / "src") for package in PACKAGES), str(copy / "tests")])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", *tests]
    try:
        return subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, timeout=LIMIT * len(tests)
        ).returncode
    except subprocess.TimeoutExpired:
        return -1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
