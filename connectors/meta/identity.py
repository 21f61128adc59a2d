"""Normalise and hash contact data by Meta's matching rules.

https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/customer-information-parameters
"""

import re
import unicodedata
from collections.abc import Iterable

from connectors.contact import (
    FRENCH_POST,
    LONGEST_FIELD,
    clean_emails,
    clean_phones,
    is_blank_country,
    iso_country_code_of,
)
from connectors.records import Contact, ContactIdentifierKind, Identifier

_CIVILITIES = {"m", "mr", "mm", "mme", "mmes", "mlle", "mlles", "melle", "monsieur", "madame", "mademoiselle"}
_BETWEEN_CIVILITIES = {"et", "ou", "&"}
_NO_NAME = {"anonyme", "inconnu", "inconnue", "nan", "nc", "neant", "none", "null", "néant"}
"""Placeholders that people and exports write for a missing name."""

_ARRONDISSEMENT = re.compile(
    r"\d+\s*(?:er|re|ère|nd|nde|e|è|eme|ème|ième|ieme)?\b|\barr(?:t|dt|ondissement)?\b|\bcedex\b"
)
_ROMAN_ARRONDISSEMENT = re.compile(r"\b(?P<city>paris|lyon|marseille)\s+[xvi]+\s*(?:er|e|è|eme|ème)\b")
_CEDEX = re.compile(r"\s*cedex\b.*", re.DOTALL)
_POSTCODES = {
    **dict.fromkeys(FRENCH_POST, re.compile(r"(?:fr?)?([0-9]{5})")),
    "FR": re.compile(r"(?:fr?)?([0-9]{4,5})"),
    "BE": re.compile(r"(?:be?)?([0-9]{4})"),
    "CH": re.compile(r"(?:ch)?([0-9]{4})"),
    "LU": re.compile(r"(?:lu?)?([0-9]{4})"),
    "DE": re.compile(r"(?:de?)?([0-9]{5})"),
    "ES": re.compile(r"(?:es?)?([0-9]{5})"),
    "IT": re.compile(r"(?:it?)?([0-9]{5})"),
    "MC": re.compile(r"(?:mc)?([0-9]{5})"),
    "US": re.compile(r"(?:us)?([0-9]{5})(?:[0-9]{4})?"),
    # Area, district and sector: SW1A 1AA is in sector SW1A 1.
    "GB": re.compile(r"([a-z]{1,2}[0-9][0-9a-z]?[0-9])[a-z]{2}"),
}
"""Compact postcodes with an optional country prefix; the group is what Meta gets (US: five digits, GB: the sector)."""
_OTHER_POSTCODE = re.compile(r"((?=[a-z]*[0-9])[0-9a-z]{3,10})")
_NO_COUNTRY = re.compile(r"([0-9]{5})")
_DIGITS_OF_A_POSTCODE = 5


def hash_contact(contact: Contact) -> tuple[Identifier, ...]:
    """Return the contact's distinct identifiers, or none if they wouldn't identify a person.

    Meta requires an e-mail, a phone, or first and last name with a postcode or city; an event with less makes it refuse
    the whole request. https://developers.facebook.com/documentation/ads-commerce/conversions-api/best-practices
    """
    region = iso_country_code_of(contact.country)
    postcode = _postcode(contact.postcode, region)
    assumed = is_blank_country(contact.country) and not postcode
    found: dict[ContactIdentifierKind, Iterable[str | None]] = {
        ContactIdentifierKind.EMAIL: dict.fromkeys(address.lower() for address in clean_emails(contact.emails)),
        ContactIdentifierKind.PHONE: (
            number.removeprefix("+") for number in clean_phones(contact.phones, country=contact.country)
        ),
        ContactIdentifierKind.FIRST_NAME: (_name(contact.first_name),),
        ContactIdentifierKind.LAST_NAME: (_name(contact.last_name),),
        ContactIdentifierKind.CITY: (_city(contact.city),),
        ContactIdentifierKind.POSTCODE: (postcode,),
        ContactIdentifierKind.COUNTRY: (None if assumed or region is None else region.lower(),),
    }
    hashes = [Identifier.hash_normalized_value(kind, text) for kind, texts in found.items() for text in texts if text]
    return tuple(hashes) if is_enough_to_identify({each.kind for each in hashes}) else ()


def is_enough_to_identify(kinds: set[ContactIdentifierKind]) -> bool:
    """Return whether identifiers of these kinds suffice to identify a person by Meta's rules."""
    if kinds & {ContactIdentifierKind.EMAIL, ContactIdentifierKind.PHONE}:
        return True
    named = {ContactIdentifierKind.FIRST_NAME, ContactIdentifierKind.LAST_NAME} <= kinds
    return named and bool(kinds & {ContactIdentifierKind.POSTCODE, ContactIdentifierKind.CITY})


def _name(typed: str | None) -> str | None:
    """Reduce a name to lower-case letters, keeping accents, without a leading title (M., Mme).

    Removes inner spaces like punctuation, which Meta's page doesn't mention but its own normaliser does:
    https://github.com/facebook/capi-param-builder
    """
    words = _lower(typed).split()
    while words and words[0].rstrip(".") in _CIVILITIES:
        words = words[1:]
        if len(words) > 1 and words[0] in _BETWEEN_CIVILITIES and words[1].rstrip(".") in _CIVILITIES:
            words = words[1:]
    text = "".join(words)
    if "@" in text or any(character.isdigit() for character in text):
        return None  # an address or a number in the wrong field
    letters = _letters(text)
    return None if letters in _NO_NAME else letters


def _city(typed: str | None) -> str | None:
    """Reduce a city to lower-case letters, keeping accents, without arrondissement or Cedex."""
    city = _ROMAN_ARRONDISSEMENT.sub(r"\g<city>", _lower(typed))
    letters = _letters(_ARRONDISSEMENT.sub(" ", city))
    return None if letters in _NO_NAME else letters


def _postcode(typed: str | None, region: str | None) -> str | None:
    """Lower-case a postcode, strip spaces, dashes, Cedex and country prefix, and check its country's format.

    Restores a leading 0 that a spreadsheet dropped from a French one. If the country isn't recognised, accepts five
    digits.
    """
    compact = re.sub(r"[\s-]", "", _CEDEX.sub("", _lower(typed)))
    shape = _NO_COUNTRY if region is None else _POSTCODES.get(region, _OTHER_POSTCODE)
    match = shape.fullmatch(compact)
    if match is None:
        return None
    if region is not None and region not in FRENCH_POST:
        return match[1]
    digits = match[1].zfill(_DIGITS_OF_A_POSTCODE)
    return None if digits.startswith("00") else digits


def _lower(typed: str | None) -> str:
    """Lower-case, compose accents, drop invisible characters; return "" if too long for a name or place."""
    text = unicodedata.normalize("NFKC", typed if typed and len(typed) <= LONGEST_FIELD else "").lower()
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", "".join(each for each in text if unicodedata.category(each) != "Cf"))


def _letters(text: str) -> str | None:
    """Keep letters and combining marks of any alphabet; None if there are none."""
    if text.isalpha():
        return text
    return "".join([each for each in text if unicodedata.category(each)[0] in "LM"]) or None
