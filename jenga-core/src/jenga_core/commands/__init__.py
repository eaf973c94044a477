"""The commands of `jenga`, by subject. Every body imports what it needs inside its function: `--help` stays quick."""

from __future__ import annotations

# A plugin's sub-command may not have one of these names.
NAMES = ("plugins", "init", "demo", "check", "schema", "doctor", "train", "evaluate", "predict", "report")
