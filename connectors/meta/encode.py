"""A conversion as Meta's Conversions API reads it: frozen bytes of one server event.

https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from connectors.records import ClickId, ClickIdKind, Event, Identifier, IdentifierKind, utc

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
