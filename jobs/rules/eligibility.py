"""Whether a conversion may be sent, by which click id or contact data, in what window; its deduplication keys. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from connectors.records import ClickIdKind, Consent, ConsentSignalValue, ContactIdentifierKind, Identifier
from jobs.rules.extraction import ERASED
from jobs.rules.model import ConsentAnswer, ConversionRoute, DedupScope, KnownClickId, LeadFacts
from jobs.rules.reasons import Reason


def consent_to_send(route: ConversionRoute, lead: LeadFacts) -> Consent | Reason:
    """Return the consent signals to send with the lead's conversion, or the reason nothing may be sent.

    Ad platforms need both signals for people in the EEA: https://support.google.com/google-ads/answer/13802165
    """
    user_data = _consent_signal_or_reason(lead.ad_user_data, assume=route.assume_consent)
    if isinstance(user_data, Reason):
        return user_data
    if user_data is ConsentSignalValue.DENIED:
        return Reason.CONSENT_REFUSED
    personalization = _consent_signal_or_reason(lead.ad_personalization, assume=route.assume_consent)
    if isinstance(personalization, Reason):
        return personalization
    if personalization is ConsentSignalValue.DENIED and route.limits.needs_personalization:
        return Reason.CONSENT_REFUSED
    return Consent(user_data, personalization)


def consent_is_withdrawn(lead: LeadFacts, *, needs_personalization: bool) -> bool:
    """Return whether the lead refuses a destination, regardless of what else may withhold a conversion."""
    refused_ads = needs_personalization and lead.ad_personalization is ConsentAnswer.REFUSED
    return lead.ad_user_data is ConsentAnswer.REFUSED or refused_ads


def may_keep_contact(
    route: ConversionRoute,
    ad_user_data: ConsentAnswer,
    ad_personalization: ConsentAnswer,
    clicks: Iterable[KnownClickId],
) -> bool:
    """Return whether hashes of a lead's contact data may be kept for a route: usable there, and consented to.

    A hashed phone number is easily guessed, so hashes aren't kept waiting for a click id that may never come: a lead
    that gains one has changed and is read in full again. `clicks` is every known click id of the lead.
    """
    refused = route.limits.needs_personalization and ad_personalization is ConsentAnswer.REFUSED
    if refused or not _can_use_contact(route, clicks):
        return False
    signal = _consent_signal_or_reason(ad_user_data, assume=route.assume_consent)
    return not isinstance(signal, Reason) and signal is not ConsentSignalValue.DENIED


def _can_use_contact(route: ConversionRoute, clicks: Iterable[KnownClickId]) -> bool:
    if route.contact_only or not route.attach_contact:
        return route.contact_only
    # With per-person deduplication, hashes identify the person even when they aren't sent.
    is_known_by_them = route.once is not None and route.once.per is DedupScope.PERSON
    kinds = frozenset(route.limits.click_ids) if is_known_by_them else route.limits.contact_with
    return any(click.kind in kinds and not click.value.startswith(ERASED) for click in clicks)


def _consent_signal_or_reason(answer: ConsentAnswer, *, assume: bool) -> ConsentSignalValue | Reason | None:
    match answer:
        case ConsentAnswer.GRANTED:
            return ConsentSignalValue.GRANTED
        case ConsentAnswer.REFUSED:
            return ConsentSignalValue.DENIED
        case ConsentAnswer.MISSING:
            return ConsentSignalValue.GRANTED if assume else Reason.CONSENT_MISSING
        case ConsentAnswer.UNKNOWN:
            return Reason.CONSENT_UNKNOWN
        case ConsentAnswer.NOT_ASKED:
            return None


_OF_A_BROWSER = frozenset({ClickIdKind.FBP})
"""Kinds that identify a browser, whatever brought it to the site."""


def is_selected_by_click_ids(route: ConversionRoute, lead: LeadFacts) -> bool:
    """Return whether the lead's click ids select this route rather than another to the same destination."""
    kinds = {click.kind for click in lead.click_ids}
    return kinds.isdisjoint(route.never_with) and (not route.only_with or not kinds.isdisjoint(route.only_with))


def is_route_for_other_clicks(route: ConversionRoute, other: ConversionRoute) -> bool:
    """Return whether `other` sends the same stage to the same destination for leads with other click ids."""
    same = (route.destination, route.stage) == (other.destination, other.stage)
    return same and bool(route.only_with & other.never_with or route.never_with & other.only_with)


def is_alternative_destination(route: ConversionRoute, other: ConversionRoute) -> bool:
    """Return whether `other` sends the same conversion to another destination on the same platform."""
    elsewhere = route.conversion == other.conversion and route.destination != other.destination
    return elsewhere and route.limits.click_ids == other.limits.click_ids


def click_ids_of_other_platforms(route: ConversionRoute, lead: LeadFacts) -> tuple[ClickIdKind, ...]:
    """Return the click id kinds that assign a lead to other platforms only; usually none.

    A lead with an unreadable click id, or with none, may still be this platform's, so its data should be fixed rather
    than attributed elsewhere. A contact-only route accepts every lead.
    """
    kinds = {click.kind for click in lead.click_ids} - _OF_A_BROWSER
    if route.contact_only or lead.click_id_problem is not None or not kinds.isdisjoint(route.limits.click_ids):
        return ()
    return tuple(sorted(kinds))


def click_id_to_send(
    route: ConversionRoute, lead: LeadFacts, at: datetime, *, erased: bool = False
) -> KnownClickId | None:
    """Return the click id to send: the platform's preferred kind, then the latest click up to `at`.

    With `erased`, return the one that would have been sent, had it not been erased when its window closed.
    """
    known = [click for click in lead.click_ids if click.value.startswith(ERASED) == erased and click.clicked_at <= at]
    alike = route.limits.interchangeable
    for kind in route.limits.click_ids:
        kinds = alike if kind in alike else {kind}
        clicks = [click for click in known if click.kind in kinds]
        if clicks:
            longest = [click for click in clicks if not _is_contained_click_id(click, clicks)]
            return max(longest, key=lambda click: (click.clicked_at, click.value))
    return None


def _is_contained_click_id(click: KnownClickId, clicks: Sequence[KnownClickId]) -> bool:
    """Whether a longer form of the same id, such as a browser's cookie, contains this one."""
    return any(other.value.endswith(f".{click.value}") for other in clicks)


def contact_hashes_to_send(
    route: ConversionRoute, lead: LeadFacts, click: KnownClickId | None
) -> tuple[Identifier, ...]:
    """Return the contact hashes to send with `click`, or alone where the route allows it."""
    known = lead.identifiers.get(route.destination, ())
    if click is None:
        return known if route.contact_only else ()
    goes_along = route.attach_contact and click.kind in route.limits.contact_with
    return known if goes_along else ()


def acceptance_window(
    route: ConversionRoute, lead: LeadFacts, at: datetime, click: KnownClickId | None, *, by_contact: bool
) -> tuple[datetime, datetime]:
    """Return from when until when the platform accepts a conversion that happened `at`.

    Counts from the click, or from the lead's creation without one, and never outlasts the route's event window.
    """
    limits = route.limits
    if click is not None:
        opens_at, closes_at = click.clicked_at + limits.opens_after_click, click.clicked_at + route.click_window
    else:
        opens_at = lead.created_at
        closes_at = lead.created_at + (limits.contact_window if by_contact else limits.click_window)
    return opens_at, closes_at if route.event_window is None else min(closes_at, at + route.event_window)


_A_PERSONS_OWN = frozenset({ContactIdentifierKind.EMAIL, ContactIdentifierKind.PHONE})
"""Kinds that identify a person; names and places don't."""


def dedup_keys(route: ConversionRoute, lead: LeadFacts, at: datetime) -> frozenset[str]:
    """Return the deduplication keys of the lead's conversion; empty if the route counts every lead."""
    match route.once.per if route.once else None:
        case DedupScope.CLICK:
            return frozenset(_click_dedup_keys(route, lead, at))
        case DedupScope.PERSON:
            own = (each for each in lead.identifiers.get(route.destination, ()) if each.kind in _A_PERSONS_OWN)
            return frozenset(map(person_dedup_key, own))
        case None:
            return frozenset()


def person_dedup_key(own: Identifier) -> str:
    """Return the deduplication key that an e-mail address or a phone number of a person makes."""
    return _hash(own.kind, own.sha256)


def _click_dedup_keys(route: ConversionRoute, lead: LeadFacts, at: datetime) -> Iterator[str]:
    """One key for each click id the route could send; all forms of one id share a key."""
    alike = route.limits.interchangeable
    for click in lead.click_ids:
        if click.kind not in route.limits.click_ids or click.clicked_at > at or click.value.startswith(ERASED):
            continue
        if click.kind in alike:
            # A browser's cookie form ends with the id.
            yield _hash(min(alike), click.value.rpartition(".")[2])
        else:
            yield _hash(click.kind, click.value)


def _hash(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()
