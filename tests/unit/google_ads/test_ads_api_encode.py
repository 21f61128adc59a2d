"""Conversions encoded for the Google Ads API, compared with its reference by hand.

https://developers.google.com/google-ads/api/reference/rpc/v26/ClickConversion
"""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from google.ads.googleads.v26.services.types import ClickConversion, UploadClickConversionsRequest
from google.protobuf.json_format import MessageToDict

from connectors.google_ads.ads_api.sink import encode_event, upload_request
from connectors.records import (
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ContactIdentifierKind,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    Identifier,
    Money,
    Target,
)

AT = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
EMAIL = Identifier(ContactIdentifierKind.EMAIL, "2" * 64)
PHONE = Identifier(ContactIdentifierKind.PHONE, "1" * 64)
ACTION = "customers/1234567890/conversionActions/987654322"
PLAIN = {"conversion_action": ACTION, "conversion_date_time": "2026-10-25 00:30:00+00:00", "order_id": "sale-1"}
WEB = {"conversion_environment": "WEB"}
CLICK = {"gclid": "Cj0KCQ-Invented_Click"}
VALUE = {"conversion_value": 1250.5, "currency_code": "EUR"}
CONSENT = {"consent": {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"}}
BY_EMAIL, BY_PHONE = {"hashed_email": "2" * 64}, {"hashed_phone_number": "1" * 64}


def _event(**changed: object) -> ConversionEvent:
    plain = {
        "key": DeliveryKey("sale-1"),
        "target": Target("google_ads_api", "1234567890", "987654322", "WEB"),
        "at": AT,
        "click_id": ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented_Click"),
        "identifiers": (),
        "value": Money(Decimal("1250.50"), "EUR"),
        "consent": Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.DENIED),
    }
    return ConversionEvent(**(plain | changed))


def _from(source: str) -> Target:
    return Target("google_ads_api", "1234567890", "987654322", source)


EVENTS = {
    "gclid": (_event(), PLAIN | WEB | CLICK | VALUE | CONSENT),
    "gbraid": (
        _event(click_id=ClickId(ClickIdKind.GBRAID, "0AAAA-G")),
        PLAIN | WEB | {"gbraid": "0AAAA-G"} | VALUE | CONSENT,
    ),
    "wbraid": (
        _event(click_id=ClickId(ClickIdKind.WBRAID, "ClMKE-W")),
        PLAIN | WEB | {"wbraid": "ClMKE-W"} | VALUE | CONSENT,
    ),
    "with_contact": (
        _event(identifiers=(PHONE, EMAIL)),
        PLAIN | WEB | CLICK | VALUE | CONSENT | {"user_identifiers": [BY_EMAIL, BY_PHONE]},
    ),
    "contact_only": (
        _event(click_id=None, identifiers=(PHONE,)),
        PLAIN | WEB | VALUE | CONSENT | {"user_identifiers": [BY_PHONE]},
    ),
    "without_value": (_event(value=None), PLAIN | WEB | CLICK | CONSENT),
    "value_removed": (
        _event(value=Money(Decimal(0), "EUR")),
        PLAIN | WEB | CLICK | CONSENT | {"conversion_value": 0.0, "currency_code": "EUR"},
    ),
    "one_signal": (
        _event(consent=Consent(ConsentSignalValue.GRANTED, None)),
        PLAIN | WEB | CLICK | VALUE | {"consent": {"ad_user_data": "GRANTED"}},
    ),
    "no_signal": (_event(consent=Consent(None, None)), PLAIN | WEB | CLICK | VALUE),
    "in_an_app": (
        _event(target=_from("APP")),
        PLAIN | CLICK | VALUE | CONSENT | {"conversion_environment": "APP"},
    ),
    "by_phone": (_event(target=_from("PHONE")), PLAIN | CLICK | VALUE | CONSENT),
    "microseconds": (_event(at=AT + timedelta(microseconds=999_999)), PLAIN | WEB | CLICK | VALUE | CONSENT),
}


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_has_exactly_the_reference_fields(name):
    """No other field is set."""
    event, fields = EVENTS[name]
    message = ClickConversion.pb(ClickConversion.deserialize(encode_event(event)))

    assert fields == MessageToDict(message, preserving_proto_field_name=True)


def test_the_bytes_of_an_event_are_stable():
    """An upgrade of the library must not change what a replay sends."""
    event = _event(value=None, consent=Consent(None, None), click_id=ClickId(ClickIdKind.GCLID, "Cj0"))
    fields = [
        (b"\x4a", b"Cj0"),  # 9: gclid
        (b"\x52", ACTION.encode()),  # 10: conversion_action
        (b"\x5a", b"2026-10-25 00:30:00+00:00"),  # 11: conversion_date_time
        (b"\x72", b"sale-1"),  # 14: order_id
    ]
    written = b"".join(tag + bytes([len(value)]) + value for tag, value in fields)

    assert written + b"\xa0\x01\x03" == encode_event(event)  # 20: conversion_environment, WEB


def test_the_order_of_identifiers_does_not_change_the_bytes():
    """A replay reads them from the ledger in any order."""
    one, other = _event(identifiers=(EMAIL, PHONE)), _event(identifiers=(PHONE, EMAIL, PHONE))

    assert encode_event(one) == encode_event(other)


def test_at_most_five_identifiers_are_sent():
    """The same five go out in any order: the API refuses a sixth."""
    many = tuple(Identifier(ContactIdentifierKind.EMAIL, f"{number:064}") for number in range(7))
    sent = ClickConversion.deserialize(encode_event(_event(identifiers=many[::-1]))).user_identifiers

    assert [each.sha256 for each in many[:5]] == [each.hashed_email for each in sent]


def test_the_same_instant_in_another_zone_gives_the_same_bytes():
    """02:30 in Paris before the clocks go back is 00:30 UTC."""
    paris = timezone(timedelta(hours=2))

    assert encode_event(_event()) == encode_event(_event(at=AT.astimezone(paris)))


def test_a_time_without_a_zone_is_refused():
    """No zone is guessed."""
    with pytest.raises(ValueError, match="zone"):
        encode_event(_event(at=datetime(2026, 10, 25, 0, 30)))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("kind", [kind for kind in ClickIdKind if not kind.value.endswith(("gclid", "braid"))])
def test_a_click_id_of_another_platform_is_refused(kind):
    """It is never sent to Google."""
    with pytest.raises(KeyError):
        encode_event(_event(click_id=ClickId(kind, "invented")))


def test_a_request_carries_the_frozen_bytes_in_order():
    """Answers refer to rows by position."""
    events = [_event(key=DeliveryKey(f"sale-{row}")) for row in range(3)]
    frozen = [EncodedEvent(event.key, encode_event(event)) for event in events]
    request = upload_request(events[0].target, frozen, validate_only=True)
    sent = UploadClickConversionsRequest.pb(request)

    assert ("1234567890", True, True) == (sent.customer_id, sent.partial_failure, sent.validate_only)
    assert [each.body for each in frozen] == [each.SerializeToString(deterministic=True) for each in sent.conversions]


def test_bytes_of_another_event_are_refused():
    """A key and its bytes belong together."""
    with pytest.raises(ValueError, match="another event's"):
        upload_request(
            _event().target, [EncodedEvent(DeliveryKey("sale-2"), encode_event(_event()))], validate_only=False
        )
