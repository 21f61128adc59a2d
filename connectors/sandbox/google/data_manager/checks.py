"""The Data Manager's checks: of a request on arrival, and of its rows in processing."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.google.data_manager.wire import (
    BASE64,
    DENIED,
    EVENT_SOURCES,
    GOOGLE_ADS,
    GRANTED,
    HEX,
    RuleViolation,
    click_ids,
    contact_hashes_in_event,
)
from connectors.sandbox.google.platform import (
    AHEAD,
    CLICK_ID,
    CLICK_LIFE_DAYS,
    CONTACT_LIFE,
    CURRENCY_CODE,
    MAX_ID_LENGTH,
    MAX_ROWS,
    GoogleAccount,
    GoogleClick,
    GoogleConversionAction,
    is_amount,
)
from connectors.sandbox.rules import DataManagerRule, broken_rules
from connectors.sandbox.rules import data_manager_rules as rules

MAX_DESTINATIONS = 10
MAX_IDENTIFIERS = 10
SHA256_BYTES = 32

Violation = tuple[DataManagerRule, str]
"""A broken rule and the offending field; the field is empty for the event itself."""


def has_operating_account_access(request: Any, accounts: Mapping[str, GoogleAccount]) -> bool:
    """Return whether every operating account exists and gives its login account access."""
    return all(
        (account := accounts.get(each.operating_account.account_id)) is not None
        and each.login_account.account_id in account.managers
        for each in request.destinations
    )


def shape_violations(request: Any) -> Iterator[Violation]:
    """Yield the violations visible without looking anything up."""
    yield from broken_rules(
        (not request.events, rules.SOME_EVENTS, "events"),
        (len(request.events) > MAX_ROWS, rules.MAX_EVENTS, "events"),
        (not request.destinations, rules.SOME_DESTINATIONS, "destinations"),
        (len(request.destinations) > MAX_DESTINATIONS, rules.MAX_DESTINATIONS, "destinations"),
        (request.HasField("encryption_info"), rules.NO_ENCRYPTION, "encryption_info"),
        (request.encoding not in (0, HEX, BASE64), rules.KNOWN_ENCODING, "encoding"),
        (not request.encoding and _has_contact(request), rules.ENCODING, "encoding"),
    )
    yield from _consent_violations(request)
    seen: set[str] = set()
    for index, destination in enumerate(request.destinations):
        place = f"destinations[{index}]"
        yield from _account_violations(destination, place)
        if destination.reference in seen:
            yield rules.REFERENCES_DIFFER, f"{place}.reference"
        seen |= {destination.reference} - {""}


def destination_violations(request: Any, accounts: Mapping[str, GoogleAccount], now: datetime) -> Iterator[Violation]:
    """Yield the destinations' violations in a well-formed, permitted request."""
    contact = _has_contact(request)
    for index, destination in enumerate(request.destinations):
        account = accounts[destination.operating_account.account_id]
        place = f"destinations[{index}].product_destination_id"
        action = account.actions.get(destination.product_destination_id)
        if not destination.product_destination_id:
            yield rules.ACTION_NAMED, place
        elif action is None:
            yield rules.ACTION_KNOWN, place
        elif action.kind != "UPLOAD_CLICKS":
            yield rules.ACTION_TYPE, place
        elif action.is_action_too_new(now):
            yield rules.ACTION_AGE, place
        if contact and not account.enhanced_conversions:
            yield rules.ENHANCED_CONVERSIONS, f"destinations[{index}].operating_account"


def event_violations(request: Any, row: int, now: datetime) -> Iterator[RuleViolation]:
    """Yield the violations of one event."""
    event = request.events[row]
    for rule, field in _event_violations(event, now):
        yield RuleViolation(rule, field, row)
    for position, value in enumerate(contact_hashes_in_event(event)):
        if broken_by_hash := _broken_hash_rule(value, request.encoding):
            yield RuleViolation(broken_by_hash, f"user_data.user_identifiers[{position}]", row)
    if set(event.destination_references) - {each.reference for each in request.destinations}:
        yield RuleViolation(rules.REFERENCE_KNOWN, "destination_references", row)


def _has_contact(request: Any) -> bool:
    return any(contact_hashes_in_event(event) for event in request.events)


def _account_violations(destination: Any, place: str) -> Iterator[Violation]:
    if not (destination.operating_account.account_id and destination.operating_account.account_type):
        yield rules.OPERATING_ACCOUNT, f"{place}.operating_account"
        return
    for field in ("operating_account", "login_account"):
        account = getattr(destination, field)
        if not account.account_id and not account.account_type:
            continue
        if not (account.account_id.isascii() and account.account_id.isdecimal()):
            yield rules.ACCOUNT_NUMBER, f"{place}.{field}.account_id"
        if account.account_type != GOOGLE_ADS:
            yield rules.ACCOUNT_TYPE, f"{place}.{field}.account_type"
    if destination.HasField("linked_account"):
        yield rules.NO_LINKED_ACCOUNT, f"{place}.linked_account"


def _consent_violations(message: Any) -> Iterator[Violation]:
    """Yield the consent violations of a request or event."""
    for field in ("ad_user_data", "ad_personalization"):
        if not 0 <= getattr(message.consent, field) <= DENIED:
            yield rules.KNOWN_CONSENT, f"consent.{field}"


def _event_violations(event: Any, now: datetime) -> Iterator[Violation]:
    """Yield the violations visible in the event alone."""
    clicks, ads, hashes = click_ids(event), event.ad_identifiers, contact_hashes_in_event(event)
    has_user_data, has_value = event.HasField("user_data"), event.HasField("conversion_value")
    other = ads.dclid or ads.impression_id or ads.match_id or ads.mobile_device_id
    yield from broken_rules(
        (not event.HasField("event_timestamp"), rules.EVENT_TIME, "event_timestamp"),
        (event.event_timestamp.ToDatetime(UTC) > now + AHEAD, rules.NOT_IN_FUTURE, "event_timestamp"),
        (not event.event_source, rules.EVENT_SOURCE, "event_source"),
        (event.event_source not in EVENT_SOURCES, rules.KNOWN_SOURCE, "event_source"),
        (not event.transaction_id, rules.TRANSACTION_ID, "transaction_id"),
        (len(event.transaction_id) > MAX_ID_LENGTH, rules.TRANSACTION_ID_LENGTH, "transaction_id"),
        (not (has_user_data or clicks or other), rules.SOME_IDENTIFIER, ""),
        (len(clicks) > 1, rules.ONE_CLICK_ID, "ad_identifiers"),
        (event.HasField("third_party_user_data"), rules.NO_THIRD_PARTY_DATA, "third_party_user_data"),
        (has_user_data and not (hashes and all(hashes)), rules.IDENTIFIER_SET, "user_data.user_identifiers"),
        (len(hashes) > MAX_IDENTIFIERS, rules.MAX_IDENTIFIERS, "user_data.user_identifiers"),
        (event.currency and not CURRENCY_CODE.fullmatch(event.currency), rules.CURRENCY_SHAPE, "currency"),
        (has_value and not is_amount(event.conversion_value), rules.VALUE_SHAPE, "conversion_value"),
        (has_value and not event.currency, rules.VALUE_CURRENCY, "currency"),
    )
    yield from _consent_violations(event)


def _broken_hash_rule(value: str, encoding: int) -> DataManagerRule | None:
    """Return the rule a hash breaks; other rules cover empty hashes and unknown encodings."""
    if not value or encoding not in (HEX, BASE64):
        return None
    if encoding == HEX:
        if not re.fullmatch("(?:[0-9a-fA-F]{2})+", value):
            return rules.HEX_SHAPE
        size = len(value) // 2
    else:
        try:
            size = len(base64.b64decode(value, validate=True))
        except ValueError:
            return rules.BASE64_SHAPE
    return None if size == SHA256_BYTES else rules.SHA256_SHAPE


@dataclass(frozen=True, slots=True)
class EventContext:
    """What processing a row depends on: when its request arrived, its action, its consent and the known clicks."""

    at: datetime
    customer: str
    action: GoogleConversionAction
    ad_user_data: int
    """The request's consent; a row's own overrides it."""
    clicks: Mapping[str, GoogleClick]
    """By click id and by hash."""


def broken_rule(event: Any, context: EventContext) -> DataManagerRule | None:
    """Return the first rule that the row breaks in processing; None if it succeeds."""
    consent = event.consent.ad_user_data or context.ad_user_data
    if consent == DENIED:
        return rules.CONSENT_GRANTED
    if consent != GRANTED:
        return rules.CONSENT_KNOWN
    happened = event.event_timestamp.ToDatetime(UTC)
    if clicks := click_ids(event):
        kind, click_id = next(iter(clicks.items()))
        return _broken_by_click(kind, click_id, happened, context)
    return _broken_by_contact(event, happened, context)


def _broken_by_click(kind: str, click_id: str, happened: datetime, context: EventContext) -> DataManagerRule | None:
    click = context.clicks.get(click_id)
    if not CLICK_ID.fullmatch(click_id):
        return rules.by_id[f"{kind.upper()}_READABLE"]
    if kind != "gclid" and context.action.one_per_click:
        return rules.EVERY_WITH_BRAID
    if click is None:
        return rules.CLICK_KNOWN
    if click.customer != context.customer:
        return rules.CLICK_OF_ACCOUNT
    return rules.by_id.get(click.broken_timing_rule(happened, context.at, context.action.click_window_days))


def _broken_by_contact(event: Any, happened: datetime, context: EventContext) -> DataManagerRule | None:
    known = (context.clicks.get(each) for each in contact_hashes_in_event(event))
    click = next((each for each in known if each and each.customer == context.customer), None)
    if context.at - (click.clicked_at if click else happened) > CONTACT_LIFE:
        return rules.CONTACT_WINDOW
    # the action's window applies only to click ids; contact data has the lifetime checked above
    return rules.by_id.get(click.broken_timing_rule(happened, context.at, CLICK_LIFE_DAYS)) if click else None
