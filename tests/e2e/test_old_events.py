"""Events that become too old for Meta, which refuses the whole request for one: they expire individually."""

from datetime import timedelta

import pytest

AN_HOUR = timedelta(hours=1)
A_WEEK = timedelta(days=7)
WINDOW = A_WEEK - timedelta(hours=4)
"""How old an event may be when it is sent: less than the week that Meta accepts."""


@pytest.fixture
def company(company):
    """A company that sends only its appointments, to Meta."""
    company.use_meta_alone()
    company.settings["conversions"] = [company.conversion("appointment")]
    return company


def told_within(company, number, span, since=None):
    """A lead whose appointment can be sent for this much longer."""
    made = (since or company.START) + span - WINDOW
    created = made - AN_HOUR
    return company.lead(number, ("RDV pris", made), created=created, clicks=f"fbclid={company.fbclid(number)}")


def sizes(company):
    """How many events each upload had."""
    return [len(post.events) for post in company.posts]


def states(company):
    """The state of each lead's appointment."""
    return [company.states("meta")[f"L-{number}", "appointment"] for number in range(len(company.states("meta")))]


def never_refused_as_too_old(company):
    """Assert that Meta never received an event that was too old."""
    assert 2804003 not in [each["subcode"] for each in company.sandbox.meta.state()["refused"]]
    assert [] == company.disagreements()


@pytest.mark.parametrize("nights", [1, 3])
def test_events_too_old_after_failed_nights_expire(company, nights):
    """The token was refused meanwhile; the others go out together."""
    spans = [AN_HOUR, nights * timedelta(days=1) - AN_HOUR, nights * timedelta(days=1) + AN_HOUR, timedelta(days=5)]
    company.serve(*(told_within(company, number, span) for number, span in enumerate(spans)))
    token = company.environ["META_ACCESS_TOKEN"]
    company.environ["META_ACCESS_TOKEN"] = "EAArevoked"
    codes = [company.night(company.START + night * timedelta(days=1)).exit_code for night in range(nights)]

    assert {3} == set(codes)
    assert "pending" == states(company)[-1]

    company.posts.clear()
    company.environ["META_ACCESS_TOKEN"] = token
    summary = company.night(company.START + nights * timedelta(days=1))

    assert 0 == summary.exit_code
    assert ["expired", "expired", "accepted", "accepted"] == states(company)
    assert [2] == sizes(company)
    assert {"window_closed"} == {row.reason for row in company.deliveries("meta").values() if row.state == "expired"}
    never_refused_as_too_old(company)


def test_event_too_old_after_throttling_expires(company):
    """It was in time when planned, but not after the minutes that Meta asked to wait."""
    company.serve(told_within(company, 0, timedelta(minutes=3)), told_within(company, 1, timedelta(days=3)))
    company.sandbox.meta.set_switch("meta_throttle_minutes", 4)

    summary = company.night()

    assert 0 == summary.exit_code
    assert [2, 1] == sizes(company)
    assert ["expired", "accepted"] == states(company)
    never_refused_as_too_old(company)


def test_in_doubt_event_grown_too_old_becomes_unconfirmed(company):
    """It may have been counted, so it is not expired; the run reports it, and other events are unaffected."""
    company.serve(told_within(company, 0, AN_HOUR), told_within(company, 1, timedelta(days=3)))
    company.fail("meta", "cut_after", count=7)

    assert 3 == company.night().exit_code
    assert ["in_doubt", "in_doubt"] == states(company)

    company.heal()
    company.posts.clear()
    summary = company.later(2 * AN_HOUR)

    assert 1 == summary.exit_code == summary.unconfirmed
    assert ["unconfirmed", "accepted"] == states(company)
    assert [1] == sizes(company)
    assert 2804003 not in [each["subcode"] for each in company.sandbox.meta.state()["refused"]]
    assert [] == company.disagreements(unanswered=("unconfirmed",))


def test_event_meta_refuses_as_too_old_is_found_and_expired(company):
    """If Meta's window is shorter than documented, the others are still accepted."""
    company.serve(*(told_within(company, number, timedelta(days=number + 1)) for number in range(4)))
    company.sandbox.meta.plant_event_rulings({company.fbclid(0): {"subcode": 2804003}})

    summary = company.night()

    assert 0 == summary.exit_code
    assert ["expired", "accepted", "accepted", "accepted"] == states(company)
    assert [] == company.disagreements()


def test_physical_store_events_have_a_longer_window(company):
    """Only a true `physical_store` has it: an appointment is accepted after 30 days and expired after 56."""
    company.conversion("appointment")["meta"]["action_source"] = "physical_store"
    company.conversion("appointment")["since"] = "2026-06-01"
    company.serve(
        told_within(company, 0, timedelta(0), since=company.START - timedelta(days=30)),
        told_within(company, 1, timedelta(0), since=company.START - timedelta(days=56)),
    )

    summary = company.night()

    assert 0 == summary.exit_code
    assert ["accepted", "expired"] == states(company)
    assert [1] == sizes(company)
    never_refused_as_too_old(company)
