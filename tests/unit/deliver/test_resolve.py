"""Resolving the outcomes of requests: nothing is accepted without evidence."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import (
    ForgottenRequest,
    Outcome,
    OutcomeClass,
    PartlyRefused,
    RowCountMismatch,
    RowOutcomes,
    StillPending,
)
from jobs.deliver.resolve import UnconfirmedRequest
from jobs.ledger.retention.erasure import erase_leads
from jobs.ledger.schema import Attempt, Request
from jobs.rules.reasons import DestinationScope, Reason
from tests import fakes
from tests.builders import ACCOUNT, CREATED, GOOGLE, TARGET, changed, lead, route, rulebook, stops
from tests.fakes import DONE, NIGHT, FakeSink

DAY = timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)


def submitted(account, count=2):
    """Submit sales that the platform received half an hour ago."""
    account.put(*(lead(f"L-{number}") for number in range(1, count + 1)))
    account.prepare()
    account.deliver()
    account.clock.time += HALF_HOUR


def saying(account, *answers):
    """Resolve once, with these answers instead of the outcomes."""
    account.sink.status.extend(answers)
    return account.resolve()


@pytest.mark.parametrize(("early", "asked"), [(timedelta(microseconds=1), 0), (timedelta(0), 1)])
def test_request_is_resolved_only_when_it_is_due(account, early, asked):
    """The platform sets the time; requests that are not due yet are counted as pending."""
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
def test_each_outcome_class_leads_to_its_delivery_state(account, kind, state):
    """Outcomes are matched to rows by position, and the code is stored with the attempt as well."""
    submitted(account)
    saying(account, RowOutcomes((Outcome(kind, "CODE"), DONE)))

    assert {"L-1": state, "L-2": "accepted"} == account.states
    assert ["CODE", "OK"] == [row.code for row in account.rows(Attempt)]
    assert ["settled"] == account.requests


def erase(account, name):
    """Erase a lead while an answer about its row is awaited."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        erase_leads(session, ACCOUNT, [name])


@pytest.mark.parametrize("gone", ["L-1", "L-2", "L-3"])
def test_outcomes_reach_the_right_rows_once_one_is_erased(account, gone):
    """The platform still answers for all the rows that it was sent."""
    submitted(account, 3)
    erase(account, gone)
    kinds = (OutcomeClass.DONE, OutcomeClass.FIX_DATA, OutcomeClass.EXPIRED)
    saying(account, RowOutcomes(tuple(Outcome(kind, "CODE") for kind in kinds)))
    told = {"L-1": "accepted", "L-2": "rejected", "L-3": "expired"}

    assert {lead: state for lead, state in told.items() if lead != gone} == account.states
    assert ["settled"] == account.requests


def test_refusals_without_indices_stay_unconfirmed_once_a_row_is_erased(account):
    """Which rows were refused is as unknown as before: perhaps the erased one, perhaps not."""
    submitted(account, 3)
    erase(account, "L-2")
    saying(account, PartlyRefused(1, 3, ("CODE",)))

    assert {"L-1": "unconfirmed", "L-3": "unconfirmed"} == account.states
    assert {"partly_refused"} == set(account.reasons.values())


def test_platform_is_asked_about_as_many_rows_as_it_was_sent(account):
    """Its counts include the erased row: with one row fewer they would not add up."""
    submitted(account, 3)
    erase(account, "L-2")
    asked, resolve = [], account.sink.fetch_request_outcomes
    account.sink.fetch_request_outcomes = lambda ticket, **sent: asked.append(sent["rows"]) or resolve(ticket, **sent)
    account.resolve()

    assert [3] == asked
    assert {"L-1": "accepted", "L-3": "accepted"} == account.states


def test_settled_request_is_not_resolved_again(account):
    """One resolution is enough."""
    submitted(account)
    account.resolve()

    assert 0 == account.resolve().asked


@pytest.mark.parametrize(
    ("named", "expected"), [(None, NIGHT + HALF_HOUR + timedelta(hours=6)), (DAY, NIGHT + HALF_HOUR + DAY)]
)
def test_too_recent_row_is_deferred(account, named, expected):
    """It waits as long as the platform says, or six hours."""
    submitted(account, 1)
    saying(account, RowOutcomes((Outcome(OutcomeClass.DEFER, "TOO_RECENT", retry_after=named),)))

    assert expected == account.rows()[0].deferred_until


def test_duplicate_after_a_lost_answer_is_accepted(account):
    """The ledger holds an earlier attempt with the same key, so the duplicate is ours."""
    account.sink.script.append(fakes.lost_after)
    submitted(account, 1)
    saying(account, RowOutcomes((Outcome(OutcomeClass.DUPLICATE, "ALREADY_EXISTS"),)))

    assert {"L-1": "accepted"} == account.states


@pytest.mark.parametrize(
    ("kind", "unexpected"), [(OutcomeClass.DROP, 1), (OutcomeClass.FIX_DATA, 1), (OutcomeClass.DROP_EXPECTED, 0)]
)
def test_expected_rejections_are_not_reported_as_unexpected(account, kind, unexpected):
    """The rule is the same as for sending."""
    submitted(account, 1)

    assert unexpected == saying(account, RowOutcomes((Outcome(kind, "X"),))).unexpected


@pytest.mark.parametrize(("of_target", "name"), [(True, f"{GOOGLE}/{TARGET.action}"), (False, GOOGLE)])
@pytest.mark.parametrize("kind", [OutcomeClass.FIX_CONFIG, OutcomeClass.BUG])
def test_configuration_outcome_stops_its_action_or_destination(account, kind, of_target, name):
    """Nothing more is sent there that night."""
    submitted(account, 1)
    done = saying(account, RowOutcomes((Outcome(kind, "NO_ACCESS", of_target=of_target),)))

    assert {name: "NO_ACCESS"} == stops(done)


@pytest.mark.parametrize("answer", [StillPending(), Transient("503")])
def test_pending_or_failed_resolution_is_tried_again(account, answer):
    """Nothing changes in the meantime."""
    submitted(account)
    done = saying(account, answer)

    assert (1, {"submitted"}) == (done.pending, set(account.states.values()))
    assert 1 == account.resolve().asked


def two_requests(account):
    """Two requests that are due, each with a sale."""
    submitted(account, 1)
    account.put(lead("L-2"))
    account.prepare()
    account.deliver()
    account.clock.time += HALF_HOUR


def test_one_refused_status_stops_neither_the_asking_nor_the_uploads(account):
    """That request stays received and is named; the other is settled, and what is due goes out in the same night."""
    two_requests(account)
    account.put(lead("L-3"))
    account.sink.tickets["request-1"].answers.extend([Misconfigured("NOT_FOUND")] * 2)
    summary = account.night()

    assert {"L-1": "submitted", "L-2": "accepted", "L-3": "submitted"} == account.states
    assert ({}, 1) == (stops(summary), summary.exit_code)
    assert {DestinationScope(GOOGLE): (1, ("request-1",), "NOT_FOUND")} == {
        scope: (known["count"], known["requests"], known["answer"]) for scope, known in summary.missing_statuses.items()
    }


@pytest.mark.parametrize("answer", [StillPending("PROCESSING"), Transient("HTTP 503")])
@pytest.mark.parametrize(("nights", "exit_code"), [(1, 0), (2, 1), (45, 1)])
def test_status_that_does_not_come_is_told_two_nights_after_it_was_due(account, answer, nights, exit_code):
    """With how many, since when and what came back instead, for as long as it is asked for."""
    submitted(account, 1)
    account.clock.time = NIGHT + nights * DAY - HALF_HOUR
    account.sink.tickets["request-1"].answers.extend([answer] * 2)
    summary = account.night()
    said = str(answer) if isinstance(answer, Transient) else answer.answer
    found = {"count": 1, "requests": ("request-1",), "age": nights * DAY - 2 * HALF_HOUR, "answer": said}

    assert exit_code == summary.exit_code
    assert ({DestinationScope(GOOGLE): found} if exit_code else {}) == summary.missing_statuses
    assert {"L-1": "submitted"} == account.states


def test_what_is_not_asked_for_want_of_a_turn_is_told_too(account):
    """The platform's limit is the last that was heard of it."""
    two_requests(account)
    account.clock.time += 2 * DAY
    account.sink.tickets["request-1"].answers.append(Transient("used up", retry_after=DAY))
    done = account.resolve()

    assert [("request-1", "used up"), ("request-2", "used up")] == [(each.ticket, each.answer) for each in done.missing]


@pytest.mark.parametrize(("answer", "asked"), [(Transient("used up", retry_after=DAY), 1), (Transient("HTTP 503"), 2)])
def test_a_destination_that_says_when_to_ask_again_is_not_asked_for_more(account, answer, asked):
    """Each request would wait for its turn in vain; all are asked again in the next pass."""
    submitted(account, 1)
    account.put(lead("L-2"))
    account.prepare()
    account.deliver()
    account.clock.time += HALF_HOUR
    done = saying(account, answer, StillPending())

    assert (asked, 2) == (done.asked, done.pending)
    account.sink.status.clear()
    assert 2 == account.resolve().asked


def test_refused_resolution_does_not_affect_other_destinations(account):
    """The other destination is still resolved."""
    second = FakeSink()
    account.sinks["second"] = second
    account.book = rulebook(route(), route(destination="second"))
    submitted(account, 1)
    account.sink.tickets["request-1"].answers.append(Misconfigured("token refused"))
    account.resolve()

    assert ["submitted", "accepted"] == [row.state for row in account.rows()]


def test_partly_refused_request_leaves_all_rows_unconfirmed(account):
    """Nothing identifies the refused rows, so the notice gives the platform's codes and where to look."""
    submitted(account, 3)
    done = saying(account, PartlyRefused(1, 3, ("BAD_CLICK", "TOO_OLD")))
    detail = "1 of 3: BAD_CLICK, TOO_OLD"

    assert {"unconfirmed"} == set(account.states.values())
    assert {(Reason.PARTLY_REFUSED, detail)} == {(row.reason, row.detail) for row in account.rows()}
    assert [UnconfirmedRequest(GOOGLE, "request-1", Reason.PARTLY_REFUSED, detail)] == done.unconfirmed
    assert ["unresolved"] == account.requests


@pytest.mark.parametrize("counted", [0, 2, 4])
def test_miscounted_request_leaves_all_rows_unconfirmed(account, counted):
    """A success for another number of rows proves nothing for ours; the notice gives both numbers."""
    submitted(account, 3)
    done = saying(account, RowCountMismatch(counted, 3))

    assert {"unconfirmed"} == set(account.states.values())
    assert [UnconfirmedRequest(GOOGLE, "request-1", Reason.MISCOUNTED, f"{counted} of 3")] == done.unconfirmed
    assert ["unresolved"] == account.requests


def test_configuration_outcome_is_reported_with_its_explanation(account):
    """The rows stay pending, and the stop explains the platform's code."""
    submitted(account, 2)
    outcome = Outcome(OutcomeClass.FIX_CONFIG, "NO_CONSENT", "give it in Google Ads")
    done = saying(account, RowOutcomes((outcome, outcome)))

    assert {"pending"} == set(account.states.values())
    assert {GOOGLE: "NO_CONSENT: give it in Google Ads"} == stops(done)


def test_request_forgotten_by_the_platform_is_unconfirmed(account):
    """Its outcome will never be known."""
    submitted(account)
    done = saying(account, ForgottenRequest("NOT_FOUND"))

    assert ({"unconfirmed"}, 1) == (set(account.states.values()), len(done.unconfirmed))


@pytest.mark.parametrize("answer", [StillPending(), Transient("503")])
@pytest.mark.parametrize(("late", "state"), [(timedelta(0), "submitted"), (timedelta(microseconds=1), "unconfirmed")])
def test_outcome_is_awaited_for_45_days(account, answer, late, state):
    """The time counts from sending; after it the delivery is unconfirmed."""
    submitted(account, 1)
    account.clock.time = NIGHT + 45 * DAY + late
    saying(account, answer)

    assert {"L-1": state} == account.states


def test_outcome_that_arrives_after_45_days_still_counts(account):
    """The platform's answer takes precedence over the time limit."""
    submitted(account, 1)
    account.clock.time = NIGHT + 60 * DAY
    account.resolve()

    assert {"L-1": "accepted"} == account.states


@pytest.mark.parametrize("why", ["removed", "refused"])
def test_unreachable_outcome_is_given_up_after_45_days(account, why):
    """Otherwise the delivery would stay submitted for ever."""
    submitted(account, 1)
    account.clock.time = NIGHT + 46 * DAY
    if why == "removed":
        account.sinks.clear()
        account.resolve()
    else:
        saying(account, Misconfigured("token refused"))

    assert {"L-1": "unconfirmed"} == account.states


def test_lost_answer_of_a_removed_destination_is_given_up(account):
    """No replay is possible without the destination, and the limit is 45 days."""
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


def test_edits_to_a_lead_do_not_affect_a_submitted_delivery(account):
    """The outcome is about the bytes that the platform already has."""
    submitted(account, 1)
    before = account.rows()[0].event
    account.put(changed(lead(), label="Perdu", fields={"consent": "non"}, created_at=CREATED))
    account.prepare()

    assert ({"L-1": "submitted"}, before) == (account.states, account.rows()[0].event)


def test_requests_are_resolved_independently(account):
    """One is settled while another is still pending."""
    submitted(account, 1)
    account.put(lead("L-2"))
    account.prepare()
    account.deliver()
    account.clock.time += HALF_HOUR
    saying(account, StillPending())

    assert {"L-1": "submitted", "L-2": "accepted"} == account.states
    assert ["received", "settled"] == [row.state for row in account.rows(Request)]


def test_refused_status_of_a_former_transport_is_told_as_that(account):
    """Requests of the old transport cannot be resolved, while due deliveries go out by the new one."""
    submitted(account, 1)
    target = replace(TARGET, transport="google_ads_api")
    account.book = rulebook(route(target=target), rules_digest="another")
    account.put(lead("L-2"))
    account.sink.tickets["request-1"].answers.extend([Misconfigured("closed")] * 2)
    summary = account.night()

    assert {"L-1": "submitted", "L-2": "submitted"} == account.states
    assert ["google_ads (before: 1234567890 by data_manager)"] == list(map(str, summary.missing_statuses))
