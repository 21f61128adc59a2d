"""Checks of an ingest request, and the errors that refuse it."""

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from connectors.sandbox.google.accounts import GoogleAccount
from connectors.sandbox.google.data_manager import rules
from connectors.sandbox.google.data_manager.rules import FAILING, LOGIN_ACCOUNT, DataManagerRule
from connectors.sandbox.google.data_manager.wire import (
    BASE64,
    DENIED,
    EVENT_SOURCES,
    GOOGLE_ADS,
    HEX,
    Ingest,
    IngestDestination,
    IngestEvent,
    ProductAccount,
)
from connectors.sandbox.server import WireResponse, json_response

_TYPE = "type.googleapis.com/google.rpc"
_DOMAIN = "datamanager.googleapis.com"
_INDEX = re.compile(r"\[\d+\]")


class Code(NamedTuple):
    """A canonical code and its HTTP status."""

    http: int
    name: str


INVALID_ARGUMENT = Code(400, "INVALID_ARGUMENT")
UNAUTHENTICATED = Code(401, "UNAUTHENTICATED")
PERMISSION_DENIED = Code(403, "PERMISSION_DENIED")
NOT_FOUND = Code(404, "NOT_FOUND")
RESOURCE_EXHAUSTED = Code(429, "RESOURCE_EXHAUSTED")
INTERNAL = Code(500, "INTERNAL")
DEADLINE_EXCEEDED = Code(504, "DEADLINE_EXCEEDED")

_CODES = {
    LOGIN_ACCOUNT.answer: PERMISSION_DENIED,
    "NOT_ALLOWLISTED": PERMISSION_DENIED,
    "NOT_FOUND": NOT_FOUND,
    "REQUEST_TOO_OLD": NOT_FOUND,
    "RESOURCE_EXHAUSTED": RESOURCE_EXHAUSTED,
    "INTERNAL_ERROR": INTERNAL,
    "DEADLINE_EXCEEDED": DEADLINE_EXCEEDED,
}


def code_of(reason: str) -> Code:
    """The canonical code that an `ErrorReason` comes with; only some pairs are documented."""
    return _CODES.get(reason, INVALID_ARGUMENT)


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A field that breaks a rule; `field` is a path from the request, or from the event that `row` counts."""

    reason: str
    description: str
    field: str
    row: int | None = None

    @classmethod
    def of(cls, rule: DataManagerRule, field: str, row: int | None = None) -> "RuleViolation":
        """A violation of this rule; it never quotes the value, which may be personal data."""
        return cls(rule.answer, rule.rule, field, row)

    @property
    def path(self) -> str:
        """The path as the vendor writes it: events are listed as `events.events[3]`, all else plainly."""
        return self.field if self.row is None else f"events.events[{self.row}].{self.field}".rstrip(".")


def refusal(
    code: Code,
    reason: str,
    message: str,
    request_id: str,
    violations: Sequence[RuleViolation] = (),
    *,
    indexed: bool = True,
    quota: str = "",
) -> WireResponse:
    """The answer to a refused request; `indexed` says whether paths tell which row of a list is meant."""
    info = {
        "@type": f"{_TYPE}.ErrorInfo",
        "reason": reason,
        "domain": _DOMAIN,
        "metadata": {"requestId": request_id, **({"quota_limit": quota} if quota else {})},
    }
    details: list[object] = [info, {"@type": f"{_TYPE}.RequestInfo", "requestId": request_id}]
    if violations:
        named = [_field_violation(each, indexed=indexed) for each in violations]
        details.append({"@type": f"{_TYPE}.BadRequest", "fieldViolations": named})
    error = {"code": code.http, "message": message, "status": code.name, "details": details}
    return json_response(code.http, {"error": error})


_FAILING = {503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 499: "CANCELLED", 409: "ABORTED"}


def failed(status: int) -> WireResponse:
    """The answer of an API that failed, whatever it had taken before."""
    code = Code(status, _FAILING.get(status, "INTERNAL"))
    reason = code.name if code == DEADLINE_EXCEEDED else FAILING.answer
    return refusal(code, reason, "Internal error encountered.", "t-failed")


def unreadable(path: str, *, indexed: bool) -> WireResponse:
    """The answer to a body that is not the request's message: it comes before the platform sees it.

    Google's front end words it, so that there is neither reason nor request id.
    """
    description = f"Invalid JSON payload received: cannot be read at '{path}'."
    field = path if indexed else _INDEX.sub("", path)
    violation = {"field": field, "description": description if indexed else "Invalid JSON payload received."}
    details = [{"@type": f"{_TYPE}.BadRequest", "fieldViolations": [violation]}]
    error = {
        "code": 400,
        "message": violation["description"],
        "status": "INVALID_ARGUMENT",
        "details": details,
    }
    return json_response(400, {"error": error})


def _field_violation(violation: RuleViolation, *, indexed: bool) -> dict[str, str]:
    path = violation.path if indexed else _INDEX.sub("", violation.path)
    return {"field": path, "description": violation.description, "reason": violation.reason}


MAX_EVENTS = 2_000
MAX_DESTINATIONS = 10
MAX_IDENTIFIERS = 10
MAX_TRANSACTION_ID = 64
SHA256_BYTES = 32
AHEAD = timedelta(minutes=5)
"""How far ahead of the platform's clock an event may lie."""
ACTION_SETTLES = timedelta(hours=6)

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_CURRENCY = re.compile(r"[A-Z]{3}")


def permitted(ingest: Ingest, accounts: Mapping[str, GoogleAccount]) -> bool:
    """Whether every operating account lets the login account in; an unknown account lets nobody in."""
    return all(
        (account := accounts.get(each.operating.id)) is not None and each.login.id in account.managers
        for each in ingest.destinations
    )


def malformed(ingest: Ingest) -> Iterator[RuleViolation]:
    """What is wrong with the request before anything is looked up."""
    if not ingest.events:
        yield RuleViolation.of(rules.SOME_EVENTS, "events")
    if len(ingest.events) > MAX_EVENTS:
        yield RuleViolation.of(rules.MAX_EVENTS, "events")
    if not ingest.destinations:
        yield RuleViolation.of(rules.SOME_DESTINATIONS, "destinations")
    if len(ingest.destinations) > MAX_DESTINATIONS:
        yield RuleViolation.of(rules.MAX_DESTINATIONS, "destinations")
    if ingest.encrypted:
        yield RuleViolation.of(rules.NO_ENCRYPTION, "encryption_info")
    if ingest.encoding not in (0, HEX, BASE64):
        yield RuleViolation.of(rules.KNOWN_ENCODING, "encoding")
    if not ingest.encoding and any(event.identifiers for event in ingest.events):
        yield RuleViolation.of(rules.ENCODING, "encoding")
    yield from _consent(ingest.ad_user_data, ingest.ad_personalization)
    seen: set[str] = set()
    for index, destination in enumerate(ingest.destinations):
        place = f"destinations[{index}]"
        yield from _accounts(destination, place)
        if destination.reference in seen:
            yield RuleViolation.of(rules.REFERENCES_DIFFER, f"{place}.reference")
        seen |= {destination.reference} - {""}


def misdirected(ingest: Ingest, accounts: Mapping[str, GoogleAccount], now: datetime) -> Iterator[RuleViolation]:
    """What is wrong with the destinations of a request that is well formed and permitted."""
    contact = any(event.identifiers for event in ingest.events)
    for index, destination in enumerate(ingest.destinations):
        account = accounts[destination.operating.id]
        place = f"destinations[{index}].product_destination_id"
        action = account.actions.get(destination.action)
        if not destination.action:
            yield RuleViolation.of(rules.ACTION_NAMED, place)
        elif action is None:
            yield RuleViolation.of(rules.ACTION_KNOWN, place)
        elif action.kind != "UPLOAD_CLICKS":
            yield RuleViolation.of(rules.ACTION_TYPE, place)
        elif action.created_at is not None and now - action.created_at < ACTION_SETTLES:
            yield RuleViolation.of(rules.ACTION_AGE, place)
        if contact and not account.enhanced_conversions:
            yield RuleViolation.of(rules.ENHANCED_CONVERSIONS, f"destinations[{index}].operating_account")


def row_violations(ingest: Ingest, row: int, now: datetime) -> Iterator[RuleViolation]:
    """What is wrong with one event."""
    event = ingest.events[row]
    for rule, field in _faults(event, now):
        yield RuleViolation.of(rule, field, row)
    for violation in _consent(event.ad_user_data, event.ad_personalization):
        yield RuleViolation.of(rules.KNOWN_CONSENT, violation.field, row)
    for position, value in enumerate(event.identifiers or ()):
        if broken := _hash_fault(value, ingest.encoding):
            yield RuleViolation.of(broken, f"user_data.user_identifiers[{position}]", row)
    if set(event.references) - {each.reference for each in ingest.destinations}:
        yield RuleViolation.of(rules.REFERENCE_KNOWN, "destination_references", row)


def _accounts(destination: IngestDestination, place: str) -> Iterator[RuleViolation]:
    operating, login = destination.operating, destination.login
    if not (operating.id and operating.type):
        yield RuleViolation.of(rules.OPERATING_ACCOUNT, f"{place}.operating_account")
        return
    named = {"operating_account": operating, "login_account": login}
    for field, account in named.items():
        if account == ProductAccount(0, ""):
            continue
        if not (account.id.isascii() and account.id.isdecimal()):
            yield RuleViolation.of(rules.ACCOUNT_NUMBER, f"{place}.{field}.account_id")
        if account.type != GOOGLE_ADS:
            yield RuleViolation.of(rules.ACCOUNT_TYPE, f"{place}.{field}.account_type")
    if destination.linked:
        yield RuleViolation.of(rules.NO_LINKED_ACCOUNT, f"{place}.linked_account")


def _consent(*values: int) -> Iterator[RuleViolation]:
    for value, field in zip(values, ("ad_user_data", "ad_personalization"), strict=True):
        if not 0 <= value <= DENIED:
            yield RuleViolation.of(rules.KNOWN_CONSENT, f"consent.{field}")


def _faults(event: IngestEvent, now: datetime) -> Iterator[tuple[rules.DataManagerRule, str]]:
    """The rules an event breaks by itself, each with the field that breaks it."""
    if event.at is None:
        yield rules.EVENT_TIME, "event_timestamp"
    elif event.at > now + AHEAD:
        yield rules.NOT_IN_FUTURE, "event_timestamp"
    if not event.source:
        yield rules.EVENT_SOURCE, "event_source"
    elif event.source not in EVENT_SOURCES:
        yield rules.KNOWN_SOURCE, "event_source"
    if not event.transaction_id:
        yield rules.TRANSACTION_ID, "transaction_id"
    elif len(event.transaction_id) > MAX_TRANSACTION_ID:
        yield rules.TRANSACTION_ID_LENGTH, "transaction_id"
    yield from _identifier_faults(event)
    yield from _money_faults(event)


def _identifier_faults(event: IngestEvent) -> Iterator[tuple[rules.DataManagerRule, str]]:
    if event.identifiers is None and not event.click_ids and not event.other_ad_identifier:
        yield rules.SOME_IDENTIFIER, ""
    if len(event.click_ids) > 1:
        yield rules.ONE_CLICK_ID, "ad_identifiers"
    if event.third_party_data:
        yield rules.NO_THIRD_PARTY_DATA, "third_party_user_data"
    if event.identifiers is not None:
        if not event.identifiers or not all(event.identifiers):
            yield rules.IDENTIFIER_SET, "user_data.user_identifiers"
        if len(event.identifiers) > MAX_IDENTIFIERS:
            yield rules.MAX_IDENTIFIERS, "user_data.user_identifiers"


def _money_faults(event: IngestEvent) -> Iterator[tuple[rules.DataManagerRule, str]]:
    if event.currency and not _CURRENCY.fullmatch(event.currency):
        yield rules.CURRENCY_SHAPE, "currency"
    if event.value is not None:
        if not (math.isfinite(event.value) and event.value >= 0):
            yield rules.VALUE_SHAPE, "conversion_value"
        if not event.currency:
            yield rules.VALUE_CURRENCY, "currency"


def _hash_fault(value: str, encoding: int) -> rules.DataManagerRule | None:
    """The rule a hash breaks; empty ones and unknown encodings are complained of elsewhere."""
    if not value or encoding not in (HEX, BASE64):
        return None
    if encoding == HEX:
        if not _HEX.fullmatch(value):
            return rules.HEX_SHAPE
        size = len(value) // 2
    else:
        try:
            size = len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            return rules.BASE64_SHAPE
    return None if size == SHA256_BYTES else rules.SHA256_SHAPE
