"""Every file of tests/core/wrong_configs is refused with the message, and the line, that its own first lines expect.

``# expect: 12, train.epoch: unknown key`` stands for a message at line 12 of that file; without a number, for any line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from jenga_core.errors import ConfigError
from jenga_core.reading import read_config

FOLDER = Path(__file__).parent.parent / "wrong_configs"
FILES = sorted(FOLDER.glob("*.yaml"))


def expectations(path: Path) -> list[str]:
    raw = path.read_bytes()
    text = raw.decode("utf-16") if raw[:2] == b"\xff\xfe" else raw.decode("latin-1")
    found = re.findall(r"^# expect: (.+)$", text, flags=re.MULTILINE)
    return [f"{path}:{e}" if re.match(r"\d+[,:]", e) else e for e in found]


def test_there_are_enough() -> None:
    assert len(FILES) >= 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_refused_as_expected(path: Path, kinds: Any) -> None:
    """Trap 8 of the original: unknown keys were ignored (unknown_key.yaml and its like)."""
    expected = expectations(path)
    assert expected, "says nothing of what it expects"
    with pytest.raises(ConfigError) as caught:
        read_config(path, registry=kinds)
    message = str(caught.value)
    for part in expected:
        assert part in message
    assert all(str(problem).startswith(str(path)) for problem in caught.value.problems)
    assert "pydantic" not in message.lower()
    assert "Input should" not in message
    asked = [e for e in expected if e.startswith(str(path))]
    assert len(caught.value.problems) == max(len(asked), 1), "one mistake, one problem"
