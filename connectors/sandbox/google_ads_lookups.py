"""What the Google Ads API finds out about a well-formed row: its action, its click, and whether it was there before."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.sandbox import google_ads_rules as rules
from connectors.sandbox.book import Acceptance
from connectors.sandbox.google import Google
from connectors.sandbox.google_accounts import Account, Action
from connectors.sandbox.google_ads_checks import Fault, action_id, happened
from connectors.sandbox.google_ads_wire import Conversion
from connectors.sandbox.google_clicks import CONTACT_LIFE, Click, Timing, timing

ACTION_SETTLES = timedelta(hours=6)
"""How long an action takes nothing after its creation."""

_DECODABLE = re.compile(r"[A-Za-z0-9_-]+")
_READABLE = {
    "gclid": rules.GCLID_READABLE,
    "gbraid": rules.GBRAID_READABLE,
    "wbraid": rules.WBRAID_READABLE,
}
_UNTIMELY: Mapping[Timing, rules.Answered] = {
    Timing.BEFORE_CLICK: rules.AFTER_CLICK,
    Timing.CLICK_TOO_FRESH: rules.CLICK_SETTLED,
    Timing.CLICK_TOO_OLD: rules.CLICK_WINDOW,
}
_ENHANCED = {
    "off": rules.ENHANCED_ON,
    "terms_not_accepted": rules.TERMS_ACCEPTED,
    "prohibited": rules.POLICY,
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """The circumstances that a row is judged in."""

    customer: str
    """Who uploads: the owner of the action, or its manager."""
    at: datetime
    request: str
    enhanced: str
    """The switch ads_api_enhanced."""
    click_dedup: str
    """The switch ads_api_click_dedup."""


@dataclass(frozen=True, slots=True)
class Target:
    """The action that a row goes to."""

    owner: str
    account: Account
    id: str
    action: Action


def target(name: str, customer: str, accounts: Mapping[str, Account]) -> Target | None:
    """The enabled action of this resource name, where the customer owns it or manages its owner."""
    number = action_id(name)
    for owner, account in accounts.items():
        action = account.actions.get(number)
        if action and action.status == "ENABLED" and (owner == customer or customer in account.managers):
            return Target(owner, account, number, action)
    return None


def acceptance(row: Conversion, index: int, aim: Target, arrival: Arrival) -> Acceptance:
    """The row as the book would count it; a row without order id or click is like no other."""
    kind, click = next(iter(row.clicks.items()), ("contact", ""))
    at = happened(row)
    time = at.astimezone(UTC).isoformat() if at else ""
    return Acceptance(
        customer=aim.owner,
        action=aim.id,
        transaction_id=row.order_id,
        event_time=time,
        value=row.value,
        currency=row.currency or aim.account.currency,
        click_kind=kind,
        matched=True,
        digest=row.digest,
        request=arrival.request,
        at=arrival.at.isoformat(),
        api="google_ads",
        key="" if row.order_id else f"{click} {time}" if click else f"{arrival.request} {index}",
        click=click,
        known_by=(*row.clicks.values(), *(value for _, value in row.identifiers)),
    )


def broken_rule(row: Conversion, event: Acceptance, aim: Target, arrival: Arrival, google: Google) -> Fault | None:
    """The first rule that the row breaks once everything is known, with the field that breaks it."""
    return (
        _by_action(row, aim, arrival)
        or _by_book(row, event, arrival, google)
        or _by_click(row, aim, arrival, google)
        or _by_contact(row, aim, arrival, google)
    )


def _by_action(row: Conversion, aim: Target, arrival: Arrival) -> Fault | None:
    if aim.action.kind != "UPLOAD_CLICKS":
        return rules.ACTION_TYPE, "conversion_action"
    created = aim.action.created_at
    if created and arrival.at - created < ACTION_SETTLES:
        return rules.ACTION_AGE, "conversion_action"
    if aim.action.one_per_click and "gclid" not in row.clicks and row.clicks:
        return rules.EVERY_WITH_BRAID, next(iter(row.clicks))
    setting = arrival.enhanced if aim.account.enhanced_conversions else "off"
    if row.identifiers and setting in _ENHANCED:
        return _ENHANCED[setting], "user_identifiers"
    return None


def _by_book(row: Conversion, event: Acceptance, arrival: Arrival, google: Google) -> Fault | None:
    if row.order_id and google.book.find(event, across=google.across_apis):
        return rules.ORDER_ID_NEW, "order_id"
    if not row.order_id or arrival.click_dedup == "always":
        return (rules.CLICK_NEW, "conversion_date_time") if google.book.holds_moment(event) else None
    return None


def _by_click(row: Conversion, aim: Target, arrival: Arrival, google: Google) -> Fault | None:
    for kind, value in row.clicks.items():
        click = google.clicks.get(value)
        if not _DECODABLE.fullmatch(value):
            return _READABLE[kind], kind
        if click is None:
            return rules.CLICK_KNOWN, kind
        if click.customer not in google.accounts:
            return rules.CLICK_REACHED, kind
        if click.customer != aim.owner:
            return rules.CLICK_OF_ACCOUNT, kind
        return _by_time(row, click, aim, arrival)
    return None


def _by_contact(row: Conversion, aim: Target, arrival: Arrival, google: Google) -> Fault | None:
    if row.clicks:
        return None
    known = (google.clicks.get(value.lower()) for _, value in row.identifiers)
    click = next((each for each in known if each and each.customer == aim.owner), None)
    if click is None:
        return rules.CONTACT_KNOWN, "user_identifiers"
    if arrival.at - click.clicked_at > CONTACT_LIFE:
        return rules.CONTACT_WINDOW, "user_identifiers"
    return _by_time(row, click, aim, arrival)


def _by_time(row: Conversion, click: Click, aim: Target, arrival: Arrival) -> Fault | None:
    at = happened(row)
    standing = timing(click, at, arrival.at, aim.action.click_window_days) if at else Timing.RIGHT
    return (_UNTIMELY[standing], "conversion_date_time") if standing in _UNTIMELY else None
