"""Every documented reason for which Meta refuses an event is found before sending.

https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
"""

import math

import pytest

from connectors.meta.encode import find_refusal_before_sending
from connectors.records import OutcomeClass

HASH = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
LEAD = 123456789012345
MARKS = {"event_source": "crm", "lead_event_source": "Oplead"}


OF_THE_LEAD = {"VALUE", "PURCHASE", "FBC", "LEAD_ID", "IDENTIFIERS"}
"""Faults that a lead's data can have; any other fault is the program's own."""


def _event(*, user: object = None, custom: object = None, **changed: object) -> dict[str, object]:
    return {
        "event_name": "Lead",
        "event_time": 1_795_559_501,
        "event_id": "lead-1",
        "action_source": "system_generated",
        "user_data": {"em": [HASH]} if user is None else user,
        "custom_data": {"order_id": "lead-1"} if custom is None else custom,
        **changed,
    }


@pytest.mark.parametrize(
    "event",
    [
        _event(),
        _event(custom=MARKS, user={"lead_id": LEAD}),
        _event(user={"lead_id": 12345678901234567, "em": [HASH], "ph": [HASH, HASH]}),
        _event(user={"fbc": "fb.1.1554763741205.AbCdEfGhIjKlMnOpQrStUvWxYz1234567890"}),
        _event(user={"fn": [HASH], "ln": [HASH], "zp": [HASH]}),
        _event(user={"fn": [HASH], "ln": [HASH], "ct": [HASH], "country": [HASH]}),
        _event(event_name="Purchase", custom={"value": 0, "currency": "EUR"}),
        _event(custom={"currency": "EUR"}),
        _event(action_source="physical_store"),
    ],
)
def test_a_valid_event_passes(event):
    """It may have any form that is sent."""
    assert find_refusal_before_sending([event]) is None


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("FIELDS", {}),
        ("FIELDS", _event(opt_out=True)),
        ("FIELDS", _event(data_processing_options=[])),
        ("FIELDS", _event(user={"em": [HASH], "client_ip_address": "127.0.0.1"})),
        ("FIELDS", _event(user={"em": [HASH], "client_user_agent": "x"})),
        ("FIELDS", _event(custom={"content_name": "x"})),
        ("FIELDS", _event(user=[])),
        ("FIELDS", _event(custom="x")),
        ("EVENT_NAME", _event(event_name=" ")),
        ("EVENT_NAME", _event(event_name=1)),
        ("EVENT_ID", _event(event_id="")),
        ("EVENT_ID", _event(event_id="x" * 65)),
        ("EVENT_ID", _event(event_id=7)),
        ("EVENT_TIME", _event(event_time=1_795_559_501_000)),
        ("EVENT_TIME", _event(event_time=0)),
        ("EVENT_TIME", _event(event_time=-1)),
        ("EVENT_TIME", _event(event_time=True)),
        ("EVENT_TIME", _event(event_time=1_795_559_501.5)),
        ("EVENT_TIME", _event(event_time="1795559501")),
        ("EVENT_TIME", _event(event_time=math.nan)),
        ("ACTION_SOURCE", _event(action_source="website")),
        ("ACTION_SOURCE", _event(action_source="crm")),
        ("ACTION_SOURCE", _event(action_source=["email"])),
        ("FUNNEL", _event(custom={"event_source": "crm"})),
        ("FUNNEL", _event(custom={"lead_event_source": "Oplead"})),
        ("FUNNEL", _event(custom=MARKS, action_source="phone_call")),
        ("VALUE", _event(custom={"value": -1, "currency": "EUR"})),
        ("VALUE", _event(custom={"value": math.nan, "currency": "EUR"})),
        ("VALUE", _event(custom={"value": math.inf, "currency": "EUR"})),
        ("VALUE", _event(custom={"value": "10", "currency": "EUR"})),
        ("VALUE", _event(custom={"value": True, "currency": "EUR"})),
        ("VALUE", _event(custom={"value": None, "currency": "EUR"})),
        ("CURRENCY", _event(custom={"value": 10})),
        ("CURRENCY", _event(custom={"value": 10, "currency": "eur"})),
        ("CURRENCY", _event(custom={"value": 10, "currency": "€"})),
        ("CURRENCY", _event(custom={"value": 10, "currency": 978})),
        ("PURCHASE", _event(event_name="Purchase")),
        ("PURCHASE", _event(event_name="Purchase", custom={"currency": "EUR"})),
        ("FBC", _event(user={"fbc": "IwAR-bare"})),
        ("FBC", _event(user={"fbc": "FB.1.1554763741205.X"})),
        ("FBC", _event(user={"fbc": "fb.1.1554763741.IwAR"})),
        ("FBC", _event(user={"fbc": "fb.1.1554763741205."})),
        ("FBC", _event(user={"fbc": "fb.1.1554763741205.a b"})),
        ("FBC", _event(user={"fbc": ""})),
        ("FBC", _event(user={"fbc": None})),
        ("LEAD_ID", _event(user={"lead_id": str(LEAD)})),
        ("LEAD_ID", _event(user={"lead_id": float(LEAD)})),
        ("LEAD_ID", _event(user={"lead_id": 12345})),
        ("LEAD_ID", _event(user={"lead_id": 10**17})),
        ("LEAD_ID", _event(user={"lead_id": True})),
        ("LEAD_ID", _event(user={"lead_id": None})),
        ("HASH", _event(user={"em": ["jean@example.fr"]})),
        ("HASH", _event(user={"em": [HASH.upper()]})),
        ("HASH", _event(user={"em": ["5d41402abc4b2a76b9719d911017c592"]})),
        ("HASH", _event(user={"em": HASH})),
        ("HASH", _event(user={"em": []})),
        ("HASH", _event(user={"em": [None]})),
        ("HASH", _event(user={"lead_id": LEAD, "country": ["fr"]})),
        ("IDENTIFIERS", _event(user={})),
        ("IDENTIFIERS", _event(user={"fn": [HASH], "ln": [HASH]})),
        ("IDENTIFIERS", _event(user={"fn": [HASH], "ct": [HASH]})),
        ("IDENTIFIERS", _event(user={"ct": [HASH], "zp": [HASH], "country": [HASH]})),
    ],
)
def test_an_invalid_event_is_found_with_its_reason(reason, event):
    """Meta would refuse the whole request for this one row."""
    refused = find_refusal_before_sending([_event(), event])
    kind = OutcomeClass.FIX_DATA if reason in OF_THE_LEAD else OutcomeClass.BUG

    assert (f"LOCAL_{reason}", kind, (1,)) == (
        refused.outcome.code,
        refused.outcome.kind,
        refused.rows,
    )


def test_names_every_row_with_the_first_fault():
    """Rows with another fault are found once these are removed."""
    events = [_event(), _event(event_time=0), _event(user={}), _event(event_time=1)]

    assert (1, 3) == find_refusal_before_sending(events).rows


def test_a_refusal_repeats_nothing_of_the_event():
    """Its messages are fixed."""
    assert "jean" not in repr(find_refusal_before_sending([_event(user={"em": ["jean@example.fr"]})]))
