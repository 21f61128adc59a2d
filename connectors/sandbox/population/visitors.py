"""Invented visitors: people with contact data that reaches nobody, and the ad clicks that brought them.

E-mail addresses use the domains of RFC 2606, or gmail.com with a made-up, numbered local part.

Phone numbers come from the blocks that Arcep reserves for works of fiction: 01 99 00, 02 61 91, 03 53 01, 04 65 71,
05 36 49 and, for mobiles, 06 39 98 (https://www.arcep.fr, plan national de numérotation, decision 2018-0881).
phonenumbers 9.0.43 considers the five landline blocks valid and the mobile one invalid, so people have landlines,
and a correct parser drops the few fictional mobiles. No such block is known overseas or abroad; people there share
libphonenumber's few example numbers.
"""

import string
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from json import dumps
from typing import Final, Literal

from connectors.sandbox.population.lives import Dice
from connectors.sandbox.rules import read_sandbox_csv

Form = Literal["NFC", "NFD"]


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person as the CRM shows them, and their true contact data."""

    contact: Mapping[str, str] = field(repr=False)
    address: Mapping[str, str] = field(repr=False)
    email: str | None = field(repr=False)
    """The intended address, stripped and in lower case, otherwise unchanged."""
    phones: tuple[str, ...] = field(repr=False)
    """The intended valid numbers, as E.164."""


@dataclass(frozen=True, slots=True)
class Town:
    """A town and its national phone numbers or prefixes, without the leading 0."""

    postcode: str
    city: str
    numbers: tuple[str, ...]
    calling_code: str
    country: str
    """As the CRM writes it; empty means one of the spellings of France in `COUNTRIES`."""


def _towns(place: str) -> tuple[Town, ...]:
    return tuple(
        Town(row["postcode"], row["city"], tuple(row["numbers"].split()), row["calling_code"], row["country"])
        for row in read_sandbox_csv("population/towns.csv")
        if row["place"] == place
    )


TOWNS: Final = _towns("mainland")
_PLACES: Final = {"overseas": _towns("overseas"), "foreign": _towns("abroad"), "foreign_national": _towns("abroad")}
"""Where people live, by kind of phone; all others live in `TOWNS`."""
FICTION_MOBILE: Final = "63998"
COUNTRIES: Final = ("FR", "FR", "FR", "France")
DOMAINS: Final = ("example.org", "example.net", "example.com", "courriel.example", "maison.example")
UNUSABLE_EMAILS: Final = ("pas de mail", "aucun", "nc@", "@example.org", "voir fiche", "n/a")

_NAMES: Final = read_sandbox_csv("population/names.csv")
FIRST_NAMES: Final = tuple(row["name"] for row in _NAMES if row["kind"] == "first")
LAST_NAMES: Final = tuple(row["name"] for row in _NAMES if row["kind"] == "last")


def invent_person(dice: Dice, number: int, kinds: Mapping[str, str]) -> Person:
    """Invent a person of these kinds; `number` makes people unique, and phone numbers for up to 10,000 people."""
    accented = [name for name in FIRST_NAMES if not name.isascii()]
    first, last = dice.pick(accented if kinds["email"] == "accents" else FIRST_NAMES), dice.pick(LAST_NAMES)
    place = dice.pick(_PLACES.get(kinds["phone"], TOWNS))
    line = f"{number * 37 % 10_000:04}"
    typed_phone, phones = _phone(dice, kinds["phone"], place, line)
    typed_email, email = _email(dice, kinds["email"], first, last, 1000 + number)
    contact = {
        "firstname": first,
        "lastname": last.upper() if dice.random_below(3) == 0 else last,
        "email": typed_email,
        "phone": typed_phone,
        "mobile": "",
    }
    if kinds["mobile"] == "landline":
        contact |= {"phone": "", "mobile": typed_phone}
    if kinds["mobile"] == "twice":
        contact["mobile"] = typed_phone
    if kinds["mobile"] == "fiction":
        contact["mobile"] = _format_phone_number(dice.pick(("spaced", "compact", "e164")), FICTION_MOBILE + line)
    address = {"postcode": place.postcode, "city": place.city, "country": place.country or dice.pick(COUNTRIES)}
    form: Form = "NFD" if kinds["letters"] == "nfd" else "NFC"
    return Person(_normalised(contact, form), _normalised(address, form), email, phones)


def _normalised(fields: Mapping[str, str], form: Form) -> dict[str, str]:
    return {name: unicodedata.normalize(form, value) for name, value in fields.items()}


def _phone(dice: Dice, kind: str, place: Town, line: str) -> tuple[str, tuple[str, ...]]:
    if kind == "absent":
        return "", ()
    if kind == "overseas":
        number = dice.pick(place.numbers)
        spelling = dice.pick(("spaced", "compact", "e164", "international"))
        return _format_phone_number(spelling, number, place.calling_code), (f"+{place.calling_code}{number}",)
    if kind in ("foreign", "foreign_national"):
        number = place.numbers[0]
        spelling = dice.pick(("e164", "international", "double_zero")) if kind == "foreign" else "spaced"
        trunk = "" if place.calling_code == "34" else "0"
        return _format_phone_number(spelling, number, place.calling_code, trunk), (f"+{place.calling_code}{number}",)
    number = place.numbers[0] + line
    if kind == "two":
        other = dice.pick([town.numbers[0] for town in TOWNS if town.numbers != place.numbers]) + line
        between = dice.pick((" / ", " ou ", "; "))
        return f"{_format_phone_number('spaced', number)}{between}{_format_phone_number('spaced', other)}", (
            f"+33{number}",
            f"+33{other}",
        )
    return _format_phone_number(kind, number), (f"+33{number}",)


def _format_phone_number(kind: str, number: str, calling_code: str = "33", trunk: str = "0") -> str:
    """Format a national number (nine digits, without the trunk 0) as people write it; Spain has no trunk 0."""
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
    local = f"{_ascii_name(first)}.{_ascii_name(last)}.{number}"
    domain = dice.pick(DOMAINS)
    typed = {
        "plain": f"{local}@{domain}",
        "capitals": f"{local.title()}@{domain.capitalize()}",
        "gmail_dots": f"{local}@gmail.com",
        "gmail_tag": f"{local}+devis@gmail.com",
        "accents": f"{first.lower()}.{_ascii_name(last)}.{number}@{domain}",
        "spaces": f" {local}@{domain} ",
    }[kind]
    return typed, typed.strip().lower()


def _ascii_name(name: str) -> str:
    """Return the name in unaccented lower-case letters and hyphens."""
    letters = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in letters if letter.isascii() and (letter.isalpha() or letter == "-"))


BASE64URL: Final = string.ascii_letters + string.digits + "-_"
HEX: Final = "0123456789abcdef"
CAMPAIGNS: Final = ("pac-2026", "isolation-combles", "fenetres-pvc", "salle-de-bain", "panneaux-solaires")
_GCLID_ENDS: Final = (
    ("Cj0KCQjw", "EALw_wcB"),
    ("Cj0KCQjw", "EALw_wcB"),
    ("CjwKCAjw", "QAvD_BwE"),
    ("EAIaIQobChMI", "EgJ_D_BwE"),
)
_LAGS: Final = {
    "minutes": (60, 45 * 60),
    "hours": (3600, 20 * 3600),
    "days": (86_400, 25 * 86_400),
    "months": (31 * 86_400, 75 * 86_400),
}
"""The minimum and maximum time from click to lead, in seconds."""


@dataclass(frozen=True, slots=True)
class PlatformClick:
    """One click as the ad platform recorded it."""

    kind: str
    """`gclid`, `gbraid`, `wbraid`, `fbclid`, or `lead_id` for a submission of the ad's own form."""
    value: str
    at: datetime


@dataclass(frozen=True, slots=True)
class VisitTrace:
    """What one visit leaves in the CRM, and the truth behind it."""

    lead_data: Mapping[str, str | None]
    """`externalID` and the UTM fields; those that the site didn't fill are missing, empty or None."""
    click: PlatformClick | None
    """The click that brought the visitor, even if the CRM no longer shows it."""
    readable: tuple[tuple[str, str], ...]
    """The (kind, id) pairs that a correct parser finds in `externalID`."""


def draw_click_trace(dice: Dice, kind: str, lag: str, created: datetime) -> VisitTrace:
    """Draw what a visit of this kind leaves in a lead created at `created`."""
    if kind not in _FORMS:
        return VisitTrace(_no_click(dice, kind), None, ())
    platform_kind, form = _FORMS[kind]
    value = _click_id(dice, platform_kind)
    click = PlatformClick(platform_kind, value, created - timedelta(seconds=dice.random_between(*_LAGS[lag])))
    utm = _utm(dice, kind)
    text = form(dice, click, utm)
    return VisitTrace({"externalID": text, **utm}, click, _expected_click_ids(kind, click, text))


def _click_id(dice: Dice, kind: str) -> str:
    """Draw an id that looks like the platform's: mixed-case base64url with a familiar prefix, or digits."""
    if kind == "gbraid":
        return "0AAAAA" + dice.random_text(BASE64URL, dice.random_between(20, 34))
    if kind == "wbraid":
        return "CjkKCQjw" + dice.random_text(BASE64URL, dice.random_between(60, 80))
    if kind == "fbclid":
        return "IwY2xjaw" + dice.random_text(BASE64URL, dice.random_between(90, 150))
    if kind == "lead_id":
        return dice.pick("123456789") + dice.random_text(string.digits, dice.random_between(14, 16))
    head, tail = dice.pick(_GCLID_ENDS)
    return head + dice.random_text(BASE64URL, dice.random_between(68, 84)) + tail


def _utm(dice: Dice, kind: str) -> dict[str, str]:
    """Draw the UTM fields; ambiguous ids, and some labelled ones, have none."""
    if kind == "bare_ambiguous" or (kind == "gclid_label" and dice.random_below(4) == 0):
        return {}
    if kind in META_KINDS:
        source, medium = dice.pick(("facebook", "instagram", "fb", "ig")), "paid_social"
    else:
        source, medium = dice.pick(("google", "google", "google", "adwords")), "cpc"
    return {"utm_source": source, "utm_medium": medium, "utm_campaign": dice.pick(CAMPAIGNS)}


def _no_click(dice: Dice, kind: str) -> dict[str, str | None]:
    if kind == "supplier_reference":
        return {
            "externalID": dice.pick((f"PLM-{dice.random_between(10_000, 99_999)}", "CNL_" + dice.random_text(HEX, 12)))
        }
    if kind == "supplier_uuid":
        return {"externalID": "-".join(dice.random_text(HEX, length) for length in (8, 4, 4, 4, 12))}
    return dice.pick(({}, {"externalID": ""}, {"externalID": None}))


_Form = Callable[[Dice, PlatformClick, Mapping[str, str]], str]


def _bare_click_id(_dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    return click.value


def _labelled_click_id(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    return f"{click.kind}{dice.pick(('=', '=', '=', ': '))}{click.value}"


def _query_string(click: PlatformClick, utm: Mapping[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in {**utm, click.kind: click.value}.items())


def _click_id_in_query(dice: Dice, click: PlatformClick, utm: Mapping[str, str]) -> str:
    return dice.pick(("", "?", "https://www.example.org/devis?")) + _query_string(click, utm)


def _click_id_in_fragment(dice: Dice, click: PlatformClick, utm: Mapping[str, str]) -> str:
    fragment = dice.pick(("formulaire", "devis", "/etape-2", "contact?"))
    return f"https://www.example.org/devis?{_query_string(click, utm)}#{fragment}"


def _click_id_in_json(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    return dumps({click.kind: click.value}, separators=dice.pick(((",", ":"), (", ", ": "))))


def _two_click_ids(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    between = dice.pick((";", "|", "&", "\n"))
    return f"{click.kind}={click.value}{between}fbclid={_click_id(dice, 'fbclid')}"


def _labelled_meta_lead_id(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    """Format a Meta lead id as Instant Forms and their exports write it.

    https://developers.facebook.com/documentation/ads-commerce/conversions-api/conversion-leads-integration/payload-specification
    """
    label = dice.pick(("lead_id=", "lead_id=", "lead_id: ", "leadgen_id="))
    return label + dice.pick(("", "", "l:")) + click.value


def _fbc(dice: Dice, click: PlatformClick, _utm: Mapping[str, str]) -> str:
    """Format Meta's click cookie, with its time in milliseconds.

    https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/fbp-and-fbc
    """
    return f"fb.1.{int(click.at.timestamp()) * 1000 + dice.random_below(1000)}.{click.value}"


_FORMS: Final[Mapping[str, tuple[str, _Form]]] = {
    "gclid_bare": ("gclid", _bare_click_id),
    "gclid_label": ("gclid", _labelled_click_id),
    "gclid_query": ("gclid", _click_id_in_query),
    "gclid_fragment": ("gclid", _click_id_in_fragment),
    "gclid_json": ("gclid", _click_id_in_json),
    "gclid_and_fbclid": ("gclid", _two_click_ids),
    "gbraid_label": ("gbraid", _labelled_click_id),
    "wbraid_label": ("wbraid", _labelled_click_id),
    "fbclid_bare": ("fbclid", _bare_click_id),
    "fbclid_label": ("fbclid", _labelled_click_id),
    "fbc": ("fbclid", _fbc),
    "lead_id": ("lead_id", _labelled_meta_lead_id),
    "bare_ambiguous": ("gclid", _bare_click_id),
    "gclid_truncated": ("gclid", lambda _dice, click, _utm: click.value[:50]),
    "gclid_lower": ("gclid", lambda _dice, click, _utm: f"{click.kind}={click.value}".lower()),
}
"""Each kind's platform click, and how `externalID` shows it."""


META_KINDS: Final = frozenset({"fbclid_bare", "fbclid_label", "fbc", "lead_id"})
"""The kinds from which a correct parser gets an id known to Meta."""
_UNREADABLE: Final = {"bare_ambiguous", "gclid_truncated", "gclid_lower"}
GOOGLE_KINDS: Final = frozenset(_FORMS) - META_KINDS - _UNREADABLE
"""The kinds from which a correct parser gets an id known to Google."""


def _expected_click_ids(kind: str, click: PlatformClick, text: str) -> tuple[tuple[str, str], ...]:
    """Return the ids that a correct parser finds in the text."""
    match kind:
        case "bare_ambiguous":
            return ()
        case "gclid_lower":
            return ((click.kind, click.value.lower()),)
        case "gclid_truncated" | "fbc":
            return ((kind.removesuffix("_truncated"), text),)
        case "gclid_and_fbclid":
            return ((click.kind, click.value), ("fbclid", text.rpartition("fbclid=")[2]))
        case _:
            return ((click.kind, click.value),)
