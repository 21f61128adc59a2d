"""Which stage of a sale a name speaks of, by the words that are usual for it: a hint for people, never a decision."""

import re
import unicodedata
from collections.abc import Mapping

from connectors.language import N_, _
from connectors.text import remove_character_categories

_WORDS: Mapping[str, re.Pattern[str]] = {
    stage: re.compile(rf"\b(?:{words})\b")
    for stage, words in {
        "appointment": r"rdvs?|r d v|rv|rendez.?vous|visites?|appointments?|booking",
        "quote": (
            # A call for tenders is no offer, and an estimate made online is where the lead comes from.
            r"(?:devis|chiffrages?|propositions?|(?<!appel.d.)(?<!appels.d.)offres?|estimations?|quotes?)(?!.en.ligne)"
        ),
        "won": (
            r"gagne\w{0,2}|accepte\w{0,2}|vendue?s?|ventes?|achats?|signe\w{0,2}|commandes?|cdes?|conclue?s?"
            r"|bons?.pour.accord|bpa|acomptes?.(?:verse|recu|paye|encaisse)e?s?|won|sold|sales?|purchases?"
        ),
        "lost": r"perdue?s?|sans.suite|sans.reponse|annul\w*|refus\w*|abandon\w*|ko|lost|cancell?ed",
    }.items()
}
_NOT_YET = re.compile(
    r"\b(?:a (?:faire|prendre|planifier|fixer|caler|envoyer|etablir|chiffrer|confirmer|signer|passer|valider)"
    r"|demandee?s?|en attente|pas|non|nrp\d*|to (?:do|send|make|book)|not)\b|^ ?commandes? ?$"
)
"""What says of a stage that a lead has not reached it, or leaves it open: a mere Commande may be one to be placed."""
_NAMES = {
    "created": N_("lead created"),
    "appointment": N_("appointment"),
    "quote_sent": N_("quote_sent"),
    "won": N_("won"),
    "lost": N_("lost"),
}
_GAPS = re.compile(r"[\W_]+")


def stages_named(text: str) -> frozenset[str]:
    """Return the stages of which a text speaks."""
    spaced = _spaced(text)
    return frozenset(stage for stage, words in _WORDS.items() if words.search(spaced))


def stage_meant(text: str) -> str | None:
    """Return the stage that a lead has reached by a status of this name; None if there is none, or a doubt.

    What comes last counts: an accepted quote is a sale, and a cancelled appointment a loss.
    """
    named = stages_named(text)
    if "lost" in named:
        return "lost"
    if _NOT_YET.search(_spaced(text)):
        return None
    return "won" if "won" in named else next(iter(named)) if len(named) == 1 else None


def _spaced(text: str) -> str:
    plain = remove_character_categories(unicodedata.normalize("NFKD", text), "Mn").casefold()
    return _GAPS.sub(" ", plain)


def stage_in_words(stage: str) -> str:
    """Return a stage's name on screen: that in the settings, unless it is built in or one that `init` writes."""
    return _(_NAMES[stage]) if stage in _NAMES else stage


def contradicts(stage: str, text: str) -> bool:
    """Whether a stage's name and a text both speak of stages, and of none in common: a loss may name what was lost."""
    of_stage, of_text = stages_named(stage), stages_named(text)
    if "lost" in of_stage:
        of_text -= {"appointment", "quote"}
    return bool(of_stage and of_text) and of_stage.isdisjoint(of_text)
