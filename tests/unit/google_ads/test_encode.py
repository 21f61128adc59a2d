"""Events as the Data Manager API reads them, compared with golden files.

The fields are those of https://developers.google.com/data-manager/api/reference/rest/v1/events/ingest
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from google.ads import datamanager_v1 as dm
from google.protobuf import json_format
from google.protobuf.json_format import ParseError

from connectors.google_ads.data_manager.sink import check_events, encode_event
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

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
EMAIL = Identifier(ContactIdentifierKind.EMAIL, "223ebda6f6889b1494551ba902d9d381daf2f642bae055888e96343d53e9f9c4")
PHONE = Identifier(ContactIdentifierKind.PHONE, "42d573cfc315801d4cd8eddd5416b416a0bf298b9b9e12d6b07442c91db42bd8")


def _event(**changed: object) -> ConversionEvent:
    plain = {
        "key": DeliveryKey("sale-1"),
        "target": Target("data_manager", "1234567890", "987654322", "WEB"),
        "at": AT,
        "click_id": ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented_Click"),
        "identifiers": (),
        "value": Money(Decimal("1250.50"), "EUR"),
        "consent": Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.DENIED),
    }
    return ConversionEvent(**(plain | changed))


EVENTS = {
    "gclid": _event(),
    "gbraid": _event(click_id=ClickId(ClickIdKind.GBRAID, "0AAAA-Gbraid")),
    "wbraid_with_contact": _event(click_id=ClickId(ClickIdKind.WBRAID, "ClMKE-Wbraid"), identifiers=(PHONE, EMAIL)),
    "contact_only": _event(click_id=None, identifiers=(EMAIL, PHONE)),
    "without_value": _event(value=None),
    "value_removed": _event(value=Money(Decimal(0), "EUR")),
    "one_signal": _event(consent=Consent(ConsentSignalValue.GRANTED, None)),
    "no_signal": _event(consent=Consent(None, None)),
    "by_phone": _event(target=Target("data_manager", "1234567890", "987654322", "PHONE")),
    "microseconds": _event(at=AT + timedelta(microseconds=123456)),
    "milliseconds": _event(at=AT + timedelta(milliseconds=120)),
    "accents": _event(key=DeliveryKey("vente-née-d'été")),
}


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_encodes_to_its_golden_file(name):
    """Every field, enum number and default matches to the byte."""
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    canonical = json.dumps(golden, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert canonical == encode_event(EVENTS[name])


def test_every_golden_file_is_used():
    """None is left over from a removed case."""
    assert set(EVENTS) == {path.stem for path in GOLDEN.iterdir()}


def test_the_order_of_identifiers_does_not_change_the_bytes():
    """A replay reads them from the ledger in any order."""
    one, other = _event(identifiers=(EMAIL, PHONE)), _event(identifiers=(PHONE, EMAIL, PHONE))

    assert encode_event(one) == encode_event(other)


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


def test_an_unknown_event_source_is_refused():
    """An unspecified source must never be sent."""
    with pytest.raises(KeyError):
        encode_event(_event(target=Target("data_manager", "1234567890", "987654322", "website")))


def test_the_library_reads_every_event_and_writes_the_same_one():
    """The bytes are canonical ProtoJSON, although the library takes no part in making them."""
    for event in EVENTS.values():
        body = encode_event(event)
        message = json_format.Parse(body, dm.Event.pb(dm.Event()))

        assert json.loads(body) == json_format.MessageToDict(message, use_integers_for_enums=True)


KEY = EVENTS["gclid"].key
"""The key of the events below."""


@pytest.mark.parametrize(
    "fault",
    [
        {"newField": 1},
        {"eventSource": "NOT_A_SOURCE"},
        {"eventTimestamp": 5},
        {"consent": {"adUserData": "granted"}},
        {"consent": {"adUserData": 1, "newSignal": 1}},
        {"userData": {"userIdentifiers": [{"emailAddress": EMAIL.sha256}, {"phoneNumber": PHONE.sha256, "name": "x"}]}},
        {"adIdentifiers": ["gclid"]},
        {"conversionValue": "much"},
        {"transactionId": "another's"},
    ],
)
def test_an_event_the_library_cannot_read_is_found_among_others(fault):
    """Wherever it is: others of another shape are no proof."""
    sound = encode_event(EVENTS["gclid"])
    bodies = (sound, sound, json.dumps(json.loads(sound) | fault).encode(), sound)

    with pytest.raises((ParseError, ValueError)):
        check_events([EncodedEvent(KEY, body) for body in bodies])
    check_events([EncodedEvent(KEY, sound)] * 3)
