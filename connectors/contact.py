"""Contact data as typed: e-mail addresses, phone numbers and countries, made comparable; hashing is the platforms'."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import CountryCodeSource, NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from connectors.records import Contact

HOME = "FR"
"""The account's country: what a lead that names none is taken to live in."""

FRENCH_POST = frozenset({"FR", "GP", "GF", "MQ", "RE", "YT", "BL", "MF", "PM", "WF", "PF", "NC"})
"""Where postcodes are French ones, of five digits."""

LONGEST = 100
"""Characters; no country's name is longer."""

_NOTHING = frozenset(
    {
        *("0", "na", "n a", "n c", "n d", "n r", "nan", "nil", "none", "null", "undefined", "unknown", "empty"),
        *("aucun", "aucune", "inconnu", "inconnue", "neant", "vide", "not set", "not specified"),
        *(f"non {word}{end}" for word in ("renseigne", "communique", "defini", "precise") for end in ("", "e")),
    }
)
"""What people and exports write where nothing is known.

NA is every export's "not available", and Namibia's code only by chance: by it a French mobile would read as somebody
else's Namibian number. NC and NR alone stay New Caledonia and Nauru, where no such number is valid.
"""

_ARTICLES = frozenset({"l", "la", "le", "les", "the"})
_OTHER_CODES = {
    "UK": "GB",
    "EL": "GR",
    "33": "FR",  # its dialling code; "32" might be Belgium's or ISO's Argentina without its 0
    "FXX": "FR",  # ISO's once, for metropolitan France
    **dict(zip("FABDEILP", ("FR", "AT", "BE", "DE", "ES", "IT", "LU", "PT"), strict=True)),  # as on cars
}

COUNTRIES = [
    line.split(" ", 3) for line in Path(__file__).with_name("countries.txt").read_text(encoding="utf-8").splitlines()
]
"""ISO 3166 alpha-2, alpha-3 and numeric of every country with a telephone, and its names in French and English.

Names without case, accents, punctuation and a leading article, further usual ones after the official. A test holds
them against the lists that come with Meta's library and the phone library: the latter's would take a hundred megabytes
to ask.
"""
_CODES = {code: row[0] for row in COUNTRIES for code in row[1:3] if code.isalnum() and code != "DOM"} | _OTHER_CODES
# "DOM" is French for all overseas departments, and the Dominican Republic's code by chance.
_NAMES = {name: row[0] for row in COUNTRIES for name in row[3].split(", ")}


def region_of(typed: str | None) -> str | None:
    """The alpha-2 code of a country as typed: HOME where nothing is said, None where no country is known by it.

    Takes ISO 3166 codes, names in French and English, car plates' letters, locales (`fr-FR`) and `+33`.
    """
    if says_nothing(typed):
        return HOME
    text = _plain(typed or "")
    return _by_code(text) or _by_locale(typed or "") or _by_name(text) or _twice(text)


def says_nothing(typed: str | None) -> bool:
    """Whether a country field is blank, or holds what stands for a blank."""
    if typed is None or len(typed) > LONGEST:
        return typed is None
    words = _country_words(_plain(typed))
    return not words or " ".join(words) in _NOTHING


def _plain(text: str) -> str:
    """Without case, accents and what nobody sees; nothing where it is too long for a country."""
    decomposed = unicodedata.normalize("NFKD", text if len(text) <= LONGEST else "")
    return _without(decomposed, "Mn", "Cf").casefold().strip()


def _without(text: str, *categories: str) -> str:
    return "".join(character for character in text if unicodedata.category(character) not in categories)


def _country_words(plain: str) -> list[str]:
    return re.findall(r"[^\W_]+", plain)


def _by_code(plain: str) -> str | None:
    code = plain.replace(".", "").upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    return _CODES.get(code) or _by_dialling(plain)


def _by_dialling(plain: str) -> str | None:
    """`+33` is France; `+1` is several countries' and so none."""
    dialled = re.fullmatch(r"(?:\+|00)([1-9][0-9]{0,2})", plain)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(dialled[1]), ()) if dialled else ()
    return regions[0] if len(regions) == 1 and regions[0] in phonenumbers.SUPPORTED_REGIONS else None


def _by_locale(typed: str) -> str | None:
    """`fr-BE` is Belgium by its capitals; `fr-be` and `be_fr` may be either's, so both halves must agree."""
    locale = re.fullmatch(r"\s*[a-z]{2,3}[-_]([A-Z]{2})(?:[.@][\w-]+)?\s*", typed, re.ASCII)
    return locale[1] if locale and locale[1] in phonenumbers.SUPPORTED_REGIONS else None


def _by_name(plain: str) -> str | None:
    words = _country_words(plain)
    return _NAMES.get(" ".join(words[1:] if words[:1] and words[0] in _ARTICLES else words))


def _twice(plain: str) -> str | None:
    """The country that each part of `FR - France` or `France (FR)` is; None where they differ."""
    parts = [part for part in re.split(r"[^\w\s'.]+|_", plain) if part.strip()]
    regions = {_by_code(part.strip()) or _by_name(part) for part in parts}
    return regions.pop() if len(regions) == 1 else None


LONGEST_FIELD = 1000
"""Characters; what is longer is somebody's letter, and reading it could take for ever."""

_SEVERAL = re.compile(r"[;,|\n]|\s(?:ou|et)\s", re.IGNORECASE)
_SEVERAL_PHONES = re.compile(r"/|\s-\s")
"""Separators that may also stand inside one number (06/12/34/56/78): tried only where the whole is none."""
_BRACKETED = re.compile(r"<([^<>]*)>")

_LABELS = frozenset(
    {
        *("bur", "bureau", "cell", "dom", "domicile", "fixe", "gsm", "home", "maison", "mob", "mobile", "n", "no"),
        *("num", "numero", "office", "perso", "personnel", "phone", "port", "portable", "principal", "pro"),
        *("professionnel", "secondaire", "tel", "telephone", "travail", "whatsapp", "work"),
    }
)
"""Words that may stand before or after a number and say nothing else of it; any other may, so it is not guessed at."""
_SPREADSHEET = re.compile(r"(\+?[0-9]{8,})[.,]0{1,2}")
"""A number that a spreadsheet took for an amount."""
_FEWEST_WITHOUT_PLUS = 11
"""Digits with their country code; fewer may be a national number with a slip in it."""

# One numbering plan for all of France: the library's metadata says which part overseas a number belongs to.
_ONE_PLAN = {"FR", "GP", "GF", "MQ", "RE", "YT", "BL", "MF"}
_FRANCE_CODE = 33
_OVERSEAS_CODES = (590, 594, 596, 262)
"""Guadeloupe's (with Saint-Martin and Saint-Barthélemy), Guyane's, Martinique's, La Réunion's (with Mayotte)."""
_WIDE = {"976": 594, "939": 590}
"""Who has the rest of a range that is given out by blocks: the metadata names both it and the block's holder."""
_NEVER_MAINLAND = frozenset({"262", "263", "269", "508", "590", "594", "596", "976"})
"""What stays is given to nobody, though the metadata takes it for the mainland's, or cannot be decided (508).
https://www.arcep.fr/la-regulation/grands-dossiers-thematiques-transverses/la-numerotation.html"""
_PERSONAL = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,  # 09: the landline of a French internet box
}
"""The kinds of number a person has; toll-free, shared-cost and premium ones are companies'."""


def tidy(text: str) -> str:
    """The text in one spelling: composed accents, plain spaces, nothing invisible."""
    return " ".join(_without(unicodedata.normalize("NFKC", text), "Cf").split())


def clean_emails(values: Iterable[str]) -> tuple[str, ...]:
    """The valid addresses among `values`, as typed but for spaces and wrapping; each once, in order.

    A field may hold several. Whether an address exists is not asked of anyone.
    """
    return tuple(dict.fromkeys(address for value in _tidied(values) for address in _emails(value)))


def _tidied(values: Iterable[str]) -> Iterator[str]:
    return (tidy(value.replace("\n", ";")) for value in values if len(value) <= LONGEST_FIELD)


def _emails(value: str) -> list[str]:
    """The addresses in a field; where the whole is none, those of its parts."""
    whole = list(_valid_emails(_addresses(value)))
    return whole or [address for part in _SEVERAL.split(value) for address in _valid_emails(_addresses(part))]


def _addresses(value: str) -> Iterator[str]:
    """The pieces of a field that may be an address, without spaces, `mailto:` or a name before `<…>`."""
    if value.count("@") > 1:
        # Addresses with nothing but spaces between them; a single one may itself hold stray spaces.
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
        with suppress(EmailNotValidError):
            yield validate_email(piece, check_deliverability=False).normalized


def clean_phones(values: Iterable[str], *, country: str | None) -> tuple[str, ...]:
    """The valid personal numbers among `values` in E.164; each once, in order.

    Args:
        values: numbers as typed; a field may hold several.
        country: the person's country as typed, the account's where it says nothing. Where it is one nobody knows, only
            numbers typed with their country code can be read.
    """
    region = region_of(country)
    return tuple(dict.fromkeys(number for value in _tidied(values) for number in _numbers(value, region)))


def _numbers(value: str, region: str | None) -> Iterator[str]:
    for piece in _SEVERAL.split(value):
        whole = _valid_phone(piece, region)
        parts = [whole] if whole else [_valid_phone(part, region) for part in _SEVERAL_PHONES.split(piece)]
        yield from (number for number in parts if number)


def _valid_phone(text: str, region: str | None) -> str | None:
    typed = _without_label(text)
    if typed is None:
        return None
    typed = _SPREADSHEET.sub(r"\1", typed) if _SPREADSHEET.fullmatch(typed) else typed
    if region is None:  # a country nobody can name still dials abroad by 00, as all around France do
        typed = re.sub(r"^\s*00", "+", typed)
    number = _read(typed, "FR" if region in _ONE_PLAN else region) or _read(_with_plus(typed), None)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if number else None


def _without_label(text: str) -> str | None:
    """The number without `Tél. :` before or `(bureau)` after it; None where other letters stand.

    The library would dial letters: 0800 FLEURS, 6.1E+08.
    """
    if not any(character.isalpha() for character in text):
        return text.strip()
    places = [at for at, character in enumerate(text) if character.isdigit() or character == "+"]
    first, end = (places[0], places[-1] + 1) if places else (0, 0)
    around = unicodedata.normalize("NFKD", f"{text[:first]} {text[end:]}").casefold()
    words = re.findall(r"[^\W\d_]+", _without(around, "Mn"))
    inside = any(character.isalpha() for character in text[first:end])
    return text[first:end] if not inside and _LABELS.issuperset(words) else None


def _with_plus(typed: str) -> str:
    """A number that begins with its country code, without the plus; nothing where it may be a national one."""
    digits = "".join(character for character in typed if character.isdigit())
    whole = len(digits) >= _FEWEST_WITHOUT_PLUS and digits[0] != "0" and "+" not in typed
    return f"+{digits}" if whole else ""


def _read(typed: str, region: str | None) -> PhoneNumber | None:
    """The number, if a person may have it."""
    try:
        number = phonenumbers.parse(typed, region, keep_raw_input=True)
    except NumberParseException:
        return None
    if number.country_code != _FRANCE_CODE:
        return number if _is_personal(number) else None
    overseas = _overseas(number)
    if overseas or str(number.national_number)[:3] in _NEVER_MAINLAND:
        # +33 596… is valid for phonenumbers and nobody's: Martinique is +596.
        national = number.country_code_source == CountryCodeSource.FROM_DEFAULT_COUNTRY
        return overseas[0] if national and len(overseas) == 1 else None
    return number if _is_personal(number) else None


def _overseas(number: PhoneNumber) -> list[PhoneNumber]:
    """What a number of the French plan is abroad, where the metadata gives it to a part overseas."""
    national = number.national_number
    there = [PhoneNumber(country_code=code, national_number=national) for code in _OVERSEAS_CODES]
    found = [each for each in there if _is_personal(each)]
    rest = _WIDE.get(str(national)[:3])
    return [each for each in found if each.country_code != rest] or found


def _is_personal(number: PhoneNumber) -> bool:
    return phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in _PERSONAL


_FEWEST_DIGITS = 4
"""Fewer are a remark, not a phone."""
_SHARED = 3
"""Leads that must share a country's spelling before it is shown: one that stands alone may be anything."""
_MAY_BE_SHOWN = re.compile(r"[^\W\d_][^\W\d_ '.-]{0,29}")


def lost_phones(contacts: Sequence[Contact]) -> str | None:
    """A sentence on the leads with a phone field that gives no number, by reason; None where there is none."""
    lost = [(contact, text) for contact in contacts if (text := _lost(contact)) is not None]
    if not lost:
        return None
    reasons = Counter(_reasons(lost))
    listed = "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common())
    have = "has" if len(lost) == 1 else "have"
    return f"{len(lost)} of {len(contacts)} leads {have} a phone that cannot be read: {listed}"


def _lost(contact: Contact) -> str | None:
    """The first of a lead's phone fields that gives no number; None where each gives one, or holds no phone."""
    phones = (text for text in contact.phones if sum(map(str.isdigit, text)) >= _FEWEST_DIGITS)
    return next((text for text in phones if not clean_phones([text], country=contact.country)), None)


def _reasons(lost: Sequence[tuple[Contact, str]]) -> Iterator[str]:
    # For want of a country: nobody knows the lead's, and no country code stands before the number either.
    in_need = [one for one, text in lost if not text.strip().startswith(("+", "00")) and region_of(one.country) is None]
    unknown = [tidy(contact.country or "") for contact in in_need]
    leads = Counter(unknown)
    for country in unknown:
        shown = leads[country] >= _SHARED and _MAY_BE_SHOWN.fullmatch(country)
        yield f"country {country!r} unknown" if shown else "country unknown, in a spelling of its own"
    yield from ["not a valid personal number"] * (len(lost) - len(unknown))
