"""How labels and other texts of leads are compared, and what is told of a text that is not shown."""

import re
import unicodedata
from functools import lru_cache

from connectors.language import N_

_GAPS = re.compile(r"[\s'`´’‘ʼ_\-‐‑‒–—]+")


@lru_cache(maxsize=1024)
def normalise_label(text: str) -> str:
    """Return the form labels are compared in.

    `Devis à relancer`, `DEVIS-A-RELANCER` and `devis a  relancer` all normalise to the same text. Labels are compared
    whole, never by substring. A label with no letters, digits or symbols normalises to an empty string.
    """
    return normalise_text(text)


def normalise_text(text: str) -> str:
    """Return the same form as `normalise_label` of a text that may be personal, and is therefore not kept in memory."""
    plain = text.casefold()
    if not text.isascii():
        # Case folding can produce marks that decompose again, hence the second pass (Unicode 3.13, D146).
        decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        plain = "".join([letter for letter in decomposed if not unicodedata.combining(letter)])
    return _GAPS.sub(" ", plain).strip()


APPOINTMENT_SET = "appointment_set"
"""The built-in label of a lead whose first appointment was set; it stands beside the lead's status and never replaces
it. Normalising turns an underscore into a space, so no status of Oplead's has this label."""


def normalise_listed_label(text: str) -> str:
    """Return the form that a label listed in the settings is compared in; the built-in label is left as it is."""
    return APPOINTMENT_SET if text.strip().casefold() == APPOINTMENT_SET else normalise_label(text)


_DIGITS = N_("digits, {count} character", "digits, {count} characters")
_LETTERS = N_("letters, {count} character", "letters, {count} characters")
_TEXT = N_("text, {count} character", "text, {count} characters")


def describe_text_shape(value: str) -> str:
    """Describe a text without its content, e.g. `text, 18 characters`: in English, since it is stored and compared."""
    one, several = _DIGITS if value.isdecimal() else _LETTERS if value.isalpha() else _TEXT
    return (one if len(value) == 1 else several).format(count=len(value))
