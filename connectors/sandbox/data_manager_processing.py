"""What the Data Manager finds out about a row once it processes it, minutes after it took the request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.sandbox import data_manager_rules as rules
from connectors.sandbox.data_manager_wire import DENIED, GRANTED, Event
from connectors.sandbox.google_accounts import Action
from connectors.sandbox.google_clicks import CLICK_LIFE_DAYS, CONTACT_LIFE, Click, Timing, timing

_DECODABLE = re.compile(r"[A-Za-z0-9_-]+")
_READABLE = {
    "gclid": rules.CLICK_READABLE_GCLID,
    "gbraid": rules.CLICK_READABLE_GBRAID,
    "wbraid": rules.CLICK_READABLE_WBRAID,
}
_UNTIMELY: Mapping[Timing, rules.Answered | None] = {
    Timing.RIGHT: None,
    Timing.BEFORE_CLICK: rules.AFTER_CLICK,
    Timing.CLICK_TOO_FRESH: rules.CLICK_SETTLED,
    Timing.CLICK_TOO_OLD: rules.CLICK_WINDOW,
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """The circumstances a row is judged in: when its request came, for which action, under which consent."""

    at: datetime
    customer: str
    action: Action
    ad_user_data: int
    """The request's consent; a row's own goes before it."""


def broken_rule(event: Event, arrival: Arrival, clicks: Mapping[str, Click]) -> rules.Answered | None:
    """The first rule the row breaks, None where processing succeeds; `clicks` by click id and by hash."""
    consent = event.ad_user_data or arrival.ad_user_data
    if consent == DENIED:
        return rules.CONSENT_GRANTED
    if consent != GRANTED:
        return rules.CONSENT_KNOWN
    if event.at is None:  # refused long before
        return rules.EVENT_TIME
    if event.click_ids:
        return _by_click(event, event.at, arrival, clicks)
    return _by_contact(event, event.at, arrival, clicks)


def matched(event: Event, clicks: Mapping[str, Click]) -> bool:
    """Whether a registered click stands behind the event."""
    return any(each in clicks for each in (*event.click_ids.values(), *(event.identifiers or ())))


def _by_click(event: Event, at: datetime, arrival: Arrival, clicks: Mapping[str, Click]) -> rules.Answered | None:
    kind, click_id = next(iter(event.click_ids.items()))
    if not _DECODABLE.fullmatch(click_id):
        return _READABLE[kind]
    if kind != "gclid" and arrival.action.one_per_click:
        return rules.EVERY_WITH_BRAID
    click = clicks.get(click_id)
    if click is None:
        return rules.CLICK_KNOWN
    if click.customer != arrival.customer:
        return rules.CLICK_OF_ACCOUNT
    return _UNTIMELY[timing(click, at, arrival.at, arrival.action.click_window_days)]


def _by_contact(event: Event, at: datetime, arrival: Arrival, clicks: Mapping[str, Click]) -> rules.Answered | None:
    known = (clicks.get(each) for each in event.identifiers or ())
    click = next((each for each in known if each and each.customer == arrival.customer), None)
    if arrival.at - (click.clicked_at if click else at) > CONTACT_LIFE:
        return rules.CONTACT_WINDOW
    if click is None:
        return None
    # contact data has its own life; the action's window is the click id's
    return _UNTIMELY[timing(click, at, arrival.at, CLICK_LIFE_DAYS)]
