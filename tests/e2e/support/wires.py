"""What reached a platform, in the terms of cases.yaml, and compared with what a case expects."""

import copy
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from google.ads.googleads.v26.services.types.conversion_upload_service import UploadClickConversionsRequest
from google.protobuf.json_format import MessageToDict

CONSENT = {1: "CONSENT_GRANTED", 2: "CONSENT_DENIED"}
ADS_API_CONSENT = {"GRANTED": "CONSENT_GRANTED", "DENIED": "CONSENT_DENIED"}
FBC = re.compile(r"fb\.1\.(\d{13})\.(.+)")


@dataclass(frozen=True)
class Seen:
    """One event as it was in one request."""

    key: str
    wire: dict
    taken: bool
    """Whether the platform received it: false if its request or row was refused at once."""


def instant(text):
    """An instant as the cases write it."""
    return datetime.fromisoformat(text)


# ── what was sent ────────────────────────────────────────────────────────────────────────────────


def of_data_manager(body, status):
    """The events of an ingest request."""
    request = json.loads(body)
    (sent_to,) = request["destinations"]
    destination = {name: sent_to[name]["accountId"] for name in ("operatingAccount", "loginAccount") if name in sent_to}
    for event in request["events"]:
        wire = {**event, "destination": destination | {"productDestinationId": sent_to["productDestinationId"]}}
        if "consent" in wire:
            wire["consent"] = {signal: CONSENT.get(status, status) for signal, status in wire["consent"].items()}
        wire["eventSource"] = {1: "WEB"}.get(wire["eventSource"], wire["eventSource"])
        yield Seen(wire.pop("transactionId"), wire, taken=status == 200)


def of_ads_api(message, metadata, refused_rows):
    """The conversions of an upload, each in Data Manager's terms; `refused_rows` None refuses all."""
    request = MessageToDict(UploadClickConversionsRequest.pb(UploadClickConversionsRequest.deserialize(message)))
    for row, each in enumerate(request["conversions"]):
        _, owner, _, action = each.pop("conversionAction").split("/")
        assert owner == request["customerId"]
        destination = {"operatingAccount": owner, "productDestinationId": action}
        if "login-customer-id" in metadata:
            destination["loginAccount"] = metadata["login-customer-id"]
        key = each.pop("orderId")
        wire = {
            "destination": destination,
            "eventTimestamp": each.pop("conversionDateTime").replace(" ", "T").replace("+00:00", "Z"),
            "eventSource": each.pop("conversionEnvironment"),
            "adIdentifiers": {kind: each.pop(kind) for kind in ("gclid", "gbraid", "wbraid") if kind in each},
            "userData": {"userIdentifiers": [_identifier(one) for one in each.pop("userIdentifiers", [])]},
            "conversionValue": each.pop("conversionValue", None),
            "currency": each.pop("currencyCode", None),
            "consent": {signal: ADS_API_CONSENT[status] for signal, status in each.pop("consent", {}).items()},
        }
        assert {} == each, "a field nobody expects"
        empty = (None, {}, {"userIdentifiers": []})
        taken = refused_rows is not None and row not in refused_rows
        yield Seen(key, {name: value for name, value in wire.items() if value not in empty}, taken=taken)


def _identifier(one):
    names = {"hashedEmail": "emailAddress", "hashedPhoneNumber": "phoneNumber"}
    ((kind, sha256),) = one.items()
    return {names[kind]: sha256}


def of_meta(dataset, events, status):
    """The events of a request to the Conversions API."""
    for event in events:
        wire = {**event, "dataset": dataset, "custom_data": dict(event["custom_data"])}
        key = wire.pop("event_id")
        if wire["custom_data"].get("order_id") == key:
            wire["custom_data"]["order_id"] = "event_id"
        yield Seen(key, wire, taken=status == 200)


# ── what was expected ────────────────────────────────────────────────────────────────────────────


def check_google(expected, wire):
    """Compare field by field: a field that is not listed must be absent."""
    expected, wire = copy.deepcopy(expected), copy.deepcopy(wire)
    check_time(expected.pop("eventTimestamp"), instant(wire.pop("eventTimestamp")))
    check_users(expected.pop("userData", None), wire.pop("userData", None))

    assert expected == wire


def check_users(expected, sent):
    """Compare identifiers regardless of order and of the plain text beside them."""
    if expected is None:
        assert sent is None
        return
    listed = sorted(_without_plain(one) for one in expected["userIdentifiers"])
    found = sorted(_without_plain(one) for one in (sent or {"userIdentifiers": []})["userIdentifiers"])
    if "some" in expected:
        assert (expected["some"], True) == (len(set(found)), set(found) <= set(listed))
    else:
        assert listed == found


def _without_plain(identifier):
    return json.dumps({name: value for name, value in identifier.items() if name != "plain"}, sort_keys=True)


def check_meta(expected, wire):
    """Compare field by field: a field that is not listed must be absent."""
    expected, wire = copy.deepcopy(expected), copy.deepcopy(wire)
    at = wire.pop("event_time")
    assert type(at) is int
    check_time(expected.pop("event_time"), datetime.fromtimestamp(at, UTC))
    wanted, user = expected.pop("user_data"), wire.pop("user_data")
    if isinstance(wanted.get("fbc"), dict):
        check_fbc(wanted.pop("fbc"), user.pop("fbc"))
    wanted = {name: hashes(value) for name, value in wanted.items()}
    user = {name: sorted(value) if isinstance(value, list) else value for name, value in user.items()}

    assert wanted == user
    assert expected == wire


def hashes(value):
    """The hashes of a field without the plain text beside them; any other value unchanged."""
    return sorted(one["hash"] for one in value) if isinstance(value, list) else value


def check_fbc(expected, sent):
    """Check a click id with a time based on the start of the read."""
    milliseconds, fbclid = FBC.fullmatch(sent).groups()

    assert expected["fbclid"] == fbclid
    check_time(expected, datetime.fromtimestamp(int(milliseconds) / 1000, UTC))


def check_time(expected, at):
    """Check an instant, or one within a span that includes both ends."""
    if isinstance(expected, dict):
        assert instant(expected["from"]) <= at <= instant(expected["to"])
    else:
        assert instant(expected) == at
