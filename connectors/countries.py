"""Countries as people, forms and programs spell them, reduced to ISO 3166 alpha-2. Pure.

One place for all platforms: what a phone is read by and what Meta is told as the country never differ.
"""

import re
import unicodedata

import phonenumbers

from connectors.country_table import TABLE

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

_ROWS = [line.split(" ", 3) for line in TABLE.strip().splitlines()]
_CODES = {code: row[0] for row in _ROWS for code in row[1:3] if code.isalnum() and code != "DOM"} | _OTHER_CODES
# "DOM" is French for all overseas departments, and the Dominican Republic's code by chance.
_NAMES = {name: row[0] for row in _ROWS for name in row[3].split(", ")}


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
    words = _words(_plain(typed))
    return not words or " ".join(words) in _NOTHING


def _plain(text: str) -> str:
    """Without case, accents and what nobody sees; nothing where it is too long for a country."""
    decomposed = unicodedata.normalize("NFKD", text if len(text) <= LONGEST else "")
    return "".join(each for each in decomposed if unicodedata.category(each) not in {"Mn", "Cf"}).casefold().strip()


def _words(plain: str) -> list[str]:
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
    told = re.fullmatch(r"\s*([a-z]{2,3})[-_]([A-Z]{2})(?:[.@][\w-]+)?\s*", typed, re.ASCII)
    return told[2] if told and told[2] in phonenumbers.SUPPORTED_REGIONS else None


def _by_name(plain: str) -> str | None:
    words = _words(plain)
    return _NAMES.get(" ".join(words[1:] if words[:1] and words[0] in _ARTICLES else words))


def _twice(plain: str) -> str | None:
    """The country that each part of `FR - France` or `France (FR)` is; None where they differ."""
    parts = [part for part in re.split(r"[^\w\s'.]+|_", plain) if part.strip()]
    regions = {_by_code(part.strip()) or _by_name(part) for part in parts}
    return regions.pop() if len(regions) == 1 else None
