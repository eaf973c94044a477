"""The commands of `jenga`, by subject. They are listed here as a plugin's are: by spec, imported when one runs."""

from __future__ import annotations

from ..api import CommandSpec


def _command(name: str, factory: str, summary: str) -> CommandSpec:
    return CommandSpec(name=name, factory=f"jenga_core.commands.{factory}", summary=summary)


CORE = (
    _command("init", "examples:init_app", "Write a template: a configuration, data and a README."),
    _command("demo", "examples:demo_app", "Generate, train, evaluate and predict in one command."),
    _command("check", "config:check_app", "Validate a configuration against what is installed."),
    _command("train", "training:train_app", "Train; the run's folder, printed at the end, is the model."),
    _command("compare", "comparing:compare_app", "Each task alone against all of them together."),
    _command("evaluate", "model:evaluate_app", "Metrics with confidence intervals."),
    _command("predict", "model:predict_app", "The same rows with predictions, as columns TASK.FIELD."),
    _command("score", "bulk:score_app", "Predictions for files larger than memory, in resumable parts."),
    _command("report", "model:report_app", "Write report.html anew from the folder's own numbers."),
    _command("plugins", "plugins:app", "Which plugins are installed, and writing one."),
    _command("schema", "config:schema_app", "Print the configuration's JSON schema, for editors."),
    _command("doctor", "doctor:doctor_app", "Find what is wrong with this installation, and the cure."),
)
NAMES = tuple(spec.name for spec in CORE)  # a plugin's sub-command may not have one of these names
