"""What the templates share: invented people and organisations, places, dates, and sentences made from patterns.

All randomness comes from the `random.Random` that is handed in, so the same seed gives the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TypeAlias

Entity: TypeAlias = "dict[str, int | str]"  # start, end, label
Choice: TypeAlias = "Sequence[str] | Callable[[Random], str]"

GIVEN = (
    "Wanjiku Achieng Otieno Kamau Njeri Mwangi Akinyi Kiptoo Chebet Mutua Mwende Amina Hassan Fatuma Juma Baraka Neema Zawadi "
    "Omondi Atieno Wafula Nekesa Barasa Halima Salim Rehema Kiprono Jerono Muthoni Nyambura Karanja Wambui John Mary Peter Grace "
    "Faith Brian Kevin Esther James Mercy Daniel Ruth Samuel Joyce Ali Zainab Yusuf Mariam Moraa Nyaboke Kerubo Lokwang Ekai"
).split()
FAMILY = (
    "Kariuki Odhiambo Kimani Njoroge Onyango Kipchoge Cheruiyot Rotich Koech Musyoka Kilonzo Mutiso Abdi Noor Mohamed Ochieng "
    "Owino Ouma Simiyu Wekesa Makokha Gitau Macharia Maina Waweru Nyong'o Oluoch Mwakio Mwadime Charo Kazungu Nyamweya Ongeri "
    "Bosire Lekuton Leshore Ekal Ewoi Nandwa Shikuku Mbugua Kenyatta Moi Jackson Nairobi"
).split()
TOWNS = (
    "Nairobi Mombasa Kisumu Nakuru Eldoret Thika Malindi Kitale Garissa Kakamega Machakos Meru Nyeri Kericho Embu Lamu Voi "
    "Naivasha Bungoma Busia Isiolo Marsabit Lodwar Wajir Mandera Kilifi Kwale Homa-Bay Migori Kisii Narok Kajiado Nanyuki "
    "Moshi Arusha Dodoma Kampala Jinja Kigali"
).split()
AREAS = (
    "Kibera Kawangware Westlands Eastleigh Karen Buruburu Kayole Githurai Kasarani Likoni Nyali Bamburi Kondele Manyatta "
    "Umoja Gikomba Kangemi Rongai Ngong Lang'ata"
).split()
SYLLABLES = "ba be ki ko la le ma mu na nga nda nja ndo ni nya o pe ra ri sha ta ti tu wa we ya zi cha mbe mwa ngo".split()
FIRMS = (
    "Jua Kali Simba Twiga Tembo Ziwa Mwamba Pwani Savanna Baobab Umoja Uhuru Harambee Mavuno Nuru Upendo Kilele Bahari Lulu"
).split()
MONTHS = {
    "sw": "Januari Februari Machi Aprili Mei Juni Julai Agosti Septemba Oktoba Novemba Desemba".split(),
    "en": "January February March April May June July August September October November December".split(),
}
DAYS = {
    "sw": "Jumatatu Jumanne Jumatano Alhamisi Ijumaa Jumamosi Jumapili".split(),
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
}


def person(rng: Random) -> str:
    """One to three names. Some family names are also places or given names; one in ten is made up, and seen once."""
    given = rng.choice(GIVEN) if rng.random() < 0.9 else made_up(rng)
    family = rng.choice(FAMILY) if rng.random() < 0.9 else made_up(rng)
    title = rng.choice(["", "", "", "", "", "Bi. ", "Bw. ", "Dkt. ", "Mhe. ", "Dr. "])
    return title + rng.choices([given, family, f"{given} {family}", f"{given} {made_up(rng)} {family}"], [3, 1, 7, 1])[0]


def place(rng: Random) -> str:
    """A town, a part of one, a county, a road or a river; the words around it are the same as for organisations and people."""
    town = rng.choice(TOWNS) if rng.random() < 0.88 else made_up(rng)
    other = [
        rng.choice(AREAS),
        f"Kaunti ya {town}",
        f"{town} County",
        f"Barabara ya {rng.choice(FAMILY)}",
        f"Mto {made_up(rng)}",
    ]
    return rng.choices([town, *other], [10, 5, 2, 1, 1, 1])[0]


def organisation(rng: Random) -> str:
    """Companies, schools, banks and clubs, many of them called after a place or a person, some by their letters."""
    firm, town = rng.choice(FIRMS), rng.choice(TOWNS)
    return rng.choice(
        [
            f"Benki ya {firm}",
            f"{firm} Sacco",
            f"Kampuni ya {firm} {made_up(rng)}",
            f"Chuo Kikuu cha {town}",
            f"Hospitali ya {rng.choice(GIVEN)}",
            f"Shule ya Upili ya {made_up(rng)}",
            f"{town} United",
            f"{firm} Logistics Ltd",
            f"{made_up(rng)} FC",
            f"Wizara ya {rng.choice(['Afya', 'Elimu', 'Fedha', 'Kilimo', 'Maji'])}",
            "".join(rng.choice("ABCDEGKLMNSTUW") for _ in range(rng.choice([3, 3, 4]))),
            firm,
        ]
    )


def date(rng: Random) -> str:
    """A day, a month, a year or a part of them, in Swahili or English."""
    language = rng.choice(["sw", "sw", "en"])
    day, month, weekday = rng.randint(1, 28), rng.choice(MONTHS[language]), rng.choice(DAYS[language])
    year = rng.randint(1998, 2027)
    forms = {
        "sw": [weekday, f"tarehe {day} {month}", f"{day} {month} {year}", f"mwezi wa {month}", f"mwaka wa {year}", f"{weekday} iliyopita"],
        "en": [weekday, f"{day} {month}", f"{month} {day}, {year}", f"{month} {year}", str(year), f"last {weekday}"],
    }  # fmt: skip
    return rng.choice(forms[language])


def made_up(rng: Random) -> str:
    """A name that training rows hardly hold."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice([2, 3, 3, 4]))).capitalize()


ENTITIES: Mapping[str, Choice] = {"PER": person, "LOC": place, "ORG": organisation, "DATE": date}
_SLOT = re.compile(r"\{(\w+)\}")


def render(pattern: str, rng: Random, slots: Mapping[str, Choice], *, typos: float = 0.0) -> tuple[str, list[Entity]]:
    """A sentence from a pattern such as "{PER} alifika {LOC}", and where its entities are.

    A slot in capitals is an entity of that label; any other is filled by a phrase that may hold slots itself. `typos`: share
    of the words between entities that are mistyped.
    """
    text, entities = "", []
    at = 0
    for found in _SLOT.finditer(pattern):
        text += mistyped(pattern[at : found.start()], rng, typos)
        at = found.end()
        filled = choose(slots[found[1]], rng)
        if found[1].isupper():
            entities.append(_entity(len(text), filled, found[1]))
            text += filled
        else:
            inner, within = render(filled, rng, slots, typos=typos)
            entities += [_entity(len(text) + int(e["start"]), inner[int(e["start"]) : int(e["end"])], str(e["label"])) for e in within]
            text += inner
    return text + mistyped(pattern[at:], rng, typos), entities


def _entity(start: int, words: str, label: str) -> Entity:
    return {"start": start, "end": start + len(words), "label": label}


def choose(choice: Choice, rng: Random) -> str:
    return choice(rng) if callable(choice) else rng.choice(choice)


def mistyped(text: str, rng: Random, share: float) -> str:
    """`share` of the words of four letters or more lose a letter, double one, swap two or are shortened as in a text message."""
    if not share:
        return text
    words = text.split(" ")
    return " ".join(_mistype(w, rng) if len(w) > 3 and rng.random() < share else w for w in words)


def _mistype(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        [
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[0] + re.sub("[aeiou]", "", word[1:]),
        ]
    )
