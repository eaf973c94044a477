"""Names that the new grammar takes."""

from __future__ import annotations

import re

from .draft import Draft

RESERVED = {"loss": "loss_task"}


def named(old: str, draft: Draft, at: tuple[str, ...], word: str) -> str:
    """`old` with nothing but letters, digits, _ and -; a remark at `at` where that changed it."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", old).strip("_") or word
    name = RESERVED.get(plain, plain)
    if name != old:
        draft.remark((*at, name), f"the {word} was called {old!r}")
    return name


def project(old: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", old)
    return re.sub(r"^[^A-Za-z0-9]+", "", plain) or "jenga"
