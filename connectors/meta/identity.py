"""How Meta recognises people: contact data normalised by its rules, then hashed.

https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/customer-information-parameters
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

import phonenumbers

from connectors.contact import LONGEST_FIELD, clean_emails, clean_phones
from connectors.records import Contact, Identifier, IdentifierKind

_CIVILITIES = {"m", "mr", "mm", "mme", "mmes", "mlle", "mlles", "melle", "monsieur", "madame", "mademoiselle"}
_BETWEEN_CIVILITIES = {"et", "ou", "&"}
_NO_NAME = {"anonyme", "inconnu", "inconnue", "nan", "nc", "neant", "none", "null", "néant"}
"""What people and exports write where nothing is known."""

_ARRONDISSEMENT = re.compile(
    r"\d+\s*(?:er|re|ère|nd|nde|e|è|eme|ème|ième|ieme)?\b|\barr(?:t|dt|ondissement)?\b|\bcedex\b"
)
_ROMAN_ARRONDISSEMENT = re.compile(r"\b(?P<city>paris|lyon|marseille)\s+[xvi]+\s*(?:er|e|è|eme|ème)\b")
_FRENCH_POSTCODE = re.compile(r"(?:fr?)?(?P<digits>[0-9]{4,5})", re.ASCII)
_DIGITS_OF_A_POSTCODE = 5
_FRANCE = {"fr", "fra", "france"}


def identify(contact: Contact) -> tuple[Identifier, ...]:
    """The contact's data as Meta matches it, each once; nothing at all where it would not tell a person.

    Enough is an e-mail, a phone, or first and last name with a postcode or city: Meta refuses less, and with it the
    whole request. https://developers.facebook.com/documentation/ads-commerce/conversions-api/best-practices
    """
    country = _country(contact.country)
    french = country == "fr" or not (contact.country or "").strip()
    postcode = _postcode(contact.postcode, french=french)
    found: dict[IdentifierKind, Iterable[str | None]] = {
        IdentifierKind.EMAIL: (address.lower() for address in clean_emails(contact.emails)),
        IdentifierKind.PHONE: (
            number.removeprefix("+") for number in clean_phones(contact.phones, country=contact.country)
        ),
        IdentifierKind.FIRST_NAME: (_name(contact.first_name),),
        IdentifierKind.LAST_NAME: (_name(contact.last_name),),
        IdentifierKind.CITY: (_city(contact.city),),
        IdentifierKind.POSTCODE: (postcode,),
        IdentifierKind.COUNTRY: (country or ("fr" if french and postcode else None),),
    }
    hashes = [Identifier(kind, _sha256(text)) for kind, texts in found.items() for text in texts if text]
    return tuple(dict.fromkeys(hashes)) if is_enough({each.kind for each in hashes}) else ()


def is_enough(kinds: set[IdentifierKind]) -> bool:
    """Whether identifiers of these kinds tell a person, by Meta's rule."""
    if kinds & {IdentifierKind.EMAIL, IdentifierKind.PHONE}:
        return True
    named = {IdentifierKind.FIRST_NAME, IdentifierKind.LAST_NAME} <= kinds
    return named and bool(kinds & {IdentifierKind.POSTCODE, IdentifierKind.CITY})


def _name(typed: str | None) -> str | None:
    """Lower case, letters alone, accents kept, without a civility before it.

    Spaces inside go as punctuation does: its page does not say so, Meta's own normaliser does it.
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
    """Lower case, letters alone, accents kept, without arrondissement or Cedex."""
    city = _ROMAN_ARRONDISSEMENT.sub(r"\g<city>", _lower(typed))
    letters = _letters(_ARRONDISSEMENT.sub(" ", city))
    return None if letters in _NO_NAME else letters


def _postcode(typed: str | None, *, french: bool) -> str | None:
    """Five digits; a French one typed with its country, with a space, or robbed of its first 0 by a spreadsheet."""
    compact = re.sub(r"[\s-]", "", _lower(typed))
    match = _FRENCH_POSTCODE.fullmatch(compact)
    if match is None or (len(match["digits"]) < _DIGITS_OF_A_POSTCODE and not french):
        return None
    digits = match["digits"].zfill(_DIGITS_OF_A_POSTCODE)
    return None if digits.startswith("00") else digits


def _country(typed: str | None) -> str | None:
    """The two letters of ISO 3166, in lower case."""
    text = _lower(typed).strip()
    if text in _FRANCE:
        return "fr"
    return text if text.upper() in phonenumbers.SUPPORTED_REGIONS else None


def _lower(typed: str | None) -> str:
    """Lower case, composed accents, no invisible characters; nothing where it is too long for a name or place."""
    text = unicodedata.normalize("NFKC", typed if typed and len(typed) <= LONGEST_FIELD else "").lower()
    return unicodedata.normalize("NFC", "".join(each for each in text if unicodedata.category(each) != "Cf"))


def _letters(text: str) -> str | None:
    """Its letters and their marks, of any alphabet; None where there are none."""
    return "".join(each for each in text if unicodedata.category(each)[0] in "LM") or None


def _sha256(text: str) -> str:
    """Lower-case hex."""
    return hashlib.sha256(text.encode()).hexdigest()
