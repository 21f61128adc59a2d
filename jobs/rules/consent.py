"""Whether a lead's data may be used for ads, by its two consent signals."""

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.records import Consent, Signal
from jobs.rules.extraction import ERASED
from jobs.rules.model import ConsentAnswer, DedupScope, KnownClickId, LeadFacts, Route


@dataclass(frozen=True, slots=True)
class Withheld:
    """Nothing may be sent, and why."""

    reason: str


def consent_to_send(route: Route, lead: LeadFacts) -> Consent | Withheld:
    """The signals to send with the lead's conversion, or why it must stay.

    Ad platforms need both signals for people in the EEA: https://support.google.com/google-ads/answer/13802165
    """
    user_data = _signal(lead.ad_user_data, assume=route.assume_consent)
    if isinstance(user_data, Withheld):
        return user_data
    if user_data is Signal.DENIED:
        return Withheld("consent_refused")
    personalization = _signal(lead.ad_personalization, assume=route.assume_consent)
    if isinstance(personalization, Withheld):
        return personalization
    if personalization is Signal.DENIED and route.limits.needs_personalization:
        return Withheld("consent_refused")
    return Consent(user_data, personalization)


def is_withdrawn(lead: LeadFacts, *, needs_personalization: bool) -> bool:
    """Whether the lead says no to a destination, whatever else would keep a conversion back."""
    refused_ads = needs_personalization and lead.ad_personalization is ConsentAnswer.REFUSED
    return lead.ad_user_data is ConsentAnswer.REFUSED or refused_ads


def may_keep_contact(
    route: Route, ad_user_data: ConsentAnswer, ad_personalization: ConsentAnswer, clicks: Iterable[KnownClickId]
) -> bool:
    """Whether hashes of a lead's contact data may be kept for a route: it can use them and the lead allows it.

    A hash of a phone is soon guessed, so none waits for a click id that may never come: a lead that gains one has
    changed, and is read whole.

    Args:
        route: where they would go.
        ad_user_data: one answer of the lead.
        ad_personalization: the other.
        clicks: every click id of the lead that is known.
    """
    refused = route.limits.needs_personalization and ad_personalization is ConsentAnswer.REFUSED
    if refused or not _can_use_contact(route, clicks):
        return False
    signal = _signal(ad_user_data, assume=route.assume_consent)
    return not isinstance(signal, Withheld) and signal is not Signal.DENIED


def _can_use_contact(route: Route, clicks: Iterable[KnownClickId]) -> bool:
    if route.contact_only or not route.attach_contact:
        return route.contact_only
    # Where one counts once per person, it is known again by hashes that need not go out.
    is_known_by_them = route.once is not None and route.once.per is DedupScope.PERSON
    kinds = frozenset(route.limits.click_ids) if is_known_by_them else route.limits.contact_with
    return any(click.kind in kinds and not click.value.startswith(ERASED) for click in clicks)


def _signal(answer: ConsentAnswer, *, assume: bool) -> Signal | Withheld | None:
    match answer:
        case ConsentAnswer.GRANTED:
            return Signal.GRANTED
        case ConsentAnswer.REFUSED:
            return Signal.DENIED
        case ConsentAnswer.MISSING:
            return Signal.GRANTED if assume else Withheld("consent_missing")
        case ConsentAnswer.UNKNOWN:
            return Withheld("consent_unknown")
        case ConsentAnswer.NOT_ASKED:
            return None
