"""Synthetic e-mails, honest and not: an opening, what it is about, what is asked for, an end.

Some phishing is written like honest mail but for what it asks. All senders, links and addresses are invented: domains under
.example, which nobody can register (RFC 2606).
"""

from __future__ import annotations

from functools import cache
from random import Random

from .phrases import Choice, date, made_up, organisation, person, phrases, place, render

WRONG = 0.03  # share of the labels that are changed
PHISHING = 0.35
CAREFUL = 0.2  # share of the phishing that is written like honest mail but for what it asks
SHARED = 0.3  # share of the sentences that honest mail and phishing have in common
LABELS = ("legitimate", "phishing")


def link(rng: Random) -> str:
    """An address as honest mail has it: short, of the firm itself."""
    return f"https://www.{made_up(rng).lower()}.example/{rng.choice(['', 'invoice', 'help', 'events', 'account'])}"


def bad_link(rng: Random) -> str:
    """An address as phishing has it; one in three looks like an honest one."""
    name = made_up(rng).lower()
    return rng.choice(
        [
            f"http://{name}-verify.{made_up(rng).lower()}.example/login?id={rng.randrange(10**6)}",
            f"http://192.0.2.{rng.randrange(1, 255)}/{name}/secure",
            link(rng),
        ]
    )


def amount(rng: Random) -> str:
    return f"KES {rng.choice([500, 1200, 3400, 9999, 15000, 48250, 120000]):,}"


@cache
def slots() -> dict[str, Choice]:
    """What stands in a pattern's braces."""
    return {
        "org": organisation,
        "person": person,
        "place": place,
        "day": date,
        "month": phrases("emails")["month"],
        "amount": amount,
        "link": link,
        "bad": bad_link,
        "number": lambda rng: f"{rng.randrange(10**5):05d}",
    }


def email(rng: Random) -> dict[str, str]:
    """{subject, body, label}"""
    label = LABELS[rng.random() < PHISHING]
    manner = "legitimate" if label == "phishing" and rng.random() < CAREFUL else label
    about = "either" if rng.random() < SHARED else manner
    ask = "either" if rng.random() < SHARED else label
    said_by = phrases("emails")
    parts = [said_by[part] for part in ("open", f"about {about}", f"ask {ask}", "end")]
    if rng.random() < 0.3:
        parts.insert(2, said_by["about legitimate"])
    body = " ".join(rng.choice(part) for part in parts)
    text, _ = render(body.strip(), rng, slots(), typos=0.06 if manner == "phishing" else 0.03)
    subject, _ = render(rng.choice(said_by[f"subject {manner if rng.random() < 0.7 else 'legitimate'}"]), rng, slots())
    said = LABELS[(label == "phishing") != (rng.random() < WRONG)]
    return {"subject": subject, "body": " ".join(text.split()), "label": said}
