"""By which click id, or which contact data, a person is recognised."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import ClickIdKind, Identifier, IdentifierKind
from jobs.rules.eligibility import click_for, goes_this_way, identifiers_for
from tests.builders import CREATED, GOOGLE, WON, click, facts, route
from tests.fakes import LIMITS

HASHES = (Identifier(IdentifierKind.EMAIL, "a" * 64),)
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
def test_the_kind_is_chosen_first_then_the_latest_click_not_after_the_change(clicks, expected):
    """A click after the change cannot have led to it, and another platform's id says nothing to this one."""
    chosen = click_for(route(), facts(click_ids=tuple(clicks)), WON)

    assert expected == (chosen.value if chosen else None)


def test_two_clicks_of_one_instant_are_chosen_between_the_same_way_every_night():
    """The order in which they are loaded decides nothing."""
    first, second = click("a", CREATED), click("b", CREATED)
    chosen = {click_for(route(), facts(click_ids=order), WON) for order in ((first, second), (second, first))}

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
def test_when_contact_data_goes_along(over, chosen, expected):
    """Beside the kinds that may carry it, or alone; each only where the route says so."""
    lead = facts(identifiers={GOOGLE: HASHES})

    assert expected == identifiers_for(route(**over), lead, chosen)


def test_contact_data_hashed_for_one_destination_never_goes_to_another():
    """Each platform normalises in its own way."""
    lead = facts(identifiers={"elsewhere": HASHES})

    assert () == identifiers_for(route(contact_only=True), lead, None)


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
def test_forms_of_one_id_are_chosen_between_by_their_time(clicks, expected):
    """Meta's cookie and the bare fbclid are one kind of id; the cookie made of an fbclid says more than it alone."""
    chosen = click_for(route(limits=META), facts(click_ids=tuple(clicks)), WON)

    assert expected == chosen.value


@pytest.mark.parametrize(
    ("kinds", "by_funnel", "by_event"),
    [((), False, True), ((FBCLID,), False, True), ((LEAD,), True, False), ((LEAD, FBCLID), True, False)],
)
def test_a_lead_goes_one_way_only(kinds, by_funnel, by_event):
    """Where two routes of one destination share its leads, each lead has exactly one of them."""
    lead = facts(click_ids=tuple(click(f"id-{kind}", kind=kind) for kind in kinds))

    assert by_funnel == goes_this_way(route(only_with=frozenset({LEAD})), lead)
    assert by_event == goes_this_way(route(never_with=frozenset({LEAD})), lead)
