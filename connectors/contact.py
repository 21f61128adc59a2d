"""Clean up e-mail addresses, phone numbers and countries as typed; each platform's package hashes them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import CountryCodeSource, NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from connectors.language import _, _n, join_with_semicolons
from connectors.records import Contact
from connectors.text import remove_character_categories, tidy_text

HOME = "FR"
"""The account's country, assumed for leads that don't give one."""

FRENCH_POST = frozenset({"FR", "GP", "GF", "MQ", "RE", "YT", "BL", "MF", "PM", "WF", "PF", "NC"})
"""Territories that use French five-digit postcodes."""

LONGEST = 100
"""Maximum characters; no country name is longer."""

_NOTHING = frozenset(
    {
        *("0", "na", "n a", "n c", "n d", "n r", "nan", "nil", "none", "null", "undefined", "unknown", "empty"),
        *("aucun", "aucune", "inconnu", "inconnue", "neant", "vide", "not set", "not specified"),
        *(f"non {word}{end}" for word in ("renseigne", "communique", "defini", "precise") for end in ("", "e")),
    }
)
"""Placeholders that people and exports write for a missing value.

NA means "not available" in every export but is also Namibia's code; reading it as such could turn a French mobile into
someone else's Namibian number. Bare NC and NR stay New Caledonia and Nauru, where no such number is valid.
"""

_ARTICLES = frozenset({"l", "la", "le", "les", "the"})
_OTHER_CODES = {
    "UK": "GB",
    "EL": "GR",
    "33": "FR",  # dialling code; "32" is left out: Belgium's, or ISO numeric Argentina without its leading 0
    "FXX": "FR",  # former ISO code of metropolitan France
    **dict(zip("FABDEILP", ("FR", "AT", "BE", "DE", "ES", "IT", "LU", "PT"), strict=True)),  # car plates
}

COUNTRIES = [
    line.split(" ", 3) for line in Path(__file__).with_name("countries.txt").read_text(encoding="utf-8").splitlines()
]
"""ISO 3166 alpha-2, alpha-3 and numeric codes of every country with a dialling code, and its French and English names.

Names have no case, accents, punctuation or leading article; common variants follow the official name. A test checks
them against the lists in Meta's library and the phone library; querying the latter at run time would take 100 MB.
"""
_CODES = {code: row[0] for row in COUNTRIES for code in row[1:3] if code.isalnum() and code != "DOM"} | _OTHER_CODES
# "DOM" is excluded: French for the overseas departments, but also the Dominican Republic's code.
_NAMES = {name: row[0] for row in COUNTRIES for name in row[3].split(", ")}


@lru_cache(maxsize=256)
def iso_country_code_of(typed: str | None) -> str | None:
    """Return the alpha-2 code of a country as typed: HOME if blank, None if not recognised.

    Accepts ISO 3166 codes, French and English names, car plate letters, locales (`fr-FR`) and dialling codes (`+33`).
    """
    if is_blank_country(typed):
        return HOME
    text = _plain(typed or "")
    return (
        _country_by_code(text)
        or _country_by_locale(typed or "")
        or _country_by_name(text)
        or _country_named_twice(text)
    )


@lru_cache(maxsize=256)
def is_blank_country(typed: str | None) -> bool:
    """Return whether a country field is blank or holds a placeholder."""
    if typed is None or len(typed) > LONGEST:
        return typed is None
    words = _country_words(_plain(typed))
    return not words or " ".join(words) in _NOTHING


def _plain(text: str) -> str:
    """Strip case, accents and invisible characters; return "" if the text is too long for a country."""
    decomposed = unicodedata.normalize("NFKD", text if len(text) <= LONGEST else "")
    return remove_character_categories(decomposed, "Mn", "Cf").casefold().strip()


def _country_words(plain: str) -> list[str]:
    return re.findall(r"[^\W_]+", plain)


def _country_by_code(plain: str) -> str | None:
    code = plain.replace(".", "").upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    return _CODES.get(code) or _country_by_dialling_code(plain)


def _country_by_dialling_code(plain: str) -> str | None:
    """Match dialling codes of exactly one country: `+33` is France; `+1` is shared, so None."""
    dialled = re.fullmatch(r"(?:\+|00)([1-9][0-9]{0,2})", plain)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(dialled[1]), ()) if dialled else ()
    return regions[0] if len(regions) == 1 and regions[0] in phonenumbers.SUPPORTED_REGIONS else None


def _country_by_locale(typed: str) -> str | None:
    """Match `fr-BE` as Belgium by its capitals; `fr-be` and `be_fr` are ambiguous: see `_country_named_twice`."""
    locale = re.fullmatch(r"\s*[a-z]{2,3}[-_]([A-Z]{2})(?:[.@][\w-]+)?\s*", typed, re.ASCII)
    return locale[1] if locale and locale[1] in phonenumbers.SUPPORTED_REGIONS else None


def _country_by_name(plain: str) -> str | None:
    words = _country_words(plain)
    return _NAMES.get(" ".join(words[1:] if words[:1] and words[0] in _ARTICLES else words))


def _country_named_twice(plain: str) -> str | None:
    """Return the country named by every part of `FR - France` or `France (FR)`; None if they differ."""
    parts = [part for part in re.split(r"[^\w\s'.]+|_", plain) if part.strip()]
    regions = {_country_by_code(part.strip()) or _country_by_name(part) for part in parts}
    return regions.pop() if len(regions) == 1 else None


LONGEST_FIELD = 1000
"""Maximum characters; longer text is prose, and parsing it could take very long."""

_LATEST = 16
"""Values whose result is kept until `clear_contact_caches`: each platform cleans the same ones in turn."""
_SEVERAL = re.compile(r"[;,|\n]|\s(?:ou|et)\s", re.IGNORECASE)
_SEVERAL_PHONES = re.compile(r"/|\s-\s")
"""Separators that also occur inside one number (06/12/34/56/78), so tried only if the whole is not a number."""
_BRACKETED = re.compile(r"<([^<>]*)>")

_USUAL_LOCAL_PART = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*", re.ASCII)
"""What may come before the @ of any valid domain, and is already normalised."""
_USUAL_EMAIL = 64
"""Characters; no address as short as this is too long, however its domain is written."""

_LABELS = frozenset(
    {
        *("bur", "bureau", "cell", "dom", "domicile", "fixe", "gsm", "home", "maison", "mob", "mobile", "n", "no"),
        *("num", "numero", "office", "perso", "personnel", "phone", "port", "portable", "principal", "pro"),
        *("professionnel", "secondaire", "tel", "telephone", "travail", "whatsapp", "work"),
    }
)
"""Labels allowed around a number; any other word may change its meaning, so the number is rejected."""
_SPREADSHEET = re.compile(r"(\+?[0-9]{8,})[.,]0{1,2}")
"""A phone number that a spreadsheet formatted as an amount."""
_FEWEST_WITHOUT_PLUS = 11
"""Minimum digits including the country code; fewer may be a mistyped national number."""

# All of France shares one numbering plan; the library's metadata maps a number to its overseas territory.
_ONE_PLAN = {"FR", "GP", "GF", "MQ", "RE", "YT", "BL", "MF"}
_FRANCE_CODE = 33
_OVERSEAS_CODES = (590, 594, 596, 262)
"""Guadeloupe (with Saint-Martin and Saint-Barthélemy), Guyane, Martinique, La Réunion (with Mayotte)."""
_WIDE = {"976": 594, "939": 590}
"""Default territory of ranges allocated in blocks; for a block, the metadata matches both it and the block's holder."""
_NEVER_MAINLAND = frozenset({"262", "263", "269", "508", "590", "594", "596", "976"})
"""Numbers here that match no territory are unallocated, though the metadata says mainland, or undecidable (508).
https://www.arcep.fr/la-regulation/grands-dossiers-thematiques-transverses/la-numerotation.html"""
_PERSONAL = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,  # 09: the landline of a French internet box
}
"""Number types that belong to people; toll-free, shared-cost and premium numbers belong to companies."""


def clean_emails(values: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct valid addresses in `values`, in order, stripped of spaces and wrapping.

    A field may hold several. Deliverability is not checked.
    """
    return tuple(dict.fromkeys(address for value in values for address in _emails(value)))


def _tidied(field: str) -> str:
    return tidy_text(field.replace("\n", ";")) if len(field) <= LONGEST_FIELD else ""


@lru_cache(maxsize=_LATEST)
def _emails(field: str) -> tuple[str, ...]:
    """Return the addresses in a field, falling back to its separated parts."""
    value = _tidied(field)
    whole = tuple(_valid_emails(_addresses(value)))
    return whole or tuple(address for part in _SEVERAL.split(value) for address in _valid_emails(_addresses(part)))


def _addresses(value: str) -> Iterator[str]:
    """Yield candidate addresses, without spaces, `mailto:` or a display name before `<…>`."""
    if value.count("@") > 1:
        # Several addresses may be separated by spaces alone; a single one may contain stray spaces.
        parts = _SEVERAL.split(value.replace("/", ";"))
        pieces = [word for part in parts for word in (part.split() if part.count("@") > 1 else [part])]
    else:
        pieces = [value]
    for piece in pieces:
        bracketed = _BRACKETED.search(piece)
        bare = "".join((bracketed[1] if bracketed else piece).split())
        yield re.sub(r"^mailto:([^?]*).*", r"\1", bare, flags=re.IGNORECASE)


def _valid_emails(pieces: Iterable[str]) -> Iterator[str]:
    for piece in pieces:
        local, _, domain = piece.partition("@")
        if len(piece) <= _USUAL_EMAIL and domain.isascii() and _USUAL_LOCAL_PART.fullmatch(local):
            if (normalized := _valid_domain(domain)) is not None:
                yield f"{local}@{normalized}"
            continue
        with suppress(EmailNotValidError):
            yield validate_email(piece, check_deliverability=False).normalized


@lru_cache(maxsize=64)
def _valid_domain(domain: str) -> str | None:
    """Return the normalised domain of an address, None if it is invalid: people share few, and checking one is slow."""
    with suppress(EmailNotValidError):
        return validate_email(f"a@{domain}", check_deliverability=False).domain
    return None


def addresses_of(contact: Contact) -> tuple[str, ...]:
    """Return where a person is reached: e-mail addresses in lower case, then phone numbers."""
    emails = (address.lower() for address in clean_emails(contact.emails))
    return (*emails, *clean_phones(contact.phones, country=contact.country))


def clean_phones(values: Iterable[str], *, country: str | None) -> tuple[str, ...]:
    """Return the distinct valid personal numbers in `values`, in order, as E.164.

    Args:
        values: numbers as typed; a field may hold several.
        country: the person's country as typed; blank means the account's. If it isn't recognised, only numbers typed
            with a country code can be read.
    """
    region = iso_country_code_of(country)
    return tuple(dict.fromkeys(number for value in values for number in _numbers(value, region)))


@lru_cache(maxsize=_LATEST)
def _numbers(field: str, region: str | None) -> tuple[str, ...]:
    found: list[str | None] = []
    for piece in _SEVERAL.split(_tidied(field)):
        whole = _valid_phone(piece, region)
        found += [whole] if whole else [_valid_phone(part, region) for part in _SEVERAL_PHONES.split(piece)]
    return tuple(filter(None, found))


def _valid_phone(text: str, region: str | None) -> str | None:
    typed = _without_label(text)
    if typed is None:
        return None
    typed = _SPREADSHEET.sub(r"\1", typed) if _SPREADSHEET.fullmatch(typed) else typed
    if region is None:  # unrecognised country: assume 00 is the international prefix, as in all of France's neighbours
        typed = re.sub(r"^\s*00", "+", typed)
    number = _parse_phone_number(typed, "FR" if region in _ONE_PLAN else region) or _parse_phone_number(
        _restore_phone_plus(typed), None
    )
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if number else None


def _without_label(text: str) -> str | None:
    """Strip labels such as `Tél. :` before or `(bureau)` after a number; None if other letters remain.

    The phone library would convert letters to digits: 0800 FLEURS, 6.1E+08.
    """
    if not any(character.isalpha() for character in text):
        return text.strip()
    places = [at for at, character in enumerate(text) if character.isdigit() or character == "+"]
    first, end = (places[0], places[-1] + 1) if places else (0, 0)
    around = unicodedata.normalize("NFKD", f"{text[:first]} {text[end:]}").casefold()
    words = re.findall(r"[^\W\d_]+", remove_character_categories(around, "Mn"))
    inside = any(character.isalpha() for character in text[first:end])
    return text[first:end] if not inside and _LABELS.issuperset(words) else None


def _restore_phone_plus(typed: str) -> str:
    """Restore the plus of a number typed with a bare country code; return "" if it may be a national number."""
    digits = "".join(character for character in typed if character.isdigit())
    whole = len(digits) >= _FEWEST_WITHOUT_PLUS and digits[0] != "0" and "+" not in typed
    return f"+{digits}" if whole else ""


def _parse_phone_number(typed: str, region: str | None) -> PhoneNumber | None:
    """Parse a number; return None unless it is a valid personal one."""
    try:
        number = phonenumbers.parse(typed, region, keep_raw_input=True)
    except NumberParseException:
        return None
    if number.country_code != _FRANCE_CODE:
        return number if _is_personal(number) else None
    overseas = _overseas(number)
    if overseas or str(number.national_number)[:3] in _NEVER_MAINLAND:
        # phonenumbers accepts +33 596…, but it is unallocated: Martinique is +596.
        national = number.country_code_source == CountryCodeSource.FROM_DEFAULT_COUNTRY
        return overseas[0] if national and len(overseas) == 1 else None
    return number if _is_personal(number) else None


def _overseas(number: PhoneNumber) -> list[PhoneNumber]:
    """Return the overseas numbers that the metadata matches to a number of the French plan."""
    national = number.national_number
    there = [PhoneNumber(country_code=code, national_number=national) for code in _OVERSEAS_CODES]
    found = [each for each in there if _is_personal(each)]
    rest = _WIDE.get(str(national)[:3])
    return [each for each in found if each.country_code != rest] or found


def _is_personal(number: PhoneNumber) -> bool:
    return phonenumbers.number_type(number) in _PERSONAL  # an invalid number has no type


_FEWEST_DIGITS = 4
"""A field with fewer digits is a remark, not a phone number."""
_SHARED = 3
"""Minimum leads that share a country spelling before it is shown; a unique one could be anything."""
_MAY_BE_SHOWN = re.compile(r"[^\W\d_][^\W\d_ '.-]{0,29}")


def summarise_unusable_phones(contacts: Sequence[Contact]) -> str | None:
    """Summarise by reason the leads with a phone field that yields no number; None if there are none."""
    lost = [(contact, text) for contact in contacts if (text := _unusable_phone_field(contact)) is not None]
    if not lost:
        return None
    reasons = Counter(_unusable_phone_reasons(lost)).most_common()
    # A single reason accounts for all of them: its count would repeat the total.
    listed = join_with_semicolons(f"{count}: {reason}" if len(reasons) > 1 else reason for reason, count in reasons)
    return _n(
        "{count} of {leads} has a phone that cannot be read: {reasons}",
        "{count} of {leads} have a phone that cannot be read: {reasons}",
        len(lost),
        leads=_n("{count} lead", "{count} leads", len(contacts)),
        reasons=listed,
    )


def _unusable_phone_field(contact: Contact) -> str | None:
    """Return the lead's first phone field that yields no number, ignoring fields that hold no phone; None if none."""
    phones = (text for text in contact.phones if sum(map(str.isdigit, text)) >= _FEWEST_DIGITS)
    return next((text for text in phones if not clean_phones([text], country=contact.country)), None)


def _unusable_phone_reasons(lost: Sequence[tuple[Contact, str]]) -> Iterator[str]:
    # These fail for lack of a country: the lead's isn't recognised and the number has no country code.
    in_need = [
        one
        for one, text in lost
        if not text.strip().startswith(("+", "00")) and iso_country_code_of(one.country) is None
    ]
    unknown = [tidy_text(contact.country or "") for contact in in_need]
    leads = Counter(unknown)
    for country in unknown:
        shown = leads[country] >= _SHARED and _MAY_BE_SHOWN.fullmatch(country)
        yield (
            _("country {country!r} unknown", country=country)
            if shown
            else _("country unknown, in a spelling of its own")
        )
    yield from [_("not a valid personal number")] * (len(lost) - len(unknown))


def clear_contact_caches() -> None:
    """Drop from memory what was cleaned so far, so that a service keeps no contact data of the leads it has read."""
    for kept in (_emails, _valid_domain, _numbers, iso_country_code_of, is_blank_country):
        kept.cache_clear()
