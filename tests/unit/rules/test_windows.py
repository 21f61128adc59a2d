"""From when and until when a platform takes a conversion."""

from datetime import timedelta

import pytest

from connectors.records import Identifier, IdentifierKind
from jobs.rules.decision import decide
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import window
from tests.builders import CREATED, GOOGLE, click, facts, reported, route, starts
from tests.fakes import NIGHT

TICK = timedelta(microseconds=1)
KEY = "0" * 40
HASHES = {GOOGLE: (Identifier(IdentifierKind.EMAIL, "a" * 64),)}


def outcome(decision):
    """The state a decision asks for; "send" where it may go out at once."""
    return "send" if decision.event else decision.state


def test_a_click_opens_after_six_hours_and_is_forgotten_after_its_window():
    """Both count from the click: https://support.google.com/google-ads/answer/7014069."""
    clicked = click(when=CREATED)
    expected = (CREATED + timedelta(hours=6), CREATED + timedelta(days=30))

    assert expected == window(route(click_window=timedelta(days=30)), facts(), NIGHT, clicked, by_contact=False)


def test_contact_data_alone_is_matched_63_days_from_the_creation():
    """There is no click to count from, and nothing to wait for."""
    assert (CREATED, CREATED + timedelta(days=63)) == window(route(), facts(), NIGHT, None, by_contact=True)


def test_without_click_or_contact_the_longest_window_applies():
    """A click id may still turn up until then."""
    assert (CREATED, CREATED + timedelta(days=90)) == window(route(), facts(), NIGHT, None, by_contact=False)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NIGHT + timedelta(hours=6) - TICK, DeliveryState.PENDING),
        (NIGHT + timedelta(hours=6), "send"),
        (NIGHT + timedelta(days=90), "send"),
        (NIGHT + timedelta(days=90) + TICK, DeliveryState.EXPIRED),
    ],
)
def test_the_edges_of_a_clicks_window(now, expected):
    """At the very instant it opens and the very instant it closes a conversion may go out."""
    lead = facts(
        created_at=NIGHT, changes=(reported("gagne", NIGHT + timedelta(minutes=1)),), click_ids=(click(when=NIGHT),)
    )

    assert expected == outcome(decide(route(), lead, starts(), KEY, now=now))


@pytest.mark.parametrize(("late", "expected"), [(timedelta(0), "send"), (TICK, DeliveryState.EXPIRED)])
def test_the_edge_of_the_contact_window(late, expected):
    """63 days after the lead's creation, not after the change."""
    lead = facts(click_ids=(), identifiers=HASHES)
    now = CREATED + timedelta(days=63) + late

    assert expected == outcome(decide(route(contact_only=True), lead, starts(), KEY, now=now))


def test_a_conversion_that_waits_says_until_when():
    """The click's sixth hour, as the time it becomes due."""
    clicked = NIGHT - timedelta(hours=5)
    lead = facts(created_at=clicked, changes=(reported("gagne", NIGHT),), click_ids=(click(when=clicked),))
    decision = decide(route(), lead, starts(), KEY, now=NIGHT)

    assert ("click_too_recent", NIGHT + timedelta(hours=1)) == (decision.reason, decision.not_before)


def test_a_change_at_the_very_instant_of_an_estimated_click_is_sent():
    """The lead's creation stands for the click, and the creation itself may be the conversion."""
    lead = facts(changes=(), click_ids=(click(when=CREATED),))
    decision = decide(route(on_creation=True, labels=frozenset()), lead, starts(), KEY, now=NIGHT)

    assert "gclid-1" == decision.event.click_id.value


def test_an_event_window_closes_counted_from_when_it_happened():
    """A platform that takes events of the last days only, however young or old their click."""
    meta = route(event_window=timedelta(days=6, hours=20))
    clicked = click(when=CREATED)

    assert NIGHT + timedelta(days=6, hours=20) == window(meta, facts(), NIGHT, clicked, by_contact=False)[1]


def test_an_event_window_never_outlives_the_clicks():
    """The shorter of the two closes first."""
    meta = route(event_window=timedelta(days=62), click_window=timedelta(days=30))
    clicked = click(when=CREATED)

    assert CREATED + timedelta(days=30) == window(meta, facts(), NIGHT, clicked, by_contact=False)[1]
