"""Which stage of a sale a name speaks of, by the words that are usual for it: a hint for people, never a decision."""

import re
import unicodedata
from collections.abc import Mapping

from connectors.text import remove_character_categories

_WORDS: Mapping[str, re.Pattern[str]] = {
    stage: re.compile(rf"\b(?:{words})\b")
    for stage, words in {
        "appointment": r"rdv|rendez.vous|appointment|booking",
        "quote": r"devis|quote|quotes",
        "won": r"gagne\w?|accepte\w{0,2}|vendue?s?|ventes?|achats?|signe\w{0,2}|won|sold|sales?|purchases?",
        "lost": r"perdue?s?|sans.suite|sans.reponse|annul\w*|refus\w*|abandon\w*|lost|cancell?ed",
    }.items()
}
_GAPS = re.compile(r"[\W_]+")


def stages_named(text: str) -> frozenset[str]:
    """Return the stages of which a text speaks."""
    plain = remove_character_categories(unicodedata.normalize("NFKD", text), "Mn").casefold()
    spaced = _GAPS.sub(" ", plain)
    return frozenset(stage for stage, words in _WORDS.items() if words.search(spaced))


def contradicts(stage: str, text: str) -> bool:
    """Whether a stage's name and a text both speak of stages, and of none in common: a loss may name what was lost."""
    of_stage, of_text = stages_named(stage), stages_named(text)
    if "lost" in of_stage:
        of_text -= {"appointment", "quote"}
    return bool(of_stage and of_text) and of_stage.isdisjoint(of_text)
