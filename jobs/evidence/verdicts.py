"""What a walk through the assumptions says of each: a verdict, why, and the exchanges it rests on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from connectors.language import Language, using_language
from jobs.claims import ClaimId

Said = Mapping[Language, str]
"""One sentence, in each language."""


class Verdict(StrEnum):
    """What became of an assumption."""

    CONFIRMED = "confirmed"
    """What was seen can only be so if it holds."""
    REFUTED = "refuted"
    """What was seen cannot be so if it holds."""
    UNCLEAR = "unclear"
    """Anything else: it was not looked at, or what was seen fits both."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says."""

    verdict: Verdict
    why: Said


@dataclass(frozen=True, slots=True)
class ClaimVerdict:
    """What is known of one assumption, as the folder keeps it."""

    claim: ClaimId
    verdict: Verdict
    why: Said
    day: date
    exchanges: tuple[int, ...] = ()
    """The numbers of the exchanges that were made for it."""


def in_both_languages(sentence: Callable[[], str]) -> Said:
    """Return what `sentence` returns in each language."""
    said = {}
    for language in Language:
        with using_language(language):
            said[language] = sentence()
    return said


def confirmed(sentence: Callable[[], str]) -> Finding:
    """It holds."""
    return Finding(Verdict.CONFIRMED, in_both_languages(sentence))


def refuted(sentence: Callable[[], str]) -> Finding:
    """It does not hold."""
    return Finding(Verdict.REFUTED, in_both_languages(sentence))


def unclear(sentence: Callable[[], str]) -> Finding:
    """Nobody knows yet."""
    return Finding(Verdict.UNCLEAR, in_both_languages(sentence))
