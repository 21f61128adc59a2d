"""Text for humans: strip control characters, format counts."""

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


def masked_address(url: str) -> str:
    """Return an address without what may be secret in it: all but its server."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}/…"
