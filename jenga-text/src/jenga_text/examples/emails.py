"""Synthetic e-mails, honest and not: an opening, what it is about, what is asked for, an end. Each part may come from the other kind.

All senders, links and addresses are invented (domains under .example, which nobody can register; RFC 2606).
"""

from __future__ import annotations

from random import Random

from .phrases import Choice, date, made_up, organisation, person, place, render

WRONG = 0.03  # share of the labels that are changed
PHISHING = 0.35
CAREFUL = 0.2  # share of the phishing that is written like honest mail but for what it asks
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


# fmt: off
SUBJECTS = {
    "legitimate": ("Invoice for {month}", "Mkutano wa {day}", "Your statement from {org} is ready", "Re: ratiba ya {day}", "Leave request", "Payslip", "Karibu {org}", "Your order has been sent", "Maintenance on {day}", "Password changed", "Action required: submit your timesheet", "Receipt for {amount}", ""),
    "phishing": ("Your account will be closed", "URGENT: verify your account", "Umeshinda {amount}!", "KRA refund of {amount}", "Your order has been held", "Password expires today", "Invoice for {month}", "Akaunti yako imefungwa", "Action required: confirm your payroll details", "M-Pesa reversal {amount}", "Re: payment", "Security alert", ""),
}
ABOUT = {
    "legitimate": ("Attached is the invoice of {amount} for {month}.", "Mkutano umesogezwa hadi {day} saa nne, {place}.", "Your statement for {month} is ready in the app.", "We have received your payment of {amount}. Thank you.", "The system will be down on {day} for maintenance.", "{person} atakuwa likizoni hadi {day}.", "Your order left {place} on {day}.", "You changed your password on {day}. If this was you, there is nothing to do.", "Timesheets for {month} close on {day}.", "Tafadhali soma taarifa ya {org} kuhusu {month}.", "We noticed a sign-in from {place}. If this was you, ignore this message."),
    "phishing": ("We noticed a sign-in from {place}. Your account has been limited.", "Akaunti yako itafungwa baada ya saa 24.", "You are owed a refund of {amount} for {month}.", "Umechaguliwa kupokea {amount} kutoka {org}.", "Your parcel is held in {place} until a fee of {amount} is paid.", "Your mailbox is full and will be deleted on {day}.", "The invoice of {amount} is overdue, and we will take legal action.", "Tumetuma {amount} kwako kimakosa.", "Payroll details must be confirmed before {day}.", "I am in a meeting and cannot talk. I need a favour.", "Your payment of {amount} has failed."),
}
ASK = {
    "legitimate": ("No action is needed.", "Tafadhali thibitisha kama utafika.", "You can see it at {link} after you sign in.", "Please reply by {day} if anything is wrong.", "We will never ask you for your PIN.", "Call {person} with any questions.", "Tuonane {day}.", "Please settle it by {day}, by the usual paybill.", "See {link} for details.", "Never share your password with anyone."),
    "phishing": ("Click {bad} to restore access.", "Bonyeza {bad} na uweke PIN yako.", "Reply with your full name, ID number and account number.", "Verify your password at {bad} within 24 hours.", "Tafadhali rudisha kwa nambari hii mara moja.", "Buy gift cards worth {amount} and send me the codes.", "Pay the fee at {bad} to receive it.", "Please settle it by {day}, our account number has changed.", "Open the attached form and enable editing.", "See {bad} for details.", "Ukishindwa, utapoteza kila kitu."),
}
OPEN = ("Dear customer,", "Hello,", "Habari,", "Dear {person},", "Ndugu mteja,", "Hi,", "")
END = ("Regards, {org}", "Asante, {person}", "{person}, {org}", "The {org} team", "")
SLOTS: dict[str, Choice] = {
    "org": organisation, "person": person, "place": place, "day": date, "month": ("January", "Machi", "June", "Agosti", "October", "Desemba"),
    "amount": amount, "link": link, "bad": bad_link,
}
# fmt: on


def email(rng: Random) -> dict[str, str]:
    """{subject, body, label}"""
    label = LABELS[rng.random() < PHISHING]
    manner = "legitimate" if label == "phishing" and rng.random() < CAREFUL else label
    parts = [OPEN, ABOUT[manner], ASK[label], END]
    if rng.random() < 0.3:
        parts.insert(2, ABOUT["legitimate"])
    body = " ".join(rng.choice(part) for part in parts)
    text, _ = render(body.strip(), rng, SLOTS, typos=0.06 if manner == "phishing" else 0.03)
    subject, _ = render(rng.choice(SUBJECTS[manner if rng.random() < 0.7 else "legitimate"]), rng, SLOTS)
    said = LABELS[(label == "phishing") != (rng.random() < WRONG)]
    return {"subject": subject, "body": " ".join(text.split()), "label": said}
