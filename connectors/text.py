"""Text for humans: strip control characters, format counts."""

import re
import unicodedata
from urllib.parse import urlsplit

_JOINERS = "\u200c\u200d"
"""Kept, since they only join letters and emojis."""
_CONTROLS = frozenset({"Cc", "Cf", "Cs"})
_LINE_ENDS = frozenset({"Zl", "Zp"})
_NO_BREAK_SPACES = "\xa0\u202f"
"""Python calls them non-printable; French has one before a colon."""


def strip_control_characters(text: str, *, keep: str = "") -> str:
    """Strip control and format characters (C0, DEL, C1, bidi, zero width); tabs and line ends become spaces.

    Characters in `keep` are left alone. For the risks of format characters, see https://www.unicode.org/reports/tr36/.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter in keep else _replace_control_character(letter) for letter in text)


def _replace_control_character(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind in _LINE_ENDS or (kind == "Cc" and letter.isspace()):
        return " "
    return "" if kind in _CONTROLS and letter not in _JOINERS else letter


def one_line(text: str) -> str:
    """Replace every non-printable character, line breaks included, with a middle dot."""
    return "".join(letter if letter.isprintable() or letter in _NO_BREAK_SPACES else "·" for letter in text)


def tidy_text(text: str) -> str:
    """Normalise text: composed accents, single plain spaces, no invisible characters."""
    return " ".join(remove_character_categories(unicodedata.normalize("NFKC", text), "Cf").split())


def remove_character_categories(text: str, *categories: str) -> str:
    """Strip marks or format characters (Mn, Cf), of which ASCII has none."""
    if text.isascii():
        return text
    return "".join(character for character in text if unicodedata.category(character) not in categories)


_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(
    r"(^|\D)((0|33 |33(?=[67]))[1-9]([ .-]?)\d\d(\4\d\d){3}|(\+|00)[1-9]([ .-]?\d){8,12})(?!\d)", re.ASCII
)
"""Of France, in pairs with one separator or none, its country code perhaps without the + that an address has lost; or
with any country code. The website's script has the same."""
_NUMBER = re.compile(r"[1-9]\d*|0(?:0(?!33)|[1-589])\d+")
"""A number, perhaps padded with zeros: no mobile phone's."""


def holds_contact(text: str) -> bool:
    """Whether a text holds an e-mail address, or a number written as telephone numbers are."""
    return _EMAIL.search(text) is not None or _PHONE.search(text) is not None


def is_contact(text: str) -> bool:
    """Whether a text is an e-mail address or a telephone number, and can hardly be anything else."""
    phone = _PHONE.search(text)
    is_phone = phone is not None and phone[2] == text and _NUMBER.fullmatch(text) is None
    return is_phone or _EMAIL.fullmatch(text) is not None


def masked_address(url: str) -> str:
    """Return an address without what may be secret in it: all but its server."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/…"
