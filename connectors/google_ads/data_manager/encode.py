"""Encode conversions as Data Manager API messages and build the requests that carry them.

https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from google.ads import datamanager_v1 as dm
from google.protobuf import json_format  # type: ignore[import-untyped]

from connectors.records import (
    Adjustment,
    AdjustmentKind,
    ClickIdKind,
    EncodedEvent,
    Event,
    IdentifierKind,
    Signal,
    Target,
    utc,
)

_CLICK_IDS = {ClickIdKind.GCLID: "gclid", ClickIdKind.GBRAID: "gbraid", ClickIdKind.WBRAID: "wbraid"}
_IDENTIFIERS = {IdentifierKind.EMAIL: "emailAddress", IdentifierKind.PHONE: "phoneNumber"}
_SIGNALS = {Signal.GRANTED: "CONSENT_GRANTED", Signal.DENIED: "CONSENT_DENIED"}


def encode(event: Event) -> bytes:
    """Return the vendor's message as canonical JSON: sorted keys, no spaces, enums as numbers.

    Equal events give equal bytes, whatever the order of their identifiers. IP addresses are never sent.

    Raises:
        KeyError: Google doesn't accept this kind of click id or identifier.
        json_format.ParseError: Google doesn't know this event source.
    """
    fields: dict[str, object] = {
        "transactionId": event.key,
        "eventTimestamp": utc(event.at).isoformat(),
        "eventSource": event.target.source,
    }
    if event.value is not None:
        fields |= {"conversionValue": float(event.value.amount), "currency": event.value.currency}
    if event.click_id is not None:
        fields["adIdentifiers"] = {_CLICK_IDS[event.click_id.kind]: event.click_id.value}
    # One message per hash: e-mail and phone share a oneof.
    if hashes := [{_IDENTIFIERS[each.kind]: each.sha256} for each in sorted(set(event.identifiers))]:
        fields["userData"] = {"userIdentifiers": hashes}
    signals = {"adUserData": event.consent.ad_user_data, "adPersonalization": event.consent.ad_personalization}
    if given := {name: _SIGNALS[signal] for name, signal in signals.items() if signal}:
        fields["consent"] = given
    message = json_format.ParseDict(fields, dm.Event.pb(dm.Event()))
    canonical = json_format.MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def encode_adjustment(adjustment: Adjustment) -> bytes:
    """Encode the whole event with its new value: resending a transaction id restates the value and keeps the count.

    Raises ValueError for a retraction, or if the original event is no longer fully known.
    https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade
    """
    event = adjustment.event
    if adjustment.kind is not AdjustmentKind.RESTATEMENT or adjustment.value is None:
        raise ValueError("the Data Manager API only restates, to a value")
    if event is None or not (event.click_id or event.identifiers):
        raise ValueError("the Data Manager API restates by the whole event, with its click id or contact data")
    if (event.key, event.target) != (adjustment.key, adjustment.target) or event.target.transport != "data_manager":
        raise ValueError("this event is not the one that is corrected, or not the Data Manager API's")
    return encode(replace(event, value=adjustment.value))


def ingest_request(
    target: Target, batch: Sequence[EncodedEvent], *, login_customer_id: str | None, validate_only: bool = False
) -> dm.IngestEventsRequest:
    """Build one request of frozen events for one conversion action.

    Raises ValueError or json_format.ParseError for bytes that aren't an event of this library's API version.
    """
    events = [json.loads(event.body) for event in batch]
    if any(
        not isinstance(fields, dict) or fields.get("transactionId") != event.key
        for fields, event in zip(events, batch, strict=True)
    ):
        raise ValueError("these bytes are another event's, or another API's")
    destination = {
        "operatingAccount": _google_ads(target.owner),
        "productDestinationId": target.action,  # the bare number: a resource name is refused
        **({"loginAccount": _google_ads(login_customer_id)} if login_customer_id else {}),
    }
    fields = {
        "destinations": [destination],
        "encoding": "HEX",
        "events": events,
        "validateOnly": validate_only,
    }
    request = dm.IngestEventsRequest()
    json_format.ParseDict(fields, dm.IngestEventsRequest.pb(request))
    return request


def _google_ads(customer_id: str) -> dict[str, str]:
    return {"accountType": "GOOGLE_ADS", "accountId": customer_id}
