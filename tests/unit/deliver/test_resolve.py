"""Asking what became of requests: nothing is called accepted without evidence."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import Answered, Forgotten, Miscounted, Outcome, OutcomeClass, PartlyRefused, StillPending
from jobs.deliver.resolve import Unresolved
from jobs.ledger.schema import Attempt, Request
from jobs.rules.reasons import Reason
from tests import fakes
from tests.builders import CREATED, GOOGLE, TARGET, changed, lead, route, rulebook, stops
from tests.fakes import DONE, NIGHT, FakeSink

DAY = timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)


def submitted(account, count=2):
    """Sales that were received, half an hour ago."""
    account.put(*(lead(f"L-{number}") for number in range(1, count + 1)))
    account.prepare()
    account.deliver()
    account.clock.time += HALF_HOUR


def saying(account, *answers):
    """What the platform says when next asked, instead of the outcome."""
    account.sink.status.extend(answers)
    return account.resolve()


@pytest.mark.parametrize(("early", "asked"), [(timedelta(microseconds=1), 0), (timedelta(0), 1)])
def test_a_request_is_asked_about_once_it_is_worth_asking(account, early, asked):
    """At the platform's own time, not before; what waits is counted."""
    submitted(account)
    account.clock.time -= early
    done = account.resolve()

    assert (asked, 1 - asked) == (done.asked, done.pending)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (OutcomeClass.DONE, "accepted"),
        (OutcomeClass.DUPLICATE, "rejected"),
        (OutcomeClass.RETRY, "pending"),
        (OutcomeClass.DEFER, "pending"),
        (OutcomeClass.EXPIRED, "expired"),
        (OutcomeClass.FIX_DATA, "rejected"),
        (OutcomeClass.DROP, "rejected"),
        (OutcomeClass.DROP_EXPECTED, "rejected"),
        (OutcomeClass.FIX_CONFIG, "pending"),
        (OutcomeClass.BUG, "pending"),
        (OutcomeClass.UNKNOWN, "unconfirmed"),
    ],
)
def test_each_row_ends_where_its_outcome_says(account, kind, state):
    """By its place in the request; its code is kept, and with the attempt."""
    submitted(account)
    saying(account, Answered((Outcome(kind, "CODE"), DONE)))

    assert {"L-1": state, "L-2": "accepted"} == account.states
    assert ["CODE", "OK"] == [row.code for row in account.rows(Attempt)]
    assert ["settled"] == account.requests


def test_a_settled_request_is_not_asked_about_again(account):
    """Once is enough."""
    submitted(account)
    account.resolve()

    assert 0 == account.resolve().asked


@pytest.mark.parametrize(
    ("named", "expected"), [(None, NIGHT + HALF_HOUR + timedelta(hours=6)), (DAY, NIGHT + HALF_HOUR + DAY)]
)
def test_a_row_that_came_too_soon_waits(account, named, expected):
    """As long as the platform says, else six hours."""
    submitted(account, 1)
    saying(account, Answered((Outcome(OutcomeClass.DEFER, "TOO_RECENT", retry_after=named),)))

    assert expected == account.rows()[0].deferred_until


def test_a_duplicate_after_a_lost_answer_is_our_own(account):
    """The ledger holds an earlier attempt of that key."""
    account.sink.script.append(fakes.lost_after)
    submitted(account, 1)
    saying(account, Answered((Outcome(OutcomeClass.DUPLICATE, "ALREADY_EXISTS"),)))

    assert {"L-1": "accepted"} == account.states


@pytest.mark.parametrize(
    ("kind", "unexpected"), [(OutcomeClass.DROP, 1), (OutcomeClass.FIX_DATA, 1), (OutcomeClass.DROP_EXPECTED, 0)]
)
def test_only_rejections_nobody_expected_need_a_look(account, kind, unexpected):
    """As in sending."""
    submitted(account, 1)

    assert unexpected == saying(account, Answered((Outcome(kind, "X"),))).unexpected


@pytest.mark.parametrize(("of_target", "name"), [(True, f"{GOOGLE}/{TARGET.action}"), (False, GOOGLE)])
@pytest.mark.parametrize("kind", [OutcomeClass.FIX_CONFIG, OutcomeClass.BUG])
def test_an_outcome_may_stop_an_action_or_a_destination(account, kind, of_target, name):
    """Nothing more is sent there tonight."""
    submitted(account, 1)
    done = saying(account, Answered((Outcome(kind, "NO_ACCESS", of_target=of_target),)))

    assert {name: "NO_ACCESS"} == stops(done)


@pytest.mark.parametrize("answer", [StillPending(), Transient("503")])
def test_a_platform_that_is_not_ready_is_asked_again(account, answer):
    """Nothing changes meanwhile."""
    submitted(account)
    done = saying(account, answer)

    assert (1, {"submitted"}) == (done.pending, set(account.states.values()))
    assert 1 == account.resolve().asked


def test_a_platform_that_refuses_to_be_asked_stops(account):
    """Its other requests are not tried; their outcome may still be told later."""
    submitted(account)
    account.put(lead("L-3"))
    account.prepare()
    account.deliver()
    account.clock.time += HALF_HOUR
    done = saying(account, Misconfigured("token refused"))

    assert (1, {GOOGLE: "token refused"}) == (done.asked, stops(done))
    assert {"submitted"} == set(account.states.values())


def test_one_destination_that_refuses_leaves_the_other_to_be_asked(account):
    """It stops alone."""
    second = FakeSink()
    account.sinks["second"] = second
    account.book = rulebook(route(), route(destination="second"))
    submitted(account, 1)
    saying(account, Misconfigured("token refused"))

    assert ["submitted", "accepted"] == [row.state for row in account.rows()]


def test_refused_rows_nobody_can_tell_apart_are_all_unconfirmed(account):
    """With the platform's words; a human is told where to look."""
    submitted(account, 3)
    done = saying(account, PartlyRefused(1, 3, ("BAD_CLICK", "TOO_OLD")))
    detail = "1 of 3: BAD_CLICK, TOO_OLD"

    assert {"unconfirmed"} == set(account.states.values())
    assert {(Reason.PARTLY_REFUSED, detail)} == {(row.reason, row.detail) for row in account.rows()}
    assert [Unresolved(GOOGLE, "request-1", Reason.PARTLY_REFUSED, detail)] == done.unconfirmed
    assert ["unresolved"] == account.requests


@pytest.mark.parametrize("counted", [0, 2, 4])
def test_another_number_of_rows_leaves_all_unconfirmed(account, counted):
    """A success for others than were sent is none for these; a human is told the numbers."""
    submitted(account, 3)
    done = saying(account, Miscounted(counted, 3))

    assert {"unconfirmed"} == set(account.states.values())
    assert [Unresolved(GOOGLE, "request-1", Reason.MISCOUNTED, f"{counted} of 3")] == done.unconfirmed
    assert ["unresolved"] == account.requests


def test_a_setting_found_wrong_later_stops_in_words(account):
    """The rows wait, and the human it needs is told what the platform's code means."""
    submitted(account, 2)
    outcome = Outcome(OutcomeClass.FIX_CONFIG, "NO_CONSENT", "give it in Google Ads")
    done = saying(account, Answered((outcome, outcome)))

    assert {"pending"} == set(account.states.values())
    assert {GOOGLE: "NO_CONSENT: give it in Google Ads"} == stops(done)


def test_a_request_the_platform_forgot_is_unconfirmed(account):
    """Its outcome will never be told."""
    submitted(account)
    done = saying(account, Forgotten("NOT_FOUND"))

    assert ({"unconfirmed"}, 1) == (set(account.states.values()), len(done.unconfirmed))


@pytest.mark.parametrize("answer", [StillPending(), Transient("503")])
@pytest.mark.parametrize(("late", "state"), [(timedelta(0), "submitted"), (timedelta(microseconds=1), "unconfirmed")])
def test_an_outcome_is_awaited_for_45_days(account, answer, late, state):
    """From the sending; after that nobody will know."""
    submitted(account, 1)
    account.clock.time = NIGHT + 45 * DAY + late
    saying(account, answer)

    assert {"L-1": state} == account.states


def test_an_outcome_that_comes_on_the_last_day_counts(account):
    """However late it is, what the platform says is taken first."""
    submitted(account, 1)
    account.clock.time = NIGHT + 60 * DAY
    account.resolve()

    assert {"L-1": "accepted"} == account.states


@pytest.mark.parametrize("why", ["removed", "refused"])
def test_an_outcome_nobody_can_ask_for_is_given_up_too(account, why):
    """After the same 45 days: it would stand as submitted for ever."""
    submitted(account, 1)
    account.clock.time = NIGHT + 46 * DAY
    if why == "removed":
        account.sinks.clear()
        account.resolve()
    else:
        saying(account, Misconfigured("token refused"))

    assert {"L-1": "unconfirmed"} == account.states


def test_a_lost_answer_of_a_removed_destination_is_given_up_after_45_days(account):
    """Nobody can ask for it again."""
    account.sink.script.extend([fakes.lost_after] * 5)
    account.put(lead())
    account.prepare()
    account.deliver()
    account.sinks.clear()
    states = []
    for days in (44, 2):
        account.clock.time += days * DAY
        account.resolve()
        states.append(account.states["L-1"])

    assert ["in_doubt", "unconfirmed"] == states


def test_a_lead_that_changes_while_its_outcome_is_awaited_changes_nothing(account):
    """The bytes are with the platform; whatever it says is about them."""
    submitted(account, 1)
    before = account.rows()[0].event
    account.put(changed(lead(), label="Perdu", fields={"consent": "non"}, created_at=CREATED))
    account.prepare()

    assert ({"L-1": "submitted"}, before) == (account.states, account.rows()[0].event)


def test_every_request_has_its_own_resolution(account):
    """One is told, another not yet."""
    submitted(account, 1)
    account.put(lead("L-2"))
    account.prepare()
    account.deliver()
    account.clock.time += HALF_HOUR
    saying(account, StillPending())

    assert {"L-1": "submitted", "L-2": "accepted"} == account.states
    assert ["received", "settled"] == [row.state for row in account.rows(Request)]


def test_a_way_that_is_closed_since_holds_up_only_its_own_outcomes(account):
    """What was received by the old transport cannot be asked about; what is due goes out by the new one."""
    submitted(account, 1)
    target = replace(TARGET, transport="google_ads_api")
    account.book = rulebook(route(target=target), rules_digest="another")
    account.put(lead("L-2"))
    account.sink.status.append(Misconfigured("closed"))
    summary = account.night()

    assert {"L-1": "submitted", "L-2": "submitted"} == account.states
    assert {"google_ads (before: 1234567890 by data_manager)": "closed"} == stops(summary)
