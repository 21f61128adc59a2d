"""Invented people: names, places, e-mail addresses and telephone numbers that reach nobody.

E-mails are on the domains of RFC 2606, or on gmail.com with a made-up, numbered local part.

Numbers come from the blocks that Arcep keeps for works of fiction: 01 99 00, 02 61 91, 03 53 01, 04 65 71,
05 36 49 and, for mobiles, 06 39 98 (https://www.arcep.fr, plan national de numérotation, decision 2018-0881).
phonenumbers 9.0.43 takes the five landline blocks for valid and the mobile one for invalid, so people have
landlines, and the few fiction mobiles are what a careful reader drops. No block is known to be
kept overseas or abroad: there the example numbers of libphonenumber stand in, the same few for all.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from connectors.sandbox.population.lives import Dice

Form = Literal["NFC", "NFD"]


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person, as the CRM holds them, and what is meant by it."""

    contact: Mapping[str, str] = field(repr=False)
    address: Mapping[str, str] = field(repr=False)
    email: str | None = field(repr=False)
    """The address meant, in lower case, nothing else done to it."""
    phones: tuple[str, ...] = field(repr=False)
    """The valid numbers meant, as E.164."""


@dataclass(frozen=True, slots=True)
class Town:
    """A town, and the national numbers (without their 0) that belong to it."""

    postcode: str
    city: str
    numbers: tuple[str, ...]
    calling_code: str = "33"
    country: str = ""
    """As the CRM writes it; one of a few ways of writing France where empty."""


TOWNS: Final = (
    Town("75011", "Paris", ("19900",)),
    Town("78000", "Versailles", ("19900",)),
    Town("92100", "Boulogne-Billancourt", ("19900",)),
    Town("94000", "Créteil", ("19900",)),
    Town("35000", "Rennes", ("26191",)),
    Town("44000", "Nantes", ("26191",)),
    Town("76000", "Rouen", ("26191",)),
    Town("45000", "Orléans", ("26191",)),
    Town("59000", "Lille", ("35301",)),
    Town("67000", "Strasbourg", ("35301",)),
    Town("51100", "Reims", ("35301",)),
    Town("21000", "Dijon", ("35301",)),
    Town("69003", "Lyon", ("46571",)),
    Town("13008", "Marseille", ("46571",)),
    Town("06000", "Nice", ("46571",)),
    Town("01000", "Bourg-en-Bresse", ("46571",)),
    Town("33000", "Bordeaux", ("53649",)),
    Town("31000", "Toulouse", ("53649",)),
    Town("64100", "Bayonne", ("53649",)),
    Town("86000", "Poitiers", ("53649",)),
)
"""Mainland towns; the numbers are the fiction block of their region, four digits to come."""

OVERSEAS: Final = (
    Town("97400", "Saint-Denis", ("262161234", "692123456"), "262"),
    Town("97110", "Pointe-à-Pitre", ("590201234", "690001234"), "590"),
    Town("97200", "Fort-de-France", ("596301234", "696201234"), "596"),
    Town("97300", "Cayenne", ("594101234", "694201234"), "594"),
    Town("97600", "Mamoudzou", ("269601234", "639012345"), "262"),
)
"""Overseas towns with whole example numbers."""

ABROAD: Final = (
    Town("1000", "Bruxelles", ("450001234",), "32", "BE"),
    Town("5000", "Namur", ("450001234",), "32", "Belgique"),
    Town("1201", "Genève", ("781234567",), "41", "CH"),
    Town("1003", "Lausanne", ("781234567",), "41", "Suisse"),
    Town("08001", "Barcelona", ("612345678",), "34", "ES"),
    Town("17600", "Figueres", ("612345678",), "34", "Espagne"),
)
"""Towns just over the border, with whole example numbers."""

FICTION_MOBILE: Final = "63998"
_PLACES: Final = {"overseas": OVERSEAS, "foreign": ABROAD, "foreign_national": ABROAD}
"""Where people with phones of some kinds live; all others live in the TOWNS."""
COUNTRIES: Final = ("FR", "FR", "FR", "France")
DOMAINS: Final = ("example.org", "example.net", "example.com", "courriel.example", "maison.example")
UNUSABLE_EMAILS: Final = ("pas de mail", "aucun", "nc@", "@example.org", "voir fiche", "n/a")

_FIRST_NAMES: Final = """
Amélie Anaïs Antoine Aurélien Baptiste Benoît Camille Cécile Chloé Clément Corinne Damien Élodie
Émile Étienne Fabien Françoise Gaëlle Gérard Hélène Inès Jérôme Jean-Marc Joël Karim Léa Loïc
Maëlle Marie-Claude Michèle Nadia Noël Océane Pascal Philippe Quentin Raphaël Rémi Sandrine
Sébastien Sofia Solène Thérèse Thomas Valérie Véronique Victor Yann Yasmine Zoé
"""
_LAST_NAMES: Final = """
Aubrac Belcastel Bérenguier Bourdelas Brévandel Cazalmont Chauvérac Corbinelle Coudrésy
Dambreville Delmassou Dorvalin Écheverac Escoffral Fauconnel Férandière Fontrémy Garrigouste
Gaubertin Gévaudran Hauteclaire Hénoncourt Jaumelin Kerdaniel Kermorvel Labrévaux Lamirande
Lanvéoc-Roz Lestradier L'Hermineau Malivernet Maréchaudin Mestrallou Montrévin Nogarède Orvalais
Pédrazzi Penhoëlec Pontaillet Quéribus Rastignol Rocamaure Rouvrésac Saint-Évrard Sauvelade
Sénéchault Tavernoux Trémolin Urvoalec Valcroze Vaudrémont Verdalle Villandrac Yvetard
"""
FIRST_NAMES: Final = tuple(_FIRST_NAMES.split())
LAST_NAMES: Final = tuple(_LAST_NAMES.split())


def invent(dice: Dice, number: int, kinds: Mapping[str, str]) -> Person:
    """A person of these kinds; `number` keeps people apart, and phone numbers up to 10,000 people."""
    first, last = _name(dice, accents=kinds["email"] == "accents")
    place = dice.pick(_PLACES.get(kinds["phone"], TOWNS))
    line = f"{number * 37 % 10_000:04}"
    typed_phone, phones = _phone(dice, kinds["phone"], place, line)
    typed_email, email = _email(dice, kinds["email"], first, last, 1000 + number)
    contact = {
        "firstname": first,
        "lastname": last.upper() if dice.below(3) == 0 else last,
        "email": typed_email,
        "phone": typed_phone,
        "mobile": "",
    }
    if kinds["mobile"] == "landline":
        contact |= {"phone": "", "mobile": typed_phone}
    if kinds["mobile"] == "twice":
        contact["mobile"] = typed_phone
    if kinds["mobile"] == "fiction":
        contact["mobile"] = _spell(dice.pick(("spaced", "compact", "e164")), FICTION_MOBILE + line)
    address = {"postcode": place.postcode, "city": place.city, "country": place.country or dice.pick(COUNTRIES)}
    form: Form = "NFD" if kinds["letters"] == "nfd" else "NFC"
    return Person(_normalised(contact, form), _normalised(address, form), email, phones)


def _normalised(fields: Mapping[str, str], form: Form) -> dict[str, str]:
    return {name: unicodedata.normalize(form, value) for name, value in fields.items()}


def _name(dice: Dice, *, accents: bool) -> tuple[str, str]:
    first_names = [name for name in FIRST_NAMES if not name.isascii()] if accents else FIRST_NAMES
    return dice.pick(first_names), dice.pick(LAST_NAMES)


def _phone(dice: Dice, kind: str, place: Town, line: str) -> tuple[str, tuple[str, ...]]:
    if kind == "absent":
        return "", ()
    if kind == "overseas":
        number = dice.pick(place.numbers)
        spelling = dice.pick(("spaced", "compact", "e164", "international"))
        return _spell(spelling, number, place.calling_code), (f"+{place.calling_code}{number}",)
    if kind in ("foreign", "foreign_national"):
        number = place.numbers[0]
        spelling = dice.pick(("e164", "international", "double_zero")) if kind == "foreign" else "spaced"
        trunk = "" if place.calling_code == "34" else "0"
        return _spell(spelling, number, place.calling_code, trunk), (f"+{place.calling_code}{number}",)
    number = place.numbers[0] + line
    if kind == "two":
        other = dice.pick([town.numbers[0] for town in TOWNS if town.numbers != place.numbers]) + line
        between = dice.pick((" / ", " ou ", "; "))
        return f"{_spell('spaced', number)}{between}{_spell('spaced', other)}", (
            f"+33{number}",
            f"+33{other}",
        )
    return _spell(kind, number), (f"+33{number}",)


def _spell(kind: str, number: str, calling_code: str = "33", trunk: str = "0") -> str:
    """A national number (nine digits, without its 0) as people write it; Spain has no 0 to leave out."""
    head, pairs = number[0], [number[at : at + 2] for at in (1, 3, 5, 7)]
    spellings = {
        "spaced": " ".join([f"{trunk}{head}", *pairs]),
        "compact": f"0{number}",
        "dotted": ".".join([f"0{head}", *pairs]),
        "dashed": "-".join([f"0{head}", *pairs]),
        "e164": f"+{calling_code}{number}",
        "international": " ".join([f"+{calling_code}", head, *pairs]),
        "trunk_zero": " ".join([f"+{calling_code}", f"(0){head}", *pairs]),
        "double_zero": f"00{calling_code}{number}",
        "no_zero": number,
    }
    return spellings[kind]


def _email(dice: Dice, kind: str, first: str, last: str, number: int) -> tuple[str, str | None]:
    if kind == "absent":
        return "", None
    if kind == "unusable":
        return dice.pick(UNUSABLE_EMAILS), None
    local = f"{_plain(first)}.{_plain(last)}.{number}"
    domain = dice.pick(DOMAINS)
    typed = {
        "plain": f"{local}@{domain}",
        "capitals": f"{local.title()}@{domain.capitalize()}",
        "gmail_dots": f"{local}@gmail.com",
        "gmail_tag": f"{local}+devis@gmail.com",
        "accents": f"{first.lower()}.{_plain(last)}.{number}@{domain}",
        "spaces": f" {local}@{domain} ",
    }[kind]
    return typed, typed.strip().lower()


def _plain(name: str) -> str:
    """The name in unaccented lower-case letters and hyphens."""
    letters = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in letters if letter.isascii() and (letter.isalpha() or letter == "-"))
