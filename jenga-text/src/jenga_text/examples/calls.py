"""Synthetic calls to a help line, with the answers to 17 questions about what the agent did.

Nobody made these calls. An agent has a skill; each question is answered yes with a chance that grows with it, and what is said in
the call follows from the answers. Some phrases are said by good and bad agents alike, and some answers are wrong on purpose, as two
people who listen to a call do not agree on everything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from .phrases import date, mistyped, organisation, person, place, render

WRONG = 0.03  # share of the answers that are changed
HOLDS = 0.6  # share of the calls in which the caller is put on hold; in the others nobody can judge that


@dataclass(frozen=True, slots=True)
class Question:
    """One output of a head: what is heard where the answer is yes, and where it is no. `rate`: how often an agent does it."""

    head: str
    name: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    rate: float = 0.6


# In the order of the labels. Who speaks stands before a colon; "|" parts turns; "" is nothing said.
# fmt: off
QUESTIONS = (
    Question("opening", "Use of call opening phrase", ("A: Habari, karibu {line}, unaongea na {agent}.", "A: Good morning, you have reached {line}, my name is {agent}.", "A: Asante kwa kupiga simu {line}, jina langu {agent}, nikusaidie aje?"), ("A: Hello?", "A: Ndiyo, sema.", "A: {line}.", "A: Yes, who is this?"), 0.7),
    Question("listening", "Caller was not interrupted", ("A: Endelea, nakusikiliza.", "A: Take your time.", "A: Mm-hmm. | C: Na hiyo ndiyo shida yangu."), ("A: Subiri, subiri kwanza. | C: Lakini sijamaliza.", "C: Please let me finish.", "A: No, listen to me first."), 0.75),
    Question("listening", "Empathizes with the caller", ("A: Pole sana kwa hayo.", "A: I understand how stressful that must be.", "A: Najua hii imekusumbua, pole."), ("A: Hiyo ni kawaida.", "A: Okay.", "A: Watu wengi wana shida kubwa kuliko hiyo.", ""), 0.55),
    Question("listening", "Paraphrases or rephrases the issue", ("A: Kwa hivyo unasema {problem}, sivyo?", "A: If I heard you well, {problem}.", "A: So, to repeat, {problem}?"), ("A: Sawa.", "A: What exactly do you want?", ""), 0.5),
    Question("listening", "Uses 'please' and 'thank you'", ("A: Please, nipe nambari yako ya akaunti. | C: 4471. | A: Thank you.", "A: Tafadhali nitajie jina lako. | C: {caller}. | A: Asante.", "A: Thank you for waiting."), ("A: Nambari ya akaunti? | C: 4471. | A: Okay.", "A: Jina? | C: {caller}.", "A: Repeat that."), 0.65),
    Question("listening", "Does not hesitate or sound unsure", ("A: I can see it here.", "A: Ndiyo, naiona kwa system.", "A: This is clear."), ("A: Eeh... sijui... labda...", "A: Hmm, I think, maybe, I am not sure.", "A: Umm, ngoja... sina uhakika."), 0.7),
    Question("proactiveness", "Willing to solve extra issues", ("A: Kuna jambo lingine ningekusaidia? | C: {extra} | A: Hiyo pia nitaishughulikia.", "A: While we are at it, I will also check your other line."), ("C: {extra} | A: Piga simu tena kwa hiyo.", "C: {extra} | A: That is another department.", ""), 0.5),
    Question("proactiveness", "Confirms satisfaction with action points", ("A: Umeridhika na hayo? | C: Ndiyo.", "A: Are you happy with what we agreed? | C: Yes, thank you.", "A: Tumekubaliana hivyo? | C: Sawa."), ("A: That is all.", "A: Ndivyo ilivyo.", ""), 0.5),
    Question("proactiveness", "Follows up on case updates", ("A: Nitakupigia {when} kukuambia imefika wapi.", "A: I will call you on {when} with an update.", "A: You will get an SMS from me on {when}."), ("A: Utapigiwa.", "A: Just wait.", "A: Piga tena {when} kama haijaisha."), 0.45),
    Question("resolution", "Gives accurate information", ("A: It takes two working days, as on our website.", "A: Ada ni shilingi 30, kama ilivyo kwenye SMS."), ("C: But your website says something else. | A: Well, that is what I know.", "A: It takes a week. | C: Jana niliambiwa siku mbili. | A: Sijui nani alisema hivyo.", "A: Ada ni 30. Hapana, 50. Hapana, 30."), 0.7),
    Question("resolution", "Correct language use", ("A: Nimekuelewa vizuri.", "A: Let us continue in the language you prefer.", "A: Naomba nikueleze kwa Kiswahili."), ("A: Wee, hiyo ni upuzi bana.", "A: Si unajua tu vile hu-do hizi vitu.", "A: The thing is somehow somehow."), 0.75),
    Question("resolution", "Consults if unsure", ("A: Wacha niulize msimamizi wangu nisikupotoshe.", "A: Let me confirm that with my supervisor.", "A: I have checked with the technical team."), ("A: I guess it will work.", "A: Sidhani, lakini jaribu tu.", ""), 0.5),
    Question("resolution", "Follows correct steps", ("A: Kwanza nithibitishe, mwaka wako wa kuzaliwa? | C: 1988.", "A: For your security, who else is on the account? | C: {caller}.", "A: I have opened ticket 20{number}."), ("A: Hakuna haja ya ticket.", "A: I will just reset it, no need to check.", "A: Nipe PIN yako nikusaidie."), 0.65),
    Question("resolution", "Explains solution process clearly", ("A: Kwanza zima simu, kisha bonyeza star, halafu weka nambari hii.", "A: There are two steps: first we block the line, then you visit {branch}."), ("A: Fanya tu hivyo.", "A: It will sort itself out.", "A: Fuata maagizo kwa website."), 0.6),
    Question("hold", "Explains before placing on hold", ("A: Naomba nikuweke on hold dakika mbili niangalie akaunti yako.", "A: May I place you on hold while I check with {branch}?"), ("A: Hold on.", "A: Ngoja.", "[muziki]"), 0.6),
    Question("hold", "Thanks caller for holding", ("A: Asante kwa kungoja.", "A: Thank you for holding, {caller}.", "A: I appreciate your patience."), ("A: Eeh, uko?", "A: Hello, hello?", "A: Nimerudi."), 0.6),
    Question("closing", "Proper call closing phrase used", ("A: Asante kwa kupiga simu {line}, siku njema.", "A: Thank you for calling {line}, goodbye.", "A: Karibu tena, uwe na siku njema."), ("A: Haya.", "A: Okay, bye.", "[simu inakatwa]", "A: Siku njema."), 0.65),
)
SLOTS = {
    "line": ("Jua Kali Helpline", "Twiga Care", "Simba Mobile", "Ziwa Water"), "agent": person, "caller": person, "branch": organisation, "when": date, "town": place,
    "problem": ("pesa haijafika", "your line was blocked", "token haikutumwa", "the bill is too high", "the parcel is lost", "akaunti imefungwa"),
    "extra": ("Pia nambari yangu ya pili haifanyi kazi.", "And my statement never comes.", "Na bundles zangu zimeisha haraka."),
    "number": tuple(f"{at:03d}" for at in range(1000)),
    "said": ("C: Nilituma pesa {when} na haijafika.", "C: My line was blocked in {town} on {when}.", "C: Nimelipa bill lakini bado mnanidai.", "C: The parcel from {branch} never came to {town}.", "C: Sijapata token tangu {when}.", "C: Akaunti yangu imefungwa bila sababu."),
    "small": ("C: Sawa.", "C: Okay.", "C: Nimeelewa.", "A: Sawa.", "C: Ndiyo.", "C: Kweli?", "C: Haya basi."),
}
# fmt: on


def heads() -> Mapping[str, list[str]]:
    """The names of the outputs, by head."""
    found: dict[str, list[str]] = {}
    for question in QUESTIONS:
        found.setdefault(question.head, []).append(question.name)
    return found


def call(rng: Random) -> tuple[str, dict[str, list[int] | None]]:
    """(transcript, labels by head). Without a hold the labels of that head are None."""
    skill, held = rng.gauss(0, 1), rng.random() < HOLDS
    turns, labels = [], dict[str, "list[int] | None"]()
    for question in QUESTIONS:
        if question.head == "hold" and not held:
            labels["hold"] = None
            continue
        chance = 1 / (1 + math.exp(-(math.log(question.rate / (1 - question.rate)) + skill)))
        does = rng.random() < chance
        turns.append(rng.choice(question.yes if does else question.no))
        if question.head == "opening":
            turns.append("{said}")
        elif rng.random() < 0.3:
            turns.append("{small}")
        given = labels.setdefault(question.head, [])
        assert given is not None
        given.append(int(does != (rng.random() < WRONG)))
    return _spoken(" | ".join(turn for turn in turns if turn), rng), labels


def _spoken(pattern: str, rng: Random) -> str:
    """The turns as a speech recogniser would write them down, now and then with a word wrong."""
    text, _ = render(pattern, rng, SLOTS)
    turns = [mistyped(turn.strip(), rng, 0.04) for turn in text.split("|")]
    return "\n".join(turn.replace("A: ", "Agent: ", 1).replace("C: ", "Caller: ", 1) for turn in turns)
