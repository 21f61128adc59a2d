"""Events as the Conversions API takes them, checked here before they are sent."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.meta.identity import is_enough
from connectors.records import (
    ClickId,
    ClickIdKind,
    Event,
    Identifier,
    IdentifierKind,
    Outcome,
    OutcomeClass,
    Refused,
    utc,
)

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
    fields = {
        "event_name": event.target.action,
        "event_time": _since_epoch(event.at, timedelta(seconds=1)),
        "event_id": event.key,
        "action_source": "system_generated" if funnel else event.target.source,
        "user_data": {**_click_id(event.click_id), **_hashes(event.identifiers)},
        "custom_data": _FUNNEL_DATA if funnel else {"order_id": event.key, **_value(event)},
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


def _value(event: Event) -> dict[str, object]:
    if event.value is None:
        return {}
    return {"value": float(event.value.amount), "currency": event.value.currency}


def _since_epoch(moment: datetime, unit: timedelta) -> int:
    """Whole units since 1970, rounded down."""
    return (utc(moment) - _EPOCH) // unit


Fields = Mapping[str, object]

_EVENT = {"event_name", "event_time", "event_id", "action_source", "user_data", "custom_data"}
_USER = {"lead_id", "fbc", *IDENTIFIERS.values()}
_CUSTOM = {"order_id", "value", "currency", "event_source", "lead_event_source"}

# Those that need nothing we do not have: `website` needs the visitor's browser, `app` and `business_messaging` more.
# https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
_SOURCES = {"email", "phone_call", "chat", "physical_store", "system_generated", "other"}

_SECONDS = range(int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()))
"""No time in milliseconds lies in these years."""
_LEAD_IDS = range(10**14, 10**17)
"""15 to 17 digits."""
_FBC = re.compile(r"fb\.[0-9]\.[0-9]{13}\.[!-~]+", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Check:
    """One thing Meta demands of every event."""

    reason: str
    words: str
    passes: Callable[[Fields], bool]
    kind: OutcomeClass = OutcomeClass.BUG
    """Whose fault it is: what we put together ourselves, or the lead's data."""


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
    faults = [_fault(event) for event in events]
    first = next((fault for fault in faults if fault), None)
    if first is None:
        return None
    rows = tuple(row for row, fault in enumerate(faults) if fault is first)
    return Refused(Outcome(first.kind, f"LOCAL_{first.reason}", first.words), rows, unasked=True)


def _fault(event: Fields) -> Check | None:
    return next((check for check in _CHECKS if not check.passes(event)), None)


def _has_known_fields(event: Fields) -> bool:
    user, custom = event.get("user_data"), event.get("custom_data")
    return (
        isinstance(user, dict)
        and isinstance(custom, dict)
        and event.keys() == _EVENT
        and user.keys() <= _USER
        and custom.keys() <= _CUSTOM
    )


def _has_name(event: Fields) -> bool:
    name = event["event_name"]
    return isinstance(name, str) and bool(name.strip())


def _has_id(event: Fields) -> bool:
    key = event["event_id"]
    return isinstance(key, str) and 0 < len(key) <= _LONGEST_ID


def _has_time(event: Fields) -> bool:
    return _is_whole(event["event_time"], _SECONDS)


def _has_true_source(event: Fields) -> bool:
    source = event["action_source"]
    return isinstance(source, str) and source in _SOURCES


def _has_whole_funnel(event: Fields) -> bool:
    marks = _custom(event).keys() & {"event_source", "lead_event_source"}
    return not marks or (len(marks) > 1 and event["action_source"] == "system_generated")


def _has_amount(event: Fields) -> bool:
    value = _custom(event).get("value", 0)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _has_currency(event: Fields) -> bool:
    data = _custom(event)
    currency = data.get("currency")
    if currency is None:
        return "value" not in data
    return isinstance(currency, str) and bool(_CURRENCY.fullmatch(currency))


def _has_price(event: Fields) -> bool:
    return event["event_name"] != "Purchase" or {"value", "currency"} <= _custom(event).keys()


def _has_whole_fbc(event: Fields) -> bool:
    user = _user(event)
    fbc = user.get("fbc")
    return "fbc" not in user or (isinstance(fbc, str) and bool(_FBC.fullmatch(fbc)))


def _has_whole_lead_id(event: Fields) -> bool:
    user = _user(event)
    return "lead_id" not in user or _is_whole(user["lead_id"], _LEAD_IDS)


def _has_hashes(event: Fields) -> bool:
    lists = [hashes for field, hashes in _user(event).items() if field in IDENTIFIERS.values()]
    return all(isinstance(hashes, list) and hashes and all(map(_is_hash, hashes)) for hashes in lists)


def _has_somebody(event: Fields) -> bool:
    user = _user(event)
    return bool(user.keys() & {"lead_id", "fbc"}) or is_enough(
        {kind for kind, name in IDENTIFIERS.items() if name in user}
    )


def _is_whole(value: object, among: range) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in among


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and bool(_SHA256.fullmatch(value))


def _user(event: Fields) -> Fields:
    return _object(event["user_data"])


def _custom(event: Fields) -> Fields:
    return _object(event["custom_data"])


def _object(value: object) -> Fields:
    return value if isinstance(value, dict) else {}


_CHECKS = (
    Check("FIELDS", "a field is missing, or is one that is never sent", _has_known_fields),
    Check("EVENT_NAME", "the event has no name", _has_name),
    Check("EVENT_ID", "the event's id is missing or too long", _has_id),
    Check("EVENT_TIME", "its time is not in whole seconds since 1970", _has_time),
    Check("ACTION_SOURCE", "its action_source is not one that a CRM can truly give", _has_true_source),
    Check("FUNNEL", "a funnel stage needs event_source, lead_event_source and system_generated", _has_whole_funnel),
    Check("VALUE", "its value is not a finite amount from 0 on", _has_amount, OutcomeClass.FIX_DATA),
    Check("CURRENCY", "its currency is missing or is not three capital letters", _has_currency),
    Check("PURCHASE", "a Purchase needs a value and a currency", _has_price, OutcomeClass.FIX_DATA),
    Check(
        "FBC", "its click id does not have the form fb.1.<milliseconds>.<fbclid>", _has_whole_fbc, OutcomeClass.FIX_DATA
    ),
    Check("LEAD_ID", "its lead_id is not a number of 15 to 17 digits", _has_whole_lead_id, OutcomeClass.FIX_DATA),
    Check("HASH", "its contact data is not hashed by SHA-256", _has_hashes),
    Check("IDENTIFIERS", "what is known of the person is too little for Meta", _has_somebody, OutcomeClass.FIX_DATA),
)
"""In this order: each may rely on those before it."""
