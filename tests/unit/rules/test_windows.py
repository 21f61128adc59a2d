"""From when until when a platform accepts a conversion."""

from datetime import timedelta

import pytest

from connectors.records import ContactIdentifierKind, Identifier
from jobs.rules.decision import decide
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import acceptance_window
from tests.builders import CREATED, GOOGLE, click, facts, reported, route, starts
from tests.fakes import NIGHT

TICK = timedelta(microseconds=1)
KEY = "0" * 40
HASHES = {GOOGLE: (Identifier(ContactIdentifierKind.EMAIL, "a" * 64),)}


def outcome(decision):
    """The state a decision asks for; "send" where it may go out at once."""
    return "send" if decision.event else decision.state


def test_click_window_opens_after_six_hours_and_closes_at_its_length():
    """Both count from the click: https://support.google.com/google-ads/answer/7014069."""
    clicked = click(when=CREATED)
    expected = (CREATED + timedelta(hours=6), CREATED + timedelta(days=30))

    assert expected == acceptance_window(
        route(click_window=timedelta(days=30)), facts(), NIGHT, clicked, by_contact=False
    )


def test_contact_only_window_is_63_days_from_creation():
    """There is no click to count from, and nothing to wait for."""
    assert (CREATED, CREATED + timedelta(days=63)) == acceptance_window(route(), facts(), NIGHT, None, by_contact=True)


def test_without_click_or_contact_the_longest_window_applies():
    """A click id may still appear until then."""
    assert (CREATED, CREATED + timedelta(days=90)) == acceptance_window(route(), facts(), NIGHT, None, by_contact=False)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NIGHT + timedelta(hours=6) - TICK, DeliveryState.PENDING),
        (NIGHT + timedelta(hours=6), "send"),
        (NIGHT + timedelta(days=90), "send"),
        (NIGHT + timedelta(days=90) + TICK, DeliveryState.EXPIRED),
    ],
)
def test_click_window_includes_both_edges(now, expected):
    """A conversion may be sent at the instant the window opens and at the instant it closes."""
    lead = facts(
        created_at=NIGHT, changes=(reported("gagne", NIGHT + timedelta(minutes=1)),), click_ids=(click(when=NIGHT),)
    )

    assert expected == outcome(decide(route(), lead, starts(), KEY, now=now))


@pytest.mark.parametrize(("late", "expected"), [(timedelta(0), "send"), (TICK, DeliveryState.EXPIRED)])
def test_contact_window_includes_its_last_instant(late, expected):
    """It counts 63 days from the lead's creation, not from the change."""
    lead = facts(click_ids=(), identifiers=HASHES)
    now = CREATED + timedelta(days=63) + late

    assert expected == outcome(decide(route(contact_only=True), lead, starts(), KEY, now=now))


def test_waiting_conversion_states_when_it_is_due():
    """It is due six hours after the click."""
    clicked = NIGHT - timedelta(hours=5)
    lead = facts(created_at=clicked, changes=(reported("gagne", NIGHT),), click_ids=(click(when=clicked),))
    decision = decide(route(), lead, starts(), KEY, now=NIGHT)

    assert ("click_too_recent", NIGHT + timedelta(hours=1)) == (decision.reason, decision.not_before)


def test_change_at_the_instant_of_an_estimated_click_is_sent():
    """The lead's creation stands in for the click and may itself be the conversion."""
    lead = facts(changes=(), click_ids=(click(when=CREATED),))
    decision = decide(route(on_creation=True, labels=frozenset()), lead, starts(), KEY, now=NIGHT)

    assert "gclid-1" == decision.event.click_id.value


def test_event_window_counts_from_the_conversion():
    """Such a platform takes only recent events, however young or old their click."""
    meta = route(event_window=timedelta(days=6, hours=20))
    clicked = click(when=CREATED)

    assert NIGHT + timedelta(days=6, hours=20) == acceptance_window(meta, facts(), NIGHT, clicked, by_contact=False)[1]


def test_event_window_never_outlasts_the_click_window():
    """The shorter of the two applies."""
    meta = route(event_window=timedelta(days=62), click_window=timedelta(days=30))
    clicked = click(when=CREATED)

    assert CREATED + timedelta(days=30) == acceptance_window(meta, facts(), NIGHT, clicked, by_contact=False)[1]
