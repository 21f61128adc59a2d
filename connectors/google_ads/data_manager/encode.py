"""A conversion as the Data Manager API's own message: frozen bytes, and the request that carries them.

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
    """The event as canonical JSON of the vendor's message: sorted keys, no spaces, enums as numbers.

    The same event gives the same bytes, whatever the order of its identifiers. No IP address is ever sent.

    Raises:
        KeyError: a kind of click id or identifier that Google does not take.
        json_format.ParseError: an event source that Google does not know.
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
    # Each hash in a message of its own: e-mail and phone share a oneof.
    if hashes := [{_IDENTIFIERS[each.kind]: each.sha256} for each in sorted(set(event.identifiers))]:
        fields["userData"] = {"userIdentifiers": hashes}
    signals = {"adUserData": event.consent.ad_user_data, "adPersonalization": event.consent.ad_personalization}
    if given := {name: _SIGNALS[signal] for name, signal in signals.items() if signal}:
        fields["consent"] = given
    message = json_format.ParseDict(fields, dm.Event.pb(dm.Event()))
    canonical = json_format.MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def encode_adjustment(adjustment: Adjustment) -> bytes:
    """The event anew with its new value: the same transaction id with another value restates, and the count stays.

    Raises ValueError for what cannot be expressed so: a retraction, or an event that is not known whole any more.
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
    """One request of frozen events to one conversion action of the account that owns it.

    Raises ValueError or json_format.ParseError for bytes that are no event of this library's API.
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
