"""What the Conversions API takes: its limits as data, events as its JSON, and what it would refuse of them.

Loads nothing of Meta's library.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from connectors.meta.identity import is_enough
from connectors.records import (
    ApiVersion,
    ClickId,
    ClickIdKind,
    Event,
    Identifier,
    IdentifierKind,
    Limits,
    Outcome,
    OutcomeClass,
    Refused,
    utc,
)

_MARGIN = timedelta(hours=4)
"""Less than Meta allows: one event that grows too old on its way takes its whole request with it."""

GRAPH_API = ApiVersion(
    "Graph API v26.0",
    # The Conversions API ends with the Marketing API's versions, about a year after each came out, and not with
    # Graph's two years. No day is named for v26.0 of 2026-07-29; the last three lived 370 days at least.
    date(2027, 8, 3),
    "https://developers.facebook.com/docs/marketing-api/marketing-api-changelog/versions",
    is_estimate=True,
)
"""The version spoken."""

META = Limits(
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/using-the-api
    batch=1000,
    click_ids=(ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID),
    interchangeable=frozenset({ClickIdKind.FBC, ClickIdKind.FBCLID}),
    contact_with=frozenset({ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID}),
    opens_after_click=timedelta(0),
    # Meta names no age at which a click or a person is forgotten. The year is ours, so that ids do not stay for ever.
    click_window=timedelta(days=365),
    contact_window=timedelta(days=365),
    # It has no field for consent, so personalisation cannot be refused to it while the rest is granted.
    needs_personalization=True,
    resolve_after=timedelta(0),
    # "If any event_time in data is greater than 7 days in the past, we return an error for the entire request"
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
    event_window=timedelta(days=7) - _MARGIN,
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/offline-events
    source_windows={"physical_store": timedelta(days=62) - _MARGIN},
    # One event_id and event_name count once for 48 hours, promised for a browser's event and a server's only.
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/deduplicate-pixel-and-server-events
    replay_within=timedelta(hours=48),
    # "Do not attempt to backfill more than 7 days by modifying event_time"
    # https://developers.facebook.com/docs/marketing-api/conversions-api/conversion-leads-integration/payload-specification
    takes_assumed_times=False,
    version=GRAPH_API,
)
"""The Conversions API's."""

FUNNEL = "crm"
"""The `Target.source` of a stage of Conversion Leads, for leads of Meta's own forms."""

IDENTIFIERS = {
    IdentifierKind.EMAIL: "em",
    IdentifierKind.PHONE: "ph",
    IdentifierKind.FIRST_NAME: "fn",
    IdentifierKind.LAST_NAME: "ln",
    IdentifierKind.CITY: "ct",
    IdentifierKind.POSTCODE: "zp",
    IdentifierKind.COUNTRY: "country",
}
"""Where each hash goes in `user_data`."""

# Without both, an event is taken and not counted as a stage, with no error:
# https://developers.facebook.com/documentation/ads-commerce/conversions-api/conversion-leads-integration/payload-specification
_FUNNEL_DATA = {"event_source": "crm", "lead_event_source": "Oplead"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(event: Event) -> bytes:
    """The event as canonical JSON: sorted keys, no spaces.

    The same event gives the same bytes, whatever the order of its identifiers. No IP address, browser or test code
    is ever sent.

    Raises:
        ValueError: a kind of click id that Meta does not take, an fbclid without the time of its click, a lead_id or
            a value that is no number.
    """
    funnel = event.target.source == FUNNEL
    value = {"value": float(event.value.amount), "currency": event.value.currency} if event.value else {}
    fields = {
        "event_name": event.target.action,
        "event_time": _since_epoch(event.at, timedelta(seconds=1)),
        "event_id": event.key,
        "action_source": "system_generated" if funnel else event.target.source,
        "user_data": {**_click_id(event.click_id), **_hashes(event.identifiers)},
        "custom_data": _FUNNEL_DATA if funnel else {"order_id": event.key, **value},
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _click_id(click: ClickId | None) -> dict[str, object]:
    if click is None:
        return {}
    match click.kind:
        case ClickIdKind.LEAD_ID:
            return {"lead_id": int(click.value)}
        case ClickIdKind.FBC:
            return {"fbc": click.value}
        case ClickIdKind.FBCLID:
            return {"fbc": _fbc(click)}
    raise ValueError(f"Meta takes no {click.kind}")


def _fbc(click: ClickId) -> str:
    """The cookie's form of a bare fbclid: index 1 where a server makes it, then the click in milliseconds.

    https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/fbp-and-fbc
    """
    if click.clicked_at is None:
        raise ValueError("an fbclid needs the time of its click")
    return f"fb.1.{_since_epoch(click.clicked_at, timedelta(milliseconds=1))}.{click.value}"


def _hashes(identifiers: Sequence[Identifier]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in sorted(set(identifiers)):
        found.setdefault(IDENTIFIERS[each.kind], []).append(each.sha256)
    return found


def _since_epoch(moment: datetime, unit: timedelta) -> int:
    """Whole units since 1970, rounded down."""
    return (utc(moment) - _EPOCH) // unit


Fields = Mapping[str, object]

_EVENT = {"event_name", "event_time", "event_id", "action_source", "user_data", "custom_data"}
_USER = {"lead_id", "fbc", *IDENTIFIERS.values()}
_CUSTOM = {"order_id", "value", "currency", "event_source", "lead_event_source"}

_NAME = re.compile(r"\s*\S.*", re.DOTALL)
_ID = re.compile(r".{1,64}", re.DOTALL)
# Those that need nothing we do not have: `website` needs the visitor's browser, `app` and `business_messaging` more.
# https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
_SOURCE = re.compile(r"email|phone_call|chat|physical_store|system_generated|other")
_SECONDS = range(int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()))
"""No time in milliseconds lies in these years."""
_LEAD_IDS = range(10**14, 10**17)
"""15 to 17 digits."""
_FBC = re.compile(r"fb\.[0-9]\.[0-9]{13}\.[!-~]+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CURRENCY = re.compile(r"[A-Z]{3}")


_FAULTS = {
    "FIELDS": "a field is missing, or is one that is never sent",
    "EVENT_NAME": "the event has no name",
    "EVENT_ID": "the event's id is missing or too long",
    "EVENT_TIME": "its time is not in whole seconds since 1970",
    "ACTION_SOURCE": "its action_source is not one that a CRM can truly give",
    "FUNNEL": "a funnel stage needs event_source, lead_event_source and system_generated",
    "VALUE": "its value is not a finite amount from 0 on",
    "CURRENCY": "its currency is missing or is not three capital letters",
    "PURCHASE": "a Purchase needs a value and a currency",
    "FBC": "its click id does not have the form fb.1.<milliseconds>.<fbclid>",
    "LEAD_ID": "its lead_id is not a number of 15 to 17 digits",
    "HASH": "its contact data is not hashed by SHA-256",
    "IDENTIFIERS": "what is known of the person is too little for Meta",
}
"""What Meta would refuse an event for."""
_LEAD_FAULTS = {"VALUE", "PURCHASE", "FBC", "LEAD_ID", "IDENTIFIERS"}
"""Those that a lead's data can have; the others are bugs of ours."""


def read(text: str) -> Fields:
    """A frozen event's fields.

    Raises ValueError where its text is no event.
    """
    event = json.loads(text)
    if not isinstance(event, dict):
        raise ValueError("an event is an object")  # noqa: TRY004 - one error for whatever cannot be read
    return event


def refusal(events: Sequence[Fields]) -> Refused | None:
    """The first fault found, with every event that has the same; None where there is none."""
    faults = [next(_faults(event), None) for event in events]
    first = next(filter(None, faults), None)
    if first is None:
        return None
    kind = OutcomeClass.FIX_DATA if first in _LEAD_FAULTS else OutcomeClass.BUG
    rows = tuple(row for row, fault in enumerate(faults) if fault == first)
    return Refused(Outcome(kind, f"LOCAL_{first}", _FAULTS[first]), rows, unasked=True)


def _faults(event: Fields) -> Iterator[str]:
    user, custom = event.get("user_data"), event.get("custom_data")
    if not isinstance(user, dict) or not isinstance(custom, dict) or event.keys() != _EVENT:
        yield "FIELDS"
        return
    if not user.keys() <= _USER or not custom.keys() <= _CUSTOM:
        yield "FIELDS"
    if not _matches(_NAME, event["event_name"]):
        yield "EVENT_NAME"
    if not _matches(_ID, event["event_id"]):
        yield "EVENT_ID"
    if not _is_whole(event["event_time"], _SECONDS):
        yield "EVENT_TIME"
    if not _matches(_SOURCE, event["action_source"]):
        yield "ACTION_SOURCE"
    yield from _custom_faults(event, custom)
    yield from _user_faults(user)


def _custom_faults(event: Fields, custom: Fields) -> Iterator[str]:
    marks = custom.keys() & _FUNNEL_DATA.keys()
    if marks and (marks != _FUNNEL_DATA.keys() or event["action_source"] != "system_generated"):
        yield "FUNNEL"
    value, currency = custom.get("value", 0), custom.get("currency")
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        yield "VALUE"
    if not _matches(_CURRENCY, currency) and (currency is not None or "value" in custom):
        yield "CURRENCY"
    if event["event_name"] == "Purchase" and not {"value", "currency"} <= custom.keys():
        yield "PURCHASE"


def _user_faults(user: Fields) -> Iterator[str]:
    if "fbc" in user and not _matches(_FBC, user["fbc"]):
        yield "FBC"
    if "lead_id" in user and not _is_whole(user["lead_id"], _LEAD_IDS):
        yield "LEAD_ID"
    kinds = {kind for kind, name in IDENTIFIERS.items() if name in user}
    if not all(_are_hashes(user[IDENTIFIERS[kind]]) for kind in kinds):
        yield "HASH"
    if not user.keys() & {"lead_id", "fbc"} and not is_enough(kinds):
        yield "IDENTIFIERS"


def _matches(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _is_whole(value: object, among: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in among


def _are_hashes(listed: object) -> bool:
    return isinstance(listed, list) and bool(listed) and all(_matches(_SHA256, each) for each in listed)
