"""When two status labels are the same label: accents, case, apostrophes, hyphens and spaces do not matter."""

import re
import unicodedata

_GAPS = re.compile(r"[\s'`´’‘ʼ_\-‐‑‒–—]+")


def normalise_label(text: str) -> str:
    """What a label is compared by: `Devis à relancer`, `DEVIS-A-RELANCER` and `devis a  relancer` give one text.

    The whole label counts, never a part of it. A label without letters, digits or signs gives an empty text.
    """
    # Folding case can bring marks that decompose again, hence the second pass (Unicode 3.13, D146).
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _GAPS.sub(" ", plain).strip()
