"""Which click id or contact data a conversion is sent with."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import ClickIdKind, ContactIdentifierKind, Identifier
from jobs.rules.eligibility import click_id_to_send, contact_hashes_to_send, is_selected_by_click_ids
from tests.builders import CREATED, GOOGLE, WON, click, facts, route
from tests.fakes import LIMITS

HASHES = (Identifier(ContactIdentifierKind.EMAIL, "a" * 64),)
DAY = timedelta(days=1)
GCLID, GBRAID, WBRAID = ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        ([click("g", CREATED), click("b", WON, kind=GBRAID)], "g"),
        ([click("w", WON, kind=WBRAID), click("b", CREATED, kind=GBRAID)], "b"),
        ([click("old", CREATED), click("new", CREATED + DAY)], "new"),
        ([click("new", CREATED + DAY), click("old", CREATED)], "new"),
        ([click("before", CREATED), click("after", WON + DAY)], "before"),
        ([click("after", WON + DAY), click("b", CREATED, kind=GBRAID)], "b"),
        ([click("at", WON)], "at"),
        ([click("after", WON + timedelta(microseconds=1))], None),
        ([click("f", CREATED, kind=ClickIdKind.FBCLID), click("m", CREATED, kind=ClickIdKind.MSCLKID)], None),
        ([], None),
    ],
)
def test_picks_preferred_kind_then_latest_click_up_to_the_change(clicks, expected):
    """A later click cannot have led to the change, and another platform's id means nothing here."""
    chosen = click_id_to_send(route(), facts(click_ids=tuple(clicks)), WON)

    assert expected == (chosen.value if chosen else None)


def test_tie_between_simultaneous_clicks_is_broken_deterministically():
    """The order in which they are loaded does not matter."""
    first, second = click("a", CREATED), click("b", CREATED)
    chosen = {click_id_to_send(route(), facts(click_ids=order), WON) for order in ((first, second), (second, first))}

    assert 1 == len(chosen)


@pytest.mark.parametrize(
    ("over", "chosen", "expected"),
    [
        ({}, click(), ()),
        ({"attach_contact": True}, click(), HASHES),
        ({"attach_contact": True}, click(kind=GBRAID), ()),
        ({"attach_contact": True}, None, ()),
        ({"contact_only": True}, None, HASHES),
        ({"contact_only": True}, click(), ()),
        ({"contact_only": True, "attach_contact": True}, click(), HASHES),
    ],
)
def test_when_contact_data_is_attached(over, chosen, expected):
    """It goes beside click kinds that may carry it, or alone, and each only where the route says so."""
    lead = facts(identifiers={GOOGLE: HASHES})

    assert expected == contact_hashes_to_send(route(**over), lead, chosen)


def test_contact_data_hashed_for_one_destination_never_goes_to_another():
    """Each platform normalises in its own way."""
    lead = facts(identifiers={"elsewhere": HASHES})

    assert () == contact_hashes_to_send(route(contact_only=True), lead, None)


FBC, FBCLID, LEAD = ClickIdKind.FBC, ClickIdKind.FBCLID, ClickIdKind.LEAD_ID
META = replace(LIMITS, click_ids=(LEAD, FBC, FBCLID), interchangeable=frozenset({FBC, FBCLID}))


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        ([click("fb.1.1.old", CREATED, kind=FBC), click("new", CREATED + DAY, kind=FBCLID)], "new"),
        ([click("fb.1.2.new", CREATED + DAY, kind=FBC), click("old", CREATED, kind=FBCLID)], "fb.1.2.new"),
        ([click("fb.1.1.same", CREATED, kind=FBC), click("same", CREATED + DAY, kind=FBCLID)], "fb.1.1.same"),
        ([click("1234", CREATED, kind=LEAD), click("new", CREATED + DAY, kind=FBCLID)], "1234"),
        ([click("fb.1.1.x", WON + DAY, kind=FBC), click("x", CREATED, kind=FBCLID)], "x"),
    ],
)
def test_interchangeable_ids_are_chosen_by_time(clicks, expected):
    """Meta's cookie and the bare fbclid are one kind of id, but the cookie made from an fbclid says more."""
    chosen = click_id_to_send(route(limits=META), facts(click_ids=tuple(clicks)), WON)

    assert expected == chosen.value


@pytest.mark.parametrize(
    ("kinds", "by_funnel", "by_event"),
    [((), False, True), ((FBCLID,), False, True), ((LEAD,), True, False), ((LEAD, FBCLID), True, False)],
)
def test_each_lead_takes_exactly_one_of_two_routes(kinds, by_funnel, by_event):
    """Two routes of one destination split its leads by whether a lead has a lead id."""
    lead = facts(click_ids=tuple(click(f"id-{kind}", kind=kind) for kind in kinds))

    assert by_funnel == is_selected_by_click_ids(route(only_with=frozenset({LEAD})), lead)
    assert by_event == is_selected_by_click_ids(route(never_with=frozenset({LEAD})), lead)
