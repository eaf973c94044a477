"""`training.data.pii_redaction` as the option `redact` of the text processors."""

from __future__ import annotations

from typing import Any

from jenga_core.errors import nearest

from .draft import Draft
from .sections import Section, flag, labels, text

TYPES = {
    "phone_ke": "phone",
    "national_id": "national-id",
    "kra_pin": "kra-pin",
    "email": "email",
    "ip_address": "ip",
    "mpesa_id": "mpesa",
    "credit_card": "card",
    "url": "url",
}
WITHOUT = ("dob", "po_box", "person_name")  # the original's; Jenga has no pattern for them
STRATEGIES = ("mask", "hash", "remove", "flag")
SECRET = "JENGA_REDACTION_SECRET"


def redaction(data: Section, texts: bool, draft: Draft) -> dict[str, Any] | None:
    """The value of `redact`; None: texts stay as they are. `texts`: whether any input is text."""
    section = data.section("pii_redaction")
    enabled, strategy = section.get("enabled", flag), section.get("strategy", text) or "mask"
    given = section.get("detect_types", labels)
    if strategy not in STRATEGIES:
        near = nearest(strategy, STRATEGIES)
        section.problem(f"unknown strategy {strategy!r}", "strategy", allowed=STRATEGIES, nearest=near)
    types = _types(section, given, draft if enabled else None)
    draft.drop(section, "log_detections", "every run says how many rows held each type, and never what it found")
    why = _why_not(section, enabled, strategy, texts, types, draft)
    if why:
        for key in ("enabled", "strategy", "detect_types"):
            draft.drop(section, key, why)
        draft.drop(section, "hash_salt", why, hide=True)
        return None
    found: dict[str, Any] = {} if types is None else {"types": types}
    if strategy != "hash":
        draft.drop(section, "hash_salt", f"strategy is {strategy}", hide=True)
        return {**found, "action": strategy}
    draft.drop(section, "hash_salt", f"a secret does not belong in a file; it is in {SECRET}", hide=True)
    where = section.where("strategy")
    draft.warn(f"{where}: hashes are keyed with a secret: set the environment variable {SECRET}, 16 characters or more")
    return {**found, "action": "hash", "secret_env": SECRET}


def _types(section: Section, given: list[str] | None, draft: Draft | None) -> list[str] | None:
    """Jenga's names of them; None: all there are. With `draft`, those that it has no pattern for are warned of."""
    every = [*TYPES, *WITHOUT]
    for name in given or ():
        if name not in every:
            near = nearest(name, every)
            section.problem(f"unknown type {name!r}", "detect_types", allowed=every, nearest=near)
    lost = [name for name in given or WITHOUT if name in WITHOUT]
    if lost and draft:
        where = section.where("detect_types" if given else "enabled")
        draft.warn(f"{where}: {', '.join(lost)}: Jenga has no pattern for these, so they stay in the texts")
    return list(dict.fromkeys(TYPES[name] for name in given if name in TYPES)) if given else None


def _why_not(
    section: Section, enabled: bool | None, strategy: str, texts: bool, types: list[str] | None, draft: Draft
) -> str | None:
    """Why nothing is redacted; warned of where the old file asks for it."""
    if not enabled:
        return "redaction was off"
    if not texts:
        why = "only texts are redacted, and there are none"
    elif strategy == "flag":
        why = "flag marked texts and changed none, which Jenga does not do; with `redact: {}` it masks them"
    elif types == []:
        why = "nothing is left to look for"
    else:
        return None
    draft.warn(f"{section.where('enabled')}: nothing is redacted: {why}")
    return why
