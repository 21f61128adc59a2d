"""Contact data as typed into a CRM made clean: valid e-mail addresses and E.164 phone numbers, or nothing."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

LONGEST_FIELD = 1000
"""Characters; what is longer is somebody's letter, and reading it could take for ever."""

_SEVERAL = re.compile(r"[;,|\n]|\s(?:ou|et)\s", re.IGNORECASE)
_SEVERAL_PHONES = re.compile(r"/|\s-\s")
"""Separators that may also stand inside one number (06/12/34/56/78): tried only where the whole is none."""
_BRACKETED = re.compile(r"<([^<>]*)>")

# One numbering plan for all of France: the first four digits tell an overseas number from a mainland one, and which
# country code it has abroad. https://www.arcep.fr/la-regulation/grands-dossiers-thematiques-transverses/la-numerotation.html
_OVERSEAS = {
    **dict.fromkeys(("0590", "0690", "0691"), "GP"),
    **dict.fromkeys(("0594", "0694"), "GF"),
    **dict.fromkeys(("0596", "0696", "0697"), "MQ"),
    **dict.fromkeys(("0262", "0263", "0692", "0693"), "RE"),
    **dict.fromkeys(("0269", "0639"), "YT"),
    "0508": None,  # Saint-Pierre-et-Miquelon, whose six digits cannot be told from the prefix
    "0976": None,  # an overseas internet box: its number does not say where
}
_FRENCH = {"FR", "FRANCE", "GP", "GF", "MQ", "RE", "YT"}
_FRANCE_CODE = 33
_DIGITS_OF_A_NUMBER = 10
_PERSONAL = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,  # 09: the landline of a French internet box
}
"""The kinds of number a person has; toll-free, shared-cost and premium ones are companies'."""


def tidy(text: str) -> str:
    """The text in one spelling: composed accents, plain spaces, nothing invisible."""
    composed = unicodedata.normalize("NFKC", text)
    visible = (character for character in composed if unicodedata.category(character) != "Cf")
    return " ".join("".join(visible).split())


def clean_emails(values: Iterable[str]) -> tuple[str, ...]:
    """The valid addresses among `values`, as typed but for spaces and wrapping; each once, in order.

    A field may hold several. Whether an address exists is not asked of anyone.
    """
    found = (address for value in _short(values) for address in _emails(tidy(value.replace("\n", ";"))))
    return tuple(dict.fromkeys(found))


def _short(values: Iterable[str]) -> Iterator[str]:
    return (value for value in values if len(value) <= LONGEST_FIELD)


def _emails(value: str) -> list[str]:
    """The addresses in a field; where the whole is none, those of its parts."""
    whole = list(_valid_emails(_addresses(value)))
    return whole or [address for part in _SEVERAL.split(value) for address in _valid_emails(_addresses(part))]


def _addresses(value: str) -> Iterator[str]:
    """The pieces of a field that may be an address, without spaces, `mailto:` or a name before `<…>`."""
    if value.count("@") > 1:
        pieces = [word for part in _SEVERAL.split(value.replace("/", ";")) for word in _words(part)]
    else:
        pieces = [value]
    for piece in pieces:
        bracketed = _BRACKETED.search(piece)
        bare = "".join((bracketed[1] if bracketed else piece).split())
        yield re.sub(r"^mailto:([^?]*).*", r"\1", bare, flags=re.IGNORECASE)


def _words(part: str) -> list[str]:
    """Addresses parted by nothing but spaces; a single one may itself hold stray spaces."""
    return part.split() if part.count("@") > 1 else [part]


def _valid_emails(pieces: Iterable[str]) -> Iterator[str]:
    for piece in pieces:
        with suppress(EmailNotValidError):
            yield validate_email(piece, check_deliverability=False).normalized


def clean_phones(values: Iterable[str], *, country: str | None) -> tuple[str, ...]:
    """The valid personal numbers among `values` in E.164; each once, in order.

    Args:
        values: numbers as typed; a field may hold several.
        country: the person's country, an ISO 3166 code or "France"; France where it is absent. Where it is
            anything else, only numbers typed with their country code can be read.
    """
    code = tidy(country or "FR").upper()
    region = "FR" if code in _FRENCH else code if code in phonenumbers.SUPPORTED_REGIONS else None
    found = (number for value in _short(values) for number in _numbers(tidy(value.replace("\n", ";")), region))
    return tuple(dict.fromkeys(found))


def _numbers(value: str, region: str | None) -> Iterator[str]:
    for piece in _SEVERAL.split(value):
        whole = _valid_phone(piece, region)
        parts = [whole] if whole else [_valid_phone(part, region) for part in _SEVERAL_PHONES.split(piece)]
        yield from (number for number in parts if number)


def _valid_phone(text: str, region: str | None) -> str | None:
    typed = re.sub(r"^\s*tel:", "", text, flags=re.IGNORECASE)
    if any(character.isalpha() for character in typed):
        return None  # phonenumbers would dial letters: 0800 FLEURS, 0612345678 bureau, 6.1E+08
    if region == "FR":
        region = _OVERSEAS.get(_first_digits(typed), region)
    try:
        number = phonenumbers.parse(typed, region)
    except NumberParseException:
        return None
    personal = phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in _PERSONAL
    # +33 596… is valid for phonenumbers and nobody's: Martinique is +596.
    misplaced = number.country_code == _FRANCE_CODE and f"0{number.national_number}"[:4] in _OVERSEAS
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if personal and not misplaced else None


def _first_digits(typed: str) -> str:
    """The four that tell where a French number is from, with the 0 that a spreadsheet may have eaten."""
    digits = re.sub(r"\D", "", typed)
    return digits.zfill(_DIGITS_OF_A_NUMBER)[:4] if len(digits) == _DIGITS_OF_A_NUMBER - 1 else digits[:4]
