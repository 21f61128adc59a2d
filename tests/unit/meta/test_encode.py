"""Events as Meta's Conversions API reads them, compared with golden files.

The fields of a Conversion Leads stage are those of
https://developers.facebook.com/documentation/ads-commerce/conversions-api/conversion-leads-integration/payload-specification,
all others those of https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from itertools import permutations
from pathlib import Path

import pytest

from connectors.meta import encode as meta_encode
from connectors.meta.encode import encode
from connectors.records import (
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ContactIdentifierKind,
    ConversionEvent,
    DeliveryKey,
    Identifier,
    Money,
    Target,
)

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
CLICK = datetime(2026, 10, 24, 0, 0, 0, 123456, tzinfo=UTC)


def _hash(kind: ContactIdentifierKind, text: str) -> Identifier:
    return Identifier(kind, sha256(text.encode()).hexdigest())


EMAIL = _hash(ContactIdentifierKind.EMAIL, "john_smith@gmail.com")
PHONE = _hash(ContactIdentifierKind.PHONE, "33612345678")
PERSON = (
    EMAIL,
    PHONE,
    _hash(ContactIdentifierKind.EMAIL, "valéry@example.fr"),
    _hash(ContactIdentifierKind.FIRST_NAME, "valéry"),
    _hash(ContactIdentifierKind.LAST_NAME, "durand"),
    _hash(ContactIdentifierKind.CITY, "saintétienne"),
    _hash(ContactIdentifierKind.POSTCODE, "42000"),
    _hash(ContactIdentifierKind.COUNTRY, "fr"),
)


def _target(action: str = "Purchase", source: str = "system_generated") -> Target:
    return Target("conversions_api", "1234567890", action, source)


def _event(**changed: object) -> ConversionEvent:
    plain = {
        "key": DeliveryKey("sale-1"),
        "target": _target(),
        "at": AT,
        "click_id": None,
        "identifiers": (EMAIL,),
        "value": Money(Decimal("1250.50"), "EUR"),
        "consent": Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.GRANTED),
    }
    return ConversionEvent(**(plain | changed))


FBC = ClickId(ClickIdKind.FBC, "fb.1.1792800000000.IwAR-Invented_Click")
FBCLID = ClickId(ClickIdKind.FBCLID, "IwAR-Invented_Click", CLICK)

EVENTS = {
    "conversion_lead": _event(
        target=_target("sale", "crm"),
        click_id=ClickId(ClickIdKind.LEAD_ID, "123456789012345"),
        identifiers=(PHONE, EMAIL),
    ),
    "fbc": _event(click_id=FBC, identifiers=()),
    "fbclid": _event(click_id=FBCLID, identifiers=()),
    "lead_id_without_funnel": _event(click_id=ClickId(ClickIdKind.LEAD_ID, "12345678901234567"), identifiers=()),
    "contact_only": _event(identifiers=PERSON),
    "without_value": _event(target=_target("Schedule"), value=None),
    "by_phone": _event(target=_target(source="phone_call")),
    "accents": _event(key=DeliveryKey("vente-née-d'été"), target=_target("Vente signée")),
}


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_encodes_to_its_golden_file(name):
    """Every field matches to the byte."""
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    canonical = json.dumps(golden, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert canonical == encode(EVENTS[name])


def test_every_golden_file_is_used():
    """None is left over from a removed case."""
    assert set(EVENTS) == {path.stem for path in GOLDEN.iterdir()}


@pytest.mark.parametrize("name", EVENTS)
def test_encoded_events_pass_prevalidation(name):
    """An event that Meta would refuse is never frozen."""
    assert (
        meta_encode.find_refusal_before_sending([meta_encode.parse_frozen_event(encode(EVENTS[name]).decode())]) is None
    )


def test_the_order_of_identifiers_does_not_change_the_bytes():
    """The library's own order changes from run to run."""
    orders = permutations(PERSON[:4])

    assert 1 == len({encode(_event(identifiers=(*order, order[0]))) for order in orders})


def test_the_same_instant_in_another_zone_gives_the_same_bytes():
    """Meta's seconds have no zone."""
    paris = AT.astimezone(timezone(timedelta(hours=2)))

    assert encode(_event()) == encode(_event(at=paris))


def test_fractions_of_a_second_are_dropped():
    """Rounding up could give a time in the future."""
    assert encode(_event()) == encode(_event(at=AT + timedelta(microseconds=999_999)))


def test_a_lead_id_keeps_every_digit():
    """As a float it would lose the last ones."""
    assert 12345678901234567 == json.loads(encode(EVENTS["lead_id_without_funnel"]))["user_data"]["lead_id"]


def test_a_click_id_keeps_its_case():
    """Meta matches it case-sensitively."""
    assert b"IwAR-Invented_Click" in encode(EVENTS["fbclid"])


def test_a_funnel_stage_has_no_value_or_order():
    """It only says that it is a stage, and from which CRM."""
    assert {"event_source": "crm", "lead_event_source": "Oplead"} == json.loads(encode(EVENTS["conversion_lead"]))[
        "custom_data"
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"click_id": ClickId(ClickIdKind.FBCLID, "IwAR-Invented_Click")},
        {"click_id": ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented_Click")},
        {"click_id": ClickId(ClickIdKind.LEAD_ID, "1.23457E+16")},
        {"value": Money(Decimal("NaN"), "EUR")},
        {"value": Money(Decimal("Infinity"), "EUR")},
        {"at": AT.replace(tzinfo=None)},
    ],
)
def test_an_event_meta_cannot_represent_is_refused(wrong):
    """Examples are a click without its time, another platform's id and a value that is no number."""
    with pytest.raises(ValueError, match=r"."):
        encode(_event(**wrong))
