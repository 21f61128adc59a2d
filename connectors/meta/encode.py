"""Conversions API limits, event encoding, and local checks for what Meta would refuse; imports no Meta library."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from connectors.language import _
from connectors.records import (
    ApiVersion,
    ClickId,
    ClickIdKind,
    ContactIdentifierKind,
    ConversionEvent,
    Identifier,
    Outcome,
    OutcomeClass,
    Refused,
    SinkLimits,
    utc,
)

_MARGIN = timedelta(hours=4)
"""Safety margin within Meta's windows: one event that expires on its way makes Meta refuse the whole request."""

VERSION = "v26.0"
"""The Graph API version that is tested."""
_VERSIONS_PAGE = "https://developers.facebook.com/docs/marketing-api/marketing-api-changelog/versions"
# Conversions API versions end with the Marketing API's, about a year after release, not after Graph's two years.
# No date is announced for v26.0 and v27.0, released 2026-07-29 and 2026-11-04; the last three versions lasted at least
# 370 days.
GRAPH_API_VERSIONS = {
    "v24.0": ApiVersion("Graph API v24.0", date(2026, 11, 10), _VERSIONS_PAGE),
    "v25.0": ApiVersion("Graph API v25.0", date(2027, 2, 23), _VERSIONS_PAGE),
    VERSION: ApiVersion("Graph API v26.0", date(2027, 8, 3), _VERSIONS_PAGE, is_estimate=True),
    "v27.0": ApiVersion("Graph API v27.0", date(2027, 11, 9), _VERSIONS_PAGE, is_estimate=True),
}
"""The versions whose end is known or can be estimated."""

META = SinkLimits(
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/using-the-api
    batch=1000,
    click_ids=(ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID),
    interchangeable=frozenset({ClickIdKind.FBC, ClickIdKind.FBCLID}),
    contact_with=frozenset({ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID}),
    opens_after_click=timedelta(0),
    # Meta documents no expiry for clicks or contact data; a year is our choice, so that ids aren't kept forever.
    click_window=timedelta(days=365),
    contact_window=timedelta(days=365),
    # It has no consent field, so personalisation can't be denied separately.
    needs_personalization=True,
    resolve_after=timedelta(0),
    # "If any event_time in data is greater than 7 days in the past, we return an error for the entire request"
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
    event_window=timedelta(days=7) - _MARGIN,
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/offline-events
    source_windows={"physical_store": timedelta(days=62) - _MARGIN},
    # The same event_id and event_name count once within 48 hours, documented only for browser-server pairs.
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/deduplicate-pixel-and-server-events
    replay_within=timedelta(hours=48),
    # "Do not attempt to backfill more than 7 days by modifying event_time"
    # https://developers.facebook.com/docs/marketing-api/conversions-api/conversion-leads-integration/payload-specification
    takes_assumed_times=False,
    version=GRAPH_API_VERSIONS[VERSION],
)

FUNNEL = "crm"
"""`Target.source` of a Conversion Leads stage, for leads from Meta's own forms."""

IDENTIFIERS = {
    ContactIdentifierKind.EMAIL: "em",
    ContactIdentifierKind.PHONE: "ph",
    ContactIdentifierKind.FIRST_NAME: "fn",
    ContactIdentifierKind.LAST_NAME: "ln",
    ContactIdentifierKind.CITY: "ct",
    ContactIdentifierKind.POSTCODE: "zp",
    ContactIdentifierKind.COUNTRY: "country",
}
"""Field of each hash in `user_data`."""

# Without both, Meta accepts the event but silently doesn't count it as a stage:
# https://developers.facebook.com/documentation/ads-commerce/conversions-api/conversion-leads-integration/payload-specification
_FUNNEL_DATA = {"event_source": "crm", "lead_event_source": "Oplead"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def encode(event: ConversionEvent) -> bytes:
    """Return the event as canonical JSON: sorted keys, no spaces.

    Equal events give equal bytes, whatever the order of their identifiers. Never sends IP addresses, browser data or
    test codes.

    Raises:
        ValueError: Meta doesn't accept this kind of click id, an fbclid has no click time, or a lead_id or value is not
            a number.
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
    return _canonical(fields).encode()


def _click_id(click: ClickId | None) -> dict[str, object]:
    if click is None:
        return {}
    match click.kind:
        case ClickIdKind.LEAD_ID:
            return {"lead_id": int(click.value)}
        case ClickIdKind.FBC:
            return {"fbc": click.value}
        case ClickIdKind.FBCLID if click.clicked_at:
            # Like the `_fbc` cookie: index 1 when made by a server, then the click in milliseconds.
            # https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/fbp-and-fbc
            return {"fbc": f"fb.1.{_since_epoch(click.clicked_at, timedelta(milliseconds=1))}.{click.value}"}
    raise ValueError(f"Meta takes no {click.kind}, or not without its time")


def _hashes(identifiers: Sequence[Identifier]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, sha256 in sorted(set(identifiers)):
        found.setdefault(IDENTIFIERS[kind], []).append(sha256)
    return found


def _since_epoch(moment: datetime, unit: timedelta) -> int:
    """Return whole units since 1970, rounded down."""
    return (utc(moment) - _EPOCH) // unit


Fields = Mapping[str, object]

_EVENT = {"event_name", "event_time", "event_id", "action_source", "user_data", "custom_data"}
_HASHED = frozenset(IDENTIFIERS.values())
_USER = {"lead_id", "fbc", *_HASHED}
_CUSTOM = {"order_id", "value", "currency", "event_source", "lead_event_source"}

_NAME = re.compile(r"\s*\S.*", re.DOTALL)
_ID = re.compile(r".{1,64}", re.DOTALL)
# Sources we have the data for: `website` needs the visitor's browser, `app` and `business_messaging` need more.
# https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
_SOURCE = re.compile(r"email|phone_call|chat|physical_store|system_generated|other")
_SECONDS = range(int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()))
"""Years 2000 to 2100; a time in milliseconds never falls in this range."""
_LEAD_IDS = range(10**14, 10**17)
"""15 to 17 digits."""
_FBC = re.compile(r"fb\.[0-9]\.[0-9]{13}\.[!-~]+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CURRENCY = re.compile(r"[A-Z]{3}")


def parse_frozen_event(text: str) -> Fields:
    """Parse a frozen event; raise ValueError if the text isn't one."""
    event = json.loads(text)
    if not isinstance(event, dict):
        raise ValueError("an event is an object")  # noqa: TRY004 - one exception type for anything unreadable
    return event


def find_refusal_before_sending(events: Sequence[Fields]) -> Refused | None:
    """Return a refusal for the first fault found, with every event whose first fault is the same; None if clean."""
    faults = [next(_faults(event), None) for event in events]
    first = next(filter(None, faults), None)
    if first is None:
        return None
    return Refused(first, tuple(row for row, fault in enumerate(faults) if fault == first), unasked=True)


def _bug(code: str, message: str) -> Outcome:
    return Outcome(OutcomeClass.BUG, f"LOCAL_{code}", message)


def _bad_data(code: str, message: str) -> Outcome:
    """Return a fault that the lead's data can cause."""
    return Outcome(OutcomeClass.FIX_DATA, f"LOCAL_{code}", message)


def _faults(event: Fields) -> Iterator[Outcome]:
    """Yield what Meta would refuse the event for."""
    user, custom = event.get("user_data"), event.get("custom_data")
    if (
        not (isinstance(user, dict) and isinstance(custom, dict))
        or event.keys() != _EVENT
        or not (user.keys() <= _USER and custom.keys() <= _CUSTOM)
    ):
        yield _bug("FIELDS", _("a field is missing, or is one that is never sent"))
        return
    if not _matches(_NAME, event["event_name"]):
        yield _bug("EVENT_NAME", _("the event has no name"))
    if not _matches(_ID, event["event_id"]):
        yield _bug("EVENT_ID", _("the event's id is missing or too long"))
    if not _is_whole(event["event_time"], _SECONDS):
        yield _bug("EVENT_TIME", _("its time is not in whole seconds since 1970"))
    if not _matches(_SOURCE, event["action_source"]):
        yield _bug("ACTION_SOURCE", _("its action_source is not one that a CRM can truly give"))
    yield from _custom_faults(event, custom)
    yield from _user_faults(user)


def _custom_faults(event: Fields, custom: Fields) -> Iterator[Outcome]:
    marks = custom.keys() & _FUNNEL_DATA.keys()
    if marks and (marks != _FUNNEL_DATA.keys() or event["action_source"] != "system_generated"):
        yield _bug("FUNNEL", _("a funnel stage needs event_source, lead_event_source and system_generated"))
    value, currency = custom.get("value", 0), custom.get("currency")
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        yield _bad_data("VALUE", _("its value is not a finite amount from 0 on"))
    if not _matches(_CURRENCY, currency) and (currency is not None or "value" in custom):
        yield _bug("CURRENCY", _("its currency is missing or is not three capital letters"))
    if event["event_name"] == "Purchase" and not {"value", "currency"} <= custom.keys():
        yield _bad_data("PURCHASE", _("a Purchase needs a value and a currency"))


def _user_faults(user: Fields) -> Iterator[Outcome]:
    if "fbc" in user and not _matches(_FBC, user["fbc"]):
        yield _bad_data("FBC", _("its click id does not have the form fb.1.<milliseconds>.<fbclid>"))
    if "lead_id" in user and not _is_whole(user["lead_id"], _LEAD_IDS):
        yield _bad_data("LEAD_ID", _("its lead_id is not a number of 15 to 17 digits"))
    if not all(_are_hashes(each) for name, each in user.items() if name in _HASHED):
        yield _bug("HASH", _("its contact data is not hashed by SHA-256"))
    if "lead_id" not in user and "fbc" not in user and not _identifies(user):
        yield _bad_data("IDENTIFIERS", _("what is known of the person is too little for Meta"))


def _identifies(user: Fields) -> bool:
    from connectors.meta.identity import is_enough_to_identify  # noqa: PLC0415 - the numbering plans of the world are slow to load

    return is_enough_to_identify({kind for kind, name in IDENTIFIERS.items() if name in user})


def _matches(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _is_whole(value: object, among: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in among


def _are_hashes(listed: object) -> bool:
    return isinstance(listed, list) and bool(listed) and all(_matches(_SHA256, each) for each in listed)
