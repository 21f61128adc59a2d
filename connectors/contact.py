"""Contact data as typed into a CRM made clean: valid e-mail addresses and E.164 phone numbers, or nothing."""

import re
from collections.abc import Iterable, Iterator

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

_SEVERAL = re.compile(r"[;,|\n]|\s(?:ou|et)\s", re.IGNORECASE)
_SEVERAL_PHONES = re.compile(r"/|\s-\s")
"""Separators that may also stand inside one number (06/12/34/56/78): tried only where the whole is none."""
_BRACKETED = re.compile(r"<([^<>]*)>")

# By the start of the postcode. 06 90… there is +590, +596, +594 or +262 and not a number of +33.
_OVERSEAS = {"971": "GP", "972": "MQ", "973": "GF", "974": "RE", "976": "YT"}
_PERSONAL = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,  # 09: the landline of a French internet box
}
"""The kinds of number a person has; toll-free, shared-cost and premium ones are companies'."""


def clean_emails(values: Iterable[str]) -> tuple[str, ...]:
    """The valid addresses among `values`, as typed but for spaces and wrapping; each once, in order.

    A field may hold several. Whether an address exists is not asked of anyone.
    """
    found = (address for value in values for piece in _addresses(value) if (address := _valid_email(piece)))
    return tuple(dict.fromkeys(found))


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


def _valid_email(piece: str) -> str | None:
    try:
        return validate_email(piece, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def clean_phones(values: Iterable[str], *, postcode: str | None, country: str | None) -> tuple[str, ...]:
    """The valid personal numbers among `values` in E.164; each once, in order.

    Args:
        values: numbers as typed; a field may hold several.
        postcode: tells the overseas departments, whose national numbers have country codes of their own.
        country: the person's country, an ISO 3166 code or "France"; France where it is absent. Where it is
            anything else, only numbers typed with their country code can be read.
    """
    regions = _regions(postcode, country)
    found = (number for value in values for number in _numbers(value, regions))
    return tuple(dict.fromkeys(found))


def _regions(postcode: str | None, country: str | None) -> tuple[str | None, ...]:
    """Where a national number may be from, likeliest first; None reads only international ones."""
    code = (country or "FR").strip().upper()
    if code in {"FR", "FRANCE"}:
        overseas = _OVERSEAS.get((postcode or "").strip()[:3])
        return (overseas, "FR") if overseas else ("FR",)
    return (code if code in phonenumbers.SUPPORTED_REGIONS else None,)


def _numbers(value: str, regions: tuple[str | None, ...]) -> Iterator[str]:
    for piece in _SEVERAL.split(value):
        whole = _valid_phone(piece, regions)
        parts = [whole] if whole else [_valid_phone(part, regions) for part in _SEVERAL_PHONES.split(piece)]
        yield from (number for number in parts if number)


def _valid_phone(text: str, regions: tuple[str | None, ...]) -> str | None:
    digits = re.sub(r"^\s*tel:", "", text, flags=re.IGNORECASE)
    if any(character.isalpha() for character in digits):
        return None  # phonenumbers would dial letters: 0800 FLEURS, 0612345678 bureau, 6.1E+08
    for region in regions:
        try:
            number = phonenumbers.parse(digits, region)
        except NumberParseException:
            continue
        if phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in _PERSONAL:
            return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return None
